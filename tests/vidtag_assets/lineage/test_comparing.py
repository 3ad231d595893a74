"""`vidtag compare`: all versions side by side, and what changed between two."""

import dataclasses
import functools
import json
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from vidtag_assets.lineage import compared, comparing, provenance
from vidtag_assets.release import registration
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml import config
from vidtag_ml.models.vidtag.system import SYSTEM
from vidtag_ml.workflow import layout, sums


@pytest.fixture(scope="module")
def two(world, params, tmp_path_factory):
    """A copy of the world with a version 2: other code, data and seed, half the errors on val."""
    root = shutil.copytree(world.root, tmp_path_factory.mktemp("two") / "a copy")
    tracking, at = Tracking(root=str(root)), layout.of(root, params)
    (at.bundle / "bundle.json").write_text((at.bundle / "bundle.json").read_text() + "\n")
    sums.write(at.bundle)
    path = at.evaluation("vidtag", "val") / "per_clip.parquet"
    table = pd.read_parquet(path)
    table.assign(median_km=table["median_km"] / 2).to_parquet(path, index=False)
    seed = dataclasses.replace(params.phase_one, seed=99)
    others = dataclasses.replace(params.cityguessr, seed=99)
    changed = dataclasses.replace(params, phase_one=seed, cityguessr=others)
    lineage = provenance.Lineage("commit+changes", "other.dir", "g.dir", "other", "run")
    registration.register(SYSTEM, tracking, at, changed, lineage, {})
    (root / "params.yaml").write_text(yaml.safe_dump(config.as_dict(params), sort_keys=False))
    yield root
    world.resources["tracking"].client()


@pytest.fixture
def vidtag(vidtag, two):
    """The command in the copy."""
    return functools.partial(vidtag, two)


def test_what_two_versions_were_made_from_is_compared(vidtag):
    found = json.loads(vidtag("compare", "vidtag/1", "vidtag/2", "--json")[1])
    assert found["data"]["clips"][1] == "other.dir"
    assert found["params"] == {"phase_one.seed": ["1", "99"]}
    assert found["code"]["second"] == "commit+changes"


@pytest.mark.parametrize(
    ("sources", "same", "said"),
    [
        (("a", "a"), True, "code: the same (no-git)"),
        (("a", "b"), False, "code: not the same (no-git)"),
        ((None, "b"), None, "code: not known whether the same (no-git)"),
    ],
)
def test_code_is_the_same_by_its_bytes_and_not_by_the_name_of_a_commit(sources, same, said):
    tags = [{"git_commit": "no-git", **({"source": each} if each else {})} for each in sources]
    code = comparing._code(*tags)
    assert code["same"] is same
    told = SimpleNamespace(names=("vidtag/1", "vidtag/2"), data={}, params={}, code=code)
    assert list(compared.made_from(told))[-1] == said


def test_figures_are_paired_with_intervals_on_the_same_clips(vidtag):
    found = json.loads(vidtag("compare", "vidtag/1", "vidtag@challenger", "--json")[1])
    whole = found["slices"][0]
    assert (whole["name"], whole["num"], whole["judged"]) == ("all", 2, "better")
    assert [whole[key] for key in ("change", "low", "high")] == pytest.approx([0.5] * 3)
    assert [clip["judged"] for clip in found["clips"]] == ["better", "better"]
    assert found["told"] == []


def test_a_comparison_is_told_in_lines_and_tables(vidtag):
    code, shown, _ = vidtag("compare", "vidtag/1", "vidtag/2")
    assert code == 0
    for line in ("vidtag/1 -> vidtag/2", "  phase_one.seed: 1 -> 99", "params: 1 differ",
                 "clips: 2 better, 0 worse, 0 alike", "figures on val"):  # fmt: skip
        assert line in shown
    assert "uncommitted changes in vidtag/2" in shown


def test_pictures_and_tables_are_written_where_asked(vidtag, tmp_path):
    code, shown, _ = vidtag("compare", "vidtag/1", "vidtag/2", "--split", "test", "--out", tmp_path)
    assert code == 0
    names = {"map.png", "errors.png", "tracks.png", "clips.csv", "comparison.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all(str(tmp_path / name) in shown for name in names)
    assert json.loads((tmp_path / "comparison.json").read_text())["split"] == "test"


def test_all_versions_stand_side_by_side_the_best_of_the_same_data_first(vidtag):
    rows = json.loads(vidtag("compare", "--json")[1])
    named = [(row["model"], row["version"]) for row in rows]
    assert named == [("cityguessr", 1), ("vidtag", 2), ("vidtag", 1)]
    assert "[" in rows[1]["val_median_km"]
    assert rows[0]["val_acc_city"]
    assert "vidtag/2" in vidtag("compare", "vidtag")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("vidtag/1", "vidtag/9"), "vidtag has no version 9"),
        (("vidtag/1", "cityguessr/1"), "answer different questions"),
        (("nothing",), "no version of nothing is registered"),
        (("vidtag/1", "vidtag/2", "--split", "other"), "no split is called 'other'"),
    ],
)
def test_references_that_cannot_be_compared_are_one_line(vidtag, arguments, said):
    code, shown, error = vidtag("compare", *arguments)
    assert (code, shown) == (1, "")
    assert said in error
    assert error.count("\n") == 1
