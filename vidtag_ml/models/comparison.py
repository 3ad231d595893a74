"""Scores of two models on the same units: of all of them and slice by slice, with intervals.

Belongs here: the comparison, as values and as a table. Does not belong here: by which figure
versions of a system are compared (its module `judging`), which slices there are (slices.py), what
follows for a champion (gate.py). Shape legend: N units, K slices.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.metrics import bootstrap, paired

LEAST_UNITS = 10
"""Slices with fewer units are not judged on their own."""
SEED = 0
BETTER, WORSE, ALIKE, FEW = "better", "worse", "no significant change", "too few to judge"
DOUBT = "worse, perhaps by chance"
"""Worse by an interval of its own, not by one that holds for all slices."""
Floats = NDArray[np.float64]
Scores = pd.Series
"""A figure each unit, by its id."""


@dataclass(frozen=True)
class Scale:
    """What scores are, and how their differences are told."""

    said: str
    """A sentence, with places for the change and for the rival's name."""
    change: str
    """A change, with places for its mean and both ends of its interval."""
    alarm: float
    """From where on a loss is told even if it may be chance, as scores differ."""
    alike: float
    """How far scores of a single unit may differ and count as the same."""
    unit: str
    """Of a typical figure."""
    is_ratio: bool = False
    """Whether scores are logarithms of errors, so that less is better and differences are ratios;
    else they are shares, of which more is better."""

    def told(self, score: float) -> float:
        """A mean score or difference of scores as people are told it."""
        return float(np.exp(score)) if self.is_ratio else float(score)

    def gain(self, score: float) -> float:
        """A difference of scores, positive if ours are better."""
        return -score if self.is_ratio else score

    def sentence(self, row: "Row", name: str) -> str:
        """How our scores compare with a rival's."""
        return self.said.format(self.change.format(row.change, row.low, row.high), name)

    def changed(self, row: "Row") -> str:
        """How our scores changed, with the interval."""
        times = " times" if self.is_ratio else ""
        return f"{self.change.format(row.change, row.low, row.high)}{times}"

    def loss(self, row: "Row") -> str:
        """How our scores changed, where there is no interval."""
        return f"{row.change:,.1f} times the error" if self.is_ratio else f"{row.change:+.2f}"


RATIOS = Scale(
    "typical error is {} times that of {}",
    "{:.2f} [{:.2f}, {:.2f}]",
    float(np.log(2)),
    float(np.log(1.1)),
    "km",
    is_ratio=True,
)
"""Errors of tracks: their geometric means are compared, in streets and on continents alike."""


def shares(what: str) -> Scale:
    """Shares of something right."""
    return Scale(f"{{}} {what} against {{}}", "{:+.3f} [{:+.3f}, {:+.3f}]", 0.2, 0.0, "")


@dataclass(frozen=True)
class Row:
    """Scores of both models on some of the units."""

    by: str
    """How units are sliced; empty = all of them."""
    name: str
    """Which slice."""
    num: int
    """Units in it."""
    ours: float
    """Our typical figure."""
    theirs: float
    """The rival's on the same units."""
    change: float
    """Ours over theirs where figures are errors, ours less theirs where they are shares."""
    low: float | None
    """Lower end of its interval; of slices, one that holds for all of them together."""
    high: float | None
    """Upper end; both are None where units are too few."""
    judged: str
    """better, worse, no significant change, too few to judge, or worse, perhaps by chance."""
    is_alarming: bool = False
    """Whether ours are so much worse that it is told even of too few units."""


@dataclass(frozen=True)
class Typical:
    """How a model does on some of the units."""

    name: str
    """Which slice, or all."""
    num: int
    """Units in it."""
    figure: float
    """The typical one."""
    loss: float
    """By how much scores are worse than on all units."""


@dataclass(frozen=True)
class Profile:
    """How a model does on all units and slice by slice."""

    scale: Scale
    rows: tuple[Typical, ...]
    """All units first."""
    unknown: tuple[str, ...]
    """Ways of slicing for which nothing is known of the units."""


def whole(scale: Scale, ours: Floats, theirs: Floats, draws: int) -> Row:
    """The comparison on all units."""
    found = paired.difference(ours, theirs, draws, SEED)
    return _row(scale, ("", "all"), ours, theirs, (found.value, found.low, found.high))


