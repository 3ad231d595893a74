"""Alerts: what the person on call is told without looking, once, and again when it is over.

Belongs here: what an alert is, which are news, and what is posted. Does not belong here: what is
wrong now (findings.py), sending (webhook.py).
"""

import dataclasses
import html
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RUN, CHECK, STALE, DRIFT = "run_failure", "failed_check", "stale", "drift"
TITLES = {
    RUN: "run failed",
    CHECK: "check does not hold",
    STALE: "stale",
    DRIFT: "drift",
}
ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Alert:
    """Something that a person should know."""

    kind: str
    about: str
    """The job, check or asset."""
    message: str
    severity: str
    since: str
    """UTC, ISO 8601."""
    page: str
    """Where in Dagster's UI it is shown."""
    over: bool = False
    """Whether it is so no more."""

    @property
    def key(self) -> str:
        """Tells it from others that may be open at the same time."""
        return f"{self.kind} {self.about}"


@dataclass(frozen=True)
class Told:
    """What is remembered between two looks."""

    failures: str
    """Up to which event failed runs were looked at."""
    open: Mapping[str, Alert] = field(default_factory=dict)
    """What was told and is not over, by its key."""
    unsent: tuple[Alert, ...] = ()
    """What is news, oldest first."""

    @classmethod
    def parse(cls, text: str) -> "Told":
        """What `text` says."""
        values = json.loads(text)
        known = {key: Alert(**alert) for key, alert in values["open"].items()}
        return cls(values["failures"], known, tuple(Alert(**each) for each in values["unsent"]))

    def text(self) -> str:
        """This as JSON."""
        return json.dumps(dataclasses.asdict(self))


def after(before: Told, failures: str, failed: Sequence[Alert], now: Sequence[Alert]) -> Told:
    """What is remembered after a look.

    Args:
        before: what was until then.
        failures: up to which event failed runs were looked at.
        failed: those that were found, oldest first: each is news.
        now: what is wrong now, beside them.
    """
    found = {alert.key: alert for alert in (*now, *failed)}
    known = before.open
    return Told(
        failures,
        found,
        (
            *before.unsent,
            *failed,
            *(alert for alert in now if _is_new(alert, known.get(alert.key))),
            *(
                dataclasses.replace(old, over=True)
                for key, old in known.items()
                if key not in found
            ),
        ),
    )


def payload(alert: Alert, root: Path, ui: str) -> dict[str, Any]:
    """What is posted: `text` for chats (Slack's form), and the same in fields for programs.

    Args:
        alert: the alert.
        root: the workspace.
        ui: address of Dagster's UI; empty = not known, so that there is no link.
    """
    place = f"{platform.node()}:{root.resolve()}"
    link = f"{ui.rstrip('/')}{alert.page}" if ui else None
    level = "over: " if alert.over else "warning: " if alert.severity == WARNING else ""
    title = f"{level}{TITLES[alert.kind]}: {alert.about}"
    shown = f"*{html.escape(title, quote=False)}*\n{html.escape(alert.message, quote=False)}"
    where = f"\n<{link}|{html.escape(place, quote=False)}>" if link else f"\n{place}"
    return {
        "text": shown + where,
        "kind": alert.kind,
        "about": alert.about,
        "message": alert.message,
        "severity": alert.severity,
        "state": "over" if alert.over else "open",
        "since": alert.since,
        "workspace": place,
        "link": link,
    }


def _is_new(alert: Alert, known: Alert | None) -> bool:
    return known is None or known.message != alert.message
