"""The benchmark's rows of places: CityGuessr's modules one by one, and VidTAG on the same task.

Belongs here: which rows there are, how one is made and measured, and the rows as records. Does not
belong here: rows of tracks (models/vidtag/benchmark.py), how tables look (cli/benchmark_table.py),
figures and inferences (inference.py). Shape legend: N clips, 4 = city, state, country, continent.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vidtag_ml import config
from vidtag_ml.dataset import stages as dataset_stages
from vidtag_ml.features import stages as features_stages
from vidtag_ml.features import timing
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.models.cityguessr import stages
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.vidtag import ablations, benchmark
from vidtag_ml.retrieval import stages as retrieval_stages
from vidtag_ml.workflow import code_key, inputs, layout, measuring, stage

if TYPE_CHECKING:
    import pandas as pd

    from vidtag_ml.retrieval.gallery import Gallery


HEADS, FULL = "heads only", "+ text alignment, all levels (CityGuessr)"
PRIOR = "most frequent class of each level"
MODULES, INFERENCE, OTHERS = (
    f"Places: what each module buys (against {HEADS})",
    f"Places: inference (against {FULL}, codependent)",
    f"Places: other ways (against {FULL}, codependent)",
)
SEED = 0


@dataclass(frozen=True)
class PlaceRow:
    """One line of the table."""

    name: str
    """As in the table."""
    group: str
    """Heading under which it stands."""
    answered_by: Literal["cityguessr", "prior", "vidtag_cities", "vidtag_tracks"]
    """cityguessr: the model of the params; prior: the most frequent classes of the train clips;
    vidtag_cities: VidTAG's nearest city centre a frame and a vote over frames
    (docs/specs/metrics.md, section 7); vidtag_tracks: the same of its track, found in
    its usual gallery."""
    params: config.Params
    """With everything that the row changes."""
    variant: str = ""
    """Where its model lies; empty = the params' own model."""
    against: str | None = None
    """Row whose clips it is compared with, one by one."""


def rows(params: config.Params) -> list[PlaceRow]:
    """The rows, in the paper's order, then what goes beyond it.

    See docs/specs/cityguessr.md, section 8.
    """
    heads: dict[str, Any] = {"attention": False, "scenes": "none", "text": None}
    modules: list[tuple[str, dict[str, Any], str]] = [
        (HEADS, heads, "heads"),
        (
            "+ Self-Cross Attention, majority scenes",
            {"scenes": "majority", "text": None},
            "majority",
        ),
        ("+ soft scenes", {"scenes": "soft", "text": None}, "soft"),
        ("+ text alignment, city names only", {"text_levels": "city"}, "city-names"),
        (FULL, {}, ""),
    ]
    table = [
        PlaceRow(
            name, MODULES, "cityguessr", _changed(params, **changes, inference="codependent"),
            f"cityguessr-{variant}" if variant else "", None if name == HEADS else HEADS,
        )
        for name, changes, variant in modules
    ]  # fmt: skip
    table += [
        PlaceRow(how, INFERENCE, "cityguessr", _changed(params, inference=how), against=FULL)
        for how in ("independent", "product", "tree")
    ]
    return [
        *table,
        PlaceRow(PRIOR, OTHERS, "prior", params, against=FULL),
        PlaceRow("VidTAG, gallery of city centres", OTHERS, "vidtag_cities", params, against=FULL),
        PlaceRow("VidTAG's track, nearest city", OTHERS, "vidtag_tracks", params, against=FULL),
    ]


def _changed(params: config.Params, **changes: Any) -> config.Params:
    return replace(params, cityguessr=replace(params.cityguessr, **changes))


def run(
    root: Path,
    params: config.Params,
    split: str = "test",
    only: Callable[[PlaceRow], bool] = lambda _row: True,
    tell: Callable[[int, int, str], None] = lambda _done, _total, _name: None,
) -> "pd.DataFrame":
    """A record a row (docs/specs/metrics.md, section 10); what is finished is not made again."""
    import pandas as pd

    for make in (
        ingest_stages.ingest,
        dataset_stages.hierarchy,
        retrieval_stages.gallery,
        features_stages.features,
    ):
        make(root, params)
    chosen = [row for row in rows(params) if only(row)]
    folders = {}
    for done, row in enumerate(chosen):
        tell(done, len(chosen), row.name)
        if row.answered_by == "cityguessr":
            stages.cityguessr(root, row.params, variant=row.variant)
        folders[row.name] = measure(root, row, split)
    tell(len(chosen), len(chosen), "")
    clips = {name: pd.read_parquet(folder / "per_clip.parquet") for name, folder in folders.items()}
    found = {name: json.loads((f / "figures.json").read_text()) for name, f in folders.items()}
    return pd.DataFrame(
        [_record(row, split, clips, found[row.name]) for row in chosen if row.name in found]
    )


