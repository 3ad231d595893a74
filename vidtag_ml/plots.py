"""Pictures: tracks and points on the Blue Marble, error curves, loss curves.

Belongs here: what assets, benchmark and README show. Each function writes one PNG 1,200 pixels
wide and returns its path; figures are made without pyplot: nothing is global, no display needed.
Does not belong here: any computation whose result matters. Shape legend: N points, T frames,
G gallery entries, 2 = (lat, lon) in degrees.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml import geo
from vidtag_ml.track import Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

NIGHT, PANEL, INK, FAINT = "#0b1018", "#121a26", "#e8eef6", "#8a97a8"
PALETTE = ("#ffb454", "#5ccfe6", "#f28779", "#bae67e", "#d4bfff", "#ffe6b3")
TRUE, PREDICTED, INITIAL = "#ffffff", "#ffb454", "#5ccfe6"
WIDTH_PX, DPI = 1200, 100
LEAST_SPAN_DEG = 0.02
PANEL_SHAPE = 1.25
_BINS = 8


def clips_map(
    latlon_N2: ArrayLike, labels: Sequence[str], path: Path, title: str = "Clips"
) -> Path:
    """A world map with one dot a clip, coloured by label (its split, for example)."""
    points, label = np.asarray(latlon_N2, float), np.asarray(labels)
    figure, axes = _world(title)
    for k, name in enumerate(dict.fromkeys(labels)):
        chosen = points[label == name]
        colour = PALETTE[k % len(PALETTE)]
        text = f"{name}  {len(chosen):,}"
        _dots(axes, chosen, colour, 11.0, text)
    _legend(axes)
    return _save(figure, path)


def gallery_map(latlon_G2: ArrayLike, path: Path, title: str = "GPS gallery") -> Path:
    """A world map with every gallery point."""
    points = np.asarray(latlon_G2, float)
    figure, axes = _world(title)
    size = float(np.clip(3e4 / len(points), 0.12, 8.0))
    _dots(axes, points, PALETTE[0], size, f"{len(points):,} points")
    _legend(axes)
    return _save(figure, path)


def measured_map(tracks: Mapping[str, ArrayLike], path: Path, title: str = "Recordings") -> Path:
    """A map zoomed to all measured tracks, arrays (T, 2) by name; the legend names a few."""
    figure = _figure(WIDTH_PX * 2 // 3)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    known = {name: np.asarray(latlon, float) for name, latlon in tracks.items()}
    middle = geo.from_unit_vectors(geo.unit_vectors(np.concatenate(list(known.values()))).sum(0))
    lines = {name: _unwrapped(latlon, middle) for name, latlon in known.items()}
    lon, lat = _view(np.concatenate(list(lines.values())), 1.5)
    _ground(axes, lon, lat)
    axes.set_aspect("auto")
    for k, (name, line) in enumerate(lines.items()):
        colour = PALETTE[k % len(PALETTE)]
        _line(axes, line, colour, name if k < len(PALETTE) else "_")
    _scale_bar(axes, lon, lat)
    text = f"{title}: {len(lines)}"
    axes.text(
        0.03, 0.96, text, transform=axes.transAxes, color=INK, fontsize=14, va="top", zorder=7,
        bbox={"facecolor": NIGHT, "alpha": 0.55, "edgecolor": "none", "pad": 5},
    )  # fmt: skip
    _legend(axes)
    return _save(figure, path)


def track_map(track: Track, truth_T2: ArrayLike | None, path: Path, note: str = "") -> Path:
    """A map zoomed to one track: predicted line, initial dots and, where known, the true line.

    A `note` says what the true line is, if it is no measured track.
    """
    figure = _figure(WIDTH_PX * 2 // 3)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    _draw_track(axes, track, truth_T2, 1.5)
    _caption(axes, track, truth_T2, note)
    _legend(axes)
    return _save(figure, path)


def tracks_sheet(
    tracks: Sequence[Track], truths: Mapping[str, ArrayLike], path: Path, columns: int = 3
) -> Path:
    """Several tracks side by side, in the given order; `truths` by clip may lack some.

    Raises:
        ValueError: there is no track.
    """
    if not tracks:
        raise ValueError("a sheet needs at least one track")
    columns = min(columns, len(tracks))
    rows = -(-len(tracks) // columns)
    figure = _figure(round(rows * WIDTH_PX / columns / PANEL_SHAPE))
    gap = 3 / WIDTH_PX
    for k, track in enumerate(tracks):
        left, top = (k % columns) / columns, 1 - (k // columns) / rows
        box = (left + gap, top - 1 / rows + gap, 1 / columns - 2 * gap, 1 / rows - 2 * gap)
        axes, truth = figure.add_axes(box), truths.get(track.clip)
        _draw_track(axes, track, truth, PANEL_SHAPE)
        _caption(axes, track, truth, small=True)
        if k == 0:
            _legend(axes, small=True)
    return _save(figure, path)


def error_cdf(errors_km: Mapping[str, ArrayLike], path: Path, title: str = "Frame errors") -> Path:
    """Share of frames within each distance, one line a row of the leaderboard; log scale.

    Raises:
        ValueError: a row has no error.
    """
    figure, axes = _chart(title, "distance from the truth, km", "frames within, %")
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
    _legend(axes, "lower right")
    return _save(figure, path)


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
    figure, axes = _chart(title, "distance from the nearest train fix, km", "frames, %")
    held = np.unique(part)
    middle = [np.median(distance[part == k]) for k in held]
    for k, (name, values) in enumerate(errors_km.items()):
        right = np.asarray(values, float) <= within_km
        share = [right[part == b].mean() * 100 for b in held]
        axes.plot(middle, share, "o-", color=PALETTE[k % len(PALETTE)], lw=1.8, label=name)
    axes.set_ylim(0, 100)
    _legend(axes, "lower right")
    return _save(figure, path)


def loss_curves(tables: Mapping[str, Path], path: Path, title: str = "Training") -> Path:
    """Train loss (thin, smoothed) and val loss (dots) by step from losses.csv files, by name.

    Raises:
        ValueError: a file has no column step or loss.
    """
    import pandas as pd

    figure, axes = _chart(title, "step", "loss")
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
    _legend(axes)
    return _save(figure, path)


def markdown(path: Path, width_px: int = 640) -> str:
    """A picture as Markdown with its pixels inside (JPEG, scaled down): for Dagster's metadata."""
    from PIL import Image

    with Image.open(path) as image:
        height = round(image.height * width_px / image.width)
        small = image.convert("RGB").resize((width_px, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85, optimize=True)
    return f"![{path.stem}](data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()})"


def _figure(height_px: int) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_PX / DPI, height_px / DPI), dpi=DPI, facecolor=NIGHT)


