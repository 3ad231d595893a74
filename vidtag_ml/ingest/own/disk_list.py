"""Values that lie on disk while they are needed, so that memory does not grow with their number.

Belongs here: the sequence and the look-up. Does not belong here: what outlives a run (journal.py).
"""

import os
import pickle
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

Value = TypeVar("Value")


class Shelf(Sequence[Value]):
    """A sequence of values in a temporary file that is gone when the process ends, killed or not.

    Values are pickled; the file lies where `TMPDIR` says.
    """

    def __init__(self) -> None:
        """Nothing is on it yet."""
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE kept (value BLOB, key BLOB)")
        self._database.execute("CREATE INDEX by_key ON kept (key) WHERE key IS NOT NULL")
        self._num = 0

    def append(self, value: Value, key: str | None = None) -> None:
        """Puts a value at the end; by its key it can be found and sorted."""
        row = pickle.dumps(value), None if key is None else os.fsencode(key)
        self._database.execute("INSERT INTO kept VALUES (?, ?)", row)
        self._num += 1

    def find(self, key: str) -> Value | None:
        """The first value with a key; None if there is none."""
        asked = "SELECT value FROM kept WHERE key = ? ORDER BY rowid LIMIT 1"
        return next(self._read(asked, os.fsencode(key)), None)

    def by_key(self) -> Iterator[Value]:
        """The values that have a key, in order of keys; of equal keys, as they were put there."""
        return self._read("SELECT value FROM kept WHERE key IS NOT NULL ORDER BY key, rowid")

    def __len__(self) -> int:
        """How many values there are."""
        return self._num

    def __iter__(self) -> Iterator[Value]:
        """The values as they were put there."""
        return self._read("SELECT value FROM kept ORDER BY rowid")

    def __getitem__(self, place: Any) -> Any:
        """The value at a place, or the list of those in a slice."""
        if isinstance(place, slice):
            return [self[k] for k in range(self._num)[place]]
        row = range(self._num)[place] + 1
        return next(self._read("SELECT value FROM kept WHERE rowid = ?", row))

    def _read(self, asked: str, *values: object) -> Iterator[Any]:
        for (value,) in self._database.execute(asked, values):
            yield pickle.loads(value)  # noqa: S301  (our own, in a file of this process)
