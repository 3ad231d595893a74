"""Tables that are written while they grow, a row group at a time.

Belongs here: a parquet file that takes rows in their final order. Does not belong here: columns and
tables that fit in memory (vidtag_ml.dataset.tables), which rows there are (tables.py).
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from pyarrow import parquet

from vidtag_ml.ingest.published import tables as published
from vidtag_ml.workflow import stage


class Growing:
    """A parquet file. With rows for one row group only, its bytes are those of `tables.write`."""

    def __init__(self, path: Path, columns: Mapping[str, str], group_rows: int) -> None:
        """`columns` are names with dtypes; a row group ends with the clip that fills it."""
        self._path, self._columns, self._group_rows = path, columns, group_rows
        self._rows, self._num = published.Rows(columns), 0
        self._writer: parquet.ParquetWriter | None = None

    def add(self, num: int, **values: Any) -> None:
        """`num` rows, see `tables.Rows`; they must follow those that are there in order."""
        self._rows.add(num, **values)
        self._num += num
        if self._num >= self._group_rows:
            self._flush()

    def close(self) -> None:
        """Writes what is left; there must have been a row."""
        if self._num:
            self._flush()
        assert self._writer is not None
        self._writer.close()

    def _flush(self) -> None:
        typed = self._rows.table().astype(cast("Any", dict(self._columns)))
        table = pa.Table.from_pandas(typed, preserve_index=False)
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)
        self._rows, self._num = published.Rows(self._columns), 0


@contextlib.contextmanager
def replacing(path: Path, columns: Mapping[str, str], group_rows: int) -> Iterator[Growing]:
    """A table that takes the place of `path` when the block ends well."""
    with stage.replacing(path) as aside:
        table = Growing(aside, columns, group_rows)
        yield table
        table.close()
