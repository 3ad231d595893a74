"""Tests of vidtag_ml.config."""

import ast
import dataclasses
import json
import re
import typing
from pathlib import Path

import pytest
import yaml

from vidtag_ml import config

ROOT = Path(__file__).parents[3]
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
    files = sorted(Path(config.__file__).parent.glob("*.py"))
    classes = [n for f in files for n in ast.parse(f.read_text()).body if _is_class(n)]
    for body in (node.body for node in classes):
        for field, following in zip(body, [*body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                assert isinstance(following, ast.Expr), ast.unparse(field)


def _is_class(node):
    return isinstance(node, ast.ClassDef) and node.name != "Params"


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("clips", {"sede": 3}, r"unknown key clips\.sede; known: source, folder"),
        ("clips", {"seed": None}, r"missing key clips\.seed"),
        ("clips", {"seed": "seven"}, r"clips\.seed is 'seven'; it must be of type int"),
        ("clips", {"seed": True}, r"clips\.seed is True; it must be of type int"),
        ("clips", {"seed": 1.5}, r"clips\.seed is 1\.5; it must be of type int$"),
        ("clips", {"seed": 1e2}, r"clips\.seed is 100\.0; it must be of type int: write 100$"),
        ("clips", {"seed": "1e2"}, r"clips\.seed is '1e2'; it must be of type int: write 100$"),
        ("clips", {"source": "moon"}, r"clips\.source is 'moon'; it must be one of flyover"),
        ("gama", {"clip_crop": [40]}, r"gama\.clip_crop is \[40\]; it must be a list of 2"),
        ("features", {"encoders": "one"}, r"features\.encoders is 'one'; it must be a list"),
        ("evaluation", {"accuracy_km": [1, "far"]}, r"evaluation\.accuracy_km is 'far'"),
        ("evaluation", {"max_speed_kmh": [1]}, r"max_speed_kmh is \[1\]; it must be a mapping"),
        ("evaluation", {"max_speed_kmh": {"car": "x"}}, r"max_speed_kmh\.car is 'x'"),
        ("registry", {"domain": "a/b"}, r"(?<!registry\.)registry\.domain is 'a/b'; use"),
    ],
)
def test_mistakes_are_named_with_key_and_file(tmp_path, section, values, message):
    with pytest.raises(ValueError, match=r"params\.yaml: .*" + message):
        config.load(_changed(tmp_path, section, **values))


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("phase_one", {"epochs": -3}, "phase_one.epochs is -3; it must be at least 1"),
        ("phase_one", {"epochs": 0}, "phase_one.epochs is 0; it must be at least 1"),
        ("geoclip", {"epochs": -1}, "geoclip.epochs is -1; it must be at least 0"),
        ("phase_one", {"batch_size": 0}, "phase_one.batch_size is 0; it must be at least 1"),
        ("gama", {"frames_per_clip": 0}, "gama.frames_per_clip is 0; it must be at least 1"),
        ("phase_two", {"seed": -1}, "phase_two.seed is -1; it must be at least 0"),
        ("classifier", {"learning_rate": 0}, "learning_rate is 0; it must be above 0"),
        ("classifier", {"learning_rate": "-1e-3"}, "is '-1e-3'; it must be above 0"),
        ("classifier", {"cell_km": float("nan")}, "cell_km is nan; it must be a finite number"),
        ("clips", {"max_gap_s": float("inf")}, "max_gap_s is inf; it must be a finite number"),
        ("gama", {"decay": 1.5}, "gama.decay is 1.5; it must be above 0 and at most 1"),
        ("model", {"dropout": 1.0}, "model.dropout is 1.0; it must be at least 0 and below 1"),
        (
            "heading",
            {"jitter_deg": 181},
            "jitter_deg is 181; it must be at least 0 and at most 180",
        ),
        ("gallery", {"padding_deg": -0.1}, "gallery.padding_deg is -0.1; it must be at least 0"),
        ("phase_one", {"clip_gradients": 0.0}, "clip_gradients is 0.0; it must be above 0"),
        ("gama", {"milestones": [60, 0]}, "gama.milestones is 0; it must be at least 1"),
        ("evaluation", {"accuracy_km": [-25]}, "accuracy_km is -25; it must be above 0"),
        ("evaluation", {"max_speed_kmh": {"car": 0}}, "max_speed_kmh.car is 0; it must be above 0"),
        ("features", {"encoders": []}, "encoders is []; it must be a list of at least one"),
        ("geoclip", {"encoders": []}, "geoclip.encoders is []; it must be a list of at least one"),
        ("cityguessr", {"encoders": []}, "encoders is []; the backbone frames reads at least one"),
        ("geoclip", {"sigmas": []}, "geoclip.sigmas is []; it must be a list of at least one"),
        ("evaluation", {"accuracy_km": []}, "accuracy_km is []; it must be a list of at least one"),
        ("model", {"refiner_heads": 3}, "refiner_heads is 3; it must divide embed_dim: 256"),
        ("model", {"refiner_width": 4}, "refiner_heads is 8; it must divide refiner_width: 4"),
        ("cityguessr", {"heads": 3}, "cityguessr.heads is 3; it must divide width: 256"),
        ("gama", {"tx_heads": 5}, "gama.tx_heads is 5; it must divide 8 x width: 96"),
        ("clips", {"min_frames": 21}, "clips.min_frames is 21; it must be at most max_frames: 20"),
    ],
)
def test_values_out_of_range_are_named_with_key_value_and_file(tmp_path, section, values, message):
    path = _changed(tmp_path, section, **values)
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        config.load(path)
    assert str(refused.value).startswith(f"{path}: {section}.")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shift_deg": -5}, "phase_two.noise.shift_deg is -5; it must be at least 0"),
        (
            {"clean_probability": 1.1},
            "clean_probability is 1.1; it must be at least 0 and at",
        ),
        ({"jitter_deg": [2.0, 0.1]}, "noise.jitter_deg is [2, 0.1]; the first must be the smaller"),
    ],
)
def test_numbers_of_a_section_in_a_section_are_judged_too(tmp_path, values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        config.load(_overlay(tmp_path, phase_two={"noise": values}))


def test_a_section_from_a_bundle_is_judged_too():
    search = {"method": "exact", "finest_km": 0, "beam": 32, "num_lists": 8, "num_probes": 8}
    with pytest.raises(ValueError, match=r"^bundle\.json: finest_km is 0; it must be above 0$"):
        config.parse(config.Search, search, "bundle.json")


def _numbers(wanted, key):
    """The numbers that a type holds, each with its key and, if it has one, its range."""
    if dataclasses.is_dataclass(wanted):
        for name, hint in typing.get_type_hints(wanted, include_extras=True).items():
            yield from _numbers(hint, f"{key}.{name}")
    elif typing.get_origin(wanted) is typing.Annotated:
        held, limits = typing.get_args(wanted)
        found = [(key, limits)] if isinstance(limits, config.Range) else _numbers(held, key)
        yield from found
    elif wanted in (int, float):
        yield key, None
    elif typing.get_origin(wanted) is not typing.Literal:
        for part in typing.get_args(wanted):
            yield from _numbers(part, key)


def test_every_number_has_a_range():
    found = list(_numbers(config.Params, ""))
    assert [key for key, limits in found if not isinstance(limits, config.Range)] == []
    assert len(found) > 150


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "0.001", "1.0e-3"])
def test_a_number_is_read_however_it_is_written(tmp_path, text):
    path = _changed(tmp_path, "phase_one", learning_rate=7.25)
    path.write_text(path.read_text().replace("7.25", text))
    assert config.load(path).phase_one.learning_rate == 0.001


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


