"""Photos that follow each other are one clip, the others one each; tables fill in for EXIF."""

import dataclasses
import datetime as dt
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from tests.data import cameras, telemetry
from tests.data.heic import heic_with_position
from tests.data.recordings import NOON, film, photos, recording
from tests.vidtag_ml.ingest.own.conftest import HOW, reasons, tables
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.ingest.own import photos as own_photos
from vidtag_ml.ingest.telemetry import exif


def test_photos_that_follow_each_other_are_one_clip(tmp_path, take):
    photos(tmp_path / "walk")
    (told,) = take(tmp_path / "walk").accepted
    assert (told.num_frames, told.fix_source, told.duration_s) == (4, "exif", 15.0)
    frames = tables(tmp_path).frames
    assert [Path(file).name for file in frames["file"]] == ["8.jpg", "9.jpg", "10.jpg", "11.jpg"]
    assert frames["time_s"].tolist() == [0.0, 5.0, 10.0, 15.0]


def test_photos_of_one_second_of_the_receiver_are_in_the_order_of_the_cameras(tmp_path):
    def seen(name, part_s):
        when = {"captured_s": 0.0, "captured_is_utc": True, "clock_s": 7200.0 + part_s}
        return own_photos.Photo(tmp_path / name, dataclasses.replace(exif.NOTHING, **when), "exif")

    names = ["3.jpg", "1.jpg", "2.jpg"]
    shown = own_photos.in_order([seen(name, k / 5) for k, name in enumerate(names)])
    assert [photo.path.name for photo in shown] == names


def test_heic_and_jpeg_of_one_phone_are_one_clip(tmp_path, take):
    photos(tmp_path / "w")
    for k in range(3):
        moment = NOON + dt.timedelta(seconds=20 + 5 * k)
        heic_with_position(tmp_path / "w" / f"{k + 12}.HEIC", 47.0001, 8.0, moment, seed=k)
    found = sorted(take(tmp_path / "w").accepted, key=lambda told: told.num_frames)
    assert [told.num_frames for told in found] == [3, 4]
    assert set(tables(tmp_path).clips["codec"]) == {"heic", "jpeg"}


@pytest.fixture
def live(tmp_path):
    """A folder with three Live Photos, of which one has a photo without a position."""
    (tmp_path / "l").mkdir()
    for k, lat in enumerate((47.0, 47.00001, None)):
        moment = NOON + dt.timedelta(seconds=5 * k)
        heic_with_position(tmp_path / "l" / f"IMG_{k}.HEIC", lat, 8.0, moment, seed=k)
        cameras.live_part(film(tmp_path / "a.mp4", seed=k), tmp_path / "l" / f"IMG_{k}.MOV")
    return tmp_path / "l"


def test_a_live_photo_is_one_recording_its_photo(live, take):
    outcome = take(live)
    used = {Path(told.path).name for told in outcome.accepted}
    assert used == {"IMG_0.HEIC", "IMG_1.HEIC", "IMG_2.MOV"}
    told = {"IMG_0.MOV": "live_photo", "IMG_1.MOV": "live_photo", "IMG_2.HEIC": "no_position"}
    assert reasons(outcome) == told
    assert "IMG_0.HEIC" in next(r for r in outcome.quarantined if "0" in r.path[-5:]).advice


def test_the_video_of_a_live_photo_is_taken_where_it_alone_is_asked_for(live, take):
    assert [Path(t.path).name for t in take(live / "IMG_0.MOV").accepted] == ["IMG_0.MOV"]


def test_a_video_beside_a_photo_of_its_name_is_none_of_a_live_photo(tmp_path, live, take):
    recording(live, "IMG_1", seed=9).rename(live / "IMG_1.MOV")
    assert "IMG_1.MOV" in {Path(told.path).name for told in take(live).accepted}


def test_photos_without_times_each_have_their_own_fix(tmp_path, take):
    (tmp_path / "w").mkdir()
    for k in range(3):
        telemetry.jpeg_with_position(tmp_path / "w" / f"{k}.jpg", 47.0 + 1e-5 * k, 8.0, seed=k)
    take(tmp_path / "w")
    found = tables(tmp_path)
    latlon, valid = clip_tables.clip_positions(
        found, found.clips["clip_id"][0], np.arange(3.0), 2.0
    )
    assert valid.all()
    assert latlon[2, 0] == pytest.approx(47.00002)


