"""Tracks as files that maps and other programs read: CSV, GPX, GeoJSON, KML.

Belongs here: one function a format, lossless where the format allows. Does not belong here: tracks
themselves (tracks.py), GeoParquet (geoparquet.py), reading positions of cameras (ingest/telemetry).
"""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import circles, origin, sphere
from vidtag_ml.earth import tracks as earth_tracks
from vidtag_ml.earth.origin import Facts
from vidtag_ml.earth.tracks import COLUMNS, Track
from vidtag_ml.workflow import stage

Floats = NDArray[np.float64]
_KML = "http://www.opengis.net/kml/2.2"
_GX = "http://www.google.com/kml/ext/2.2"
_ANSWER = "urn:vidtag:answer"
_OF_POINTS = ("score", "radius_km")
"""Columns that formats say of each position, where a track has them."""
MOST_RADII = 500
"""Circles in a KML file, which programs draw one by one."""

Tracks = Track | Sequence[Track] | pd.DataFrame
"""One track, several, or a table with at least the columns clip, time_s, lat and lon."""


def write_csv(tracks: Tracks, path: Path, facts: Facts | None = None) -> None:
    """Writes all columns of the tracks; positions to 1e-7 degrees (1 cm).

    Where a track's start is known, the column `time` tells the moment of each position. Facts, of
    where the tracks come from, are columns as well: a comment would break readers.
    """
    table = as_table(tracks).assign(**(facts or {}))
    degrees = [c for c in table.columns if c.endswith(("lat", "lon"))]
    table = table.round(dict.fromkeys(degrees, 7))
    stage.write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_gpx(tracks: Tracks, path: Path, facts: Facts | None = None) -> None:
    """Writes a GPX 1.1 track for each clip, and where they come from; see `gpx`.

    Points have their score and, where it is known, their radius in km as extensions.
    """
    import gpxpy

    document = gpxpy.parse(gpx(tracks))
    document.nsmap["answer"] = _ANSWER
    segments = (part for line in document.tracks for part in line.segments)
    runs = (run for clip in _clips(tracks) for run in clip.runs)
    for segment, run in zip(segments, runs, strict=True):
        for point, row in zip(segment.points, run.to_dict("records"), strict=True):
            point.longitude = -180.0 if point.longitude == 180.0 else point.longitude
            point.extensions += list(_extensions(row))
    if facts:
        origin.into_gpx(document, facts)
    stage.write_text(path, f"{document.to_xml(version='1.1')}\n")


def _extensions(row: Mapping[Any, Any]) -> Iterator[ET.Element]:
    for name in _OF_POINTS:
        value = _known(row.get(name))
        if value is not None:
            element = ET.Element(f"{{{_ANSWER}}}{name}")
            element.text = f"{value:.6g}"
            yield element


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


def write_geojson(tracks: Tracks, path: Path, facts: Facts | None = None) -> None:
    """Writes an RFC 7946 feature for each clip, cut where it crosses the antimeridian, and points.

    The line's properties time_s, score and, where they are known, radius_km and coordTimes are
    nested as its coordinates are, a value for each position. A position that a cut adds has values
    in between its neighbours'; one that is alone in its line is there twice, because lines have
    two. After the lines each position is a point, with all that is known of it; then come the
    areas in which it may be. Facts, of where the tracks come from, are properties of each feature.
    """
    clips = list(_clips(tracks))
    features = [_feature(clip) for clip in clips]
    features += [point for clip in clips for point in _points(clip)]
    features += [area for clip in clips for area in _areas(clip)]
    for feature in features:
        feature["properties"] |= facts or {}
    collection = {"type": "FeatureCollection", "features": features}
    stage.write_text(path, json.dumps(collection, allow_nan=False) + "\n")


def write_kml(tracks: Tracks, path: Path, facts: Facts | None = None) -> None:
    """Writes a line for each clip, which Google Earth draws; it can play those that have times.

    Where a radius is known, a circle of it lies around the position; at most `MOST_RADII` of a
    clip, and the folder of them says so. Facts, of where the tracks come from, are fields of each
    line and circle.
    """
    ET.register_namespace("", _KML)
    ET.register_namespace("gx", _GX)
    kml = ET.Element(f"{{{_KML}}}kml")
    document = ET.SubElement(kml, f"{{{_KML}}}Document")
    style = ET.SubElement(document, f"{{{_KML}}}Style", id="track")
    for kind, colour in (("Line", "ff3c6eff"), ("Poly", "203c6eff")):
        drawn = ET.SubElement(style, f"{{{_KML}}}{kind}Style")
        ET.SubElement(drawn, f"{{{_KML}}}color").text = colour
        if kind == "Line":
            ET.SubElement(drawn, f"{{{_KML}}}width").text = "4"
    for clip in _clips(tracks):
        for run in clip.runs:
            mark = _placemark(document, clip.name, facts)
            mark.append(_kml_line(run) if clip.start is None else _kml_track(clip, run))
        _add_radii(document, clip, facts)
    ET.indent(kml)
    text = ET.tostring(kml, encoding="unicode")
    stage.write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')


