"""Claims about the tags of a video: one position by ISO 6709, and when it was begun."""

import datetime as dt

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import points, quicktime
from vidtag_ml.media import video


@pytest.mark.parametrize(
    ("text", "lat", "lon", "altitude_m"),
    [
        ("+52.3693+006.6761+10.534988/", 52.3693, 6.6761, 10.534988),
        ("+34.0754-118.2543/", 34.0754, -118.2543, np.nan),
        ("-00.5000-000.2500", -0.5, -0.25, np.nan),
        ("+90-180/", 90.0, -180.0, np.nan),
        ("+4722.5+00830.25+400/", 47.375, 8.504166667, 400.0),
        ("-472230.6+0083015.3-12.5CRSWGS_84/", -47.375166667, 8.504250000, -12.5),
        ("+5.25-7.5/", 5.25, -7.5, np.nan),
    ],
)
def test_each_form_of_iso_6709_is_read(text, lat, lon, altitude_m):
    (row,) = quicktime.read({"location": text}).points.to_dict("records")
    assert row["time_s"] == 0
    np.testing.assert_allclose([row["lat"], row["lon"]], [lat, lon], atol=1e-9)
    np.testing.assert_array_equal(row["altitude_m"], altitude_m)


def test_apple_s_tag_comes_first_and_has_an_accuracy():
    apple = "com.apple.quicktime.location"
    tags = {"location": "+01+002/", f"{apple}.ISO6709": "+03+004/"}
    table = quicktime.read({**tags, f"{apple}.accuracy.horizontal": "14.5"}).points
    assert table[["lat", "lon", "accuracy_m"]].values.tolist() == [[3.0, 4.0, 14.5]]


def test_another_tag_that_is_elsewhere_is_told():
    tags = {"location": "+01+002/", "location-eng": "+01+002/", quicktime.LOCATIONS[0]: "+03+004/"}
    assert quicktime.read(tags).repairs == (
        "another location tag says +01+002/: the first is read",
    )
    assert quicktime.read({**tags, quicktime.LOCATIONS[0]: "+01.001+002/"}).repairs == ()


@pytest.mark.parametrize("text", ["+48.85+002.35CRSEPSG:2154/", "+4885.00+00235.00/"])
def test_another_coordinate_system_and_minutes_above_60_are_refused(text):
    with pytest.raises(ValueError, match=r"is not in WGS 84|more than 60 minutes"):
        quicktime.read({"location": text})


def test_no_tag_gives_no_row():
    table = quicktime.read({"encoder": "Lavf", "location": " "}).points
    assert (len(table), tuple(table.columns)) == (0, points.COLUMNS)


@pytest.mark.parametrize("text", ["Zurich", "47.3+8.5/", "+47.3/", "+473+008/", "+47+0083/", "++"])
def test_a_tag_that_is_no_position_is_refused(text):
    with pytest.raises(ValueError, match="ISO 6709"):
        quicktime.read({"location": text})


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ({"creation_time": "2020-11-20T14:04:36.500000Z"}, "2020-11-20T14:04:36.5+00:00"),
        ({"creation_time": "2020-11-20T14:04:36"}, "2020-11-20T14:04:36+00:00"),
        (
            {
                "com.apple.quicktime.creationdate": "2019-07-24T11:25:40+0300",
                "creation_time": "2019-07-24T08:25:57Z",
            },
            "2019-07-24T08:25:40+00:00",
        ),
        (
            {
                "com.apple.quicktime.creationdate": "2019-07-24T11:25:40",
                "creation_time": "2019-07-24T08:25:57Z",
            },
            "2019-07-24T08:25:57+00:00",
        ),
    ],
)
def test_the_time_of_creation_is_utc(tags, wanted):
    assert quicktime.created(tags)[0] == dt.datetime.fromisoformat(wanted).timestamp()


@pytest.mark.parametrize("text", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "yesterday", ""])
def test_an_unset_clock_tells_no_time(text):
    assert np.isnan(quicktime.created({"creation_time": text})[0])
    assert np.isnan(quicktime.created({})[0])


@pytest.mark.parametrize(
    "name", ["ducks_nl_location.mp4", "flir_thermal_vfr.mp4", "iphone6_rotated90.mov"]
)
def test_real_videos_are_where_the_manifest_says(real, manifest, name):
    path = f"metadata_extractor/video/{name}"
    tags = video.container(real / path).tags
    (found,) = quicktime.read(tags).points[["lat", "lon"]].to_numpy()
    wanted = [float(manifest["lat_min"][path]), float(manifest["lon_min"][path])]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert quicktime.created(tags)[0] > 1.5e9
