"""The benchmark's rows of cross-view search: GAMa's parts one by one, and search by regions.

They need videos and imagery of the same ground, as params/flyover_gama.yaml has them.

Belongs here: which rows there are, how one is made, and the rows as records. Does not belong here:
rows of tracks and places (models/vidtag/benchmark.py, models/cityguessr/benchmark.py), how tables
look (cli/benchmark_table.py), the figures themselves (metrics.py, evaluate.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.aerial import stages as aerial_stages
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.models.gama import searches, stages
from vidtag_ml.models.gama.searches import BEFORE, FLAT, HIERARCHICAL, NEAR, SCREENING, VIDTAG, key
from vidtag_ml.workflow import layout

if TYPE_CHECKING:
    import pandas as pd

    from vidtag_ml.models.report import Report


SEED = 0
GAMA, BASELINE = "GAMa-Net", "image baseline (one frame)"
KEPT = "clip by clip, in the regions kept"
PATH, FUSED = "+ a way that can be travelled", "+ VidTAG's opinion, in both models' tiles"
MODELS, REGIONS, SEARCH, TRACKS = (
    "Cross-view: parts of GAMa-Net, flat search",
    "Cross-view: large regions (screening)",
    f"Cross-view: search in the regions kept, by {GAMA}",
    "Cross-view: whole videos (beyond the paper)",
)


@dataclass(frozen=True)
class CrossViewRow:
    """One line of the table."""

    name: str
    """As in the table."""
    group: str
    """Heading under which it stands."""
    search: str
    """Whose figures it has."""
    params: config.Params
    """With everything that the row changes."""
    variant: str = ""
    """Where its models lie; empty = the params' own."""
    against: str | None = None
    """Row whose videos it is compared with, one by one."""


def rows(params: config.Params) -> list[CrossViewRow]:
    """The rows, in the order of the paper's Tables 3, 6, 4 and 5.

    See docs/specs/results.md, section 6.
    """
    bare: dict[str, Any] = {"hard_pairs": False, "augment": False, "tx": "none"}
    changes: list[tuple[str, dict[str, Any]]] = [
        (BASELINE, {"ground": "image"}),
        ("triplet loss, nothing else (Triplet-Bn)", {**bare, "loss": "triplet"}),
        ("contrastive loss, nothing else (CBn)", bare),
        ("+ augmentation, hard pairs (Combined)", {"tx": "none"}),
        ("+ transformer on the video (Video-Tx)", {"tx": "video"}),
        ("+ transformer on both (Dual-Tx)", {"tx": "dual"}),
        (GAMA, {}),
    ]
    table = [
        CrossViewRow(
            name, MODELS, FLAT, replace(params, gama=replace(params.gama, **change)),
            "" if name == GAMA else f"gama-{number}", None if name == BASELINE else BASELINE,
        )
        for number, (name, change) in enumerate(changes)
    ]  # fmt: skip
    for number, (sequence, length) in enumerate((("3d", 8), ("3d", 24))):
        change: dict[str, Any] = {"sequence": sequence, "frames_per_clip": length}
        screened = replace(params, screening=replace(params.screening, **change))
        name = f"{sequence.upper()}-CNN, {length} tiles"
        variant = f"screening-{number}"
        table.append(CrossViewRow(name, REGIONS, SCREENING, screened, variant))
    length = params.screening.frames_per_clip
    ours = f"{params.screening.sequence.upper()}-CNN, {length} tiles"
    own: list[tuple[str, str, str, str | None]] = [
        (REGIONS, f"{ours}, before fine-tuning on predicted tiles", BEFORE, None),
        (REGIONS, f"{ours} (ours)", SCREENING, None),
        (SEARCH, "top 10 regions", "top10", GAMA),
        (SEARCH, "top 1 % regions", "top1pct", GAMA),
        (SEARCH, "top 10 % regions", "top10pct", GAMA),
        (TRACKS, KEPT, HIERARCHICAL, GAMA),
        (TRACKS, PATH, "path", KEPT),
        (TRACKS, "+ tiles turned to its heading", "turned", PATH),
    ]
    if params.fusion.bundle is not None:
        own += [
            (TRACKS, "VidTAG alone, in its own gallery", VIDTAG, None),
            (TRACKS, "clip by clip, in the tiles where VidTAG's posterior lies", NEAR, KEPT),
            (TRACKS, FUSED, "fused", PATH),
            (TRACKS, "+ tiles turned to that heading", "fused_turned", FUSED),
        ]
    return table + [
        CrossViewRow(name, group, search, params, against=against)
        for group, name, search, against in own
    ]


