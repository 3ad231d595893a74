"""Maps: tracks and points on the Blue Marble.

Belongs here: what assets, benchmark and README show on a map. Each function writes one PNG 1,200
pixels wide and returns its path. Does not belong here: charts (charts.py), looks (style.py), any
computation whose result matters. Shape legend: N points, T frames, G gallery entries, 2 = (lat,
lon) in degrees.
"""

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.earth import origin, sphere
from vidtag_ml.earth.origin import Facts
from vidtag_ml.earth.tracks import Track
from vidtag_ml.plots import style
from vidtag_ml.plots.style import INK, NIGHT, PALETTE, WIDTH_PX

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Floats = NDArray[np.float64]
TRUE, PREDICTED, INITIAL = "#ffffff", "#ffb454", "#5ccfe6"
LEAST_SPAN_DEG = 0.02
LEAST_PX = 64
"""Width and height of the ground before it is enlarged, of however few pixels it is made."""
PANEL_SHAPE = 1.25
LETTER_PX = 8.5
"""Width of a letter of small captions, nearly."""


def clips_map(
    latlon_N2: ArrayLike,
    labels: Sequence[str],
    path: Path,
    title: str = "Clips",
    colours: Mapping[str, str] | None = None,
) -> Path:
    """A world map with one dot a clip, coloured by label (its split, for example)."""
    points, label = np.asarray(latlon_N2, float), np.asarray(labels)
    figure, axes = world_map(title)
    for k, name in enumerate(dict.fromkeys(labels)):
        chosen = points[label == name]
        colour = (colours or {}).get(name, PALETTE[k % len(PALETTE)])
        text = f"{name}  {len(chosen):,}"
        _dots(axes, chosen, colour, 11.0, text)
    style.add_legend(axes)
    return style.save(figure, path)


def gallery_map(latlon_G2: ArrayLike, path: Path, title: str = "GPS gallery") -> Path:
    """A world map with every gallery point."""
    points = np.asarray(latlon_G2, float)
    figure, axes = world_map(title)
    size = float(np.clip(3e4 / len(points), 0.12, 8.0))
    _dots(axes, points, PALETTE[0], size, f"{len(points):,} points")
    style.add_legend(axes)
    return style.save(figure, path)


