"""Tests of vidtag_ml.dataset.tables."""

import collections
import dataclasses

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.dataset import rules
from vidtag_ml.dataset import splits as dataset_splits
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere
from vidtag_ml.workflow import stage


def _changed(tables, table="clips", **columns):
    frame = getattr(tables, table).copy()
    for column, (row, value) in columns.items():
        frame.loc[row, column] = value
    return dataclasses.replace(tables, **{table: frame})


def _walk(num_fixes, rate_hz, lat=10.0):
    """One clip that walks north at 3.6 km/h from (lat, 0), under a jitter of half a metre."""
    time = np.arange(num_fixes) / rate_hz
    jitter_m = np.resize([0.5, -0.5], num_fixes)
    fixes = pd.DataFrame({"clip_id": "walk", "time_s": time, "lon": 0.0, "status": "measured"})
    fixes["lat"] = lat + (time + jitter_m) / 1000.0 / sphere.KM_PER_DEGREE
    clip = {"clip_id": "walk", "group_id": "g", "split": "test", "mode": "walk", "kind": "video"}
    return clip_tables.Tables(pd.DataFrame([clip | {"num_frames": 9}]), fixes)


def _places(latlon, names):
    """Fixes at places, each of a clip of that name; without times."""
    lat, lon = np.transpose(latlon)
    where = {"clip_id": names, "time_s": np.nan, "lat": lat, "lon": lon, "status": "measured"}
    return pd.DataFrame(where)


def _same(names):
    return dict(zip(names, names, strict=True))


def test_tables_have_the_columns_of_the_design(tables):
    assert dict(tables.clips.dtypes.astype(str)) == clip_tables.CLIP_COLUMNS
    assert dict(tables.fixes.dtypes.astype(str)) == clip_tables.FIX_COLUMNS
    assert tables.frames is None


def test_equal_tables_give_equal_bytes_in_any_order(tables, tmp_path):
    rng = np.random.default_rng(0)
    shuffled = clip_tables.Tables(
        tables.clips.iloc[rng.permutation(len(tables.clips))],
        tables.fixes.iloc[rng.permutation(len(tables.fixes))],
    )
    clip_tables.write(tmp_path / "a", tables)
    clip_tables.write(tmp_path / "b", shuffled)
    assert stage.digest(tmp_path / "a") == stage.digest(tmp_path / "b")
    pd.testing.assert_frame_equal(clip_tables.read(tmp_path / "b").fixes, tables.fixes)


def test_frames_come_back_and_may_lack_times(tables, tmp_path):
    rows = {"clip_id": ["a", "a"], "frame_index": [1, 0], "file": ["y", "x"], "time_s": [None] * 2}
    clip_tables.write(tmp_path, dataclasses.replace(tables, frames=pd.DataFrame(rows)))
    frames = clip_tables.read(tmp_path).frames
    assert frames is not None
    assert frames["file"].tolist() == ["x", "y"]
    assert frames["time_s"].isna().all()
    clip_tables.write(tmp_path, tables)
    assert clip_tables.read(tmp_path).frames is None


def test_bad_tables_are_refused_by_folder_and_column(tables, tmp_path):
    with pytest.raises(ValueError, match=r"fixes\.parquet: column lat is not float64"):
        clip_tables.write(tmp_path, _changed_dtype(tables))
    assert not (tmp_path / "fixes.parquet").exists()
    with pytest.raises(ValueError, match=r"clips\.parquet: column mode is missing"):
        clip_tables.write(
            tmp_path, clip_tables.Tables(tables.clips.drop(columns="mode"), tables.fixes)
        )
    with pytest.raises(ValueError, match="not a dataset folder"):
        clip_tables.read(tmp_path / "nothing")
    (tmp_path / "clips.parquet").write_bytes(b"PAR1 half a file")
    with pytest.raises(ValueError, match=r"clips\.parquet: not a readable parquet file"):
        clip_tables.read(tmp_path)


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
    _, valid = clip_tables.clip_positions(dropped, "flyover-00000", [0.0, 1.0], 2.0)
    assert valid.tolist() == [False, True]


def test_positions_are_the_fixes_at_their_times(tables):
    latlon, valid = clip_tables.clip_positions(tables, "flyover-00001", np.arange(8), 2.0)
    assert valid.all()
    assert np.array_equal(latlon, tables.fixes_of("flyover-00001")[["lat", "lon"]].to_numpy())
    _, valid = clip_tables.clip_positions(tables, "nobody", [0.0], 2.0)
    assert not valid.any()


