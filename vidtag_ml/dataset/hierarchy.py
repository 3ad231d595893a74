"""The hierarchy of places: which city lies in which state, country and continent.

Belongs here: the table of distinct places of a dataset, its CSV, and the numbering of places as
classes. Does not belong here: how a source labels its clips (ingest/), what is made of a model's
scores of the classes (models/cityguessr/inference.py).
Shape legend: N clips, C cities, K classes of a level, 4 = the levels, city first.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.workflow import stage

LEVELS = ("city", "state", "country", "continent")
UNKNOWN = -1
"""Stands for a class where there is none."""

Indices = NDArray[np.int64]


def build(clips: pd.DataFrame) -> pd.DataFrame:
    """Distinct rows of city, state, country and continent among the clips, sorted, none missing.

    Raises:
        ValueError: a clip lacks one of the labels, or a column is absent.
    """
    absent = [level for level in LEVELS if level not in clips.columns]
    if absent:
        raise ValueError(f"the clips have no column {absent[0]!r}")
    labels = clips[list(LEVELS)]
    unlabelled = labels.isna().any(axis=1)
    if unlabelled.any():
        first = clips.loc[unlabelled, "clip_id"].iloc[0]
        raise ValueError(f"{int(unlabelled.sum())} clips lack labels; the first is {first}")
    rows = labels.astype(str).drop_duplicates()
    return rows.sort_values(list(reversed(LEVELS))).reset_index(drop=True)


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes the table as CSV in one step."""
    stage.write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read(path: Path) -> pd.DataFrame:
    """The table in a CSV file; all values are strings, so that Namibia's "NA" stays what it is.

    Raises:
        ValueError: the columns are not those of a hierarchy; names the file.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(table.columns) != LEVELS:
        raise ValueError(f"{path}: columns are {', '.join(table.columns)}, not {', '.join(LEVELS)}")
    return table


@dataclass(frozen=True)
class Hierarchy:
    """Places as classes, numbered as published (docs/specs/cityguessr.md, section 6).

    Cities are rows of the table, in alphabetical order; states, countries and continents are
    numbered as they first appear along the cities. A class is known by its name and all names
    above it, so that equal names in different countries stay apart.
    """

    places: tuple[tuple[str, ...], ...]
    """City, state, country and continent of each city, in the order of its class."""

    def __post_init__(self) -> None:
        """Checks the places once.

        Raises:
            ValueError: there is none, one lacks a name, occurs twice, or is not in its order.
        """
        if not self.places:
            raise ValueError("a hierarchy needs at least one place")
        for place in self.places:
            if len(place) != len(LEVELS) or not all(place):
                raise ValueError(f"place {place} does not name {', '.join(LEVELS)}")
        for one, other in zip(self.places, self.places[1:], strict=False):
            if one == other:
                raise ValueError(f"place {one} occurs twice")
            if one > other:
                raise ValueError(f"place {other} stands after {one}: they are not sorted")

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Hierarchy":
        """The classes of a table of places, in any order; columns beside the levels do not count.

        Raises:
            ValueError: a column or name is missing, or a place occurs twice.
        """
        names = _names(table)
        unnamed = names.isna().any(axis=1)
        if unnamed.any():
            raise ValueError(f"row {names.index[unnamed][0]} of the places lacks a name")
        return cls(tuple(sorted(names.astype(str).itertuples(index=False, name=None))))

    @classmethod
    def of_rows(cls, rows: Iterable[Sequence[str]]) -> "Hierarchy":
        """The hierarchy whose `places` these are, back from JSON.

        Raises:
            ValueError: these are the `places` of no hierarchy.
        """
        return cls(tuple(tuple(row) for row in rows))

    @functools.cached_property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the classes of each level, as in the table; equal names may occur."""
        return tuple(tuple(path[0] for path in ids) for ids in self.numbers)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of classes of each level."""
        return tuple(len(ids) for ids in self.numbers)

    @functools.cached_property
    def ancestors_C4(self) -> Indices:
        """The class of each city at each level, first of all the city itself."""
        return self.ids(pd.DataFrame(self.places, columns=list(LEVELS)))

    @functools.cached_property
    def parents(self) -> tuple[Indices, ...]:
        """The class one level above (K,) of each class, for all levels but the last."""
        levels = zip(self.numbers, self.numbers[1:], strict=False)
        return tuple(np.array([above[p[1:]] for p in ids], np.int64) for ids, above in levels)

    def ids(self, labels: pd.DataFrame) -> Indices:
        """Classes (N, 4) of labelled clips; -1 where names from a level upwards are no class.

        Raises:
            ValueError: a column is absent.
        """
        names = _names(labels).astype(object)
        rows = names.where(names.notna(), None).itertuples(index=False, name=None)
        found = [[ids.get(r[k:], UNKNOWN) for k, ids in enumerate(self.numbers)] for r in rows]
        return np.array(found, np.int64).reshape(-1, len(LEVELS))

    @functools.cached_property
    def numbers(self) -> tuple[Mapping[tuple[str, ...], int], ...]:
        """For each level, the class of each path: its name and those of all levels above."""
        paths = [dict.fromkeys(place[k:] for place in self.places) for k in range(len(LEVELS))]
        return tuple({path: k for k, path in enumerate(level)} for level in paths)


def moved(old: Hierarchy, new: Hierarchy) -> pd.DataFrame:
    """Classes of `old` that have another number in `new`, or none: level, name, old, new."""
    rows = []
    for level, before, after in zip(LEVELS, old.numbers, new.numbers, strict=True):
        for path, number in before.items():
            if after.get(path) != number:
                rows.append((level, path[0], number, after.get(path, UNKNOWN)))
    return pd.DataFrame(rows, columns=["level", "name", "old", "new"])


def unseen(classes: Hierarchy, clips: pd.DataFrame) -> pd.DataFrame:
    """Classes that no clip has: level and name."""
    seen_N4 = classes.ids(clips)
    rows = [
        (level, names[k])
        for level, names, seen_N in zip(LEVELS, classes.names, seen_N4.T, strict=True)
        for k in sorted(set(range(len(names))) - set(seen_N.tolist()))
    ]
    return pd.DataFrame(rows, columns=["level", "name"])


def _names(table: pd.DataFrame) -> pd.DataFrame:
    absent = [level for level in LEVELS if level not in table.columns]
    if absent:
        raise ValueError(f"the table of places has no column {absent[0]!r}")
    return table[list(LEVELS)]
