"""What became of a recording is the same after it was written down."""

import dataclasses
import json

import pytest

from vidtag_ml.dataset import tables
from vidtag_ml.ingest.own import records
from vidtag_ml.ingest.own.records import Accepted, Clip, Rejected, Summary

CLIP = Clip("ride-1", "ab", "video", "ride", "cd", 90, 3.0, 30.0, 1920, 1080, "h264")
BOX = (47.0, 47.1, 8.0, 8.1)
SUMMARY = Summary("ride-1", "ride.mp4", "pyav", 90, 3.0, 2, "gpx", *BOX, ["a"], 5, {"late": 3})
FIXES = {"time_s": [0.0, 3.0], "lat": [47.0, 47.1], "lon": [8.0, 8.1]}
FILES = (["/ride.mp4"], ["/ride.mp4"])
RIDE = Accepted(CLIP, SUMMARY, FIXES, 1e9, *FILES, [1, 2**64 - 1], [], ["/ride.gpx"])
BAD = Rejected("bad.mp4", "unreadable", "copy it again", ["/bad.mp4"])


@pytest.mark.parametrize("record", [RIDE, BAD])
def test_a_record_comes_back_as_it_was_written(record):
    written = json.loads(json.dumps(records.to_json(record)))
    assert records.from_json(written) == record


@pytest.mark.parametrize("record", [RIDE, BAD])
def test_a_record_that_lacks_something_or_has_something_unknown_is_refused(record):
    written = records.to_json(record)
    for other in ({**written, "speed": 1}, {k: v for k, v in written.items() if k != "files"}):
        with pytest.raises(TypeError):
            records.from_json(other)


def test_a_clip_s_fields_are_columns_of_its_row():
    names = {field.name for field in dataclasses.fields(Clip)} - {"source_md5"}
    assert names < tables.CLIP_COLUMNS.keys()


def test_what_is_printed_has_no_paths_but_the_one_that_was_asked_for():
    assert BAD.as_json() == {
        "path": "bad.mp4", "reason": "unreadable", "advice": "copy it again",
    }  # fmt: skip
    assert SUMMARY.as_json() == dataclasses.asdict(SUMMARY)
