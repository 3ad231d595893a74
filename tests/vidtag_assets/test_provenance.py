"""Identity of a model: digests and Git."""

import dataclasses
import subprocess

import pytest

from vidtag_assets import provenance


def git(root, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def test_commit_tells_changes_of_code_but_not_of_what_is_recorded_elsewhere(tmp_path):
    assert provenance.git_commit(tmp_path) == provenance.NO_GIT
    git(tmp_path, "init", "-q")
    for name in ("code", "dvc.lock", "params.yaml"):
        (tmp_path / name).write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = provenance.git_commit(tmp_path)
    for name in ("dvc.lock", "params.yaml"):
        (tmp_path / name).write_text("2")
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
