"""Registered bytes that have changed are used by nobody: locate, MLflow, the gate, trace."""

import json
import shutil

import mlflow
import pandas as pd
import pytest

from vidtag_assets import cli
from vidtag_assets.release import registration
from vidtag_assets.store import champions, promotions, registry
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml.cli import app as ml
from vidtag_ml.models.vidtag.system import SYSTEM
from vidtag_ml.workflow import layout, sums


@pytest.fixture
def copied(world, tmp_path):
    """A copy of the tiny world in which version 1 is the champion, and its bundle in the store."""
    root = shutil.copytree(world.root, tmp_path / "a copy")
    tracking = Tracking(root=str(root))
    champions.promote(tracking, "vidtag", 1, "for a test")
    yield root, tracking, registry.bundle_path(tracking, "vidtag")
    world.resources["tracking"].client()


def flip(bundle):
    path = bundle / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def mirror(bundle):
    path = bundle / "gallery" / "gallery.parquet"
    points = pd.read_parquet(path)
    points.assign(lon=-points["lon"]).to_parquet(path, index=False)


def rewrite(bundle):
    """Another speed limit, with sums to match."""
    card = bundle / "bundle.json"
    card.write_text(card.read_text().replace('"max_speed_kmh": ', '"max_speed_kmh":  '))
    sums.write(bundle)


@pytest.fixture(params=[flip, mirror, rewrite])
def tampered(copied, request):
    request.param(copied[2])
    return copied[:2]


def located(root, monkeypatch, capsys):
    video = min((root / "data" / "flyover" / "videos").glob("*.mp4"))
    monkeypatch.chdir(root)
    with pytest.raises(SystemExit) as stopped:
        ml.main(cli.app, ["locate", str(video), "--out", str(root / "found")])
    return stopped.value.code, capsys.readouterr()


def test_locate_refuses_it_in_one_line_and_writes_nothing(tampered, monkeypatch, capsys):
    root, _ = tampered
    code, said = located(root, monkeypatch, capsys)
    assert (code, said.out) == (1, "")
    assert "not as it was registered" in said.err
    assert said.err.count("\n") == 1
    assert not (root / "found").exists()


def test_mlflow_does_not_serve_it(tampered):
    tampered[1].client()
    with pytest.raises(ValueError, match="not as it was registered"):
        mlflow.pyfunc.load_model("models:/vidtag@champion")


def test_the_gate_does_not_judge_it_nor_measure_by_it(tampered, params):
    root, tracking = tampered
    at = layout.of(root, params)
    tracking.client().delete_registered_model_alias("vidtag", "champion")
    log = promotions.log_path(root).read_bytes()
    with pytest.raises(ValueError, match="not as it was registered"):
        registration.decide(SYSTEM, tracking, at, params)
    assert "champion" not in registry.aliases(tracking, "vidtag")
    assert promotions.log_path(root).read_bytes() == log


def test_trace_says_so_restores_nothing_and_fails(tampered, monkeypatch, capsys):
    root, _ = tampered
    monkeypatch.chdir(root)
    with pytest.raises(SystemExit) as stopped:
        ml.main(cli.app, ["trace", "vidtag/1", "--json", "--restore", str(root / "there")])
    said = capsys.readouterr()
    (model,) = json.loads(said.out)
    assert (stopped.value.code, model["bundle_is_intact"], model["restore"]) == (1, False, None)
    assert "not as it was registered" in said.err
    assert said.err.count("\n") == 1
    assert not (root / "there").exists()


def test_a_report_that_changed_decides_nothing(copied, params):
    root, tracking, _ = copied
    version = registry.resolve(tracking, "vidtag/1")
    path = registry.logged(tracking, version, "evaluation/val") / "per_clip.parquet"
    table = pd.read_parquet(path)
    table.assign(median_km=table["median_km"] / 100).to_parquet(path, index=False)
    tracking.client().delete_registered_model_alias("vidtag", "champion")
    with pytest.raises(ValueError, match="its report on val is not as it was registered"):
        registration.decide(SYSTEM, tracking, layout.of(root, params), params)
