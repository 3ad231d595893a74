"""Metrics of cross-view retrieval (docs/specs/metrics.md, section 6, named as in its section 10).

An item is right if it is the one wanted, or near enough where the rule says so. Ties are counted
pessimistically: of items that are as similar, the wrong ones come first and the farthest is the
answer, so that an encoder that has collapsed gets 0, not 1.

Belongs here: ranks, distances of first answers, and their figures. Does not belong here: searches
whose answer is used (retrieval/index.py, screening.py), embeddings, intervals
(metrics/bootstrap.py).
Shape legend: N queries, M gallery items, K of them, E common space, 2 = (lat, lon) in degrees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from vidtag_ml.earth import sphere

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

KM_PER_MILE = 1.609344
RECALLS = (1, 5, 10)
PERCENTS = (1, 10)

BLOCK = 2**23
"""Scores that are held at a time."""
TIE = 1e-6
"""Similarities that differ by no more are equal: a matrix product is not exact to the last bit."""


@dataclass(frozen=True)
class Items:
    """Clips or tiles, videos or regions."""

    embedding_NE: Tensor
    """Unit vectors, in any float type."""
    identity_N: NDArray[Any]
    """In a gallery: which item this is, without repetition. In queries: which item is wanted."""
    latlon_N2: Floats
    """Where they are, in degrees."""

    def __post_init__(self) -> None:
        """Checks that all are as many, and vectors of unit length."""
        num = len(self.embedding_NE)
        if self.embedding_NE.ndim != 2 or len(self.identity_N) != num:
            raise ValueError(
                f"embeddings {tuple(self.embedding_NE.shape)}, but {len(self.identity_N)} names"
            )
        if self.latlon_N2.shape != (num, 2) or not np.isfinite(self.latlon_N2).all():
            raise ValueError(f"{num} items need a finite position each")
        length_N = torch.linalg.vector_norm(self.embedding_NE, dim=1)
        if num == 0 or not ((length_N - 1).abs() <= 0.01).all():
            raise ValueError(
                "there is no embedding, or one is not finite or not of unit length: without that "
                "similarities have no rank"
            )


@dataclass(frozen=True)
class Rule:
    """What counts as right, and at which distances first answers are judged."""

    near_km: float | None
    """Items within this distance of the query are right too; None = the wanted one alone."""
    near_only_first: bool
    """Whether that holds for the first answer only, as for large regions."""
    top1_km: Mapping[str, float]
    """Name, as in `top1_at_{name}` -> distance."""
    radius_km: float = sphere.EARTH_RADIUS_KM
    """Earth radius of the protocol; GAMa's is 3956 miles."""


