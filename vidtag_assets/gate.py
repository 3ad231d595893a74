"""The gate: whether a challenger replaces a champion, on one frozen split (decisions 10 and 25).

Belongs here: the comparison of two evaluation reports, as values. Does not belong here: aliases,
the log, where reports come from (registration.py).

Each clip is a draw: the figure compared is the logarithm of its median frame error, so that the
mean difference over clips is a ratio of typical errors, in streets and on continents alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.metrics import bootstrap
from vidtag_ml.models.cityguessr.evaluate import PlaceReport
from vidtag_ml.models.report import Report

LEAST_KM = 0.001
"""Errors below this count as this: a metre is perfect."""
LEAST_CLIPS = 10
"""Continents with fewer clips are not judged on their own."""
SEED = 0
Statement = tuple[bool, str]
"""Whether it allows promotion, and a sentence."""
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


def judge(
    challenger: Report,
    rival: Report,
    rival_name: str,
    blind: pd.DataFrame,
    *,
    least_clips: int,
    draws: int,
    by_continent: bool,
) -> Verdict:
    """The verdict on a challenger: better beyond chance, and nowhere worse beyond chance.

    Args:
        challenger: its report on the val split.
        rival: the rival's report on the same clips and gallery.
        rival_name: how reasons call the rival.
        blind: errors of answers that look at nothing, as `blind.medians_km` gives them; the
            challenger must beat each.
        least_clips: a challenger of fewer clips is not promoted.
        draws: bootstrap draws over clips.
        by_continent: whether a continent that got significantly worse forbids promotion.
    """
    mismatch = incomparable(challenger, rival)
    if mismatch:
        return Verdict(False, (f"cannot be compared with {rival_name}: {mismatch}",))
    ours, theirs = _log_errors(challenger), _log_errors(rival)
    ratios, said = _ratio(ours, theirs, rival_name, draws)
    statements = [said]
    if by_continent:
        statements += _regressions(challenger, ours - theirs, draws)
    statements += [
        _ratio(ours, _logs(blind[name].sort_index()), str(name), draws)[1] for name in blind
    ]
    if by_continent:
        statements += _unjudged(challenger.per_clip["continent"])
    return _verdict(_count(len(ours), "val clips", least_clips), statements, *ratios)


def judge_places(
    challenger: PlaceReport,
    rival: PlaceReport | None,
    rival_name: str,
    *,
    least_clips: int,
    draws: int,
) -> Verdict:
    """The verdict on a model that names places: right at more levels, and nowhere at fewer.

    Both beyond chance, and always better than the most frequent class of each level.

    Args:
        challenger: its report on the val split.
        rival: the rival's report on the same clips; None if there is no champion yet.
        rival_name: how reasons call the rival.
        least_clips: a challenger of fewer clips is not promoted.
        draws: bootstrap draws over clips.
    """
    count = _count(len(challenger.per_clip), "val clips", least_clips)
    if rival is None:
        return _verdict(count, [_over_prior(challenger)])
    both = challenger.per_clip.merge(rival.per_clip, on="clip_id", suffixes=("", "_rival"))
    if not len(challenger.per_clip) == len(rival.per_clip) == len(both):
        return Verdict(False, (f"cannot be compared with {rival_name}: another val split",))
    ours, theirs = (
        both[[f"acc_{level}{end}" for level in LEVELS]].mean(axis=1).to_numpy(float)
        for end in ("", "_rival")
    )
    said = _gain(ours, theirs, f"of the levels right against {rival_name}", draws)
    worse = [
        (False, f"{continent} got worse")
        for continent, rows in both.groupby("continent").groups.items()
        if len(rows) >= LEAST_CLIPS
        and bootstrap.bootstrap(ours[rows] - theirs[rows], draws, SEED)[1] < 0
    ]
    statements = [said, *worse, _over_prior(challenger), *_unjudged(both["continent"])]
    return _verdict(count, statements)


def judge_tiles(
    challenger: Report, rival: Report | None, rival_name: str, *, least_clips: int, draws: int
) -> Verdict:
    """The verdict on a model that matches clips to aerial tiles: more clips get the right one.

    Compared video by video is the share of clips whose tile, on the way that makes the track, is
    right by the report's rule. The share that gets its very own tile must always beat chance, one
    of all tiles: near ones, that the rule accepts as well, are more than one.

    Args:
        challenger: its report on the val split.
        rival: the rival's report on the same clips and gallery; None if there is no champion yet.
        rival_name: how reasons call the rival.
        least_clips: a challenger of fewer videos is not promoted.
        draws: bootstrap draws over videos.
    """
    count = _count(challenger.frames["clip"].nunique(), "val videos", least_clips)
    if rival is None:
        return _verdict(count, [_over_chance(challenger, draws)])
    mismatch = incomparable(challenger, rival)
    if mismatch:
        return Verdict(False, (f"cannot be compared with {rival_name}: {mismatch}",))
    ours, theirs = (
        report.frames.groupby("clip")[f"{report.summary['track']}_recall_at_1"].mean().to_numpy()
        for report in (challenger, rival)
    )
    said = _gain(ours, theirs, f"of the clips right against {rival_name}", draws)
    return _verdict(count, [said, _over_chance(challenger, draws)])


def incomparable(a: Report, b: Report) -> str | None:
    """Why two reports cannot be compared clip by clip; None if they can."""
    if a.summary["gallery_md5"] != b.summary["gallery_md5"]:
        return "another gallery"
    truth = [r.frames[_TRUTH].sort_values(["clip", "time_s"], ignore_index=True) for r in (a, b)]
    if not truth[0].equals(truth[1]):
        return f"another {a.summary['split']} split"
    return None


def _verdict(count: Statement, statements: Sequence[Statement], *ratios: float) -> Verdict:
    """Promoted if every statement allows it; those that forbid it come first, of all the count."""
    told = [*statements, count] if count[0] else [count, *statements]
    told = sorted(told, key=lambda statement: statement[0])
    return Verdict(all(allowed for allowed, _ in told), tuple(text for _, text in told), *ratios)


def _count(num: int, what: str, least: int) -> Statement:
    if num < least:
        return False, f"{num} {what} are too few for a verdict: registry.least_clips is {least}"
    return True, f"judged on {num} {what}"


def _ratio(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], name: str, draws: int
) -> tuple[tuple[float, float, float], Statement]:
    mean, low, high = np.exp(bootstrap.paired_difference(ours, theirs, draws, SEED)).tolist()
    said = f"typical error is {mean:.2f} [{low:.2f}, {high:.2f}] times that of {name}"
    return (mean, low, high), (high < 1, said if high < 1 else f"{said}: no significant gain")


def _gain(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], what: str, draws: int
) -> Statement:
    mean, low, high = bootstrap.paired_difference(ours, theirs, draws, SEED)
    said = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] {what}"
    return low > 0, said if low > 0 else f"{said}: no significant gain"


def _over_prior(report: PlaceReport) -> Statement:
    """Whether each level is better than its most frequent class, which may be right everywhere."""
    figures = report.summary
    least = {k: figures[f"acc_{k}_lo"] for k in LEVELS}  # at most 1, as where one class is all
    levels = [k for k in LEVELS if least[k] <= figures[f"prior_acc_{k}"] and least[k] < 1]
    if levels:
        return False, f"{levels[0]} is no better than its most frequent class"
    said = ", ".join(f"{k} {figures[f'acc_{k}']:.1%}" for k in LEVELS)
    return True, f"better than the most frequent classes: {said}"


def _over_chance(report: Report, draws: int) -> Statement:
    frames, way = report.frames, report.summary["track"]
    own_V = (frames[f"{way}_top1"] == frames["tile"]).groupby(frames["clip"]).mean()
    low, _ = bootstrap.bootstrap(own_V, draws, SEED)
    chance = 1 / report.summary["gallery_size"]
    said = f"{own_V.mean():.1%} [{low:.1%}, ...] of clips get their own tile"
    return low > chance, f"{said}, {chance:.2%} by chance"


def _log_errors(report: Report) -> NDArray[np.float64]:
    return _logs(report.per_clip.sort_values("clip_id")["median_km"])


def _logs(errors_km: "pd.Series[float]") -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(errors_km.to_numpy(float), LEAST_KM)))


def _regressions(report: Report, difference_N: NDArray[np.float64], draws: int) -> list[Statement]:
    continents = report.per_clip.sort_values("clip_id")["continent"].to_numpy(str)
    found = []
    for continent in np.unique(continents):
        there = difference_N[continents == continent]
        if len(there) < LEAST_CLIPS:
            continue
        low, _ = bootstrap.bootstrap(there, draws, SEED)
        if low > 0:
            ratio = float(np.exp(there.mean()))
            found.append((False, f"{continent} got worse: {ratio:.2f} times on {len(there)} clips"))
    return found


def _unjudged(continents: "pd.Series[str]") -> list[Statement]:
    """Which continents a regression could hide in."""
    sizes = continents.value_counts().sort_index()
    few = ", ".join(f"{name} ({size})" for name, size in sizes.items() if size < LEAST_CLIPS)
    said = f"not judged on their own, fewer than {LEAST_CLIPS} clips: {few}"
    return [(True, said)] if few else []