def test_a_city_centre_is_there_all_the_time(tables):
    one = tables.fixes.iloc[:1].assign(fix_source="city_centre", time_s=np.nan)
    latlon, valid = clip_tables.clip_positions(
        clip_tables.Tables(tables.clips, one), "flyover-00000", [0.0, 99.0], 2.0
    )
    assert valid.all()
    assert (latlon == one[["lat", "lon"]].to_numpy()).all()


def test_pictures_without_times_have_a_fix_each(tables):
    untimed = dataclasses.replace(tables, fixes=tables.fixes.assign(time_s=np.nan))
    latlon, valid = clip_tables.clip_positions(untimed, "flyover-00000", [2, 0, 8], 2.0)
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
    splits = dataset_splits.assign_splits([f"g{k}" for k in range(num)], sizes, 1)
    found = collections.Counter(splits)
    assert tuple(found[name] for name in ("train", "val", "test")) == counts


def test_a_group_is_in_one_split_whatever_the_order():
    groups = [f"g{k % 9}" for k in range(30)]
    sizes = {"train": 0.6, "val": 0.2, "test": 0.2}
    split_of = dict(zip(groups, dataset_splits.assign_splits(groups, sizes, 1), strict=True))
    assert dataset_splits.assign_splits(groups[::-1], sizes, 1) == [
        split_of[g] for g in groups[::-1]
    ]
    assert dataset_splits.assign_splits(groups, sizes, 2) != dataset_splits.assign_splits(
        groups, sizes, 1
    )


@pytest.mark.parametrize("sizes", [{}, {"train": 0.0}, {"train": 1.0, "val": -1.0}])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes of splits"):
        dataset_splits.assign_splits(["a"], sizes, 1)


def test_the_tiny_world_has_no_problems(tables, params):
    assert rules.problems(tables, params.evaluation.max_speed_kmh) == []


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
    found = rules.problems(bad, params.evaluation.max_speed_kmh)
    assert any(reason in problem["reason"] for problem in found)
    assert {"clip_id", "reason"} == set(found[0])


def test_a_group_in_two_splits_and_null_island_are_told(tables):
    torn = tables.clips.assign(group_id="one")
    fixes = tables.fixes.assign(lat=0.0, lon=0.0)
    reasons = [p["reason"] for p in rules.problems(clip_tables.Tables(torn, fixes))]
    assert "group one is in splits test, train, val" in reasons
    assert "position 0, 0: a receiver without a fix" in reasons
    assert "has no fix" in [
        p["reason"] for p in rules.problems(clip_tables.Tables(torn, fixes.iloc[:0]))
    ]


def test_a_receiver_at_18_hz_does_not_run():
    assert rules.problems(_walk(40, 18.0), {"walk": 10.0}) == []
    (told,) = rules.problems(_walk(40, 18.0), {"walk": 3.0})
    assert "the limit of walk is 3" in told["reason"]


@pytest.mark.parametrize("num_fixes", [5, 40])
@pytest.mark.parametrize("leaper", [0, 2, -1])
def test_a_leap_is_told_wherever_it_is(leaper, num_fixes):
    tables = _walk(num_fixes, 18.0)
    tables.fixes.loc[tables.fixes.index[leaper], "lon"] = 0.1
    (told,) = rules.problems(tables, {"walk": 10.0})
    assert told["reason"].startswith("moves at ")


def test_one_clip_does_not_count_for_another():
    first, second = _walk(5, 1.0), _walk(5, 1.0, lat=40.0)
    rows = pd.concat([first.clips, second.clips.assign(clip_id="far")])
    fixes = pd.concat([first.fixes, second.fixes.assign(clip_id="far")])
    limits = {"walk": 10.0}
    assert rules.problems(clip_tables.Tables(rows, fixes), limits) == []
    assert rules.problems(clip_tables.Tables(rows, fixes.sort_values("time_s")), limits) == []


def test_unknown_and_dropped_fixes_are_not_judged():
    tables = _walk(9, 1.0)
    tables.fixes.loc[[2, 5], "time_s"] = np.nan
    tables.fixes.loc[7, ["lat", "status"]] = [91.0, "dropped"]
    tables.fixes.loc[8, "clip_id"] = None
    assert rules.problems(tables, {"walk": 10.0}) == []


