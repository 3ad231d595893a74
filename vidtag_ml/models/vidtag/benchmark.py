"""The benchmark: every model and every ablation on one split and one gallery, in one table.

A row is a change to the params, a trained model and a way of decoding. Models that rows share are
trained once; rows that are finished are not made again. Each row is measured in a process of its
own, so that its peak memory is its own. Decoding and encoding do not depend on the row: they are
timed once for each set of encoders, and all rows that read these are charged with the same seconds.

Belongs here: how a row is made and measured, and the table as records. Does not
belong here: which rows there are (ablations.py), how the table looks (cli/benchmark_table.py), what
a stage does (stages.py).
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.features import stages as features_stages
from vidtag_ml.features import timing
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.models.classifier import stages as classifier_stages
from vidtag_ml.models.geoclip import stages as geoclip_stages
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.vidtag import ablations, stages
from vidtag_ml.models.vidtag.ablations import LEVELS, Maker, Row
from vidtag_ml.retrieval import stages as retrieval_stages
from vidtag_ml.workflow import code_key, layout, measuring, stage
from vidtag_ml.workflow.measuring import TIMED_CLIPS

if TYPE_CHECKING:
    import pandas as pd

    from vidtag_ml.models.report import Report
    from vidtag_ml.retrieval.gallery import Gallery


MAKERS: Mapping[Maker, Callable[..., bool]] = {
    "phase_one": stages.phase_one,
    "phase_two": stages.phase_two,
    "geoclip": geoclip_stages.geoclip,
    "classifier": classifier_stages.classifier,
}
SEED = 0


def run(
    root: Path,
    params: config.Params,
    split: str = "test",
    only: Callable[[Row], bool] = lambda _row: True,
    tell: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
) -> "pd.DataFrame":
    """The table, a record a row; what is finished is not made again.

    See docs/specs/metrics.md, section 10.

    Args:
        root: the workspace; data, gallery and features are made if need be.
        params: what the rows change.
        split: val or test.
        only: which of the rows to make.
        tell: called with rows done, rows to do and the name of the one that comes.
    """
    import pandas as pd

    for make in (ingest_stages.ingest, retrieval_stages.gallery, features_stages.features):
        make(root, params)
    chosen = [row for row in ablations.rows(params) if only(row)]
    folders = {}
    for done, row in enumerate(chosen):
        tell(done, len(chosen), row.name)
        train(root, row)
        folders[row.name] = measure(root, row, split)
    tell(len(chosen), len(chosen), "")
    reports = {name: _report(folder) for name, folder in folders.items()}
    costs = {name: json.loads((f / "cost.json").read_text()) for name, f in folders.items()}
    audit = _audit(root, params, split)
    return pd.DataFrame(
        [
            _record(row, reports[row.name], reports.get(row.against or ""), costs[row.name]) | audit
            for row in chosen
        ]
    )


def train(root: Path, row: Row) -> None:
    """Trains the row's model, unless it is there."""
    if row.made_by == "phase_two":
        stages.phase_one(root, row.params)
    MAKERS[row.made_by](root, row.params, variant=row.variant)


def measure(root: Path, row: Row, split: str) -> Path:
    """The folder with the row's report and costs, made if need be."""
    at = layout.of(root, row.params, row.variant)
    out = root / "out" / "benchmark" / "rows" / split / measuring.slug(row.name)
    key = {
        **gps_stages.report_key(at, row.params, row.made_by, "vidtag benchmark", split),
        "searched": row.gallery,
        **code_key.of("benchmark_row"),
    }

    def build(aside: Path) -> None:
        measuring.in_a_process(_measure, root, row, split, aside)

    stage.make(out, key, build)
    return out