def _placemark(
    parent: ET.Element, name: str, facts: Facts | None, when: str | None = None
) -> ET.Element:
    """A placemark to which only its geometry is to be added."""
    mark = ET.SubElement(parent, f"{{{_KML}}}Placemark")
    ET.SubElement(mark, f"{{{_KML}}}name").text = name
    if when:
        stamp = ET.SubElement(mark, f"{{{_KML}}}TimeStamp")
        ET.SubElement(stamp, f"{{{_KML}}}when").text = when
    ET.SubElement(mark, f"{{{_KML}}}styleUrl").text = "#track"
    if facts:
        origin.into_kml(mark, facts)
    return mark


def _add_radii(document: ET.Element, clip: "_Clip", facts: Facts | None) -> None:
    """Circles of a clip's positions, in a folder of their own, where radii are known."""
    rows = [row for run in clip.runs for row in run.to_dict("records")]
    rows = [row for row in rows if _known(row.get("radius_km")) is not None]
    if not rows:
        return
    step = -(-len(rows) // MOST_RADII)
    folder = ET.SubElement(document, f"{{{_KML}}}Folder")
    ET.SubElement(folder, f"{{{_KML}}}name").text = f"{clip.name}: radii"
    if step > 1:
        told = f"Of {len(rows)} radii one in {step} is drawn; CSV and GeoJSON have all."
        ET.SubElement(folder, f"{{{_KML}}}description").text = told
    for row in rows[::step]:
        name = f"{row['time_s']:g} s, within {row['radius_km']:.3g} km"
        mark = _placemark(folder, name, facts, clip.iso_8601(row["time_s"]))
        several = ET.SubElement(mark, f"{{{_KML}}}MultiGeometry")
        for ring in circles.circle(row["lat"], row["lon"], row["radius_km"]):
            several.append(_kml_polygon(ring))


def _kml_polygon(ring: Floats) -> ET.Element:
    polygon = ET.Element(f"{{{_KML}}}Polygon")
    ET.SubElement(polygon, f"{{{_KML}}}tessellate").text = "1"
    outside = ET.SubElement(polygon, f"{{{_KML}}}outerBoundaryIs")
    drawn = ET.SubElement(outside, f"{{{_KML}}}LinearRing")
    text = " ".join(f"{lon:.5f},{lat:.5f},0" for lat, lon in ring)
    ET.SubElement(drawn, f"{{{_KML}}}coordinates").text = text
    return polygon


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


def as_table(tracks: Tracks) -> pd.DataFrame:
    """A row each position, with its moment in the column `time` where that is known."""
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
    areas: Sequence[Mapping[str, Any]] = ()
    """Where else it may be."""

    def moment(self, time_s: float) -> dt.datetime | None:
        return None if self.start is None else self.start + dt.timedelta(seconds=float(time_s))

    def iso_8601(self, time_s: float) -> str | None:
        moment = self.moment(time_s)
        return None if moment is None else earth_tracks.iso_8601(moment)


def _clips(tracks: Tracks, start: dt.datetime | None = None) -> Iterator[_Clip]:
    """The clips in order of appearance; `start` is that of a table's clips."""
    if isinstance(tracks, pd.DataFrame):
        for name, table in tracks.groupby("clip", sort=False):
            yield _Clip(str(name), start, _runs(table))
        return
    for track in _listed(tracks):
        if len(track.time_s):
            yield _Clip(track.clip, track.start, _runs(track.table()), track.areas)


def _runs(table: pd.DataFrame) -> list[pd.DataFrame]:
    known = table[["lat", "lon"]].notna().all(axis=1)
    stretch = (~known).cumsum()[known]
    return [run for _, run in table[known].groupby(stretch, sort=True)]


def _known(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _feature(clip: _Clip) -> dict[str, Any]:
    """A clip in GeoJSON; its properties are nested as its coordinates are."""
    said = ("time_s", *_OF_POINTS)
    columns = [c for c in said if all(c in run.columns for run in clip.runs)]
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


def _points(clip: _Clip) -> Iterator[dict[str, Any]]:
    """A clip's known positions in GeoJSON."""
    for run in clip.runs:
        for row in run.to_dict("records"):
            place = [round(float(row.pop("lon")), 7), round(float(row.pop("lat")), 7)]
            moment = clip.iso_8601(row["time_s"])
            said = {key: _plain(value) for key, value in row.items()}
            yield {
                "type": "Feature",
                "properties": {**said, **({"time": moment} if moment else {})},
                "geometry": {"type": "Point", "coordinates": place},
            }


def _areas(clip: _Clip) -> Iterator[dict[str, Any]]:
    """A clip's credible areas in GeoJSON."""
    for area in clip.areas:
        yield {**area, "properties": {"clip": clip.name, **area["properties"]}}


def _plain(value: Any) -> Any:
    """A cell for JSON: numbers to the centimetre of a degree, None where nothing is known."""
    if isinstance(value, str):
        return value
    known = _known(value)
    return None if known is None else round(known, 7)


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
    vectors = sphere.unit_vectors(np.stack([here[:2], there[:2]]))
    away_2 = np.abs(vectors[:, 1])
    share = away_2[0] / away_2.sum()
    edge = sphere.from_unit_vectors(vectors[0] * (1 - share) + vectors[1] * share)
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
    return _picked(
        rows, depth, lambda row: None if np.isnan(row[column]) else round(float(row[column]), 6)
    )


def _picked(rows: Any, depth: int, pick: Callable[[Floats], Any]) -> Any:
    """Values of points, nested as these are."""
    return [_picked(row, depth - 1, pick) for row in rows] if depth else pick(rows)
