"""The page itself: answers, ground, map library and licences in one file that asks no network.

Belongs here: what view.js is told, filling view.html. Does not belong here: the ground (ground.py),
how it looks and moves (view.css, view.js), which answers are shown and where their recordings are
(vidtag_ml.models.shown). Shape legend: T frames, N points, 2 = (lat, lon) in degrees.
"""

import html
import importlib.metadata
import importlib.resources
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import geonames, origin, sphere
from vidtag_ml.plots import maps, style
from vidtag_ml.plots.viewer import ground
from vidtag_ml.workflow import stage

Floats = NDArray[np.float64]
Row = Mapping[str, Any]

MOST = 50
"""Answers of one page."""
_COLOURS = {
    "tracks": style.PALETTE,
    "true": maps.TRUE,
    "alone": maps.INITIAL,
    "areas": style.PALETTE[4],
}
_HERE = "vidtag_ml.plots.viewer"
_LEAFLET = "xstatic.pkg.leaflet"


@dataclass(frozen=True)
class Shown:
    """An answer that is a track, and what is shown beside it."""

    row: Row
    """The answer, as docs/schema/answer.schema.json says."""
    name: str
    """What it is called."""
    video: Path | None = None
    """The recording, if it is a video."""
    pictures: tuple[Path, ...] = ()
    """The recording, if it is pictures: one each position."""
    thumbnails: list[tuple[float, str]] = field(default_factory=list)
    """Times of some frames, and their pictures as data URLs."""

    @property
    def num_known(self) -> int:
        """How many of its positions are known."""
        return sum(point["lat"] is not None for point in self.row["track"])


def write(path: Path, shown: Sequence[Shown], title: str) -> None:
    """Writes a page of answers; links to recordings are relative to it.

    Raises:
        ValueError: there are more than `MOST`, or one has no known position.
    """
    if len(shown) > MOST:
        raise ValueError(f"one page shows at most {MOST} answers; {len(shown)} are asked for")
    for one in shown:
        if not one.num_known:
            raise ValueError(f"{one.name}: none of its positions is known: there is no map of it")
    answers = [_told(each, path.parent.resolve()) for each in shown]
    for each in answers[1:]:
        _turn(each, answers[0]["view"])
    told = {"answers": answers, "world": ground.world(), "colours": _COLOURS}
    leaflet = importlib.resources.files(_LEAFLET) / "data"
    parts = {
        "title": html.escape(title),
        "about": html.escape(_about(shown)),
        "leaflet_css": re.sub(r"url\([^)]*\)", "none", _text(leaflet / "leaflet.css")),
        "leaflet_js": re.sub(r"\n//# sourceMappingURL.*", "", _text(leaflet / "leaflet.js")),
        "leaflet_version": importlib.metadata.version("xstatic-leaflet").rpartition(".")[0],
        "leaflet_licence": html.escape(_ours("leaflet_licence.txt")),
        "view_css": _ours("view.css"),
        "view_js": _ours("view.js"),
        "answers": json.dumps(told, allow_nan=False, separators=(",", ":")).replace("<", r"\u003c"),
    }
    stage.write_text(path, re.sub(r"{{(\w+)}}", lambda found: parts[found[1]], _ours("view.html")))


def _about(shown: Sequence[Shown]) -> str:
    """One line under the title."""
    num = sum(each.num_known for each in shown)
    unknown = sum(len(each.row["track"]) for each in shown) - num
    recordings = "" if len(shown) == 1 else f"{len(shown)} recordings, "
    besides = f", {unknown:,} not known" if unknown else ""
    return f"{recordings}{num:,} positions found by a model{besides}"


def _told(shown: Shown, folder: Path) -> dict[str, Any]:
    """What view.js is told of an answer; lons may leave +-180, so that no line is broken.

    What is not known of a position is null.
    """
    row, points = shown.row, shown.row["track"]
    latlon_T2 = _columns(points, "lat", "lon")
    alone_T2 = _columns(points, "initial_lat", "initial_lon")
    lon_T = _unwrapped(latlon_T2[:, 1])
    line_T2 = np.stack([latlon_T2[:, 0], lon_T], -1)
    south, north = np.nanmin(latlon_T2[:, 0]), np.nanmax(latlon_T2[:, 0])
    places, near, near_km = _nearest(latlon_T2)
    told: dict[str, Any] = {
        "name": shown.name,
        "video": _link(shown.video, folder) if shown.video else None,
        "pictures": [_link(each, folder) for each in shown.pictures] or None,
        "thumbnails": shown.thumbnails,
        "told": row["told"],
        "origin": row["origin"],
        "by": origin.sentence(row["origin"]),
        "began": row["start_time"],
        "t": [round(point["time_s"], 4) for point in points],
        "lat": _rounded(latlon_T2[:, 0]),
        "lon": _rounded(lon_T),
        "aloneLat": _rounded(alone_T2[:, 0]),
        "aloneLon": _rounded(_beside(alone_T2[:, 1], lon_T)),
        "score": [round(point["score"], 4) for point in points],
        "radiusKm": _radii(points),
        "trackRadiusKm": row.get("radius_km"),
        "areas": _areas(row, float(np.nanmean(lon_T))),
        "place": row.get("place"),
        "places": places,
        "near": near,
        "nearKm": near_km,
        "middleLat": float(south + north) / 2,
        "witnesses": _witnesses(points),
    }
    truth_T2 = _truth(row, latlon_T2, lon_T, told)
    everything = np.concatenate([line_T2, truth_T2, *_reach(line_T2, told["radiusKm"])])
    everything = everything[np.isfinite(everything).all(1)]
    told["view"] = [everything.min(0).tolist(), everything.max(0).tolist()]
    told["ground"] = ground.region(everything)
    return told


