"""Claims about image benchmarks: their tables as published, swapped headers, strange names."""

import pandas as pd
import pytest

from vidtag_ml.dataset import rules

PLACES = {
    "im2gps3k": ["0_6df0", "1_6df0", "2_6df0", "3_6df0", "NA"],
    "yfcc4k": [str(4_000_000_000 + k) for k in range(5)],
    "gws15k": [f"gsv_{k}" for k in range(5)],
}
LATLON = [
    [32.325436, -64.764404],
    [-33.8568, 151.2153],
    [48.8584, 2.2945],
    [-22.5609, 17.0658],
    [21.3069, -157.8583],
]


@pytest.mark.parametrize("layout", PLACES)
def test_every_picture_is_a_test_clip_of_one_frame_at_its_place(make, ingest, tmp_path, layout):
    make("images", tmp_path / "recordings", layout)
    tables = ingest("images", tmp_path / "recordings")
    assert tables.clips["clip_id"].tolist() == PLACES[layout]
    assert set(tables.clips["split"]) == {"test"}
    assert tables.clips["num_frames"].tolist() == [1] * 5
    assert tables.fixes[["lat", "lon"]].to_numpy().tolist() == LATLON
    assert rules.problems(tables) == []


def test_swapped_headers_are_swapped_back_and_told(make, ingest, tmp_path, caplog):
    make("images", tmp_path / "recordings", "im2gps3k")
    ingest("images", tmp_path / "recordings")
    (told,) = caplog.messages
    assert "im2gps3k_places365.csv: latitudes reach beyond 90, so" in told


def test_a_table_in_order_is_left_as_it_is(make, ingest, tmp_path, caplog):
    make("images", tmp_path / "recordings", "gws15k")
    ingest("images", tmp_path / "recordings")
    assert caplog.messages == []


def test_one_wrong_latitude_swaps_nothing(make, ingest, tmp_path, caplog):
    make("images", tmp_path / "recordings", "gws15k")
    path = tmp_path / "recordings" / "metadata.csv"
    path.write_text(path.read_text().replace("48.8584", "95.0"))
    tables = ingest("images", tmp_path / "recordings")
    assert tables.fixes[["lat", "lon"]].to_numpy().tolist() == [*LATLON[:2], *LATLON[3:]]
    assert "images: 1 of 5 left out; first: gsv_2.jpg: position 95.0, 2.2945" in caplog.text


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (("IMG_FILE", "LAT", "LON"), "gsv_0.jpg"),
        (("img_id", "latitude", "longitude"), "gsv_0.jpg"),
        (("path", "lat", "lon"), "a/b/gsv_0.jpg"),
    ],
)
def test_columns_and_folders_are_found_by_their_names(make, ingest, tmp_path, columns, name):
    recordings = tmp_path / "recordings"
    make("images", recordings, "gws15k")
    (recordings / "pictures" / name).parent.mkdir(parents=True)
    (recordings / "gsv_0.jpg").rename(recordings / "pictures" / name)
    table = pd.DataFrame([(name, 1.5, 2.5)], columns=list(columns))
    table.to_csv(recordings / "metadata.csv", index=False)
    row = ingest("images", recordings).clips.iloc[0]
    assert row["clip_id"] == name[:-4].replace("/", "-")


@pytest.mark.parametrize("name", ["gsv_9.jpg", "../../secret.jpg", "/etc/secret.jpg", ""])
def test_pictures_that_are_not_there_are_left_out(make, ingest, tmp_path, name, caplog):
    (tmp_path / "secret.jpg").write_bytes(b"")
    make("images", tmp_path / "recordings", "gws15k")
    with (tmp_path / "recordings" / "metadata.csv").open("a") as file:
        file.write(f"{name},1.0,2.0\n")
    assert len(ingest("images", tmp_path / "recordings").clips) == 5
    assert f"images: 1 of 6 left out; first: {tmp_path if name == 'gsv_9.jpg' else name}" in (
        caplog.text
    )


def test_a_picture_named_twice_is_one_clip(make, ingest, tmp_path, caplog):
    make("images", tmp_path / "recordings", "gws15k")
    with (tmp_path / "recordings" / "metadata.csv").open("a") as file:
        file.write("gsv_0.jpg,1.0,2.0\n")
    tables = ingest("images", tmp_path / "recordings")
    assert tables.fixes["lat"].iloc[0] == LATLON[0][0]
    assert "metadata.csv: 1 rows name a picture again" in caplog.text


def test_a_table_is_needed_and_only_one(make, ingest, tmp_path):
    make("images", tmp_path / "recordings", "gws15k")
    (tmp_path / "recordings" / "other.csv").write_text("path,lat,lon\n")
    with pytest.raises(ValueError, match=r"not metadata\.csv, other\.csv"):
        ingest("images", tmp_path / "recordings")
    with pytest.raises(ValueError, match=r"info\.txt: there is no such file"):
        ingest("images", tmp_path)
