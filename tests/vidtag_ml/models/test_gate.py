"""The gate on reports made by hand: gains, ties, regressions in one place, other splits."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.models import gate
from vidtag_ml.models.cityguessr import judging as cityguessr_judging
from vidtag_ml.models.cityguessr.evaluate import PlaceReport, intervals
from vidtag_ml.models.gama import judging as gama_judging
from vidtag_ml.models.gps_retrieval import judging
from vidtag_ml.models.report import Report

NUM = 40


def report(errors_km, gallery="g", shift=0.0):
    clips = [f"clip-{k:02d}" for k in range(NUM)]
    per_clip = pd.DataFrame({"clip_id": clips, "median_km": errors_km})
    per_clip["continent"] = ["Africa"] * 20 + ["Asia"] * 15 + ["Europe"] * 5
    frames = pd.DataFrame({"clip": clips, "time_s": 0.0, "true_lat": shift, "true_lon": 0.0})
    return Report({"gallery_md5": gallery, "split": "val"}, per_clip, frames)


def far(km=5000.0):
    """Errors of a blind answer that is as wrong everywhere."""
    return pd.DataFrame({"the centre": km}, index=report(ERRORS).per_clip["clip_id"])


def labels_of(report):
    return report.per_clip.set_index("clip_id")[["continent"]]


def judge(challenger, rival, blind=None, least_clips=20, **how):
    floor = judging.over_blind(challenger, far() if blind is None else blind, 200)
    how = {"labels": labels_of(challenger), **how}
    return gate.judge(
        judging.RULE, challenger, rival, "champion 1", floor,
        least_clips=least_clips, draws=200, **how,
    )  # fmt: skip


ERRORS = np.linspace(50, 150, NUM)


def test_clear_gain_is_promoted_and_measured():
    verdict = judge(report(ERRORS * 0.5), report(ERRORS))
    assert verdict.promoted
    assert verdict.whole.change == pytest.approx(0.5)


def test_tie_keeps_the_champion():
    verdict = judge(report(ERRORS), report(ERRORS))
    assert not verdict.promoted
    assert "no significant gain" in verdict.reasons[0]


def test_loss_keeps_the_champion():
    assert not judge(report(ERRORS * 1.1), report(ERRORS)).promoted


def test_gain_by_chance_keeps_the_champion():
    noise = np.exp(np.random.default_rng(0).normal(-0.02, 1.0, NUM))
    assert not judge(report(ERRORS * noise), report(ERRORS)).promoted


def test_regression_of_a_continent_forbids_promotion():
    factor = np.r_[np.full(20, 0.1), np.full(15, 1.5), np.full(5, 0.1)]
    verdict = judge(report(ERRORS * factor), report(ERRORS))
    assert not verdict.promoted
    assert verdict.reasons[0].startswith("Asia got worse: 1.50 [1.50, 1.50] times on 15 val clips")


def test_continent_of_few_clips_is_not_judged_alone():
    factor = np.r_[np.full(35, 0.1), np.full(5, 1.5)]
    assert judge(report(ERRORS * factor), report(ERRORS)).promoted


def test_no_slice_forbids_the_first_champion_and_all_are_told():
    factor = np.r_[np.full(20, 0.1), np.full(15, 1.5), np.full(5, 0.1)]
    verdict = judge(report(ERRORS * factor), report(ERRORS), first=True)
    assert verdict.promoted
    assert "Asia got worse: 1.50 [1.50, 1.50] times on 15 val clips" in verdict.reasons


@pytest.mark.parametrize("first", [False, True])
def test_nine_clips_a_hundred_times_as_wrong_are_named_with_their_size(first):
    factor, continents = np.r_[np.full(31, 0.1), np.full(9, 100.0)], ["Asia"] * 31 + ["Oceania"] * 9
    labels = labels_of(report(ERRORS)).assign(continent=continents)
    verdict = judge(report(ERRORS * factor), report(ERRORS), labels=labels, first=first)
    (said,) = (reason for reason in verdict.reasons if "not judged" in reason)
    assert said.endswith("fewer than 10 clips: Oceania (9, 100.0 times the error)")


def test_any_way_of_slicing_forbids_promotion_and_unknown_kinds_do_not_count():
    dark = [None] * 10 + ["night"] * 10 + ["day"] * 20
    labels = labels_of(report(ERRORS)).assign(**{"time of day": dark})
    factor = np.r_[np.full(10, 0.1), np.full(10, 1.5), np.full(20, 0.1)]
    verdict = judge(report(ERRORS * factor), report(ERRORS), labels=labels)
    assert not verdict.promoted
    assert verdict.reasons[0].startswith("night got worse: 1.50 [")
    assert [row.name for row in verdict.rows] == ["all", "Africa", "Asia", "Europe", "day", "night"]


def test_what_may_not_become_champion_is_compared_and_not_promoted():
    verdict = judge(report(ERRORS * 0.5), report(ERRORS), bars=["its code is changed"])
    assert not verdict.promoted
    assert (verdict.reasons[0], verdict.num_against) == ("its code is changed", 1)
    assert verdict.whole.change == pytest.approx(0.5)


def test_what_is_worse_by_its_own_interval_alone_is_told_as_perhaps_by_chance():
    spread = np.tile([-0.55, 0.75], 20)
    change = np.where(np.arange(NUM) < 20, spread - 1.0, np.where(np.arange(NUM) < 35, spread, -1))
    kinds = pd.DataFrame({f"kind {k}": np.roll(np.repeat([0, 1], 20), k) for k in range(12)})
    labels = labels_of(report(ERRORS)).reset_index().join(kinds).set_index("clip_id")
    verdict = judge(report(ERRORS * np.exp(change + 0.34)), report(ERRORS), labels=labels)
    assert verdict.promoted
    (said,) = (reason for reason in verdict.reasons if "perhaps by chance" in reason)
    assert said.startswith("Asia worse, perhaps by chance: 1.")
    assert said.endswith("times on 15 val clips")


@pytest.mark.parametrize("rival", [None, "another gallery"])
def test_what_may_not_become_champion_stays_so_without_a_rival(rival):
    rival = rival and report(ERRORS, gallery="h")
    verdict = judge(report(ERRORS * 0.5), rival, bars=["its code is changed"])
    assert not verdict.promoted
    assert "its code is changed" in verdict.reasons


def test_of_many_small_slices_a_dozen_are_named_the_worst_first():
    labels = pd.DataFrame({"camera": [f"camera {k // 2:02d}" for k in range(NUM)]})
    labels.index = labels_of(report(ERRORS)).index
    factor = np.r_[np.full(38, 0.1), np.full(2, 3.0)]
    (said,) = (
        r
        for r in judge(report(ERRORS * factor), report(ERRORS), labels=labels).reasons
        if "not" in r
    )
    assert "clips: camera 19 (2, 3.0 times the error), camera 00 (2)" in said
    assert said.endswith("camera 10 (2) and 8 more")


@pytest.mark.parametrize(
    ("other", "why"), [({"gallery": "h"}, "another gallery"), ({"shift": 1.0}, "another val split")]
)
def test_other_gallery_or_split_cannot_be_compared(other, why):
    verdict = judge(report(ERRORS * 0.1), report(ERRORS, **other))
    assert not verdict.promoted
    assert why in verdict.reasons[0]


def test_order_of_clips_does_not_matter():
    shuffled = dataclasses.replace(
        report(ERRORS * 0.5), per_clip=report(ERRORS * 0.5).per_clip.sample(frac=1, random_state=1)
    )
    assert judge(shuffled, report(ERRORS)) == judge(report(ERRORS * 0.5), report(ERRORS))


def test_a_rival_worse_than_a_blind_answer_crowns_nobody():
    verdict = judge(report(ERRORS * 0.37), report(ERRORS), blind=far(30.0))
    assert not verdict.promoted
    assert "the centre: no significant gain" in verdict.reasons[0]
    assert "0.37 [0.37, 0.37] times that of champion 1" in verdict.reasons[1]


@pytest.mark.parametrize(("least", "promoted"), [(NUM, True), (NUM + 1, False)])
def test_too_few_clips_promote_nothing(least, promoted):
    verdict = judge(report(ERRORS * 0.1), report(ERRORS), least_clips=least)
    assert verdict.promoted == promoted
    said = "judged on 40 val clips" if promoted else "40 val clips are too few for a verdict"
    assert any(said in reason for reason in verdict.reasons[:: 1 if promoted else NUM])


def test_blind_answers_are_compared_clip_by_clip_in_any_order():
    near_one = far(1.0).iloc[::-1]
    near_one.iloc[:] = (ERRORS * 2)[::-1, None]
    verdict = judge(report(ERRORS), report(ERRORS * 3), blind=near_one)
    assert "0.50 [0.50, 0.50] times that of the centre" in verdict.reasons[1]


def test_continents_that_are_too_small_to_judge_are_named():
    verdict = judge(report(ERRORS * 0.5), report(ERRORS))
    assert verdict.reasons[2] == "not judged on their own, fewer than 10 clips: Europe (5)"


def test_perfect_clips_do_not_divide_by_zero():
    assert judge(report(np.zeros(NUM)), report(ERRORS)).promoted


def place_report(right_N, prior=0.1, prior_of_continent=0.1):
    """Right at each level of a clip, or at none; three continents, one of few clips."""
    per_clip = pd.DataFrame({"clip_id": [f"clip-{k:02d}" for k in range(len(right_N))]})
    per_clip["continent"] = (["Africa"] * 20 + ["Asia"] * 15 + ["Europe"] * 5)[: len(right_N)]
    for level in LEVELS:
        per_clip[f"acc_{level}"] = np.asarray(right_N, float)
    per_clip["consistency"] = 1.0
    figures = {f"acc_{level}": float(np.mean(right_N)) for level in LEVELS}
    figures |= {f"prior_acc_{level}": prior for level in LEVELS}
    figures["prior_acc_continent"] = prior_of_continent
    return PlaceReport({**figures, **intervals(per_clip, 200)}, per_clip, pd.DataFrame())


def judge_places(challenger, rival, least_clips=20):
    floor = [cityguessr_judging.over_prior(challenger)]
    return gate.judge(
        cityguessr_judging.RULE,
        challenger,
        rival,
        "champion 1",
        floor,
        least_clips=least_clips,
        draws=200,
        labels=labels_of(challenger),
    )


HALF = np.arange(NUM) % 2


def test_first_champion_of_places_is_better_than_the_most_frequent_classes():
    verdict = judge_places(place_report(HALF), None)
    assert verdict.promoted
    assert "city 50.0%" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("priors", "level"), [({"prior": 0.4}, "city"), ({"prior_of_continent": 0.5}, "continent")]
)
def test_first_champion_of_places_is_better_at_every_level(priors, level):
    verdict = judge_places(place_report(HALF, **priors), None)
    assert not verdict.promoted
    assert verdict.reasons[0] == f"{level} is no better than its most frequent class"


def test_a_level_of_one_class_does_not_forbid_the_first_champion():
    report = place_report(HALF, prior_of_continent=1.0)
    right = report.per_clip.assign(acc_continent=1.0)
    figures = {**report.summary, "acc_continent": 1.0, **intervals(right, 200)}
    assert judge_places(PlaceReport(figures, right, report.reliability), None).promoted
    assert not judge_places(report, None).promoted


def test_more_levels_right_are_promoted():
    verdict = judge_places(place_report(np.ones(NUM)), place_report(HALF))
    assert verdict.promoted
    assert verdict.reasons[0].startswith("+0.500 [+0.")
    assert verdict.reasons[0].endswith("against champion 1")


@pytest.mark.parametrize("right", [HALF, np.zeros(NUM), np.r_[1, HALF[1:]]])
def test_equal_worse_or_hardly_better_places_keep_the_champion(right):
    verdict = judge_places(place_report(right), place_report(HALF))
    assert not verdict.promoted
    assert "no significant gain" in verdict.reasons[0]


def test_a_continent_that_got_worse_forbids_promotion():
    rival = place_report(np.r_[np.zeros(20), np.ones(15), np.zeros(5)])
    ours = place_report(np.r_[np.ones(20), np.zeros(9), np.ones(6), np.ones(5)])
    verdict = judge_places(ours, rival)
    assert not verdict.promoted
    assert verdict.reasons[0].startswith("Asia got worse: -0.600 [-0.")
    few = place_report(np.r_[np.ones(35), np.zeros(5)])
    assert judge_places(few, place_report(np.r_[np.zeros(35), np.ones(5)])).promoted


def test_every_champion_of_places_beats_the_most_frequent_classes():
    verdict = judge_places(place_report(HALF, prior=0.6), place_report(np.zeros(NUM)))
    assert not verdict.promoted
    assert verdict.reasons[0] == "city is no better than its most frequent class"


def test_too_few_clips_of_places_promote_nothing():
    for rival in (None, place_report(HALF)):
        verdict = judge_places(place_report(np.ones(NUM)), rival, least_clips=41)
        assert not verdict.promoted
        assert verdict.reasons[0].startswith("40 val clips are too few")


def test_continents_with_few_places_are_named():
    verdict = judge_places(place_report(np.ones(NUM)), place_report(HALF))
    assert "not judged on their own, fewer than 10 clips: Europe (5)" in verdict.reasons


def test_places_of_another_split_cannot_be_compared():
    verdict = judge_places(place_report(np.ones(NUM)), place_report(HALF[:30]))
    assert not verdict.promoted
    assert verdict.reasons == ("cannot be compared with champion 1: another val split",)


def test_order_of_places_does_not_matter():
    rival, ours = place_report(HALF), place_report(np.ones(NUM))
    shuffled = dataclasses.replace(rival, per_clip=rival.per_clip.sample(frac=1, random_state=1))
    assert judge_places(ours, shuffled) == judge_places(ours, rival)


def tile_report(right_V, own=True, size=100, gallery="g"):
    """Videos of two clips each: right, to their own tiles or near ones, or not."""
    right = np.repeat(np.asarray(right_V, bool), 2)
    frames = pd.DataFrame({"clip": np.repeat([f"clip-{k:02d}" for k in range(len(right_V))], 2)})
    frames = frames.assign(time_s=0.0, true_lat=0.0, true_lon=0.0, tile="own")
    frames["turned_top1"] = np.where(right & own, "own", "another")
    frames["turned_recall_at_1"] = right
    about = {"gallery_md5": gallery, "split": "val", "gallery_size": size, "track": "turned"}
    return Report(about, frames, frames)


def judge_tiles(challenger, rival, least_clips=20):
    floor = [gama_judging.over_chance(challenger, 200)]
    return gate.judge(
        gama_judging.RULE,
        challenger,
        rival,
        "champion 1",
        floor,
        least_clips=least_clips,
        draws=200,
    )


@pytest.mark.parametrize(("report", "promoted"), [
    (tile_report(HALF), True),
    (tile_report(HALF, size=2), False),
    (tile_report(HALF, own=False), False),
])  # fmt: skip
def test_first_champion_among_tiles_finds_their_own_more_often_than_chance(report, promoted):
    verdict = judge_tiles(report, None)
    assert verdict.promoted == promoted
    assert "by chance" in verdict.reasons[0]


@pytest.mark.parametrize(("right", "promoted"), [
    (np.ones(NUM), True), (HALF, False), (np.zeros(NUM), False), (np.r_[1, HALF[1:]], False),
])  # fmt: skip
def test_more_clips_with_the_right_tile_are_promoted(right, promoted):
    verdict = judge_tiles(tile_report(right), tile_report(HALF))
    assert verdict.promoted == promoted
    assert verdict.reasons[0].endswith("against champion 1" if promoted else "no significant gain")


def test_every_champion_among_tiles_beats_chance_on_enough_videos():
    lucky = judge_tiles(tile_report(HALF, size=2), tile_report(np.zeros(NUM)))
    assert not lucky.promoted
    assert lucky.reasons[0].endswith("50.00% by chance")
    few = judge_tiles(tile_report(np.ones(NUM)), tile_report(HALF), least_clips=41)
    assert not few.promoted
    assert few.reasons[0].startswith("40 val videos are too few")


def test_tiles_of_another_gallery_cannot_be_compared():
    verdict = judge_tiles(tile_report(np.ones(NUM)), tile_report(HALF, gallery="h"))
    assert not verdict.promoted
    assert verdict.reasons == ("cannot be compared with champion 1: another gallery",)
