"""Two reports of one system on the clips that both have: which clips got better or worse.

Belongs here: the comparison of two models as a person asks for it, as values and as pictures. Does
not belong here: scores and intervals (comparison.py), the gate's rule (gate.py), which versions
there are and what they were made from (vidtag_assets.lineage.comparing).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.models import gate
from vidtag_ml.models.comparison import BETTER, WORSE, Row
from vidtag_ml.models.gate import Rule
from vidtag_ml.models.report import Report

ALIKE = "alike"
"""Of a clip whose figures are nearly the same."""
NUM_TRACKS = 3
"""Clips that got better, and as many that got worse, whose tracks are drawn."""


@dataclass(frozen=True)
class Versus:
    """How the second of two models does against the first."""

    rule: Rule
    rows: tuple[Row, ...]
    """On all clips that both have, then slice by slice; ours are the second's."""
    clips: pd.DataFrame
    """clip_id, figures `first` and `second`, `change` and `judged`, the worst change first."""
    told: tuple[str, ...]
    """What is not the same in both reports beside the models, a sentence each."""

    def count(self, judged: str) -> int:
        """How many clips are better, worse or alike."""
        return int((self.clips["judged"] == judged).sum())


def versus(rule: Rule, first: Any, second: Any, labels: pd.DataFrame | None, draws: int) -> Versus:
    """The second report against the first.

    Raises:
        ValueError: no clip is in both.
    """
    scores = [rule.scores(report) for report in (first, second)]
    common = scores[0].index.intersection(scores[1].index)
    if common.empty:
        raise ValueError("the two have no clip in common, so that nothing can be compared")
    theirs, ours = (score[common] for score in scores)
    mismatch = rule.incomparable(first, second)
    told = [f"not measured on the same: {mismatch}"] if mismatch else []
    if not len(common) == len(scores[0]) == len(scores[1]):
        num = " and ".join(f"{len(score)}" for score in scores)
        told.append(f"compared on the {len(common)} clips that both have, of {num}")
    rows = gate.compared(rule, ours, theirs, labels, draws)
    return Versus(rule, rows, _clips(rule, theirs, ours), tuple(told))


def _clips(rule: Rule, theirs: "pd.Series[float]", ours: "pd.Series[float]") -> pd.DataFrame:
    scale = rule.scale
    gain = (ours - theirs).map(scale.gain)
    judged = np.select([gain > scale.alike, gain < -scale.alike], [BETTER, WORSE], ALIKE)
    table = pd.DataFrame(
        {
            "clip_id": theirs.index,
            "first": theirs.map(scale.told).to_numpy(),
            "second": ours.map(scale.told).to_numpy(),
            "change": (ours - theirs).map(scale.told).to_numpy(),
            "judged": judged,
        }
    )
    return table.iloc[np.argsort(gain.to_numpy(), kind="stable")].reset_index(drop=True)


def draw(
    found: Versus,
    reports: Mapping[str, Any],
    latlon: pd.DataFrame | None,
    folder: Path,
) -> list[Path]:
    """Pictures of a comparison: map.png, errors.png, and tracks.png of what changed most.

    Args:
        found: the comparison.
        reports: both, by their names.
        latlon: where clips are by their ids; None = unknown, so that there is no map.
        folder: receives the pictures.
    """
    from vidtag_ml.plots import charts, maps, style

    names, clips = list(reports), found.clips
    made = []
    if latlon is not None:
        where_N2 = _where(clips, latlon)
        title, labels = f"{names[1]} against {names[0]}", clips["judged"].tolist()
        colours = {BETTER: style.GOOD, WORSE: style.BAD, ALIKE: style.FAINT}
        made.append(maps.clips_map(where_N2, labels, folder / "map.png", title, colours))
    if all(isinstance(report, Report) for report in reports.values()) and found.rule.scale.is_ratio:
        pairs = clips["first"], clips["second"]
        made.append(charts.paired_errors(*pairs, (names[0], names[1]), folder / "errors.png"))
        made.append(_tracks(clips, reports, folder / "tracks.png"))
    return made


def _where(clips: pd.DataFrame, latlon: pd.DataFrame) -> NDArray[np.float64]:
    return latlon.reindex(clips["clip_id"])[["lat", "lon"]].to_numpy(float)


def _tracks(clips: pd.DataFrame, reports: Mapping[str, Report], path: Path) -> Path:
    """Tracks of the clips that changed most: a row a clip, a column a model."""
    from vidtag_ml.plots import maps

    num = min(NUM_TRACKS, -(-len(clips) // 2))
    chosen = dict.fromkeys([*clips["clip_id"].head(num), *clips["clip_id"].tail(num)])
    tracks, truths = [], {}
    known = {name: {t.clip: t for t in report.tracks} for name, report in reports.items()}
    for clip in chosen:
        for name, report in reports.items():
            title = f"{name}: {clip}"
            tracks.append(dataclasses.replace(known[name][clip], clip=title))
            truths[title] = report.truths[clip]
    return maps.tracks_sheet(tracks, truths, path, columns=2)
