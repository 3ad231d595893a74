"""How often radii hold the truth, told by kinds of clips, and radii as val clips teach them."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml.models.familiarity import Familiarity, Looks
from vidtag_ml.models.gps_retrieval import calibration, coverage
from vidtag_ml.models.gps_retrieval.belief import Belief, Part
from vidtag_ml.models.gps_retrieval.calibration import SHARES, Calibration, Radii, Sureness
from vidtag_ml.models.gps_retrieval.network import Prediction
from vidtag_ml.plots import charts

FACTORS = tuple(10 * share for share in SHARES)
LOOKS = Looks.of(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def fitted():
    radii = {"car": [Radii(1, 50, FACTORS, 30.0), Radii(4, 50, tuple(f / 2 for f in FACTORS), 9.0)]}
    return Calibration(radii, {"car": 50, "walk": 3}, Familiarity("drives (own)", (), LOOKS))


def found(num, spread_km=2.0):
    at, ones = np.zeros((num, 2)), np.ones(num)
    return Prediction(at, at, ones, at[:, None], ones[:, None], spread_km * ones)


def test_radii_are_those_of_the_mode_and_of_as_many_frames(fitted):
    few, many = (fitted.sureness("car", torch.ones(n, 3), found(n)) for n in (3, 5))
    np.testing.assert_allclose([*few.radius_km_T, *many.radius_km_T], [18.0] * 3 + [9.0] * 5)
    assert (few.track_radius_km, many.track_radius_km) == (60.0, 18.0)


def test_a_mode_of_few_val_clips_has_no_radius_and_that_is_told(fitted):
    sure = fitted.sureness("walk", torch.ones(3, 3), found(3))
    assert (sure.radius_km_T, sure.track_radius_km, sure.beyond) == (None, None, None)
    told = "no radius: 3 val clips of mode walk, and 40 are needed to tell one"
    assert sure.told == (told,)


def test_what_val_clips_taught_is_kept(fitted, tmp_path):
    fitted.write(tmp_path)
    again = Calibration.read(tmp_path)
    assert (again.radii, again.num_clips) == (fitted.radii, fitted.num_clips)
    assert again.familiarity.kinds == "drives (own)"


def test_radii_of_cut_clips_hold_new_ones():
    rng = np.random.default_rng(0)

    def clips(num):
        for scale in rng.lognormal(0, 1, num):
            spread = rng.uniform(1, 100, 6)
            yield calibration._Judged("car", scale * spread, spread, np.zeros(2))

    learnt = calibration._radii(1, "car", list(clips(300)))
    new = [(j.error_km_T <= learnt.points[-1] * j.spread_km_T).mean() for j in clips(2000)]
    assert 0.86 < np.mean(new) < 0.94
    assert calibration._radii(1, "car", list(clips(39))) is None


def test_shares_that_are_held_are_counted_frame_by_frame(fitted):
    sure = dataclasses.replace(Sureness(), radius_km_T=np.full(3, 18.0), track_radius_km=60.0)
    row = coverage.of_clip(fitted, "car", sure, np.array([1.9, 17.0, np.nan]))
    assert (row["held_0.1"], row["held_0.9"], row["track_held"]) == (0.5, 1.0, 1.0)
    assert coverage.reliability(coverage.figures(pd.DataFrame([row]), 10))[0.1] == 0.5


def test_kinds_of_clips_are_judged_if_they_are_enough():
    clips = pd.DataFrame({"clip_id": [f"{k}" for k in range(60)], "held_0.9": 0.9})
    clips.loc[:44, "held_0.9"] = 0.8
    kinds = pd.DataFrame({"continent": ["Asia"] * 45 + ["Europe"] * 15}, index=clips["clip_id"])
    table = coverage.by_slice(clips, kinds).set_index("clips are of")
    assert table["verdict"].to_dict() == {
        "all clips": "too seldom",
        "Asia": "too seldom",
        "Europe": "fewer than 40 clips",
    }


def test_reliability_is_drawn(tmp_path):
    held = {split: {share: share for share in SHARES} for split in ("val", "test")}
    assert charts.reliability(held, tmp_path / "a.png").stat().st_size > 1000


def test_areas_that_are_searched_end_with_the_cell_of_the_truth():
    line = np.stack([np.zeros(4), np.arange(4.0)], -1)
    weights = np.array([[0.5, 0.3, 0.15, 0.05]] * 3, np.float32)
    belief = Belief((Part(line, weights[:2]), Part(line, weights[2:])), 111.0)
    truth = np.array([(0.0, 0.1), (0.0, 2.1), (50.0, 0.0)])
    mass, area = belief.searched(truth)
    np.testing.assert_allclose(mass, [0.0, 0.8, 1.0], atol=1e-6)
    np.testing.assert_allclose(area, [111.0**2, 3 * 111.0**2, np.inf])
    assert np.isnan(belief.searched(np.full((3, 2), np.nan))[0]).all()


def test_areas_are_counted_frame_by_frame_and_drawn(tmp_path):
    line = np.stack([np.zeros(2), np.arange(2.0)], -1)
    belief = Belief((Part(line, np.full((2, 2), 0.5, np.float32)),), 111.0)
    row = coverage.of_areas(belief, np.array([(0.0, 0.0), (np.nan, np.nan)]))
    assert (row["area_held_0.1"], row["found_10000km2"], row["found_30000km2"]) == (1.0, 0.0, 1.0)
    summary = coverage.figures(pd.DataFrame([row]), 10)
    assert coverage.area_reliability(summary) == dict.fromkeys(SHARES, 1.0)
    recall = coverage.recall_by_area(summary)
    assert [recall[1e4], recall[1e6]] == [0.0, 1.0]
    assert charts.recall_by_area({"test": recall}, tmp_path / "a.png").stat().st_size > 1000
    assert coverage.of_areas(belief, np.full((2, 2), np.nan)) == {}
