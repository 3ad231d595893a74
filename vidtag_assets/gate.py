"""The gate: whether a challenger replaces a champion, judged on one frozen split (decision 13).

Belongs here: the comparison of two evaluation reports, as values. Does not belong here: aliases,
the log, where reports come from (registration.py).

Each clip is a draw: the figure compared is the logarithm of its median frame error, so that the
mean difference over clips is a ratio of typical errors, in streets and on continents alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidtag_ml import metrics
from vidtag_ml.evaluate import Report
from vidtag_ml.evaluate_places import PlaceReport
from vidtag_ml.hierarchy import LEVELS

LEAST_KM = 0.001
"""Errors below this count as this: a metre is perfect."""
LEAST_CLIPS = 10
"""Continents with fewer clips are not judged on their own."""
SEED = 0
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
    challenger: Report, rival: Report, rival_name: str, *, draws: int, by_continent: bool
) -> Verdict:
    """The verdict on a challenger: better beyond chance, and nowhere worse beyond chance.

    Args:
        challenger: its report on the val split.
        rival: the rival's report on the same clips and gallery.
        rival_name: how reasons call the rival.
        draws: bootstrap draws over clips.
        by_continent: whether a continent that got significantly worse forbids promotion.
    """
    mismatch = incomparable(challenger, rival)
    if mismatch:
        return Verdict(False, (f"cannot be compared with {rival_name}: {mismatch}",))
    ours, theirs = _log_errors(challenger), _log_errors(rival)
    mean, low, high = np.exp(metrics.paired_difference(ours, theirs, draws, SEED)).tolist()
    said = f"typical error is {mean:.2f} [{low:.2f}, {high:.2f}] times that of {rival_name}"
    worse = _regressions(challenger, ours - theirs, draws) if by_continent else ()
    promoted = high < 1 and not worse
    reasons = (*worse, said) if high < 1 else (f"{said}: no significant gain", *worse)
    return Verdict(promoted, reasons, mean, low, high)


def judge_places(
    challenger: PlaceReport, rival: PlaceReport | None, rival_name: str, *, draws: int
) -> Verdict:
    """The verdict on a model that names places: right at more levels, and nowhere at fewer.

    Both beyond chance; without a rival, better than the most frequent class of each level.

    Args:
        challenger: its report on the val split.
        rival: the rival's report on the same clips; None if there is no champion yet.
        rival_name: how reasons call the rival.
        draws: bootstrap draws over clips.
    """
    if rival is None:
        figures = challenger.summary
        least = {k: figures[f"acc_{k}_lo"] for k in LEVELS}  # at most 1, as where one class is all
        levels = [k for k in LEVELS if least[k] <= figures[f"prior_acc_{k}"] and least[k] < 1]
        said = ", ".join(f"{k} {figures[f'acc_{k}']:.1%}" for k in LEVELS)
        if levels:
            return Verdict(False, (f"{levels[0]} is no better than its most frequent class",))
        return Verdict(True, (f"better than the most frequent classes: {said}",))
    both = challenger.per_clip.merge(rival.per_clip, on="clip_id", suffixes=("", "_rival"))
    if not len(challenger.per_clip) == len(rival.per_clip) == len(both):
        return Verdict(False, (f"cannot be compared with {rival_name}: another val split",))
    ours, theirs = (
        both[[f"acc_{level}{end}" for level in LEVELS]].mean(axis=1).to_numpy(float)
        for end in ("", "_rival")
    )
    mean, low, high = metrics.paired_difference(ours, theirs, draws, SEED)
    said = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] of the levels right against {rival_name}"
    worse = [
        f"{continent} got worse"
        for continent, rows in both.groupby("continent").groups.items()
        if len(rows) >= LEAST_CLIPS
        and metrics.bootstrap(ours[rows] - theirs[rows], draws, SEED)[1] < 0
    ]
    reasons = (*worse, said) if low > 0 else (f"{said}: no significant gain", *worse)
    return Verdict(low > 0 and not worse, reasons)


def judge_tiles(
    challenger: Report, rival: Report | None, rival_name: str, *, draws: int
) -> Verdict:
    """The verdict on a model that matches clips to aerial tiles: more clips get the right one.

    Compared video by video is the share of clips whose tile, on the way that makes the track, is
    right by the report's rule. Without a rival the share that gets its very own tile must beat
    chance, one of all tiles: near ones, that the rule accepts as well, are more than one.

    Args:
        challenger: its report on the val split.
        rival: the rival's report on the same clips and gallery; None if there is no champion yet.
        rival_name: how reasons call the rival.
        draws: bootstrap draws over videos.
    """
    frames, way = challenger.frames, challenger.summary["track"]
    if rival is None:
        own_V = (frames[f"{way}_top1"] == frames["tile"]).groupby(frames["clip"]).mean()
        low, _ = metrics.bootstrap(own_V, draws, SEED)
        chance = 1 / challenger.summary["gallery_size"]
        said = f"{own_V.mean():.1%} [{low:.1%}, ...] of clips get their own tile, {chance:.2%} by"
        return Verdict(low > chance, (f"{said} chance",))
    mismatch = incomparable(challenger, rival)
    if mismatch:
        return Verdict(False, (f"cannot be compared with {rival_name}: {mismatch}",))
    ours, theirs = (
        report.frames.groupby("clip")[f"{report.summary['track']}_recall_at_1"].mean().to_numpy()
        for report in (challenger, rival)
    )
    mean, low, high = metrics.paired_difference(ours, theirs, draws, SEED)
    said = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] of the clips right against {rival_name}"
    return Verdict(low > 0, (said if low > 0 else f"{said}: no significant gain",))


def incomparable(a: Report, b: Report) -> str | None:
    """Why two reports cannot be compared clip by clip; None if they can."""
    if a.summary["gallery_md5"] != b.summary["gallery_md5"]:
        return "another gallery"
    truth = [r.frames[_TRUTH].sort_values(["clip", "time_s"], ignore_index=True) for r in (a, b)]
    if not truth[0].equals(truth[1]):
        return f"another {a.summary['split']} split"
    return None


def _log_errors(report: Report) -> NDArray[np.float64]:
    errors = report.per_clip.sort_values("clip_id")["median_km"].to_numpy(float)
    return np.asarray(np.log(np.maximum(errors, LEAST_KM)))


def _regressions(report: Report, difference_N: NDArray[np.float64], draws: int) -> tuple[str, ...]:
    continents = report.per_clip.sort_values("clip_id")["continent"].to_numpy(str)
    found = []
    for continent in np.unique(continents):
        there = difference_N[continents == continent]
        if len(there) < LEAST_CLIPS:
            continue
        low, _ = metrics.bootstrap(there, draws, SEED)
        if low > 0:
            ratio = float(np.exp(there.mean()))
            found.append(f"{continent} got worse: {ratio:.2f} times on {len(there)} clips")
    return tuple(found)
