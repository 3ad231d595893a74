"""What is the same in all registrations: a bundle becomes a version, and what the UI shows of it.

Belongs here: entering a version with its lineage and reports. Does not belong here: assets, when a
version becomes champion (vidtag.py, cityguessr.py, gama.py), the registry itself (registry.py).
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

import vidtag_ml
from vidtag_assets import provenance, registry
from vidtag_assets.metadata import numbers
from vidtag_assets.resources import Tracking
from vidtag_ml import config
from vidtag_ml.workflow import inputs, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_assets.gate import Verdict
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport
    from vidtag_ml.models.report import Report


def enter(
    tracking: Tracking,
    kind: str,
    at: Layout,
    params: config.Params,
    lineage: provenance.Lineage,
    more: Mapping[str, str],
    *,
    bundle: Path,
    read: "Callable[[Path], Report | PlaceReport]",
    gallery: tuple[str, Path] | None = None,
) -> tuple["ModelVersion", bool]:
    """The version of a bundle and whether it is new; it becomes the challenger.

    A bundle whose bytes are registered already is not registered again.

    Args:
        tracking: MLflow's store.
        kind: of the model; it is registered under the kind's name in the domain of the params.
        at: where its data and its evaluation on each split lie.
        params: what it was made with.
        lineage: what it was made from.
        more: tags beside those of the lineage and of the bundle.
        bundle: the folder that is registered.
        read: its report, from the folder of an evaluation.
        gallery: name and folder of what it searches.

    Raises:
        ValueError: data or gallery have no DVC identity.
    """
    provenance.require(lineage)
    digest, name = stage.digest(bundle), registry.name_of(kind, params)
    tags = {**lineage.tags(), "bundle": digest, **more}

    def log() -> "ModelVersion":
        import mlflow

        with tracking.open(f"register {name}", tags):
            mlflow.log_params(provenance.flat(config.as_dict(params)))
            info = mlflow.pyfunc.log_model(
                name=name,
                python_model=str(Path(__file__).with_name("pyfunc.py")),
                artifacts={"bundle": str(bundle)},
                pip_requirements=[f"vidtag-geo=={vidtag_ml.__version__}"],
                tags=tags,
            )
            if gallery is not None:
                searched, folder = gallery
                data = provenance.dataset(
                    searched, folder.relative_to(at.root), tags["dvc.gallery"]
                )
                mlflow.log_input(data, context="gallery")
            for split in inputs.SPLITS:
                folder = at.evaluation(kind, split)
                source = at.dataset.relative_to(at.root)
                data = provenance.dataset(f"{at.source}-{split}", source, tags["dvc.clips"])
                mlflow.log_input(data, context=split)
                figures = numbers(read(folder).summary, f"{split}_")
                mlflow.log_metrics(figures, model_id=info.model_id, dataset=data)
                mlflow.log_artifacts(str(folder), f"evaluation/{split}")
        registry.declare(tracking, name, kind)
        return mlflow.register_model(info.model_uri, name, tags=tags)

    return registry.challenge(tracking, name, digest, log)


def about_version(tracking: Tracking, version: "ModelVersion", new: bool) -> dict[str, Any]:
    """What the UI shows of a registered version: where it is, and all its tags."""
    return {
        "version": int(version.version),
        "new": new,
        "model_uri": f"models:/{version.name}/{version.version}",
        "mlflow_run": dg.MetadataValue.url(tracking.url(str(version.run_id))),
        **{key: value for key, value in sorted(version.tags.items()) if value},
    }


def about_verdict(entry: registry.Promotion, verdict: "Verdict | None") -> dict[str, Any]:
    """What the UI shows of the gate's decision: what and why, the champion after it, figures."""
    return {
        "verdict": entry.action,
        "reason": dg.MetadataValue.md(entry.reason),
        "champion": entry.champion or 0,
        **numbers(dataclasses.asdict(verdict) if verdict else {}),
    }
