"""Photos in a folder: those that follow each other become one clip, the others one clip each.

Belongs here: which photos make a sequence, in which order, and where each of them was. Does not
belong here: reading EXIF and tables (telemetry/), what a clip becomes (tables.py).
Shape legend: N photos.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from vidtag_ml.earth import sphere, tracks
from vidtag_ml.ingest.own import photo_clocks
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.telemetry import exif, points, table
from vidtag_ml.media import fingerprint, pictures

UNKNOWN = (".heic", ".heif")
"""Formats of phones that are not read."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", *UNKNOWN)
LEAST = 3
"""Photos in the shortest sequence."""
MAX_GAP_S = 600.0
"""Photos further apart in time do not follow each other."""
STEP_KM = 0.1
"""Photos without times follow each other up to this distance; those with times at any speed below
`MAX_SPEED_KMH`, or up to this."""
MAX_SPEED_KMH = 200.0


@dataclass(frozen=True)
class Photo:
    """One picture with what it says of itself, or what a table beside it says."""

    path: Path
    exif: exif.Photo
    fix_source: str
    """exif, table, or empty: without a position."""
    error: str = ""
    """Why it cannot be used, or what about it cannot."""

    readable: bool = True
    """Whether it is a picture."""

    @property
    def placed(self) -> bool:
        """Whether it has a position other than 0, 0 on Earth."""
        return bool(published.on_earth((self.exif.lat, self.exif.lon))[0])


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p]


def read(paths: Sequence[Path]) -> Iterator[Photo]:
    """Photos of one folder; a position in a table fills in for EXIF.

    The table lies beside them or, if none there has the photo, one level above. There it names a
    photo by its path from the table, or by its name if no other folder beside has one of that name.
    """
    folder = paths[0].parent
    places, unread = _places(folder)
    above, unread_above = _above(folder)
    unread = "; ".join(filter(None, (unread, unread_above)))
    for path in paths:
        if path.suffix.lower() in UNKNOWN:
            advice = "save it as JPEG, with its EXIF; HEIC is not read"
            yield Photo(path, exif.NOTHING, "", advice, readable=False)
            continue
        try:
            seen = exif.read(path)
        except ValueError as error:
            yield Photo(path, exif.NOTHING, "", str(error), readable=False)
            continue
        photo = Photo(path, seen, "exif", seen.told)
        if not photo.placed:
            place, told = places.get(path.name, places.get(path.stem)), ""
            if place is None:
                place, told = _chosen(above.get(path.name, []), path)
            photo = _tabled(path, seen, place, told)
        yield photo if photo.placed else replace(photo, fix_source="", error=photo.error or unread)


def tables(folder: Path) -> list[Path]:
    """What may place the photos of a folder: CSV files beside them, then those one level above."""
    return [f for place in (folder, folder.resolve().parent) for f in sorted(place.glob("*.csv"))]


def sequences(photos: Sequence[Photo]) -> list[list[Photo]]:
    """Photos that follow each other, in order of time or name; a single one is a list of its own.

    Photos without a position stay in a sequence if they lie between two in time; all others that
    lack one are left out.
    """
    found: list[list[Photo]] = []
    usable = [p for p in photos if p.readable]
    for _, group in groupby(sorted(usable, key=_camera), key=_camera):
        chain: list[Photo] = []
        for photo in in_order(list(group)):
            if chain and not _follows(chain, photo):
                found += _closed(chain)
                chain = []
            chain.append(photo)
        found += _closed(chain)
    return found


def in_order(photos: Sequence[Photo]) -> list[Photo]:
    """Photos by time; by name if one has no time, or if they tell it by different clocks."""
    told = _on_one_clock(_believed(photos))
    if np.isnan([photo.exif.captured_s for photo in told]).any():
        return sorted(told, key=lambda p: natural(p.path.name))
    return sorted(told, key=lambda p: (p.exif.captured_s, natural(p.path.name)))


def times(chain: Sequence[Photo]) -> tuple[np.ndarray, int]:
    """Times (N,) of a sequence from its first photo, and how many were spread over a second.

    Photos that a clock without fractions puts into one second follow each other within it. NaN for
    all where one has no time.
    """
    captured_N = np.array([photo.exif.captured_s for photo in chain])
    if np.isnan(captured_N).any():
        return np.full(len(chain), np.nan), 0
    _, first, within, count = np.unique(
        captured_N, return_index=True, return_inverse=True, return_counts=True
    )
    place_N = np.arange(len(chain)) - first[within]
    spread_N = captured_N + place_N / count[within]
    return spread_N - spread_N[0], int((count[within] > 1).sum())


def fixes(chain: Sequence[Photo], time_N: np.ndarray) -> pd.DataFrame:
    """Fixes (N rows of `points.COLUMNS`, fix_source, status) of a sequence, one a photo.

    A photo without a position lies between its neighbours: in time, or halfway where there is none.
    """
    placed_N = np.array([photo.placed for photo in chain])
    latlon_N2 = np.array([(photo.exif.lat, photo.exif.lon) for photo in chain], float)
    clock_N = np.arange(len(chain), dtype=float) if np.isnan(time_N).any() else time_N
    found_N2, known_N = tracks.positions_at(
        clock_N[placed_N], latlon_N2[placed_N], clock_N, max_gap_s=np.inf
    )
    assert known_N.all()
    latlon_N2 = np.where(placed_N[:, None], latlon_N2, found_N2)
    table = points.table(
        time_s=time_N,
        utc_s=[photo.exif.captured_s for photo in chain],
        lat=latlon_N2[:, 0],
        lon=latlon_N2[:, 1],
        altitude_m=[photo.exif.altitude_m for photo in chain],
        dop=[photo.exif.dop for photo in chain],
    )
    return table.assign(
        fix_source=[photo.fix_source or "interpolated" for photo in chain],
        status=np.where(placed_N, "measured", "interpolated"),
    )


