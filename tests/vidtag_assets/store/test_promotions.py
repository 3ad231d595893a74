"""The promotion log against MLflow's real registry: kills, tampering, two promoters at once."""

import concurrent.futures
import dataclasses
import getpass
import json
import logging
import platform
import time
from pathlib import Path

import filelock
import mlflow
import pytest

from vidtag_assets.store import champions, promotions, registry
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml.models.gate import Verdict
from vidtag_ml.workflow import locks


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    before = mlflow.get_tracking_uri()
    yield Tracking(root=str(tmp_path_factory.mktemp("a store")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it, for its children
        mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


@pytest.fixture
def tracking(store):
    """Three versions without weights, no alias, an empty log."""
    client = store.client()
    client.create_registered_model("vidtag")
    for number in (1, 2, 3):
        client.create_model_version("vidtag", f"/nowhere/{number}", tags={"bundle": f"b{number}"})
    registry.challenge(store, "vidtag", "b3", None)
    yield store
    client.delete_registered_model("vidtag")
    promotions.log_path(Path(store.root)).unlink(missing_ok=True)


@pytest.fixture
def log(tracking):
    return promotions.log_path(Path(tracking.root))


class Killed(BaseException):
    """Ends what it is raised in as a kill would: nothing that is left to do is done."""


class Dying:
    """A client of MLflow whose process is killed before it changes the registry once more."""

    def __init__(self, client, num_changes):
        self.client, self.num_changes = client, num_changes

    def __getattr__(self, name):
        if name.startswith(("set_", "delete_")):
            self.num_changes -= 1
            if self.num_changes < 0:
                raise Killed
        return getattr(self.client, name)


def killed(tracking, decide, num_changes):
    """Whether a decision was killed by its n-th change of the registry (from 0)."""
    dying = Dying(tracking.client(), num_changes)

    class Mortal(Tracking):
        def client(self):
            return dying

    try:
        decide(Mortal(root=tracking.root))
    except Killed:
        return True
    return False


def state(tracking):
    versions = registry.versions(tracking, "vidtag")
    marks = {v.version: {k: t for k, t in v.tags.items() if "." not in k} for v in versions}
    entries = promotions.history(Path(tracking.root))
    decided = [(e.action, e.version, e.champion, e.previous, e.reason) for e in entries]
    return registry.aliases(tracking), marks, decided


def accepts(_version, _champion):
    return Verdict(True, ("better",))


def rejects(_version, _champion):
    return Verdict(False, ("worse",))


DECISIONS = {
    "promote": lambda tracking: champions.promote(tracking, "vidtag", 3, "better"),
    "rollback": lambda tracking: champions.rollback(tracking, "vidtag", "bad"),
    "accept": lambda tracking: champions.settle(tracking, "vidtag", accepts),
    "reject": lambda tracking: champions.settle(tracking, "vidtag", rejects),
}


@pytest.mark.parametrize("num_changes", range(6))
@pytest.mark.parametrize("decision", DECISIONS)
def test_a_decision_killed_anywhere_is_carried_out_by_the_next_start(
    tracking, decision, num_changes
):
    for version in (1, 2):
        champions.promote(tracking, "vidtag", version, "first")
    decide = DECISIONS[decision]
    if not killed(tracking, decide, num_changes):
        return
    logged = len(promotions.history(Path(tracking.root))) == 3
    champions.replay(tracking) if logged else decide(tracking)
    ended = state(tracking)
    champions.replay(tracking)
    assert ended == state(tracking)
    assert len(ended[2]) == 3
    assert ended[0]["champion"] == {"rollback": 1, "reject": 2}.get(decision, 3)
    assert ended[0].get("previous") == {"rollback": None, "reject": 1}.get(decision, 2)
    assert not promotions.faults(Path(tracking.root), champions.recorded(tracking))


def test_each_decision_tells_who_took_it_and_is_kept_by_the_registry_too(tracking, log):
    made = champions.promote(tracking, "vidtag", 1, "first")
    assert (made.user, made.host, made.number) == (getpass.getuser(), platform.node(), 1)
    (line,) = log.read_text().splitlines()
    assert champions.recorded(tracking) == {1: [line]}
    assert json.loads(line)["bundle"] == "b1"


def decide_thrice(tracking):
    for version in (1, 2, 3):
        champions.promote(tracking, "vidtag", version, "better")


@pytest.mark.parametrize("left", [b'{"time": "2026-', b"\x00\x00\x00", b'{"time": "2026-\xff'])
def test_a_torn_last_line_stops_nothing(tracking, log, left):
    decide_thrice(tracking)
    with log.open("ab") as file:
        file.write(left)
    champions.rollback(tracking, "vidtag", "bad")
    assert registry.aliases(tracking)["champion"] == 2
    assert [e.action for e in promotions.history(Path(tracking.root))][-2:] == [
        "promoted",
        "rolled back",
    ]
    assert not promotions.faults(Path(tracking.root), champions.recorded(tracking))


TAMPERED = {
    "altered": (lambda lines: [lines[0], lines[1].replace("better", "best"), lines[2]], 2),
    "last altered": (lambda lines: [*lines[:2], lines[2].replace("better", "best")], 3),
    "deleted": (lambda lines: [lines[0], lines[2]], 2),
    "last deleted": (lambda lines: lines[:2], 3),
    "first deleted": (lambda lines: lines[1:], 1),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_what_was_done_to_the_log_is_named_with_what_to_do(tracking, log, caplog, kind):
    decide_thrice(tracking)
    tamper, number = TAMPERED[kind]
    log.write_text("".join(f"{line}\n" for line in tamper(log.read_text().splitlines())))
    (told,) = [
        f for f in promotions.faults(log.parents[1], champions.recorded(tracking)) if "reg" in f
    ]
    assert told.startswith(f"decision {number} {'was altered' if 'alt' in kind else 'is missing'}")
    with caplog.at_level(logging.WARNING):
        champions.replay(tracking)
    assert told in caplog.text
    assert "move it away" in caplog.text
    assert champions.rollback(tracking, "vidtag", "bad").champion == 2


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lambda lines: [*lines[:1], *lines[2:]], "1 of the decisions before line 2 were deleted"),
        (lambda lines: [lines[0].replace("bet", "set"), *lines[1:]], "before line 2 was altered"),
    ],
    ids=["deleted", "altered"],
)
def test_lines_tell_on_each_other_where_the_registry_has_no_copy(tracking, log, tamper, said):
    decide_thrice(tracking)
    log.write_text("".join(f"{line}\n" for line in tamper(log.read_text().splitlines())))
    (fault,) = promotions.faults(log.parents[1], {})
    assert said in fault