def measured_map(tracks: Mapping[str, ArrayLike], path: Path, title: str = "Recordings") -> Path:
    """A map zoomed to all measured tracks, arrays (T, 2) by name; the legend names a few."""
    figure = style.new_figure(WIDTH_PX * 2 // 3)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    known = {name: np.asarray(latlon, float) for name, latlon in tracks.items()}
    middle = sphere.from_unit_vectors(
        sphere.unit_vectors(np.concatenate(list(known.values()))).sum(0)
    )
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
    style.add_legend(axes)
    return style.save(figure, path)


def track_map(
    track: Track,
    truth_T2: ArrayLike | None,
    path: Path,
    note: str = "",
    facts: Facts | None = None,
) -> Path:
    """A map zoomed to one track: predicted line, where known the true one, and initial dots.

    These are what the model says of each frame by itself. A `note` says what the true line is, if
    it is no measured track; facts say where the track comes from, in the picture and in its text.
    """
    figure = style.new_figure(WIDTH_PX * 2 // 3)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    _draw_track(axes, track, truth_T2, 1.5)
    _caption(axes, track, truth_T2, note)
    style.add_legend(axes)
    if facts:
        style.add_origin(figure, facts)
    return style.save(figure, path, origin.as_text(facts) if facts else None)


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
    figure = style.new_figure(round(rows * WIDTH_PX / columns / PANEL_SHAPE))
    gap = 3 / WIDTH_PX
    for k, track in enumerate(tracks):
        left, top = (k % columns) / columns, 1 - (k // columns) / rows
        box = (left + gap, top - 1 / rows + gap, 1 / columns - 2 * gap, 1 / rows - 2 * gap)
        axes, truth = figure.add_axes(box), truths.get(track.clip)
        _draw_track(axes, track, truth, PANEL_SHAPE)
        _caption(axes, track, truth, small=True)
        if k == 0:
            style.add_legend(axes, "lower right", small=True)
    return style.save(figure, path)


def markdown(path: Path, width_px: int = 640) -> str:
    """A picture as Markdown with its pixels inside (JPEG, scaled down): for Dagster's metadata."""
    from PIL import Image

    with Image.open(path) as image:
        height = round(image.height * width_px / image.width)
        small = image.convert("RGB").resize((width_px, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85, optimize=True)
    return f"![{path.stem}](data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()})"


def world_map(title: str) -> "tuple[Figure, Axes]":
    """The whole Earth in plate carree, date line at the edges, without the emptiest south."""
    figure = style.new_figure(round(WIDTH_PX * 150 / 360))
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
    room = axes.get_window_extent()
    earth_HW4 = _earth(lon, lat, (round(room.width), round(room.height)))
    shade_256 = 0.92 * (np.arange(256) / 255.0) ** 1.12
    shade_2563 = np.clip(shade_256[:, None] + np.array([0.0, 0.01, 0.025]), 0, 1)
    dark_HW3 = np.round(255 * shade_2563).astype(np.uint8)[earth_HW4[..., :3], np.arange(3)]
    axes.imshow(dark_HW3, extent=(*lon, *lat), interpolation="bicubic", zorder=0)
    axes.set_xlim(*lon)
    axes.set_ylim(*lat)
    axes.set_axis_off()


def _earth(
    lon: tuple[float, float], lat: tuple[float, float], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Blue Marble over a box of degrees, at most of a size (W, H) in pixels: RGB0 (H, W, 4)."""
    from PIL import Image

    from vidtag_ml.earth import blue_marble

    texture = blue_marble.blue_marble()
    rows, columns = texture.shape
    west, east = ((x + 180.0) / 360.0 * columns for x in lon)
    south, north = ((90.0 - y) / 180.0 * rows for y in lat)
    step = max(1, int((east - west) / (2 * size[0])))
    left, top = int(np.floor(west)) - 2 * step, max(0, int(north) - 2 * step)
    column = np.arange(left, int(east) + 2 * step, step)
    words = texture[top : int(south) + 2 * step : step][:, column % columns]
    ends = np.subtract((west, north, east, south), (left, top) * 2)
    box = np.clip((ends - 0.5) / step + 0.5, 0, words.shape[::-1] * 2)
    native = np.maximum(np.ceil((east - west, south - north)), LEAST_PX).astype(int)
    ground = Image.frombuffer("RGBX", words.shape[::-1], words.tobytes())
    scaled = ground.resize(np.minimum(size, native), Image.Resampling.BICUBIC, tuple(box))
    return np.asarray(scaled)


def _room_px(axes: "Axes") -> float:
    """How wide the picture is here."""
    return float(axes.get_position().width * WIDTH_PX)


def _dots(axes: "Axes", latlon_N2: Floats, colour: str, size: float, label: str) -> None:
    axes.scatter(
        sphere.wrap_lon(latlon_N2[:, 1]),
        latlon_N2[:, 0],
        s=size,
        c=colour,
        alpha=0.85,
        linewidths=0,
        label=label,
        zorder=2,
    )


def _draw_track(axes: "Axes", track: Track, truth_T2: ArrayLike | None, shape: float) -> None:
    """A track over its piece of the Earth, as far as it is known, in a picture of a shape.

    That is its width over its height.
    """
    truth = np.empty((0, 2)) if truth_T2 is None else np.asarray(truth_T2, float)
    tracks = [points[np.isfinite(points).all(1)] for points in (truth, track.latlon_T2)]
    middle = sphere.from_unit_vectors(sphere.unit_vectors(np.concatenate(tracks)).sum(0))
    lines = [_unwrapped(t, middle) for t in tracks]
    lon, lat = _view(np.concatenate(lines), shape)
    _ground(axes, lon, lat)
    axes.set_aspect("auto")
    initial = _unwrapped(track.initial_latlon_T2, middle)
    axes.plot(
        initial[:, 1], initial[:, 0], "o",
        color=INITIAL, ms=4, mew=0, alpha=0.75, label="frame by frame", zorder=2,
    )  # fmt: skip
    for line, colour, label in zip(lines, (TRUE, PREDICTED), ("true", "predicted"), strict=True):
        if len(line):
            _line(axes, line, colour, label)
    _scale_bar(axes, lon, lat)


def _unwrapped(latlon_T2: Floats, middle_2: Floats) -> Floats:
    """The points with lons within half a turn of the middle's, so that they may leave +-180."""
    lon = middle_2[1] + sphere.wrap_lon(latlon_T2[:, 1] - middle_2[1])
    return np.stack([latlon_T2[:, 0], lon], -1)


def _line(axes: "Axes", latlon_T2: Floats, colour: str, label: str) -> None:
    """A thin line with a dark rim, a dot a frame, a ring at the start; cut at the map's seam."""
    width = 1.7
    seam = np.flatnonzero(np.abs(np.diff(latlon_T2[:, 1])) > 180.0) + 1
    lat, lon = np.insert(latlon_T2, seam, np.nan, axis=0).T
    rim = _rim(width)
    axes.plot(lon, lat, "-", color=colour, lw=width, label=label, zorder=3, path_effects=rim)
    axes.plot(lon, lat, "o", color=colour, ms=width * 1.9, mew=0, zorder=4)
    axes.plot(lon[:1], lat[:1], "o", mfc="none", mec=colour, mew=1.4, ms=11, zorder=5)


def _rim(width: float) -> list[Any]:
    """What makes a bright line of a width seen on bright ground."""
    from matplotlib import patheffects

    stroke = patheffects.Stroke(linewidth=width + 2.0, foreground=NIGHT, alpha=0.55)
    return [stroke, patheffects.Normal()]


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
    km = sphere.KM_PER_DEGREE * np.cos(np.radians(at))
    rough = 0.2 * (lon[1] - lon[0]) * km
    power = 10.0 ** np.floor(np.log10(rough))
    length = power * max(d for d in (1, 2, 5) if d * power <= rough)
    start = lon[0] + 0.03 * (lon[1] - lon[0])
    ends = [start, start + length / km]
    axes.plot(ends, [at, at], "-", color=INK, lw=2.2, zorder=6, path_effects=_rim(2.2))
    axes.annotate(
        f"{length:,g} km", (start, at), (0, 5), textcoords="offset points",
        color=INK, fontsize=10, zorder=6,
        bbox={"facecolor": NIGHT, "alpha": 0.55, "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def _caption(
    axes: "Axes", track: Track, truth_T2: ArrayLike | None, note: str = "", *, small: bool = False
) -> None:
    room_px = _room_px(axes)
    letters = max(1, int(room_px / LETTER_PX))
    text = textwrap.fill(track.clip, letters, break_on_hyphens=False) if small else track.clip
    if truth_T2 is not None and np.isfinite(truth := np.asarray(truth_T2, float)).any():
        error = float(np.nanmedian(sphere.great_circle_km(track.latlon_T2, truth)))
        text += (
            f"\nmedian error {error:,.0f} km" if error >= 10 else f"\nmedian error {error:.2g} km"
        )
    text += f"\n{note}" if note else ""
    axes.text(
        0.03, 0.96, text, transform=axes.transAxes, color=INK, fontsize=10 if small else 14,
        va="top", linespacing=1.4, zorder=7,
        bbox={"facecolor": NIGHT, "alpha": 0.55, "edgecolor": "none", "pad": 5},
    )  # fmt: skip