def signature(chain: Sequence[Photo]) -> list[int]:
    """Signatures of up to 16 photos, evenly spread; see `fingerprint.Fingerprint`."""
    chosen = np.unique(np.linspace(0, len(chain) - 1, 16).round().astype(int))
    return [int(fingerprint.difference_hash(pictures.picture(chain[k].path))) for k in chosen]


def _tabled(path: Path, seen: exif.Photo, place: table.Place | None, told: str) -> Photo:
    """A photo that is where a table says."""
    if place is None:
        told = told or seen.told
        return Photo(path, replace(seen, lat=np.nan, lon=np.nan), "table", told)
    photo = Photo(path, replace(seen, lat=place.lat, lon=place.lon), "table")
    off = "" if photo.placed else f"its table says {place.lat:g}, {place.lon:g}: no place on Earth"
    return replace(photo, error="; ".join(filter(None, (seen.told, told, place.told, off))))


def _camera(photo: Photo) -> tuple[str, int, int]:
    turned = sorted((photo.exif.width, photo.exif.height))
    return photo.exif.camera, turned[0], turned[1]


def _believed(photos: Sequence[Photo]) -> list[Photo]:
    """Photos with times that can be believed; see `photo_clocks.believed`."""
    found: list[Photo] = []
    for _, group in groupby(sorted(photos, key=_camera), key=_camera):
        mine = list(group)
        told = photo_clocks.believed([photo.exif for photo in mine])
        for photo, (seen, assumed) in zip(mine, told, strict=True):
            error = "; ".join(filter(None, (photo.error, assumed)))
            found.append(replace(photo, exif=seen, error=error))
    return found


def _on_one_clock(photos: list[Photo]) -> list[Photo]:
    """Photos without times if some tell UTC and others the time of an unknown zone."""
    if len({p.exif.captured_is_utc for p in photos if not np.isnan(p.exif.captured_s)}) < 2:
        return photos
    told = "some photos tell UTC, others local time: ordered by name, without times"
    return [replace(p, exif=replace(p.exif, captured_s=np.nan), error=told) for p in photos]


def _follows(chain: list[Photo], photo: Photo) -> bool:
    """Whether a photo goes on where a chain stopped: soon enough, and near enough."""
    waited_s = photo.exif.captured_s - chain[-1].exif.captured_s
    if waited_s > MAX_GAP_S:
        return False
    placed = [p for p in chain if p.placed]
    if not (placed and photo.placed):
        return bool(waited_s >= 0)
    last = placed[-1].exif
    moved_km = float(sphere.great_circle_km((last.lat, last.lon), (photo.exif.lat, photo.exif.lon)))
    reach_km = MAX_SPEED_KMH * max(0.0, photo.exif.captured_s - last.captured_s) / 3600.0
    return moved_km <= max(STEP_KM, 0.0 if np.isnan(reach_km) else reach_km)


def _closed(chain: list[Photo]) -> list[list[Photo]]:
    """A finished chain as one sequence, or, if it is short, as single photos with a position."""
    placed = [k for k, photo in enumerate(chain) if photo.placed]
    if not placed:
        return []
    inner = chain[placed[0] : placed[-1] + 1]
    if len(placed) >= LEAST:
        return [inner]
    return [[photo] for photo in inner if photo.placed]


@dataclass(frozen=True)
class _Row:
    """What a table one level above says of a photo."""

    file: str
    place: table.Place
    exact: bool
    """Whether it names the photo's folder, too."""


def _above(folder: Path) -> tuple[Mapping[str, list[_Row]], str]:
    """Rows of all tables one level above, by file name, and why some could not be read."""
    inside, rows, unread = folder.resolve(), dict[str, list[_Row]](), []
    for path in sorted(inside.parent.glob("*.csv")):
        try:
            for name, place in table.read_named(path):
                if name.parent.parts in ((), (inside.name,)):
                    row = _Row(path.name, place, exact=bool(name.parent.parts))
                    rows.setdefault(name.name, []).append(row)
        except ValueError as error:
            unread.append(str(error))
    return rows, "; ".join(unread)


def _chosen(rows: Sequence[_Row], photo: Path) -> tuple[table.Place | None, str]:
    """The one place that rows one level above give a photo, and what is to be told of it."""
    chosen = [row for row in rows if row.exact] or list(rows)
    if not chosen:
        return None, ""
    inside, names = photo.parent.resolve(), ", ".join(sorted({row.file for row in chosen}))
    if len({row.place[:2] for row in chosen}) > 1:
        return None, f"{names} above has several positions for {photo.name}"
    others = [f.name for f in inside.parent.iterdir() if f != inside and (f / photo.name).exists()]
    if others and not chosen[0].exact:
        told = f"{names} above says {photo.name}, which {others[0]} has as well"
        return None, f"{told}: write {inside.name}/{photo.name}"
    return chosen[0].place, f"positions from {names}, one level above"


def _places(folder: Path) -> tuple[Mapping[str, table.Place], str]:
    """Positions by file name, from all tables of a folder, and why some could not be read."""
    places: dict[str, table.Place] = {}
    unread = []
    for path in sorted(folder.glob("*.csv")):
        try:
            places |= table.read_places(path)
        except ValueError as error:
            unread.append(str(error))
    return places, "; ".join(unread)
