"""The leaderboard of all models whose answers are tracks.

Belongs here: asset leaderboard. Does not belong here: evaluations (factory.py), the gate (gate.py).
"""

import dagster as dg
import pandas as pd

from vidtag_assets import geoclip, vidtag
from vidtag_assets.dataset import CHEAP
from vidtag_assets.metadata import OWNERS, numbers, picture, preview
from vidtag_assets.resources import ParamsFile, Workspace
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.gps_retrieval.figures import SHOWN
from vidtag_ml.workflow import stage


@dg.asset(
    deps=[vidtag.vidtag_evaluation, geoclip.geoclip_evaluation],
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
    from vidtag_ml.models.report import Report
    from vidtag_ml.plots import charts

    at = workspace.layout(params_file.load())
    reports = {name: Report.read(at.evaluation(name)) for name in gps_stages.MODELS}
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
            "errors": picture(lambda target: charts.error_cdf(errors, target)),
            **numbers(_ratios(table), "vidtag_over_geoclip_"),
        },
    )


def _ratios(table: pd.DataFrame) -> dict[str, float]:
    rows = {row["model"]: row for row in table.to_dict("records")}
    return {name: rows["vidtag"][name] / rows["geoclip"][name] for name in SHOWN[:3]}
