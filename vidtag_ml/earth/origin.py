"""Where an answer comes from, in each format that it is written in: which model, of which video.

Facts are few and flat, so that every program that opens a file shows them without options: columns
of a CSV, attributes of a feature, fields of a placemark, the source of a GPX track, the text of a
picture (decision 36).

Belongs here: putting facts into files, and reading them back. Does not belong here: the files
themselves (track_files.py), knowing the facts (models/registry.py), what they lead to
(vidtag_assets).
"""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from gpxpy.gpx import GPX

Facts = Mapping[str, str | int]
"""Values of `KEYS`, as far as they are known."""
KEYS = ("model", "model_version", "bundle", "gallery", "vidtag_version", "video_md5")
"""The registered name or else the system's, the version, the digest of the bundle's bytes, what DVC
calls the gallery, the version of this package, the md5 of the recording."""
_SPACE = "urn:vidtag:origin"
_KML = "http://www.opengis.net/kml/2.2"
_SHOWN = 12
"""Digits of a digest that a person is shown; `vidtag trace` takes them."""


def model(facts: Facts) -> str:
    """The model as commands are told it.

    >>> model({"model": "vidtag", "model_version": 3})
    'vidtag/3'
    """
    version = f"/{facts['model_version']}" if "model_version" in facts else ""
    return f"{facts['model']}{version}"


def sentence(facts: Facts) -> str:
    """The facts for a person.

    >>> sentence({"model": "vidtag", "bundle": "0123456789abcdef", "vidtag_version": "1.0"})
    'vidtag, bundle 0123456789ab, vidtag 1.0'
    """
    names = {"bundle": "bundle", "gallery": "gallery", "video_md5": "video"}
    known = [f"{name} {str(facts[key])[:_SHOWN]}" for key, name in names.items() if key in facts]
    version = [f"vidtag {facts['vidtag_version']}"] if "vidtag_version" in facts else []
    return ", ".join([model(facts), *known, *version])


def into_gpx(document: "GPX", facts: Facts) -> None:
    """Facts as the document's description and extensions, and as the source of its tracks."""
    document.description = f"Located by {sentence(facts)}"
    document.nsmap["vidtag"] = _SPACE
    for key, value in facts.items():
        element = ET.Element(f"{{{_SPACE}}}{key}")
        element.text = str(value)
        document.metadata_extensions.append(element)
    for track in document.tracks:
        track.source = sentence(facts)


def into_kml(placemark: ET.Element, facts: Facts) -> None:
    """Facts as fields of a placemark, which programs show when it is clicked."""
    extended = ET.SubElement(placemark, f"{{{_KML}}}ExtendedData")
    for key, value in facts.items():
        data = ET.SubElement(extended, f"{{{_KML}}}Data", name=key)
        ET.SubElement(data, f"{{{_KML}}}value").text = str(value)


def as_text(facts: Facts) -> dict[str, str]:
    """Facts as the text chunks of a PNG."""
    return {"Description": f"Located by {sentence(facts)}", "vidtag": json.dumps(dict(facts))}


def read(path: Path) -> list[Facts]:
    """What the file of an answer says of where it comes from; of several answers, each once.

    Raises:
        ValueError: it says nothing, or is no file that answers are written to.
    """
    read_as = _READERS.get(path.suffix.lower())
    if read_as is None:
        raise ValueError(f"{path}: answers are files of the kinds {', '.join(_READERS)}")
    try:
        found = [_facts(values) for values in read_as(path)]
    except (ET.ParseError, ValueError, UnidentifiedImageError) as error:
        raise ValueError(f"{path}: this is no {path.suffix[1:]} file: {error}") from error
    known = list({json.dumps(each): each for each in found if "bundle" in each}.values())
    if not known:
        raise ValueError(
            f"{path}: it does not say which model it is from: no answer of vidtag, or an older one"
        )
    return known


def _facts(values: Mapping[str, Any]) -> Facts:
    known = {key: str(values[key]) for key in KEYS if values.get(key) not in (None, "")}
    version = known.get("model_version", "").removesuffix(".0")
    return {**known, **({"model_version": int(version)} if version.isdecimal() else {})}


def _root(path: Path) -> ET.Element:
    document = path.read_bytes()
    if b"<!DOCTYPE" in document:
        raise ValueError("it declares entities")
    return ET.fromstring(document)  # noqa: S314 - entities are refused


def _of_gpx(path: Path) -> Iterable[Mapping[str, Any]]:
    start = f"{{{_SPACE}}}"
    yield {e.tag.removeprefix(start): e.text for e in _root(path).iter() if e.tag.startswith(start)}


def _of_kml(path: Path) -> Iterable[Mapping[str, Any]]:
    for extended in _root(path).iter(f"{{{_KML}}}ExtendedData"):
        yield {
            str(data.get("name")): data.findtext(f"{{{_KML}}}value")
            for data in extended.iter(f"{{{_KML}}}Data")
        }


def _of_csv(path: Path) -> Iterable[Mapping[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _of_parquet(path: Path) -> Iterable[Mapping[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from error
    columns = [name for name in KEYS if name in file.schema_arrow.names]
    yield from file.read(columns).to_pylist()


def _of_json(path: Path) -> Iterable[Mapping[str, Any]]:
    """Of GeoJSON the features' properties; of what `vidtag locate --json` prints each `origin`."""
    value = json.loads(path.read_text(encoding="utf-8"))
    parts = value if isinstance(value, list) else [value]
    for part in filter(_is_object, parts):
        yield part.get("origin") or {}
        yield from (
            each.get("properties") or {} for each in filter(_is_object, part.get("features") or ())
        )


def _of_html(path: Path) -> Iterable[Mapping[str, Any]]:
    """Of the page that shows answers."""
    _, _, told = path.read_text(encoding="utf-8").partition('<script type="application/json"')
    _, _, told = told.partition(">")
    answers = json.loads(told.partition("</script>")[0] or "{}").get("answers", [])
    yield from (answer["origin"] for answer in answers)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _of_png(path: Path) -> Iterable[Mapping[str, Any]]:
    with Image.open(path) as image:
        yield json.loads(str(image.info.get("vidtag", "{}")))


_READERS = {
    ".gpx": _of_gpx, ".geojson": _of_json, ".kml": _of_kml, ".csv": _of_csv, ".png": _of_png,
    ".json": _of_json, ".parquet": _of_parquet, ".html": _of_html,
}  # fmt: skip
SUFFIXES = tuple(_READERS)
"""Of files that answers are written to."""