def test_a_photo_between_two_others_is_interpolated_and_told(tmp_path, take):
    photos(tmp_path / "w")
    telemetry.jpeg_with_position(
        tmp_path / "w" / "9.jpg", None, None, NOON + dt.timedelta(seconds=5), seed=1
    )
    (told,) = take(tmp_path / "w").accepted
    assert "lie between others" in told.repairs[0]
    fixes = tables(tmp_path).fixes
    assert fixes["status"].tolist() == ["measured", "interpolated", "measured", "measured"]
    assert fixes["lat"][1] == pytest.approx(47.00001)


@pytest.mark.parametrize("number", [0, 1, 3, 6, 7])
@pytest.mark.parametrize("place", [(-47.0, 8.0), (8.0, 47.0), (47.3, 8.0)])
def test_a_photo_out_of_reach_of_those_around_it_is_nowhere_and_told(tmp_path, take, number, place):
    photos(tmp_path / "w", num=8)
    when = NOON + dt.timedelta(seconds=5 * number)
    telemetry.jpeg_with_position(tmp_path / "w" / f"{number + 8}.jpg", *place, when, seed=number)
    outcome = take(tmp_path / "w")
    (told,) = outcome.accepted
    assert (told.lat_min, told.lat_max) == pytest.approx((47.0, 47.00007), abs=2e-5)
    said = [*told.repairs, *(record.advice for record in outcome.quarantined)]
    assert any(f"of {number + 8}.jpg is out of reach" in sentence for sentence in said)


def test_two_cameras_of_one_model_in_turns_are_both_believed(tmp_path, take):
    photos(tmp_path / "w", num=4, step_s=5.0)
    for k in range(4):
        when = NOON + dt.timedelta(seconds=5 * k + 2)
        telemetry.jpeg_with_position(tmp_path / "w" / f"b{k}.jpg", 48.0, 8.0, when, seed=40 + k)
    outcome = take(tmp_path / "w")
    assert sum(told.num_frames for told in outcome.accepted) == 8
    assert not any(told.repairs for told in outcome.accepted)


def test_far_photos_are_clips_of_one_frame(tmp_path, take):
    photos(tmp_path / "w", step_s=3600.0)
    outcome = take(tmp_path / "w")
    assert [told.num_frames for told in outcome.accepted] == [1, 1, 1, 1]


def test_photos_on_two_clocks_are_ordered_by_name(tmp_path, take):
    photos(tmp_path / "w")
    local = NOON.replace(tzinfo=None) + dt.timedelta(hours=2, seconds=5)
    telemetry.jpeg_with_position(tmp_path / "w" / "9.jpg", 47.00001, 8.0, local, seed=1)
    (told,) = take(tmp_path / "w").accepted
    assert (told.num_frames, told.duration_s) == (4, None)


def test_a_standing_receiver_does_not_turn_a_walk_around(tmp_path, take):
    """Taken from z9 to z6; the receiver says 09:58:00 of each."""
    (tmp_path / "w").mkdir()
    for k in range(4):
        path = tmp_path / "w" / f"z{9 - k}.jpg"
        time = NOON.replace(tzinfo=None) + dt.timedelta(seconds=5 * k)
        telemetry.jpeg_with_position(path, 48.86 + 1e-5 * k, 2.28, time, seed=k)
        with Image.open(path) as image:
            tags = image.getexif()
            tags.get_ifd(ExifTags.IFD.GPSInfo).update(
                {ExifTags.GPS.GPSDateStamp: "2024:06:01", ExifTags.GPS.GPSTimeStamp: (9, 58, 0)}
            )
            image.save(path, exif=tags)
    (told,) = take(tmp_path / "w").accepted
    assert told.duration_s == 15.0
    assert "GPSTimeStamp stands still" in told.repairs[0]
    names = [Path(file).stem for file in tables(tmp_path).frames["file"]]
    assert names == ["z9", "z8", "z7", "z6"]


