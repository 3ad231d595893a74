"""Identity of a model: digests, and what is required of it."""

import dataclasses

import pytest
import yaml

from tests.conftest import FakeDvc
from vidtag_assets.lineage import provenance
from vidtag_ml import config


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


def test_data_that_changed_since_dvc_recorded_them_are_refused(tmp_path, params):
    folder = tmp_path / "data" / "gallery"
    folder.mkdir(parents=True)
    (folder / "points").write_text("1")
    folder.with_name("gallery.record.json").touch()
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config.as_dict(params)))
    dvc = FakeDvc(root=str(tmp_path))
    dvc.commit("gallery")
    provenance.require_bytes(dvc, ["gallery", "clips"])
    (folder / "points").write_text("2")
    with pytest.raises(ValueError, match="gallery: the bytes on disk are not those that DVC has"):
        provenance.require_bytes(dvc, ["clips", "gallery"])
