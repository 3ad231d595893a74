"""The gate: whether a challenger replaces a champion, on one frozen split (decisions 10 and 25).

Belongs here: the comparison of two evaluation reports, as values. Does not belong here: by which
figure reports of a system are compared (its module `judging`), aliases, the log, where reports come
from (vidtag_assets.registration).

A clip, or a video, is a draw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.metrics import bootstrap
from vidtag_ml.workflow import stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    import pandas as pd

LEAST_CLIPS = 10
"""Continents with fewer clips are not judged on their own."""
SEED = 0
Floats = NDArray[np.float64]
Statement = tuple[bool, str]
"""Whether it allows promotion, and a sentence."""
Compared = tuple[tuple[float, ...], Statement]
"""Ratio of typical errors with its interval, if the figures have one, and what is said of both."""


@dataclass(frozen=True)
class Verdict:
    """What the gate says."""

    promoted: bool
    """Whether the challenger may replace its rival."""
    reasons: tuple[str, ...]
    """Sentences, the decisive one first."""
    ratio: float | None = None
    """Typical error of the challenger over its rival's; below 1 is better."""
    ratio_lo: float | None = None
    """Lower end of its 95 % bootstrap interval over clips."""
    ratio_hi: float | None = None
    """Upper end."""


@dataclass(frozen=True)
class Rule:
    """How two reports of one type are compared."""

    unit: str
    """What is drawn, in the plural."""
    scores: Callable[[Any], "pd.Series[float]"]
    """A report -> a figure each unit, by its id."""
    incomparable: Callable[[Any, Any], str | None]
    """Why two reports cannot be compared unit by unit; None if they can."""
    compare: Callable[[Floats, Floats, str, int], Compared]
    """Scores of both, the rival's name, bootstrap draws -> whether ours are better beyond chance.
    """
    worse: Callable[[Floats, int], str | None] | None = None
    """Differences of scores on a continent, draws -> how much worse that got, if beyond chance;
    None = continents are not judged on their own."""


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
    by_continent: bool = True,
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
        by_continent: whether a continent that got significantly worse forbids promotion.
    """
    scores = rule.scores(challenger)
    count = _count(len(scores), rule.unit, least_clips)
    if rival is None:
        return _verdict(count, floor)
    mismatch = rule.incomparable(challenger, rival)
    if mismatch:
        return Verdict(False, (f"cannot be compared with {rival_name}: {mismatch}",))
    ours, theirs = (np.asarray(s, float) for s in (scores, rule.scores(rival)[scores.index]))
    ratios, said = rule.compare(ours, theirs, rival_name, draws)
    statements = [said, *floor]
    if by_continent and rule.worse:
        places = challenger.per_clip.set_index("clip_id")["continent"][scores.index]
        worse = _regressions(places, ours - theirs, rule.worse, draws)
        statements = [said, *worse, *floor, *_unjudged(places)]
    return _verdict(count, statements, *ratios)


def _verdict(count: Statement, statements: Sequence[Statement], *ratios: float) -> Verdict:
    """Promoted if every statement allows it; those that forbid it come first, of all the count."""
    told = [*statements, count] if count[0] else [count, *statements]
    told = sorted(told, key=lambda statement: statement[0])
    return Verdict(all(allowed for allowed, _ in told), tuple(text for _, text in told), *ratios)


def _count(num: int, what: str, least: int) -> Statement:
    if num < least:
        return False, f"{num} {what} are too few for a verdict: registry.least_clips is {least}"
    return True, f"judged on {num} {what}"


def gain(what: str) -> Callable[[Floats, Floats, str, int], Compared]:
    """A rule's comparison of shares: the mean difference, which must be above 0 beyond chance."""

    def compare(ours: Floats, theirs: Floats, name: str, draws: int) -> Compared:
        mean, low, high = bootstrap.paired_difference(ours, theirs, draws, SEED)
        said = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] {what} against {name}"
        return (), (low > 0, said if low > 0 else f"{said}: no significant gain")

    return compare


def _regressions(
    places: "pd.Series[str]",
    difference_N: Floats,
    worse: Callable[[Floats, int], str | None],
    draws: int,
) -> list[Statement]:
    continents, found = places.to_numpy(str), []
    for continent in np.unique(continents):
        there = difference_N[continents == continent]
        said = worse(there, draws) if len(there) >= LEAST_CLIPS else None
        if said:
            found.append((False, f"{continent} {said}"))
    return found


def _unjudged(places: "pd.Series[str]") -> list[Statement]:
    """Which continents a regression could hide in."""
    sizes = places.value_counts().sort_index()
    few = ", ".join(f"{name} ({size})" for name, size in sizes.items() if size < LEAST_CLIPS)
    said = f"not judged on their own, fewer than {LEAST_CLIPS} clips: {few}"
    return [(True, said)] if few else []