def measure(root: Path, row: PlaceRow, split: str) -> Path:
    """The folder with the row's figures and answers, made if need be."""
    at = layout.of(root, row.params, row.variant)
    key = {
        "tables": inputs.tables_digest(at.dataset),
        "hierarchy": inputs.input_digest(at.hierarchy, "vidtag hierarchy"),
        "row": [row.answered_by, row.params.cityguessr.inference],
        "draws": row.params.evaluation.bootstrap_draws,
        **code_key.of("benchmark_places"),
    }
    tracks = None
    if row.answered_by == "cityguessr":
        stages.evaluate_cityguessr(root, row.params, split, row.variant)
        key["report"] = stage.digest(at.evaluation("cityguessr", split))
    elif row.answered_by.startswith("vidtag"):
        tracks = _vidtag(row.params, frame_by_frame=row.answered_by == "vidtag_cities")
        benchmark.train(root, tracks)
        key["report"] = gps_stages.report_key(
            at, tracks.params, tracks.made_by, "vidtag benchmark", split
        )
    out = root / "out" / "benchmark" / "rows" / split / f"places-{measuring.slug(row.name)}"

    def build(aside: Path) -> None:
        if tracks is not None and row.answered_by == "vidtag_tracks":
            benchmark.measure(root, tracks, split)
        measuring.in_a_process(_measure, root, row, tracks, split, aside)

    stage.make(out, key, build)
    return out


def _vidtag(params: config.Params, *, frame_by_frame: bool) -> ablations.Row:
    """The row of tracks whose model or tracks are used."""
    name = ablations.TEMPGEO if frame_by_frame else ablations.VITERBI
    (row,) = (row for row in ablations.rows(params) if row.name == name)
    return row


def _measure(
    root: Path, row: PlaceRow, tracks: "ablations.Row | None", split: str, folder: Path
) -> None:
    """Writes per_clip.parquet and figures.json; runs in a process of its own."""
    from vidtag_ml.dataset import tables as clip_tables
    from vidtag_ml.models.cityguessr import evaluate

    at = layout.of(root, row.params, row.variant)
    tables = clip_tables.read(at.dataset)
    folder.mkdir(parents=True, exist_ok=True)
    if tracks is None:
        judged, figures = _guessed(at, row, tables, split)
    else:
        judged, figures = _located(root, at, row, tracks, tables, split)
    draws = row.params.evaluation.bootstrap_draws
    figures = {**figures, **evaluate.intervals(judged, draws)}
    figures["peak_memory_mb"] = measuring.peak_mb()
    judged.to_parquet(folder / "per_clip.parquet", index=False)
    (folder / "figures.json").write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n")


