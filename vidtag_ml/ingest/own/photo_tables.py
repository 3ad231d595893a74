"""Tables that say where photos were taken: beside them, or one level above.

Belongs here: which row of which table is of a photo, and which rows are of none. Does not belong
here: reading a table (telemetry/table.py), what a photo says itself (photos.py).
Shape legend: N rows, 2 = (lat, lon) in degrees.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from vidtag_ml.ingest.own import folders
from vidtag_ml.ingest.telemetry import table

_SAME = 1e-4
"""Degrees by which places of one photo may differ."""


def tables(folder: Path) -> list[Path]:
    """What may place the photos of a folder: CSV files beside them, then those one level above."""
    return [*_tables_in(folder), *_tables_in(folder.resolve().parent)]


def _tables_in(folder: Path) -> tuple[Path, ...]:
    files = folders.listing(folder).files
    return tuple(file for file in files if file.suffix.lower() in table.READER.suffixes)


@dataclass(frozen=True)
class Row:
    """What a table beside a photo, or one level above, says of it."""

    file: Path
    place: table.Place
    exact: bool = True
    """Whether it can mean no photo of another folder."""


class Places:
    """What tables say of the photos of a folder: one beside them, else one above."""

    def __init__(self, folder: Path) -> None:
        """Reads the tables."""
        self._beside, self._above = _Beside(folder), _Above(folder)
        self.unread = "; ".join(filter(None, (self._beside.unread, self._above.unread)))
        """Why some place nothing."""

    def row(self, photo: Path) -> tuple[Row | None, str]:
        """The row that gives a photo its one place, and what is to be told of it."""
        row, told = self._beside.row(photo)
        return (row, told) if row or told else self._above.row(photo.name)


class _Beside:
    """What tables in a folder say of its photos."""

    def __init__(self, folder: Path) -> None:
        """Reads the tables."""
        self._by_name: dict[str, list[Row]] = {}
        self._by_stem: dict[str, list[Row]] = {}
        files = folders.listing(folder).files
        self._there = {name for file in files for name in (file.name, file.stem)}
        unread = []
        for path in _tables_in(folder):
            try:
                unread.append(self._add(path, table.read_named(path)))
            except ValueError as error:
                unread.append(str(error))
        self.unread = "; ".join(filter(None, unread))

    def _add(self, path: Path, named: Sequence[tuple[PurePath, table.Place]]) -> str:
        """Adds the rows of a table; says why they place nothing if none of them does."""
        idle = sum(self._there.isdisjoint((name.name, name.stem)) for name, _ in named)
        told = f"{path.name}: {idle} of {len(named)} rows name no file beside it" * bool(idle)
        for name, place in named:
            both = "; ".join(filter(None, (place.told, told)))
            row = Row(path, place._replace(told=both))
            self._by_name.setdefault(name.name, []).append(row)
            self._by_stem.setdefault(name.stem, []).append(row)
        return told if idle == len(named) else ""

    def row(self, photo: Path) -> tuple[Row | None, str]:
        """The row that gives a photo its one place, and why there is none if there are several."""
        chosen = self._by_name.get(photo.name) or self._by_name.get(photo.stem)
        chosen = chosen or self._by_stem.get(photo.stem)
        if chosen and _differ(chosen):
            return None, f"{_names(chosen)} has several positions for {photo.name}"
        return (chosen[0], "") if chosen else (None, "")


def _names(rows: Sequence[Row]) -> str:
    """Names of the tables that rows are of."""
    return ", ".join(sorted({row.file.name for row in rows}))


def _differ(rows: Sequence[Row]) -> bool:
    """Whether rows name several places, more than some metres apart."""
    latlon_N2 = np.array([row.place[:2] for row in rows])
    return bool((np.ptp(latlon_N2, axis=0) > _SAME).any())


class _Above:
    """What tables one level above a folder say of its photos."""

    def __init__(self, folder: Path) -> None:
        """Reads the tables."""
        self._inside = folder.resolve()
        facts = ((path, path.stat()) for path in _tables_in(self._inside.parent))
        of_folder, self.unread = _rows(*((p, s.st_size, s.st_mtime_ns) for p, s in facts))
        self._exact, self._any = (of_folder.get(name, {}) for name in (self._inside.name, ""))

    def row(self, photo: str) -> tuple[Row | None, str]:
        """The row that gives a photo, by its name, its one place, and what is to be told of it."""
        chosen = self._exact.get(photo) or self._any.get(photo)
        if not chosen:
            return None, ""
        names = _names(chosen)
        if _differ(chosen):
            return None, f"{names} above has several positions for {photo}"
        others = [] if chosen[0].exact else self._others.get(photo, [])
        if others := [name for name in others if name != self._inside.name]:
            told = f"{names} above says {photo}, which {others[0]} has as well"
            return None, f"{told}: write {self._inside.name}/{photo}"
        return chosen[0], f"positions from {names}, one level above"

    @functools.cached_property
    def _others(self) -> Mapping[str, list[str]]:
        """This folder and those beside it that hold a file of each name."""
        beside = [f for f in sorted(self._inside.parent.iterdir()) if f.is_dir()]
        return _holders(*((folder, folder.stat().st_mtime_ns) for folder in beside))


@functools.lru_cache(maxsize=2)
def _rows(*tables: tuple[Path, int, int]) -> tuple[dict[str, dict[str, list[Row]]], str]:
    """Rows of tables by the folder that they name, if any, and by the photo's name.

    Tables are told by path, size and time: all folders below them share what was read. The second
    is why some could not be.
    """
    found: dict[str, dict[str, list[Row]]] = {}
    unread = []
    for path, *_ in tables:
        try:
            for name, place in table.read_named(path):
                if len(folders := name.parent.parts) < 2:
                    row = Row(path, place, exact=bool(folders))
                    of_folder = found.setdefault("".join(folders), {})
                    of_folder.setdefault(name.name, []).append(row)
        except ValueError as error:
            unread.append(str(error))
    return found, "; ".join(unread)


@functools.lru_cache(maxsize=2)
def _holders(*folders: tuple[Path, int]) -> dict[str, list[str]]:
    """Names of the folders, which are told by path and time, that hold a file of each name."""
    found: dict[str, list[str]] = {}
    for folder, _ in folders:
        for file in folder.iterdir():
            found.setdefault(file.name, []).append(folder.name)
    return found
