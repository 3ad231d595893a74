"""Small maps of measured tracks as SVG, to stand in a page by the thousand.

North is up. Nothing is fetched: a sketch has a scale bar and lines a bar's length apart, and no
ground; the world with a dot says where on Earth it is. Looks are classes, which the page styles.

Belongs here: sketches, and the page's part of them (`WORLD`). Does not belong here: pictures with
ground (maps.py), pages (vidtag_ml.ingest.own.report).
Shape legend: N points, 2 = (lat, lon) in degrees, or (right, down) in pixels.
"""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import land, sphere

Floats = NDArray[np.float64]

WIDTH, HEIGHT, MARGIN = 320, 200, 30
"""In pixels."""
LEAST_KM = 0.04
"""Height of the least that is shown: receivers jitter by metres."""
MOST_POINTS = 300
"""Corners of a line, and points that are marked."""
WORLD_DEG = 3
"""A dot of the world is this wide and high."""
STYLE = """
svg.sketch { width: 100%; display: block; background: var(--ground); border-radius: 6px }
.sketch .grid { stroke: var(--grid); fill: none }
.sketch .way { stroke: var(--way); stroke-width: 2.5; fill: none; stroke-linejoin: round;
  stroke-linecap: round }
.sketch .begin { fill: var(--way); stroke: var(--ground); stroke-width: 1.5 }
.sketch .end { fill: var(--ground); stroke: var(--way); stroke-width: 2.5 }
.sketch .dropped { stroke: var(--dropped); stroke-width: 1.5; fill: none }
.sketch .bar { stroke: var(--soft); stroke-width: 1.5; fill: none }
.sketch text { fill: var(--soft); font: 11px system-ui, sans-serif }
svg.world { width: 120px; height: 50px; flex: none; overflow: visible }
.world use { fill: var(--land) }
.world circle { fill: var(--dropped) }
"""
"""What a page needs to show them; it defines the colours."""


def sketch(used_N2: Floats, dropped_N2: Floats) -> tuple[str, int]:
    """A track as SVG, and how many dropped points are too far off to be on it.

    Args:
        used_N2: the track, in its order; one point at least.
        dropped_N2: marked with crosses where they lie on the map or near it.
    """
    middle = sphere.from_unit_vectors(sphere.unit_vectors(used_N2).sum(0))
    used_km, dropped_km = _plane_km(used_N2, middle), _plane_km(dropped_N2, middle)
    low, high = used_km.min(0), used_km.max(0)
    reach = np.maximum(high - low, LEAST_KM)
    near_N = ((dropped_km >= low - reach) & (dropped_km <= high + reach)).all(-1)
    shown_km = np.concatenate([used_km, dropped_km[near_N]])
    centre, size = (shown_km.max(0) + shown_km.min(0)) / 2, np.ptp(shown_km, axis=0)
    size = np.maximum(size, (LEAST_KM * WIDTH / HEIGHT, LEAST_KM))
    px_per_km = float(np.min((np.array([WIDTH, HEIGHT]) - 2 * MARGIN) / size))

    def pixels(km_N2: Floats) -> Floats:
        return np.asarray(np.array([WIDTH, HEIGHT]) / 2 + (km_N2 - centre) * px_per_km)

    bar_km = _round_km(WIDTH * 0.35 / px_per_km)
    parts = [
        f'<svg class="sketch" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="its track">',
        _grid(pixels(np.zeros((1, 2)))[0], bar_km * px_per_km),
        _way(pixels(used_km)),
        _crosses(pixels(dropped_km[near_N])),
        _bar(bar_km, bar_km * px_per_km),
        f'<path class="bar" d="M{WIDTH - 12} 24v-16m-4 6l4-6 4 6"/>',
        f'<text x="{WIDTH - 16}" y="36">N</text></svg>',
    ]
    return "".join(parts), int((~near_N).sum())


