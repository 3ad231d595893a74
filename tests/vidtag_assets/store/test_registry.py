"""Names, aliases, promotion and rollback against MLflow's real registry, with empty models."""

import dataclasses
import json
from pathlib import Path

import pytest

from vidtag_assets.store import promotions, registry, registry_file
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml.models.gate import Verdict


@pytest.fixture(scope="module")
def store(world, tmp_path_factory):
    """A store of its own, with a space in its path."""
    yield Tracking(root=str(tmp_path_factory.mktemp("a store")))
    world.resources["tracking"].client()  # the process's default store again


@pytest.fixture
def tracking(store):
    """Three versions without weights, no alias, an empty log."""
    client = store.client()
    client.create_registered_model(registry.NAME)
    for number in (1, 2, 3):
        tags = {"dvc.clips": f"c{number}", "dvc.gallery": "g"}
        client.create_model_version(registry.NAME, f"/nowhere/{number}", tags=tags)
    yield store
    client.delete_registered_model(registry.NAME)
    promotions.log_path(Path(store.root)).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("vidtag", ("vidtag", None, None)),
        ("vidtag@champion", ("vidtag", "champion", None)),
        ("vidtag/12", ("vidtag", None, 12)),
    ],
)
def test_names_of_models(text, parts):
    assert registry_file.parse(text) == parts


