"""Evaluation: each model on the held-out clips, and the leaderboard of all of them.

Belongs here: the factory of evaluation assets, assets cityguessr_evaluation and leaderboard, and
what is the same in all evaluations. Does not belong here: GAMa's evaluation (cross_view.py),
metrics and reports (vidtag_ml.evaluate), the gate (gate.py).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from vidtag_assets.dataset import CHEAP
from vidtag_assets.metadata import OWNERS, numbers, picture, preview
from vidtag_assets.resources import ParamsFile, Workspace
from vidtag_assets.training import cityguessr_model, geoclip_model, phase_two_model
from vidtag_ml import code_key, place_stages, stage, stages
from vidtag_ml.layout import Layout

if TYPE_CHECKING:
    from vidtag_ml.evaluate import Report
    from vidtag_ml.evaluate_places import PlaceReport

Choice = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Those figures of a summary that are shown one by one."""
NUM_TRACKS = 6
"""Example tracks in the UI: evenly spaced between the best and the worst."""
SHOWN = ("median_km", "video_median_km", "dfd_km", "mrd_km", "oracle_median_km")


def evaluation_asset(name: str, model: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset `<name>_evaluation`: reports of a model on val and test."""

    @dg.asset(
        name=f"{name}_evaluation",
        deps=[model],
        group_name="evaluation",
        kinds={"torch", "parquet"},
        code_version=code_key.version(f"evaluate_{name}"),
        owners=OWNERS,
        pool="gpu",
        description=(
            f"Tracks and figures of {name} on val, which decides promotion, and on test, which is "
            "only reported: `out/evaluation/`. Every figure carries its gallery.\n\n"
            "**When it fails:** a model, gallery or feature store is missing or does not fit the "
            "others; materialize what the message names, then this again."
        ),
    )
    def evaluation(workspace: Workspace, params_file: ParamsFile) -> dg.MaterializeResult:
        from vidtag_ml import plots
        from vidtag_ml.evaluate import Report

        params = params_file.load()
        worked = [
            stages.evaluate_model(workspace.path, params, name, split) for split in stages.SPLITS
        ]
        at = workspace.layout(params)
        reports = {split: Report.read(at.evaluation(name, split)) for split in stages.SPLITS}
        test = reports["test"]
        order = test.per_clip.sort_values("median_km")["clip_id"].tolist()
        step = max(1, len(order) // NUM_TRACKS)
        tracks = {track.clip: track for track in test.tracks}
        examples = [tracks[clip] for clip in order[::step][:NUM_TRACKS]]
        errors = {split: report.frames["error_km"].dropna() for split, report in reports.items()}
        return dg.MaterializeResult(
            data_version=data_version(at, name),
            metadata={
                "tracks": picture(lambda path: plots.tracks_sheet(examples, test.truths, path)),
                "errors": picture(lambda path: plots.error_cdf(errors, path)),
                "worst_clips": preview(test.per_clip.sort_values("median_km", ascending=False)),
                "summary": dg.MetadataValue.json(test.summary),
                **figures(reports, _of_tracks),
                "worked": any(worked),
            },
        )

    return evaluation


@dg.asset(
    deps=[cityguessr_model],
    group_name="evaluation",
    kinds={"torch", "parquet"},
    code_version=code_key.version("evaluate_cityguessr"),
    owners=OWNERS,
    pool="gpu",
)
def cityguessr_evaluation(workspace: Workspace, params_file: ParamsFile) -> dg.MaterializeResult:
    """Places that CityGuessr names on val, which decides promotion, and on test: `out/evaluation/`.

    **When it fails:** the model or what it reads is missing or has changed; materialize what the
    message names, then this again.
    """
    from vidtag_ml import clips, place_plots
    from vidtag_ml.evaluate_places import PlaceReport
    from vidtag_ml.hierarchy import LEVELS

    params = params_file.load()
    at = workspace.layout(params)
    worked = [
        place_stages.evaluate_cityguessr(workspace.path, params, split) for split in stages.SPLITS
    ]
    reports = {s: PlaceReport.read(at.evaluation("cityguessr", s)) for s in stages.SPLITS}
    test = reports["test"]
    bins = {k: test.reliability[test.reliability["level"] == k] for k in LEVELS}
    said = test.per_clip[["clip_id", *LEVELS, "answer", "answer_right"]]
    positions_N2 = clips.first_positions(clips.read(at.dataset), test.per_clip["clip_id"])
    countries = (test.per_clip["country"].tolist(), test.per_clip["predicted_country"].tolist())
    return dg.MaterializeResult(
        data_version=data_version(at, "cityguessr"),
        metadata={
            "confusions": picture(lambda p: place_plots.confusion_map(*countries, positions_N2, p)),
            "reliability": picture(lambda p: place_plots.reliability(bins, p)),
            "answers": preview(said, 10),
            "summary": dg.MetadataValue.json(test.summary),
            **figures(reports, _of_places),
            "worked": any(worked),
        },
    )


def _of_places(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a report on places that are worth a column."""
    chosen = [name for name in summary if name.startswith(("acc_", "top5_", "ece"))]
    return {n: summary[n] for n in [*chosen, "consistency"] if not n.endswith(("_lo", "_hi"))}


vidtag_evaluation = evaluation_asset("vidtag", phase_two_model)
geoclip_evaluation = evaluation_asset("geoclip", geoclip_model)


@dg.asset(
    deps=[vidtag_evaluation, geoclip_evaluation],
    group_name="evaluation",
    kinds={"csv"},
    owners=OWNERS,
    automation_condition=CHEAP,
)
def leaderboard(workspace: Workspace, params_file: ParamsFile) -> dg.MaterializeResult:
    """All models on the test clips, best median first: `out/evaluation/leaderboard.csv`.

    Models that name places have no median: they are not in it.

    **When it fails:** an evaluation is missing; materialize it.
    """
    from vidtag_ml import plots
    from vidtag_ml.evaluate import Report

    at = workspace.layout(params_file.load())
    reports = {name: Report.read(at.evaluation(name)) for name in stages.MODELS}
    table = pd.DataFrame([report.summary for report in reports.values()])
    table = table.sort_values("median_km", ignore_index=True)
    text = table.to_csv(index=False, lineterminator="\n")
    path = at.root / "out" / "evaluation" / "leaderboard.csv"
    stage.write_text(path, text)
    accuracies = [c for c in table.columns if c.startswith("acc_") and not c.endswith(("lo", "hi"))]
    shown = table[["model", "decoding", *accuracies, *SHOWN]]
    errors = {name: report.frames["error_km"].dropna() for name, report in reports.items()}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stage.digest(path)),
        metadata={
            "leaderboard": preview(shown, len(shown)),
            "errors": picture(lambda target: plots.error_cdf(errors, target)),
            **numbers(_ratios(table), "vidtag_over_geoclip_"),
        },
    )


def data_version(at: Layout, name: str) -> dg.DataVersion:
    """The md5s of a model's reports on all splits."""
    return dg.DataVersion(
        " ".join(stage.digest(at.evaluation(name, split)) for split in stages.SPLITS)
    )


def figures(
    reports: "Mapping[str, Report] | Mapping[str, PlaceReport]", choose: Choice
) -> dict[str, float]:
    """The chosen figures of the report on each split, as `<split>_<figure>`."""
    return {
        name: value
        for split, report in reports.items()
        for name, value in numbers(choose(report.summary), f"{split}_").items()
    }


def _of_tracks(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a report on tracks that are worth a column."""
    chosen = [name for name in summary if name.startswith("acc_") or name in SHOWN]
    return {n: summary[n] for n in chosen if not n.endswith(("_lo", "_hi"))}


def _ratios(table: pd.DataFrame) -> dict[str, float]:
    rows = {row["model"]: row for row in table.to_dict("records")}
    return {name: rows["vidtag"][name] / rows["geoclip"][name] for name in SHOWN[:3]}
