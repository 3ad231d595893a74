"""Tests of vidtag_ml.config."""

import ast
import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from vidtag_ml import config

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "params.yaml", *sorted((ROOT / "params").glob("*.yaml"))]


def _changed(tmp_path, section, **values):
    """The repository's params.yaml with keys of one section changed; None removes a key."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in values.items():
        if value is None:
            del params[section][key]
        else:
            params[section][key] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    return path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_params_file_loads(path):
    assert isinstance(config.load(path), config.Params)


def test_sections_are_json_and_parse_back():
    params = config.load(ROOT / "params.yaml")
    plain = json.loads(json.dumps(config.as_dict(params)))
    assert config.parse(config.Params, plain, "here") == params
    assert plain == config.as_dict(params)


def test_every_field_is_explained():
    classes = [n for n in ast.parse(Path(config.__file__).read_text()).body if _is_class(n)]
    for body in (node.body for node in classes):
        for field, following in zip(body, [*body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign) and classes[-1].body is not body:
                assert isinstance(following, ast.Expr), ast.unparse(field)


def _is_class(node):
    return isinstance(node, ast.ClassDef)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("clips", {"sede": 3}, r"unknown key clips\.sede; known: source, folder"),
        ("clips", {"seed": None}, r"missing key clips\.seed"),
        ("clips", {"seed": "seven"}, r"clips\.seed is 'seven'; it must be of type int"),
        ("clips", {"seed": True}, r"clips\.seed is True; it must be of type int"),
        ("clips", {"seed": 1.5}, r"clips\.seed is 1\.5"),
        ("clips", {"source": "moon"}, r"clips\.source is 'moon'; it must be one of flyover"),
        ("features", {"encoders": "one"}, r"features\.encoders is 'one'; it must be a list"),
        ("evaluation", {"accuracy_km": [1, "far"]}, r"evaluation\.accuracy_km is 'far'"),
        ("evaluation", {"max_speed_kmh": [1]}, r"max_speed_kmh is \[1\]; it must be a mapping"),
        ("evaluation", {"max_speed_kmh": {"car": "x"}}, r"max_speed_kmh\.car is 'x'"),
    ],
)
def test_mistakes_are_named_with_key_and_file(tmp_path, section, values, message):
    with pytest.raises(ValueError, match=r"params\.yaml: .*" + message):
        config.load(_changed(tmp_path, section, **values))


def test_whole_numbers_are_taken_where_floats_are_meant(tmp_path):
    path = _changed(tmp_path, "gallery", spacing_km=40)
    spacing = config.load(path).gallery.spacing_km
    assert (spacing, type(spacing)) == (40.0, float)


def test_null_is_taken_only_where_it_is_meant(tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    path = tmp_path / "params.yaml"
    params["phase_one"]["soft_targets_km"] = None
    path.write_text(yaml.safe_dump(params))
    assert config.load(path).phase_one.soft_targets_km is None
    params["clips"]["seed"] = None
    path.write_text(yaml.safe_dump(params))
    with pytest.raises(ValueError, match=r"clips\.seed is None"):
        config.load(path)


@pytest.mark.parametrize("text", ["", "- 1", "clips: [", "clips: 3"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"params\.yaml"):
        config.load(path)


def test_sections_cannot_be_changed():
    params = config.load(ROOT / "params.yaml")
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.clips.seed = 3  # type: ignore[misc]


def _overlay(tmp_path, **values):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"base": str(ROOT / "params" / "paper_msls.yaml"), **values}))
    return path


def test_a_file_with_a_base_holds_only_what_differs(tmp_path):
    paper = config.load(ROOT / "params" / "paper_msls.yaml")
    mine = config.load(_overlay(tmp_path, phase_two={"noise": {"shift_deg": 1.0}}))
    noise = dataclasses.replace(paper.phase_two.noise, shift_deg=1.0)
    changed = dataclasses.replace(paper.phase_two, noise=noise)
    assert mine == dataclasses.replace(paper, phase_two=changed)


def test_a_preset_lies_between_base_and_file(tmp_path):
    mine = config.load(_overlay(tmp_path, preset="dedd_seq", phase_one={"unit": "frame"}))
    assert (mine.phase_two.off_diagonal_weight, mine.phase_one.queue_size) == (0.01, 4096)
    assert mine.phase_one.unit == "frame"
    assert mine.phase_two.epochs == 100


@pytest.mark.parametrize("preset", ["dedd_seq", "reproduction"])
def test_presets_fit_the_papers_params(tmp_path, preset):
    paper = config.load(ROOT / "params" / "paper_msls.yaml")
    assert config.load(_overlay(tmp_path, preset=preset)) != paper


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "typo"}, r"no preset is called 'typo'; known: cityguessr_reference, dedd_seq,"),
        ({"phase_one": {"epoch": 1}}, r"mine\.yaml: unknown key phase_one\.epoch"),
    ],
)
def test_mistakes_in_an_overlay_name_it(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        config.load(_overlay(tmp_path, **values))


def test_a_preset_alone_changes_nothing_and_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text() + "preset: dedd_seq\n")
    with pytest.raises(ValueError, match="name that one as `base`"):
        config.load(path)
