"""MLflow after kills: real processes, killed before the n-th commit to the store."""

import dataclasses
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import mlflow
import pytest
import sqlalchemy

from tests.conftest import forget_decisions, lineage_of
from vidtag_assets.execution.processes import Process
from vidtag_assets.release import registration
from vidtag_assets.store import champions, leftovers, registry, registry_file
from vidtag_assets.workspace import home
from vidtag_assets.workspace.resources import PROCESS, Tracking
from vidtag_ml.models.vidtag.system import SYSTEM
from vidtag_ml.workflow import layout, sums

FORK = multiprocessing.get_context("fork")
OWN = Process.own()
GONE = dataclasses.replace(OWN, born=OWN.born - 1.0)  # the id is another process's by now


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    before = mlflow.get_tracking_uri()
    yield Tracking(root=str(tmp_path_factory.mktemp("a store")))
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)
    os.environ.pop(home.URI, None)  # MLflow sets it to what it was told last


def begun(tracking, process):
    """A run in progress that a process has begun, with a model that it has begun to log."""
    tags = {PROCESS: str(process)} if process else {}
    experiment = tracking.experiment_id()
    run = tracking.client().create_run(experiment, run_name="training", tags=tags)
    model = tracking.client().create_logged_model(experiment, "vidtag", run.info.run_id)
    return run.info.run_id, model


def status(tracking, run_id):
    return tracking.client().get_run(run_id).info.status


def test_a_run_whose_process_is_gone_is_closed_with_the_reason_and_its_model_removed(tracking):
    run_id, model = begun(tracking, GONE)
    folder = Path(tracking.root) / "mlartifacts" / "models" / model.model_id / "artifacts"
    folder.mkdir(parents=True)
    told = leftovers.clear(tracking)
    assert status(tracking, run_id) == "KILLED"
    why = f"its process {os.getpid()} is gone (killed, out of memory or switched off)"
    assert tracking.client().get_run(run_id).data.tags[leftovers.CLOSED] == why
    assert not folder.exists()
    assert told == [
        f"closed MLflow's run {run_id} (training), since {why}",
        f"removed the half-logged model {model.model_id} (vidtag)",
    ]
    assert registry_file.is_at_rest(registry_file.of(tracking.root))
    assert leftovers.clear(tracking) == []


@pytest.mark.parametrize(
    "process", [OWN, dataclasses.replace(GONE, host="elsewhere"), None], ids=["own", "far", "none"]
)
def test_what_may_be_alive_is_left_alone(tracking, process):
    run_id, model = begun(tracking, process)
    assert leftovers.clear(tracking) == []
    assert status(tracking, run_id) == "RUNNING"
    assert tracking.client().get_logged_model(model.model_id).status == "PENDING"
    tracking.client().set_terminated(run_id)
    tracking.client().delete_logged_model(model.model_id)


def test_runs_tell_their_process_from_their_first_moment(tracking):
    logger = tracking.logger("training")
    assert tracking.client().get_run(logger.run_id).data.tags[PROCESS] == str(OWN)
    with tracking.open("training", {}, logger.run_id) as again:
        assert again.info.run_id == logger.run_id
    with tracking.open("another", {"a": "b"}) as run:
        assert run.data.tags[PROCESS] == str(OWN)
    assert status(tracking, logger.run_id) == status(tracking, run.info.run_id) == "FINISHED"


def test_a_run_that_was_killed_before_it_was_complete_is_no_model_s_run(tracking):
    run_id, _ = begun(tracking, GONE)
    tracking.client().set_tag(run_id, "weights", "abc")
    leftovers.clear(tracking)
    assert tracking.find(weights="abc") is None
    assert tracking.find(finished=False, weights="abc").info.run_id == run_id


def test_a_store_of_another_kind_is_left_to_mlflow(tmp_path):
    assert registry_file.is_at_rest(tmp_path / "mlflow.db")
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    assert not registry_file.is_at_rest(tmp_path / "mlflow.db")


def open_and_die(tracking, statement):
    """Opens a store, and is killed when it has carried out a statement."""

    def die(_connection, _cursor, done, *_):
        if done.strip().startswith(statement):
            os.kill(os.getpid(), signal.SIGKILL)

    sqlalchemy.event.listen(sqlalchemy.Engine, "after_cursor_execute", die)
    tracking.experiment_id()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE secrets",
        *(
            pytest.param(rest, marks=pytest.mark.faults)
            for rest in ("CREATE TABLE experiments", "UPDATE alembic_version", "INSERT INTO")
        ),
    ],
)
def test_a_store_that_was_being_made_by_a_killed_process_is_made_anew(tmp_path, statement):
    made = Tracking(root=str(tmp_path))
    process = FORK.Process(target=open_and_die, args=(made, statement))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert made.client().get_experiment(made.experiment_id()).name == "vidtag"
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "out"}


@pytest.fixture
def copied(world, tmp_path, params):
    root = shutil.copytree(world.root, tmp_path / "a copy")
    tracking = Tracking(root=str(root))
    forget_decisions(tracking, "vidtag")
    at = layout.of(root, params)
    (at.bundle / "bundle.json").write_text((at.bundle / "bundle.json").read_text() + "\n")
    sums.write(at.bundle)
    yield tracking, at
    world.resources["tracking"].client()


def register(copied, params):
    tracking, at = copied
    leftovers.clear(tracking)
    registration.register(SYSTEM, tracking, at, params, lineage_of(at.root), {})
    registration.decide(SYSTEM, tracking, at, params)


def register_and_die(copied, params, num_commits):
    """Is killed before one more commit than so many."""
    left = iter(range(num_commits))

    def die(_connection):
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sqlalchemy.event.listen(sqlalchemy.Engine, "commit", die)
    register(copied, params)


@pytest.mark.parametrize(
    "num_commits",
    [
        3, 9, 17,
        *(pytest.param(n, marks=pytest.mark.faults) for n in range(60) if n not in (3, 9, 17)),
    ],
)  # fmt: skip
def test_a_registration_killed_anywhere_leaves_nothing_once_the_next_has_ended(
    copied, params, num_commits
):
    tracking, _ = copied
    process = FORK.Process(target=register_and_die, args=(copied, params, num_commits))
    process.start()
    process.join()
    assert process.exitcode in (-signal.SIGKILL, 0)
    register(copied, params)
    assert registry_file.is_at_rest(registry_file.of(tracking.root))
    newest, *_ = registry.versions(tracking, "vidtag")
    assert (newest.version, registry.aliases(tracking)["challenger"]) == (2, 2)
    assert {"bundle.json"} <= {f.name for f in registry.bundle_path(tracking, "vidtag/2").iterdir()}
    assert len(tracking.client().search_logged_models([tracking.experiment_id()])) == 3
    assert registry.report(tracking, newest, "val").summary
    ((entry,),) = champions.recorded(tracking).values()
    assert '"version": 2' in entry
