"""CityGuessr's stages: what makes them run again, and what does not."""

import dataclasses
import shutil

import pytest

from vidtag_ml import config
from vidtag_ml.models.cityguessr import stages as cityguessr_stages
from vidtag_ml.models.stages import STAGES

NAMES = ("cityguessr", "evaluate_cityguessr", "bundle_cityguessr")


def load(root):
    return config.load(root / "params.yaml")


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def test_second_run_of_every_stage_does_nothing(made):
    assert [name for name in NAMES if STAGES[name](made, load(made))] == []


@pytest.mark.parametrize(
    ("section", "change", "again"),
    [
        ("cityguessr", {"text_weight": 3.0}, list(NAMES)),
        ("cityguessr", {"least_probability": 0.9}, ["evaluate_cityguessr", "bundle_cityguessr"]),
        ("evaluation", {"bootstrap_draws": 30}, ["evaluate_cityguessr"]),
        ("gallery", {"spacing_km": 900.0}, []),
    ],
)
def test_places_are_learned_anew_when_what_they_depend_on_changes(copy, section, change, again):
    params = load(copy)
    changed = dataclasses.replace(getattr(params, section), **change)
    params = dataclasses.replace(params, **{section: changed})
    assert [name for name in NAMES if STAGES[name](copy, params)] == again


def test_an_unknown_split_is_refused(made):
    with pytest.raises(ValueError, match="'train'"):
        cityguessr_stages.evaluate_cityguessr(made, load(made), "train")


def test_a_missing_model_names_the_command_that_trains_it(copy):
    shutil.rmtree(copy / "out" / "cityguessr")
    with pytest.raises(ValueError, match=r"model\.json.*`vidtag train cityguessr`"):
        cityguessr_stages.bundle_cityguessr(copy, load(copy))
