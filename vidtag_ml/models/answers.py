"""Answers as files.

Belongs here: a track in every format. Does not belong here: the formats (earth/track_files.py).
"""

import dataclasses
import datetime as dt
import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidtag_ml.earth import sphere
from vidtag_ml.earth.tracks import iso_8601
from vidtag_ml.models.asked import Asked
from vidtag_ml.models.cityguessr import locator as cityguessr_locator
from vidtag_ml.models.cityguessr.locator import Guesser
from vidtag_ml.models.gama.locator import Matcher
from vidtag_ml.models.measured import HELD, Measured, measured
from vidtag_ml.models.recording import Began, Recording
from vidtag_ml.models.vidtag import locator as vidtag_locator
from vidtag_ml.models.vidtag.locator import Predictor, Progress
from vidtag_ml.workflow.progress import Batch

Row = dict[str, Any]
UNTIMED = "no recording time known: times are from the start"


@dataclass(frozen=True)
class Wanted:
    """How recordings are located, and where results go."""

    out: Path
    """Folder of the results; made if need be."""
    frames_per_second: float | None = None
    """Frames of a video that are looked at; None = as in training."""
    began: Began | None = None
    """When the recording began, whatever it says itself."""
    told: tuple[str, ...] = ()
    """What was assumed about this, a sentence each."""


def answers(
    locator: Predictor | Guesser | Matcher,
    asked: Sequence[Asked],
    results: Sequence[Path],
    wanted: Wanted,
    batch: Batch,
) -> Iterator[Row]:
    """Locates recordings one by one; JSON-safe rows, each as soon as its files are written.

    A recording that cannot be located has a row with its `error`, and stops no other.

    Args:
        locator: a bundle in memory.
        asked: the recordings.
        results: where the results of each lie in the folder of results, less their suffix.
        wanted: how they are located.
        batch: is told how far it is.

    Raises:
        OSError: the disk is full.
    """
    for one, result in zip(asked, results, strict=True):
        head = {"video": str(one.shown)}
        try:
            with batch.file(one.shown.name, one.num_bytes) as progress:
                row = head | _answer(locator, one.opened(), result, wanted, progress)
        except (ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            row = head | {"error": _reason(one.shown, error)}
        yield row


def _reason(path: Path, error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if said.startswith(str(path)) else f"{path}: {said}"


def _answer(
    locator: Predictor | Guesser | Matcher,
    seen: Recording,
    result: Path,
    wanted: Wanted,
    progress: Progress | None,
) -> Row:
    folder, name = wanted.out / result.parent, result.name
    if isinstance(locator, Guesser):
        place = locator.locate(seen, wanted.frames_per_second, progress)
        files = cityguessr_locator.write_files(place, folder, name)
        return {"files": [str(f) for f in files], **place.as_json(), "told": list(seen.told)}
    track = locator.locate(seen, wanted.frames_per_second, progress)
    gps = measured(seen, track.time_s, locator.mode, locator.evaluation.max_speed_kmh)
    began = wanted.began or (gps and gps.began) or seen.began
    track = dataclasses.replace(track, start=began.moment if began else None)
    truth_T2 = None if gps is None else gps.latlon_T2
    note = HELD if gps and gps.held else ""
    files = vidtag_locator.write_files(track, folder, name, truth_T2, note)
    points = track.table().to_dict("records")
    if began:
        for point in points:
            point["time"] = iso_8601(began.moment + dt.timedelta(seconds=point["time_s"]))
    told = [*wanted.told, *seen.told, *(gps.told if gps else ())]
    return {
        "files": [str(f) for f in files],
        "start_time": iso_8601(began.moment) if began else None,
        "start_time_from": began.source if began else None,
        "told": told if began else [*told, UNTIMED],
        "track": points,
        **(_against(track.latlon_T2, gps) if gps else {}),
    }


def _against(latlon_T2: np.ndarray, gps: Measured) -> Row:
    """What a recording's own receiver measured, and how far a track is from that."""
    facts = {"source": gps.source, "num_fixes": gps.num_fixes, "num_dropped": gps.num_dropped}
    if gps.latlon_T2 is None:
        return {"gps": facts}
    errors_km = sphere.great_circle_km(latlon_T2, gps.latlon_T2)
    true = [None if np.isnan(p).any() else p.tolist() for p in gps.latlon_T2]
    error_km = float(np.nanmedian(errors_km))
    return {"gps": facts, "measured": true, "median_error_km": error_km}
