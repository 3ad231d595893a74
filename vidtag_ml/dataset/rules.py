"""Rules that tables must keep, and the clips that break them.

Belongs here: rules within and across tables, each with a reason in words. Does not belong here:
columns and types (tables.py), what becomes of a recording (ingest/own).
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from vidtag_ml.dataset import splits
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.tables import KINDS, MODES, SPLITS, Tables
from vidtag_ml.earth import tracks


def problems(
    tables: Tables,
    max_speed_kmh: Mapping[str, float] | None = None,
    min_split_km: float = 0.0,
) -> list[dict[str, str]]:
    """What is wrong with the tables: one dict of clip_id and reason each; empty if nothing is.

    Args:
        tables: a dataset.
        max_speed_kmh: limit by mode; without it, speeds are not judged.
        min_split_km: how far val and test must be from train; 0 = any distance will do.
    """
    found = [*_clip_problems(tables), *_fix_problems(tables, max_speed_kmh or {})]
    told = [{"clip_id": clip, "reason": reason} for clip, reason in found]
    return told + (splits.too_close(tables, min_split_km) if min_split_km > 0 else [])


def _clip_problems(tables: Tables) -> Iterator[tuple[str, str]]:
    clips = tables.clips
    for clip in clips.loc[clips["clip_id"].duplicated(), "clip_id"]:
        yield clip, "clip_id occurs more than once"
    num_splits = clips.groupby("group_id")["split"].nunique()
    torn = clips[clips["group_id"].isin(num_splits.index[num_splits > 1])]
    splits_of = torn.groupby("group_id")["split"].agg(lambda split: sorted(set(split.dropna())))
    for clip, group in zip(torn["clip_id"], torn["group_id"], strict=True):
        yield clip, f"group {group} is in splits {', '.join(splits_of[group])}"
    for column, allowed in (("split", SPLITS), ("mode", MODES), ("kind", KINDS)):
        wrong = clips.loc[~clips[column].isin(allowed), ["clip_id", column]]
        for clip, value in wrong.itertuples(index=False):
            yield clip, f"{column} is {value!r}, not one of {', '.join(allowed)}"
    for clip in clips.loc[clips["num_frames"] < 1, "clip_id"]:
        yield clip, "has no frame"
    strangers = set(tables.fixes["clip_id"].dropna().unique()) - set(clips["clip_id"])
    for clip in sorted(strangers):
        yield clip, "has fixes but no row in clips"


def _fix_problems(tables: Tables, max_speed_kmh: Mapping[str, float]) -> list[tuple[str, str]]:
    """In the order of the table of clips; those of one clip in the order of the rules."""
    clips, fixes = tables.clips, clip_tables.kept_fixes(tables.fixes)
    without = clips.loc[~clips["clip_id"].isin(fixes["clip_id"].unique()), "clip_id"]
    off = fixes[~clip_tables.on_earth(fixes)].drop_duplicates("clip_id")
    on_earth = _without(fixes, off["clip_id"])
    at_zero = on_earth[(on_earth[["lat", "lon"]].abs() < 1e-6).all(axis=1)]["clip_id"].unique()
    mode_of = dict(zip(clips["clip_id"], clips["mode"], strict=True))
    found = [
        *((clip, "has no fix") for clip in without),
        *(
            (clip, f"position {lat}, {lon} is not on Earth")
            for clip, lat, lon in off[["clip_id", "lat", "lon"]].itertuples(index=False)
        ),
        *((clip, "position 0, 0: a receiver without a fix") for clip in at_zero),
        *_motion_problems(on_earth, mode_of, max_speed_kmh),
    ]
    place = {clip: k for k, clip in enumerate(clips["clip_id"])}
    return sorted((f for f in found if f[0] in place), key=lambda f: place[f[0]])


def _motion_problems(
    fixes: pd.DataFrame, mode_of: Mapping[str, str], max_speed_kmh: Mapping[str, float]
) -> Iterator[tuple[str, str]]:
    timed = fixes[np.isfinite(fixes["time_s"])]
    same_clip = timed["clip_id"] == timed["clip_id"].shift(-1)
    back = timed[same_clip & (timed["time_s"].shift(-1) <= timed["time_s"])]
    back = back.drop_duplicates("clip_id")
    for clip, time_s in back[["clip_id", "time_s"]].itertuples(index=False):
        yield clip, f"fix times do not grow after {time_s} s"
    timed = _without(timed, back["clip_id"])
    clip_T, names = pd.factorize(timed["clip_id"])
    speeds_kmh = tracks.speeds_kmh(timed["time_s"], timed[["lat", "lon"]], tracks.SPAN_S, clip_T)
    fastest_kmh = np.zeros(len(names))
    np.fmax.at(fastest_kmh, clip_T[:-1], speeds_kmh)
    limit_kmh = np.array([max_speed_kmh.get(mode_of.get(clip, ""), np.inf) for clip in names])
    for k in np.flatnonzero(fastest_kmh > limit_kmh).tolist():
        limit = f"the limit of {mode_of[names[k]]} is {limit_kmh[k]:.0f}"
        yield names[k], f"moves at {fastest_kmh[k]:.0f} km/h; {limit}"


def _without(fixes: pd.DataFrame, clip_ids: pd.Series) -> pd.DataFrame:
    """The fixes of all other clips; no copy if that is all of them."""
    return fixes if clip_ids.empty else fixes[~fixes["clip_id"].isin(clip_ids)]
