"""Photos in a folder: those that follow each other become one clip, the others one clip each.

Belongs here: which photos make a sequence, in which order, and where each of them was. Does not
belong here: reading EXIF and tables (telemetry/), what a clip becomes (tables.py).
Shape legend: N photos.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from vidtag_ml.earth import sphere, tracks
from vidtag_ml.ingest.own import photo_clocks, photo_tables
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.telemetry import exif, order, points
from vidtag_ml.media import fingerprint, pictures

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".hif", ".avif", ".insp")
LEAST = 3
"""Photos in the shortest sequence."""
MAX_GAP_S = 600.0
"""Photos further apart in time do not follow each other."""
STEP_KM = 0.1
"""Photos without times follow each other up to this distance; those with times at any speed below
`MAX_SPEED_KMH`, or up to this."""
MAX_SPEED_KMH = 200.0
CONTRADICTS_KM = 1.0
"""A table that has a photo further from where it says itself contradicts it."""
FLIGHT_KMH = 1000.0
"""Photos from a flight follow nothing, but nobody is further away than this allows."""


@dataclass(frozen=True)
class Photo:
    """One picture with what it says of itself, or what a table beside it says."""

    path: Path
    exif: exif.Photo
    fix_source: str
    """exif, table, or empty: without a position."""
    error: str = ""
    """Why it cannot be used, or what about it cannot."""
    table: Path | None = None
    """Where its position stands if that is not inside."""
    readable: bool = True
    """Whether it is a picture."""

    @functools.cached_property
    def placed(self) -> bool:
        """Whether it has a position other than 0, 0 on Earth."""
        return bool(published.on_earth((self.exif.lat, self.exif.lon))[0])


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p]


def read(paths: Sequence[Path], known: Mapping[str, exif.Photo] | None = None) -> Iterator[Photo]:
    """Photos of one folder; a position in a table fills in for EXIF.

    The table lies beside them or, if none there has the photo, one level above. There it names a
    photo by its path from the table, or by its name if no other folder beside has one of that name.

    Args:
        paths: the photos.
        known: what those that were looked at before say of themselves, by their names.
    """
    folder, known = paths[0].parent, known or {}
    places = photo_tables.Places(folder)
    for path in paths:
        try:
            seen = known.get(path.name) or exif.read(path)
        except ValueError as error:
            yield Photo(path, exif.NOTHING, "", str(error), readable=False)
            continue
        photo = Photo(path, seen, "exif", seen.told)
        row, told = places.row(path)
        if not photo.placed:
            photo = _tabled(path, seen, row, told)
        elif row and sphere.great_circle_km((seen.lat, seen.lon), row.place[:2]) > CONTRADICTS_KM:
            photo = _telling(photo, f"{row.file.name} says other places: those of EXIF are read")
        told = photo.error or places.unread
        yield photo if photo.placed else replace(photo, fix_source="", error=told)


def sequences(photos: Sequence[Photo]) -> list[list[Photo]]:
    """Photos that follow each other, in order of time or name; a single one is a list of its own.

    Photos without a position stay in a sequence if they lie between two in time; all others that
    lack one are left out.
    """
    found: list[list[Photo]] = []
    usable = [p for p in photos if p.readable]
    for _, group in groupby(sorted(usable, key=_camera), key=_camera):
        chain: list[Photo] = []
        placed = -1
        for photo in in_order(list(group)):
            last = chain[placed] if placed >= 0 else None
            if chain and not _follows(chain[-1], last, photo):
                if last and (told := _apart(last, photo)):
                    chain[placed], photo = _telling(last, told), _telling(photo, told)
                found += _closed(chain)
                chain, placed = [], -1
            placed = len(chain) if photo.placed else placed
            chain.append(photo)
        found += _closed(chain)
    return found


def believed(photos: Sequence[Photo]) -> list[Photo]:
    """Photos, without the positions that contradict those of the same camera before and after.

    Only times tell what is out of reach; a photo that any of its four neighbours reaches is
    believed, as where two cameras of one model take turns.
    """
    strays: set[Path] = set()
    placed = [p for p in photos if p.placed and not np.isnan(p.exif.captured_s)]
    for _, group in groupby(sorted(placed, key=_camera), key=_camera):
        line = in_order(list(group))
        for limit_kmh in (MAX_SPEED_KMH, FLIGHT_KMH):
            strays |= {p.path for k, p in enumerate(line) if _strays(line, k, limit_kmh)}
    return [_unplaced(photo) if photo.path in strays else photo for photo in photos]


def in_order(photos: Sequence[Photo]) -> list[Photo]:
    """Photos by time; by name if one has no time, or if they tell it by different clocks.

    Those of one second are ordered by the other of their clocks, which may tell parts of it.
    """
    told = _on_one_clock(_well_timed(photos))
    if np.isnan([photo.exif.captured_s for photo in told]).any():
        return sorted(told, key=lambda p: natural(p.path.name))
    return sorted(told, key=_moment)


def _moment(photo: Photo) -> tuple[float, float, list[tuple[int, int, str]]]:
    seen = photo.exif
    other_s = seen.captured_s if np.isnan(seen.clock_s) else seen.clock_s
    return seen.captured_s, other_s, natural(photo.path.name)


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


def _tabled(path: Path, seen: exif.Photo, row: photo_tables.Row | None, told: str) -> Photo:
    """A photo that is where a table says."""
    if row is None:
        told = told or seen.told
        return Photo(path, replace(seen, lat=np.nan, lon=np.nan), "table", told)
    place = row.place
    seen = replace(seen, lat=place.lat, lon=place.lon)
    photo = Photo(path, seen, "table", table=row.file)
    off = "" if photo.placed else f"its table says {place.lat:g}, {place.lon:g}: no place on Earth"
    return replace(photo, error="; ".join(filter(None, (seen.told, told, place.told, off))))


def _camera(photo: Photo) -> tuple[str, int, int]:
    turned = sorted((photo.exif.width, photo.exif.height))
    return photo.exif.camera, turned[0], turned[1]


def _well_timed(photos: Sequence[Photo]) -> list[Photo]:
    """Photos with times that can be believed; see `photo_clocks.believed`."""
    found: list[Photo] = []
    for _, group in groupby(sorted(photos, key=_camera), key=_camera):
        mine = list(group)
        told = photo_clocks.believed([photo.exif for photo in mine])
        for photo, (seen, assumed) in zip(mine, told, strict=True):
            error = "; ".join(filter(None, (photo.error, assumed)))
            found.append(replace(photo, exif=seen, error=error))
    return found


def _strays(line: Sequence[Photo], k: int, limit_kmh: float) -> bool:
    """Whether a photo of a line is out of reach of all around it, which follow each other."""
    before, after = line[max(0, k - 2) : k], line[k + 1 : k + 3]
    around = [*before, *after]
    if len(around) < 2 or any(_reaches(other, line[k], limit_kmh) for other in around):
        return False
    one, other = (before[-1], after[0]) if before and after else around
    when_s = [photo.exif.captured_s - line[k].exif.captured_s for photo in (one, other)]
    return max(map(abs, when_s)) <= MAX_GAP_S and _reaches(one, other, limit_kmh)


def _reaches(one: Photo, other: Photo, limit_kmh: float) -> bool:
    """Whether two photos with positions and times are near enough for one camera."""
    moved_km = sphere.great_circle_km(
        (one.exif.lat, one.exif.lon), (other.exif.lat, other.exif.lon)
    )
    hours = abs(other.exif.captured_s - one.exif.captured_s) / 3600.0
    return bool(moved_km <= max(STEP_KM, limit_kmh * hours))


def _unplaced(photo: Photo) -> Photo:
    told = f"the position of {photo.path.name} is out of reach of those before and after: dropped"
    gone = replace(photo.exif, lat=np.nan, lon=np.nan)
    return _telling(replace(photo, exif=gone, fix_source=""), told)


def _telling(photo: Photo, told: str) -> Photo:
    return replace(photo, error="; ".join(filter(None, (photo.error, told))))


def _apart(one: Photo, other: Photo) -> str:
    """What is told of photos that follow each other, if one of them has lost its hemisphere."""
    after_s = other.exif.captured_s - one.exif.captured_s
    if not (other.placed and after_s <= MAX_GAP_S):
        return ""
    lat_2, lon_2 = np.array([(photo.exif.lat, photo.exif.lon) for photo in (one, other)]).T
    what = order.turned(lat_2, lon_2)
    said = f"{one.path.name} and {other.path.name}, {after_s:.0f} s apart"
    return f"one of {said}, has {what}, and the other has not: nothing tells which" if what else ""


def _on_one_clock(photos: list[Photo]) -> list[Photo]:
    """Photos without times if some tell UTC and others the time of an unknown zone."""
    if len({p.exif.captured_is_utc for p in photos if not np.isnan(p.exif.captured_s)}) < 2:
        return photos
    told = "some photos tell UTC, others local time: ordered by name, without times"
    return [replace(p, exif=replace(p.exif, captured_s=np.nan), error=told) for p in photos]


def _follows(end: Photo, placed: Photo | None, photo: Photo) -> bool:
    """Whether a photo goes on where a chain stopped: soon enough, and near enough.

    Args:
        end: the last photo of the chain.
        placed: its last one with a position.
        photo: what may go on.
    """
    waited_s = photo.exif.captured_s - end.exif.captured_s
    if waited_s > MAX_GAP_S:
        return False
    if not (placed and photo.placed):
        return bool(waited_s >= 0)
    last = placed.exif
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