def test_photos_of_an_hour_that_comes_twice_tell_so(tmp_path, take):
    twice = NOON.replace(month=10, day=27, hour=2, minute=30, tzinfo=None)
    photos(tmp_path / "w", began=twice)
    how = dataclasses.replace(HOW, time_zone="Europe/Zurich")
    (told,) = take(tmp_path / "w", how=how).accepted
    assert any("comes twice in Europe/Zurich" in repair for repair in told.repairs)


def test_the_time_zone_of_a_folder_is_that_of_its_photos(tmp_path, take):
    photos(tmp_path / "w")
    local = NOON.replace(tzinfo=None) + dt.timedelta(hours=2, seconds=5)
    telemetry.jpeg_with_position(tmp_path / "w" / "9.jpg", 47.00001, 8.0, local, seed=1)
    (told,) = take(tmp_path / "w", how=dataclasses.replace(HOW, time_zone="Europe/Zurich")).accepted
    assert (told.num_frames, told.duration_s, told.repairs) == (4, 15.0, [])


def test_a_table_beside_photos_places_them(tmp_path, take):
    folder = tmp_path / "w"
    folder.mkdir()
    telemetry.jpeg_with_position(folder / "NA.jpg", None, None)
    telemetry.jpeg_with_position(folder / "x.jpg", None, None, seed=1)
    pd.DataFrame({"file": ["NA.jpg"], "lat": [-22.5], "lon": [17.0]}).to_csv(
        folder / "labels.csv", index=False
    )
    outcome = take(folder)
    (told,) = outcome.accepted
    assert (told.fix_source, told.lat_min) == ("table", -22.5)
    assert reasons(outcome) == {"x.jpg": "no_position"}


@pytest.mark.parametrize(("lat", "told"), [(47.001, []), (52.5, ["labels.csv says other places"])])
def test_a_table_that_contradicts_photos_is_told(tmp_path, take, lat, told):
    photos(tmp_path / "w")
    rows = "".join(f"{k + 8}.jpg,{lat},8\n" for k in range(4))
    (tmp_path / "w" / "labels.csv").write_text(f"file,lat,lon\n{rows}")
    (found,) = take(tmp_path / "w").accepted
    assert found.lat_max < 47.1
    assert [repair.split(":")[0] for repair in found.repairs] == told


def test_hemispheres_and_exchanged_columns_of_a_table_of_photos_are_told(tmp_path, take):
    (tmp_path / "w").mkdir()
    telemetry.jpeg_with_position(tmp_path / "w" / "x.jpg", None, None)
    rows = "file,lon,lat,n/s,e/w\nx.jpg,33.5,151.25,E,S\n"
    (tmp_path / "w" / "labels.csv").write_text(rows)
    (told,) = take(tmp_path / "w").accepted
    assert (told.lat_min, told.lon_min) == (-33.5, 151.25)
    assert "labels.csv: latitude and longitude were exchanged" in told.repairs[0]
    assert "negative by the letter S" in told.repairs[0]


def test_a_photo_whose_hemisphere_is_unknown_is_left_out_and_told(tmp_path, take):
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "Maker"
    place = {ExifTags.GPS.GPSLatitude: (33.0, 51.0, 0.0), ExifTags.GPS.GPSLongitude: (151.0,)}
    tags.get_ifd(ExifTags.IFD.GPSInfo).update(place)
    Image.new("RGB", (20, 10)).save(tmp_path / "x.jpg", exif=tags)
    (left,) = take(tmp_path / "x.jpg").quarantined
    assert "its latitude without N or S" in left.advice


def test_a_place_of_a_table_that_is_not_on_earth_is_told(tmp_path, take):
    (tmp_path / "w").mkdir()
    telemetry.jpeg_with_position(tmp_path / "w" / "x.jpg", None, None)
    (tmp_path / "w" / "labels.csv").write_text("file,lat,lon\nx.jpg,95,200\n")
    (left,) = take(tmp_path / "w").quarantined
    assert "95, 200: no place on Earth" in left.advice


