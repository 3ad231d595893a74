"""All versions side by side, and what changed between two of them.

Belongs here: what the registry and Git know of it, as values. Does not belong here: comparing
reports (vidtag_ml.models.versus), tracing one version (tracing.py), words and files (compared.py).
"""

import datetime as dt
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from vidtag_assets.lineage import circumstances, identity
from vidtag_assets.store import registry, registry_file
from vidtag_assets.workspace import home
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.models.registry import SYSTEMS
from vidtag_ml.models.system import System
from vidtag_ml.workflow import layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_ml.models.versus import Versus

KEYS = ("median_km", "acc_city", "hierarchical_recall_at_1")
"""Figures by which versions are ordered, of each system the first that it has; the leaderboard
also shows the next two."""
SHOWN = ("acc_200km", "dfd_km", "acc_country", "acc_continent")
BRIEF = ("version", "aliases", "registered")
MADE_FROM = ("features", "packages")
"""Tags of what a version was made from, beside those of DVC's data and of encoders."""
MOST_COMMITS = 30


@dataclass(frozen=True)
class Comparison:
    """What changed from a first version to a second."""

    names: tuple[str, str]
    """As NAME/VERSION."""
    system: System
    split: str
    data: dict[str, tuple[str, str]]
    """Identities of data that differ, by their names in DVC."""
    params: dict[str, tuple[str, str]]
    """Those that the system depends on and that differ; empty where there is none."""
    code: dict[str, Any]
    """Both commits, and the commits and files between them as far as Git here knows."""
    figures: dict[str, tuple[float | None, float | None]]
    """Headline figures of both on the split."""
    found: "Versus"
    reports: dict[str, Any]
    """Of both versions, by their names."""
    latlon: pd.DataFrame | None
    """Where the split's clips are; None if the data are not here."""

    def as_json(self) -> dict[str, Any]:
        """As `vidtag compare --json` prints it."""
        from vidtag_ml.models import comparison

        rows = comparison.table(self.found.rows)
        return {
            "first": self.names[0],
            "second": self.names[1],
            "split": self.split,
            "data": self.data,
            "params": self.params,
            "code": self.code,
            "figures": self.figures,
            "slices": rows.astype(object).where(rows.notna(), None).to_dict("records"),
            "clips": self.found.clips.to_dict("records"),
            "told": list(self.found.told),
        }


def chosen(tracking: Tracking, dvc: Dvc, what: str) -> "ModelVersion":
    """The one version that a reference means, as `vidtag trace` reads it; a bare name its champion.

    Raises:
        ValueError: it means none, or several.
    """
    from vidtag_assets.lineage import tracing

    name = registry_file.parse(what)[0]
    if what != name or name in registry.names(tracking):
        return registry.resolve(tracking, what)
    known = [f"{m['model']}/{m['version']}" for m in tracing.trace(tracking, dvc, what)]
    if len(known) > 1:
        raise ValueError(f"{what!r} means {len(known)} versions: {', '.join(known[:5])} ...")
    return registry.resolve(tracking, known[0])


def compare(
    tracking: Tracking, dvc: Dvc, params: config.Params, whats: tuple[str, str], split: str
) -> Comparison:
    """What changed from one version to another.

    Raises:
        ValueError: a reference means no version, the two are of different systems, or their reports
            have no clip in common.
    """
    from vidtag_ml.models import versus

    first, second = (chosen(tracking, dvc, what) for what in whats)
    system = _system(tracking, first, second)
    names = (f"{first.name}/{first.version}", f"{second.name}/{second.version}")
    theirs, ours = (registry.report(tracking, v, split, system.name) for v in (first, second))
    labels, latlon = _clips(layout.of(Path(tracking.root), params), split)
    rule = system.bundled.registration.judging().rule
    draws = params.evaluation.bootstrap_draws
    runs = [tracking.client().get_run(str(v.run_id)).data for v in (first, second)]
    heads = [system.headline(report.summary) for report in (theirs, ours)]
    return Comparison(
        names,
        system,
        split,
        data=_changed(_made_from(first), _made_from(second)),
        params=_changed(*(identity.settings(run.params, system, params) for run in runs)),
        code=_code(first.tags, second.tags),
        figures={n: (_number(heads[0].get(n)), _number(heads[1].get(n))) for n in heads[1]},
        found=versus.versus(rule, theirs, ours, labels, draws),
        reports=dict(zip(names, (theirs, ours), strict=True)),
        latlon=latlon,
    )


def _made_from(version: "ModelVersion") -> dict[str, str]:
    """Identities of data, features, encoders and packages, by their names."""
    found = {k.removeprefix("dvc."): v for k, v in version.tags.items() if k.startswith("dvc.")}
    others = {k: v for k, v in version.tags.items() if k.startswith(circumstances.ENCODER)}
    return found | others | {k: version.tags[k] for k in MADE_FROM if k in version.tags}


