"""Tests of vidtag_ml.clips."""

import collections
import dataclasses

import numpy as np
import pandas as pd
import pytest

from vidtag_ml import clips, stage


def _changed(tables, table="clips", **columns):
    frame = getattr(tables, table).copy()
    for column, (row, value) in columns.items():
        frame.loc[row, column] = value
    return dataclasses.replace(tables, **{table: frame})


def test_tables_have_the_columns_of_the_design(tables):
    assert dict(tables.clips.dtypes.astype(str)) == clips.CLIP_COLUMNS
    assert dict(tables.fixes.dtypes.astype(str)) == clips.FIX_COLUMNS
    assert tables.frames is None


def test_equal_tables_give_equal_bytes_in_any_order(tables, tmp_path):
    rng = np.random.default_rng(0)
    shuffled = clips.Tables(
        tables.clips.iloc[rng.permutation(len(tables.clips))],
        tables.fixes.iloc[rng.permutation(len(tables.fixes))],
    )
    clips.write(tmp_path / "a", tables)
    clips.write(tmp_path / "b", shuffled)
    assert stage.digest(tmp_path / "a") == stage.digest(tmp_path / "b")
    pd.testing.assert_frame_equal(clips.read(tmp_path / "b").fixes, tables.fixes)


def test_frames_come_back_and_may_lack_times(tables, tmp_path):
    rows = {"clip_id": ["a", "a"], "frame_index": [1, 0], "file": ["y", "x"], "time_s": [None] * 2}
    clips.write(tmp_path, dataclasses.replace(tables, frames=pd.DataFrame(rows)))
    frames = clips.read(tmp_path).frames
    assert frames is not None
    assert frames["file"].tolist() == ["x", "y"]
    assert frames["time_s"].isna().all()
    clips.write(tmp_path, tables)
    assert clips.read(tmp_path).frames is None


def test_bad_tables_are_refused_by_folder_and_column(tables, tmp_path):
    with pytest.raises(ValueError, match=r"fixes\.parquet: column lat is not float64"):
        clips.write(tmp_path, _changed_dtype(tables))
    assert not (tmp_path / "fixes.parquet").exists()
    with pytest.raises(ValueError, match=r"clips\.parquet: column mode is missing"):
        clips.write(tmp_path, clips.Tables(tables.clips.drop(columns="mode"), tables.fixes))
    with pytest.raises(ValueError, match="not a dataset folder"):
        clips.read(tmp_path / "nothing")
    (tmp_path / "clips.parquet").write_bytes(b"PAR1 half a file")
    with pytest.raises(ValueError, match=r"clips\.parquet: not a readable parquet file"):
        clips.read(tmp_path)


def _changed_dtype(tables):
    return dataclasses.replace(tables, fixes=tables.fixes.assign(lat="north"))


def test_a_clip_is_found_by_name(tables):
    assert tables.clip("flyover-00003")["group_id"] == "flight-00003"
    assert len(tables.fixes_of("flyover-00003")) == 8
    with pytest.raises(ValueError, match="0 clips named 'nobody'"):
        tables.clip("nobody")


