"""Claims about MSLS: sequences in order, fixes, splits; on a miniature of its layout."""

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.dataset import hierarchy, rules
from vidtag_ml.dataset import tables as clip_tables


@pytest.fixture
def recordings(make, tmp_path):
    make("msls", tmp_path / "recordings")
    return tmp_path / "recordings"


def published(recordings, clip_id):
    """Photos of one clip by number, straight from the published files."""
    city, side, sequence = clip_id.split("-", 2)
    folder = recordings / "train_val" / city / side
    order = pd.read_csv(folder / "seq_info.csv", index_col=0)
    raw = pd.read_csv(folder / "raw.csv", index_col=0)
    both = order.set_index("key").join(raw.set_index("key"))
    column = "sequence_id" if city == "tokyo" else "sequence_key"
    return both[(both[column] == sequence) & ~both["pano"]].sort_values("frame_number")


def test_each_sequence_of_each_side_with_coordinates_is_a_clip(recordings, ingest):
    tables = ingest("msls", recordings)
    assert tables.clips["city"].value_counts().to_dict() == {"sf": 8, "tokyo": 8, "zurich": 8}
    sides = tables.clips["group_id"].str.split("/").str[1]
    assert sides.value_counts().to_dict() == {"database": 12, "query": 12}
    assert rules.problems(tables) == []


def test_frames_run_by_frame_number_without_panoramas(recordings, ingest):
    tables = ingest("msls", recordings)
    for clip_id, frames in tables.frames.groupby("clip_id"):
        wanted = published(recordings, clip_id)
        assert frames["file"].str.extract(r"([^/]+)\.jpg$")[0].tolist() == wanted.index.tolist()
        assert frames["frame_index"].tolist() == list(range(6))
        assert frames["time_s"].isna().all()


def test_each_frame_has_its_own_fix(recordings, ingest):
    tables = ingest("msls", recordings)
    for clip_id in tables.clips["clip_id"]:
        latlon, valid = clip_tables.clip_positions(tables, clip_id, np.arange(6.0), max_gap_s=2.0)
        assert valid.all()
        assert latlon.tolist() == published(recordings, clip_id)[["lat", "lon"]].to_numpy().tolist()
    assert set(tables.fixes["fix_source"]) == {"mapillary"}


def test_every_city_is_in_every_split(recordings, ingest):
    table = ingest("msls", recordings).clips
    assert table.groupby("city")["split"].agg(set).tolist() == [set(clip_tables.SPLITS)] * 3


def test_a_split_does_not_depend_on_other_cities(recordings, ingest):
    before = ingest("msls", recordings).clips.set_index("clip_id")["split"]
    (recordings / "train_val" / "sf").rename(recordings / "sf")
    after = ingest("msls", recordings).clips.set_index("clip_id")["split"]
    assert after.equals(before[after.index])


def test_short_sequences_are_left_out_of_train_only(recordings, ingest, caplog):
    table = ingest("msls", recordings, min_frames=7).clips
    assert set(table["split"]) == {"val", "test"}
    assert "msls: 12 train clips are shorter than 7" in caplog.messages


def test_labels_come_from_slug_and_place(recordings, ingest):
    table = hierarchy.build(ingest("msls", recordings).clips)
    assert table.to_numpy().tolist() == [
        ["tokyo", "JP.40", "Japan", "Asia"],
        ["zurich", "CH.ZH", "Switzerland", "Europe"],
        ["sf", "US.CA", "United States", "North America"],
    ]


def test_a_sequence_that_lacks_a_picture_is_left_out_and_told(recordings, ingest, caplog):
    clip_id = ingest("msls", recordings).clips["clip_id"].iloc[0]
    folder = recordings / "train_val" / "sf" / "database" / "images"
    gone = folder / f"{published(recordings, clip_id).index[3]}.jpg"
    gone.unlink()
    left = set(ingest("msls", recordings).clips["clip_id"])
    assert (len(left), clip_id in left) == (23, False)
    assert f"msls: 1 of 24 left out; first: {gone}: there is no such picture" in caplog.text


def test_photos_without_a_position_are_left_out_and_told(recordings, ingest, caplog):
    raw = recordings / "train_val" / "zurich" / "query" / "raw.csv"
    table = pd.read_csv(raw, index_col=0)
    first = table.index[~table["pano"]][0]
    table.loc[first, ["lat", "lon"]] = 0.0
    table.to_csv(raw)
    tables = ingest("msls", recordings)
    assert table.loc[first, "key"] not in " ".join(tables.frames["file"])
    assert "query: 1 photos without a position or a number are left out" in caplog.text


def test_a_key_that_reads_like_a_missing_value_is_a_key(recordings, ingest):
    side = recordings / "train_val" / "zurich" / "query"
    for name in ("seq_info.csv", "raw.csv"):
        text = (side / name).read_text()
        key = text.splitlines()[1].split(",")[1]
        (side / name).write_text(text.replace(key, "NA"))
    (side / "images" / f"{key}.jpg").rename(side / "images" / "NA.jpg")
    pano = "True" in (side / "raw.csv").read_text().splitlines()[1]
    files = ingest("msls", recordings).frames["file"]
    assert files.str.endswith("/zurich/query/images/NA.jpg").sum() == (not pano)


@pytest.mark.parametrize("name", ["seq_info.csv", "raw.csv"])
def test_a_broken_layout_is_refused_by_file(recordings, ingest, name):
    path = recordings / "train_val" / "sf" / "query" / name
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=rf"sf/query/{name}: has no column key"):
        ingest("msls", recordings)
    path.unlink()
    with pytest.raises(ValueError, match=rf"sf/query/{name}: there is no such file"):
        ingest("msls", recordings)


def test_another_folder_is_refused(tmp_path, ingest):
    with pytest.raises(ValueError, match="train_val: there is no such folder"):
        ingest("msls", tmp_path)
