"""Which recordings belong together, so that no split tears them apart.

Recordings of one ride, walk or flight follow each other in time and place; copies and re-encodings
show the same pictures. Both are one group, and a group is never in two splits.

Belongs here: groups of recordings, and their splits. Does not belong here: what a recording is
(recordings.py), how groups are drawn into splits (vidtag_ml.clips).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vidtag_ml import clips, config, geo
from vidtag_ml.sources import published

PAUSE_S = 600.0
"""Recordings that begin so soon after another's end may go on with it ..."""
WAY_KM = 30.0
"""... if they begin within this distance of its end."""
LOOK_BACK = 50
"""Earlier recordings that a recording may go on with."""
ALIKE = 0.5
"""Share of the pictures of the shorter recording that a copy of it shows, too."""
FLAT = 8
"""A picture's signature with fewer bits set, or not set, is of a wall or the night."""


class Marks:
    """What tells recordings apart, collected one by one."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.names: list[str] = []
        self.times: list[tuple[float, float]] = []
        self.ends: list[tuple[float, float, float, float]] = []
        self.pictures: list[frozenset[int]] = []

    def add(self, clip_id: str, found: Mapping[str, Any]) -> None:
        """Remembers a recording by its journal entry."""
        began_s, clip, fixes = found["began_utc_s"], found["clip"], found["fixes"]
        places = zip(fixes["lat"], fixes["lon"], fixes["status"], strict=True)
        kept = [(lat, lon) for lat, lon, status in places if status != "dropped"]
        duration_s = clip["duration_s"]
        lasts_s = 0.0 if math.isnan(duration_s) else duration_s
        self.names.append(clip_id)
        self.times.append((began_s, began_s + lasts_s))
        self.ends.append((*kept[0], *kept[-1]))
        self.pictures.append(frozenset(s for s in found["signature"] if _is_distinct(s)))

    def groups(self) -> dict[str, str]:
        """The group of each recording: the first name among those that belong together."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        num = len(self.names)
        pairs = np.array([*self._going_on(), *self._alike()], np.intp).reshape(-1, 2)
        edges = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(num, num))
        _, label_N = connected_components(edges, directed=False)
        first: dict[int, str] = {}
        for name, label in sorted(zip(self.names, label_N.tolist(), strict=True)):
            first.setdefault(label, name)
        return {name: first[label] for name, label in zip(self.names, label_N, strict=True)}

    def _going_on(self) -> list[tuple[int, int]]:
        """Pairs of which one begins soon after the other's end, and near it."""
        order = [k for k in range(len(self.names)) if not math.isnan(self.times[k][0])]
        order.sort(key=lambda k: self.times[k])
        pairs = []
        for at, later in enumerate(order):
            for earlier in order[max(0, at - LOOK_BACK) : at]:
                pause_s = self.times[later][0] - self.times[earlier][1]
                way = (self.ends[earlier][2:], self.ends[later][:2])
                if pause_s <= PAUSE_S and float(geo.great_circle_km(*way)) <= WAY_KM:
                    pairs.append((earlier, later))
        return pairs

    def _alike(self) -> list[tuple[int, int]]:
        """Pairs that show the same pictures."""
        showing: dict[int, list[int]] = defaultdict(list)
        pairs = []
        for k, pictures in enumerate(self.pictures):
            shared = Counter(other for p in pictures for other in showing[p])
            for other, count in shared.items():
                if count >= ALIKE * min(len(pictures), len(self.pictures[other])):
                    pairs.append((other, k))
            for picture in pictures:
                if len(showing[picture]) < LOOK_BACK:
                    showing[picture].append(k)
        return pairs


def split(tables: clips.Tables, settings: config.Clips) -> clips.Tables:
    """The tables with splits drawn by group; groups that lie near each other go together."""
    rows = tables.clips
    group_of = dict(zip(rows["clip_id"], rows["group_id"], strict=True))
    if settings.min_split_km > 0:
        united = clips.near_groups(tables.fixes, group_of, settings.min_split_km)
        group_of = {clip: united[group] for clip, group in group_of.items()}
    sizes = published.sizes(settings, *clips.SPLITS)
    drawn: Sequence[str] = [group_of[clip] for clip in rows["clip_id"]]
    return replace(
        tables, clips=rows.assign(split=clips.assign_splits(drawn, sizes, settings.seed))
    )


def _is_distinct(signature: int) -> bool:
    """Whether a picture shows enough to be told from others."""
    return FLAT <= signature.bit_count() <= 64 - FLAT