@pytest.fixture
def album(tmp_path):
    """A folder with photos without positions in `a` and `b`, and a way to write tables."""
    for seed, name in enumerate(("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/[3].jpg")):
        (tmp_path / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        telemetry.jpeg_with_position(tmp_path / "album" / name, None, None, seed=seed)

    def write(table, rows):
        text = "".join(f"{name},{lat},17\n" for name, lat in rows)
        (tmp_path / "album" / table).write_text(f"file,lat,lon\n{text}")
        return tmp_path / "album"

    return write


def placed(outcome):
    """Latitude of each clip, which is a photo here."""
    return {"/".join(Path(t.path).parts[-2:]): t.lat_min for t in outcome.accepted}


def test_a_table_one_level_above_photos_places_them_by_name_or_path(album, take):
    rows = [("2.jpg", 1), ("a/1.jpg", 2), ("b\\1.jpg", 3), ("[3].jpg", 4)]
    outcome = take(album("all.csv", rows))
    assert placed(outcome) == {"a/1.jpg": 2, "a/2.jpg": 1, "b/1.jpg": 3, "b/[3].jpg": 4}
    told = {repair for record in outcome.accepted for repair in record.repairs}
    assert "positions from all.csv, one level above" in told


def test_a_table_beside_photos_wins_over_one_above(album, take):
    album("a/own.csv", [("2.jpg", 5)])
    outcome = take(album("all.csv", [("2.jpg", 1), ("a/2.jpg", 2)]))
    assert placed(outcome) == {"a/2.jpg": 5}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("1.jpg", 1)], "all.csv above says 1.jpg, which b has as well: write a/1.jpg"),
        ([("a/1.jpg", 1), ("a/1.jpg", 2)], "all.csv above has several positions for 1.jpg"),
    ],
)
def test_a_table_above_that_leaves_a_doubt_places_nothing_and_is_told(album, take, rows, told):
    outcome = take(album("all.csv", rows))
    assert not outcome.accepted
    advice = {r.path: r.advice for r in outcome.quarantined}
    assert any(path.endswith("a/1.jpg") and told in said for path, said in advice.items())


def test_a_table_that_came_later_above_photos_is_seen(album, take):
    folder = album("other.csv", [])
    assert not take(folder).accepted
    album("all.csv", [("a/2.jpg", 1)])
    assert placed(take(folder)) == {"a/2.jpg": 1}


def test_a_table_that_cannot_be_read_stops_no_photo_and_is_told(tmp_path, take):
    photos(tmp_path / "w")
    telemetry.jpeg_with_position(tmp_path / "w" / "x.jpg", None, None, camera="Other One")
    (tmp_path / "w" / "old.csv").write_text("file,lat,lon\nx.jpg,47,5,8,5\n")
    outcome = take(tmp_path / "w")
    assert outcome.accepted[0].num_frames == 4
    assert reasons(outcome) == {"x.jpg": "no_position"}
    assert "old.csv" in outcome.quarantined[0].advice


def test_a_walk_of_many_photos_is_chained_in_linear_time():
    """5,000 took two minutes of CPU when each looked back at all before it."""
    seen = [
        own_photos.Photo(
            Path(f"IMG_{k}.jpg"),
            dataclasses.replace(exif.NOTHING, lat=48.3 + k * 1e-5, lon=2.3, captured_s=1.7e9 + k),
            "exif",
        )
        for k in range(5_000)
    ]
    start = time.process_time()
    (chain,) = own_photos.sequences(seen)
    assert len(chain) == len(seen)
    assert time.process_time() - start < 15


def test_photos_that_lose_a_hemisphere_on_the_way_are_told_on_both_sides(tmp_path, take):
    (tmp_path / "w").mkdir()
    for k in range(8):
        lon, time = 74.0 * (-1 if k < 4 else 1), NOON + dt.timedelta(seconds=5 * k)
        telemetry.jpeg_with_position(
            tmp_path / "w" / f"{k}.jpg", 40.7 + 1e-5 * k, lon, time, seed=k
        )
    found = take(tmp_path / "w").accepted
    said = "3.jpg and 4.jpg, 5 s apart, has the other sign of longitude, and the other has not"
    assert [record.repairs for record in found] == [[f"one of {said}: nothing tells which"]] * 2


def test_photos_of_two_days_and_hemispheres_are_told_of_nothing(tmp_path, take):
    photos(tmp_path / "w")
    time = NOON + dt.timedelta(days=1)
    telemetry.jpeg_with_position(tmp_path / "w" / "99.jpg", 47.0, -8.0, time, seed=99)
    assert [record.repairs for record in take(tmp_path / "w").accepted] == [[], []]
