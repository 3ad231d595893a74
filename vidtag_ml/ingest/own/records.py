"""What became of a recording: a clip, or a reason why there is none.

Belongs here: what is known of either, and how the journal writes it. Does not belong here: how it
becomes known (inspection.py), whether it still holds (journal.py), the tables' rows (tables.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Columns = dict[str, list[Any]]
"""Values by the name of their column, all of one length."""


@dataclass(frozen=True)
class Clip:
    """A clip's own part of its row, as in `dataset.tables.CLIP_COLUMNS`."""

    clip_id: str
    source_md5: str
    """Of the bytes of the recording; of photos, of all of them in their order."""
    kind: str
    """`video` or `frames`."""
    mode: str
    """How it moved, one of `dataset.tables.MODES`."""
    content_md5: str
    """Of the bytes that the dataset reads: those of the recording, or of its copy."""
    num_frames: int
    duration_s: float
    """NaN where photos have no times."""
    fps: float
    """Frames a second; NaN where photos have no times."""
    width: int
    """Columns of the upright picture."""
    height: int
    """Rows of the upright picture."""
    codec: str


@dataclass(frozen=True)
class Summary:
    """What people and programs are told of a clip."""

    clip_id: str
    path: str
    """The recording, as it was asked for; a folder where it is several photos."""
    decoder: str
    num_frames: int
    duration_s: float | None
    """To the millisecond; None where photos have no times."""
    num_fixes: int
    """Those that are believed."""
    fix_source: str
    """Where the fixes come from; of photos, those of the first."""
    lat_min: float
    """Degrees, as all corners of the box around the fixes."""
    lat_max: float
    lon_min: float
    lon_max: float
    repairs: list[str]
    """What was dropped, assumed or moved, a sentence each."""
    num_found: int
    """Fixes that are written where they come from; of photos, the photos."""
    dropped: dict[str, int]
    """How many of those are not used, by reason: with `num_fixes` they add up to `num_found`."""

    def as_json(self) -> dict[str, Any]:
        """As `vidtag ingest --json` prints it."""
        return dict(vars(self))


@dataclass(frozen=True)
class Accepted:
    """A recording that is a clip."""

    clip: Clip
    summary: Summary
    fixes: Columns
    """`dataset.tables.FIX_COLUMNS` without clip_id, in the order in which they were written."""
    began_utc_s: float
    """When it began, in seconds since 1970; NaN = unknown."""
    sources: list[str]
    """Absolute paths of the video, or of the photos in their order."""
    files: list[str]
    """Absolute paths of what the dataset reads: the sources or their copies."""
    signature: list[int]
    """64 bits of each picture by which copies are known."""
    picture_time_s: list[float]
    """Times of photos from the first, NaN where they have none; empty for a video."""
    tracks: list[str]
    """Absolute paths of the files beside from which positions are."""

    @property
    def path(self) -> str:
        """The recording, as it was asked for."""
        return self.summary.path


@dataclass(frozen=True)
class Rejected:
    """A recording, or a photo, that cannot be used."""

    path: str
    """As it was asked for, with ? for what is not UTF-8."""
    reason: str
    """A word for programs, one of `report.REASONS`."""
    advice: str
    """What to do about it, a sentence for people."""
    files: list[str]
    """Absolute paths of the recording, or of its photos, which must exist for this to hold."""

    def as_json(self) -> dict[str, Any]:
        """As `vidtag ingest --json` prints it."""
        return {"path": self.path, "reason": self.reason, "advice": self.advice}


@dataclass(frozen=True)
class PassedOver:
    """A file, or a folder that was not entered, of which nothing is a recording or its track."""

    path: str
    """As it was found, with ? for what is not UTF-8."""
    reason: str
    """A word for programs, one of `report.PASSED_OVER`."""
    told: str
    """Why, for people."""

    def as_json(self) -> dict[str, Any]:
        """As `vidtag ingest --json` prints it."""
        return dict(vars(self))


Record = Accepted | Rejected


def printable(text: str | Path) -> str:
    """A text or path, with ? for what is not UTF-8."""
    return str(text).encode("utf-8", "replace").decode()


def to_json(record: Record) -> dict[str, Any]:
    """A record as the journal writes it."""
    if isinstance(record, Rejected):
        return {"told": record.as_json(), "files": record.files}
    known = {**vars(record), "clip": vars(record.clip), "told": record.summary.as_json()}
    return {name: value for name, value in known.items() if name != "summary"}


def from_json(known: Mapping[str, Any]) -> Record:
    """A record of the journal.

    Raises:
        KeyError: there is something lacking in it.
        TypeError: likewise, or there is something unknown.
    """
    others = {name: value for name, value in known.items() if name not in ("clip", "told")}
    if "clip" not in known:
        return Rejected(**known["told"], **others)
    times = {"picture_time_s": [], **others}
    return Accepted(clip=Clip(**known["clip"]), summary=Summary(**known["told"]), **times)
