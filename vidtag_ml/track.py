"""Tracks: timed positions of one clip, and the files in which they travel.

Belongs here: interpolation with gaps, speeds, and GPX, GeoJSON, KML and CSV out. Does not
belong here: distances (geo.py), where predictions come from (predict.py).
Shape legend: T points of a track, Q queries, 2 = (lat, lon) in degrees.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml import geo, stage

Floats = NDArray[np.float64]

COLUMNS = ("clip", "time_s", "lat", "lon", "initial_lat", "initial_lon", "score")
NEAREST_S = 0.1
SPAN_S = 1.0
"""Receivers jitter faster than they move: speeds over less than this are none."""
_KML = "http://www.opengis.net/kml/2.2"
_GX = "http://www.google.com/kml/ext/2.2"


@dataclass(frozen=True)
class Track:
    """The positions of one clip's frames, as located or as measured."""

    clip: str
    """Name of the clip or video."""
    time_s: Floats
    """Times (T,) from the first frame."""
    latlon_T2: Floats
    """Final positions."""
    initial_latlon_T2: Floats
    """Positions before refinement and decoding."""
    score_T: Floats
    """Confidence in each position, from 0 to 1."""
    start: dt.datetime | None = None
    """When time 0 was, with a zone; None = nobody knows."""

    def __post_init__(self) -> None:
        """Checks that all fields tell of the same T points."""
        num = len(self.time_s)
        for name in ("time_s", "latlon_T2", "initial_latlon_T2", "score_T"):
            shape = (num, 2) if name.endswith("2") else (num,)
            found = np.shape(getattr(self, name))
            if found != shape:
                raise ValueError(f"track of {self.clip}: {name} has shape {found}, not {shape}")

    def table(self) -> pd.DataFrame:
        """One row a position, with the columns `COLUMNS`."""
        columns = (*self.latlon_T2.T, *self.initial_latlon_T2.T, self.score_T)
        named = zip(COLUMNS, (self.clip, self.time_s, *columns), strict=True)
        return pd.DataFrame(dict(named), columns=list(COLUMNS)).astype({"clip": object})


Tracks = Track | Sequence[Track] | pd.DataFrame
"""One track, several, or a table with at least the columns clip, time_s, lat and lon."""


