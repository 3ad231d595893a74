"""The dataset: clips with their fixes, and the hierarchy of their places; checks below each.

Belongs here: assets clips and hierarchy. Does not belong here: where clips come from
(vidtag_ml.ingest), what a table must look like (expectations.py).
"""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pandas as pd

from vidtag_assets.assets import expectations
from vidtag_assets.assets.own_recordings import own_recordings, refresh
from vidtag_assets.execution import cluster
from vidtag_assets.metadata import OWNERS, picture, preview
from vidtag_assets.workspace import data_docs
from vidtag_assets.workspace.resources import Dvc, ParamsFile, Workspace
from vidtag_ml import config
from vidtag_ml.dataset import stages as dataset_stages
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.workflow import code_key

INGESTS = [f"ingest_{source}" for source in config.SOURCES]
CHEAP = (
    dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()
).with_label("eager, behind blocking checks")
"""When the automation sensor, if switched on, makes what costs next to nothing."""


@dg.asset(
    group_name="dataset",
    kinds={"dvc", "parquet"},
    code_version=code_key.version(*INGESTS),
    owners=OWNERS,
    op_tags=cluster.needs(cpu=2, memory_gb=4),
    pool="dvc",
)
def clips(
    context: dg.AssetExecutionContext, workspace: Workspace, params_file: ParamsFile, dvc: Dvc
) -> dg.MaterializeResult:
    """Videos with their GPS fixes: tables `clips` and `fixes`, one folder, one DVC output.

    Everything downstream is made from this. Its data version is the DVC md5 of `data/<dataset>/`.
    Of own recordings, what changed in folders of the inbox that were taken in is taken in first.

    **When it fails:** a full disk, recordings that are not laid out as published, or a wrong key in
    section `clips` of params.yaml; the message says which. Materialize again: it goes on at the
    clip where it stopped. When a check fails, the tables are wrong, and nothing downstream runs:
    its metadata names clips and rules.
    """
    from vidtag_ml.dataset import tables as tables_of
    from vidtag_ml.plots import maps

    params = params_file.load()
    if params.clips.source == "recordings":
        for event in refresh(context.instance, workspace.path, params):
            context.log_event(event)
    worked = ingest_stages.ingest(workspace.path, params)
    md5 = dvc.commit("clips")
    tables = tables_of.read(workspace.layout(params).dataset)
    split_of = tables.clips["split"].tolist()
    starts = tables_of.first_positions(tables, tables.clips["clip_id"])
    return dg.MaterializeResult(
        data_version=dg.DataVersion(md5),
        metadata={
            "dagster/row_count": len(tables.clips),
            "map": picture(lambda path: maps.clips_map(starts, split_of, path)),
            "preview": preview(tables.clips),
            "fixes": preview(tables.fixes),
            "num_fixes": len(tables.fixes),
            "num_frames": int(tables.clips["num_frames"].sum()),
            **{f"num_{split}": split_of.count(split) for split in tables_of.SPLITS},
            "dvc_md5": md5,
            "worked": worked,
        },
    )


