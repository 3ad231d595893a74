"""Claims about ExifTool: other cameras' tracks are read by it, and what it doubts is not believed.

What it says is its own where it is installed, and else what a program of its name is told to say.
"""

import numpy as np
import pytest

from tests.data import cameras
from tests.data.recordings import film
from vidtag_ml.ingest.telemetry import exiftool, points
from vidtag_ml.ingest.telemetry.readers import Recording
from vidtag_ml.media import video

installed = pytest.mark.skipif(not exiftool.version(), reason="exiftool is not installed")
SYDNEY = [(-33.85 - 1e-4 * k, 151.2 + 1e-4 * k) for k in range(12)]
LONDON = [(51.5, -0.1 - 1e-4 * k) for k in range(12)]
NOON_S = cameras.START.timestamp()


@pytest.fixture(scope="session")
def filmed(tmp_path_factory):
    return film(tmp_path_factory.mktemp("film") / "a.mp4")


@pytest.fixture
def says(exiftool_says, filmed):
    """Reads a video of 12 s of which exiftool says this."""

    def read(answer, **tags):
        exiftool_says(answer)
        return exiftool.read(Recording(video.Container(tags, ()), [], filmed))

    return read


def track(rows=SYDNEY, step_s=1.0, group="Track3", **more):
    """What is said of a track with a position a sample."""
    said = {}
    for k, (lat, lon) in enumerate(rows):
        tags = {"GPSLatitude": lat, "GPSLongitude": lon, "SampleTime": k * step_s, **more}
        said |= {f"Doc{k + 1}:{group}:{tag}": value for tag, value in tags.items()}
    return said


def clocked(seconds, rows=SYDNEY):
    """What is said of positions that tell nothing but their time of day."""
    said = {key: v for key, v in track(rows[: len(seconds)]).items() if "SampleTime" not in key}
    stamps = (f"2019:05:06 18:15:{7 + s:02d}Z" for s in seconds)
    return said | {f"Doc{k + 1}:Track3:GPSDateTime": stamp for k, stamp in enumerate(stamps)}


CAMERAS = ("novatek", "vsys", "blackvue", "insta360", "garmin", "sentences", "sony")


@installed
@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("rows", [SYDNEY, LONDON], ids=["sydney", "london"])
def test_tracks_of_other_cameras_come_back(tmp_path, filmed, camera, rows):
    path = getattr(cameras, camera)(filmed, tmp_path / "a.mp4", rows)
    found = exiftool.read(Recording(video.container(path), [], path))
    np.testing.assert_allclose(found.points[["lat", "lon"]], rows, atol=1e-5)
    np.testing.assert_allclose(found.points["time_s"], range(12), atol=1e-6)
    assert tuple(found.points.columns) == points.COLUMNS
    assert found.fix_source == "exiftool"


@pytest.mark.skipif(
    float(exiftool.version() or 0) < 13, reason="exiftool 13 or later is not installed"
)
def test_djmd_of_dji_s_cameras_is_read_from_exiftool_13_on(tmp_path, filmed):
    path = cameras.djmd(filmed, tmp_path / "a.mp4", SYDNEY)
    found = exiftool.read(Recording(video.container(path), [], path)).points
    np.testing.assert_allclose(found[["lat", "lon"]], SYDNEY)
    assert found["time_s"].tolist() == list(range(12))


@installed
def test_a_drone_s_line_of_text_has_its_longitude_first(tmp_path, filmed):
    path = cameras.dji_text(filmed, tmp_path / "a.mp4", SYDNEY)
    found = exiftool.read(Recording(video.container(path), [], path)).points
    np.testing.assert_allclose(found[["lat", "lon"]], SYDNEY, atol=6e-5)


@installed
def test_positions_that_cannot_be_deciphered_are_not_believed(tmp_path, filmed):
    path = cameras.enciphered(filmed, tmp_path / "a.mp4", 12)
    with pytest.raises(ValueError, match="these will be wrong"):
        exiftool.read(Recording(video.container(path), [], path))


