"""Workspaces that are renamed, copied and restored: each keeps to itself, with its own code."""

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from vidtag_assets.lineage import provenance
from vidtag_assets.release import registration
from vidtag_assets.store import champions, registry
from vidtag_assets.workspace import home
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml.models.report import Report
from vidtag_ml.models.vidtag.system import SYSTEM
from vidtag_ml.workflow import layout, stage, sums

ROOT = Path(__file__).parents[3]


def register(root, params, text):
    """Registers a bundle that holds just this text, with reports of one clip; it is champion."""
    at, tracking = layout.of(root, params), Tracking(root=str(root))
    at.bundle.mkdir(parents=True, exist_ok=True)
    (at.bundle / "bundle.json").write_text(json.dumps({"text": text}))
    sums.write(at.bundle)
    per_clip = pd.DataFrame({"clip_id": ["a"], "median_km": 1.0})
    for split in ("val", "test"):
        report = Report({"median_km": 1.0, "bundle": text}, per_clip, per_clip)
        report.write(at.evaluation("vidtag", split))
    lineage = provenance.Lineage("commit", "c.dir", "g.dir", "params", "run")
    version, _ = registration.register(SYSTEM, tracking, at, params, lineage, {})
    champions.promote(tracking, "vidtag", version.version, "for a test")


@pytest.fixture(scope="module")
def registered(params, tiny_world, tmp_path_factory):
    """A workspace with a champion."""
    root = tmp_path_factory.mktemp("home") / "at 100% of #1"
    at = layout.of(root, params)
    at.dataset.mkdir(parents=True)
    for name in ("clips", "fixes"):
        shutil.copy(tiny_world / f"{name}.parquet", at.dataset)
    register(root, params, "first")
    return root


@pytest.fixture
def original(registered, tmp_path):
    """Its copy, that has been opened where it is."""
    root = shutil.copytree(registered, tmp_path / "original")
    home.follow(root)
    return root


def champion(root):
    """The text in the champion's bundle and in its report, and where the bundle lies."""
    tracking = Tracking(root=str(root))
    version = registry.resolve(tracking, "vidtag@champion")
    bundle = registry.bundle_path(tracking, "vidtag@champion")
    report = registry.report(tracking, version, "val")
    return (
        json.loads((bundle / "bundle.json").read_text())["text"],
        report.summary["bundle"],
        bundle,
    )


def bytes_of(root):
    return stage.digest(root / "mlflow.db"), stage.digest(root / "mlartifacts")


def addresses(root):
    with sqlite3.connect(root / "mlflow.db") as db:
        return [
            value
            for table, column in home.ADDRESSES
            for (value,) in db.execute(f"SELECT {column} FROM {table}")  # noqa: S608
        ]


def move(root, target):
    return root.rename(target)


def archive(root, target):
    with tarfile.open(target.with_suffix(".tar"), "w") as tar:
        tar.add(root, target.name)
    shutil.rmtree(root)
    with tarfile.open(target.with_suffix(".tar")) as tar:
        tar.extractall(target.parent, filter="data")
    return target


@pytest.mark.parametrize("how", [shutil.copytree, move, archive])
def test_a_workspace_elsewhere_keeps_its_champion_and_its_evidence(original, how, tmp_path):
    root = how(original, tmp_path / "another place")
    *told, bundle = champion(root)
    assert told == ["first", "first"]
    assert bundle.is_relative_to(root)
    assert not any("original" in address for address in addresses(root))


def test_a_copy_and_its_original_never_write_into_each_other(original, params, tmp_path):
    copy = shutil.copytree(original, tmp_path / "copy")
    before = bytes_of(original)
    register(copy, params, "second")
    assert bytes_of(original) == before
    assert champion(copy)[0] == "second"
    before = bytes_of(copy)
    register(original, params, "third")
    assert bytes_of(copy) == before
    assert champion(original)[0] == "third"
    assert not any(str(copy) in address for address in addresses(original))


