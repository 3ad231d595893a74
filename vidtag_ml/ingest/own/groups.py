"""Which recordings belong together, so that no split tears them apart.

Recordings of one ride, walk or flight follow each other in time and place; copies and re-encodings
show the same pictures. Both are one group, and a group is never in two splits.

Belongs here: groups of recordings, and their splits. Does not belong here: what a recording is
(records.py). Shape legend: K recordings, P pictures or pairs, N fixes.
"""

import hashlib
import itertools
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.dataset import splits, tables
from vidtag_ml.earth import sphere
from vidtag_ml.ingest.own.records import Accepted
from vidtag_ml.ingest.published import tables as published

PAUSE_S = 600.0
"""Recordings that begin so soon after another's end may go on with it ..."""
WAY_KM = 30.0
"""... if they begin within this distance of its end."""
LOOK_BACK = 50
"""Earlier recordings that a recording may go on with."""
ALIKE = 0.5
"""Share of the pictures of the shorter recording that a copy of it shows, too."""
NEAR_BITS = 4
"""A picture that was encoded anew differs from its original in so many bits of 64 at most ..."""
NEARLY_ALIKE = 0.75
"""... so this share of the pictures may differ by so little, of the shorter recording ..."""
NEAR_PICTURES = 4
"""... and so many at least."""
FLAT = 8
"""A picture's signature with fewer bits set, or not set, is of a wall or the night."""
_BANDS = tuple(((1 << 64 * (k + 1) // 6) - (1 << 64 * k // 6)) for k in range(6))
BAND_POINTS = 200_000
"""Fixes that are held against each other at once, where no more lie so near each other."""


class Marks:
    """What tells recordings apart, collected one by one; some hundred bytes each.

    Where groups must keep a distance, the places of fixes are kept as well: 24 bytes each.
    """

    def __init__(self, settings: config.Clips) -> None:
        """Nothing is known yet; `settings` say how splits are drawn."""
        self.settings = settings
        self.names: list[str] = []
        self._added_ns, self._facts = array("q"), array("d")
        self._pictures, self._shown_by = array("Q"), array("l")
        self._latlon, self._fix_of = array("d"), array("l")

    def add(self, found: Accepted, added_ns: int = 0) -> None:
        """Remembers a recording, and when the run began that took it in."""
        began_s, fixes, lasts_s = found.began_utc_s, found.fixes, found.clip.duration_s
        places = zip(fixes["lat"], fixes["lon"], fixes["status"], strict=True)
        kept = [(lat, lon) for lat, lon, status in places if status != "dropped"]
        ended_s = began_s + (0.0 if math.isnan(lasts_s) else lasts_s)
        pictures = {s for s in found.signature if _is_distinct(s)}
        number = len(self.names)
        self.names.append(found.clip.clip_id)
        self._added_ns.append(added_ns)
        self._facts.extend((began_s, ended_s, *kept[0], *kept[-1]))
        self._pictures.extend(pictures)
        self._shown_by.extend([number] * len(pictures))
        if self.settings.min_split_km > 0:
            self._fix_of.extend([number] * len(kept))
            self._latlon.extend(itertools.chain(*kept))

    def groups(self) -> dict[str, str]:
        """The group of each recording: the first name among those that belong together."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        num = len(self.names)
        pairs_P2 = np.concatenate([self._going_on(), self._alike()])
        edges = coo_array((np.ones(len(pairs_P2), bool), tuple(pairs_P2.T)), shape=(num, num))
        _, label_K = connected_components(edges, directed=False)
        first: dict[int, str] = {}
        for k in sorted(range(num), key=self.names.__getitem__):
            first.setdefault(label_K[k], self.names[k])
        return {name: first[label] for name, label in zip(self.names, label_K, strict=True)}

    def splits(self, group_of: Mapping[str, str]) -> dict[str, str]:
        """The split of each group; groups nearer than `min_split_km` to each other share one.

        What is added later moves no group. Each is drawn by a hash of the seed and the name of its
        founder, the recording that was taken in first: of one run, the first by another hash. In
        order of their founders, groups fill the splits that are still empty (train, val, test)
        before the hash decides, so that no split is empty while another has two groups. The shares
        hold for many groups; few may be off. What moves nonetheless: groups that a new recording
        ties together go where the oldest of them is, and when the oldest groups are deleted, others
        fill their splits.
        """
        settings = self.settings
        united = {group: group for group in group_of.values()}
        if settings.min_split_km > 0:
            united = self._united(group_of, settings.min_split_km)
        founder: dict[str, tuple[int, float, float]] = {}
        for name, added_ns in zip(self.names, self._added_ns, strict=True):
            drawn = (added_ns, *_lots(f"{settings.seed}:{name}"))
            place = united[group_of[name]]
            founder[place] = min(founder.get(place, drawn), drawn)
        split_of = _draw(founder, published.sizes(settings, *tables.SPLITS))
        return {group: split_of[place] for group, place in united.items()}

    def _going_on(self) -> NDArray[np.intp]:
        """Pairs (P, 2) of which one begins soon after the other's end, and near it."""
        facts_K6 = np.array(self._facts).reshape(-1, 6)
        timed = np.flatnonzero(~np.isnan(facts_K6[:, 0]))
        order = timed[np.lexsort((facts_K6[timed, 1], facts_K6[timed, 0]))]
        pairs = [np.empty((0, 2), np.intp)]
        for back in range(1, min(LOOK_BACK, len(order) - 1) + 1):
            earlier, later = order[:-back], order[back:]
            soon = facts_K6[later, 0] - facts_K6[earlier, 1] <= PAUSE_S
            earlier, later = earlier[soon], later[soon]
            way_km = sphere.great_circle_km(facts_K6[earlier, 4:], facts_K6[later, 2:4])
            pairs.append(np.stack([earlier, later], -1)[way_km <= WAY_KM])
        return np.concatenate(pairs)

    def _alike(self) -> NDArray[np.intp]:
        """Pairs (P, 2) that show the same pictures, or most of them after an encoding."""
        order = np.lexsort((self._shown_by, self._pictures))
        picture_N, shown_by_N = np.array(self._pictures)[order], np.array(self._shown_by)[order]
        shown_K = np.bincount(shown_by_N, minlength=len(self.names))
        near_P2 = _near(picture_N)
        near_P2 = near_P2[shown_by_N[near_P2[:, 0]] != shown_by_N[near_P2[:, 1]]]
        equal_P2 = near_P2[picture_N[near_P2[:, 0]] == picture_N[near_P2[:, 1]]]
        found = []
        for same_P2, share, least in ((equal_P2, ALIKE, 1), (near_P2, NEARLY_ALIKE, NEAR_PICTURES)):
            pairs_P2, count_P = _counted(same_P2, shown_by_N)
            enough_P = np.maximum(least, share * shown_K[pairs_P2].min(1))
            found.append(pairs_P2[count_P >= enough_P])
        return np.concatenate(found)

    def _united(self, group_of: Mapping[str, str], km: float) -> dict[str, str]:
        """For each group a name that all share which fixes nearer than `km` tie together."""
        of_K = np.array([group_of[name] for name in self.names], object)
        label_of = {group: group for group in group_of.values()}
        latlon_N2, fix_of_N = np.array(self._latlon).reshape(-1, 2), np.array(self._fix_of)
        for near in _bands(latlon_N2[:, 0], km):
            label = [label_of[group] for group in of_K[fix_of_N[near]]]
            lat, lon = latlon_N2[near].T
            fixes = pd.DataFrame(
                {"clip_id": label, "time_s": 0.0, "lat": lat, "lon": lon, "status": "measured"}
            )
            united = splits.near_groups(fixes, dict(zip(label, label, strict=True)), km)
            label_of = {group: united.get(name, name) for group, name in label_of.items()}
        return label_of


def _near(picture_N: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Pairs (P, 2) of pictures, given in order, whose signatures differ in a few bits.

    Of six bands of bits, those few leave two as they are: for any two bands, pictures are sorted by
    them, and each is compared with the next ones that have the same. Of a crowd with the same two
    bands, not all pairs are compared.
    """
    found = [np.empty((0, 2), np.intp)]
    for bands in itertools.combinations(_BANDS, 2):
        key_N = picture_N & np.uint64(sum(bands))
        order = np.argsort(key_N, kind="stable")
        key_N, at = key_N[order], np.arange(len(order))
        for away in range(1, LOOK_BACK + 1):
            at = at[at + away < len(order)]
            at = at[key_N[at] == key_N[at + away]]
            pairs_P2 = np.sort(np.stack([order[at], order[at + away]], -1), axis=1)
            differ_P = np.bitwise_count(picture_N[pairs_P2[:, 0]] ^ picture_N[pairs_P2[:, 1]])
            found.append(pairs_P2[differ_P <= NEAR_BITS])
    return np.unique(np.concatenate(found), axis=0)


def _counted(
    pictures_P2: NDArray[np.intp], shown_by_N: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of recordings, and how many pictures of either, or fewer, are among the other's."""
    shown_by_P2 = shown_by_N[pictures_P2]
    turned_P = shown_by_P2[:, 0] > shown_by_P2[:, 1]
    pictures_P2 = np.where(turned_P[:, None], pictures_P2[:, ::-1], pictures_P2)
    recordings_P2 = np.sort(shown_by_P2, axis=1)
    counts = []
    for side in range(2):
        shown = np.unique(np.column_stack([recordings_P2, pictures_P2[:, side]]), axis=0)
        pairs_P2, count_P = np.unique(shown[:, :2], axis=0, return_counts=True)
        counts.append(count_P)
    return pairs_P2, np.minimum(*counts)


def _bands(lat_N: NDArray[np.float64], km: float) -> Iterator[NDArray[np.intp]]:
    """Fixes by latitude, so that any two that are nearer than `km` are together once."""
    order = np.argsort(lat_N, kind="stable")
    sorted_N = lat_N[order]
    overlap = 1.01 * math.degrees(km / sphere.EARTH_RADIUS_KM)
    start = end = 0
    while end < len(order):
        reach = np.searchsorted(sorted_N, sorted_N[end] + overlap, "right")
        end = min(len(order), max(start + BAND_POINTS, int(reach)))
        yield order[start:end]
        start = int(np.searchsorted(sorted_N, sorted_N[end - 1] - overlap))


def _lots(text: str) -> tuple[float, float]:
    """Two independent numbers from 0 to 1 that follow from a text."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:6]) / 2**48, int.from_bytes(digest[6:12]) / 2**48


def _draw(
    founder: Mapping[str, tuple[int, float, float]], sizes: Mapping[str, float]
) -> dict[str, str]:
    """The split of each group by its place in the order of founders, and its last number."""
    names: Sequence[str] = [name for name, size in sizes.items() if size > 0]
    if not names or min(sizes.values()) < 0:
        raise ValueError(f"sizes of splits must be positive, not {dict(sizes)}")
    ends = np.cumsum([sizes[name] for name in names]) / sum(sizes.values())
    empty, split_of = list(names), {}
    for group, (*_, lot) in sorted(founder.items(), key=lambda item: item[1]):
        drawn = names[int(np.searchsorted(ends[:-1], lot, "right"))]
        split_of[group] = empty.pop(0) if empty else drawn
    return split_of


def _is_distinct(signature: int) -> bool:
    """Whether a picture shows enough to be told from others."""
    return FLAT <= signature.bit_count() <= 64 - FLAT