def test_a_lost_log_is_written_anew_from_the_registry(tracking, log):
    decide_thrice(tracking)
    before = log.read_text()
    log.unlink()
    champions.rollback(tracking, "vidtag", "bad")
    assert log.read_text().startswith(before)
    assert not promotions.faults(log.parents[1], champions.recorded(tracking))


OLD = {
    "time": "2026-01-01T00:00:00+00:00", "action": "promoted", "model": "vidtag", "version": 2,
    "champion": 2, "previous": 1, "reason": "better",
}  # fmt: skip


def test_an_old_log_is_read_and_bound_by_the_next_decision(tracking, log):
    for alias, version in (("champion", "2"), ("previous", "1")):
        tracking.client().set_registered_model_alias("vidtag", alias, version)
    lines = [json.dumps({**OLD, "version": 1, "champion": 1, "previous": None}), json.dumps(OLD)]
    log.write_text("\n".join(lines) + "\n")
    assert champions.promote(tracking, "vidtag", 3, "new").number == 3
    champions.rollback(tracking, "vidtag", "bad")
    assert registry.aliases(tracking) == {"challenger": 3, "champion": 2, "previous": 1}
    assert not promotions.faults(log.parents[1], champions.recorded(tracking))
    log.write_text(log.read_text().replace('"previous": null', '"previous": 7'))
    assert promotions.faults(log.parents[1], champions.recorded(tracking)) == [
        "what stands before line 3 was altered"
    ]


def test_promoters_at_once_take_turns(tracking):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = pool.map(
            lambda number: champions.promote(tracking, "vidtag", number % 3 + 1, f"{number}"),
            range(12),
        )
    logged = [entry for entry in made if entry.number]
    history = promotions.history(Path(tracking.root))
    assert sorted(entry.number for entry in logged) == list(range(1, len(history) + 1))
    assert [e.previous for e in history[1:]] == [e.champion for e in history[:-1]]
    assert registry.aliases(tracking)["champion"] == history[-1].champion
    assert not promotions.faults(Path(tracking.root), champions.recorded(tracking))


def test_a_champion_that_changes_while_the_gate_judges_is_judged_anew(tracking):
    champions.promote(tracking, "vidtag", 1, "first")
    against = []

    def judge(_version, champion):
        against.append(champion)
        champions.promote(tracking, "vidtag", 2, "by hand")
        return Verdict(True, ("better",))

    entry, _ = champions.settle(tracking, "vidtag", judge)
    assert against == [1, 2]
    assert (entry.champion, entry.previous) == (3, 2)


@pytest.mark.parametrize("changed", ["champion", "version"])
def test_a_decision_that_was_overtaken_is_not_carried_out(tracking, changed):
    champions.promote(tracking, "vidtag", 1, "first")
    assert killed(tracking, DECISIONS["promote"], 0)
    if changed == "champion":
        tracking.client().set_registered_model_alias("vidtag", "champion", "2")
    else:
        tracking.client().set_model_version_tag("vidtag", "3", "bundle", "another store's")
    before = registry.aliases(tracking)
    champions.replay(tracking)
    assert registry.aliases(tracking) == before


def test_a_promoter_that_waits_for_another_says_so(tracking, log, monkeypatch, caplog):
    monkeypatch.setattr(locks, "TELL_S", 0.1)
    other = filelock.FileLock(log.with_name("registry.lock"))
    with caplog.at_level(logging.WARNING), concurrent.futures.ThreadPoolExecutor(1) as pool:
        with other:
            promoted = pool.submit(champions.promote, tracking, "vidtag", 1, "first")
            while "waiting for another process, which registers or promotes" not in caplog.text:
                time.sleep(0.05)
            assert not promoted.done()
        assert promoted.result(10).champion == 1


def test_unknown_keys_of_a_later_version_are_passed_over():
    entry = promotions.parse(json.dumps({**OLD, "later": 1}))
    assert dataclasses.asdict(entry).items() >= OLD.items()
