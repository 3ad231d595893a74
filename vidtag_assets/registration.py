"""Registration of any system: its bundle becomes a version, the gate decides, the UI shows both.

Belongs here: how a system is registered and judged, entering a version with its lineage and
reports, the champion's report on what the challenger saw. Does not belong here: what differs from
system to system (its module), comparing reports (gate.py), the registry itself (registry.py).
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

import vidtag_ml
from vidtag_assets import factory, gate, provenance, registry
from vidtag_assets.metadata import OWNERS, numbers
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml import config
from vidtag_ml.models.system import Bundling, System
from vidtag_ml.workflow import inputs, layout, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_assets.gate import Statement, Verdict


@dataclass(frozen=True)
class Champion:
    """A champion that is to be evaluated on data that it was not registered with."""

    name: str
    """As NAME/VERSION."""
    bundle: Path
    """Where MLflow keeps it."""
    at: Layout
    """Where the data of today lie."""
    params: config.Params
    """What the challenger was made with."""


@dataclass(frozen=True)
class Registered:
    """How a system is registered and judged."""

    system: System
    rule: gate.Rule
    """How its reports are compared."""
    floor: Callable[[Any, Layout, config.Params], "list[Statement]"]
    """Whether a report beats what looks at nothing."""
    anew: Callable[[Champion], Any]
    """The champion's report on the val split of today; None if it cannot see what lies here."""
    recorded: tuple[str, ...]
    """Stages of dvc.yaml whose outputs it is made from."""
    added: tuple[str, ...] = ()
    """Folders of data/ that it is made from and no stage makes."""
    gallery: str = "gallery"
    """What of these its lineage names as gallery."""
    searched: bool = True
    """Whether it is searched."""
    first: tuple[System, str] | None = None
    """Rival of the first champion, and how reasons call it; None = it has but to beat the floor."""

    @property
    def name(self) -> str:
        """The system's."""
        return self.system.name

    @property
    def bundling(self) -> Bundling:
        """How its bundle is made."""
        assert self.system.bundling is not None
        return self.system.bundling

    @property
    def data(self) -> list[str]:
        """What it is made from beside clips and gallery, as DVC calls it."""
        return [n for n in (*self.recorded, *self.added) if n not in ("clips", "gallery")]


def registration_asset(
    spec: Registered, deps: Sequence[dg.AssetsDefinition], description: str
) -> dg.AssetsDefinition:
    """The asset `registered_<name>`: a version in the registry, and the gate's verdict on it.

    Args:
        spec: of the system.
        deps: what is registered.
        description: read in the UI: when it becomes champion, and what to do when it fails.
    """

    @dg.asset(
        name=f"registered_{spec.name}",
        deps=deps,
        group_name="registry",
        kinds={"mlflow"},
        owners=OWNERS,
        description=inspect.cleandoc(description),
    )
    def registered(
        context: dg.AssetExecutionContext,
        workspace: Workspace,
        params_file: ParamsFile,
        dvc: Dvc,
        tracking: Tracking,
    ) -> dg.MaterializeResult:
        params, run = params_file.load(), context.run.run_id
        version, new = bundle_and_register(spec, workspace.path, params, dvc, tracking, run)
        entry, verdict = decide(spec, tracking, workspace.layout(params), params)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(version.tags["bundle"]),
            metadata={
                **about_version(tracking, version, new),
                **about_verdict(entry, verdict),
            },
        )

    return registered


def bundle_and_register(
    spec: Registered,
    root: Path,
    params: config.Params,
    dvc: Dvc,
    tracking: Tracking,
    dagster_run: str,
) -> tuple["ModelVersion", bool]:
    """The bundle of what is trained as a version, and whether that is new."""
    spec.bundling.make(root, params)
    at = layout.of(root, params)
    lineage = provenance.lineage(root, params, dvc, dagster_run, spec.gallery)
    runs = {name: factory.run_of(tracking, at, name) for name in spec.system.trainings}
    more = {
        **{f"dvc.{name}": dvc.md5(name) or "" for name in spec.data},
        **{f"run.{name}": run for name, run in runs.items() if run},
    }
    return register(spec, tracking, at, params, lineage, more)


