"""Two workspaces that decide about one registry: they share neither a lock nor a log."""

import contextlib
import logging
from pathlib import Path

import mlflow
import pytest

from vidtag_assets.store import champions, promotions, registry
from vidtag_assets.workspace import home
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml.models.gate import Verdict


class Meanwhile:
    """A client of MLflow before whose n-th change of the registry something else happens."""

    def __init__(self, client, num_changes, happens):
        self.client, self.num_changes, self.happens = client, num_changes, happens

    def __getattr__(self, name):
        if name.startswith(("set_", "delete_")):
            self.num_changes -= 1
            if self.num_changes == -1:
                self.happens()
        return getattr(self.client, name)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    before = mlflow.get_tracking_uri()
    yield Tracking(root=str(tmp_path_factory.mktemp("a store")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(home.URI, "")  # MLflow sets it, for its children
        mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


@pytest.fixture
def machines(store, tmp_path):
    """Two workspaces on one registry, with three versions, of which the second is champion."""

    class Shared(Tracking):
        @property
        def server(self):
            return home.own_store(Path(store.root))

    client = store.client()
    client.create_registered_model("vidtag")
    for number in (1, 2, 3):
        client.create_model_version("vidtag", f"/nowhere/{number}", tags={"bundle": f"b{number}"})
    registry.challenge(store, "vidtag", "b3", None)
    here, there = (Shared(root=str(tmp_path / name)) for name in ("here", "there"))
    for version in (1, 2):
        champions.promote(here, "vidtag", version, "first")
    yield here, there
    client.delete_registered_model("vidtag")


DECISIONS = {
    "promote 3": lambda tracking: champions.promote(tracking, "vidtag", 3, "better"),
    "promote 1": lambda tracking: champions.promote(tracking, "vidtag", 1, "as good"),
    "rollback": lambda tracking: champions.rollback(tracking, "vidtag", "bad"),
    "reject": lambda tracking: champions.settle(
        tracking, "vidtag", lambda *_: Verdict(False, ("worse",))
    )[0],
}
MEANWHILE = [
    ("promote 3", "promote 1", {1, 3}),
    ("promote 3", "promote 3", {3}),
    ("promote 3", "rollback", {1, 2}),
    ("rollback", "promote 3", {1, 3}),
    ("promote 1", "reject", {1}),
    ("reject", "promote 1", {1}),
]
MOMENTS = [0, *(pytest.param(moment, marks=pytest.mark.slow) for moment in range(1, 6))]


def decide_at_once(machines, num_changes, ours, theirs):
    """Decides here, and there before the n-th change that this makes of the registry, if ever."""
    here, there = machines
    other = Meanwhile(here.client(), num_changes, lambda: DECISIONS[theirs](there))

    class Interrupted(type(here)):
        def client(self):
            return other

    with contextlib.suppress(ValueError):  # nothing can be rolled back half way
        DECISIONS[ours](Interrupted(root=here.root))
    return other.num_changes < 0


def faults(machines):
    return [fault for tracking in machines for fault in champions.faults(tracking)]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("ours", "theirs", "possible"), MEANWHILE)
def test_decisions_at_once_end_as_one_of_them_says(
    machines, caplog, moment, ours, theirs, possible
):
    with caplog.at_level(logging.WARNING):
        if not decide_at_once(machines, moment, ours, theirs):
            return
    copies = champions.recorded(machines[0])
    champion = registry.aliases(machines[0])["champion"]
    assert champion in possible
    last = [promotions.parse(line) for line in copies[max(copies)]]
    assert champion == promotions.standing(last).champion
    assert (len(last) > 1) == ("was taken on several machines at once" in caplog.text)
    assert faults(machines) == []


@pytest.mark.parametrize(("ours", "theirs"), [each[:2] for each in MEANWHILE[:3]])
def test_logs_that_differ_by_a_decision_taken_at_once_go_on(machines, ours, theirs):
    decide_at_once(machines, 0, ours, theirs)
    for machine, version in zip(machines, (2, 1), strict=True):
        champions.promote(machine, "vidtag", version, "again")
        assert faults(machines) == []
    assert registry.aliases(machines[0])["champion"] == 1


def test_a_workspace_is_not_told_that_it_lost_what_it_never_saw(machines, caplog):
    here, there = machines
    with caplog.at_level(logging.WARNING):
        champions.replay(there)
        assert faults(machines) == []
        assert champions.promote(there, "vidtag", 3, "better").number == 3
        assert faults(machines) == []
        assert champions.rollback(here, "vidtag", "bad").champion == 2
    assert caplog.text == ""
    ours, theirs = (promotions.log_path(Path(m.root)).read_bytes() for m in machines)
    assert ours.startswith(theirs)


def test_a_line_that_a_shared_log_lost_among_others_is_told(machines):
    here, _ = machines
    log = promotions.log_path(Path(here.root))
    log.write_text(f"{log.read_text().splitlines()[1]}\n")
    assert any(fault.startswith("decision 1 is missing") for fault in faults([here]))


def test_what_another_machine_rejected_is_not_rejected_again_for_the_same_reason(machines):
    here, there = machines
    DECISIONS["reject"](here)
    DECISIONS["reject"](there)
    assert len(champions.recorded(here)) == 3
