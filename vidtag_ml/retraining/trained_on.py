"""What a model was trained on: a row a clip, small enough to be kept beside the model.

Belongs here: making that table, what changed since. Does not belong here: how far new clips are
from old ones (drift.py), where tables are kept (vidtag_assets). Shape legend: N clips, D features.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.ingest.own import journal
from vidtag_ml.ingest.own.records import Accepted

Floats = NDArray[np.float64]

MOST = 2000
"""Clips whose embeddings are kept: of 1,792 features that is 14 MB."""
LABELS = ["split", "city", "state", "country", "continent"]
_DEGREES_AN_HOUR = 15.0


@dataclass(frozen=True)
class Counts:
    """How the clips of today differ from those of a model."""

    came: int
    went: int
    changed: int
    """Same video, other positions, labels or split."""
    of: int
    """Clips of the model."""

    @property
    def share(self) -> float:
        """All differences, as a share of the model's clips."""
        return (self.came + self.went + self.changed) / self.of

    def __str__(self) -> str:
        """In words."""
        told = f"{self.came} came, {self.went} went, {self.changed} changed"
        return f"{told}: {self.share:.1%} of {self.of}"


def clips(tables: Tables, began_utc_s: Mapping[str, float]) -> pd.DataFrame:
    """A row for each clip that has a position.

    Columns: clip_id, content_md5, group_id, split, lat and lon of the middle fix, hour of the day
    by the sun (NaN = unknown), and truth, which tells positions and labels apart.

    Args:
        tables: the dataset.
        began_utc_s: when clips began, in seconds since 1970, of those that are known.
    """
    fixes = tables.kept
    of_clip = fixes.groupby("clip_id")["clip_id"]
    middle = fixes[of_clip.cumcount() == of_clip.transform("size") // 2]
    found = tables.clips.merge(middle[["clip_id", "lat", "lon"]], on="clip_id")
    began = found["clip_id"].map(dict(began_utc_s)).astype(float).to_numpy()
    found["hour"] = solar_hour(began, found["lon"].to_numpy())
    found["truth"] = _truth(found, fixes)
    columns = ["clip_id", "content_md5", "group_id", "split", "lat", "lon", "hour", "truth"]
    return found[columns].sort_values("clip_id").reset_index(drop=True)


def solar_hour(utc_s: ArrayLike, lon: ArrayLike) -> Floats:
    """Hours (N,) of the day by the mean sun, in [0, 24), at times in seconds since 1970.

    >>> float(solar_hour(0.0, -30.0))
    22.0
    """
    hours = np.asarray(utc_s, float) / 3600.0 + np.asarray(lon, float) / _DEGREES_AN_HOUR
    return np.asarray(hours % 24.0)


def _truth(found: pd.DataFrame, fixes: pd.DataFrame) -> list[str]:
    """A digest of the fixes and labels of each clip."""
    of_fix = pd.util.hash_pandas_object(fixes[["time_s", "lat", "lon"]], index=False)
    of_fixes = of_fix.groupby(fixes["clip_id"]).sum()  # uint64 wraps around, order does not count
    of_labels = pd.util.hash_pandas_object(found[LABELS].astype(str), index=False)
    both = zip(of_fixes[found["clip_id"]], of_labels, strict=True)
    return [f"{fix:016x}{label:016x}" for fix, label in both]


def began_utc_s(root: Path) -> dict[str, float]:
    """When clips of own recordings began, in seconds since 1970, of those that know it."""
    journals = (folder for folder in root.glob(f"data/*/{journal.FOLDER}"))
    entries = (entry for folder in journals for entry in journal.read_all(folder))
    accepted = (one for entry in entries for one in entry.found if isinstance(one, Accepted))
    times = ((one.clip.clip_id, one.began_utc_s) for one in accepted)
    return {clip: time for clip, time in times if math.isfinite(time)}


def with_embeddings(some: pd.DataFrame, store: FeatureStore) -> pd.DataFrame:
    """The clips with a column `embedding`: vectors (D,) of length 1, of at most `MOST` of them.

    It is the mean of the features of a clip's frames, those of each encoder scaled to the same
    length; None of the others, and where the store does not have the clip.
    """
    chosen = {clip for clip in sample(some, MOST)["clip_id"] if clip in store.clips}
    embeddings = [_embedding(store, clip) if clip in chosen else None for clip in some["clip_id"]]
    return some.assign(embedding=pd.Series(embeddings, some.index, dtype=object))


def sample(some: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many of the clips, always the same ones, in their order."""

    def rank(clip: str) -> str:
        return hashlib.md5(clip.encode(), usedforsecurity=False).hexdigest()

    chosen = some["clip_id"].map(rank).sort_values().index[:most]
    return some.loc[chosen.sort_values()].reset_index(drop=True)


def _embedding(store: FeatureStore, clip_id: str) -> NDArray[np.float32]:
    mean_D = store.clip(clip_id).features_TD.float().mean(0).numpy()
    ends = np.cumsum([*store.widths.values()])[:-1]
    parts = [part / np.linalg.norm(part) for part in np.split(mean_D, ends)]
    return np.asarray(np.concatenate(parts) / math.sqrt(len(parts)), np.float32)


def counts(then: pd.DataFrame, now: pd.DataFrame) -> Counts:
    """How clips differ from those of a model; a video is known by its bytes."""
    before = then.drop_duplicates("content_md5").set_index("content_md5")["truth"]
    after = now.drop_duplicates("content_md5").set_index("content_md5")["truth"]
    both = before.index.intersection(after.index)
    return Counts(
        came=len(after) - len(both),
        went=len(before) - len(both),
        changed=int((before[both] != after[both]).sum()),
        of=len(before),
    )


def came(then: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The clips whose videos the model did not have."""
    return now[~now["content_md5"].isin(then["content_md5"])].reset_index(drop=True)