def test_dropped_fixes_do_not_count(tables):
    dropped = _changed(tables, "fixes", status=(0, "dropped"))
    assert dropped.fixes_of("flyover-00000")["time_s"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    _, valid = clips.clip_positions(dropped, "flyover-00000", [0.0, 1.0], 2.0)
    assert valid.tolist() == [False, True]


def test_positions_are_the_fixes_at_their_times(tables):
    latlon, valid = clips.clip_positions(tables, "flyover-00001", np.arange(8), 2.0)
    assert valid.all()
    assert np.array_equal(latlon, tables.fixes_of("flyover-00001")[["lat", "lon"]].to_numpy())
    _, valid = clips.clip_positions(tables, "nobody", [0.0], 2.0)
    assert not valid.any()


def test_a_city_centre_is_there_all_the_time(tables):
    one = tables.fixes.iloc[:1].assign(fix_source="city_centre", time_s=np.nan)
    latlon, valid = clips.clip_positions(
        clips.Tables(tables.clips, one), "flyover-00000", [0.0, 99.0], 2.0
    )
    assert valid.all()
    assert (latlon == one[["lat", "lon"]].to_numpy()).all()


def test_pictures_without_times_have_a_fix_each(tables):
    untimed = dataclasses.replace(tables, fixes=tables.fixes.assign(time_s=np.nan))
    latlon, valid = clips.clip_positions(untimed, "flyover-00000", [2, 0, 8], 2.0)
    assert valid.tolist() == [True, True, False]
    expected = tables.fixes_of("flyover-00000")[["lat", "lon"]].to_numpy()[[2, 0]]
    assert np.array_equal(latlon[:2], expected)


@pytest.mark.parametrize(
    ("num", "sizes", "counts"),
    [
        (10, {"train": 6, "val": 2, "test": 2}, (6, 2, 2)),
        (100, {"train": 0.8, "val": 0.1, "test": 0.1}, (80, 10, 10)),
        (3, {"train": 0.8, "val": 0.1, "test": 0.1}, (1, 1, 1)),
        (7, {"train": 0.5, "val": 0.5, "test": 0.0}, (4, 3, 0)),
    ],
)
def test_splits_have_the_sizes_asked_for(num, sizes, counts):
    splits = clips.assign_splits([f"g{k}" for k in range(num)], sizes, 1)
    found = collections.Counter(splits)
    assert tuple(found[name] for name in ("train", "val", "test")) == counts


def test_a_group_is_in_one_split_whatever_the_order():
    groups = [f"g{k % 9}" for k in range(30)]
    sizes = {"train": 0.6, "val": 0.2, "test": 0.2}
    split_of = dict(zip(groups, clips.assign_splits(groups, sizes, 1), strict=True))
    assert clips.assign_splits(groups[::-1], sizes, 1) == [split_of[g] for g in groups[::-1]]
    assert clips.assign_splits(groups, sizes, 2) != clips.assign_splits(groups, sizes, 1)


@pytest.mark.parametrize("sizes", [{}, {"train": 0.0}, {"train": 1.0, "val": -1.0}])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes of splits"):
        clips.assign_splits(["a"], sizes, 1)


def test_the_tiny_world_has_no_problems(tables, params):
    assert clips.problems(tables, params.evaluation.max_speed_kmh) == []


@pytest.mark.parametrize(
    ("table", "column", "value", "reason"),
    [
        ("clips", "split", "dev", "split is 'dev'"),
        ("clips", "mode", "boat", "mode is 'boat'"),
        ("clips", "num_frames", 0, "has no frame"),
        ("clips", "clip_id", "flyover-00001", "more than once"),
        ("fixes", "lat", 91.0, "not on Earth"),
        ("fixes", "lon", np.nan, "not on Earth"),
        ("fixes", "time_s", 1.0, "do not grow after 1.0 s"),
        ("fixes", "clip_id", "stranger", "no row in clips"),
        ("fixes", "lat", 0.0, "moves at"),
    ],
)
def test_each_problem_is_told(tables, params, table, column, value, reason):
    bad = _changed(tables, table, **{column: (0, value)})
    found = clips.problems(bad, params.evaluation.max_speed_kmh)
    assert any(reason in problem["reason"] for problem in found)
    assert {"clip_id", "reason"} == set(found[0])


def test_a_group_in_two_splits_and_null_island_are_told(tables):
    torn = tables.clips.assign(group_id="one")
    fixes = tables.fixes.assign(lat=0.0, lon=0.0)
    reasons = [p["reason"] for p in clips.problems(clips.Tables(torn, fixes))]
    assert "group one is in splits test, train, val" in reasons
    assert "position 0, 0: a receiver without a fix" in reasons
    assert "has no fix" in [p["reason"] for p in clips.problems(clips.Tables(torn, fixes.iloc[:0]))]