def world_with(latlon: tuple[float, float]) -> str:
    """The world with a dot; the page must hold `world()` once."""
    x, y = latlon[1] + 180.0, 84.0 - latlon[0]
    return (
        '<svg class="world" viewBox="0 0 360 150" role="img" aria-label="where on Earth">'
        f'<use href="#world"/><circle cx="{x:.0f}" cy="{y:.0f}" r="13"/></svg>'
    )


@functools.cache
def world() -> str:
    """The land of the world as a symbol, in dots."""
    lat = np.arange(84.0 - WORLD_DEG / 2, -66.0, -WORLD_DEG)
    lon = np.arange(-180.0 + WORLD_DEG / 2, 180.0, WORLD_DEG)
    is_land = land.is_land(np.stack(np.meshgrid(lat, lon, indexing="ij"), -1).reshape(-1, 2))
    rows, columns = np.nonzero(is_land.reshape(len(lat), len(lon)))
    dots = (f"M{c * WORLD_DEG} {r * WORLD_DEG}h2v2h-2z" for r, c in zip(rows, columns, strict=True))
    path = f'<path d="{"".join(dots)}"/>'
    return f'<svg width="0" height="0" style="position:absolute"><g id="world">{path}</g></svg>'


def _plane_km(latlon_N2: Floats, middle_2: Floats) -> Floats:
    """Points (N, 2) as kilometres right of and below a middle."""
    lat, lon = latlon_N2.reshape(-1, 2).T
    right = sphere.wrap_lon(lon - middle_2[1]) * math.cos(math.radians(middle_2[0]))
    return np.stack([right, middle_2[0] - lat], -1) * sphere.KM_PER_DEGREE


def _round_km(most_km: float) -> float:
    """The longest of 1, 2 and 5 times a power of ten that is no longer."""
    power = 10.0 ** math.floor(math.log10(most_km))
    return max(step * power for step in (1, 2, 5) if step * power <= most_km)


def _grid(origin: Floats, step: float) -> str:
    across = np.arange(origin[0] % step, WIDTH, step)
    down = np.arange(origin[1] % step, HEIGHT, step)
    lines = [f"M{x:.0f} 0v{HEIGHT}" for x in across] + [f"M0 {y:.0f}h{WIDTH}" for y in down]
    return f'<path class="grid" d="{"".join(lines)}"/>'


def _way(pixels_N2: Floats) -> str:
    first, last = pixels_N2[0], pixels_N2[-1]
    corners = _few(pixels_N2)
    begin = f'<circle class="begin" cx="{first[0]:.0f}" cy="{first[1]:.0f}" r="5"/>'
    if len(corners) == 1:
        return begin
    line = " ".join(f"{x:g} {y:g}" for x, y in corners)
    end = f'<circle class="end" cx="{last[0]:.0f}" cy="{last[1]:.0f}" r="4"/>'
    return f'<path class="way" d="M{line}"/>{end}{begin}'


def _crosses(pixels_N2: Floats) -> str:
    marks = "".join(f"M{x - 3:g} {y - 3:g}l6 6m0-6l-6 6" for x, y in _few(pixels_N2))
    return f'<path class="dropped" d="{marks}"/>' if marks else ""


def _few(pixels_N2: Floats) -> Floats:
    """Points to the half pixel, of equal ones in a row the first, and not too many."""
    if not len(pixels_N2):
        return pixels_N2
    rounded = np.round(pixels_N2 * 2) / 2
    changed = np.append(True, (np.diff(rounded, axis=0) != 0).any(-1))
    rounded = rounded[changed]
    chosen = np.linspace(0, len(rounded) - 1, min(len(rounded), MOST_POINTS)).round().astype(int)
    return np.asarray(rounded[chosen])


def _bar(km: float, width: float) -> str:
    label = f"{km:g} km" if km >= 1 else f"{km * 1000:g} m"
    y = HEIGHT - 10
    return (
        f'<path class="bar" d="M12 {y - 4}v4h{width:.1f}v-4"/>'
        f'<text x="{18 + width:.0f}" y="{y}">{label}</text>'
    )
