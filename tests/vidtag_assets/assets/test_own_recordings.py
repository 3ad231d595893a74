"""The asset own_recordings: one partition a dataset, from its folder in the inbox."""

import os
import shutil
from pathlib import Path

import dagster as dg
import pytest

from tests.data.recordings import recording
from vidtag_assets.assets import own_recordings
from vidtag_assets.workspace.resources import ParamsFile, Workspace
from vidtag_ml import config
from vidtag_ml.dataset import tables


@pytest.fixture
def workspace(tmp_path):
    """A workspace whose inbox holds a dataset of two recordings, one of which is bad."""
    folder = own_recordings.inbox(tmp_path) / "trip"
    folder.mkdir(parents=True)
    recording(folder)
    (folder / "bad.mp4").write_bytes(b"no video")
    shutil.copy(Path(__file__).parents[3] / "params.yaml", tmp_path)
    return tmp_path


def materialize(root, partition):
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("dataset", [partition])
        return dg.materialize(
            [own_recordings.own_recordings],
            instance=instance,
            partition_key=partition,
            raise_on_error=False,
            resources={
                "workspace": Workspace(root=str(root)),
                "params_file": ParamsFile(path=str(root / "params.yaml")),
            },
        )


def test_a_partition_is_a_dataset_with_a_map_and_a_report(workspace):
    result = materialize(workspace, "trip")
    assert result.success
    (event,) = result.asset_materializations_for_node("own_recordings")
    shown = {key: value.value for key, value in event.metadata.items()}
    assert (shown["dagster/row_count"], shown["num_quarantined"]) == (1, 1)
    assert "bad.mp4" in shown["quarantined"]
    assert "data:image" in shown["map"]
    assert len(tables.read(workspace / "data" / "trip").clips) == 1


def test_an_inbox_of_nothing_but_bad_files_fails_and_says_why(workspace):
    for path in (own_recordings.inbox(workspace) / "trip").glob("*.gpx"):
        path.unlink()
    result = materialize(workspace, "trip")
    assert not result.success
    (failure,) = (e for e in result.all_events if e.is_step_failure)
    assert "none of 2 recordings" in failure.step_failure_data.error.message


def test_what_changed_in_the_inbox_is_taken_in_anew_where_dagster_took_it_in(workspace):
    folder, params = (
        own_recordings.inbox(workspace) / "trip",
        config.load(workspace / "params.yaml"),
    )
    own_recordings.take_in(workspace, params, "trip")
    recording(folder, "b", seed=1, lat=50.0)
    for path in (folder, *folder.iterdir()):
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
    with dg.DagsterInstance.ephemeral() as instance:
        assert list(own_recordings.refresh(instance, workspace, params)) == []
        instance.add_dynamic_partitions("dataset", ["trip", "gone"])
        (event,) = own_recordings.refresh(instance, workspace, params)
        assert list(own_recordings.refresh(instance, workspace, params)) == []
    assert (event.partition, event.metadata["dagster/row_count"].value) == ("trip", 2)
