"""Pictures of aerial tiles: some of a gallery, and what GAMa found for a few clips.

Belongs here: what the reports on tiles show, in the looks of plots/maps.py. Each function writes
one PNG and returns its path. Does not belong here: pixels of tiles (aerial/pictures.py), any
search. Shape legend: H W rows and columns, 3 = red, green, blue.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.models.gama import data, sampling, searches
from vidtag_ml.plots import style

if TYPE_CHECKING:
    from vidtag_ml import config
    from vidtag_ml.models.report import Report


Pixels = NDArray[np.uint8]

TITLE_PX = 32
TITLES = ("the clip", "its tile", "in all tiles", "in the kept regions", "on the way")


def grid(rows: Sequence[Sequence[Pixels]], path: Path, titles: Sequence[str] = ()) -> Path:
    """Pictures (H, W, 3) in rows of equally many, with a title above each column.

    Raises:
        ValueError: there is no picture.
    """
    if not rows or not rows[0]:
        raise ValueError("a grid needs at least one picture")
    columns = len(rows[0])
    above = TITLE_PX if titles else 0
    height = style.WIDTH_PX / columns * len(rows) + above
    figure = style.new_figure(round(height))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.995 - above / height, 0.02, 0.02)
    for k, pixels in enumerate(pixels for row in rows for pixels in row):
        panel = axes[k // columns, k % columns]
        panel.imshow(pixels, interpolation="nearest")
        panel.axis("off")
        if k < len(titles):
            panel.set_title(titles[k], color=style.INK, fontsize=12)
    return style.save(figure, path)


def answers(
    report: "Report", world: data.CrossViewData, settings: "config.Gama", num: int, path: Path
) -> Path:
    """A row for each of a few clips, evenly spaced: its middle frame, its tile, the answers.

    Args:
        report: of `evaluate_gama`.
        world: pixels and gallery of the same params.
        settings: which frames a clip has.
        num: how many clips.
        path: the PNG.
    """
    footage, shape = world.footage, data.shape_of(settings)
    rows = []
    for query in report.frames.iloc[:: max(1, len(report.frames) // num)][:num].to_dict("records"):
        first = sampling.first_at(
            query["time_s"],
            footage.num_frames(query["clip"]),
            shape,
            center_test_clip=settings.center_test_clip,
        )
        middle_CHW = footage.clip(query["clip"], first, shape)[shape.num_frames // 2]
        shown = (searches.FLAT, searches.HIERARCHICAL, report.summary["track"])
        ids = [query["tile"], *(query[searches.key(search, "top1")] for search in shown)]
        tiles = footage.tiles_GHW3[world.tiles.rows(ids)]
        rows.append([middle_CHW.movedim(0, -1).numpy(), *tiles])
    return grid(rows, path, TITLES)
