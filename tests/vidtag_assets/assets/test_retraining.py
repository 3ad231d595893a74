"""The asset retraining_policy on a real registry: what it compares, decides and shows."""

import dataclasses
import datetime as dt
import shutil

import dagster as dg
import pytest
import yaml

from orchestration import jobs
from tests.conftest import resources_of
from vidtag_assets.assets import retraining
from vidtag_assets.lineage import training_clips
from vidtag_assets.store import registry
from vidtag_assets.workspace.resources import ParamsFile
from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.models.registry import SYSTEMS
from vidtag_ml.workflow import layout


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def changed(shown):
    """What changed since the version that today is compared with, champion or not."""
    (table,) = (value for name, value in shown.items() if name.startswith("changed_since_"))
    return table


def ask(instance, resources, system="vidtag", **replaced):
    """What the asset of a system shows."""
    asset = retraining.policy_of(SYSTEMS[system])
    result = dg.materialize([asset], instance=instance, resources={**resources, **replaced})
    (event,) = result.asset_materializations_for_node(retraining.name_of(SYSTEMS[system]))
    return {key: value.value for key, value in event.metadata.items()}


def with_params(params, folder, **sections):
    """A params file in which fields of sections are others."""
    changed = {n: dataclasses.replace(getattr(params, n), **v) for n, v in sections.items()}
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(config.as_dict(dataclasses.replace(params, **changed))))
    return ParamsFile(path=str(path))


@pytest.fixture
def copied(world, tmp_path):
    """The resources of a copy of the world, whose data may be changed."""
    root = shutil.copytree(world.root, tmp_path / "copy")
    yield resources_of(root)
    world.resources["tracking"].client()  # the process's default store again


@pytest.mark.parametrize("policy", ["retraining_policy", "retraining_policy_cityguessr"])
def test_after_a_verdict_nothing_is_due(world, policy):
    shown = world.metadata(policy)
    assert not shown["retrain"]
    assert shown["why"] == "nothing calls for a new model"
    assert "judged already: version 1" in shown["limits"]


def test_a_changed_recipe_is_due_and_is_told_since_when(world, params, tmp_path, instance):
    file = with_params(params, tmp_path, phase_one={"epochs": 2})
    shown = ask(instance, world.resources, params_file=file)
    assert shown["retrain"]
    assert shown["why"] == "recipe: param.phase_one.epochs"
    today = f"{dt.datetime.now(dt.UTC):%Y-%m-%d} "
    assert f"| param.phase_one.epochs | 1 | 2 | {today}" in changed(shown)
    again = ask(instance, world.resources, params_file=file)
    assert again["noticed"] == shown["noticed"]


def test_each_system_has_a_recipe_of_its_own(world, params, tmp_path, instance):
    file = with_params(params, tmp_path, cityguessr={"epochs": 2})
    shown = ask(instance, world.resources, "cityguessr", params_file=file)
    assert shown["why"] == "recipe: param.cityguessr.epochs"
    assert not ask(instance, world.resources, params_file=file)["retrain"]


def test_what_nobody_has_begun_is_not_begun_by_itself(world, params, tmp_path, instance):
    file = with_params(params, tmp_path, registry={"domain": "trip"})
    shown = ask(instance, world.resources, "cityguessr", params_file=file)
    assert not shown["retrain"]
    assert "never: a person trains the first" in shown["triggers"]


def test_an_old_champion_is_warned_of_as_far_as_something_changed(
    world, params, tmp_path, instance
):
    old = {"retraining": {"age_days": 1e-9}}
    file = with_params(params, tmp_path, **old)
    assert ask(instance, world.resources, params_file=file)["warnings"] == {}
    file = with_params(params, tmp_path, **old, phase_one={"epochs": 2})
    (told,) = ask(instance, world.resources, params_file=file)["warnings"].items()
    assert told[0] == "stale"
    assert "and something has changed. The policy: a new model is trained" in told[1]


