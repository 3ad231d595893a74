"""What holds the parts together: one direction of imports, commands that exist, strict params."""

import ast
import graphlib
import json
import re
import shlex
from pathlib import Path

import dagster as dg
import pytest
import yaml

from vidtag_ml import config
from vidtag_ml.dataset import stages as dataset_stages
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.retrieval import stages as retrieval_stages
from vidtag_ml.workflow import code_key, layout

ROOT = Path(__file__).parents[1]
TOOLS = {"dagster", "mlflow", "dvc", "great_expectations"}
FORBIDDEN = {
    "vidtag_ml": {*TOOLS, "vidtag_assets", "orchestration", "tests"},
    "vidtag_assets": {"dvc", "orchestration", "tests"},
    "orchestration": {"dvc", "mlflow", "torch", "great_expectations", "tests"},
}
SOURCES = [(package, path) for package in FORBIDDEN for path in (ROOT / package).rglob("*.py")]
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = [ROOT / "params.yaml", *(ROOT / "params").glob("*.yaml")]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize(("package", "path"), SOURCES, ids=lambda v: getattr(v, "name", v))
def test_imports_point_in_one_direction(package, path):
    assert not FORBIDDEN[package] & set(imports(path))


@pytest.mark.parametrize("stage", DVC)
def test_commands_of_dvc_are_commands_of_ours(stage):
    from typer.main import get_command

    from vidtag_assets.cli import app

    line = DVC[stage]["cmd"].replace("${clips.source}", "flyover")
    program, command, *options = shlex.split(line)
    assert program == "vidtag"
    known = get_command(app).commands[command]
    assert known.make_context(command, options, resilient_parsing=False).params is not None


README = (ROOT / "README.md").read_text()
LINES = re.findall(r"^ {4}((?:make|vidtag|dvc|\.) .*)", README, re.MULTILINE)
PRINTED = [shlex.split(part) for line in LINES for part in re.split("; | && ", line.split(" #")[0])]
"""Commands to be typed, as words."""


def commands():
    from typer.main import get_command

    from vidtag_assets.cli import app

    return get_command(app).commands


def test_readme_has_a_shell_find_the_commands_before_it_uses_them():
    programs = [words[0] for words in PRINTED]
    assert programs.index("make") < programs.index(".") < programs.index("vidtag")
    assert [".", ".venv/bin/activate"] in PRINTED


@pytest.mark.parametrize("words", [w for w in PRINTED if w[0] == "vidtag"], ids=" ".join)
def test_commands_in_readme_are_taken_as_they_are_printed(words):
    name, *arguments = words[1:]
    if name != "--help":
        assert commands()[name].make_context(name, arguments).params


