"""Promotion, rollback and the gate against MLflow's real registry, with empty models."""

import json
from pathlib import Path

import pytest

from vidtag_assets.store import champions, promotions, registry
from vidtag_ml.models.gate import Verdict


def test_promotion_moves_aliases_and_is_logged(tracking):
    champions.promote(tracking, "vidtag", 1, "first")
    champions.promote(tracking, "vidtag", 2, "better")
    assert registry.aliases(tracking) == {"champion": 2, "previous": 1}
    lines = promotions.log_path(Path(tracking.root)).read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["first", "better"]


def test_promoting_the_champion_changes_nothing(tracking):
    champions.promote(tracking, "vidtag", 1, "first")
    champions.promote(tracking, "vidtag", 1, "again")
    assert registry.aliases(tracking) == {"champion": 1}
    assert len(promotions.history(Path(tracking.root))) == 1


def test_rollbacks_walk_back_one_champion_each(tracking):
    for number in (1, 2, 3):
        champions.promote(tracking, "vidtag", number, "better")
    champions.rollback(tracking, "vidtag", "bad in the field")
    assert registry.aliases(tracking) == {"champion": 2, "previous": 1}
    champions.rollback(tracking, "vidtag", "bad too")
    assert registry.aliases(tracking) == {"champion": 1}
    with pytest.raises(ValueError, match="no previous champion"):
        champions.rollback(tracking, "vidtag", "more")


def test_version_taken_back_is_marked_until_promoted_by_hand(tracking):
    champions.promote(tracking, "vidtag", 1, "first")
    champions.promote(tracking, "vidtag", 2, "better")
    champions.rollback(tracking, "vidtag", "bad")
    assert registry.resolve(tracking, "vidtag/2").tags["rolled_back"] == "bad"
    champions.promote(tracking, "vidtag", 2, "it was the camera")
    assert "rolled_back" not in registry.resolve(tracking, "vidtag/2").tags


@pytest.mark.parametrize(
    "verb", [champions.rollback, lambda *a: champions.promote(*a[:2], 1, a[2])]
)
def test_decisions_need_a_reason(tracking, verb):
    with pytest.raises(ValueError, match="needs a reason"):
        verb(tracking, "vidtag", " ")


def settle(tracking, challenger, promoted, reason="because"):
    registry.challenge(
        tracking, "vidtag", "?", lambda: registry.resolve(tracking, f"vidtag/{challenger}")
    )
    asked = []

    def judge(version, champion):
        asked.append((int(version.version), champion))
        return Verdict(promoted, (reason, "and more"))

    return *champions.settle(tracking, "vidtag", judge), asked


def test_a_verdict_for_the_challenger_is_carried_out(tracking):
    first, _, asked = settle(tracking, 1, promoted=True)
    assert (first.action, first.champion, asked) == ("promoted", 1, [(1, None)])
    second, verdict, asked = settle(tracking, 2, promoted=True)
    assert (second.champion, second.previous, asked) == (2, 1, [(2, 1)])
    assert verdict.promoted
    assert registry.aliases(tracking) == {"challenger": 2, "champion": 2, "previous": 1}
    assert registry.resolve(tracking, "vidtag/2").tags["verdict"] == "because; and more"


def test_a_verdict_against_the_challenger_is_logged_once_a_reason(tracking):
    champions.promote(tracking, "vidtag", 1, "first")
    for reason in ("worse", "worse", "still worse"):
        entry, _, _ = settle(tracking, 2, promoted=False, reason=reason)
        assert (entry.action, entry.champion) == ("rejected", 1)
    assert registry.aliases(tracking)["champion"] == 1
    log = [(e.action, e.reason.partition(";")[0]) for e in promotions.history(Path(tracking.root))]
    assert log[1:] == [("rejected", "worse"), ("rejected", "still worse")]


def test_a_champion_and_a_version_taken_back_are_not_judged(tracking):
    settle(tracking, 1, promoted=True)
    entry, verdict, asked = settle(tracking, 1, promoted=False)
    assert (entry.action, verdict, asked) == ("unchanged", None, [])
    settle(tracking, 2, promoted=True)
    champions.rollback(tracking, "vidtag", "bad in the field")
    entry, verdict, asked = settle(tracking, 2, promoted=True)
    assert (entry.action, verdict, asked) == ("rejected", None, [])
    assert "bad in the field" in entry.reason