@pytest.mark.parametrize(
    ("section", "training", "without"),
    [
        ("gama", config.GamaTraining, {"pixels", "near_km", "top1_km", "kept"}),
        ("heading", config.HeadingTraining, {"num_candidates"}),
        ("cityguessr", config.CityGuessrTraining, {"inference", "least_probability"}),
    ],
)
def test_what_training_depends_on_is_a_part_of_its_section(section, training, without):
    settings = getattr(config.load(ROOT / "params.yaml"), section)
    part = config.as_dict(config.part(settings, training))
    kept = {k: v for k, v in config.as_dict(settings).items() if k not in without}
    assert part == kept


def test_a_preset_alone_changes_nothing_and_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text() + "preset: dedd_seq\n")
    with pytest.raises(ValueError, match="name that one as `base`"):
        config.load(path)


@pytest.mark.parametrize(
    ("find", "put", "said"),
    [
        (
            "epochs: ",
            "epochs: 7 # \xfc\n  epochs_: ",
            "line 2 has the byte 0xfc, which is no UTF-8",
        ),
        ("seed: ", "seed: 1\n  seed: ", "key seed stands in line 2 and again in line 3"),
    ],
)
def test_text_of_which_something_would_be_lost_is_refused_by_its_line(tmp_path, find, put, said):
    path = tmp_path / "params.yaml"
    path.write_text(f"phase_one:\n  {find}7\n".replace(find, put), encoding="latin-1")
    with pytest.raises(ValueError, match=f"params.yaml: .*{said}"):
        config.load(path)


def test_a_cross_fit_starts_from_nothing_that_knows_the_clips(tmp_path):
    leaky = {"phase_one": {"location_start": "geoclip"}, "phase_two": {"cross_fit_parts": 2}}
    with pytest.raises(ValueError, match=r"phase_one\.location_start is geoclip, which has learnt"):
        config.load(_overlay(tmp_path, **leaky))