def reading_own(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The spec of clips with own_recordings upstream; any other as it is."""
    return spec.merge_attributes(deps=[own_recordings]) if spec.key == clips.key else spec


@dg.asset_check(asset=clips, blocking=True)
def clips_have_valid_metadata(workspace: Workspace, params_file: ParamsFile) -> dg.AssetCheckResult:
    """Every clip has an id, a video, a mode, a split, a group and a digest, all within bounds."""
    return _judge(workspace, params_file, "clips", expectations.clips_suite)


@dg.asset_check(asset=clips, blocking=True)
def fixes_have_valid_gps(workspace: Workspace, params_file: ParamsFile) -> dg.AssetCheckResult:
    """Every fix that was not dropped is on Earth and of a clip; poor receivers are warned of."""
    return _judge(workspace, params_file, "fixes", expectations.fixes_suite)


@dg.asset_check(asset=clips, blocking=True)
def clips_are_plausible(workspace: Workspace, params_file: ParamsFile) -> dg.AssetCheckResult:
    """No group is in two splits, times grow, nothing is faster than its mode, no fix is at 0, 0.

    Where `clips.min_split_km` says so, no val or test clip comes nearer than that to a train clip.
    """
    from vidtag_ml.dataset import rules
    from vidtag_ml.dataset import tables as tables_of

    params = params_file.load()
    tables = tables_of.read(workspace.layout(params).dataset)
    limits = params.evaluation.max_speed_kmh, params.clips.min_split_km
    found = rules.problems(tables, *limits)
    return dg.AssetCheckResult(
        passed=not found,
        metadata={
            "num_problems": len(found),
            "problems": preview(pd.DataFrame(found, columns=["clip_id", "reason"]), 20),
        },
    )


@dg.asset_check(asset=clips, blocking=True)
def clips_lie_where_their_labels_say(
    workspace: Workspace, params_file: ParamsFile
) -> dg.AssetCheckResult:
    """No clip is mirrored: latitude and longitude swapped, or a sign lost, from its first fix on.

    Its middle fix is compared with its labels, with the clips of other groups, and with the land.
    Where a repair would bring it to its labelled city or country, this blocks: the metadata names
    the clips, and what may have happened to each. Anything else is doubtful and only warned of.
    """
    from vidtag_ml.dataset import mirrored
    from vidtag_ml.dataset import tables as tables_of

    tables = tables_of.read(workspace.layout(params_file.load()).dataset)
    found = mirrored.findings(tables)
    clear = found["clear"].astype(bool)
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=dg.AssetCheckSeverity.ERROR if clear.any() else dg.AssetCheckSeverity.WARN,
        description=_told_of_mirrored(found, len(tables.clips)),
        metadata={
            "num_clear": int(clear.sum()),
            "num_doubtful": int((~clear).sum()),
            "clips": preview(found.sort_values("clear", ascending=False, kind="stable"), 50),
        },
    )


def _told_of_mirrored(found: pd.DataFrame, num_clips: int) -> str:
    """What is to be done about mirrored clips, in a few sentences."""
    if found.empty:
        return f"None of {num_clips} clips looks mirrored."
    counts = found["repair"].replace("", "nothing known fits").value_counts()
    causes = "; ".join(f"{cause} ({count})" for cause, count in counts.items())
    return (
        f"{len(found)} of {num_clips} clips are not where they should be: {causes}. Mend their "
        "positions where they come from, or their labels, and ingest anew."
    )


@dg.asset(
    deps=[clips],
    group_name="dataset",
    kinds={"dvc", "csv"},
    code_version=code_key.version("hierarchy"),
    owners=OWNERS,
    op_tags=cluster.needs(cpu=1, memory_gb=2),
    pool="dvc",
    automation_condition=CHEAP,
)
def hierarchy(workspace: Workspace, params_file: ParamsFile, dvc: Dvc) -> dg.MaterializeResult:
    """Which city lies in which state, country and continent, for all places of the clips.

    **When it fails:** a clip lacks a label; the message counts them and names the first.
    """
    from vidtag_ml.dataset import hierarchy as places

    params = params_file.load()
    worked = dataset_stages.hierarchy(workspace.path, params)
    md5 = dvc.commit("hierarchy")
    table = places.read(workspace.layout(params).hierarchy)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(md5),
        metadata={
            "dagster/row_count": len(table),
            "preview": preview(table, 10),
            **{f"num_{level}": int(table[level].nunique()) for level in places.LEVELS},
            "dvc_md5": md5,
            "worked": worked,
        },
    )


def _judge(
    workspace: Workspace, params_file: ParamsFile, name: str, suite: Callable[[], Any]
) -> dg.AssetCheckResult:
    from vidtag_ml.dataset import tables as tables_of

    table = getattr(tables_of.read(workspace.layout(params_file.load()).dataset), name)
    table = table[tables_of.is_kept(table)]
    docs = data_docs.folder(workspace.path) / name
    verdict = expectations.validate(table, suite, docs)
    severity = dg.AssetCheckSeverity.ERROR if verdict.critical else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=verdict.passed,
        severity=severity,
        metadata={
            "num_expectations": len(verdict.expected),
            "failures": preview(verdict.table(), 20),
            "expectations": preview(pd.DataFrame(verdict.expected), len(verdict.expected)),
            "data_docs": dg.MetadataValue.url(f"{workspace.docs}/{name}/"),
            "data_docs_folder": dg.MetadataValue.path(docs),
        },
    )
