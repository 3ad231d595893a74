"""The leaderboard of all models whose answers are tracks.

Belongs here: asset leaderboard. Does not belong here: evaluations (factory.py), the table
(vidtag_ml.models.gps_retrieval.leaderboard).
"""

import dagster as dg

from vidtag_assets.assets.dataset import CHEAP
from vidtag_assets.execution import cluster
from vidtag_assets.metadata import OWNERS, numbers, picture, summary
from vidtag_assets.workspace.resources import ParamsFile, Workspace
from vidtag_ml.models.gps_retrieval import figures
from vidtag_ml.models.registry import RANKED
from vidtag_ml.workflow import locks, stage


@dg.asset(
    deps=[f"{name}_evaluation" for name in RANKED],
    group_name="evaluation",
    kinds={"csv"},
    owners=OWNERS,
    op_tags=cluster.needs(cpu=1, memory_gb=2),
    automation_condition=CHEAP,
)
def leaderboard(workspace: Workspace, params_file: ParamsFile) -> dg.MaterializeResult:
    """All models on the test clips, best median first: `out/evaluation/leaderboard.csv`.

    Models that name places have no median: they are not in it.

    **When it fails:** an evaluation is missing; materialize it.
    """
    from vidtag_ml.models.gps_retrieval import leaderboard as board
    from vidtag_ml.models.report import Report
    from vidtag_ml.plots import charts

    at = workspace.layout(params_file.load())
    reports = {name: Report.read(at.evaluation(name)) for name in RANKED}
    table = board.table(reports)
    path = at.root / "out" / "evaluation" / "leaderboard.csv"
    with locks.alone(path.with_name(".leaderboard.lock"), "writes the leaderboard"):
        stage.write_text(path, table.to_csv(index=False, lineterminator="\n"))
    rows = table.to_dict("records")
    summaries = {f"{r['model']} ({r['decoding']})": reports[r["model"]].summary for r in rows}
    errors = {name: report.frames["error_km"].dropna() for name, report in reports.items()}
    ratios = board.ratios(table, "vidtag", "geoclip", figures.SHOWN[:3])
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stage.digest(path)),
        metadata={
            "leaderboard": summary(figures.side_by_side(summaries)),
            "errors": picture(lambda target: charts.error_cdf(errors, target)),
            **numbers(ratios, "over_geoclip_"),
        },
    )
