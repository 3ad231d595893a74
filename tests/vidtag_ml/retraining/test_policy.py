"""When the policy asks for a new model, when it does not, and what it says."""

import dataclasses
import datetime as dt

import pytest

from vidtag_ml import config
from vidtag_ml.retraining import policy
from vidtag_ml.retraining.changes import Change
from vidtag_ml.retraining.drift import Drift
from vidtag_ml.retraining.policy import Facts, Model, Past, decide
from vidtag_ml.retraining.trained_on import Counts

NOW = dt.datetime(2026, 6, 1, 3, tzinfo=dt.UTC)
SETTINGS = config.Retraining(
    new_clips=0.05, age_days=90.0, drift=0.3, least_clips=20,
    cooldown_hours=24.0, runs_per_week=2, hours_per_week=12.0,
)  # fmt: skip
DATA = Change("dvc.clips", "c1", "c2")
EPOCHS = Change("param.phase_one.epochs", "8", "9")
FAR = Drift("position", 0.8, 1e-9, "900 km from the nearest train clip")


def model(*changes, name="champion 3", days=10, came=0, drifts=()):
    """A version of 100 clips, as it compares with today."""
    made = NOW - dt.timedelta(days=days)
    return Model(name, made, changes, Counts(came, 0, 0, 100), tuple(drifts))


def asked(*models, known=None, past=()):
    """The decision on these facts."""
    return decide(Facts(NOW, "today", models, known, tuple(past)), SETTINGS)


def run(hours_ago, hours=1.0, judged=None, ended=True):
    """A retraining that began so long ago."""
    began = NOW - dt.timedelta(hours=hours_ago)
    return Past("run", began, began + dt.timedelta(hours=hours) if ended else None, judged)


def holding(rules):
    """The names of those that hold."""
    return [rule.name for rule in rules if rule.holds]


def test_the_first_model_is_asked_for():
    assert asked().retrain
    assert holding(asked().triggers) == ["first model"]


def test_nothing_new_asks_for_nothing():
    decision = asked(model(days=1000))
    assert not decision.retrain
    assert decision.why == "nothing calls for a new model"


@pytest.mark.parametrize(
    ("compared", "trigger"),
    [
        (model(DATA, came=5), "new clips"),
        (model(DATA, came=1, days=90), "age"),
        (model(DATA, came=1, drifts=[FAR]), "drift"),
        (model(EPOCHS), "recipe"),
    ],
)
def test_each_trigger_asks_for_a_model_and_is_named(compared, trigger):
    decision = asked(compared)
    assert decision.retrain
    assert holding(decision.triggers) == [trigger]
    assert decision.why.startswith(f"{trigger}: ")


@pytest.mark.parametrize(
    "compared",
    [
        model(DATA, came=4),
        model(DATA, came=4, days=89),
        model(DATA, came=4, drifts=[dataclasses.replace(FAR, distance=0.29)]),
        model(DATA, came=4, drifts=[dataclasses.replace(FAR, p_value=0.02)]),
        model(DATA, came=4, drifts=[Drift("embedding", None, None, "seen by other encoders")]),
        model(Change("code.features", None, "f")),
        dataclasses.replace(model(DATA), clips=None),
    ],
)
def test_too_little_or_the_unknown_asks_for_nothing(compared):
    assert not asked(compared).retrain


def test_a_champion_is_warned_of_even_if_a_newer_version_stills_the_policy():
    champion = model(DATA, came=50, drifts=[FAR], days=100)
    facts = Facts(NOW, "today", (champion, model(name="version 4")), None, ())
    assert not decide(facts, SETTINGS).retrain
    assert [rule.name for rule in policy.warnings(facts, SETTINGS)] == ["age", "drift"]
    young = Facts(NOW, "today", (model(DATA, EPOCHS, came=50),), None, ())
    assert policy.warnings(young, SETTINGS) == []
    assert policy.warnings(Facts(NOW, "today", (), None, ()), SETTINGS) == []


def test_a_first_model_is_left_to_a_person_where_the_facts_say_so():
    facts = Facts(NOW, "today", (), None, (), begins=False)
    assert not decide(facts, SETTINGS).retrain


def test_what_the_newest_version_was_trained_on_is_no_reason_again():
    """The champion stayed, for the gate rejected version 4."""
    champion = model(DATA, EPOCHS, came=50, drifts=[FAR], days=100)
    assert asked(champion).retrain
    assert not asked(champion, model(name="version 4")).retrain
    assert not asked(champion, model(DATA, came=1, name="version 4")).triggers[1].holds
    assert holding(asked(champion, model(EPOCHS, name="version 4")).triggers) == ["age", "recipe"]


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        ({"known": "version 2"}, "same identity"),
        ({"past": [run(500, judged="today")]}, "same identity"),
        ({"past": [run(30, ended=False)]}, "under way"),
        ({"past": [run(20)]}, "cooldown"),
        ({"past": [run(100), run(60)]}, "runs in seven days"),
        ({"past": [run(100, hours=12)]}, "hours in seven days"),
    ],
)
def test_each_limit_forbids_and_is_named(facts, limit):
    decision = asked(model(EPOCHS), **facts)
    assert not decision.retrain
    assert limit in holding(decision.limits)
    assert "; but not now: " in decision.why
    assert f"{limit}: " in decision.why


def test_without_new_clips_there_is_no_drift_to_tell_of():
    drift = asked(model(EPOCHS)).triggers[3]
    assert (drift.name, drift.found, drift.holds) == ("drift", "no clip came", False)


def test_what_is_long_over_forbids_nothing():
    assert asked(model(EPOCHS), past=[run(24 * 8, hours=20), run(24 * 9)]).retrain


def test_a_run_that_failed_is_tried_again_after_the_cooldown():
    assert not asked(model(EPOCHS), past=[run(10)]).retrain
    assert asked(model(EPOCHS), past=[run(26)]).retrain


def test_no_runs_a_week_is_never():
    none = dataclasses.replace(SETTINGS, runs_per_week=0)
    assert not decide(Facts(NOW, "today", (), None, ()), none).retrain
