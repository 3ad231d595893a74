"""Registration and the gate's decision on a copy of the tiny world's store."""

import dataclasses
import json
import shutil

import pandas as pd
import pytest

from tests.conftest import FakeDvc, forget_decisions, lineage_of
from vidtag_assets.lineage import tracing
from vidtag_assets.release import registration
from vidtag_assets.store import champions, promotions, registry
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml.models.gps_retrieval import judging
from vidtag_ml.models.vidtag import stages as vidtag_stages
from vidtag_ml.models.vidtag.system import SYSTEM
from vidtag_ml.retrieval import stages as retrieval_stages
from vidtag_ml.workflow import layout, sums


@pytest.fixture
def copied(world, tmp_path, params):
    """Tracking, layout and lineage of a copy in which version 1 is the champion."""
    root = shutil.copytree(world.root, tmp_path / "a copy")
    tracking = Tracking(root=str(root))
    forget_decisions(tracking, "vidtag")  # the world's own verdict on its untrained model
    champions.promote(tracking, "vidtag", 1, "first")
    at = layout.of(root, params)
    yield tracking, at, lineage_of(root)
    world.resources["tracking"].client()


def register_another(copied, params, factor, **tags):
    """Version 2: other bytes in the bundle, and errors on val that are `factor` times as large."""
    tracking, at, lineage = copied
    (at.bundle / "bundle.json").write_text((at.bundle / "bundle.json").read_text() + "\n")
    sums.write(at.bundle)
    path = at.evaluation("vidtag", "val") / "per_clip.parquet"
    table = pd.read_parquet(path)
    table.assign(median_km=table["median_km"] * factor).to_parquet(path, index=False)
    return registration.register(
        SYSTEM, tracking, at, params, lineage, {"run.phase_two": "r"} | tags
    )


def test_registered_bytes_are_not_registered_again(copied, params):
    tracking, at, lineage = copied
    version, new = registration.register(SYSTEM, tracking, at, params, lineage, {})
    assert (int(version.version), new) == (1, False)
    assert registry.aliases(tracking) == {"challenger": 1, "champion": 1}


def test_a_version_and_its_logged_model_know_each_other_and_mlflow_is_silent(copied, params, capfd):
    tracking, _, _ = copied
    version, _ = register_another(copied, params, 1.0)
    model = tracking.client().get_logged_model(version.source.removeprefix("models:/"))
    (link,) = json.loads(model.tags["mlflow.modelVersions"])
    assert link == {"name": "vidtag", "version": version.version}
    assert model.source_run_id == version.run_id
    assert "ersion '2'" not in capfd.readouterr().err


def test_unchanged_challenger_moves_nothing(copied, params):
    tracking, at, _ = copied
    entry, verdict = registration.decide(SYSTEM, tracking, at, params)
    assert (entry.action, entry.champion, verdict) == ("unchanged", 1, None)
    assert len(promotions.history(at.root)) == 1


def test_better_challenger_becomes_champion(copied, params):
    tracking, at, _ = copied
    version, new = register_another(copied, params, 0.01)
    assert (int(version.version), new) == (2, True)
    entry, verdict = registration.decide(SYSTEM, tracking, at, params)
    assert verdict.promoted
    assert (entry.action, entry.champion, entry.previous) == ("promoted", 2, 1)
    assert registry.aliases(tracking) == {"challenger": 2, "champion": 2, "previous": 1}


def test_rejection_keeps_the_champion_and_is_logged_once(copied, params):
    tracking, at, _ = copied
    register_another(copied, params, 1.0)
    for _ in range(2):
        entry, _ = registration.decide(SYSTEM, tracking, at, params)
        assert (entry.action, entry.champion) == ("rejected", 1)
    assert [e.action for e in promotions.history(at.root)] == ["promoted", "rejected"]
    assert "no significant gain" in registry.resolve(tracking, "vidtag/2").tags["verdict"]


DIRTY = {"git_commit": "0123456789abcdef+changes"}


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({}, []),
        ({"git_commit": "no-git", "stale": ""}, []),
        (DIRTY, ["its code is not that of commit 0123456789ab: commit the changes"]),
        ({"stale": "phase_two"}, ["phase_two: not known to be trained on the data"]),
    ],
)
def test_changed_code_and_stale_weights_bar_a_version(tags, why):
    found = registration.bars(tags)
    assert [said[: len(begin)] for said, begin in zip(found, why, strict=True)] == why


def test_changed_code_never_becomes_champion_however_good(copied, params):
    tracking, at, _ = copied
    register_another(copied, params, 0.01, **DIRTY)
    entry, verdict = registration.decide(SYSTEM, tracking, at, params)
    assert (entry.action, entry.champion, verdict.promoted) == ("rejected", 1, False)
    assert entry.reason.startswith("its code is not that of commit 0123456789ab")
    assert verdict.whole.change == pytest.approx(0.01)


def test_once_the_code_is_committed_the_same_bytes_are_registered_again_and_promoted(
    copied, params
):
    tracking, at, lineage = copied
    register_another(copied, params, 0.01, **DIRTY)
    version, new = registration.register(SYSTEM, tracking, at, params, lineage, {})
    assert (int(version.version), new) == (3, True)
    entry, _ = registration.decide(SYSTEM, tracking, at, params)
    assert (entry.action, entry.champion) == ("promoted", 3)
    again, new = registration.register(SYSTEM, tracking, at, params, lineage, DIRTY)
    assert (int(again.version), new) == (3, False)


