"""The one look of all pictures: dark, 1,200 pixels wide, quiet.

Belongs here: colours, sizes, empty figures, saving. Figures are made without pyplot: nothing is
global, no display needed. Does not belong here: what is drawn (maps.py, charts.py, each system's
module `plots`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vidtag_ml.earth import origin
from vidtag_ml.earth.origin import Facts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


NIGHT, PANEL, INK, FAINT = "#0b1018", "#121a26", "#e8eef6", "#8a97a8"
PALETTE = ("#ffb454", "#5ccfe6", "#f28779", "#bae67e", "#d4bfff", "#ffe6b3")
GOOD, BAD = PALETTE[3], PALETTE[2]
WIDTH_PX, DPI = 1200, 100


def new_figure(height_px: int) -> "Figure":
    """A dark picture of the one width."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_PX / DPI, height_px / DPI), dpi=DPI, facecolor=NIGHT)


def save(figure: "Figure", path: Path, text: Mapping[str, str] | None = None) -> Path:
    """Writes a PNG, the same bytes each time, perhaps with text chunks; returns its path.

    A name that ends in `.tif` gets a TIFF instead, whose pixels take no time to pack and unpack.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    is_png = path.suffix != ".tif"
    chunks = {"Software": None, **(text or {})} if is_png else None
    kind = "png" if is_png else "tiff"
    figure.savefig(path, format=kind, dpi=DPI, facecolor=NIGHT, metadata=chunks)
    return path


def add_origin(figure: "Figure", facts: Facts) -> None:
    """A line in the lower left corner: where the answer comes from that is shown."""
    figure.text(
        0.008, 6 / (figure.get_figheight() * DPI), origin.sentence(facts), color=FAINT, fontsize=8,
        bbox={"facecolor": NIGHT, "alpha": 0.55, "edgecolor": "none", "pad": 2},
    )  # fmt: skip


def new_chart(title: str, x: str, y: str) -> "tuple[Figure, Axes]":
    """A dark chart with a quiet grid."""
    figure = new_figure(WIDTH_PX * 9 // 16)
    axes = figure.add_axes((0.07, 0.11, 0.9, 0.79), facecolor=PANEL)
    axes.set_title(title, color=INK, loc="left", fontsize=16, pad=12)
    axes.set_xlabel(x, color=FAINT, fontsize=12)
    axes.set_ylabel(y, color=FAINT, fontsize=12)
    axes.tick_params(colors=FAINT, labelsize=11, length=0)
    axes.grid(visible=True, color=INK, alpha=0.08, lw=0.8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes


def add_legend(
    axes: "Axes",
    where: Literal["upper right", "lower right"] = "upper right",
    *,
    small: bool = False,
) -> None:
    """A legend in a corner, with dots that can be seen."""
    from matplotlib.collections import PathCollection

    legend = axes.legend(
        loc=where, facecolor=NIGHT, edgecolor="none", framealpha=0.55, labelcolor=INK,
        fontsize=9 if small else 12, markerscale=1.0 if small else 1.5,
    )  # fmt: skip
    legend.set_zorder(8)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([36.0])
