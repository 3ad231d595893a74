"""Own recordings: one partition a dataset, filled from a folder of the inbox.

Belongs here: the asset own_recordings, the only partitioned one. Does not belong here: what becomes
of a recording (vidtag_ml.ingest), the tables of all datasets (dataset.py), the watch on the inbox
(orchestration.sensors).
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from vidtag_assets.execution import cluster
from vidtag_assets.metadata import OWNERS, picture, preview
from vidtag_assets.workspace.resources import ParamsFile, Workspace
from vidtag_ml import config
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.ingest.own import journal
from vidtag_ml.workflow import code_key, stage

DATASETS = dg.DynamicPartitionsDefinition(name="dataset")
"""One partition a dataset of own recordings; the sensor inbox adds them."""
MAPPED = 1000
"""Tracks on the map in the UI, evenly spaced among the clips."""
QUIET_S = 30.0
"""A folder in which something changed less than this ago is still being copied."""


def inbox(root: Path) -> Path:
    """The folder whose sub-folders are datasets to be taken in."""
    return root / "data" / "inbox"


def settled(root: Path) -> dict[str, str]:
    """Folders of the inbox in which nothing is being copied: name and a digest of what is there."""
    from vidtag_ml.ingest.published import tables as published

    found = {}
    for folder in sorted(inbox(root).glob("[!.]*")):
        if folder.is_dir():
            # A camera's clock may be ahead: then it does not matter by how much.
            ages_s = (abs(time.time() - path.lstat().st_mtime) for path in folder.rglob("*"))
            if min(ages_s, default=0.0) > QUIET_S:
                found[folder.name] = published.fingerprint(folder)
    return found


@dg.asset(
    partitions_def=DATASETS,
    group_name="ingest",
    kinds={"parquet"},
    code_version=code_key.version("own_recordings"),
    owners=OWNERS,
    op_tags=cluster.needs(cpu=2, memory_gb=4),
    pool="dvc",  # clips, which has it too, takes the same datasets in anew
)
def own_recordings(
    context: dg.AssetExecutionContext, workspace: Workspace, params_file: ParamsFile
) -> dg.MaterializeResult:
    """Videos and photos of `data/inbox/<dataset>/` as the tables of `data/<dataset>/`.

    Each partition is a dataset. Recordings stay where they are; the tables point to them. With
    `clips.source: recordings` in params.yaml, the asset clips merges all datasets.

    **When it fails:** nothing in the folder could be used; `data/quarantine/report.html` says why,
    file by file. A single bad recording is no failure: it is counted in `num_quarantined`.
    """
    dataset = context.partition_key
    metadata = take_in(workspace.path, params_file.load(), dataset)
    digest = stage.digest(workspace.path / "data" / dataset)
    return dg.MaterializeResult(data_version=dg.DataVersion(digest), metadata=metadata)


def refresh(
    instance: dg.DagsterInstance, root: Path, params: config.Params
) -> Iterator[dg.AssetMaterialization]:
    """Takes in anew what changed in the inbox's folders of partitions that there are.

    Datasets that `vidtag ingest` took in are let be: only who asked for them knows how.

    Yields:
        what own_recordings would have told, had these partitions been materialized.
    """
    partitions = instance.get_dynamic_partitions("dataset")
    for dataset in [name for name in settled(root) if name in partitions]:
        known = root / "data" / dataset / journal.FOLDER
        if known.is_dir():
            before, metadata = journal.digest(known), take_in(root, params, dataset)
            if journal.digest(known) != before:
                key = own_recordings.key
                yield dg.AssetMaterialization(key, partition=dataset, metadata=metadata)


def take_in(root: Path, params: config.Params, dataset: str) -> dict[str, Any]:
    """Makes the tables of a dataset from its folder of the inbox; what the UI shows of them."""
    from vidtag_ml.dataset import tables as clip_tables
    from vidtag_ml.plots import maps

    folder = inbox(root) / dataset
    outcome = ingest_stages.recordings(root, params, [str(folder)], dataset)
    num_left_out = len(outcome.quarantined)
    rejected = [record.as_json() for record in outcome.quarantined[:20]]
    left_out = pd.DataFrame(rejected, columns=["path", "reason", "advice"])
    if not outcome.accepted:
        raise dg.Failure(
            f"{folder}: none of {num_left_out} recordings can be used",
            metadata={"quarantined": preview(left_out, 20)},
        )
    tables = clip_tables.read(root / "data" / dataset)
    shown = tables.clips["clip_id"].iloc[:: max(1, len(tables.clips) // MAPPED)]
    tracks = {clip: tables.fixes_of(clip)[["lat", "lon"]].to_numpy(float) for clip in shown}
    accepted = pd.DataFrame([summary.as_json() for summary in outcome.accepted[:10]])
    return {
        "dagster/row_count": len(tables.clips),
        "map": picture(lambda path: maps.measured_map(tracks, path, dataset)),
        "accepted": preview(accepted.drop(columns=["repairs", "dropped"]), 10),
        "num_repaired": outcome.num_repaired,
        "num_quarantined": num_left_out,
        "num_passed_over": len(outcome.passed_over),
        "quarantined": preview(left_out, 20),
        "report": dg.MetadataValue.path(root / "data/quarantine/report.html"),
    }