def _guessed(
    at: layout.Layout, row: PlaceRow, tables: Any, split: str
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Answers of CityGuessr, from its report, and its costs; or the most frequent classes."""
    import numpy as np

    from vidtag_ml.dataset import hierarchy
    from vidtag_ml.models.cityguessr import data, evaluate, inference
    from vidtag_ml.models.cityguessr import sources as cityguessr_sources

    chosen = tables.clips[tables.clips["split"] == split]
    if row.answered_by == "prior":
        classes = hierarchy.Hierarchy.of(hierarchy.read(at.hierarchy))
        prior_4 = inference.prior(
            classes.ids(tables.clips[tables.clips["split"] == "train"]), classes
        )
        judged = inference.correct(np.tile(prior_4, (len(chosen), 1)), classes.ids(chosen), classes)
        judged.insert(0, "clip_id", chosen["clip_id"].tolist())
        return judged, {n: float(judged[n].mean()) for n in evaluate.SHARES}
    report = evaluate.PlaceReport.read(at.evaluation("cityguessr", split))
    model, settings = inference.load(at.model("cityguessr")), row.params.cityguessr
    few = chosen.head(measuring.TIMED_CLIPS)
    sources = stages.guess_sources(at, row.params)
    names = few["clip_id"].tolist()
    seen = data.Labelled(
        cityguessr_sources.videos_of(model, settings, sources, names),
        cityguessr_sources.classes_of(sources, few),
    )
    data.logits(model, seen, settings.batch_size)
    began = time.perf_counter()
    data.logits(model, seen, settings.batch_size)
    spent = (time.perf_counter() - began) / int(few["num_frames"].sum())
    encoding = timing.seconds_per_frame(at.root, row.params, tuple(model.widths), few)
    used = sum(p.numel() for part in (model.backbone, model.classifiers) for p in part.parameters())
    wanted = ("acc_", "top5_", "ece", "consistency")
    figures = {k: v for k, v in report.summary.items() if k.startswith(wanted)}
    return report.per_clip, {
        **figures,
        "seconds_per_frame": encoding["seconds"] + spent,
        "encoder_seconds_per_frame": encoding["seconds"],
        "parameters": used + encoding["parameters"],
        "trained_parameters": sum(p.numel() for p in model.parameters()),
        "text_targets": settings.text or "none",
        "scene_targets": settings.scenes,
    }


def _located(
    root: Path,
    at: layout.Layout,
    row: PlaceRow,
    tracks: "ablations.Row",
    tables: Any,
    split: str,
) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Answers of VidTAG through city centres."""
    from vidtag_ml.dataset import hierarchy
    from vidtag_ml.features import store as feature_store
    from vidtag_ml.metrics import places as place_metrics
    from vidtag_ml.models import networks
    from vidtag_ml.models import report as models_report
    from vidtag_ml.models.cityguessr import evaluate as cityguessr_evaluate
    from vidtag_ml.models.gps_retrieval import evaluate

    known = hierarchy.read(at.hierarchy)
    centres = _centres(known)
    if row.answered_by == "vidtag_cities":
        model = networks.load(at.model(tracks.made_by))
        store = feature_store.FeatureStore.open(at.features).select(tuple(model.widths))
        report = evaluate.evaluate(
            model, centres, store, tables, split, tracks.params.evaluation, row.name,
            max_gap_s=row.params.clips.max_gap_s,
        )  # fmt: skip
        judged = report.per_clip
        figures = dict(report.summary)
    else:
        folder = benchmark.measure(root, tracks, split)
        report = models_report.Report.read(folder)
        said = cityguessr_evaluate.nearest_city(report, centres)
        true = said[["clip_id"]].merge(tables.clips, on="clip_id")
        judged = place_metrics.correct(said, true, known).astype(float)
        judged.insert(0, "clip_id", said["clip_id"])
        figures = dict(report.summary)
    protocol = {k: v for k, v in figures.items() if k.startswith("gallery")}
    shares = {name: float(judged[name].mean()) for name in cityguessr_evaluate.SHARES}
    return judged, {**protocol, **shares, "cities": len(centres.latlon_G2)}


def _centres(known: "pd.DataFrame") -> "Gallery":
    """GeoNames' centres of the hierarchy's cities; no clip was asked where they are."""
    from vidtag_ml.earth import geonames
    from vidtag_ml.retrieval import gallery

    table = geonames.city_centres().merge(known, on=list(known.columns))
    points = table[["lat", "lon"]].to_numpy(float)
    return gallery.Gallery(points, {"source": "city centres"}, "", table[list(known.columns)])


def _record(
    row: PlaceRow, split: str, clips: Mapping[str, "pd.DataFrame"], figures: Mapping[str, Any]
) -> dict[str, Any]:
    """A row of benchmark.json."""
    from vidtag_ml.metrics import paired
    from vidtag_ml.models.cityguessr import evaluate

    ours = clips[row.name]
    record = {
        "row": row.name,
        "group": row.group,
        "dataset": row.params.clips.source,
        "split": split,
        "gallery": "none: classes",
        "num_clips": len(ours),
        "inference": row.params.cityguessr.inference,
        **figures,
    }
    if row.against is None or row.against not in clips:
        return record
    both = ours.merge(clips[row.against], on="clip_id", suffixes=("", "_other"))
    for name in evaluate.SHARES:
        values = (both[name].to_numpy(float), both[f"{name}_other"].to_numpy(float))
        found = paired.difference(*values, row.params.evaluation.bootstrap_draws, SEED)
        record |= found.record(f"diff_{name}")
    return {**record, "against": row.against}