def by_slice(
    scale: Scale, ours: Scores, theirs: Scores, labels: pd.DataFrame, draws: int
) -> list[Row]:
    """The comparison in each slice, in the order of the labels' columns.

    What is no slice of its own is left out: one that has all units, or the same as one before it.

    Args:
        scale: what scores are.
        ours: our scores.
        theirs: the rival's, of the same units.
        labels: by unit, a column a way of slicing; missing where unknown.
        draws: bootstrap draws over units.
    """
    found = _members(labels.reindex(ours.index))
    ours_N, theirs_N = ours.to_numpy(float), theirs[ours.index].to_numpy(float)
    large = [key for key, inside in found.items() if inside.sum() >= LEAST_UNITS]
    ends: dict[tuple[str, str], tuple[float, ...]] = {}
    if large:
        inside_NK = np.stack([found[key] for key in large], 1)
        sure = bootstrap.together(ours_N - theirs_N, inside_NK, draws, SEED)
        ends = {key: tuple(float(end[k]) for end in sure) for k, key in enumerate(large)}
    rows = [_row(scale, k, ours_N[i], theirs_N[i], ends.get(k)) for k, i in found.items()]
    differences = [(ours_N - theirs_N)[inside] for inside in found.values()]
    return [_doubted(scale, *pair, draws) for pair in zip(rows, differences, strict=True)]


def _doubted(scale: Scale, row: Row, difference: Floats, draws: int) -> Row:
    """A row, judged as worse by chance perhaps if it is so by its own interval alone."""
    if row.judged != ALIKE:
        return row
    own = (0.0, *bootstrap.bootstrap(difference, draws, SEED))
    return dataclasses.replace(row, judged=DOUBT) if _judged(scale, own) == WORSE else row


def profile(scale: Scale, scores: Scores, labels: pd.DataFrame) -> Profile:
    """Typical figures of a model on all units, then in each slice, however few its units."""
    labels = labels.reindex(scores.index)
    values = scores.to_numpy(float)
    mean, rows = float(values.mean()), []
    for (_, name), inside in {("", "all"): np.ones(len(values), bool), **_members(labels)}.items():
        there = float(values[inside].mean())
        loss = -scale.gain(there - mean)
        rows.append(Typical(name, int(inside.sum()), scale.told(there), loss))
    unknown = [str(by) for by, column in labels.items() if column.isna().all()]
    return Profile(scale, tuple(rows), tuple(unknown))


def _members(labels: pd.DataFrame) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Which units (N,) are in each slice, by way of slicing and name."""
    found: dict[bytes, tuple[tuple[str, str], NDArray[np.bool_]]] = {}
    for by, column in labels.items():
        values = column.astype(object).where(column.notna(), None)
        for name in sorted({str(value) for value in values if value is not None}):
            inside = np.array([value is not None and str(value) == name for value in values])
            if not inside.all():
                found.setdefault(inside.tobytes(), ((str(by), name), inside))
    return dict(found.values())


def _row(
    scale: Scale,
    key: tuple[str, str],
    ours: Floats,
    theirs: Floats,
    ends: Sequence[float] | None,
) -> Row:
    """A row; without an interval of the difference its units are too few."""
    difference = float((ours - theirs).mean())
    mean, low, high = [scale.told(end) for end in ends] if ends else (None,) * 3
    return Row(
        *key,
        num=len(ours),
        ours=scale.told(float(ours.mean())),
        theirs=scale.told(float(theirs.mean())),
        change=scale.told(difference) if mean is None else mean,
        low=low,
        high=high,
        judged=_judged(scale, ends) if ends else FEW,
        is_alarming=-scale.gain(difference) >= scale.alarm,
    )


def _judged(scale: Scale, ends: Sequence[float]) -> str:
    low, high = sorted(scale.gain(end) for end in ends[1:])
    return BETTER if low > 0 else WORSE if high < 0 else ALIKE


def number(value: float) -> str:
    """A figure as people read it: three digits, or all of a whole number.

    >>> number(0.01234), number(45.67), number(12345.6)
    ('0.0123', '45.7', '12,346')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as a table."""
    columns = [field.name for field in dataclasses.fields(Row)][:-1]
    return pd.DataFrame([[getattr(row, name) for name in columns] for row in rows], columns=columns)
