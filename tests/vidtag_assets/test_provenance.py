"""Identity of a model: digests, Git, and the way from data to models and back."""

import dataclasses
import subprocess

import pytest

from vidtag_assets import provenance


def git(root, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def test_commit_tells_changes_of_code_but_not_of_the_lock(tmp_path):
    assert provenance.git_commit(tmp_path) == provenance.NO_GIT
    git(tmp_path, "init", "-q")
    for name in ("code", "dvc.lock"):
        (tmp_path / name).write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = provenance.git_commit(tmp_path)
    (tmp_path / "dvc.lock").write_text("2")
    assert provenance.git_commit(tmp_path) == commit
    (tmp_path / "code").write_text("2")
    assert provenance.git_commit(tmp_path) == f"{commit}+changes"


def test_params_digest_follows_values_alone(params):
    other = dataclasses.replace(params.phase_one, seed=99)
    assert provenance.params_digest(params) == provenance.params_digest(dataclasses.replace(params))
    changed = dataclasses.replace(params, phase_one=other)
    assert provenance.params_digest(params) != provenance.params_digest(changed)


def test_untraceable_models_are_refused():
    with pytest.raises(ValueError, match="no md5 of gallery"):
        provenance.require(provenance.Lineage("abc", "c.dir", None, "p", "r"))


def test_nested_parameters_become_dotted_names():
    assert provenance.flat({"a": {"b": {"c": 1}}, "d": [2]}) == {"a.b.c": 1, "d": [2]}


def test_trace_leads_from_the_model_to_its_data(world):
    tracking, dvc = world.resources["tracking"], world.resources["dvc"]
    (found,) = provenance.trace(tracking, dvc, "vidtag@challenger")
    assert found["dvc.clips"] == dvc.md5("clips")
    assert found["data_is_current"]
    assert set(found["training_runs"]) == {"phase_one", "phase_two"}
    assert {"val_median_km", "test_median_km"} <= set(found["metrics"])


@pytest.mark.parametrize("name", ["vidtag", "cityguessr"])
@pytest.mark.parametrize("identity", ["bundle", "mlflow_run"])
def test_trace_leads_from_any_identity_to_the_model(world, name, identity):
    tracking, dvc = world.resources["tracking"], world.resources["dvc"]
    (model,) = provenance.trace(tracking, dvc, f"{name}/1")
    assert model["model"] == name
    assert provenance.trace(tracking, dvc, model[identity][:12]) == [model]


@pytest.mark.parametrize("identity", ["dvc.clips", "dvc.gallery", "params"])
def test_trace_leads_from_what_models_share_to_all_of_them(world, identity):
    tracking, dvc = world.resources["tracking"], world.resources["dvc"]
    models = [provenance.trace(tracking, dvc, name)[0] for name in ("vidtag", "cityguessr")]
    assert provenance.trace(tracking, dvc, models[0][identity][:12]) == models


def test_trace_of_nothing_known_says_so(world):
    with pytest.raises(ValueError, match="no model is called 'abc'"):
        provenance.trace(world.resources["tracking"], world.resources["dvc"], "abc")
