"""Splits: which clips are learnt from, and how far the others are from those.

Belongs here: drawing splits by group, tying groups that are near, distances between splits. Does
not belong here: the tables (tables.py), rules that tables must keep (rules.py).
Shape legend: N fixes, G groups, P pairs.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.earth import sphere


def assign_splits(group_ids: Sequence[str], sizes: Mapping[str, float], seed: int) -> list[str]:
    """The split of each of `group_ids`; equal ids get equal splits.

    Groups are shuffled by a hash of seed and id, so their order in the list does not matter. As
    many groups go to each split as `sizes` says, scaled to the number of groups; no split whose
    size is positive stays empty while another has two groups.

    Args:
        group_ids: one id a clip, repeated for clips of one drive, flight or ride.
        sizes: counts of groups or shares by split, for example {"train": 0.8, "val": 0.2}.
        seed: another seed gives another shuffle.
    """
    if not sizes or min(sizes.values()) < 0 or sum(sizes.values()) <= 0:
        raise ValueError(f"sizes of splits must be positive, not {dict(sizes)}")

    def rank(group: str) -> str:
        return hashlib.md5(f"{seed}:{group}".encode(), usedforsecurity=False).hexdigest()

    groups = sorted(set(group_ids), key=rank)
    exact = np.array(list(sizes.values()), float) / sum(sizes.values()) * len(groups)
    counts = np.floor(exact + 1e-9).astype(int)
    for k in np.argsort(counts - exact, kind="stable")[: len(groups) - counts.sum()]:
        counts[k] += 1
    for k in np.flatnonzero((exact > 0) & (counts == 0)):
        if counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[k] += 1
    names = [name for name, count in zip(sizes, counts, strict=True) for _ in range(count)]
    split_of = dict(zip(groups, names, strict=True))
    return [split_of[group] for group in group_ids]


def near_groups(fixes: pd.DataFrame, group_of_clip: Mapping[str, str], km: float) -> dict[str, str]:
    """For each group the first, by name, of all to which fixes nearer than `km` tie it.

    Ties are transitive. Splits that `assign_splits` draws from these names in place of the groups'
    own are nowhere nearer to each other than `km`. Dropped fixes do not count. Memory grows with
    the number of fixes, however many lie in one place.
    """
    names = np.array(sorted(set(group_of_clip.values())), object)
    kept = clip_tables.kept_fixes(fixes)
    placed = kept[clip_tables.on_earth(kept) & kept["clip_id"].isin(group_of_clip.keys())]
    group_of_fix = pd.Index(names).get_indexer(placed["clip_id"].map(group_of_clip))
    placed = placed.assign(group=group_of_fix)
    # Groups that share a place exactly are tied; from here on a place is one point.
    first = placed.groupby(["lat", "lon"])["group"].transform("min")
    label_G = _united(np.arange(len(names)), np.stack([placed["group"], first], -1))
    points = placed.drop_duplicates(["lat", "lon"])
    group_N, vectors_N3 = points["group"].to_numpy(), sphere.unit_vectors(points[["lat", "lon"]])
    while len(group_N):
        label_N, near_N = label_G[group_N], np.zeros(len(group_N), bool)
        for pairs in _neighbours(vectors_N3, label_N, sphere.chord(km)):
            label_G, near_N[pairs] = _united(label_G, label_G[group_N[pairs]]), True
        # A point that has no neighbour in another group will have none in a larger one.
        group_N, vectors_N3 = group_N[near_N], vectors_N3[near_N]
    return dict(zip(names, names[label_G], strict=True))


def too_close(tables: Tables, km: float) -> list[dict[str, str]]:
    """Clips of val and test with a fix nearer than `km` to one of train: clip_id and reason each.

    The reason names the train clip that is nearest. Dropped fixes do not count.
    """
    from scipy.spatial import cKDTree

    kept = clip_tables.kept_fixes(tables.fixes)
    split_of = dict(zip(tables.clips["clip_id"], tables.clips["split"], strict=True))
    placed = kept[clip_tables.on_earth(kept)].assign(split=kept["clip_id"].map(split_of))
    train = placed[placed["split"] == "train"].drop_duplicates(["lat", "lon"])
    held_out = placed[placed["split"].isin(["val", "test"])]
    if train.empty or held_out.empty:
        return []
    tree = cKDTree(sphere.unit_vectors(train[["lat", "lon"]]))
    vectors = sphere.unit_vectors(held_out[["lat", "lon"]])
    chord, nearest = tree.query(vectors, distance_upper_bound=sphere.chord(km))
    near = held_out.assign(chord=chord, nearest=nearest)[nearest < len(train)]
    near = near.sort_values("chord", kind="stable").drop_duplicates("clip_id").sort_index()
    other = train.iloc[near["nearest"]]
    away_km = sphere.great_circle_km(near[["lat", "lon"]], other[["lat", "lon"]])
    told = zip(near["clip_id"], near["split"], away_km, other["clip_id"], strict=True)
    return [
        {"clip_id": clip, "reason": f"is in {split}, {away:.3g} km from {of_train}, in train"}
        for clip, split, away, of_train in told
    ]


def _united(label_G: NDArray[np.intp], pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Labels (G,) after those in `pairs` (P, 2) became one; a label is the least of its group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    num = len(label_G)
    edges = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(num, num))
    num_components, component_G = connected_components(edges, directed=False)
    least = np.full(num_components, num)
    np.minimum.at(least, component_G, np.arange(num))
    return np.asarray(least[component_G][label_G], np.intp)


def _neighbours(
    vectors_N3: NDArray[np.float64], label_N: NDArray[np.intp], chord: float
) -> Iterator[NDArray[np.intp]]:
    """Pairs (P, 2) of points nearer than `chord` with different labels, a few at a time.

    All pairs may be too many: each point that has such a neighbour is in one or more. Labels that
    differ do so in a bit, so for each bit the nearest point on the other side is looked up.
    """
    from scipy.spatial import cKDTree

    _, number_N = np.unique(label_N, return_inverse=True)
    for bit in range(int(number_N.max()).bit_length()):
        has_bit = (number_N >> bit & 1).astype(bool)
        sides = np.flatnonzero(has_bit), np.flatnonzero(~has_bit)
        for here, there in (sides, sides[::-1]):
            tree = cKDTree(vectors_N3[there])
            _, nearest = tree.query(vectors_N3[here], distance_upper_bound=chord)
            found = nearest < len(there)
            yield np.stack([here[found], there[nearest[found]]], -1)
