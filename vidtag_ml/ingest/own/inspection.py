"""What becomes of one recording: a video, or the photos of a folder, as the rows of a clip or not.

Belongs here: how a recording is looked at, and what is left out. Does not belong here: what is
known of it in the end (records.py), where positions are (positions.py), which photos belong
together (photos.py), the tables of all (tables.py). Shape legend: N photos.
"""

import errno
import functools
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from vidtag_ml import config
from vidtag_ml.dataset import tables
from vidtag_ml.ingest.own import clocks, photo_clocks, photo_tables, photos, plausibility, positions
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.ingest.own.records import (
    Accepted,
    Clip,
    Columns,
    Record,
    Rejected,
    Summary,
    printable,
)
from vidtag_ml.ingest.telemetry import exif, quicktime
from vidtag_ml.media import fingerprint, privacy, video
from vidtag_ml.workflow import stage

_CONTAINERS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
_NO_PLACE = (
    "nothing tells where it was taken; write the position into its EXIF, or put a CSV with the "
    "columns file, lat and lon beside it"
)


@dataclass(frozen=True)
class Copies:
    """Media that a dataset reads in place of the recordings: without metadata, perhaps veiled."""

    folder: str
    """Where they lie."""
    veil: tuple[str, ...] = ()
    """What is made unknowable: faces, plates; nothing = only metadata go."""
    weights: str = ""
    """Folder of the detectors' weights."""

    @functools.cached_property
    def weights_md5(self) -> str:
        """Of the weights that find plates; empty if none are looked for."""
        asked = "plates" in self.veil
        return stage.digest(Path(self.weights) / privacy.PLATES) if asked else ""


@dataclass(frozen=True)
class Intake:
    """How recordings are taken in."""

    mode: str | None
    """One of `tables.MODES`; None = as each recording's source or speeds say."""
    time_offset_s: float
    """Added to the times of files beside videos."""
    frames_per_second: float
    """Pictures of a video that must decode: those that features are made from."""
    max_gap_s: float
    """See `config.Clips`."""
    max_speed_kmh: dict[str, float]
    """Limit by mode, above which a position is not believed."""
    copies: Copies | None = None
    """None = the dataset reads the recordings themselves."""
    time_zone: str | None = None
    """That of cameras' clocks where they tell none; None = unknown."""


def settings(
    params: config.Params,
    mode: str | None = None,
    time_offset_s: float = 0.0,
    copies: Copies | None = None,
    time_zone: str | None = None,
) -> Intake:
    """How recordings are taken in by a params file.

    Raises:
        ValueError: there is no such mode or time zone, or what is to be veiled cannot be found.
    """
    if copies is not None and copies.veil:
        privacy.blurrer(copies.veil, Path(copies.weights))
    if mode is not None and mode not in tables.MODES:
        raise ValueError(f"mode is {mode!r}; it must be one of {', '.join(tables.MODES)}")
    if time_zone is not None:
        clocks.zone(time_zone)
    return Intake(
        mode,
        time_offset_s,
        params.features.frames_per_second,
        params.clips.max_gap_s,
        params.evaluation.max_speed_kmh,
        copies,
        time_zone,
    )


def inspect(
    candidate: Candidate, how: Intake, known: Mapping[str, exif.Photo] | None = None
) -> list[Record]:
    """What becomes of a video, or of photos of a folder, of which some may be `known` by name.

    Raises:
        OSError: the disk is full.
    """
    for name in (str(candidate.path), *candidate.names):
        if any(0xD800 <= ord(letter) < 0xE000 for letter in name):
            advice = f"rename it: {name!a} is not UTF-8"
            return [left_out(candidate.path, "unreadable", advice, candidate.files)]
    if not candidate.names:
        return [_moving_part(candidate) or _video(candidate.path, how)]
    return _photos(candidate, how, known)


def left_out(path: Path, reason: str, advice: str, files: Sequence[Path] | None = None) -> Rejected:
    """The record of a recording that cannot be used; `files` are those of it if it is a folder."""
    said = printable(advice.replace(f"{path}: ", ""))
    return Rejected(printable(path), reason, said, [str(f.absolute()) for f in files or [path]])


def beside(candidate: Candidate) -> list[Path]:
    """Files that may tell where a recording was taken."""
    if candidate.names:
        return photo_tables.tables(candidate.path)
    return positions.sidecars(candidate.path)