def positions_at(
    fix_time_s: ArrayLike, fix_latlon_T2: ArrayLike, query_time_s: ArrayLike, max_gap_s: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Positions (Q, 2) at query times (Q,), and which of them are valid (Q,).

    A query within 0.1 s of a fix takes the nearest; any other lies on the great circle between its
    neighbours. Before the first fix, after the last, and between fixes more than `max_gap_s` apart
    nothing is known: the position is NaN. Fixes with a NaN position are ignored.

    Raises:
        ValueError: the fixes' times go back.
    """
    time, latlon = np.asarray(fix_time_s, float), np.asarray(fix_latlon_T2, float).reshape(-1, 2)
    known = np.isfinite(time) & np.isfinite(latlon).all(-1)
    time, latlon = time[known], latlon[known]
    query = np.asarray(query_time_s, float)
    positions = np.full((len(query), 2), np.nan)
    if len(time) == 0:
        return positions, np.zeros(len(query), bool)
    if np.any(np.diff(time) < 0):
        where = int(np.argmax(np.diff(time) < 0))
        raise ValueError(f"fix times go back from {time[where]} s to {time[where + 1]} s")
    after = np.searchsorted(time, query, "right").clip(max=len(time) - 1)
    before = (after - 1).clip(min=0)
    nearest = np.where(np.abs(query - time[before]) <= np.abs(query - time[after]), before, after)
    close = np.abs(query - time[nearest]) <= NEAREST_S + 1e-9
    gap = time[after] - time[before]
    inside = (query > time[before]) & (query < time[after]) & (gap <= max_gap_s + 1e-9)
    between = inside & ~close
    fraction = (query[between] - time[before[between]]) / gap[between]
    positions[between] = geo.interpolate(latlon[before[between]], latlon[after[between]], fraction)
    positions[close] = latlon[nearest[close]]
    return positions, between | close


def speeds_kmh(
    time_s: ArrayLike,
    latlon_T2: ArrayLike,
    over_s: float = 0.0,
    track_T: ArrayLike | None = None,
) -> Floats:
    """Speeds (T - 1,) from each point to the next; infinite where place changes but time does not.

    Args:
        time_s: times (T,); they grow along a track if `over_s` is positive.
        latlon_T2: positions.
        over_s: the shortest span that tells a speed, as receivers jitter: a point is compared with
            the first at least so much later or, near the end, with the last, as if that took
            `over_s`. So a leap shows wherever it is.
        track_T: which track a point is of, all points of a track in a row; speeds from one track to
            the next are NaN. Without it, there is one track.

    >>> speeds_kmh([0, 3600], [(0, 0), (0, 1)]).round(1).tolist()
    [111.2]
    """
    time, latlon = np.asarray(time_s, float), np.asarray(latlon_T2, float)
    track = np.zeros(len(time)) if track_T is None else np.asarray(track_T)
    same = track[1:] == track[:-1]
    after = _first_after(time, over_s, same) if over_s > 0 else np.arange(1, len(time))
    distance_km = geo.great_circle_km(latlon[:-1], latlon[after])
    hours = np.maximum(np.abs(time[after] - time[:-1]), over_s) / 3600.0
    with np.errstate(divide="ignore", invalid="ignore"):
        speeds = distance_km / hours
    return np.where(same, np.where((distance_km == 0) & (hours == 0), 0.0, speeds), np.nan)


def _first_after(time: Floats, over_s: float, same: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each point but the last, the first of its track `over_s` later, or its track's last."""
    point = np.arange(len(same))
    ends = np.append(np.flatnonzero(~same), len(same))
    last = ends[np.searchsorted(ends, point)]
    # Tracks laid end to end in time, over_s apart: one search serves all of them.
    laid = np.append(0.0, np.cumsum(np.where(same, np.diff(time), over_s)))
    found = np.searchsorted(laid, laid[:-1] + over_s - 1e-9)
    return np.asarray(np.minimum(np.maximum(found, point + 1), last), np.intp)


def iso_8601(moment: dt.datetime) -> str:
    """A moment in UTC, to the millisecond.

    >>> iso_8601(dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.UTC))
    '2024-05-06T07:08:00.000Z'
    """
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_csv(tracks: Tracks, path: Path) -> None:
    """Writes all columns of the tracks; positions to 1e-7 degrees (1 cm).

    Where a track's start is known, the column `time` tells the moment of each position.
    """
    table = _table(tracks)
    degrees = [c for c in table.columns if c.endswith(("lat", "lon"))]
    table = table.round(dict.fromkeys(degrees, 7))
    stage.write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_gpx(tracks: Tracks, path: Path) -> None:
    """Writes a GPX 1.1 track for each clip; see `gpx`."""
    stage.write_text(path, gpx(tracks))


def gpx(tracks: Tracks, start: dt.datetime | None = None) -> str:
    """GPX 1.1 text with a track for each clip; a point without a position breaks its segment.

    Points have a time only where it is known when their clip began.

    Args:
        tracks: what to write; a column altitude_m becomes the points' elevation.
        start: when the clips of a table began, which does not tell; a `Track` tells itself.
    """
    import gpxpy.gpx

    document = gpxpy.gpx.GPX()
    document.creator = "vidtag"
    for clip in _clips(tracks, start):
        line = gpxpy.gpx.GPXTrack(name=clip.name)
        for run in clip.runs:
            points = [
                gpxpy.gpx.GPXTrackPoint(
                    round(float(row["lat"]), 7),
                    round(float(row["lon"]), 7),
                    elevation=_known(row.get("altitude_m")),
                    time=clip.moment(row["time_s"]),
                )
                for row in run.to_dict("records")
            ]
            line.segments.append(gpxpy.gpx.GPXTrackSegment(points))
        document.tracks.append(line)
    return str(document.to_xml(version="1.1")) + "\n"


def write_geojson(tracks: Tracks, path: Path) -> None:
    """Writes an RFC 7946 feature for each clip, cut where it crosses the antimeridian.

    The properties time_s, score and, where the clip's start is known, coordTimes are nested as the
    coordinates are, a value for each position. A position that a cut adds has values in between its
    neighbours'; one that is alone in its line is there twice, because lines have two.
    """
    features = [_feature(clip) for clip in _clips(tracks)]
    collection = {"type": "FeatureCollection", "features": features}
    stage.write_text(path, json.dumps(collection, allow_nan=False) + "\n")


def write_kml(tracks: Tracks, path: Path) -> None:
    """Writes a line for each clip, which Google Earth draws; it can play those that have times."""
    ET.register_namespace("", _KML)
    ET.register_namespace("gx", _GX)
    kml = ET.Element(f"{{{_KML}}}kml")
    document = ET.SubElement(kml, f"{{{_KML}}}Document")
    style = ET.SubElement(document, f"{{{_KML}}}Style", id="track")
    line = ET.SubElement(style, f"{{{_KML}}}LineStyle")
    ET.SubElement(line, f"{{{_KML}}}color").text = "ff3c6eff"
    ET.SubElement(line, f"{{{_KML}}}width").text = "4"
    for clip in _clips(tracks):
        for run in clip.runs:
            mark = ET.SubElement(document, f"{{{_KML}}}Placemark")
            ET.SubElement(mark, f"{{{_KML}}}name").text = clip.name
            ET.SubElement(mark, f"{{{_KML}}}styleUrl").text = "#track"
            mark.append(_kml_line(run) if clip.start is None else _kml_track(clip, run))
    ET.indent(kml)
    text = ET.tostring(kml, encoding="unicode")
    stage.write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')


def _kml_track(clip: "_Clip", run: pd.DataFrame) -> ET.Element:
    drawn = ET.Element(f"{{{_GX}}}Track")
    for time_s in run["time_s"]:
        ET.SubElement(drawn, f"{{{_KML}}}when").text = clip.iso_8601(time_s)
    for lat, lon in run[["lat", "lon"]].itertuples(index=False):
        ET.SubElement(drawn, f"{{{_GX}}}coord").text = f"{lon:.7f} {lat:.7f} 0"
    return drawn


def _kml_line(run: pd.DataFrame) -> ET.Element:
    """A line over the ground, or the only point."""
    drawn = ET.Element(f"{{{_KML}}}{'LineString' if len(run) > 1 else 'Point'}")
    if len(run) > 1:
        ET.SubElement(drawn, f"{{{_KML}}}tessellate").text = "1"
    places = run[["lat", "lon"]].itertuples(index=False)
    text = " ".join(f"{lon:.7f},{lat:.7f},0" for lat, lon in places)
    ET.SubElement(drawn, f"{{{_KML}}}coordinates").text = text
    return drawn


def _table(tracks: Tracks) -> pd.DataFrame:
    if isinstance(tracks, pd.DataFrame):
        return tracks
    tables = [_timed(track) for track in _listed(tracks)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def _timed(track: Track) -> pd.DataFrame:
    """A track's table, with the moment of each position if it is known."""
    table = track.table()
    if track.start is not None:
        clip = _Clip(track.clip, track.start, [])
        table.insert(2, "time", [clip.iso_8601(time_s) for time_s in track.time_s])
    return table


def _listed(tracks: Track | Sequence[Track]) -> Sequence[Track]:
    return [tracks] if isinstance(tracks, Track) else tracks


@dataclass(frozen=True)
class _Clip:
    """What a file says of one clip."""

    name: str
    start: dt.datetime | None
    runs: list[pd.DataFrame]
    """Its stretches of known positions."""

    def moment(self, time_s: float) -> dt.datetime | None:
        return None if self.start is None else self.start + dt.timedelta(seconds=float(time_s))

    def iso_8601(self, time_s: float) -> str | None:
        moment = self.moment(time_s)
        return None if moment is None else iso_8601(moment)


def _clips(tracks: Tracks, start: dt.datetime | None = None) -> Iterator[_Clip]:
    """The clips in order of appearance; `start` is that of a table's clips."""
    if isinstance(tracks, pd.DataFrame):
        for name, table in tracks.groupby("clip", sort=False):
            yield _Clip(str(name), start, _runs(table))
        return
    for track in _listed(tracks):
        if len(track.time_s):
            yield _Clip(track.clip, track.start, _runs(track.table()))


def _runs(table: pd.DataFrame) -> list[pd.DataFrame]:
    known = table[["lat", "lon"]].notna().all(axis=1)
    stretch = (~known).cumsum()[known]
    return [run for _, run in table[known].groupby(stretch, sort=True)]


def _known(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _feature(clip: _Clip) -> dict[str, Any]:
    """A clip in GeoJSON; its properties are nested as its coordinates are."""
    columns = [c for c in ("time_s", "score") if all(c in run.columns for run in clip.runs)]
    parts = [p for run in clip.runs for p in _cut(run[["lat", "lon", *columns]].to_numpy(float))]
    kind, rows, depth = _shaped(parts)
    properties: dict[str, Any] = {"clip": clip.name}
    for k, name in enumerate(columns, 2):
        properties[name] = _rounded(rows, depth, k)
    if clip.start is not None and "time_s" in columns:
        at = 2 + columns.index("time_s")
        properties["coordTimes"] = _picked(rows, depth, lambda row: clip.iso_8601(row[at]))
    places = _picked(rows, depth, lambda row: [round(float(row[1]), 7), round(float(row[0]), 7)])
    geometry = {"type": kind, "coordinates": places} if kind else None
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _cut(points_TX: Floats) -> list[list[Floats]]:
    """Points (lat, lon, values ...) of a line, cut at the antimeridian (RFC 7946, 3.1.9)."""
    parts: list[list[Floats]] = [[]]
    for k, point in enumerate(points_TX):
        if k and abs(point[1] - points_TX[k - 1, 1]) > 180.0:
            before, after = _at_the_edge(points_TX[k - 1], point)
            parts[-1].append(before)
            parts.append([after])
        parts[-1].append(point)
    return parts


def _at_the_edge(here: Floats, there: Floats) -> tuple[Floats, Floats]:
    """Where the great circle from one point to the next meets +-180, as said on either side."""
    vectors = geo.unit_vectors(np.stack([here[:2], there[:2]]))
    away_2 = np.abs(vectors[:, 1])
    share = away_2[0] / away_2.sum()
    edge = geo.from_unit_vectors(vectors[0] * (1 - share) + vectors[1] * share)
    between = here + (there - here) * share
    before, after = (
        np.r_[edge[0], np.copysign(180.0, side[1]), between[2:]] for side in (here, there)
    )
    return before, after


def _shaped(parts: list[list[Floats]]) -> tuple[str, Any, int]:
    """Kind of the geometry of a line's parts, its points as it nests them, and how deep."""
    if not parts:
        return "", [], 1
    if len(parts) == 1 and len(parts[0]) == 1:
        return "Point", parts[0][0], 0
    lines = [part * 2 if len(part) == 1 else part for part in parts]
    return ("LineString", lines[0], 1) if len(lines) == 1 else ("MultiLineString", lines, 2)


def _rounded(rows: Any, depth: int, column: int) -> Any:
    return _picked(rows, depth, lambda row: round(float(row[column]), 6))


def _picked(rows: Any, depth: int, pick: Callable[[Floats], Any]) -> Any:
    """Values of points, nested as these are."""
    return [_picked(row, depth - 1, pick) for row in rows] if depth else pick(rows)
