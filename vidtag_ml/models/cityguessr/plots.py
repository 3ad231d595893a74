"""Pictures of classified places: how far confidence can be believed, who is taken for whom, a card.

Belongs here: what the reports on city, state, country and continent show, in the looks of
plots/maps.py. Each function writes one PNG and returns its path. Does not belong here: any
computation whose result matters. Shape legend: N clips, 2 = (lat, lon) in degrees, P = 2 corners of
a box.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.earth import origin, sphere
from vidtag_ml.earth.origin import Facts
from vidtag_ml.plots import maps, style
from vidtag_ml.plots.style import FAINT, INK, NIGHT, PALETTE, PANEL, WIDTH_PX

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.patheffects import AbstractPathEffect


Floats = NDArray[np.float64]
Candidates = Sequence[tuple[str, float]]
"""Names with probabilities, best first."""

MAP_WIDTH_PX = 1600
POINTS_PER_DEGREE = MAP_WIDTH_PX / 360 * 72 / style.DPI
ACCURATE, OVERCONFIDENT, UNDERCONFIDENT = PALETTE[1], PALETTE[2], PALETTE[3]
CHOSEN, TAKEN_FOR = PALETTE[0], "#9fd8ff"
_WRONG_TO_RIGHT = ("#e5484d", "#ffb454", "#a6e22e")
_DASHES = (0, (4, 4))
_NUM_ARROWS = 24
_LARGEST_PT, _SMALLEST_PT, _NAME_PT = 32.0, 5.0, 8.0
_THICKEST_PT, _THINNEST_PT = 4.5, 0.9
_NUM_ROWS, _ROW_PX, _GAP_PX, _MOST_LETTERS = 5, 52, 56, 22


def reliability(
    tables: "Mapping[str, pd.DataFrame]", path: Path, title: str = "Reliability"
) -> Path:
    """Reliability diagram, one panel a level: accuracy of each bin of confidence, and its clips.

    A bar is a bin's accuracy; what it lacks to the bin's mean confidence, or exceeds it by, is
    coloured. Beside a level's name stands its expected calibration error.

    Args:
        tables: by level, one row a bin: low, high, num_clips, confidence, accuracy.
        path: the PNG.
        title: above the panels.

    Raises:
        ValueError: there is no level, or none of its bins holds a clip.
    """
    if not tables:
        raise ValueError("a reliability diagram needs at least one level")
    column = min((WIDTH_PX - 30) / len(tables), 480.0)
    wide, tall = column - 58, (column - 58) * 0.22
    height = round(wide + tall + 186)
    figure = style.new_figure(height)
    figure.text(0.016, 1 - 18 / height, title, color=INK, fontsize=16, va="top")
    for k, (level, table) in enumerate(tables.items()):
        bins = table[table["num_clips"] > 0]
        if bins.empty:
            raise ValueError(f"{level} has no bin with a clip in it: there is nothing to draw")
        left = (WIDTH_PX - 30 - len(tables) * column) / 2 + k * column + 66
        axes = _panel(figure, left, 82 + tall, wide, wide)
        error = np.average((bins["confidence"] - bins["accuracy"]).abs(), weights=bins["num_clips"])
        axes.set_title(f"{level}   ECE {error:.1%}", color=INK, loc="left", fontsize=12, pad=8)
        if k == 0:
            axes.set_ylabel("accuracy, %", color=FAINT, fontsize=11)
        _draw_bins(axes, bins)
        _draw_counts(_panel(figure, left, 56, wide, tall), bins)
    _bins_legend(figure, 1 - 6 / height)
    return style.save(figure, path)


def confusion_map(
    true_country: Sequence[str],
    predicted_country: Sequence[str],
    positions_N2: ArrayLike,
    path: Path,
    title: str = "Countries taken for others",
) -> Path:
    """A world map of 1,600 pixels: a disc a country, arrows to what it is most often taken for.

    A disc lies at the middle of a country's clips; its area is their number, its colour the share
    whose country is right. Arrows are the most frequent confusions; one with a country that has no
    clip here would end nowhere and is left out.

    Raises:
        ValueError: there is no clip, or there are not as many of each argument.
    """
    true, predicted = list(true_country), list(predicted_country)
    positions = np.asarray(positions_N2, float).reshape(-1, 2)
    if not len(true) == len(predicted) == len(positions) or not true:
        raise ValueError(
            f"{len(true)} true and {len(predicted)} predicted countries at {len(positions)} "
            "positions; there must be as many of each, and at least one"
        )
    num_of = dict(Counter(true).most_common())
    rows = np.asarray(true, object)
    latlon_of = {name: sphere.centroid(positions[rows == name]) for name in num_of}
    pairs = Counter(zip(true, predicted, strict=True))
    wrong = {pair: num for pair, num in pairs.most_common() if pair[0] != pair[1]}
    shown = [(pair, num) for pair, num in wrong.items() if pair[1] in num_of][:_NUM_ARROWS]
    most, largest = (shown[0][1] if shown else 1), max(num_of.values())
    figure, axes = maps.world_map(title)
    axes.texts[0].set_path_effects(_rim())
    figure.set_size_inches(MAP_WIDTH_PX / style.DPI, MAP_WIDTH_PX * 150 / 360 / style.DPI)
    disc_of = {name: _disc_pt(num / largest) for name, num in num_of.items()}
    for (one, other), num in reversed(shown):
        ends = np.stack([latlon_of[one], latlon_of[other]])
        _arrow(axes, ends, (disc_of[one], disc_of[other]), _THICKEST_PT * num / most)
    right = [pairs[name, name] / num for name, num in num_of.items()]
    _discs(axes, np.stack(list(latlon_of.values())), list(disc_of.values()), right)
    _names(axes, latlon_of, disc_of)
    share = 1 - sum(wrong.values()) / len(true)
    _key(axes, (largest, most), f"{share:.0%} of {len(true):,} clips are in the right country")
    return style.save(figure, path)


def place_card(
    candidates: Mapping[str, Candidates],
    chosen: Mapping[str, str | None],
    path: Path,
    title: str,
    facts: Facts | None = None,
) -> Path:
    """The answer for one video: the likeliest places of each level and the path that was chosen.

    Levels run from continent to city. Where none was chosen the level is unknown, its candidates
    are grey.

    Args:
        candidates: by level, names with probabilities, best first.
        chosen: by level, a name among its candidates, or None.
        path: the PNG.
        title: above the answer: which video this is.
        facts: where the answer comes from, in the picture and in its text.

    Raises:
        ValueError: there is no level, or a chosen name is not among its level's candidates.
    """
    levels = [level for level in reversed(LEVELS) if level in candidates]
    if not levels:
        raise ValueError(f"a card shows {', '.join(LEVELS)}, none of which is given")
    rows_of = {level: _rows(level, candidates[level], chosen[level]) for level in levels}
    height = 166 + _ROW_PX * max(map(len, rows_of.values()))
    figure = style.new_figure(height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH_PX), ylim=(height, 0))
    axes.set_axis_off()
    known = [_spelt(name) for level in reversed(levels) if (name := chosen[level]) is not None]
    axes.text(32, 34, title, color=FAINT, fontsize=12, va="center")
    answer = ", ".join(known) or "unknown"
    axes.text(32, 72, answer, color=INK, fontsize=20, va="center", weight="bold")
    step = (WIDTH_PX - 64 + _GAP_PX) / len(levels)
    ends: list[tuple[float, float]] = []
    for k, level in enumerate(levels):
        left, right = 32 + k * step, 32 + (k + 1) * step - _GAP_PX
        axes.text(left, 122, level, color=FAINT, fontsize=11, va="center")
        for row, (name, share) in enumerate(rows_of[level]):
            top = 146 + row * _ROW_PX
            _candidate(axes, (left, right, top), name, share, chosen[level])
            if name == chosen[level]:
                ends += [(left - 10, top + 19), (right + 10, top + 19)]
    for k, level in enumerate(levels[1:]):
        _link(axes, ends[2 * k + 1], ends[2 * k + 2], known=chosen[level] is not None)
    if facts:
        style.add_origin(figure, facts)
    return style.save(figure, path, origin.as_text(facts) if facts else None)


def _panel(figure: "Figure", left: float, bottom: float, wide: float, tall: float) -> "Axes":
    """Dark axes from 0 to 100 per cent in x, in pixels from the lower left corner."""
    height = figure.get_figheight() * style.DPI
    box = (left / WIDTH_PX, bottom / height, wide / WIDTH_PX, tall / height)
    axes = figure.add_axes(box, facecolor=PANEL, xlim=(0, 100))
    axes.tick_params(colors=FAINT, labelsize=10, length=0)
    axes.grid(visible=True, color=INK, alpha=0.08, lw=0.8)
    axes.set_axisbelow(True)
    axes.set_xticks([0, 25, 50, 75, 100])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _draw_bins(axes: "Axes", bins: "pd.DataFrame") -> None:
    """Accuracy of each bin, and its gap to the mean confidence."""
    lower, upper, confidence, accuracy = (
        bins[name].to_numpy(float) * 100 for name in ("low", "high", "confidence", "accuracy")
    )
    wide = (upper - lower) * 0.9
    middle, gap = (lower + upper) / 2, confidence - accuracy
    axes.bar(middle, accuracy, wide, color=ACCURATE, zorder=2)
    for sign, colour in ((1, OVERCONFIDENT), (-1, UNDERCONFIDENT)):
        some = sign * gap > 0
        bottom = np.minimum(accuracy, confidence)[some]
        axes.bar(middle[some], np.abs(gap[some]), wide[some], bottom, color=colour, zorder=3)
    axes.plot([0, 100], [0, 100], color=INK, lw=1.2, ls=_DASHES, zorder=4)
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_xticklabels([])


def _bins_legend(figure: "Figure", top: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color=ACCURATE, label="accuracy"),
        Patch(color=OVERCONFIDENT, label="overconfident by"),
        Patch(color=UNDERCONFIDENT, label="underconfident by"),
        Line2D([], [], color=INK, lw=1.2, ls=_DASHES, label="perfect"),
    ]
    figure.legend(
        handles=handles, loc="upper right", bbox_to_anchor=(0.99, top), ncols=4, frameon=False,
        labelcolor=INK, fontsize=11,
    )  # fmt: skip


def _draw_counts(axes: "Axes", bins: "pd.DataFrame") -> None:
    """How many clips each bin holds; the tallest bar and the sum are told."""
    lower, upper = (bins[name].to_numpy(float) * 100 for name in ("low", "high"))
    count = bins["num_clips"].to_numpy(float)
    axes.bar((lower + upper) / 2, count, (upper - lower) * 0.9, color=FAINT, zorder=2)
    axes.set_ylim(0, count.max() * 1.08)
    axes.set_yticks([count.max()], [f"{count.max():,.0f}"])
    axes.set_xlabel(f"confidence, %   ({count.sum():,.0f} clips)", color=FAINT, fontsize=11)


def _colours() -> "Colormap":
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("accuracy", _WRONG_TO_RIGHT)


def _disc_pt(share: float) -> float:
    """Diameter of a disc whose area is a share of the largest one's."""
    return max(float(_LARGEST_PT * np.sqrt(share)), _SMALLEST_PT)