def test_readme_names_commands_options_and_targets_that_exist():
    code = "\n".join([*LINES, *re.findall(r"`[^`]+`", README)])
    for name, rest in re.findall(r"vidtag ([a-z][a-z-]*)([^`#&\n]*)", code):
        known = {option for each in commands()[name].params for option in each.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= known, name
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= set(re.findall(r"make ([a-z-]+)", code)) <= targets
    options = {o for command in commands().values() for p in command.params for o in p.opts}
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= options
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize("stage", DVC)
def test_dependencies_of_dvc_are_data_that_it_makes(stage):
    outs = {out for each in DVC.values() for out in each["outs"]}
    assert set(DVC[stage].get("deps", [])) <= outs


def test_dvc_and_stages_depend_on_the_same(params, workspace):
    """Sections of the params, code and data are those that the stage's own record holds."""
    at = layout.of(workspace, params)
    made = {
        "clips": ingest_stages.ingest,
        "hierarchy": dataset_stages.hierarchy,
        "gallery": retrieval_stages.gallery,
    }
    codes = {"clips": "ingest_flyover", "hierarchy": "hierarchy", "gallery": "gallery"}
    for name, out in zip(DVC, (at.dataset, at.hierarchy, at.gallery), strict=True):
        assert made[name](workspace, params)
        key = json.loads(out.with_name(f"{out.name}.record.json").read_text())["key"]
        *sections, code = DVC[name]["params"]
        sections_of_key = {s for s, v in config.as_dict(params).items() if key.get(s) == v}
        assert set(sections) == sections_of_key
        assert {"code": key["code"], "packages": key["packages"]} == code_key.of(codes[name])
        (named,) = code["vidtag_ml/code.json"]
        assert named.replace("${clips.source}", "flyover") == codes[name]


@pytest.mark.parametrize("stage", DVC)
def test_the_lock_of_dvc_tells_of_this_code(stage):
    """If this fails: `make demo`, which makes the data anew, and commit dvc.lock."""
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"][stage]
    known = json.loads(code_key.FILE.read_text())
    assert lock["params"]["vidtag_ml/code.json"].items() <= known.items()


@pytest.mark.parametrize("path", PARAMS, ids=lambda p: p.name)
def test_params_files_load_strictly(path):
    assert isinstance(config.load(path), config.Params)


@pytest.mark.parametrize("file", [".ci/run", ".pre-commit-config.yaml", "Makefile", "set-up"])
def test_tools_name_files_and_modules_that_are_there(file):
    text = (ROOT / file).read_text()
    paths = re.findall(r"\b(?:vidtag_ml|vidtag_assets|orchestration|tests)/[\w./]*\w", text)
    modules = re.findall(r"-m ((?:vidtag_ml|vidtag_assets|orchestration)[\w.]*)", text)
    paths += [f"{module.replace('.', '/')}.py" for module in modules]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_selections_by_string_work_in_this_environment():
    assert dg.AssetSelection.from_string("group:training")


FLOORS = {
    "vidtag_ml": 0, "config": 1, "workflow": 2, "earth": 3, "media": 3, "dataset": 4, "plots": 4,
    "encoders": 5, "ingest": 5, "metrics": 5, "retrieval": 5, "aerial": 6, "features": 6,
    "models": 7, "retraining": 7, "pretraining": 8, "cli": 9, "__main__": 10, "vidtag_assets": 10,
    "orchestration": 11,
}  # fmt: skip
"""Rooms of vidtag_ml, and what stands on it: each imports from lower floors only."""
SYSTEMS = {
    "gps_retrieval": 1, "geoclip": 2, "classifier": 2, "vidtag": 3, "cityguessr": 4, "gama": 4,
    "revisit": 1,
}  # fmt: skip
"""Floors within vidtag_ml/models."""
UPPER = {
    "metadata": 0, "execution": 0, "workspace": 1, "store": 2, "lineage": 3, "training": 4,
    "release": 4, "assets": 5, "watching": 6, "demonstration": 6, "cli": 6,
}  # fmt: skip
"""Floors within vidtag_assets."""
BARRED = {"network": {"data", "stages", "plots"}, "locator": {"stages", "train"}}
"""Files of a system, and files of any system that they do not import."""
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for _, path in SOURCES
}


def our_imports(path):
    """Modules of ours that a file imports: at its top, in functions, and for types alone."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            whole = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module for name in whole)


IMPORTS = {n: set(our_imports(path)) & set(MODULES) - {n} for n, path in MODULES.items()}
PAIRS = [(here, there) for here, found in IMPORTS.items() for there in found]


def room_of(module, within="vidtag_ml"):
    return module.removeprefix(f"{within}.").split(".")[0]


def test_rooms_import_from_lower_floors_only():
    rooms = [(room_of(here), room_of(there)) for here, there in PAIRS]
    assert {(a, b) for a, b in rooms if a != b and FLOORS[a] <= FLOORS[b]} == set()


def test_systems_import_from_lower_systems_only():
    rooms = [tuple(room_of(m, "vidtag_ml.models") for m in pair) for pair in PAIRS]
    rooms = [(a, b) for a, b in rooms if a != b and {a, b} <= set(SYSTEMS)]
    assert {(a, b) for a, b in rooms if SYSTEMS[a] <= SYSTEMS[b]} == set()


def test_rooms_of_the_assets_import_from_lower_floors_only():
    ours = [pair for pair in PAIRS if all(m.startswith("vidtag_assets.") for m in pair)]
    rooms = [tuple(room_of(m, "vidtag_assets") for m in pair) for pair in ours]
    assert {(a, b) for a, b in rooms if a != b and UPPER[a] <= UPPER[b]} == set()


def test_files_of_a_system_keep_to_their_part():
    ours = [pair for pair in PAIRS if all(m.startswith("vidtag_ml.models.") for m in pair)]
    leaves = [(here.rpartition(".")[2], there.rpartition(".")[2]) for here, there in ours]
    assert {(a, b) for a, b in leaves if b in BARRED.get(a, ())} == set()


def test_no_file_imports_itself_by_way_of_others():
    graphlib.TopologicalSorter(IMPORTS).prepare()
