"""What holds the parts together: one direction of imports, commands that exist, strict params."""

import ast
import json
import re
import shlex
from pathlib import Path

import dagster as dg
import pytest
import yaml

from vidtag_ml import code_key, config, layout, stages

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
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= set(re.findall(r"make ([a-z]+)", code)) <= targets
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
    made = {"clips": stages.ingest, "hierarchy": stages.hierarchy, "gallery": stages.gallery}
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


def test_selections_by_string_work_in_this_environment():
    assert dg.AssetSelection.from_string("group:training")