def test_settings_of_the_policy_itself_are_no_change(world, params, tmp_path, instance):
    file = with_params(params, tmp_path, retraining={"age_days": 1.0}, registry={"least_clips": 3})
    shown = ask(instance, world.resources, params_file=file)
    assert shown["noticed"] == {}


def test_without_a_model_the_first_is_due(world, params, tmp_path, instance):
    file = with_params(params, tmp_path, registry={"domain": "trip"})
    assert ask(instance, world.resources, params_file=file)["why"] == "first model: there is none"


def changed_clips(resources, params):
    """Makes two clips of a workspace others, as ingest would, and records them."""
    folder = resources["workspace"].layout(params).dataset
    tables = clip_tables.read(folder)
    tables.clips.loc[:1, "content_md5"] = ["a" * 32, "b" * 32]
    clip_tables.write(folder, tables)
    resources["dvc"].commit("clips")


def test_new_clips_are_due_and_counted(copied, params, instance):
    changed_clips(copied, params)
    shown = ask(instance, copied)
    assert shown["why"] == "new clips: 2 came, 2 went, 0 changed: 40.0% of 10"
    assert "| dvc.clips | " in changed(shown)
    assert "position known of 2 new and 6 train groups; 20 are needed" in shown["triggers"]


def test_a_version_of_an_older_vidtag_is_no_reason_but_what_it_lacks_is_told(
    copied, params, instance
):
    tracking = copied["tracking"]
    version = registry.resolve(tracking, "vidtag@challenger")
    for tag in ("code.phase_one", "encoder.flyover_clip", training_clips.TAG):
        tracking.client().delete_model_version_tag(version.name, version.version, tag)
    shown = ask(instance, copied)
    assert not shown["retrain"]
    assert "| code.phase_one | not recorded | " in changed(shown)
    kept = training_clips.kept(tracking, registry.resolve(tracking, "vidtag@challenger"))
    assert len(kept) == 10  # the data are the same still, so that they were kept now
    tracking.client().delete_model_version_tag(version.name, version.version, training_clips.TAG)
    changed_clips(copied, params)
    shown = ask(instance, copied)
    assert not shown["retrain"]
    assert "not known which clips" in shown["triggers"]


def test_kept_clips_whose_bytes_are_others_are_refused(copied):
    tracking = copied["tracking"]
    version = registry.resolve(tracking, "vidtag@challenger")
    (path,) = copied["workspace"].path.glob(
        f"mlartifacts/{version.run_id}/**/{training_clips.FILE}"
    )
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="has other bytes than once"):
        training_clips.kept(tracking, version)


def test_kept_clips_have_embeddings(world, params):
    tracking = world.resources["tracking"]
    kept = training_clips.kept(tracking, registry.resolve(tracking, "vidtag@challenger"))
    now = training_clips.now(layout.of(world.root, params))
    assert kept.drop(columns="embedding").equals(now)
    assert kept["embedding"].notna().all()


def past_run(instance, status, **tags):
    """A run of the job in the instance, as it ended."""
    run = dg.DagsterRun(job_name=jobs.retrain.name, run_id="0" * 32, status=status, tags=tags)
    instance.add_run(run)


def test_a_retraining_under_way_or_judged_forbids_another(world, params, tmp_path, instance):
    file = with_params(params, tmp_path, phase_one={"epochs": 2})
    due = ask(instance, world.resources, params_file=file)
    past_run(instance, dg.DagsterRunStatus.STARTED)
    shown = ask(instance, world.resources, params_file=file)
    assert "but not now: under way: 0000" in shown["why"]
    with dg.DagsterInstance.ephemeral() as other:
        judged = {retraining.IDENTITY: due["identity"]}
        past_run(other, dg.DagsterRunStatus.SUCCESS, **judged)
        shown = ask(other, world.resources, params_file=file)
    assert "same identity: judged already: run 0000" in shown["why"]
    assert "cooldown: 0.0 h ago" in shown["why"]