def test_weights_trained_with_other_parameters_are_told(copied, params):
    root = copied[1].root
    assert registration.stale(SYSTEM, root, params) == []
    other = dataclasses.replace(params.phase_one, learning_rate=0.5)
    changed = dataclasses.replace(params, phase_one=other)
    assert registration.stale(SYSTEM, root, changed) == ["phase_one", "phase_two"]
    assert registration.stale(SYSTEM, root, params) == []
    shutil.rmtree(root / "out" / "phase_one")
    assert registration.stale(SYSTEM, root, params) == ["phase_one", "phase_two"]


def test_weights_of_other_parameters_are_registered_with_that_said(copied, params):
    tracking, at, _ = copied
    other = dataclasses.replace(params.phase_one, learning_rate=0.5)
    answers = dataclasses.replace(params.evaluation, num_candidates=3)
    changed = dataclasses.replace(params, phase_one=other, evaluation=answers)
    dvc = FakeDvc(root=str(at.root))
    version, new = registration.bundle_and_register(SYSTEM, at.root, changed, dvc, tracking, "run")
    assert (version.tags["stale"], new) == ("phase_one, phase_two", True)


def test_a_version_has_a_card_and_its_verdict_as_a_table_and_figures(copied, params):
    tracking, at, _ = copied
    version, _ = register_another(copied, params, 0.01)
    client = tracking.client()
    described = client.get_model_version("vidtag", version.version).description
    assert described.startswith("VidTAG: gives tracks. Made by code commit")
    assert "## Verdict" not in described
    registration.decide(SYSTEM, tracking, at, params)
    told = client.get_model_version("vidtag", version.version).description
    assert "## Limits" in told
    assert "The gate: promoted, compared with champion 1." in told
    assert "| all | 2 | " in told
    run = client.get_run(version.run_id)
    assert run.data.metrics["verdict_promoted"] == 1
    assert run.data.metrics["verdict_change"] == pytest.approx(0.01)
    kept = registry.local(tracking, f"runs:/{version.run_id}/verdict/slices.csv")
    assert pd.read_csv(kept)["name"].tolist()[0] == "all"
    assert run.info.status == "FINISHED"


def test_version_taken_back_is_not_promoted_by_the_gate(copied, params):
    tracking, at, _ = copied
    register_another(copied, params, 0.01)
    registration.decide(SYSTEM, tracking, at, params)
    champions.rollback(tracking, "vidtag", "wrong hemisphere")
    entry, verdict = registration.decide(SYSTEM, tracking, at, params)
    assert verdict is None
    assert "wrong hemisphere" in entry.reason
    assert registry.aliases(tracking)["champion"] == 1


def test_champion_is_judged_anew_on_another_gallery(copied, params):
    tracking, at, lineage = copied
    other = dataclasses.replace(params, gallery=dataclasses.replace(params.gallery, spacing_km=900))
    retrieval_stages.gallery(at.root, other)
    SYSTEM.evaluate(at.root, other, "val")
    vidtag_stages.bundle_vidtag(at.root, other)
    registration.register(SYSTEM, tracking, at, other, lineage, {})
    old = registry.report(tracking, registry.resolve(tracking, "vidtag/1"), "val")
    new = registry.report(tracking, registry.resolve(tracking, "vidtag/2"), "val")
    assert judging.incomparable(new, old) == "another gallery"
    entry, verdict = registration.decide(SYSTEM, tracking, at, other)
    assert verdict.whole.change == pytest.approx(1.0)  # the same weights on the same gallery
    assert "champion 1" in entry.reason


def test_a_domain_has_a_champion_of_its_own_and_is_traced_by_its_name(copied, params):
    tracking, at, _ = copied
    trip = dataclasses.replace(params, registry=dataclasses.replace(params.registry, domain="trip"))
    version, new = register_another(copied, trip, 0.01)
    assert (version.name, int(version.version), new) == ("vidtag-trip", 1, True)
    entry, _ = registration.decide(SYSTEM, tracking, at, trip)
    assert (entry.model, entry.champion) == ("vidtag-trip", 1)
    assert "GeoCLIP" in entry.reason
    assert registry.aliases(tracking)["champion"] == 1
    dvc = FakeDvc(root=str(at.root))
    (found,) = tracing.trace(tracking, dvc, version.tags["bundle"])
    assert (found["model"], found["aliases"]) == ("vidtag-trip", ["challenger", "champion"])
    assert tracing.trace(tracking, dvc, "vidtag-trip/1") == [found]


def test_too_few_val_clips_crown_no_first_champion_either(copied, params):
    tracking, at, _ = copied
    asked = dataclasses.replace(params.registry, domain="trip", least_clips=20)
    strict = dataclasses.replace(params, registry=asked)
    register_another(copied, strict, 0.01)
    entry, verdict = registration.decide(SYSTEM, tracking, at, strict)
    assert (entry.action, entry.champion, verdict.promoted) == ("rejected", None, False)
    assert entry.reason.startswith("2 val clips are too few for a verdict")
    with pytest.raises(ValueError, match="vidtag-trip has no champion yet"):
        registry.resolve(tracking, "vidtag-trip")


def test_bundle_of_a_name_is_the_registered_one(copied):
    tracking, at, _ = copied
    folder = registry.bundle_path(tracking, "vidtag@champion")
    assert (folder / "bundle.json").read_bytes() == (at.bundle / "bundle.json").read_bytes()