def _measure(root: Path, row: Row, split: str, folder: Path) -> None:
    """Writes the report and cost.json; runs in a process of its own."""
    from vidtag_ml.dataset import tables as clip_tables
    from vidtag_ml.features import store as feature_store
    from vidtag_ml.models import networks
    from vidtag_ml.models.gps_retrieval import evaluate, locate
    from vidtag_ml.retrieval import embeddings, gallery, motion
    from vidtag_ml.retrieval import index as retrieval_index

    at = layout.of(root, row.params, row.variant)
    model = networks.load(at.model(row.made_by))
    entries, settings = model.searched(gallery.read(at.gallery)), row.params.evaluation
    if row.gallery in ("coarse", "finest"):
        entries = _coarse(row.params, len(entries.latlon_G2))
        finest_km = entries.protocol["spacing_km"] / 2**LEVELS
        settings = replace(settings, search=replace(settings.search, finest_km=finest_km))
        if row.gallery == "finest":
            entries = retrieval_index.finest_grid(entries, finest_km)
    store = feature_store.FeatureStore.open(at.features).select(tuple(model.widths))
    tables = clip_tables.read(at.dataset)
    embedding_GE = embeddings.embed_gallery(model, entries.latlon_G2)
    index = retrieval_index.build_index(model, entries, embedding_GE, settings.search)
    report = evaluate.evaluate(
        model, entries, store, tables, split, settings, row.name,
        max_gap_s=row.params.clips.max_gap_s, index=index,
    )  # fmt: skip
    report.write(folder)
    peak = measuring.peak_mb()
    chosen = tables.clips[tables.clips["split"] == split].head(TIMED_CLIPS)
    wander = motion.learnt(tables) if settings.decoding == "motion" else {}
    began, num_frames = time.perf_counter(), 0
    for clip_id, mode in zip(chosen["clip_id"], chosen["mode"], strict=True):
        clip = store.clip(clip_id)
        limit = settings.max_speed_kmh[mode]
        locate.locate(
            model, clip.features_TVD, clip.time_s, index, settings, limit, wander.get(mode)
        )
        num_frames += len(clip.time_s)
    spent = (time.perf_counter() - began) / num_frames
    encoding = timing.seconds_per_frame(root, row.params, tuple(model.widths), chosen)
    cost = {
        "seconds_per_frame": encoding["seconds"] + spent,
        "encoder_seconds_per_frame": encoding["seconds"],
        "peak_memory_mb": peak,
        "parameters": _used(model, row.decoding) + encoding["parameters"],
        "trained_parameters": _used(model, row.decoding),
    }
    (folder / "cost.json").write_text(json.dumps(cost, indent=1) + "\n")


def _coarse(params: config.Params, size: int) -> "Gallery":
    """The params' gallery, of so many points, at the spacing that `Row.gallery` says."""
    from vidtag_ml.retrieval import gallery, index

    wider = 1.01 * (size * 4**LEVELS / index.MOST_FINEST) ** 0.5
    spacing_km = params.gallery.spacing_km * max(1.0, wider)
    settings = replace(params.gallery, spacing_km=spacing_km)
    points = gallery.build(settings)[["lat", "lon"]].to_numpy(float)
    return gallery.Gallery(points, config.as_dict(settings), "")


def _audit(root: Path, params: config.Params, split: str) -> dict[str, float]:
    """What the split shares with the others."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.models.gps_retrieval import evaluate

    return evaluate.leakage(tables.read(layout.of(root, params).dataset), split)


def _used(model: Any, decoding: str) -> int:
    """Weights that take part: the refiner only where it decodes."""
    return sum(
        p.numel()
        for name, p in model.named_parameters()
        if decoding.startswith("refined") or not name.startswith("refiner.")
    )


def _report(folder: Path) -> "Report":
    from vidtag_ml.models.report import Report

    return Report.read(folder)


def _record(
    row: Row, report: "Report", other: "Report | None", cost: Mapping[str, float]
) -> dict[str, Any]:
    """A row of benchmark.json."""
    import numpy as np

    errors = report.frames["error_km"].dropna().to_numpy()
    summary = {k: v for k, v in report.summary.items() if not k.startswith("initial_")}
    record = {
        "row": row.name,
        "group": row.group,
        "dataset": row.params.clips.source,
        "seed_of": row.seed_of,
        **summary,
        "p99_km": float(np.percentile(errors, 99)),
        "max_km": float(errors.max()),
        **cost,
    }
    if row.against and other is not None:
        record |= {"against": row.against, **_paired(report, other, row.params.evaluation)}
    return record


def _paired(ours: "Report", theirs: "Report", evaluation: config.Evaluation) -> dict[str, float]:
    """Comparisons over the same clips, and how many answers are equal."""
    import numpy as np

    from vidtag_ml.earth import sphere
    from vidtag_ml.metrics import paired
    from vidtag_ml.metrics import tracks as track_metrics

    found: dict[str, float] = {}
    draws = evaluation.bootstrap_draws
    both = ours.per_clip.merge(theirs.per_clip, on="clip_id", suffixes=("", "_other"))
    for name in (f"acc_{track_metrics.name_of(r)}" for r in evaluation.accuracy_km):
        values = (both[name].to_numpy(float), both[f"{name}_other"].to_numpy(float))
        found |= paired.difference(*values, draws, SEED).record(f"diff_{name}")
    dfds = (both["dfd_km"].to_numpy(float), both["dfd_km_other"].to_numpy(float))
    each = np.arange(len(both))
    found |= paired.ratio(*dfds, each, draws, SEED, np.mean).record("ratio_dfd_km")
    frames = ours.frames.assign(other_km=theirs.frames["error_km"]).dropna(subset="error_km")
    errors = (frames["error_km"].to_numpy(float), frames["other_km"].to_numpy(float))
    clip_N = frames["clip"].factorize()[0]
    found |= paired.ratio(*errors, clip_N, draws, SEED).record("ratio_median_km")
    here, there = (r.frames[["lat", "lon"]].to_numpy(float) for r in (ours, theirs))
    apart_km = sphere.great_circle_km(here, there)
    return {**found, "same_answer": float(np.mean(apart_km < 1e-3))}