def _discs(
    axes: "Axes", latlon_N2: Floats, diameter_pt: Sequence[float], accuracy: Sequence[float]
) -> None:
    axes.scatter(
        latlon_N2[:, 1], latlon_N2[:, 0], s=np.square(diameter_pt), c=list(accuracy),
        cmap=_colours(), vmin=0, vmax=1, edgecolors=NIGHT, linewidths=1.0, zorder=4,
    )  # fmt: skip


def _arrow(
    axes: "Axes", ends_P2: Floats, diameter_pt: tuple[float, float], thickness_pt: float
) -> None:
    """A curve from the first to the second point, the short way round: twice if over the edge."""
    from matplotlib.patches import FancyArrowPatch

    (lat, lon), (to_lat, to_lon) = ends_P2
    near_lon = lon + float(sphere.wrap_lon(to_lon - lon))
    away_pt = np.hypot(near_lon - lon, to_lat - lat) * POINTS_PER_DEGREE
    shrink = [min(size / 2, 0.3 * away_pt) for size in diameter_pt]
    for turn in {0.0, 360.0 * round((to_lon - near_lon) / 360.0)}:
        start, end = (lon + turn, lat), (near_lon + turn, to_lat)
        axes.add_patch(
            FancyArrowPatch(
                start,
                end,
                connectionstyle="arc3,rad=0.28",
                shrinkA=shrink[0],
                shrinkB=shrink[1],
                zorder=3,
                **_arrow_looks(thickness_pt),
            )
        )


