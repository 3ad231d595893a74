"""Names, aliases, promotion and rollback against MLflow's real registry, with empty models."""

import json
from pathlib import Path

import pytest

from vidtag_assets import registry
from vidtag_assets.resources import Tracking


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
    registry.log_path(Path(store.root)).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("vidtag", ("vidtag", None, None)),
        ("vidtag@champion", ("vidtag", "champion", None)),
        ("vidtag/12", ("vidtag", None, 12)),
    ],
)
def test_names_of_models(text, parts):
    assert registry.parse(text) == parts


@pytest.mark.parametrize("text", ["", "@champion", "vidtag@", "vidtag/", "vidtag/x", "a/1@b"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ValueError, match="names no model"):
        registry.parse(text)


def test_absent_champion_is_said_plainly(tracking):
    with pytest.raises(ValueError, match="vidtag has no champion yet"):
        registry.resolve(tracking, "vidtag@champion")
    with pytest.raises(ValueError, match="no version 9"):
        registry.resolve(tracking, "vidtag/9")
    with pytest.raises(ValueError, match="no model 'other' is registered"):
        registry.resolve(tracking, "other")


def test_promotion_moves_aliases_and_is_logged(tracking):
    registry.promote(tracking, "vidtag", 1, "first")
    registry.promote(tracking, "vidtag", 2, "better")
    assert registry.aliases(tracking) == {"champion": 2, "previous": 1}
    lines = registry.log_path(Path(tracking.root)).read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["first", "better"]


def test_promoting_the_champion_changes_nothing(tracking):
    registry.promote(tracking, "vidtag", 1, "first")
    registry.promote(tracking, "vidtag", 1, "again")
    assert registry.aliases(tracking) == {"champion": 1}
    assert len(registry.history(Path(tracking.root))) == 1


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


def test_retraining_waits_for_new_data(tracking, tmp_path):
    class Seen:
        def __init__(self, clips):
            self.clips = clips

        def md5(self, stage):
            return self.clips if stage == "clips" else "g"

    assert registry.nothing_new(tracking, Seen("c1")) is None
    registry.promote(tracking, "vidtag", 1, "first")
    assert "champion 1" in registry.nothing_new(tracking, Seen("c1"))
    assert registry.nothing_new(tracking, Seen("c2")) is None
