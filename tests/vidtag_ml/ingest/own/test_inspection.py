"""One recording becomes a clip, or a reason why not; nothing stops anything else."""

import dataclasses
import os
import shutil

import numpy as np
import pytest

from tests.data.recordings import film, photos, recording, walked
from tests.vidtag_ml.ingest.own.conftest import HOW, reasons, tables
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere
from vidtag_ml.ingest.own import inspection
from vidtag_ml.ingest.telemetry import exif


def test_a_video_with_a_track_beside_it_is_a_clip(tmp_path, take):
    path = recording(tmp_path / "my videos")
    outcome = take(tmp_path / "my videos")
    (told,) = outcome.accepted
    assert (told.path, told.fix_source, told.num_frames) == (str(path), "gpx", 12)
    assert told.num_fixes == 12
    assert told.lat_min == pytest.approx(47.0)
    (row,) = tables(tmp_path).clips.to_dict("records")
    assert (tmp_path / "data" / "trip" / row["video_path"]).samefile(path)
    assert (row["mode"], row["country"], row["kind"]) == ("walk", "Switzerland", "video")


def test_positions_of_frames_are_those_of_the_track(tmp_path, take):
    recording(tmp_path / "videos")
    take(tmp_path / "videos")
    found = tables(tmp_path)
    latlon, valid = clip_tables.clip_positions(found, found.clips["clip_id"][0], [0.0, 5.5], 2.0)
    assert valid.all()
    assert sphere.great_circle_km(latlon[0], latlon[1]) == pytest.approx(0.0055, rel=0.01)


def test_a_bad_recording_does_not_stop_a_good_one(tmp_path, take):
    recording(tmp_path / "v")
    (tmp_path / "v" / "b.mp4").write_bytes(b"not a video at all")
    film(tmp_path / "v" / "c.mp4", seed=2)
    outcome = take(tmp_path / "v")
    assert len(outcome.accepted) == 1
    assert reasons(outcome) == {"b.mp4": "unreadable", "c.mp4": "no_position"}
    assert all(record.advice for record in outcome.quarantined)


def test_a_row_that_is_not_on_earth_is_dropped_and_swaps_no_track(tmp_path, take):
    rows = [f"{k},{91.0 if k == 5 else 48.85 + k / 1e4:.4f},2.35" for k in range(12)]
    film(tmp_path / "v" / "a.mp4")
    (tmp_path / "v" / "a.csv").write_text("\n".join(["time_s,lat,lon", *rows]))
    (told,) = take(tmp_path / "v").accepted
    assert (told.lat_min, told.lon_max) == (48.85, 2.35)
    assert told.repairs[-1] == "1 of 12 fixes dropped: not on Earth"


def test_columns_of_hemispheres_are_believed_and_told(tmp_path, take):
    rows = [f"{k},{33.85 + k / 1e4:.4f},S,151.2,E" for k in range(12)]
    film(tmp_path / "v" / "a.mp4")
    (tmp_path / "v" / "a.csv").write_text("\n".join(["time_s,latitude,N/S,longitude,E/W", *rows]))
    (told,) = take(tmp_path / "v").accepted
    assert told.lat_max == -33.85
    assert told.repairs == ["12 of 12 latitudes negative by the letter S"]


def test_a_fix_that_is_dropped_stays_in_the_table_and_is_told(tmp_path, take):
    path = film(tmp_path / "v" / "a.mp4")
    walked(path.with_suffix(".gpx"))
    gpx = path.with_suffix(".gpx")
    text = gpx.read_text().replace('lat="47.0000', 'lat="17.0000', 1)
    gpx.write_text(text)
    (told,) = take(tmp_path / "v").accepted
    assert told.num_fixes == 11
    assert "1 of 12 fixes dropped" in told.repairs[-1]
    assert tables(tmp_path).fixes["status"].value_counts()["dropped"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_fixes_add_up_whatever_is_wrong_with_them(tmp_path, take, seed):
    """Used, and left out or dropped by reason, are together what the track has."""
    rng, num = np.random.default_rng(seed), 60
    film(tmp_path / "v" / "a.mp4", seed)
    time_s = [str(t) for t in (np.arange(num) - rng.integers(10, 30)).tolist()]
    places = [[f"{47 + k * 1e-5:.5f}", "8"] for k in range(num)]
    for k in rng.choice(num, 20, replace=False):
        time_s[k] = rng.choice([time_s[k], "", time_s[0]])
        places[k] = list(rng.choice([places[k], ["0", "0"], ["12", "8"], ["95", "8"]]))
    rows = [",".join([t, *place]) for t, place in zip(time_s, places, strict=True)]
    (tmp_path / "v" / "a.csv").write_text("\n".join(["time_s,lat,lon", *rows]))
    (told,) = take(tmp_path / "v").accepted
    assert told.num_found == num == told.num_fixes + sum(told.dropped.values())
    assert {"before or after the video", "without a time"} <= told.dropped.keys()
    for reason, number in told.dropped.items():
        assert any(r.startswith(f"{number} of ") and reason in r for r in told.repairs)


def test_what_a_reader_leaves_out_is_part_of_the_sum_and_told_once(tmp_path, take):
    path = recording(tmp_path / "v")
    gpx = path.with_suffix(".gpx")
    gpx.write_text(gpx.read_text().replace("<trk>", '<wpt lat="1" lon="2"/><trk>', 1))
    (told,) = take(tmp_path / "v").accepted
    assert (told.num_found, told.num_fixes) == (13, 12)
    assert told.dropped == {"waypoints left out: they are no track": 1}
    assert [r for r in told.repairs if "waypoints" in r] == [
        "1 waypoints left out: they are no track"
    ]


def test_odd_files_are_told_of_and_stop_nothing(tmp_path, take):
    recording(tmp_path / "2024:06:01")
    (tmp_path / "2024:06:01" / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "2024:06:01" / "IMG.HEIC").write_bytes(b"heic")
    os.link(tmp_path / "2024:06:01" / "a.mp4", os.fsencode(tmp_path) + b"/2024:06:01/Z\xfcrich.mp4")
    outcome = take(tmp_path / "2024:06:01")
    assert len(outcome.accepted) == 1
    assert reasons(outcome) == {
        "gone.mp4": "unreadable", "IMG.HEIC": "unreadable", "Z?rich.mp4": "unreadable",
    }  # fmt: skip


def test_copies_have_no_metadata_and_stay_when_the_recordings_go(tmp_path, take):
    photos(tmp_path / "w")
    path = recording(tmp_path / "v")
    copies = inspection.Copies(str(tmp_path / "data" / "trip" / "media"))
    copied = dataclasses.replace(HOW, copies=copies)
    assert len(take(tmp_path / "w", path, how=copied).accepted) == 2
    shutil.rmtree(tmp_path / "w")
    assert len(take(path, how=copied).accepted) == 1
    found = tables(tmp_path)
    assert len(found.clips) == 2
    picture = tmp_path / "data" / "trip" / found.frames["file"][0]
    assert np.isnan(exif.read(picture).lat)
