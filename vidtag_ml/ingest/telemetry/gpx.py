"""GPX tracks: points with a time of the world.

Belongs here: what a track point says. Does not belong here: writing GPX (earth/track_files.py).
"""

from pathlib import Path
from xml.etree import ElementTree as ET

from vidtag_ml.ingest.telemetry import points, text
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

_FIX_TYPES = ("none", "2d", "3d")


def read(path: Path) -> Reading:
    """Track points of all tracks and segments, in the order of the file; waypoints are none.

    Raises:
        ValueError: the file is not GPX, declares entities, or has no track point with a position.
    """
    try:
        document = path.read_text(encoding="utf-8-sig")
        # Entities can fetch other files or grow without bound; no GPX needs them.
        if "<!DOCTYPE" in document or "<!ENTITY" in document:
            raise ValueError("it declares a document type or entities")
        root = ET.fromstring(document)  # noqa: S314 - entities are refused above
    except (ValueError, ET.ParseError) as error:
        raise ValueError(f"{path}: not a GPX file: {error}") from error
    if root.tag.rpartition("}")[2] != "gpx":
        raise ValueError(f"{path}: not a GPX file: its root is {root.tag[:80]!r}")
    found = root.findall("{*}trk/{*}trkseg/{*}trkpt")
    fix_types = [(point.findtext("{*}fix") or "").strip().lower() for point in found]
    table = points.table(
        utc_s=[text.utc_s(point.findtext("{*}time")) for point in found],
        lat=[text.number(point.get("lat")) for point in found],
        lon=[text.number(point.get("lon")) for point in found],
        altitude_m=[text.number(point.findtext("{*}ele")) for point in found],
        dop=[text.number(point.findtext("{*}hdop")) for point in found],
        fix_type=[fix if fix in _FIX_TYPES else None for fix in fix_types],
    ).dropna(subset=["lat", "lon"], ignore_index=True)
    if table.empty:
        raise ValueError(f"{path}: has no track point with a position")
    return Reading(table, "gpx")


READER = Beside((".gpx",), read)
