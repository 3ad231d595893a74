"""The benchmark: every model and every ablation on one split and one gallery, in one table.

A row is a change to the params, a trained model and a way of decoding. Models that rows share are
trained once; rows that are finished are not made again. Each row is measured in a process of its
own, so that its peak memory is its own. Decoding and encoding do not depend on the row: they are
timed once for each set of encoders, and all rows that read these are charged with the same seconds.

Belongs here: which rows there are, how one is made and measured, and the table as records. Does not
belong here: how the table looks (cli/benchmark_table.py), what a stage does (stages.py).
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vidtag_ml import config
from vidtag_ml.features import stages as features_stages
from vidtag_ml.features import timing
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.models.classifier import stages as classifier_stages
from vidtag_ml.models.geoclip import stages as geoclip_stages
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.vidtag import stages
from vidtag_ml.retrieval import stages as retrieval_stages
from vidtag_ml.workflow import code_key, layout, measuring, stage
from vidtag_ml.workflow.measuring import TIMED_CLIPS

if TYPE_CHECKING:
    import pandas as pd

    from vidtag_ml.models.report import Report
    from vidtag_ml.retrieval.gallery import Gallery


Maker = Literal["phase_one", "phase_two", "geoclip", "classifier"]
MAKERS: Mapping[Maker, Callable[..., bool]] = {
    "phase_one": stages.phase_one,
    "phase_two": stages.phase_two,
    "geoclip": geoclip_stages.geoclip,
    "classifier": classifier_stages.classifier,
}
SEED = 0
LEVELS = 2
"""Divisions after which coarse-to-fine search is compared with exact search."""
ZERO_SHOT = "clip_vit_l14"
"""Encoder of the released GeoCLIP."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    """As in the table."""
    group: str
    """Heading under which it stands."""
    made_by: Maker
    """Stage that trains its model."""
    decoding: str
    """Value of `evaluation.decoding`."""
    params: config.Params
    """With everything that the row changes."""
    variant: str = ""
    """Where its model lies; empty = the params' own model."""
    against: str | None = None
    """Row whose clips it is compared with, one by one."""
    gallery: Literal["params", "coarse", "finest"] = "params"
    """What is searched: the model's points in the params' gallery, a lattice so coarse that its
    cells, divided `LEVELS` times, are just below `index.MOST_FINEST`, or all of these."""


@dataclass
class _Rows:
    """Collects rows; each changes the same params."""

    params: config.Params
    rows: list[Row] = field(default_factory=list)
    group: str = ""

    def add(
        self,
        name: str,
        made_by: Maker,
        decoding: str,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        **more: Any,
    ) -> None:
        params = self.params
        for section, values in (changes or {}).items():
            params = replace(params, **{section: replace(getattr(params, section), **values)})
        evaluation: dict[str, Any] = {"decoding": decoding}
        params = replace(params, evaluation=replace(params.evaluation, **evaluation))
        self.rows.append(Row(name, self.group, made_by, decoding, params, **more))


def rows(params: config.Params) -> list[Row]:
    """The rows of issue and papers, for a params file whose features come from two encoders.

    Raises:
        ValueError: `phase_one.encoders` are not two, or the gallery is no lattice.
    """
    if params.gallery.source != "lattice":
        found = params.gallery.source
        raise ValueError(f"gallery.source is {found}: the benchmark needs a lattice")
    if len(params.phase_one.encoders) != 2:
        raise ValueError(
            f"phase_one.encoders are {', '.join(params.phase_one.encoders)}: the benchmark "
            "compares two and their union"
        )
    table = _Rows(params)
    _baselines(table)
    _ablation(table)
    _decoders(table)
    _searches(table)
    _alignments(table)
    _refiners(table)
    return table.rows


TEMPGEO, VITERBI = "both encoders + TempGeo", "TempGeo + Viterbi"
MOTION = "TempGeo + motion"
REFINED = "+ GeoRefiner (VidTAG)"
COARSE = "coarse to fine"
COARSER = "coarse to fine from a coarser gallery"
FINEST = "exact over all of its finest points"


def _baselines(table: _Rows) -> None:
    table.group = "Baselines"
    first, second = table.params.phase_one.encoders
    if ZERO_SHOT in table.params.features.encoders:
        from vidtag_ml.encoders.location import GEOCLIP_SIGMAS

        location = config.Location(GEOCLIP_SIGMAS, num_frequencies=256, hidden=1024)
        released: dict[str, dict[str, Any]] = {
            "model": {"embed_dim": 512, "location": location},
            "geoclip": {
                "encoders": (ZERO_SHOT,),
                "sigmas": GEOCLIP_SIGMAS,
                "epochs": 0,
                "location_start": "geoclip_location",
                "image_start": "geoclip_image",
            },
        }
        table.add("GeoCLIP zero-shot", "geoclip", "initial", released, variant="zero-shot")
    table.add("GeoCLIP fine-tuned", "geoclip", "initial", against=TEMPGEO)
    table.add("GeoCLIP fine-tuned + Viterbi", "geoclip", "viterbi", against=VITERBI)
    for role, encoder in (("CLIP", first), ("DINOv2", second)):
        changes: dict[str, dict[str, Any]] = {"classifier": {"encoder": encoder}}
        variant = "" if encoder == table.params.classifier.encoder else f"classifier-{encoder}"
        table.add(f"{role} classifier", "classifier", "initial", changes, variant=variant)


