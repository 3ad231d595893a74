"""Where a model comes from: one identity for code, data, gallery, parameters and run (decision 3).

Belongs here: reading that identity, turning it into tags and MLflow datasets. Does not belong here:
walking it back (tracing.py), what is stored of it (stored.py), registering and promoting
(release/registration.py), the commands themselves (workspace/resources.py).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_assets.workspace import home, source
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.workflow import stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.data.meta_dataset import MetaDataset


WEIGHTS = "model.safetensors"
COMMAND_LINE = "command-line"
"""Stands for the Dagster run where `vidtag register` was asked instead."""


@dataclass(frozen=True)
class Lineage:
    """What a model is made from."""

    git_commit: str
    """Commit of the workspace's code; ends in `+changes` when that differs from it."""
    clips: str | None
    """DVC md5 of the dataset, 32 digits and `.dir`; None before its first commit."""
    gallery: str | None
    """DVC md5 of the gallery, likewise."""
    params: str
    """md5 of the parsed parameters: comments and order of keys do not count."""
    dagster_run: str
    """Id of the Dagster run, or `COMMAND_LINE`."""
    source: str = ""
    """Digest of the code that runs, which stands for the commit where there is none."""

    def tags(self) -> dict[str, str]:
        """The identity as MLflow tags."""
        return {
            "git_commit": self.git_commit,
            "dvc.clips": self.clips or "",
            "dvc.gallery": self.gallery or "",
            "params": self.params,
            "dagster.run": self.dagster_run,
            "source": self.source,
        }


def lineage(
    root: Path, params: config.Params, dvc: Dvc, dagster_run: str, gallery: str = "gallery"
) -> Lineage:
    """The identity of what is made now in the workspace `root`, with a gallery as DVC calls it."""
    return Lineage(
        source.commit(root),
        dvc.md5("clips"),
        dvc.md5(gallery),
        params_digest(params),
        dagster_run,
        source.digest(home.CODE),
    )


def require_bytes(dvc: Dvc, names: Iterable[str]) -> None:
    """Checks that data on disk are what DVC has recorded of them.

    Raises:
        ValueError: some are not; names them.
    """
    for name in names:
        if (recorded := dvc.md5(name)) not in (None, dvc.md5_on_disk(name)):
            raise ValueError(
                f"{name}: the bytes on disk are not those that DVC has recorded ({recorded}): "
                f"materialize it again, or `dvc checkout --force {name}` for those recorded"
            )


def require(found: Lineage, gallery: str = "gallery") -> None:
    """Checks that a model made now could be traced.

    Raises:
        ValueError: data or gallery, as DVC calls it, have no DVC identity; names them.
    """
    for name, md5 in (("clips", found.clips), (gallery, found.gallery)):
        if md5 is None and name in ("clips", "gallery"):
            raise ValueError(
                f"dvc.lock has no md5 of {name}: materialize {name} first (or `dvc commit {name}`)"
            )
        if md5 is None:
            raise ValueError(f"there is no data/{name}.dvc: materialize {name} first")


def params_digest(params: config.Params) -> str:
    """md5 of the parameters' values."""
    text = json.dumps(config.as_dict(params), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def run_of(tracking: Tracking, at: Layout, name: str, *, finished: bool = True) -> str | None:
    """Id of the MLflow run that trained the weights which now lie in the workspace.

    Or of one that was begun for them and not finished.
    """
    weights = at.model(name) / WEIGHTS
    run = tracking.find(finished=finished, stage=name, weights=stage.digest(weights))
    return str(run.info.run_id) if run else None


def dataset(name: str, lies: Path, digest: str) -> "MetaDataset":
    """An MLflow dataset whose digest is the DVC md5, at most 36 characters.

    Its source is a path in the workspace, which holds wherever that lies.
    """
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]

    place = LocalArtifactDatasetSource(str(lies))
    return MetaDataset(place, name=name, digest=digest)  # type: ignore[abstract]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as `section.key`, as MLflow lists parameters."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found