def register(
    spec: Registered,
    tracking: Tracking,
    at: Layout,
    params: config.Params,
    lineage: provenance.Lineage,
    more: Mapping[str, str],
) -> tuple["ModelVersion", bool]:
    """The version of a bundle and whether it is new; it becomes the challenger.

    A bundle whose bytes are registered already is not registered again.

    Args:
        spec: of the system; it is registered under its name in the domain of the params.
        tracking: MLflow's store.
        at: where its bundle, its data and its evaluation on each split lie.
        params: what it was made with.
        lineage: what it was made from.
        more: tags beside those of the lineage and of the bundle.

    Raises:
        ValueError: data or gallery have no DVC identity.
    """
    provenance.require(lineage, spec.gallery)
    bundle, name = spec.bundling.folder(at), registry.name_of(spec.name, params)
    digest = stage.digest(bundle)
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
            if spec.searched:
                folder = Path("data") / spec.gallery
                data = provenance.dataset(spec.gallery, folder, tags["dvc.gallery"])
                mlflow.log_input(data, context="gallery")
            for split in inputs.SPLITS:
                folder = at.evaluation(spec.name, split)
                source = at.dataset.relative_to(at.root)
                data = provenance.dataset(f"{at.source}-{split}", source, tags["dvc.clips"])
                mlflow.log_input(data, context=split)
                figures = numbers(spec.system.report(folder).summary, f"{split}_")
                mlflow.log_metrics(figures, model_id=info.model_id, dataset=data)
                mlflow.log_artifacts(str(folder), f"evaluation/{split}")
        registry.declare(tracking, name, spec.name)
        return registry.enter(tracking, name, info, tags)

    return registry.challenge(tracking, name, digest, log)


def decide(
    spec: Registered, tracking: Tracking, at: Layout, params: config.Params
) -> "tuple[registry.Promotion, Verdict | None]":
    """The gate's decision about the challenger, carried out and logged."""

    def judge(challenger: "ModelVersion", champion: int | None) -> "Verdict":
        ours = registry.report(tracking, challenger, "val", spec.name)
        rival, rival_name = None, ""
        if champion is not None:
            rival = champion_report(spec, tracking, at, params, ours, champion)
            rival_name = f"champion {champion}"
        elif spec.first is not None:
            system, rival_name = spec.first
            rival = system.report(at.evaluation(system.name, "val"))
        return gate.judge(
            spec.rule, ours, rival, rival_name, spec.floor(ours, at, params),
            least_clips=params.registry.least_clips,
            draws=params.evaluation.bootstrap_draws,
            by_continent=champion is not None,
        )  # fmt: skip

    return registry.settle(tracking, registry.name_of(spec.name, params), judge)


def champion_report(
    spec: Registered,
    tracking: Tracking,
    at: Layout,
    params: config.Params,
    ours: Any,
    champion: int,
) -> Any:
    """The champion's report on what the challenger's is of.

    The one it was registered with where that fits; else it is evaluated anew on the data of today,
    if it can see them: if not, the old report is all there is.
    """
    name = f"{registry.name_of(spec.name, params)}/{champion}"
    theirs = registry.report(tracking, registry.resolve(tracking, name), "val", spec.name)
    if spec.rule.incomparable(ours, theirs) is None:
        return theirs
    anew = spec.anew(Champion(name, registry.bundle_path(tracking, name), at, params))
    return theirs if anew is None else anew


def same_encoders(spec: Registered, champion: Champion) -> bool:
    """Whether a champion reads the features that lie in the workspace."""
    today = spec.bundling.folder(champion.at)
    return stage.digest(champion.bundle / "encoders") == stage.digest(today / "encoders")


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