def _ablation(table: _Rows) -> None:
    table.group = "What each part buys (frame by frame)"
    first, second = table.params.phase_one.encoders
    alone: dict[str, Any] = {"temporal_layers": 0}
    for name, encoders, sizes, variant in (
        ("CLIP-role encoder", (first,), alone, "clip"),
        ("DINOv2-role encoder", (second,), alone, "dino"),
        ("DINOv2-role encoder + TempGeo", (second,), {}, "dino-tempgeo"),
        ("both encoders", (first, second), alone, "both"),
    ):
        changes: dict[str, dict[str, Any]] = {
            "phase_one": {"encoders": encoders},
            "model": sizes,
        }
        table.add(name, "phase_one", "initial", changes, variant=variant, against=TEMPGEO)
    table.add(TEMPGEO, "phase_one", "initial")
    table.add(REFINED, "phase_two", "refined", against=TEMPGEO)


def _decoders(table: _Rows) -> None:
    table.group = "Decoders without training"
    table.add(VITERBI, "phase_two", "viterbi", against=TEMPGEO)
    table.add(MOTION, "phase_two", "motion", against=VITERBI)
    table.add("GeoCLIP fine-tuned + motion", "geoclip", "motion", against=MOTION)
    table.add("TempGeo + GeoRefiner + Viterbi", "phase_two", "refined_viterbi", against=TEMPGEO)


def _searches(table: _Rows) -> None:
    table.group = "Search"
    search = table.params.evaluation.search

    def add(name: str, decoding: str, method: Any, **more: Any) -> None:
        changes = {"evaluation": {"search": replace(search, method=method)}}
        table.add(name, "phase_one", decoding, changes, **more)

    add(f"{COARSE}", "initial", "coarse_to_fine", against=TEMPGEO)
    add(COARSER, "initial", "coarse_to_fine", gallery="coarse")
    add(FINEST, "initial", "exact", gallery="finest", against=COARSER)
    add("FAISS flat", "initial", "faiss_flat", against=TEMPGEO)
    add("FAISS inverted lists", "initial", "faiss_ivf", against=TEMPGEO)


def _alignments(table: _Rows) -> None:
    table.group = f"Phase I settings (against {TEMPGEO})"
    none: dict[str, Any] = {"num_random_negatives": 0, "queue_size": 0}
    one_hot: dict[str, Any] = {"soft_targets_km": None, "num_near_targets": 0}
    for name, changes in (
        ("symmetric loss", {"direction": "symmetric"}),
        ("clips as units", {"unit": "clip"}),
        ("no extra negatives", none),
        ("queue of 4,096", {**none, "queue_size": 4096, "queue_mask_km": 1.0}),
        ("one-hot targets, no extra negatives", {**none, **one_hot}),
    ):
        variant = name.replace(" ", "-").replace(",", "")
        table.add(
            name, "phase_one", "initial", {"phase_one": changes}, variant=variant, against=TEMPGEO
        )


def _refiners(table: _Rows) -> None:
    table.group = f"Phase II settings (against {TEMPGEO})"
    noise = table.params.phase_two.noise
    synthetic, predicted = (replace(noise, predicted_probability=p) for p in (0.0, 1.0))
    misled = replace(predicted, wander_km=28.0, swap_probability=0.06)
    identity, kernel = {"loss": "identity"}, {"loss": "kernel", "off_diagonal_weight": 1.0}
    rows: dict[str, dict[str, Any]] = {
        "identity loss, synthetic noise": {**identity, "noise": synthetic},
        "identity loss, Phase I predictions": {**identity, "noise": predicted},
        "identity loss, off-diagonal 0.01, synthetic noise": {
            **identity, "off_diagonal_weight": 0.01, "noise": synthetic,
        },
        "identity loss, off-diagonal 0.01, predictions": {
            **identity, "off_diagonal_weight": 0.01, "noise": predicted,
        },
        "kernel loss, frames misled": {**kernel, "noise": misled},
        "kernel loss, cross-fit in two": {**kernel, "noise": predicted, "cross_fit_parts": 2},
    }  # fmt: skip
    for name, changes in rows.items():
        variant = "refiner-" + name.replace(" ", "-").replace(",", "")
        table.add(
            name, "phase_two", "refined", {"phase_two": changes}, variant=variant, against=TEMPGEO
        )


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
    chosen = [row for row in rows(params) if only(row)]
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