@installed
@pytest.mark.parametrize("name", ["-n.mp4", "a.mp4|", "@é %f #.mp4", "a\nb.mp4", "a.mp4'"])
def test_names_of_files_are_no_options_and_no_commands(tmp_path, filmed, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = cameras.garmin(filmed, tmp_path / name, SYDNEY).relative_to(tmp_path)
    found = exiftool.read(Recording(video.Container({}, ()), [], path))
    assert len(found.points) == 12


def test_a_letter_gives_an_unsigned_angle_its_sign(says):
    west = [(33.0, 151.0)] * 3
    found = says(track(west, GPSLatitudeRef="S", GPSLongitudeRef="W")).points
    assert found[["lat", "lon"]].to_numpy().tolist() == [[-33.0, -151.0]] * 3


def test_a_sign_and_a_letter_that_contradict_each_other_are_refused(says):
    with pytest.raises(ValueError, match=r"at -33\.85 and marked N"):
        says(track(GPSLatitudeRef="N"))
    assert len(says(track(GPSLatitudeRef="S")).points) == 12


@pytest.mark.parametrize("word", ["will be wrong", "cannot decrypt", "need API GPSQuadrant"])
def test_a_track_is_refused_that_exiftool_doubts(says, word):
    with pytest.raises(ValueError, match=f"ExifTool 9 warns: it {word}"):
        says({**track(), "ExifTool:Warning": "it is long", "Doc2:ExifTool:Warning": f"it {word}"})


def test_other_warnings_are_told(says):
    said = {**track(), "ExifTool:Warning": "Truncated data", "Track1:Warning": "[minor] Old"}
    assert says(said).repairs == ("ExifTool warns: Truncated data",)


def test_a_track_far_from_the_location_tag_is_refused(says):
    with pytest.raises(ValueError, match="km from its location tag"):
        says({**track(), "Composite:GPSLatitude": 33.85, "Composite:GPSLongitude": 151.2})
    near = {**track(), "Composite:GPSLatitude": -33.8, "Composite:GPSLongitude": 151.2}
    assert len(says(near).points) == 12


def test_a_time_of_day_that_was_made_up_is_not_the_receiver_s(says):
    stamped = track(GPSDateTime="2019:05:06 18:15:07Z")
    assert says(stamped).points["utc_s"].tolist() == [NOON_S] * 12
    made_up = {**stamped, "ExifTool:Warning": "[minor] Approximating GPSDateTime as CreateDate"}
    assert says(made_up).points["utc_s"].isna().all()
    assert says(track(GPSDateTime="2019:05:06 18:15:07")).points["utc_s"].isna().all()


def test_a_track_of_whole_seconds_as_long_as_its_video_begins_with_it(says):
    found = says(clocked(range(12)))
    assert found.points["time_s"].tolist() == list(range(12))
    assert any("begins with the video" in told for told in found.repairs)


def test_positions_of_one_second_are_spread_over_it(says):
    found = says(clocked([0, 0, 1, 1, 4, 6, 8, 9, 10, 10, 11, 11]))
    assert found.points["time_s"].tolist()[:4] == [0.0, 0.5, 1.0, 1.5]
    assert any("share their second" in told for told in found.repairs)


def test_a_track_shorter_than_its_video_needs_the_recording_s_time(says):
    late = clocked(range(5, 9))
    with pytest.raises(ValueError, match="nothing tells where in it they begin"):
        says(late)
    found = says(late, creation_time="2019-05-06T20:15:07Z")
    assert found.points["time_s"].tolist() == [5.0, 6.0, 7.0, 8.0]
    assert any("-2 h" in told for told in found.repairs)


def test_a_position_without_a_sample_s_time_has_that_of_its_clock(says):
    said = {**clocked(range(12)), "Doc1:Track3:SampleTime": 0.25}
    assert says(said).points["time_s"].tolist() == [0.25 + k for k in range(12)]


def test_positions_without_any_time_are_refused(says):
    with pytest.raises(ValueError, match="have no times"):
        says({key: v for key, v in track().items() if "SampleTime" not in key})


@pytest.mark.parametrize("place", ["Doc1:Track2:Copy{}", "Doc1-{}:Track2"])
def test_the_positions_of_one_sample_are_spread_over_it(says, place):
    said = {"Doc1:Track2:SampleTime": 2.0, "Doc1:Track2:SampleDuration": 1.0}
    said["Doc1:Track2:GPSDateTime"] = "2019:05:06 18:15:07Z"
    for k, (lat, lon) in enumerate(SYDNEY[:4]):
        where = place.format(k) if k else "Doc1:Track2"
        said |= {f"{where}:GPSLatitude": lat, f"{where}:GPSLongitude": lon}
    found = says(said).points
    assert found["time_s"].tolist() == [2.0, 2.25, 2.5, 2.75]
    assert (found["utc_s"] - NOON_S).tolist() == [0.0, 0.25, 0.5, 0.75]


def test_the_longer_of_two_tracks_is_read_and_the_other_told(says):
    found = says({**track(SYDNEY[:4], group="Track2"), **track(group="Track3")})
    assert len(found.points) == 12
    assert found.repairs == ("4 positions in Track2 are left unread",)
    assert found.left_out == {"positions in Track2 are left unread": 4}


def test_half_a_position_is_left_out_and_told(says):
    said = track()
    del said["Doc3:Track3:GPSLongitude"]
    found = says(said)
    assert found.points["time_s"].tolist() == [0.0, 1.0, *range(3, 12)]
    assert found.left_out == {"samples have half a position: left out": 1}
    assert found.repairs == ("1 samples have half a position: left out",)


def test_an_edit_list_is_told(says):
    found = says({**track(), "Track1:TrackDuration": 10.0, "Track1:MediaDuration": 12.0})
    assert found.repairs == (
        "an edit list cuts 2.0 s from a track: its positions may be off by as much",
    )


def test_a_single_position_is_taken_where_the_video_s_tags_have_none(says):
    said = {"Composite:GPSLatitude": 47.5, "Composite:GPSLongitude": -8.5}
    found = says(said)
    assert found.points[["time_s", "lat", "lon"]].to_numpy().tolist() == [[0.0, 47.5, -8.5]]
    assert found.fix_source == "location_tag"
    assert found.repairs == ("ExifTool reads one position, of the whole file",)
    assert not len(says(said, location="+47.5-008.5/").points)


@pytest.mark.parametrize("answer", ["", "{}", "[]", "[1]", "[{},{}]", "[" * 9999, "ÿ"])
def test_an_answer_that_is_none_is_refused(says, answer):
    with pytest.raises(ValueError, match="ExifTool 9"):
        says(answer)


@pytest.mark.parametrize("value", ["x", None, [], {}, True, 1e999, "1e999", -181, [1, 2]])
def test_values_that_are_no_numbers_give_no_position_on_earth(says, value):
    found = says(track(GPSLatitude=value)).points
    assert not (found["lat"].abs() <= 90).any()
