"""Model cards and verdicts in MLflow: the description of a version, artifacts, metrics.

Belongs here: where they are kept. Does not belong here: their text (vidtag_ml.models.card), the
verdict itself (vidtag_ml.models.gate), deciding (registration.py).
"""

from typing import TYPE_CHECKING

from vidtag_assets.metadata import numbers
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml.models.system import System
from vidtag_ml.workflow import inputs
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_ml.models.gate import Verdict

CARD, VERDICT, ROWS = "card.md", "verdict/verdict.md", "verdict/slices.csv"
"""Artifacts of the registration run."""


def describe(system: System, tracking: Tracking, at: Layout, version: "ModelVersion") -> None:
    """Writes the card of a version that is registered from what lies in the workspace."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.models import card, comparison, slices

    reports = {split: system.report(at.evaluation(system.name, split)) for split in inputs.SPLITS}
    rule = system.bundled.registration.judging().rule
    val = comparison.profile(rule.scale, rule.scores(reports["val"]), slices.of(at, "val"))
    summaries = {split: report.summary for split, report in reports.items()}
    text = card.body(system, tables.read(at.dataset).clips, summaries, val, version.tags)
    _keep(tracking, version, text)


def note(system: System, tracking: Tracking, version: "ModelVersion", verdict: "Verdict") -> None:
    """Keeps a verdict: in the card, as artifacts, and its figures as metrics.

    Nothing is written if the version's last verdict was the same.
    """
    if version.tags.get("verdict") == "; ".join(verdict.reasons):
        return
    from vidtag_ml.models import card, comparison

    client, run = tracking.client(), str(version.run_id)
    told = card.verdict(verdict, system.bundled.registration.judging().rule.scale)
    client.log_text(run, told, VERDICT)
    client.log_text(run, comparison.table(verdict.rows).to_csv(index=False), ROWS)
    for name, value in figures(verdict).items():
        client.log_metric(run, f"verdict_{name}", value)
    _keep(tracking, version, card.with_verdict(version.description or "", told))


def of(tracking: Tracking, what: str) -> str:
    """The card of a version, by its name.

    Raises:
        ValueError: it has none.
    """
    from vidtag_assets.store import registry

    version = registry.resolve(tracking, what)
    if not version.description:
        raise ValueError(f"{what} is of an older vidtag, which wrote no card: register it anew")
    return str(version.description)


def figures(verdict: "Verdict") -> dict[str, float]:
    """A verdict's figures."""
    from vidtag_ml.models.comparison import FEW, WORSE

    row, judged = verdict.whole, [row.judged for row in verdict.rows[1:]]
    return numbers(
        {
            "promoted": int(verdict.promoted),
            "num_against": verdict.num_against,
            "slices_worse": judged.count(WORSE),
            "slices_too_small": judged.count(FEW),
            **({"change": row.change, "low": row.low, "high": row.high} if row else {}),
        }
    )


def _keep(tracking: Tracking, version: "ModelVersion", text: str) -> None:
    from vidtag_ml.models import card

    client = tracking.client()
    client.log_text(str(version.run_id), text, CARD)
    client.update_model_version(str(version.name), version.version, card.fitting(text))
