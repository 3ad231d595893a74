"""The gate: whether a challenger replaces a champion, on one frozen split (decisions 10, 25, 39).

Belongs here: the verdict on two evaluation reports, as values. Does not belong here: by which
figure reports of a system are compared (its module `judging`), comparing them (comparison.py),
which slices there are (slices.py), aliases, the log, where reports come from
(vidtag_assets.release.registration).

A clip, or a video, is a draw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.models import comparison
from vidtag_ml.models.comparison import BETTER, DOUBT, FEW, LEAST_UNITS, WORSE, Row, Scale, Scores
from vidtag_ml.workflow import stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    import pandas as pd

NAMED = 12
"""Of slices that are too small to judge, how many are named."""
Statement = tuple[bool, str]
"""Whether it allows promotion, and a sentence."""


@dataclass(frozen=True)
class Verdict:
    """What the gate says."""

    promoted: bool
    """Whether the challenger may replace its rival."""
    reasons: tuple[str, ...]
    """Sentences, the decisive one first."""
    num_against: int = 0
    """How many of them forbid promotion: the first."""
    rival: str = ""
    """With whom it was compared; empty = with nobody."""
    rows: tuple[Row, ...] = ()
    """How it compares with its rival: on all units, then slice by slice."""

    @property
    def whole(self) -> Row | None:
        """How it compares on all units; None if it was not compared."""
        return self.rows[0] if self.rows else None


@dataclass(frozen=True)
class Rule:
    """How two reports of one type are compared."""

    unit: str
    """What is drawn, in the plural."""
    scores: Callable[[Any], Scores]
    """A report -> a figure each unit, by its id, which is that of its clip."""
    incomparable: Callable[[Any, Any], str | None]
    """Why two reports cannot be compared unit by unit; None if they can."""
    scale: Scale
    """What these figures are."""


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

    def encodes_as(self, today: Path) -> bool:
        """Whether it has the encoders of the bundle `today`, whose features lie here."""
        return stage.digest(self.bundle / "encoders") == stage.digest(today / "encoders")


@dataclass(frozen=True)
class Judging:
    """How versions of a system are judged."""

    rule: Rule
    """How its reports are compared."""
    floor: Callable[[Any, Layout, config.Params], list[Statement]]
    """Whether a report beats what looks at nothing."""
    anew: Callable[[Champion], Any]
    """The champion's report on the val split of today; None if it cannot see what lies here."""


def judge(
    rule: Rule,
    challenger: Any,
    rival: Any,
    rival_name: str,
    floor: Sequence[Statement],
    *,
    least_clips: int,
    draws: int,
    labels: "pd.DataFrame | None" = None,
    first: bool = False,
    bars: Sequence[str] = (),
) -> Verdict:
    """The verdict on a challenger: better beyond chance, and nowhere worse beyond chance.

    Args:
        rule: of its type of report.
        challenger: its report on the val split.
        rival: the rival's report on the same clips and gallery; None if there is none.
        rival_name: how reasons call the rival.
        floor: whether it beats what looks at nothing, which each champion must.
        least_clips: a challenger of fewer units is not promoted.
        draws: bootstrap draws over units.
        labels: of the units by their ids, a column a way of slicing them; missing where unknown.
        first: whether there is no champion yet; then slices are shown, and none forbids promotion.
        bars: why it may not become champion whatever its figures.
    """
    scores = rule.scores(challenger)
    barred = [(False, reason) for reason in bars]
    few, enough = _count(len(scores), rule.unit, least_clips)
    if rival is None:
        return _verdict([*few, *barred, *floor, *enough])
    mismatch = rule.incomparable(challenger, rival)
    if mismatch:
        return _verdict([(False, f"cannot be compared with {rival_name}: {mismatch}"), *barred])
    rows = compared(rule, scores, rule.scores(rival), labels, draws)
    said = against(rule.scale, rows[0], rival_name)
    worse = [
        *((first, text) for text in _regressions(rule, rows[1:], WORSE, "got worse")),
        *((True, text) for text in _regressions(rule, rows[1:], DOUBT, DOUBT)),
    ]
    unjudged = _unjudged(rule.scale, rows[1:])
    statements = [*few, *barred, said, *worse, *floor, *unjudged, *enough]
    return _verdict(statements, rival_name, rows)


def compared(
    rule: Rule, ours: Scores, theirs: Scores, labels: "pd.DataFrame | None", draws: int
) -> tuple[Row, ...]:
    """How scores compare with those of a rival on the same units: on all, then in each slice."""
    ours = ours.sort_index()
    theirs = theirs[ours.index]
    on_all = comparison.whole(rule.scale, ours.to_numpy(float), theirs.to_numpy(float), draws)
    if labels is None:
        return (on_all,)
    return (on_all, *comparison.by_slice(rule.scale, ours, theirs, labels, draws))


def against(scale: Scale, row: Row, name: str) -> Statement:
    """Whether scores are better than a rival's beyond chance."""
    is_better, said = row.judged == BETTER, scale.sentence(row, name)
    return is_better, said if is_better else f"{said}: no significant gain"


def _verdict(
    statements: Sequence[Statement], rival: str = "", rows: tuple[Row, ...] = ()
) -> Verdict:
    """Promoted if every statement allows it; those that forbid it come first."""
    told = sorted(statements, key=lambda statement: statement[0])
    num_against = sum(not allowed for allowed, _ in told)
    return Verdict(num_against == 0, tuple(text for _, text in told), num_against, rival, rows)


def _count(num: int, what: str, least: int) -> tuple[list[Statement], list[Statement]]:
    """What is said of too few units, which comes first, or of enough, which comes last."""
    if num < least:
        few = f"{num} {what} are too few for a verdict: registry.least_clips is {least}"
        return [(False, few)], []
    return [], [(True, f"judged on {num} {what}")]


def _regressions(rule: Rule, slices: Sequence[Row], judged: str, told: str) -> list[str]:
    """Slices that were judged so, a sentence each."""
    of, scale = rule.unit, rule.scale
    chosen = [row for row in slices if row.judged == judged]
    return [f"{row.name} {told}: {scale.changed(row)} on {row.num} {of}" for row in chosen]


def _unjudged(scale: Scale, slices: Sequence[Row]) -> list[Statement]:
    """In which slices a regression could hide, those first that look like one."""
    few = sorted((row for row in slices if row.judged == FEW), key=lambda row: not row.is_alarming)
    named = ", ".join(_few(scale, row) for row in few[:NAMED])
    more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
    said = f"not judged on their own, fewer than {LEAST_UNITS} clips: {named}{more}"
    return [(True, said)] if few else []


def _few(scale: Scale, row: Row) -> str:
    return f"{row.name} ({row.num}{f', {scale.loss(row)}' if row.is_alarming else ''})"