def test_only_what_lay_in_the_old_place_is_led_to_the_new_one(original, tmp_path):
    others = ["s3://bucket/original", f"{original}-2/x", f"/mnt{original}", f"{original}/x_%/y"]
    with sqlite3.connect(original / "mlflow.db") as db:
        for number, other in enumerate(others):
            row = (f"e{number}", other, "active")
            db.execute(
                "INSERT INTO experiments (name, artifact_location, lifecycle_stage) "
                "VALUES (?, ?, ?)",
                row,
            )
    db.close()
    copy = shutil.copytree(original, tmp_path / "copy")
    home.follow(copy)
    assert {*others[:3], f"{copy}/x_%/y"} <= set(addresses(copy))
    assert set(others) <= set(addresses(original))


def test_another_store_that_the_environment_names_is_left_alone(original, tmp_path, monkeypatch):
    copy = shutil.copytree(original, tmp_path / "copy")
    third = shutil.copytree(original, tmp_path / "third")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{third}/mlflow.db")
    before = bytes_of(third)
    with pytest.raises(ValueError, match=r"third/mlflow\.db, a file outside the workspace"):
        champion(copy)
    assert bytes_of(third) == before


def test_of_many_that_notice_a_move_one_does_it_and_tells(original, tmp_path, caplog):
    copy = shutil.copytree(original, tmp_path / "copy")
    with ThreadPoolExecutor(8) as pool:
        moved = list(pool.map(home.follow, [copy] * 16))
    assert [place for place in moved if place] == [original]
    assert caplog.messages == [f"mlflow.db is from {original}: its addresses now lead to {copy}"]


def test_addresses_change_all_or_none(original, tmp_path):
    copy = shutil.copytree(original, tmp_path / "copy")
    fail = "CREATE TRIGGER t BEFORE UPDATE ON model_versions BEGIN SELECT RAISE(ABORT, 'no'); END"
    with sqlite3.connect(copy / "mlflow.db") as db:
        db.execute(fail)
    db.close()
    with pytest.raises(ValueError, match=r"mlflow\.db: where its artifacts lie cannot be"):
        home.follow(copy)
    assert addresses(copy) == addresses(original)


def test_a_place_without_a_store_stays_without_one(tmp_path):
    assert home.follow(tmp_path) is None
    assert not list(tmp_path.iterdir())
    (tmp_path / "mlflow.db").touch()
    assert home.follow(tmp_path) is None


def test_sources_of_datasets_hold_wherever_the_workspace_lies(registered):
    tracking = Tracking(root=str(registered))
    run = tracking.client().get_run(registry.resolve(tracking, "vidtag@champion").run_id)
    sources = {entry.dataset.source for entry in run.inputs.dataset_inputs}
    assert sources == {'{"uri": "data/flyover"}', '{"uri": "data/gallery"}'}


def test_a_copied_command_does_not_run_the_original_s_code(tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    script = shutil.copy(Path(sys.prefix) / "bin" / "vidtag", tmp_path / ".venv" / "bin")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"vidtag: {script} was copied and would run the code in ")
    assert f"`make setup` in {tmp_path}" in done.stderr


def test_a_workspace_with_code_of_its_own_is_not_served_by_other_code(tmp_path):
    script = Path(sys.prefix) / "bin" / "vidtag"
    assert home.foreign(script, ROOT) is None
    assert home.foreign(script, tmp_path) is None
    for name in ("pyproject.toml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    assert f"{tmp_path} is a workspace with code of its own" in str(home.foreign(script, tmp_path))


def test_dagster_keeps_runs_in_the_workspace_or_where_a_user_wants_them(tmp_path, monkeypatch):
    for allowed in (None, tmp_path / ".dagster", tmp_path / "somewhere"):
        if allowed:
            monkeypatch.setenv("DAGSTER_HOME", str(allowed))
        home.check_dagster(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "original" / ".dagster"))
    with pytest.raises(ValueError, match="of another workspace"):
        home.check_dagster(tmp_path)
