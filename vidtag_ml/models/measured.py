"""What a recording's own receiver says of where it was: the truth beside a located track.

Belongs here: which of its positions count at the frames of a track, and what is told of the others.
Does not belong here: where positions are and which are believed (ingest/own/positions.py,
ingest/own/plausibility.py), drawing and printing them (plots/maps.py, cli/output.py).
Shape legend: T frames, N pictures, 2 = (lat, lon) in degrees.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import tracks
from vidtag_ml.ingest.own import plausibility, positions
from vidtag_ml.ingest.telemetry import points
from vidtag_ml.media import video
from vidtag_ml.models import recording
from vidtag_ml.models.recording import Began, Pictures, Recording, Video

Floats = NDArray[np.float64]

MAX_GAP_S = 10.0
"""Between two positions of a video up to so far apart it is known where it was."""
HELD = "one location tag, held for the whole video"


@dataclass(frozen=True, eq=False)
class Measured:
    """What a recording says of where it was, and how much of that is believed."""

    latlon_T2: Floats | None
    """Positions at the frames of a track, NaN where none is known; None = too few are believed."""
    source: str
    """The kind of telemetry, location_tag or EXIF; empty if nothing in the recording can be used.
    """
    num_fixes: int
    """How many positions there are."""
    num_dropped: int
    """How many of them are not believed."""
    told: tuple[str, ...]
    """What was dropped and why, what was assumed, a sentence each."""
    began: Began | None = None
    """When the recording began, by its receiver or, failing that, its container."""

    @property
    def held(self) -> bool:
        """Whether a single tag stands for all frames."""
        return self.source == "location_tag" and self.latlon_T2 is not None


def measured(
    seen: Recording, time_s: Floats, mode: str, max_speed_kmh: Mapping[str, float]
) -> Measured | None:
    """What a recording says of where it was at some times (T,); None if it says nothing.

    Args:
        seen: a video, perhaps with telemetry, a track beside it or a location tag; or photos.
        time_s: times from the first frame; those of all photos.
        mode: how it moved: that of the clips that its model was trained on.
        max_speed_kmh: limit by mode, above which a position is not believed.
    """
    if isinstance(seen, Pictures):
        return _of_pictures(seen, mode, max_speed_kmh)
    return _of_video(seen, time_s, mode, max_speed_kmh)


def _of_video(
    seen: Video, time_s: Floats, mode: str, max_speed_kmh: Mapping[str, float]
) -> Measured | None:
    duration_s = video.length_s(seen.path)
    try:
        placed = positions.place(seen.path, duration_s, mode, 0.0, MAX_GAP_S, max_speed_kmh)
    except positions.NoPositionError as error:
        return Measured(None, "", 0, 0, error.missed) if error.missed else None
    kept = placed.fixes[placed.fixes["status"] != "dropped"]
    latlon_K2 = kept[["lat", "lon"]].to_numpy(float)
    latlon_T2, told = None, tuple(placed.repairs)
    if placed.fix_source == "location_tag":
        latlon_T2, told = np.repeat(latlon_K2, len(time_s), axis=0), (*told, HELD)
    elif len(kept) > 1:
        latlon_T2, _ = tracks.positions_at(kept["time_s"], latlon_K2, time_s, MAX_GAP_S)
    by_receiver = kept["utc_s"].notna().any()
    return Measured(
        None if latlon_T2 is None or np.isnan(latlon_T2).all() else latlon_T2,
        placed.fix_source,
        len(placed.fixes),
        len(placed.fixes) - len(kept),
        told,
        recording.began(
            placed.began_utc_s, placed.fix_source if by_receiver else recording.CONTAINER
        ),
    )


def _of_pictures(seen: Pictures, mode: str, max_speed_kmh: Mapping[str, float]) -> Measured | None:
    """Photos are where they say that they were taken; no two tell of a third."""
    placed_K = np.flatnonzero(np.isfinite(seen.latlon_N2).all(-1))
    if not len(placed_K):
        return None
    lat_K, lon_K = seen.latlon_N2[placed_K].T
    # Numbers in place of times tell no speed.
    time_K = seen.time_s[placed_K] if seen.began else np.full(len(placed_K), np.nan)
    table = points.table(time_s=time_K, lat=lat_K, lon=lon_K)
    judged, _ = plausibility.judge(table, mode, max_speed_kmh)
    latlon_N2 = seen.latlon_N2.copy()
    latlon_N2[placed_K[~judged.kept_N]] = np.nan
    num_dropped = int((~judged.kept_N).sum())
    alone = num_dropped and judged.kept_N.sum() < 2
    return Measured(
        None if alone else latlon_N2, "EXIF", len(placed_K), num_dropped, tuple(judged.repairs)
    )