def _moving_part(candidate: Candidate) -> Rejected | None:
    """What is told of the video of a Live Photo whose photo says where it was taken; else None."""
    photo = candidate.path.with_name(candidate.photo or candidate.path.name)
    try:
        live = candidate.photo and quicktime.LIVE_PHOTO in video.container(candidate.path).tags
        if not live or not photos.Photo(photo, exif.read(photo), "exif").placed:
            return None
    except (ValueError, OSError):  # told of when it is looked at for itself
        return None
    advice = f"the moving part of the Live Photo {photo.name}, which is taken in as a photo"
    return left_out(candidate.path, "live_photo", advice)


def _video(path: Path, how: Intake) -> Record:
    try:
        facts = video.probe(path)
        seen = fingerprint.fingerprint(path, how.frames_per_second)
        placed = positions.place(
            path,
            facts.duration_s,
            how.mode,
            how.time_offset_s,
            how.max_gap_s,
            how.max_speed_kmh,
            how.time_zone,
        )
        md5 = stage.digest(path)
        clip_id = f"{path.stem}-{md5[:10]}"
        media = _media(path, clip_id, how.copies)
        facts = video.probe(media)
    except positions.NoPositionError as error:
        return left_out(path, error.reason, str(error))
    except (ValueError, OSError) as error:
        return _unreadable(path, error)
    clip = Clip(
        clip_id=clip_id,
        source_md5=md5,
        kind="video",
        mode=placed.mode,
        content_md5=md5 if media == path else stage.digest(media),
        num_frames=facts.num_frames,
        duration_s=facts.duration_s,
        fps=facts.fps,
        width=facts.width,
        height=facts.height,
        codec=facts.codec,
    )
    fixes = placed.fixes.assign(fix_source=placed.fix_source)
    return Accepted(
        clip=clip,
        summary=_summary(path, clip, seen.decoder, fixes, placed),
        fixes=_columns(fixes),
        began_utc_s=placed.began_utc_s,
        sources=[_absolute(path)],
        files=[_absolute(media)],
        signature=seen.hashes.tolist(),
        picture_time_s=[],
        tracks=[_absolute(placed.file)] if placed.file else [],
    )


def _unreadable(path: Path, error: Exception, files: Sequence[Path] | None = None) -> Rejected:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        raise error
    return left_out(path, "unreadable", str(error), files)


def _absolute(path: Path) -> str:
    return str(path.resolve())


def _photos(
    candidate: Candidate, how: Intake, known: Mapping[str, exif.Photo] | None
) -> list[Record]:
    read = photos.read(candidate.files, known)
    seen = photos.believed([_in_zone(photo, how.time_zone) for photo in read])
    found: list[Record] = [left_out(p.path, "unreadable", p.error) for p in seen if not p.readable]
    chains = photos.sequences(seen)
    used = {photo.path for chain in chains for photo in chain}
    found += [
        left_out(p.path, "no_position", f"{p.error}; {_NO_PLACE}" if p.error else _NO_PLACE)
        for p in seen
        if p.readable and p.path not in used
    ]
    longest = max((len(chain) for chain in chains), default=0)
    return found + [_sequence(chain, how, main=len(chain) == longest) for chain in chains]


def _in_zone(photo: photos.Photo, time_zone: str | None) -> photos.Photo:
    seen, dated = photo_clocks.dated(photo.exif)
    told = "; ".join(filter(None, (photo.error, dated, photo_clocks.doubt(seen, time_zone))))
    return replace(photo, exif=photo_clocks.in_zone(seen, time_zone), error=told)


def _sequence(chain: list[photos.Photo], how: Intake, *, main: bool) -> Record:
    path = chain[0].path if len(chain) == 1 else chain[0].path.parent
    try:
        return _clip(path, chain, how, main=main)
    except (ValueError, OSError) as error:
        return _unreadable(path, error, [photo.path for photo in chain])


