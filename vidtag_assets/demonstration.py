"""How `make demo` ends: a test clip located, what the models came to, where to look next.

Belongs here: locating with the model that answers, the summary of a workspace in which all assets
are made, telling it. Does not belong here: running the assets (orchestration/demo.py), telling a
run as it happens (execution/story.py), locating itself (vidtag_ml.models.vidtag.locator).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidtag_assets.store import promotions, registry
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml import config
from vidtag_ml.cli.output import print_line, print_sheet
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.metrics import tracks as track_metrics
from vidtag_ml.models import recording
from vidtag_ml.models import registry as systems
from vidtag_ml.models.gps_retrieval import figures
from vidtag_ml.models.registry import RANKED
from vidtag_ml.workflow import layout, stage

FIGURES = ("median_km", "video_median_km", "dfd_km", "mrd_km")
"""Of each model in summary.json, beside its accuracies."""


def locate(root: Path) -> list[Path]:
    """Locates the first test clip with the model that answers; returns the files in `out/demo/`."""
    from vidtag_ml.models import located
    from vidtag_ml.models.vidtag.locator import VidtagLocator

    params = config.load(root / "params.yaml")
    at = layout.of(root, params)
    tables = clip_tables.read(at.dataset)
    clip = tables.clips[tables.clips["split"] == "test"].iloc[0]
    tracking = Tracking(root=str(root))
    model = answering(tracking, registry.name_of(registry.NAME, params))
    kept = registry.kept(tracking, model)
    card, seen = kept.card(), recording.of_clip(tables, clip["clip_id"], at.dataset)
    track = VidtagLocator.of(card).locate(seen).beside(seen, None)
    truth, _ = clip_tables.clip_positions(
        tables, clip["clip_id"], track.time_s, params.clips.max_gap_s
    )
    facts = {**systems.facts(card, kept), "video_md5": recording.md5(seen)}
    return located.write_files(track, facts, root / "out" / "demo", truth_T2=truth)


def answering(tracking: Tracking, name: str) -> str:
    """The model that locates: the champion, or the challenger while the gate wants none."""
    promoted = registry.CHAMPION in registry.aliases(tracking, name)
    return f"{name}@{registry.CHAMPION if promoted else registry.CHALLENGER}"


def summarise(root: Path, seconds: float) -> dict[str, Any]:
    """The figures of both models on the test clips, also written to `out/demo/summary.json`."""
    reports = _summaries(root)
    first = reports["vidtag"]
    name = registry.name_of(registry.NAME, config.load(root / "params.yaml"))
    summary = {
        "models": {name: _figures(report) for name, report in reports.items()},
        "oracle_median_km": first["oracle_median_km"],
        "gallery_size": first["gallery_size"],
        "num_test_clips": first["num_clips"],
        "num_test_frames": first["num_frames"],
        "seconds": round(seconds, 1),
        "registered_model": name,
        "champion_version": registry.aliases(Tracking(root=str(root)), name).get(registry.CHAMPION),
    }
    text = json.dumps(summary, indent=2, allow_nan=False)
    stage.write_text(root / "out" / "demo" / "summary.json", text + "\n")
    return summary


def _figures(report: Mapping[str, Any]) -> dict[str, float]:
    accuracies = [f"acc_{name}" for name in track_metrics.accuracies_of(report)]
    return {name: report[name] for name in (*accuracies, *FIGURES)}


def _summaries(root: Path) -> dict[str, Mapping[str, Any]]:
    from vidtag_ml.models.report import Report

    at = layout.of(root, config.load(root / "params.yaml"))
    return {name: Report.read(at.evaluation(name)).summary for name in RANKED}


def tell(root: Path, summary: Mapping[str, Any], files: Sequence[Path]) -> None:
    """Prints figures, verdict, files, and what to type next."""
    print_line("")
    print_sheet(figures.side_by_side(_summaries(root)))
    if config.load(root / "params.yaml").clips.source.startswith("flyover"):
        print_line("Test flights are new, but cross an Earth whose pixels training has seen.")
    print_line(f"\n{verdict(root, summary)} It located a test clip that it had never seen:")
    for path in [*files, root / "out" / "demo" / "summary.json"]:
        print_line(f"  {path.relative_to(root)}")
    print_line(
        f"\nDone in {summary['seconds']:.0f} s. Where to look next:\n"
        "  make dev       the asset graph, with this run in it, on http://127.0.0.1:3000\n"
        "  make mlflow    runs, metrics and the registry (mlflow ui) on http://127.0.0.1:5000\n"
        f"  .venv/bin/vidtag locate VIDEO{asked(summary)}    any video of your own"
    )


def verdict(root: Path, summary: Mapping[str, Any]) -> str:
    """Which version answers, and why if it is no champion."""
    name, champion = summary["registered_model"], summary["champion_version"]
    if champion:
        return f"Champion: {name}, version {champion}."
    last = [entry for entry in promotions.history(root) if entry.model == name][-1]
    return (
        f"There is no champion: the gate rejected {name}, version {last.version}: {last.reason}.\n"
        f"It stays @{registry.CHALLENGER}."
    )


def asked(summary: Mapping[str, Any]) -> str:
    """How `vidtag locate` is told which model, where it is not the one that it would take."""
    return registry.asked(summary["registered_model"], promoted=bool(summary["champion_version"]))
