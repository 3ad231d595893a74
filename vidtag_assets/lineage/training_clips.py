"""The clips that a version was trained on, kept in its run, so that later ones can be compared.

Belongs here: keeping and finding that table. Does not belong here: what is in it, and comparing
(vidtag_ml.retraining).
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from vidtag_assets.workspace.resources import Tracking
from vidtag_ml.workflow import stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

TAG = "training_clips"
"""Of a version: the digest of its table; it is set once the table is there."""
FILE = "training_clips.parquet"


def keep(tracking: Tracking, version: "ModelVersion", at: Layout) -> None:
    """Keeps the clips of the workspace as those of a version, unless it has its own."""
    if TAG in version.tags:
        return
    client = tracking.client()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        with_embeddings(now(at), at).to_parquet(path, index=False)
        client.log_artifact(str(version.run_id), str(path))
        client.set_model_version_tag(version.name, version.version, TAG, stage.digest(path))


def kept(tracking: Tracking, version: "ModelVersion") -> pd.DataFrame | None:
    """The clips of a version; None if it was registered without.

    Raises:
        ValueError: they are not as they were kept.
    """
    import mlflow

    if TAG not in version.tags:
        return None
    tracking.client()
    with tempfile.TemporaryDirectory() as folder:
        address = f"runs:/{version.run_id}/{FILE}"
        path = Path(mlflow.artifacts.download_artifacts(address, dst_path=folder))
        if stage.digest(path) != version.tags[TAG]:
            raise ValueError(
                f"{FILE} of {version.name} {version.version} has other bytes than once"
            )
        return pd.read_parquet(path)


def now(at: Layout) -> pd.DataFrame:
    """The clips that lie in the workspace."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.retraining import trained_on

    return trained_on.clips(tables.read(at.dataset), trained_on.began_utc_s(at.root))


def with_embeddings(clips: pd.DataFrame, at: Layout) -> pd.DataFrame:
    """The clips with their embeddings, as far as features are there."""
    from vidtag_ml.features import store
    from vidtag_ml.retraining import trained_on

    if not (at.features / store.INDEX).is_file():
        return clips
    return trained_on.with_embeddings(clips, store.FeatureStore.open(at.features))