def test_problems_come_in_the_order_of_the_clips(tables):
    fixes = tables.fixes.copy()
    fixes.loc[fixes["clip_id"] == "flyover-00003", "lat"] = 91.0
    fixes = fixes[fixes["clip_id"] != "flyover-00005"]
    fixes.loc[fixes["clip_id"] == "flyover-00007", ["lat", "lon", "time_s"]] = 0.0
    found = rules.problems(clip_tables.Tables(tables.clips, fixes))
    assert [(p["clip_id"][-1], p["reason"][:12]) for p in found] == [
        ("3", "position 91."),
        ("5", "has no fix"),
        ("7", "position 0, "),
        ("7", "fix times do"),
    ]


@pytest.mark.parametrize("km", [50.0, 300.0, 800.0])
@pytest.mark.parametrize("centre", [(10.0, 20.0), (-5.0, 179.0), (89.0, 0.0)])
def test_near_groups_are_those_of_all_pairs(centre, km):
    rng = np.random.default_rng(0)
    bearing, away_km = rng.uniform(0, 360, 300), rng.uniform(0, 4000, 300)
    latlon = sphere.destination(centre, bearing, away_km)
    names = rng.permutation([f"g{k % 90:02d}" for k in range(300)])
    near = sphere.great_circle_km(latlon[:, None], latlon[None]) < km
    near |= names[:, None] == names
    for _ in range(9):
        near = near @ near
    expected = {name: min(names[row]) for name, row in zip(names, near, strict=True)}
    assert dataset_splits.near_groups(_places(latlon, names), _same(names), km) == expected


def test_groups_that_share_a_place_are_near_unless_the_fix_is_dropped():
    fixes = _places([(1, 2), (1, 2), (1, 3), (np.nan, 2)], ["a", "b", "c", "d"])
    groups = {"a": "x", "b": "y", "c": "z", "d": "w", "e": "v"}
    alone = {name: name for name in "zwv"}
    assert dataset_splits.near_groups(fixes, groups, 1.0) == {"x": "x", "y": "x"} | alone
    fixes.loc[1, "status"] = "dropped"
    assert dataset_splits.near_groups(fixes, groups, 1.0) == {"x": "x", "y": "y"} | alone


def test_splits_of_near_groups_are_far_apart():
    rng = np.random.default_rng(0)
    names = [f"c{k:03d}" for k in range(200)]
    fixes = _places(rng.uniform(-10, 10, (200, 2)), names)
    united = dataset_splits.near_groups(fixes, _same(names), 60.0)
    sizes = {"train": 0.6, "val": 0.2, "test": 0.2}

    def split(groups):
        drawn = dataset_splits.assign_splits(groups, sizes, 1)
        return clip_tables.Tables(pd.DataFrame({"clip_id": names, "split": drawn}), fixes)

    assert dataset_splits.too_close(split(names), 60.0)
    assert dataset_splits.too_close(split([united[name] for name in names]), 60.0) == []


def test_a_test_clip_beside_a_train_clip_is_told_with_the_distance(tables):
    fixes = tables.fixes.copy()
    split_of = tables.clips.set_index("clip_id")["split"]
    train, test = split_of.index[split_of == "train"][0], split_of.index[split_of == "test"][0]
    place = fixes.loc[fixes["clip_id"] == train, ["lat", "lon"]].to_numpy()[-1]
    row = fixes.index[fixes["clip_id"] == test][0]
    fixes.loc[row, ["lat", "lon"]] = sphere.destination(place, 90.0, 0.25)
    near = clip_tables.Tables(tables.clips, fixes)
    told = {"clip_id": test, "reason": f"is in test, 0.25 km from {train}, in train"}
    assert dataset_splits.too_close(near, 0.3) == [told]
    assert dataset_splits.too_close(near, 0.2) == []
    assert told in rules.problems(near, min_split_km=0.3)
    assert told not in rules.problems(near)
    fixes.loc[row, "status"] = "dropped"
    assert dataset_splits.too_close(near, 0.3) == []


def test_without_train_clips_nothing_is_too_close(tables):
    alone = clip_tables.Tables(tables.clips.assign(split="test"), tables.fixes)
    assert dataset_splits.too_close(alone, 1e5) == []


def test_a_clip_begins_at_its_first_kept_fix():
    fixes = _places([(1, 2), (3, 4), (5, 6), (7, 8)], ["a", "a", "b", "a"])
    fixes.loc[0, "status"] = "dropped"
    found = clip_tables.first_positions(clip_tables.Tables(pd.DataFrame(), fixes), ["b", "a"])
    assert found.tolist() == [[5.0, 6.0], [3.0, 4.0]]