def judge(
    queries: Items, gallery: Items, rule: Rule, among: Sequence[Indices] | None = None
) -> pd.DataFrame:
    """What became of each query, a row each, in their order.

    Columns: rank (wrong items before the first right one; infinite if no item is right),
    recall_at_{k}, top1_at_{name}, top1 (the answer's row in the gallery), top1_km, gallery_size.
    recall_at_1pct and recall_at_10pct are left out with `among`, where they have no meaning. Where
    1 % of the gallery is a single item, it is judged as the first answer.

    There is never an N x M matrix. Beside the embeddings, which are copied only if they are not
    float32 on the queries' device, memory peaks at 80 MB for 115,866 items and at 150 MB for a
    million, however many queries there are and however many items tie.

    Args:
        queries: with the identity and the place of what is wanted.
        gallery: what is searched.
        rule: when an item is right.
        among: the gallery rows that each query may find, if not all; queries may share an array.

    Raises:
        ValueError: embeddings do not fit each other, a gallery item occurs twice, or a query has
            nothing to search.
    """
    wanted_N = _wanted(queries, gallery, among)
    near = _Near(gallery.latlon_N2, rule)
    bank_ME = gallery.embedding_NE.to(queries.embedding_NE.device, torch.float32)
    rows: list[tuple[float, float, int, float]] = []
    step = max(1, BLOCK // len(bank_ME))
    for start in range(0, len(wanted_N), step):
        asked = queries.embedding_NE[start : start + step].to(torch.float32)
        for n, score_M in enumerate((asked @ bank_ME.T).cpu().numpy(), start):
            if among is not None:
                score_M = _only(score_M, among[n])
            rows.append(_judge_one(score_M, wanted_N[n], queries.latlon_N2[n], near))
    found = pd.DataFrame(rows, columns=["rank", "first_rank", "top1", "top1_km"])
    found["gallery_size"] = len(bank_ME) if among is None else [len(rows) for rows in among]
    return _columns(found, rule, percents=among is None)


def judge_scored(
    queries: Items, gallery: Items, rule: Rule, among: Sequence[Indices], scores: Sequence[Floats]
) -> pd.DataFrame:
    """As `judge`, where more than embeddings has decided how good an answer is.

    Args:
        queries: with the identity and the place of what is wanted.
        gallery: what was searched; embeddings are not looked at.
        rule: when an item is right.
        among: the gallery rows that each query may find.
        scores: how good each of these is.

    Raises:
        ValueError: as `judge`, or rows and scores are not as many.
    """
    wanted_N = _wanted(queries, gallery, among)
    near, rows = _Near(gallery.latlon_N2, rule), []
    for n, (items, values) in enumerate(zip(among, scores, strict=True)):
        if len(items) != len(values):
            raise ValueError(f"query {n}: {len(items)} items, but {len(values)} scores")
        score_M = np.full(len(gallery.identity_N), -np.inf)
        score_M[items] = values
        rows.append(_judge_one(score_M, wanted_N[n], queries.latlon_N2[n], near))
    found = pd.DataFrame(rows, columns=["rank", "first_rank", "top1", "top1_km"])
    found["gallery_size"] = [len(items) for items in among]
    return _columns(found, rule, percents=False)


def figures(judged: pd.DataFrame) -> dict[str, float]:
    """Means of what `judge` said of the queries; gallery_size is a mean too, of reduced ones."""
    return {
        "num_queries": len(judged),
        "gallery_size": float(judged["gallery_size"].mean()),
        **{name: float(judged[name].mean()) for name in shares(judged)},
        "top1_mean_km": float(judged["top1_km"].mean()),
    }


def shares(judged: pd.DataFrame) -> list[str]:
    """Columns that tell of each query whether something is so."""
    return [str(name) for name in judged if str(name).startswith(("recall_at_", "top1_at_"))]


def num_of_percent(percent: int, size: int) -> int:
    """Items that are so many percent of a gallery, at least one.

    >>> num_of_percent(1, 115_866), num_of_percent(1, 3103), num_of_percent(1, 40)
    (1158, 31, 1)
    """
    return max(1, size * percent // 100)


class _Near:
    """Finds the gallery items that the rule accepts for where they are."""

    def __init__(self, latlon_M2: Floats, rule: Rule) -> None:
        self.latlon_M2, self.rule = latlon_M2, rule
        if rule.near_km is not None:
            self._tree = cKDTree(sphere.unit_vectors(latlon_M2))
            # A little more than the chord of the distance: the haversine decides.
            self._reach = sphere.chord(rule.near_km, rule.radius_km) * (1 + 1e-6) + 1e-12

    def __call__(self, latlon_2: Floats) -> Indices:
        if self.rule.near_km is None:
            return np.empty(0, np.int64)
        found = self._tree.query_ball_point(sphere.unit_vectors(latlon_2), self._reach)
        rows = np.asarray(found, np.int64)
        return rows[self.km(latlon_2, rows) <= self.rule.near_km]

    def km(self, latlon_2: Floats, rows: Indices) -> Floats:
        return sphere.great_circle_km(self.latlon_M2[rows], latlon_2, self.rule.radius_km)


def _wanted(queries: Items, gallery: Items, among: Sequence[Indices] | None) -> Indices:
    """Gallery row (N,) of the item that each query wants, -1 if it is not there."""
    widths = queries.embedding_NE.shape[1], gallery.embedding_NE.shape[1]
    if widths[0] != widths[1]:
        raise ValueError(f"queries of width {widths[0]} in a gallery of width {widths[1]}")
    names = pd.Index(gallery.identity_N)
    if not names.is_unique:
        raise ValueError(f"the gallery has {names[names.duplicated()][0]!r} more than once")
    if among is not None and len(among) != len(queries.identity_N):
        raise ValueError(f"{len(queries.identity_N)} queries, but {len(among)} reduced galleries")
    if among is not None and (empty := [n for n, rows in enumerate(among) if len(rows) == 0]):
        raise ValueError(f"the reduced gallery of query {empty[0]} is empty")
    return np.asarray(names.get_indexer(pd.Index(queries.identity_N)), np.int64)


def _only(score_M: NDArray[np.float32], rows: Indices) -> NDArray[np.float32]:
    kept_M = np.full_like(score_M, -np.inf)
    kept_M[rows] = score_M[rows]
    return kept_M


def _judge_one(
    score_M: NDArray[np.floating], wanted: int, latlon_2: Floats, near: _Near
) -> tuple[float, float, int, float]:
    """Rank, rank for the first answer, the answer and its distance."""
    itself = np.array([wanted] if wanted >= 0 else [], np.int64)
    right = np.union1d(itself, near(latlon_2))
    first_rank = _rank(score_M, right)
    rank = _rank(score_M, itself) if near.rule.near_only_first else first_rank
    tied = np.flatnonzero(score_M >= score_M.max() - TIE)
    tied_km = near.km(latlon_2, tied)
    farthest = int(tied_km.argmax())
    return rank, first_rank, int(tied[farthest]), float(tied_km[farthest])


def _rank(score_M: NDArray[np.floating], right: Indices) -> float:
    """Wrong items that are at least as similar as the best right one."""
    best = score_M[right].max(initial=-np.inf)
    if best == -np.inf:
        return np.inf
    return float((score_M >= best - TIE).sum() - (score_M[right] >= best - TIE).sum())


def _columns(found: pd.DataFrame, rule: Rule, *, percents: bool) -> pd.DataFrame:
    size = int(found["gallery_size"].iloc[0])
    first = {f"recall_at_{k}": k for k in RECALLS}
    if percents:
        first |= {f"recall_at_{p}pct": num_of_percent(p, size) for p in PERCENTS}
    for name, k in first.items():
        found[name] = found["first_rank" if k == 1 else "rank"] < k
    for name, km in rule.top1_km.items():
        found[f"top1_at_{name}"] = found["top1_km"] <= km
    return found.drop(columns="first_rank")
