"""Charts: error curves, accuracies, losses.

Belongs here: what is drawn on axes of numbers. Each function writes one PNG and returns its path.
Does not belong here: maps (maps.py), looks (style.py).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from vidtag_ml.plots import style
from vidtag_ml.plots.style import FAINT, PALETTE

_BINS = 8


def error_cdf(errors_km: Mapping[str, ArrayLike], path: Path, title: str = "Frame errors") -> Path:
    """Share of frames within each distance, one line a row of the leaderboard; log scale.

    Raises:
        ValueError: a row has no error.
    """
    figure, axes = style.new_chart(title, "distance from the truth, km", "frames within, %")
    for k, (name, values) in enumerate(errors_km.items()):
        errors = np.sort(np.asarray(values, float))
        if len(errors) == 0:
            raise ValueError(f"{name} has no frame errors to draw")
        share = np.arange(1, len(errors) + 1) / len(errors) * 100
        label = f"{name}  (median {np.median(errors):,.3g} km)"
        colour = PALETTE[k % len(PALETTE)]
        axes.plot(np.maximum(errors, 1e-3), share, color=colour, lw=1.8, label=label)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_ylim(0, 100)
    axes.axhline(50, color=FAINT, lw=0.8, ls=(0, (2, 4)))
    style.add_legend(axes, "lower right")
    return style.save(figure, path)


def accuracy_by_distance(
    distance_km: ArrayLike, errors_km: Mapping[str, ArrayLike], within_km: float, path: Path
) -> Path:
    """Share of frames within `within_km` against their distance from what training has seen.

    Args:
        distance_km: of each frame from the nearest train fix.
        errors_km: errors of the same frames, by row.
        within_km: what counts as right.
        path: the picture.
    """
    distance = np.asarray(distance_km, float)
    edges = np.unique(np.quantile(distance, np.linspace(0, 1, _BINS + 1)))
    part = np.searchsorted(edges[1:-1], distance, "right")
    title = f"Frames within {within_km:g} km of the truth"
    figure, axes = style.new_chart(title, "distance from the nearest train fix, km", "frames, %")
    held = np.unique(part)
    middle = [np.median(distance[part == k]) for k in held]
    for k, (name, values) in enumerate(errors_km.items()):
        right = np.asarray(values, float) <= within_km
        share = [right[part == b].mean() * 100 for b in held]
        axes.plot(middle, share, "o-", color=PALETTE[k % len(PALETTE)], lw=1.8, label=name)
    axes.set_ylim(0, 100)
    style.add_legend(axes, "lower right")
    return style.save(figure, path)


def paired_errors(
    first_km: ArrayLike, second_km: ArrayLike, names: tuple[str, str], path: Path
) -> Path:
    """A dot a clip, its error by one model against that by another; below the line it is smaller.

    Raises:
        ValueError: there are not as many errors of both.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    first, second = (np.maximum(np.asarray(e, float), 1e-3) for e in (first_km, second_km))
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} errors make no pairs")
    title = f"Errors of clips: {names[1]} against {names[0]}"
    figure, axes = style.new_chart(title, f"{names[0]}, km", f"{names[1]}, km")
    ends = [min(first.min(), second.min()) / 1.5, max(first.max(), second.max()) * 1.5]
    axes.plot(ends, ends, "-", color=FAINT, lw=1.0)
    smaller = second < first
    parts = ((smaller, style.GOOD, "smaller"), (~smaller, style.BAD, "not smaller"))
    for chosen, colour, text in parts:
        label = f"{text}  {int(chosen.sum()):,}"
        axes.plot(first[chosen], second[chosen], "o", color=colour, ms=5, mew=0, label=label)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(lambda value, _: f"{value:,g}")
        axis.set_minor_formatter(NullFormatter())
    style.add_legend(axes, "lower right")
    return style.save(figure, path)


def reliability(
    held: Mapping[str, Mapping[float, float]], path: Path, title: str = "Truths within their radius"
) -> Path:
    """Share of truths that is held against the share that is said to be held, a line a split.

    Args:
        held: by split: said -> held, from 0 to 1.
        path: the picture.
        title: what holds them.
    """
    figure, axes = style.new_chart(title, "said, %", "held, %")
    axes.plot([0, 100], [0, 100], "-", color=FAINT, lw=1.0)
    for k, (name, shares) in enumerate(held.items()):
        said, true = (np.array([*values]) * 100 for values in (shares.keys(), shares.values()))
        axes.plot(said, true, "o-", color=PALETTE[k % len(PALETTE)], lw=1.8, label=name)
    axes.set(xlim=(0, 100), ylim=(0, 100))
    style.add_legend(axes, "lower right")
    return style.save(figure, path)


def recall_by_area(recall: Mapping[str, Mapping[float, float]], path: Path) -> Path:
    """Share of truths in the likeliest area, by its size on a log scale, a line a split.

    Args:
        recall: by split: km^2 that are searched -> share that is found, from 0 to 1.
        path: the picture.
    """
    title = "Truths found in the likeliest area"
    figure, axes = style.new_chart(title, "searched, km²", "found, %")
    for k, (name, shares) in enumerate(recall.items()):
        found = np.array([*shares.values()]) * 100
        axes.plot([*shares], found, "o-", color=PALETTE[k % len(PALETTE)], lw=1.8, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_ylim(0, 100)
    style.add_legend(axes, "lower right")
    return style.save(figure, path)


def loss_curves(tables: Mapping[str, Path], path: Path, title: str = "Training") -> Path:
    """Train loss (thin, smoothed) and val loss (dots) by step from losses.csv files, by name.

    Raises:
        ValueError: a file has no column step or loss.
    """
    import pandas as pd

    figure, axes = style.new_chart(title, "step", "loss")
    for k, (name, file) in enumerate(tables.items()):
        table, colour = pd.read_csv(file), PALETTE[k % len(PALETTE)]
        if not {"step", "loss"} <= set(table.columns):
            raise ValueError(f"{file}: columns step and loss are needed, not {list(table.columns)}")
        smooth = table["loss"].ewm(span=max(2, len(table) // 40)).mean()
        axes.plot(table["step"], table["loss"], color=colour, lw=0.6, alpha=0.25)
        axes.plot(table["step"], smooth, color=colour, lw=1.8, label=name)
        if "val_loss" in table.columns:
            held = table.dropna(subset=["val_loss"])
            axes.plot(held["step"], held["val_loss"], "o", color=colour, ms=4, label=f"{name}, val")
    style.add_legend(axes)
    return style.save(figure, path)
