"""The gate: whether a challenger replaces a champion, on one frozen split (decisions 10 and 25).

Belongs here: the comparison of two evaluation reports, as values, and the rules by which reports of
each type are compared. Does not belong here: aliases, the log, where reports come from
(registration.py).

A clip, or a video, is a draw. Of tracks the figure compared is the logarithm of the median frame
error, so that the mean difference over clips is a ratio of typical errors, in streets and on
continents alike; elsewhere it is the share that is right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.metrics import bootstrap
from vidtag_ml.models.gama import searches
from vidtag_ml.models.report import Report

if TYPE_CHECKING:
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport

LEAST_KM = 0.001
"""Errors below this count as this: a metre is perfect."""
LEAST_CLIPS = 10
"""Continents with fewer clips are not judged on their own."""
SEED = 0
Floats = NDArray[np.float64]
Statement = tuple[bool, str]
"""Whether it allows promotion, and a sentence."""
Compared = tuple[tuple[float, ...], Statement]
"""Ratio of typical errors with its interval, if the figures have one, and what is said of both."""
_TRUTH = ["clip", "time_s", "true_lat", "true_lon"]


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


def incomparable(a: Report, b: Report) -> str | None:
    """Why two reports cannot be compared clip by clip; None if they can."""
    if a.summary["gallery_md5"] != b.summary["gallery_md5"]:
        return "another gallery"
    truth = [r.frames[_TRUTH].sort_values(["clip", "time_s"], ignore_index=True) for r in (a, b)]
    if not truth[0].equals(truth[1]):
        return f"another {a.summary['split']} split"
    return None


def other_clips(a: "PlaceReport", b: "PlaceReport") -> str | None:
    """Why two reports on places cannot be compared clip by clip; None if they can."""
    same = set(a.per_clip["clip_id"]) == set(b.per_clip["clip_id"])
    return None if same else "another val split"


def over_blind(report: Report, blind_km: pd.DataFrame, draws: int) -> list[Statement]:
    """Whether tracks beat each answer that looks at nothing, as `blind.medians_km` gives them."""
    ours = np.asarray(_log_errors(report), float)
    found = [(_logs(blind_km[name].sort_index()), str(name)) for name in blind_km]
    return [_ratio(ours, theirs, name, draws)[1] for theirs, name in found]


def over_prior(report: "PlaceReport") -> Statement:
    """Whether each level is better than its most frequent class, which may be right everywhere."""
    figures = report.summary
    least = {k: figures[f"acc_{k}_lo"] for k in LEVELS}  # at most 1, as where one class is all
    levels = [k for k in LEVELS if least[k] <= figures[f"prior_acc_{k}"] and least[k] < 1]
    if levels:
        return False, f"{levels[0]} is no better than its most frequent class"
    said = ", ".join(f"{k} {figures[f'acc_{k}']:.1%}" for k in LEVELS)
    return True, f"better than the most frequent classes: {said}"


def over_chance(report: Report, draws: int) -> Statement:
    """Whether the clips that get their very own tile are more than by chance, one of all tiles.

    Near tiles, that the report's rule accepts as well, are more than one.
    """
    frames = report.frames
    first = frames[searches.key(report.summary["track"], "top1")]
    own_V = (first == frames["tile"]).groupby(frames["clip"]).mean()
    low, _ = bootstrap.bootstrap(own_V, draws, SEED)
    chance = 1 / report.summary["gallery_size"]
    said = f"{own_V.mean():.1%} [{low:.1%}, ...] of clips get their own tile"
    return low > chance, f"{said}, {chance:.2%} by chance"


def _verdict(count: Statement, statements: Sequence[Statement], *ratios: float) -> Verdict:
    """Promoted if every statement allows it; those that forbid it come first, of all the count."""
    told = [*statements, count] if count[0] else [count, *statements]
    told = sorted(told, key=lambda statement: statement[0])
    return Verdict(all(allowed for allowed, _ in told), tuple(text for _, text in told), *ratios)


def _count(num: int, what: str, least: int) -> Statement:
    if num < least:
        return False, f"{num} {what} are too few for a verdict: registry.least_clips is {least}"
    return True, f"judged on {num} {what}"


def _ratio(ours: Floats, theirs: Floats, name: str, draws: int) -> Compared:
    mean, low, high = np.exp(bootstrap.paired_difference(ours, theirs, draws, SEED)).tolist()
    said = f"typical error is {mean:.2f} [{low:.2f}, {high:.2f}] times that of {name}"
    return (mean, low, high), (high < 1, said if high < 1 else f"{said}: no significant gain")


def _gain(what: str) -> Callable[[Floats, Floats, str, int], Compared]:
    def compare(ours: Floats, theirs: Floats, name: str, draws: int) -> Compared:
        mean, low, high = bootstrap.paired_difference(ours, theirs, draws, SEED)
        said = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] {what} against {name}"
        return (), (low > 0, said if low > 0 else f"{said}: no significant gain")

    return compare


def _log_errors(report: Report) -> "pd.Series[float]":
    medians = report.per_clip.sort_values("clip_id").set_index("clip_id")["median_km"]
    return pd.Series(_logs(medians), medians.index)


def _logs(errors_km: "pd.Series[float]") -> Floats:
    return np.asarray(np.log(np.maximum(errors_km.to_numpy(float), LEAST_KM)))


def _levels_right(report: "PlaceReport") -> "pd.Series[float]":
    columns = [f"acc_{level}" for level in LEVELS]
    return report.per_clip.set_index("clip_id")[columns].mean(axis=1)


def _clips_right(report: Report) -> "pd.Series[float]":
    right = searches.key(report.summary["track"], "recall_at_1")
    return report.frames.groupby("clip")[right].mean()


def _larger_errors(difference_K: Floats, draws: int) -> str | None:
    low, _ = bootstrap.bootstrap(difference_K, draws, SEED)
    ratio = np.exp(difference_K.mean())
    return f"got worse: {ratio:.2f} times on {len(difference_K)} clips" if low > 0 else None


def _fewer_right(difference_K: Floats, draws: int) -> str | None:
    return "got worse" if bootstrap.bootstrap(difference_K, draws, SEED)[1] < 0 else None


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


TRACKS = Rule("val clips", _log_errors, incomparable, _ratio, _larger_errors)
"""Tracks: smaller errors."""
PLACES = Rule("val clips", _levels_right, other_clips, _gain("of the levels right"), _fewer_right)
"""Places: right at more levels."""
TILES = Rule("val videos", _clips_right, incomparable, _gain("of the clips right"))
"""Tracks through aerial tiles: more clips of a video whose tile is right by the report's rule."""