def _clip(path: Path, chain: list[photos.Photo], how: Intake, *, main: bool) -> Accepted:
    """One clip of photos that follow each other; a time only where all have one."""
    first, single = chain[0], len(chain) == 1
    time_N, num_spread = photos.times(chain)
    table = photos.fixes(chain, time_N)
    if single:
        table["time_s"] = time_N = np.zeros(1)
    judged, mode = plausibility.judge(table, how.mode or "photos", how.max_speed_kmh, dop=False)
    table["status"] = np.where(judged.kept_N, table["status"], "dropped")
    sources = [photo.path for photo in chain]
    md5 = _joint_digest(sources)
    name = path.stem if single or main else f"{path.name}-{first.path.stem}"
    clip_id = f"{name}-{md5[:10]}"
    files = [_media(source, clip_id, how.copies, within=True) for source in sources]
    duration_s = float(time_N[-1]) if len(chain) > 1 else 0.0
    clip = Clip(
        clip_id=clip_id,
        source_md5=md5,
        kind="frames",
        mode=mode,
        content_md5=md5 if how.copies is None else _joint_digest(files),
        num_frames=len(chain),
        duration_s=duration_s,
        fps=len(chain) / duration_s if duration_s > 0 else math.nan,
        width=first.exif.width,
        height=first.exif.height,
        codec=first.path.suffix[1:].lower().replace("jpg", "jpeg"),
    )
    num_between = int((table["status"] == "interpolated").sum())
    repairs = [
        f"{number} photos {done}"
        for number, done in (
            (num_between, "without a position lie between others: interpolated"),
            (num_spread, "share their second with another: spread over it"),
        )
        if number
    ]
    repairs += sorted({photo.error for photo in chain if photo.error})
    placed = positions.Placed(
        table,
        first.fix_source,
        mode,
        first.exif.captured_s,
        [*repairs, *judged.repairs],
        len(chain),
        judged.dropped,
    )
    return Accepted(
        clip=clip,
        summary=_summary(path, clip, "pillow", table, placed),
        fixes=_columns(table),
        began_utc_s=placed.began_utc_s,
        sources=list(map(_absolute, sources)),
        files=list(map(_absolute, files)),
        signature=photos.signature(chain),
        picture_time_s=list(map(float, time_N)),
        tracks=sorted({_absolute(photo.table) for photo in chain if photo.table}),
    )


def _media(path: Path, clip_id: str, copies: Copies | None, *, within: bool = False) -> Path:
    """The file that the dataset reads: the recording, or its copy; `within` a folder of the clip's.

    Raises:
        ValueError: the recording cannot be copied.
    """
    if copies is None:
        return path
    suffix = path.suffix.lower()
    if not within and (copies.veil or suffix not in _CONTAINERS):
        suffix = ".mp4"
    folder = Path(copies.folder)
    name = f"{path.name}.jpg" if suffix in privacy.REWRITTEN else path.name
    target = folder / clip_id / name if within else folder / f"{clip_id}{suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two recordings of the same bytes may be copied at once.
    aside = target.with_name(f".{os.getpid()}-{target.name}")
    if copies.veil:
        _blurrer(copies.veil, copies.weights).write(path, aside)
    else:
        privacy.strip_metadata(path, aside)
    aside.replace(target)
    return target


@functools.cache
def _blurrer(veil: tuple[str, ...], weights: str) -> privacy.Blurrer:
    return privacy.blurrer(veil, Path(weights))


def _joint_digest(paths: Sequence[Path]) -> str:
    whole = hashlib.md5(usedforsecurity=False)
    for path in paths:
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _columns(fixes: pd.DataFrame) -> Columns:
    return {name: fixes[name].tolist() for name in tables.FIX_COLUMNS if name != "clip_id"}


def _summary(
    path: Path, clip: Clip, decoder: str, fixes: pd.DataFrame, placed: positions.Placed
) -> Summary:
    kept = fixes[fixes["status"] != "dropped"]
    return Summary(
        clip_id=clip.clip_id,
        path=str(path),
        decoder=decoder,
        num_frames=clip.num_frames,
        duration_s=None if math.isnan(clip.duration_s) else round(clip.duration_s, 3),
        num_fixes=len(kept),
        fix_source=placed.fix_source,
        lat_min=float(kept["lat"].min()),
        lat_max=float(kept["lat"].max()),
        lon_min=float(kept["lon"].min()),
        lon_max=float(kept["lon"].max()),
        repairs=placed.repairs,
        num_found=placed.num_found,
        dropped=placed.dropped,
    )
