"""Tables that grow on disk are the tables that are written at once."""

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.dataset import tables
from vidtag_ml.ingest.own import parquet_writer

COLUMNS = {name: tables.FIX_COLUMNS[name] for name in ("clip_id", "time_s", "status")}


def grown(path, group_rows):
    with parquet_writer.replacing(path, COLUMNS, group_rows) as table:
        for k in range(5):
            table.add(3, clip_id=f"c{k}", time_s=np.arange(3.0))
    return path


def test_one_row_group_has_the_bytes_of_a_table_written_at_once(tmp_path):
    table = pd.read_parquet(grown(tmp_path / "a.parquet", 100)).astype(COLUMNS)
    table.to_parquet(tmp_path / "b.parquet", index=False)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_more_row_groups_are_the_same_table(tmp_path):
    parts = pd.read_parquet(grown(tmp_path / "a.parquet", 4))
    whole = pd.read_parquet(grown(tmp_path / "b.parquet", 100))
    pd.testing.assert_frame_equal(parts, whole)


def fill_and_fail(path):
    with parquet_writer.replacing(path, COLUMNS, 1) as table:
        table.add(1, clip_id="x", time_s=0.0)
        raise KeyError("absent")


def test_what_fails_leaves_the_table_as_it_was(tmp_path):
    before = grown(tmp_path / "a.parquet", 4).read_bytes()
    with pytest.raises(KeyError, match="absent"):
        fill_and_fail(tmp_path / "a.parquet")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