def _truth(row: Row, latlon_T2: Floats, lon_T: Floats, told: dict[str, Any]) -> Floats:
    """True positions beside a track, which view.js is told as well; none where none are known."""
    if not row.get("measured"):
        return np.empty((0, 2))
    true_T2 = np.array([each or (np.nan, np.nan) for each in row["measured"]], float)
    off_km = sphere.great_circle_km(latlon_T2, true_T2)
    beside_T2 = np.stack([true_T2[:, 0], _beside(true_T2[:, 1], lon_T)], -1)
    told["trueLat"], told["trueLon"] = (_rounded(column) for column in beside_T2.T)
    told["offKm"] = [None if np.isnan(km) else round(float(km), 3) for km in off_km]
    told["truth"] = row.get("gps", {}).get("source") or "measured"
    return beside_T2


def _turn(told: dict[str, Any], view: list[list[float]]) -> None:
    """Moves an answer by whole turns, so that it is near the first one's view."""
    middle = (view[0][1] + view[1][1]) / 2
    own = (told["view"][0][1] + told["view"][1][1]) / 2
    turn = 360.0 * round((middle - own) / 360.0)
    if not turn:
        return
    for name in ("lon", "aloneLon", "trueLon"):
        if name in told:
            told[name] = [None if lon is None else round(lon + turn, 6) for lon in told[name]]
    corners = [told["view"], told["ground"]["bounds"], *(each["ring"] for each in told["areas"])]
    for corner in (corner for each in corners for corner in each):
        corner[1] += turn
    for name in told["ground"]["names"]:
        name[2] += turn
    units = told["ground"]["unitsADegree"]
    for line in (line for lines in told["ground"]["lines"].values() for line in lines):
        line[1] += round(turn * units)


def _columns(points: Sequence[Row], *names: str) -> Floats:
    return np.array([[point[name] for name in names] for point in points], float)


def _rounded(values_T: Floats) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 6) for value in values_T]


def _unwrapped(lon_T: Floats) -> Floats:
    """Lons without leaps, their middle in [-180, 180); NaN where they are unknown."""
    line_T, known_T = lon_T.copy(), np.isfinite(lon_T)
    line_T[known_T] = np.unwrap(lon_T[known_T], period=360.0)
    middle = (np.nanmin(line_T) + np.nanmax(line_T)) / 2
    return np.asarray(line_T + sphere.wrap_lon(middle) - middle)


def _beside(lon_T: Floats, near_T: Floats) -> Floats:
    """Lons within half a turn of others."""
    return np.asarray(near_T + sphere.wrap_lon(lon_T - near_T))


def _radii(points: Sequence[Row]) -> list[float | None] | None:
    found = [point.get("radius_km") for point in points]
    if all(each is None for each in found):
        return None
    return [None if each is None else round(float(each), 3) for each in found]


def _reach(line_T2: Floats, radius_km: list[float | None] | None) -> tuple[Floats, ...]:
    """Corners of what the circles around positions take up, nearly."""
    if radius_km is None:
        return ()
    radius_T = np.array([each or 0.0 for each in radius_km]) / sphere.KM_PER_DEGREE
    wide_T = radius_T / np.cos(np.radians(line_T2[:, 0])).clip(min=0.1)
    reach_T2 = np.stack([radius_T, wide_T.clip(max=180.0)], -1)
    return tuple(np.clip(line_T2 + sign * reach_T2, (-90, -540), (90, 540)) for sign in (-1, 1))


def _areas(row: Row, middle_lon: float) -> list[dict[str, Any]]:
    """Rings of the credible areas, as (lat, lon) near the track, with their mass.

    `t` is the time of the frame that an area is of, None if it is of the whole track.
    """
    found = []
    for area in row.get("areas") or ():
        geometry = area["geometry"]
        polygons = geometry["coordinates"]
        for rings in [polygons] if geometry["type"] == "Polygon" else polygons:
            lonlat_N2 = np.array(rings[0], float)[:, :2]
            lon_N = _unwrapped(lonlat_N2[:, 0])
            turn = 360.0 * round((middle_lon - lon_N.mean()) / 360.0)
            ring = np.stack([lonlat_N2[:, 1], lon_N + turn], -1)
            about = area["properties"]
            told = {"ring": ring.round(5).tolist(), "mass": about["mass"]}
            found.append({**told, "t": about.get("time_s")})
    return found


def _nearest(latlon_T2: Floats) -> tuple[list[str], list[int | None], list[float | None]]:
    """Places near a track; for each of its positions which is the nearest, and how far it is."""
    tree, labels = geonames.place_tree()
    rows = np.flatnonzero(np.isfinite(latlon_T2).all(1))
    chord_N, place_N = tree.query(sphere.unit_vectors(latlon_T2[rows]))
    places, near_N = np.unique(place_N, return_inverse=True)
    names = [f"{labels[k]['city']}, {labels[k]['country']}" for k in places]
    near: list[int | None] = [None] * len(latlon_T2)
    near_km: list[float | None] = [None] * len(latlon_T2)
    for row, place, km in zip(rows, near_N, sphere.chord_km(chord_N).round(2), strict=True):
        near[row], near_km[row] = int(place), float(km)
    return names, near, near_km


def _witnesses(points: Sequence[Row]) -> list[str] | None:
    """Which recorded frames speak for each position; None where answers name none."""
    if not any(point.get("references") for point in points):
        return None
    return [", ".join(point.get("references") or ()) for point in points]


def _link(path: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(path.resolve(), folder)).as_posix())


def _ours(name: str) -> str:
    return _text(importlib.resources.files(_HERE) / name)


def _text(file: Any) -> str:
    return str(file.read_text(encoding="utf-8"))