@pytest.mark.parametrize("text", ["", "@champion", "vidtag@", "vidtag/", "vidtag/x", "a/1@b"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ValueError, match="names no model"):
        registry_file.parse(text)


def test_absent_champion_is_said_plainly(tracking):
    with pytest.raises(ValueError, match="vidtag has no champion yet"):
        registry.resolve(tracking, "vidtag@champion")
    with pytest.raises(ValueError, match="no version 9"):
        registry.resolve(tracking, "vidtag/9")
    with pytest.raises(ValueError, match="no model 'other' is registered"):
        registry.resolve(tracking, "other")


@pytest.mark.parametrize(
    ("source", "domain", "name"),
    [
        ("flyover", None, "vidtag"),
        ("flyover_gama", None, "vidtag"),
        ("msls", None, "vidtag-msls"),
        ("recordings", "trip_2", "vidtag-trip_2"),
        ("flyover", "trip", "vidtag-trip"),
    ],
)
def test_each_domain_has_a_registered_name(params, source, domain, name):
    changed = dataclasses.replace(
        params,
        clips=dataclasses.replace(params.clips, source=source),
        registry=dataclasses.replace(params.registry, domain=domain),
    )
    assert registry.name_of("vidtag", changed) == name


@pytest.mark.parametrize(
    ("name", "promoted", "asked"),
    [
        ("vidtag", True, ""),
        ("vidtag", False, " --model vidtag@challenger"),
        ("vidtag-trip", True, " --model vidtag-trip"),
        ("vidtag-trip", False, " --model vidtag-trip@challenger"),
    ],
)
def test_locate_is_told_which_model_unless_it_takes_it_by_itself(name, promoted, asked):
    assert registry.asked(name, promoted=promoted) == asked


def test_models_are_known_by_their_tag_or_as_they_were_called_before_it(tracking):
    client = tracking.client()
    for name, kind in (("gama-trip", "gama"), ("vidtag-trip", "vidtag")):
        registry.declare(tracking, name, kind)
    client.create_registered_model("a stranger")
    assert registry.names(tracking) == ["vidtag", "vidtag-trip", "gama-trip"]
    registry.declare(tracking, "vidtag", "vidtag")
    assert registry.names(tracking) == ["vidtag", "vidtag-trip", "gama-trip"]
    for name in ("gama-trip", "vidtag-trip", "a stranger"):
        client.delete_registered_model(name)


def test_absent_models_are_answered_with_those_that_there_are(tracking):
    registry.declare(tracking, "vidtag-trip", "vidtag")
    tracking.client().create_model_version("vidtag-trip", "/nowhere/5")
    registry.promote(tracking, "vidtag-trip", 1, "first")
    for absent in ("vidtag", "gama"):
        with pytest.raises(ValueError, match="registered here: vidtag, vidtag-trip@champion"):
            registry.resolve(tracking, absent)
    registry.promote(tracking, "vidtag-trip", 1, "again")
    tracking.client().delete_registered_model("vidtag-trip")


def test_promotion_moves_aliases_and_is_logged(tracking):
    registry.promote(tracking, "vidtag", 1, "first")
    registry.promote(tracking, "vidtag", 2, "better")
    assert registry.aliases(tracking) == {"champion": 2, "previous": 1}
    lines = promotions.log_path(Path(tracking.root)).read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["first", "better"]


def test_promoting_the_champion_changes_nothing(tracking):
    registry.promote(tracking, "vidtag", 1, "first")
    registry.promote(tracking, "vidtag", 1, "again")
    assert registry.aliases(tracking) == {"champion": 1}
    assert len(promotions.history(Path(tracking.root))) == 1


def test_rollbacks_walk_back_one_champion_each(tracking):
    for number in (1, 2, 3):
        registry.promote(tracking, "vidtag", number, "better")
    registry.rollback(tracking, "vidtag", "bad in the field")
    assert registry.aliases(tracking) == {"champion": 2, "previous": 1}
    registry.rollback(tracking, "vidtag", "bad too")
    assert registry.aliases(tracking) == {"champion": 1}
    with pytest.raises(ValueError, match="no previous champion"):
        registry.rollback(tracking, "vidtag", "more")


def test_version_taken_back_is_marked_until_promoted_by_hand(tracking):
    registry.promote(tracking, "vidtag", 1, "first")
    registry.promote(tracking, "vidtag", 2, "better")
    registry.rollback(tracking, "vidtag", "bad")
    assert registry.resolve(tracking, "vidtag/2").tags["rolled_back"] == "bad"
    registry.promote(tracking, "vidtag", 2, "it was the camera")
    assert "rolled_back" not in registry.resolve(tracking, "vidtag/2").tags


@pytest.mark.parametrize("verb", [registry.rollback, lambda *a: registry.promote(*a[:2], 1, a[2])])
def test_decisions_need_a_reason(tracking, verb):
    with pytest.raises(ValueError, match="needs a reason"):
        verb(tracking, "vidtag", " ")


def never():
    raise AssertionError("this need not be asked")


def test_known_bytes_are_challenged_again_without_a_new_version(tracking):
    client = tracking.client()
    client.set_model_version_tag("vidtag", "2", "bundle", "abc")
    version, new = registry.challenge(tracking, "vidtag", "abc", never)
    assert (int(version.version), new) == (2, False)
    assert registry.aliases(tracking) == {"challenger": 2}


def test_new_bytes_become_a_version_and_the_challenger(tracking):
    tags = {"bundle": "new"}
    log = lambda: tracking.client().create_model_version("vidtag", "/nowhere/4", tags=tags)  # noqa: E731
    version, new = registry.challenge(tracking, "vidtag", "new", log)
    assert (int(version.version), new) == (4, True)
    assert registry.aliases(tracking) == {"challenger": 4}


def settle(tracking, challenger, promoted, reason="because"):
    registry.challenge(
        tracking, "vidtag", "?", lambda: registry.resolve(tracking, f"vidtag/{challenger}")
    )
    asked = []

    def judge(version, champion):
        asked.append((int(version.version), champion))
        return Verdict(promoted, (reason, "and more"))

    return *registry.settle(tracking, "vidtag", judge), asked


def test_a_verdict_for_the_challenger_is_carried_out(tracking):
    first, _, asked = settle(tracking, 1, promoted=True)
    assert (first.action, first.champion, asked) == ("promoted", 1, [(1, None)])
    second, verdict, asked = settle(tracking, 2, promoted=True)
    assert (second.champion, second.previous, asked) == (2, 1, [(2, 1)])
    assert verdict.promoted
    assert registry.aliases(tracking) == {"challenger": 2, "champion": 2, "previous": 1}
    assert registry.resolve(tracking, "vidtag/2").tags["verdict"] == "because; and more"


def test_a_verdict_against_the_challenger_is_logged_once_a_reason(tracking):
    registry.promote(tracking, "vidtag", 1, "first")
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
    registry.rollback(tracking, "vidtag", "bad in the field")
    entry, verdict, asked = settle(tracking, 2, promoted=True)
    assert (entry.action, verdict, asked) == ("rejected", None, [])
    assert "bad in the field" in entry.reason