def _arrow_looks(thickness_pt: float) -> dict[str, Any]:
    head = f"head_length={3 + thickness_pt},head_width={1.5 + thickness_pt / 2}"
    return {
        "arrowstyle": f"-|>,{head}",
        "mutation_scale": 1.0,
        "lw": max(thickness_pt, _THINNEST_PT),
        "color": TAKEN_FOR,
        "alpha": 0.85,
        "joinstyle": "miter",
    }


def _names(axes: "Axes", latlon_of: Mapping[str, Floats], diameter_of: Mapping[str, float]) -> None:
    """Names beside the discs, largest first, where there is room: no name on a disc or a name."""
    taken = [
        _Box(
            latlon[1] * POINTS_PER_DEGREE,
            latlon[0] * POINTS_PER_DEGREE,
            diameter_of[name],
            diameter_of[name],
        )
        for name, latlon in latlon_of.items()
    ]
    for name, latlon in latlon_of.items():
        x, y = latlon[1] * POINTS_PER_DEGREE, latlon[0] * POINTS_PER_DEGREE
        wide, away = 0.56 * _NAME_PT * len(name) + 2, diameter_of[name] / 2 + 1
        across, along = away + wide / 2, away + _NAME_PT / 2
        corner = 0.75 * along
        spots = [(0, -along), (0, along), (across, 0), (-across, 0)]
        spots += [(side * across, end * corner) for end in (-1, 1) for side in (1, -1)]
        edge = 180 * POINTS_PER_DEGREE - wide / 2
        boxes = [
            _Box(float(np.clip(x + dx, -edge, edge)), y + dy, wide, _NAME_PT) for dx, dy in spots
        ]
        free = [box for box in boxes if not any(box.meets(other) for other in taken)]
        if free:
            taken.append(free[0])
            axes.text(
                free[0].x / POINTS_PER_DEGREE, free[0].y / POINTS_PER_DEGREE, name, color=INK,
                fontsize=_NAME_PT, ha="center", va="center", zorder=5, path_effects=_rim(),
                clip_on=True,
            )  # fmt: skip