def _save(figure: "Figure", path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=DPI, facecolor=NIGHT, metadata={"Software": None})
    return path


def _chart(title: str, x: str, y: str) -> "tuple[Figure, Axes]":
    """A dark chart with a quiet grid."""
    figure = _figure(WIDTH_PX * 9 // 16)
    axes = figure.add_axes((0.07, 0.11, 0.9, 0.79), facecolor=PANEL)
    axes.set_title(title, color=INK, loc="left", fontsize=16, pad=12)
    axes.set_xlabel(x, color=FAINT, fontsize=12)
    axes.set_ylabel(y, color=FAINT, fontsize=12)
    axes.tick_params(colors=FAINT, labelsize=11, length=0)
    axes.grid(visible=True, color=INK, alpha=0.08, lw=0.8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes


def _world(title: str) -> "tuple[Figure, Axes]":
    """The whole Earth in plate carree, date line at the edges, without the emptiest south."""
    figure = _figure(round(WIDTH_PX * 150 / 360))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    _ground(axes, (-180.0, 180.0), (-66.0, 84.0))
    axes.set_aspect("auto")
    axes.text(
        0.012,
        0.965,
        title,
        transform=axes.transAxes,
        color=INK,
        fontsize=16,
        va="top",
        weight="bold",
    )
    return figure, axes


def _ground(axes: "Axes", lon: tuple[float, float], lat: tuple[float, float]) -> None:
    """Blue Marble, darkened, over a box of degrees; lons may leave +-180."""
    from vidtag_ml.sources import flyover

    texture = flyover.blue_marble()
    rows, columns = texture.shape
    first, last = (int(np.floor((90.0 - y) / 180.0 * rows)) for y in (lat[1], lat[0]))
    top, bottom = max(0, first - 1), min(rows, last + 2)
    left, right = (int(np.floor((x + 180.0) / 360.0 * columns)) for x in lon)
    column = np.arange(left - 1, right + 2)
    step = max(1, len(column) // (2 * WIDTH_PX))
    words = texture[top:bottom:step, :][:, column[::step] % columns]
    rgb = np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape, 4)[..., :3]
    shade_256 = 0.92 * (np.arange(256) / 255.0) ** 1.12
    dark = np.clip(shade_256[rgb] + np.array([0.0, 0.01, 0.025]), 0, 1)
    cell = 360.0 / columns
    west, north = column[0] * cell - 180.0, 90.0 - top * cell
    extent = (
        west,
        west + words.shape[1] * step * cell,
        north - words.shape[0] * step * cell,
        north,
    )
    axes.imshow(dark, extent=extent, interpolation="bicubic", zorder=0)
    axes.set_xlim(*lon)
    axes.set_ylim(*lat)
    axes.set_axis_off()


def _dots(axes: "Axes", latlon_N2: Floats, colour: str, size: float, label: str) -> None:
    axes.scatter(
        geo.wrap_lon(latlon_N2[:, 1]),
        latlon_N2[:, 0],
        s=size,
        c=colour,
        alpha=0.85,
        linewidths=0,
        label=label,
        zorder=2,
    )


def _draw_track(axes: "Axes", track: Track, truth_T2: ArrayLike | None, shape: float) -> None:
    """A track over its piece of the Earth; `shape` is the picture's width over its height."""
    truth = np.empty((0, 2)) if truth_T2 is None else np.asarray(truth_T2, float)
    truth = truth[np.isfinite(truth).all(1)]
    tracks = [truth, track.latlon_T2]
    middle = geo.from_unit_vectors(geo.unit_vectors(np.concatenate(tracks)).sum(0))
    lines = [_unwrapped(t, middle) for t in tracks]
    lon, lat = _view(np.concatenate(lines), shape)
    _ground(axes, lon, lat)
    axes.set_aspect("auto")
    initial = _unwrapped(track.initial_latlon_T2, middle)
    axes.plot(
        initial[:, 1], initial[:, 0], "o",
        color=INITIAL, ms=4, mew=0, alpha=0.75, label="initial", zorder=2,
    )  # fmt: skip
    for line, colour, label in zip(lines, (TRUE, PREDICTED), ("true", "predicted"), strict=True):
        if len(line):
            _line(axes, line, colour, label)
    _scale_bar(axes, lon, lat)


def _unwrapped(latlon_T2: Floats, middle_2: Floats) -> Floats:
    """The points with lons within half a turn of the middle's, so that they may leave +-180."""
    lon = middle_2[1] + geo.wrap_lon(latlon_T2[:, 1] - middle_2[1])
    return np.stack([latlon_T2[:, 0], lon], -1)


def _line(axes: "Axes", latlon_T2: Floats, colour: str, label: str) -> None:
    """A thin line with a dark rim, a dot a frame, a ring at the start; cut at the map's seam."""
    from matplotlib import patheffects

    width = 1.7
    seam = np.flatnonzero(np.abs(np.diff(latlon_T2[:, 1])) > 180.0) + 1
    lat, lon = np.insert(latlon_T2, seam, np.nan, axis=0).T
    rim = [
        patheffects.Stroke(linewidth=width + 2.0, foreground=NIGHT, alpha=0.55),
        patheffects.Normal(),
    ]
    axes.plot(lon, lat, "-", color=colour, lw=width, label=label, zorder=3, path_effects=rim)
    axes.plot(lon, lat, "o", color=colour, ms=width * 1.9, mew=0, zorder=4)
    axes.plot(lon[:1], lat[:1], "o", mfc="none", mec=colour, mew=1.4, ms=11, zorder=5)


def _view(latlon_N2: Floats, shape: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bounds of lon and of lat around points, so that a km is as long in both at the middle."""
    low, high = latlon_N2.min(0), latlon_N2.max(0)
    middle = (low + high) / 2
    stretch = 1 / max(np.cos(np.radians(middle[0])), 0.1)
    span = np.maximum((high - low) * 1.6, LEAST_SPAN_DEG * np.array([1.0, stretch]))
    tall = min(max(span[0], span[1] / stretch / shape), 178.0)
    wide = min(tall * shape * stretch, 360.0)
    lat = float(np.clip(middle[0], -89.0 + tall / 2, 89.0 - tall / 2))
    return (
        (float(middle[1] - wide / 2), float(middle[1] + wide / 2)),
        (lat - tall / 2, lat + tall / 2),
    )


def _scale_bar(axes: "Axes", lon: tuple[float, float], lat: tuple[float, float]) -> None:
    """A round number of km, about a fifth of the picture, in its lower left corner."""
    at = lat[0] + 0.05 * (lat[1] - lat[0])
    km = geo.KM_PER_DEGREE * np.cos(np.radians(at))
    rough = 0.2 * (lon[1] - lon[0]) * km
    power = 10.0 ** np.floor(np.log10(rough))
    length = power * max(d for d in (1, 2, 5) if d * power <= rough)
    start = lon[0] + 0.03 * (lon[1] - lon[0])
    axes.plot([start, start + length / km], [at, at], "-", color=INK, lw=2.2, zorder=6)
    axes.annotate(
        f"{length:,g} km", (start, at), (0, 5), textcoords="offset points",
        color=INK, fontsize=10, zorder=6,
    )  # fmt: skip


def _caption(
    axes: "Axes", track: Track, truth_T2: ArrayLike | None, note: str = "", *, small: bool = False
) -> None:
    text = track.clip
    if truth_T2 is not None and np.isfinite(truth := np.asarray(truth_T2, float)).any():
        error = float(np.nanmedian(geo.great_circle_km(track.latlon_T2, truth)))
        text += (
            f"\nmedian error {error:,.0f} km" if error >= 10 else f"\nmedian error {error:.2g} km"
        )
    text += f"\n{note}" if note else ""
    axes.text(
        0.03, 0.96, text, transform=axes.transAxes, color=INK, fontsize=10 if small else 14,
        va="top", linespacing=1.4, zorder=7,
        bbox={"facecolor": NIGHT, "alpha": 0.55, "edgecolor": "none", "pad": 5},
    )  # fmt: skip


def _legend(
    axes: "Axes",
    where: Literal["upper right", "lower right"] = "upper right",
    *,
    small: bool = False,
) -> None:
    from matplotlib.collections import PathCollection

    legend = axes.legend(
        loc=where, facecolor=NIGHT, edgecolor="none", framealpha=0.55, labelcolor=INK,
        fontsize=9 if small else 12, markerscale=1.0 if small else 1.5,
    )  # fmt: skip
    legend.set_zorder(8)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([36.0])
