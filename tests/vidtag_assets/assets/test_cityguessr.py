"""CityGuessr's registration, the gate's decision and its checks, on a copy of the tiny world."""

import dataclasses
import shutil

import mlflow
import pandas as pd
import pytest

from tests.conftest import forget_decisions, lineage_of
from vidtag_assets.assets import cityguessr
from vidtag_assets.lineage import provenance
from vidtag_assets.release import registration
from vidtag_assets.store import champions, registry
from vidtag_assets.workspace.resources import ParamsFile, Tracking, Workspace
from vidtag_ml.dataset import hierarchy
from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.models.cityguessr.evaluate import PlaceReport, intervals
from vidtag_ml.models.cityguessr.locator import CityGuessrLocator
from vidtag_ml.models.cityguessr.system import SYSTEM
from vidtag_ml.workflow import layout, stage, sums


@pytest.fixture
def copied(world, tmp_path, params):
    """Tracking and layout of a copy in which version 1 is the champion, whatever the gate said."""
    root = shutil.copytree(world.root, tmp_path / "a copy")
    tracking = Tracking(root=str(root))
    forget_decisions(tracking, "cityguessr")
    champions.promote(tracking, "cityguessr", 1, "first")
    yield tracking, layout.of(root, params)
    world.resources["tracking"].client()


def change_report(at, right, continent="Asia"):
    """All val clips get rows that are right at every level, or at none."""
    folder = at.evaluation("cityguessr", "val")
    report = PlaceReport.read(folder)
    shares = {f"acc_{level}": float(right) for level in LEVELS}
    table = report.per_clip.assign(**shares, continent=continent)
    figures = {**report.summary, **shares, **intervals(table, 20)}
    dataclasses.replace(report, summary=figures, per_clip=table).write(folder)


def register_another(copied, params, right):
    """A version with other bytes in the bundle, and other answers on val."""
    tracking, at = copied
    card = at.guess_bundle / "bundle.json"
    card.write_text(card.read_text() + "\n")
    sums.write(at.guess_bundle)
    change_report(at, right)
    return registration.register(SYSTEM, tracking, at, params, lineage_of(at.root), {})


def test_registered_places_are_traced_to_their_hierarchy_and_run(world):
    metadata = world.metadata("registered_cityguessr")
    verdict = world.metadata("champion_cityguessr")["verdict"]
    version = registry.resolve(world.resources["tracking"], "cityguessr@challenger")
    assert metadata["new"]
    assert verdict in ("promoted", "rejected")
    assert version.tags["dvc.hierarchy"] == world.resources["dvc"].md5("hierarchy")
    assert version.tags["run.cityguessr"]
    run = world.resources["tracking"].client().get_run(version.run_id)
    assert {"val_acc_city", "test_acc_country", "test_ece"} <= set(run.data.metrics)


def test_the_first_verdict_on_places_is_against_the_most_frequent_classes(copied, params):
    tracking, at = copied
    tracking.client().delete_registered_model_alias("cityguessr", "champion")
    entry, verdict = registration.decide(SYSTEM, tracking, at, params)
    assert verdict is not None
    assert "most frequent class" in entry.reason
    assert entry.previous is None


def test_a_champion_that_saw_other_clips_is_evaluated_anew(copied, params):
    tracking, at = copied
    ours = registry.report(
        tracking, registry.resolve(tracking, "cityguessr/1"), "val", "cityguessr"
    )
    again = registration.champion_report(SYSTEM, tracking, at, params, ours, 1)
    pd.testing.assert_frame_equal(again.per_clip, ours.per_clip)
    fewer = dataclasses.replace(ours, per_clip=ours.per_clip.head(1))
    anew = registration.champion_report(SYSTEM, tracking, at, params, fewer, 1)
    assert anew is not again
    pd.testing.assert_frame_equal(anew.per_clip, ours.per_clip, rtol=1e-4)


def test_registered_bytes_are_not_registered_again(copied, params):
    tracking, at = copied
    version, new = registration.register(SYSTEM, tracking, at, params, lineage_of(at.root), {})
    assert (int(version.version), new) == (1, False)
    assert registration.decide(SYSTEM, tracking, at, params)[0].action == "unchanged"


@pytest.mark.parametrize(("right", "action", "champion"), [(1, "promoted", 3), (0, "rejected", 2)])
def test_the_gate_compares_places_on_the_same_clips(copied, params, right, action, champion):
    tracking, at = copied
    version, new = register_another(copied, params, 1 - right)
    assert (int(version.version), new) == (2, True)
    champions.promote(tracking, "cityguessr", 2, "for a test")
    register_another(copied, params, right)
    entry, verdict = registration.decide(SYSTEM, tracking, at, params)
    assert (entry.action, entry.champion) == (action, champion)
    assert "champion 2" in entry.reason
    assert verdict.promoted == bool(right)
    assert registry.aliases(tracking, "cityguessr")["challenger"] == 3


def test_bundle_of_the_name_is_the_registered_one(copied):
    tracking, at = copied
    folder = registry.bundle_path(tracking, "cityguessr")
    assert stage.digest(folder) == stage.digest(at.guess_bundle)


def test_untraceable_places_are_refused(copied, params):
    tracking, at = copied
    lost = provenance.Lineage("commit", None, "g.dir", "params", "run")
    with pytest.raises(ValueError, match="no md5 of clips"):
        registration.register(SYSTEM, tracking, at, params, lost, {})


def stable(copied):
    tracking, at = copied
    files = ParamsFile(path=str(at.root / "params.yaml"))
    return cityguessr.class_ids_are_stable(Workspace(root=str(at.root)), files, tracking)


def test_class_numbers_are_stable_until_a_place_comes_before_others(copied):
    assert stable(copied).passed
    path = copied[1].hierarchy
    table, first = hierarchy.read(path), ("A", "A", "A", "A")
    hierarchy.write(pd.concat([table, pd.DataFrame([first], columns=table.columns)]), path)
    found = stable(copied)
    assert not found.passed
    assert found.severity.value == "WARN"
    assert found.metadata["num_moved"].value >= len(table)


def test_without_a_champion_there_are_no_numbers_to_keep(copied):
    copied[0].client().delete_registered_model_alias("cityguessr", "champion")
    found = stable(copied)
    assert (found.passed, found.description) == (True, "there is no earlier version")


@pytest.mark.parametrize("split", ["train", "test"])
def test_classes_without_train_clips_are_told(copied, split):
    _, at = copied
    path = at.dataset / "clips.parquet"
    pd.read_parquet(path).assign(split=split).to_parquet(path, index=False)
    files = ParamsFile(path=str(at.root / "params.yaml"))
    found = cityguessr.every_class_has_train_clips(Workspace(root=str(at.root)), files)
    num = sum(hierarchy.Hierarchy.of(hierarchy.read(at.hierarchy)).sizes)
    assert found.passed == (split == "train")
    assert found.metadata["num_absent"].value == (0 if split == "train" else num)


def test_served_places_are_those_of_the_bundle(world):
    world.resources["tracking"].client()
    videos = sorted((world.root / "data" / "flyover" / "videos").glob("*.mp4"))[:2]
    model = mlflow.pyfunc.load_model("models:/cityguessr@challenger")
    served = model.predict([str(video) for video in videos])
    guesser = CityGuessrLocator.load(world.root / "out" / "guess_bundle")
    located = pd.concat([guesser.locate(v).table() for v in videos], ignore_index=True)
    pd.testing.assert_frame_equal(served, located)
    assert {"clip", "answer", *LEVELS, "probability_city", "sure_country"} <= set(served.columns)