def _rim() -> "list[AbstractPathEffect]":
    """What keeps words legible over ice and desert."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=2.2, foreground=NIGHT, alpha=0.85)]


@dataclass(frozen=True)
class _Box:
    """A box of the map in points: its middle, width and height."""

    x: float
    y: float
    wide: float
    tall: float

    def meets(self, other: "_Box") -> bool:
        return (
            abs(self.x - other.x) * 2 < self.wide + other.wide
            and abs(self.y - other.y) * 2 < self.tall + other.tall
        )


def _key(world: "Axes", most: tuple[int, int], text: str) -> None:
    """What area, thickness and colour mean, in the empty south of the Pacific.

    Args:
        world: the map.
        most: clips of the largest disc and of the thickest arrow.
        text: what the map says in one sentence.
    """
    from matplotlib.patches import FancyArrowPatch, Rectangle

    world.add_patch(Rectangle((-177, -63), 84, 31, fc=NIGHT, ec="none", alpha=0.66, zorder=6))

    def say(x: float, y: float, words: str) -> None:
        world.text(x, y, words, color=INK, fontsize=9, va="center", zorder=8)

    say(-174.5, -35.7, text)
    world.imshow(
        np.linspace(0, 1, 256)[None],
        extent=(-174.5, -146, -43.3, -40.9),
        cmap=_colours(),
        aspect="auto",
        zorder=7,
    )
    say(-143, -42.2, "0 to 100 % of its clips are right")
    sizes = np.square([_disc_pt(1.0), _disc_pt(0.1)])
    world.scatter([-169, -157], [-50, -50], s=sizes, c=FAINT, linewidths=0, zorder=7)
    say(-143, -50.0, f"{most[0]:,} and {max(round(most[0] / 10), 1):,} clips of a country")
    for x, share in ((-174.5, 1.0), (-159.5, 1 / 3)):
        arrow = FancyArrowPatch(
            (x, -58.5), (x + 13, -58.5), zorder=7, shrinkA=0, shrinkB=0,
            **_arrow_looks(_THICKEST_PT * share),
        )  # fmt: skip
        world.add_patch(arrow)
    say(-143, -58.5, f"{most[1]:,} and {max(round(most[1] / 3), 1):,} clips taken for another's")


def _rows(level: str, candidates: Candidates, pick: str | None) -> list[tuple[str | None, float]]:
    """What a level shows: its best places, with the chosen one; the first is None if unknown."""
    best: list[tuple[str | None, float]] = list(candidates[:_NUM_ROWS])
    if pick is None:
        return [(None, np.nan), *best[: _NUM_ROWS - 1]]
    share_of = dict(candidates)
    if pick not in share_of:
        raise ValueError(
            f"{level} {pick!r} was chosen but is none of its {len(candidates)} candidates"
        )
    return best if pick in dict(best) else [*best[:-1], (pick, share_of[pick])]


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "<1%"


def _spelt(name: str) -> str:
    return name.replace("_", " ")


def _candidate(
    axes: "Axes",
    box: tuple[float, float, float],
    name: str | None,
    share: float,
    pick: str | None,
) -> None:
    """One place of a level: its name, its probability, and that as a bar.

    Args:
        axes: in pixels, y downwards.
        box: left, right and top.
        name: None for the row that says that the level is unknown.
        share: its probability.
        pick: what was chosen.
    """
    from matplotlib.patches import FancyBboxPatch

    left, right, top = box
    is_pick = name == pick
    if is_pick:
        rounded = "round,pad=0,rounding_size=8"
        axes.add_patch(
            FancyBboxPatch(
                (left - 10, top - 5),
                right - left + 20,
                _ROW_PX - 4,
                boxstyle=rounded,
                fc=PANEL,
                ec=CHOSEN if name else FAINT,
                lw=1.4,
                ls="-" if name else (0, (4, 3)),
            )
        )
    if name is None:
        axes.text(
            (left + right) / 2, top + 19, "unknown", color=FAINT, fontsize=13,
            ha="center", va="center", style="italic",
        )  # fmt: skip
        return
    ink = CHOSEN if is_pick else FAINT if pick is None else INK
    spelt = _spelt(name)
    spelt = spelt if len(spelt) <= _MOST_LETTERS else f"{spelt[: _MOST_LETTERS - 1].rstrip()}…"
    weight = "bold" if is_pick else "normal"
    axes.text(left, top + 12, spelt, color=ink, fontsize=11, va="center", weight=weight)
    axes.text(
        right, top + 12, _percent(share), color=ink, fontsize=11, va="center", ha="right",
        weight=weight,
    )  # fmt: skip
    end = left + (right - left) * share
    for stop, colour, alpha in ((right, INK, 0.08), (end, ink, 0.9 if is_pick else 0.5)):
        axes.plot(
            [left, stop], [top + 31] * 2, color=colour, alpha=alpha, lw=4.5,
            solid_capstyle="butt",
        )  # fmt: skip


def _link(
    axes: "Axes", one: tuple[float, float], other: tuple[float, float], *, known: bool
) -> None:
    """A smooth curve from the chosen place to that of the next level."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    middle = (one[0] + other[0]) / 2
    curve = Curve([one, (middle, one[1]), (middle, other[1]), other], [1, 4, 4, 4])
    colour, dashes = (CHOSEN, "-") if known else (FAINT, (0, (4, 3)))
    axes.add_patch(PathPatch(curve, fc="none", ec=colour, lw=2.2, ls=dashes))