def _system(tracking: Tracking, *versions: "ModelVersion") -> System:
    models = [tracking.client().get_registered_model(str(version.name)) for version in versions]
    kinds = [str(model.tags.get(registry.KIND, model.name)) for model in models]
    if len(set(kinds)) > 1:
        raise ValueError(f"{kinds[0]} and {kinds[1]} answer different questions: not comparable")
    return SYSTEMS[kinds[0]]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _clips(at: layout.Layout, split: str) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Labels and positions of a split's clips, if the data are here."""
    if not (at.dataset / "clips.parquet").exists():
        return None, None
    from vidtag_ml.dataset import tables
    from vidtag_ml.models import slices

    first = tables.read(at.dataset).kept.drop_duplicates("clip_id").set_index("clip_id")
    return slices.of(at, split), first[["lat", "lon"]]


def _changed(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Values that differ, by their names."""
    names = sorted({*first, *second})
    pairs = {name: (first.get(name, ""), second.get(name, "")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _code(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, Any]:
    """What is known of the way from one version's code to another's; < marks what the first has.

    Commits and files between are what Git here knows. Whether the code is the same is said by the
    digest of all of it; null if an older version has none.
    """
    commits = [tags.get("git_commit", "") for tags in (first, second)]
    sources = [tags.get("source") for tags in (first, second)]
    same = sources[0] == sources[1] if all(sources) else None
    code: dict[str, Any] = {"first": commits[0], "second": commits[1], "same": same}
    code |= {"commits": [], "files": []}
    ends = [commit.partition("+")[0] for commit in commits]
    if ends[0] != ends[1]:
        span = "...".join(ends)
        code["commits"] = _git("log", "--oneline", "--left-right", f"-n{MOST_COMMITS}", span)
        code["files"] = _git("diff", "--name-only", *ends)
    return code


def _git(*arguments: str) -> list[str]:
    """Lines that Git says; none where it does not know."""
    command = ["git", *arguments, "--"]
    try:
        done = subprocess.run(command, cwd=home.CODE, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def board(tracking: Tracking, *names: str) -> pd.DataFrame:
    """All versions of models: those of the same data together, the best on val first.

    Columns model, version, aliases, registered, clips and gallery (begins of md5s), figures with
    95 % intervals on val, and on test.

    Raises:
        ValueError: nothing is registered under a name, or there is none.
    """
    rows = [_line(tracking, v) for name in names for v in registry.versions(tracking, name)]
    if not rows:
        known = registry.listed(tracking)
        raise ValueError(f"no version of {', '.join(names) or 'any model'} is registered; {known}")
    order = ["model", "newest", "clips", "gallery", "rank"]
    table = pd.DataFrame(rows)
    table["newest"] = -table.groupby(["model", "clips", "gallery"])["version"].transform("max")
    table = table.sort_values(order, ignore_index=True)
    return table.drop(columns=["newest", "rank"]).fillna("")


def brief(board: pd.DataFrame) -> pd.DataFrame:
    """The columns of a board of one model that fit a page: what a version is, and how good."""
    return board[[c for c in board if c in BRIEF or str(c).partition("_")[2] in KEYS]]


def _line(tracking: Tracking, version: "ModelVersion") -> dict[str, Any]:
    metrics = tracking.client().get_run(str(version.run_id)).data.metrics
    name, number = str(version.name), int(version.version)
    aliases = registry.aliases(tracking, name)
    made = dt.datetime.fromtimestamp(version.creation_timestamp / 1000, dt.UTC)
    key = next((k for k in KEYS if f"val_{k}" in metrics), None)
    figures = [f"{split}_{k}" for k in (key, *SHOWN) for split in ("val", "test")]
    rank = metrics.get(f"val_{key}", 0.0)
    return {
        "model": name,
        "version": number,
        "aliases": " ".join(sorted(f"@{a}" for a, v in aliases.items() if v == number)),
        "registered": f"{made:%Y-%m-%d %H:%M}",
        "clips": version.tags.get("dvc.clips", "")[:8],
        "gallery": version.tags.get("dvc.gallery", "")[:8],
        **{figure: _told(metrics, figure) for figure in figures if figure in metrics},
        "rank": rank if (key or "").endswith("_km") else -rank,
    }


def _told(metrics: Mapping[str, float], name: str) -> str:
    ends = [metrics[f"{name}_{end}"] for end in ("lo", "hi") if f"{name}_{end}" in metrics]
    interval = f" [{ends[0]:.3g}, {ends[1]:.3g}]" if len(ends) == 2 else ""
    return f"{metrics[name]:.3g}{interval}"
