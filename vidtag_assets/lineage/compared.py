"""What `vidtag compare` says and draws of two versions: lines, tables of figures, files.

Belongs here: the words. Does not belong here: what changed (comparing.py), printing (cli.py).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_ml.models.comparison import BETTER, WORSE, Scale, number
from vidtag_ml.models.system import Sheet
from vidtag_ml.workflow import inputs, stage

if TYPE_CHECKING:
    import pandas as pd

    from vidtag_assets.lineage.comparing import Comparison

NUM_NAMED = 5
"""Clips that are named as changed most, each way."""
NUM_FILES = 12
"""Files of code that are named."""


def board(versions: "pd.DataFrame") -> Iterator[str]:
    """All versions, a line each, and one of figures on each split; data where they change."""
    last = None
    for row in versions.to_dict("records"):
        data = f"{row['model']} on clips {row['clips']}, gallery {row['gallery'] or 'none'}"
        if data != last:
            yield f"{data}:"
            last = data
        yield f"  {row['model']}/{row['version']} {row['aliases']}".rstrip() + (
            f", registered {row['registered']}"
        )
        for split in inputs.SPLITS:
            named = {str(k).partition(f"{split}_")[2]: v for k, v in row.items() if v}
            told = ", ".join(f"{name} {value}" for name, value in named.items() if name)
            yield f"    {split}: {told}"


def made_from(found: "Comparison") -> Iterator[str]:
    """What the two were made from, where that differs, a line each."""
    yield f"{found.names[0]} -> {found.names[1]}"
    yield from _differences("data", {k: (a[:12], b[:12]) for k, (a, b) in found.data.items()})
    yield from _differences("params", found.params)
    first, second = found.code["first"], found.code["second"]
    way = first[:12] if first == second else f"{first[:12]} -> {second[:12]}"
    same = {True: "the same", False: "not the same", None: "not known whether the same"}
    ends = zip(found.names, (first, second), strict=True)
    dirty = ", ".join(name for name, commit in ends if commit.endswith("+changes"))
    changed = f"; uncommitted changes in {dirty}" if dirty else ""
    yield f"code: {same[found.code['same']]} ({way}{changed})"
    yield from (f"  {commit}" for commit in found.code["commits"])
    files = found.code["files"]
    if files:
        more = f" and {len(files) - NUM_FILES} more" if len(files) > NUM_FILES else ""
        yield f"  {len(files)} files: {', '.join(files[:NUM_FILES])}{more}"


def _differences(what: str, pairs: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    yield f"{what}: {len(pairs)} differ" if pairs else f"{what}: the same"
    for name, (first, second) in pairs.items():
        yield f"  {name}: {first or 'none'} -> {second or 'none'}"


def figures(found: "Comparison") -> Sheet:
    """Headline figures of both."""
    rows = [
        (name, *("" if value is None else f"{value:.4g}" for value in pair))
        for name, pair in found.figures.items()
    ]
    return Sheet(f"figures on {found.split}", found.names, rows)


def slices(found: "Comparison") -> Sheet:
    """The paired comparison on all clips and slice by slice."""
    scale = found.found.rule.scale
    rows = [
        (
            row.name,
            f"{row.num:,}",
            number(row.theirs),
            number(row.ours),
            scale.loss(row) if row.low is None else scale.changed(row),
            row.judged,
        )
        for row in found.found.rows
    ]
    unit = f", {scale.unit}" if scale.unit else ""
    title = f"typical figure{unit}, same {found.found.rule.unit}; slices' intervals hold together"
    heads = (found.found.rule.unit, *found.names, "change [95 %]", "")
    return Sheet(title.replace("val clips", f"{found.split} clips"), heads, rows)


def clips(found: "Comparison") -> Iterator[str]:
    """How many clips changed, and which most."""
    from vidtag_ml.models.versus import ALIKE

    scale, table = found.found.rule.scale, found.found.clips
    told = [f"{found.found.count(how)} {how}" for how in (BETTER, WORSE, ALIKE)]
    yield f"clips: {', '.join(told)}"
    for how, part in ((WORSE, table), (BETTER, table.iloc[::-1])):
        chosen = part[part["judged"] == how].head(NUM_NAMED)
        yield from (f"  {how}: {_clip(scale, row)}" for _, row in chosen.iterrows())
    yield from found.found.told


def _clip(scale: Scale, row: "pd.Series") -> str:
    unit = f" {scale.unit}" if scale.unit else ""
    return f"{row['clip_id']} {number(row['first'])} -> {number(row['second'])}{unit}"


def write(found: "Comparison", folder: Path) -> list[Path]:
    """Writes pictures, the table of clips and everything as JSON; returns the files."""
    from vidtag_ml.models import versus

    folder.mkdir(parents=True, exist_ok=True)
    table, whole = folder / "clips.csv", folder / "comparison.json"
    stage.write_text(table, found.found.clips.to_csv(index=False, lineterminator="\n"))
    stage.write_text(whole, json.dumps(found.as_json(), indent=1, allow_nan=False) + "\n")
    return [*versus.draw(found.found, found.reports, found.latlon, folder), table, whole]
