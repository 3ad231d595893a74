"""The benchmark's rows of cross-view search: GAMa's parts one by one, and search by regions.

They need videos and imagery of the same ground, as params/flyover_gama.yaml has them.

Belongs here: which rows there are, how one is made, and the rows as records. Does not belong here:
rows of tracks and places (benchmark.py, benchmark_places.py), how tables look (benchmark_table.py),
the figures themselves (crossview.py, evaluate_gama.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config, gama_stages, layout, stages

if TYPE_CHECKING:
    import pandas as pd

SOURCES = ("flyover_gama", "bdd100k")
"""Values of `clips.source` whose videos aerial imagery goes with."""
GAMA, BASELINE = "GAMa-Net", "image baseline (one frame)"
MODELS, REGIONS, SEARCH = (
    "Cross-view: parts of GAMa-Net, flat search",
    "Cross-view: large regions (screening)",
    f"Cross-view: search in the regions kept, by {GAMA}",
)


@dataclass(frozen=True)
class CrossViewRow:
    """One line of the table."""

    name: str
    """As in the table."""
    group: str
    """Heading under which it stands."""
    prefix: str
    """Of its figures in the report (evaluate_gama.py)."""
    params: config.Params
    """With everything that the row changes."""
    variant: str = ""
    """Where its models lie; empty = the params' own."""


def rows(params: config.Params) -> list[CrossViewRow]:
    """The rows, in the order of the paper's Tables 3, 6, 4 and 5 (results.md section 6)."""
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
            name, MODELS, "", replace(params, gama=replace(params.gama, **change)),
            "" if name == GAMA else f"gama-{number}",
        )
        for number, (name, change) in enumerate(changes)
    ]  # fmt: skip
    for name, prefix in (("before", "screening_before_"), ("after", "screening_")):
        table.append(
            CrossViewRow(f"{name} fine-tuning on predicted tiles", REGIONS, prefix, params)
        )
    for name, prefix in (("top 10", "top10_"), ("top 1 %", "top1pct_"), ("top 10 %", "top10pct_")):
        table.append(CrossViewRow(f"{name} regions", SEARCH, prefix, params))
    return table


def run(
    root: Path,
    params: config.Params,
    split: str = "test",
    only: Callable[[CrossViewRow], bool] = lambda _row: True,
    tell: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
) -> "pd.DataFrame":
    """A record a row (metrics.md section 10); what is finished is not made again."""
    import pandas as pd

    from vidtag_ml.evaluate import Report

    stages.ingest(root, params)
    for make in (gama_stages.aerial_gallery, gama_stages.aerial_pixels):
        make(root, params)
    chosen, records = [row for row in rows(params) if only(row)], []
    for done, row in enumerate(chosen):
        tell(done, len(chosen), row.name)
        for train in (gama_stages.gama, gama_stages.screening):
            train(root, row.params, variant=row.variant)
        gama_stages.evaluate_gama(root, row.params, split, row.variant)
        at = layout.of(root, row.params, row.variant)
        records.append(_record(row, split, Report.read(at.evaluation("gama", split)).summary))
    tell(len(chosen), len(chosen), "")
    return pd.DataFrame(records)


MILES = {"2.7tiles": "0.1mile", "5.4tiles": "0.2mile", "13tiles": "0.5mile", "27tiles": "1mile"}
"""Thresholds in tile widths, and the paper's that they stand for: there a tile is 60 m wide."""


def _record(row: CrossViewRow, split: str, summary: dict[str, Any]) -> dict[str, Any]:
    """A row of benchmark.json."""
    own = {k.removeprefix(row.prefix): v for k, v in summary.items() if k.startswith(row.prefix)}
    for tiles, miles in MILES.items():
        if f"top1_at_{tiles}" in own:
            own[f"top1_at_{miles}"] = own[f"top1_at_{tiles}"]
    wanted = ("recall_at", "top1_", "num_queries", "gallery_size")
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
        **{k: v for k, v in own.items() if k.startswith(wanted)},
    }