def run(
    root: Path,
    params: config.Params,
    split: str = "test",
    only: Callable[[CrossViewRow], bool] = lambda _row: True,
    tell: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
) -> "pd.DataFrame":
    """A record a row (docs/specs/metrics.md, section 10); what is finished is not made again."""
    import pandas as pd

    ingest_stages.ingest(root, params)
    for make in (aerial_stages.aerial_gallery, stages.aerial_pixels):
        make(root, params)
    chosen = [row for row in rows(params) if only(row)]
    reports = {}
    for done, row in enumerate(chosen):
        tell(done, len(chosen), row.name)
        reports[row.name] = _report(root, row, split)
    tell(len(chosen), len(chosen), "")
    searched = {row.name: row.search for row in chosen}
    records = []
    for row in chosen:
        record = _record(row, split, reports[row.name].summary)
        if row.against in reports:
            ours, theirs = (
                _right(reports[name], searched[name]) for name in (row.name, row.against)
            )
            record |= _difference(ours, theirs, params.evaluation.bootstrap_draws)
        records.append(record)
    return pd.DataFrame(records)


def _report(root: Path, row: CrossViewRow, split: str) -> "Report":
    """The report that holds the row's figures; of a variant, only of what varies."""
    from vidtag_ml.models.report import Report

    at = layout.of(root, row.params, row.variant)
    if row.variant and row.group == MODELS:
        stages.gama(root, row.params, variant=row.variant)
        stages.evaluate_flat(root, row.params, split, row.variant)
        return Report.read(at.evaluation("gama_flat", split))
    stages.gama(root, row.params)
    if row.variant:
        stages.screening(root, row.params, variant=row.variant)
        stages.evaluate_regions(root, row.params, split, row.variant)
        return Report.read(at.evaluation("gama_regions", split))
    stages.screening(root, row.params)
    stages.heading(root, row.params)
    stages.evaluate_gama(root, row.params, split)
    return Report.read(at.evaluation("gama", split))


def _right(report: "Report", search: str) -> "pd.Series":
    """Share of each video's clips whose first answer is right."""
    return report.frames.groupby("clip")[key(search, "recall_at_1")].mean()


def _difference(ours: "pd.Series", theirs: "pd.Series", draws: int) -> dict[str, float]:
    """How much more is right, over the same videos, with its 95 % interval."""
    from vidtag_ml.metrics import paired

    if not ours.index.equals(theirs.index):
        raise ValueError("rows that are compared are not of the same videos")
    return paired.difference(ours, theirs, draws, SEED).record("diff_recall_at_1")


MILES = {"2.7tiles": "0.1mile", "5.4tiles": "0.2mile", "13tiles": "0.5mile", "27tiles": "1mile"}
"""Thresholds in tile widths, and the paper's that they stand for: there a tile is 60 m wide."""


def _record(row: CrossViewRow, split: str, summary: dict[str, Any]) -> dict[str, Any]:
    """A row of benchmark.json."""
    own = searches.of(summary, row.search)
    for tiles, miles in MILES.items():
        if f"top1_at_{tiles}" in own:
            own[f"top1_at_{miles}"] = own[f"top1_at_{tiles}"]
    return {
        "row": row.name,
        "group": row.group,
        "dataset": row.params.clips.source,
        "split": split,
        "gallery": summary["gallery"],
        "gallery_md5": summary["gallery_md5"],
        "num_clips": summary["num_clips"],
        "tile_km": summary["tile_km"],
        "near_km": summary["near_km"],
        **own,
    }
