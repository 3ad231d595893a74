"""Two reports against each other: on the clips that both have, clip by clip, as pictures."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vidtag_ml.models import versus
from vidtag_ml.models.cityguessr.judging import RULE as PLACES
from vidtag_ml.models.gps_retrieval.judging import RULE
from vidtag_ml.models.report import Report

NUM = 24
CLIPS = [f"clip-{k:02d}" for k in range(NUM)]
FIRST_KM = np.full(NUM, 100.0)
SECOND_KM = np.r_[np.full(14, 20.0), np.full(9, 105.0), 5000.0]
LABELS = pd.DataFrame({"continent": ["Asia"] * 14 + ["Africa"] * 10}, index=CLIPS)
LATLON = pd.DataFrame({"lat": np.linspace(-40, 60, NUM), "lon": 10.0}, index=CLIPS)


def report(errors_km, gallery="g", clips=CLIPS):
    per_clip = pd.DataFrame({"clip_id": clips, "median_km": errors_km})
    frames = pd.DataFrame({"clip": np.repeat(clips, 2), "time_s": np.tile([0.0, 1.0], len(clips))})
    north = np.repeat(np.linspace(-40, 60, len(clips)), 2)
    frames = frames.assign(true_lat=north, true_lon=10.0, lat=north + 1, lon=10.0, score=1.0)
    frames = frames.assign(initial_lat=north, initial_lon=11.0, error_km=111.0)
    return Report({"gallery_md5": gallery, "split": "val"}, per_clip, frames)


def against(first, second, labels=LABELS):
    return versus.versus(RULE, first, second, labels, 100)


def test_clips_that_got_better_or_worse_are_counted_the_worst_first():
    found = against(report(FIRST_KM), report(SECOND_KM))
    assert [found.count(how) for how in ("better", "worse", "alike")] == [14, 1, 9]
    worst = found.clips.iloc[0]
    assert (worst.clip_id, worst["first"]) == ("clip-23", pytest.approx(100.0))
    assert worst.change == pytest.approx(50.0)


def test_figures_are_paired_on_all_clips_and_slice_by_slice():
    rows = {row.name: row for row in against(report(FIRST_KM), report(SECOND_KM)).rows}
    assert list(rows) == ["all", "Africa", "Asia"]
    assert rows["Asia"].change == pytest.approx(0.2)
    assert (rows["Asia"].low, rows["Asia"].judged) == (pytest.approx(0.2), "better")


def test_only_clips_of_both_are_compared_and_that_is_told():
    other = report(SECOND_KM[4:], gallery="h", clips=CLIPS[4:])
    found = against(report(FIRST_KM), other)
    assert found.rows[0].num == NUM - 4
    assert "not measured on the same: another gallery" in found.told
    assert "compared on the 20 clips that both have, of 24 and 20" in found.told


def test_reports_without_a_common_clip_are_refused():
    with pytest.raises(ValueError, match="no clip in common"):
        against(report(FIRST_KM), report(FIRST_KM, clips=[f"other {c}" for c in CLIPS]))


def test_pictures_show_where_and_how_much_and_the_tracks_that_changed_most(tmp_path):
    reports = {"vidtag/1": report(FIRST_KM), "vidtag/2": report(SECOND_KM)}
    files = versus.draw(against(*reports.values()), reports, LATLON, tmp_path)
    assert [path.name for path in files] == ["map.png", "errors.png", "tracks.png"]
    for path in files:
        with Image.open(path) as image:
            assert image.width == 1200


def test_places_have_a_map_alone_and_clips_that_are_nowhere_none(tmp_path):
    found = dataclasses.replace(against(report(FIRST_KM), report(SECOND_KM)), rule=PLACES)
    reports = {"a": "a report on places", "b": "another"}
    assert [path.name for path in versus.draw(found, reports, LATLON, tmp_path)] == ["map.png"]
    assert versus.draw(found, reports, None, tmp_path) == []
