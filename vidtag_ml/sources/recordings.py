"""Own recordings: videos and photos in folders become the tables, or a reason why not.

Positions come from telemetry inside a video (GoPro, CAMM), a file of the same name beside it (GPX,
DJI's SRT, NMEA, CSV, GeoJSON), its location tag, photos' EXIF, or a CSV table of photos.

What became of each recording is written down as soon as it is known, so a run that was stopped goes
on where it was, a recording that crashes a decoder stops no other, and memory does not grow.

Belongs here: finding recordings, doing many at once, the tables of all. Does not belong here: what
becomes of one (intake.py), how what was left out is reported (quarantine.py).
"""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidtag_ml import clips, config, stage
from vidtag_ml.hierarchy import LEVELS
from vidtag_ml.sources import groups, intake, photos, positions, published
from vidtag_ml.sources.intake import Intake, Record

VIDEOS = (
    ".mp4", ".mov", ".m4v", ".360", ".insv", ".lrv", ".mkv", ".webm", ".avi", ".3gp", ".3g2",
    ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".hevc",
)  # fmt: skip
SOUNDS = (".mp3", ".m4a", ".wav", ".aac", ".ogg", ".flac")
"""Looked at as well, so that a recording of sound alone is told and not passed over."""
REPORT = "ingest.json"
"""In a dataset's folder: what became of every recording. It marks own recordings."""
_CODE = (
    "vidtag_ml.clips", "vidtag_ml.track", "vidtag_ml.geo", "vidtag_ml.video", "vidtag_ml.privacy",
    *(f"vidtag_ml.sources.{m}" for m in ("intake", "photos", "positions", "sanity")),
    *(
        f"vidtag_ml.sources.telemetry.{m}"
        for m in ("camm", "exif", "gpmf", "gpx", "nmea", "points", "quicktime", "srt", "table")
    ),
)  # fmt: skip

Report = Callable[[int, int], None]
Job = tuple[Path, Path, Record]
"""A recording, the journal entry to write, and its key."""


@dataclass(frozen=True)
class Outcome:
    """What became of some recordings: records as `vidtag ingest --json` prints them."""

    accepted: list[Record]
    """clip_id, path, decoder, num_frames, duration_s, num_fixes, fix_source, box, repairs."""
    quarantined: list[Record]
    """path, reason and advice."""

    @property
    def num_repaired(self) -> int:
        """How many of the accepted were repaired."""
        return sum(bool(record["repairs"]) for record in self.accepted)


def find(asked: Sequence[str]) -> list[Path]:
    """Videos, and folders of photos or single photos, under files, folders and globs.

    Raises:
        ValueError: there is nothing by one of these names, or nothing that could be a recording.
    """
    found: dict[Path, Path] = {}
    for text in asked:
        paths = [Path(text).expanduser()]
        if not paths[0].exists():
            root = Path(paths[0].anchor)
            paths = sorted(root.glob(str(paths[0].relative_to(root))))
        if not paths:
            raise ValueError(f"{text}: there is no such file or folder")
        for path in paths:
            for one in _under(path) if path.is_dir() else [path]:
                found.setdefault(one.resolve(), one)
    if not found:
        kinds = ", ".join(suffix[1:] for suffix in (*VIDEOS[:4], *photos.SUFFIXES))
        raise ValueError(f"{', '.join(asked)}: no video and no photo in there ({kinds}, ...)")
    return list(found.values())


def _under(folder: Path) -> Iterator[Path]:
    """Videos, and the folder itself if it holds photos; then what is deeper. Hidden files never."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = [name for name in sorted(names) if not name.startswith(".")]
        if any(Path(name).suffix.lower() in photos.SUFFIXES for name in shown):
            yield Path(parent)
        for name in shown:
            if Path(name).suffix.lower() in (*VIDEOS, *SOUNDS):
                yield Path(parent) / name


def ingest(
    asked: Sequence[str],
    dataset: Path,
    journal: Path,
    how: Intake,
    settings: config.Clips,
    report: Report | None = None,
) -> Outcome:
    """Takes recordings into a dataset, beside those that are there, and tells what became of each.

    Args:
        asked: files, folders and globs.
        dataset: the dataset's folder; its name is the dataset's. Recordings stay where they are.
        journal: folder for what became of each recording.
        how: how they are taken in.
        settings: seed, sizes of splits and `min_split_km`.
        report: called with (recordings done, all recordings).

    Raises:
        ValueError: nothing was found.
    """
    candidates = find(asked)
    entries = [_entry_path(journal, path) for path in candidates]
    code = stage.code_digest(*_CODE)
    keys = [_key(path, how, code) for path in candidates]
    known = [_read_key(entry) == key for entry, key in zip(entries, keys, strict=True)]
    jobs = [
        (path, entry, key)
        for path, entry, key, done in zip(candidates, entries, keys, known, strict=True)
        if not done
    ]
    journal.mkdir(parents=True, exist_ok=True)
    in_parallel(jobs, how, len(candidates), report)
    asked_as = {entry.name: str(path) for entry, path in zip(entries, candidates, strict=True)}
    return _assemble(dataset, journal, settings, asked_as)


def left_out(dataset: Path, outcome: Outcome) -> list[Record]:
    """All that was left out of a dataset so far; of a dataset without clips, what just was."""
    report = dataset / REPORT
    if not report.exists():
        return outcome.quarantined
    records: list[Record] = json.loads(report.read_text())["quarantined"]
    return records


def merge(datasets: Sequence[Path], settings: config.Clips, folder: Path) -> None:
    """Writes the tables of all datasets as one; a recording that is in two of them counts once.

    Raises:
        ValueError: there is no dataset, or one has no tables.
    """
    if not datasets:
        raise ValueError(f"{folder}: no recordings yet; `vidtag ingest PATH --dataset NAME` first")
    parts = [clips.read(path) for path in datasets]
    rows = pd.concat([part.clips for part in parts], ignore_index=True)
    rows = rows.drop_duplicates("content_md5").drop_duplicates("clip_id")
    fixes = pd.concat([part.fixes for part in parts], ignore_index=True)
    framed = [part.frames for part in parts if part.frames is not None]
    frames = pd.concat(framed, ignore_index=True) if framed else None
    fixes = fixes.drop_duplicates().loc[lambda t: t["clip_id"].isin(rows["clip_id"])]
    if frames is not None:
        frames = frames.drop_duplicates().loc[lambda t: t["clip_id"].isin(rows["clip_id"])]
    rows["group_id"] = rows["dataset"] + "/" + rows["group_id"]
    clips.write(folder, groups.split(clips.Tables(rows, fixes, frames), settings))


def in_parallel(jobs: Sequence[Job], how: Intake, total: int, report: Report | None = None) -> None:
    """Does the jobs in processes of their own; one that kills its process is left out, alone."""
    done = total - len(jobs)

    def tell(num: int = 1) -> None:
        nonlocal done
        done += num
        if report:
            report(done, total)

    tell(0)
    waiting = list(reversed(jobs))
    while waiting:
        for suspect in _run(waiting, how, tell):
            if _run([suspect], how, tell):
                advice = "the decoder crashed on it; re-encode it, for example with ffmpeg"
                _write_entry(*suspect, [intake.left_out(suspect[0], "unreadable", advice)])
                tell()


def _run(waiting: list[Job], how: Intake, tell: Callable[[], None]) -> list[Job]:
    """Takes jobs from the end of a list; returns those that were under way when a process died."""
    workers = min(len(waiting), os.cpu_count() or 1)
    running: dict[Future[None], Job] = {}
    with ProcessPoolExecutor(workers, mp_context=_processes()) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < 2 * workers:
                    running[pool.submit(_work, waiting[-1], how)] = waiting[-1]
                    waiting.pop()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    del running[future]
                    tell()
        except BrokenProcessPool:
            return list(running.values())
    return []


def _processes() -> Any:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__])
    return server


def _work(job: Job, how: Intake) -> None:
    """Writes what became of one recording, or of the photos of one folder."""
    path, _, _ = job
    try:
        found = intake.inspect(path, how)
    except Exception as error:  # a mistake of ours must not stop the other recordings
        advice = f"vidtag failed on it, please report this: {type(error).__name__}: {error}"
        found = [intake.left_out(path, "error", advice)]
    _write_entry(*job, found)


def _entry_path(journal: Path, path: Path) -> Path:
    name = hashlib.md5(os.fsencode(path.resolve()), usedforsecurity=False).hexdigest()
    return journal / f"{name}.json"


def _key(path: Path, how: Intake, code: str) -> Record:
    """What an entry depends on: the files of a recording by size and time, settings, code."""
    files = [path]
    if path.is_dir():
        files = [*photos.in_folder(path), *sorted(path.glob("*.csv"))]
    elif not intake.is_photos(path):
        files += positions.sidecars(path)
    facts = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    key = {"files": facts, "how": asdict(how), "code": code}
    plain: Record = json.loads(json.dumps(key))
    return plain


def _read_key(entry: Path) -> Record | None:
    try:
        key: Record = json.loads(entry.read_text())["key"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return None
    return key


def _write_entry(path: Path, entry: Path, key: Record, found: Sequence[Record]) -> None:
    record = {"key": key, "path": str(path), "found": list(found)}
    stage.write_text(entry, json.dumps(record) + "\n")


def _assemble(
    dataset: Path, journal: Path, settings: config.Clips, asked_as: Mapping[str, str]
) -> Outcome:
    """Writes the tables of all that was ever accepted and is still there; tells of what is asked.

    `asked_as` are the paths that were asked for, by their entries, in the order to tell of them.

    Of recordings with the same bytes the first that was taken in stays.
    """
    accepted: list[tuple[bool, Record]] = []
    quarantined: list[tuple[bool, Record]] = []
    rows = {
        "clips": published.Rows(clips.CLIP_COLUMNS),
        "fixes": published.Rows(clips.FIX_COLUMNS),
        "frames": published.Rows(clips.FRAME_COLUMNS),
    }
    marks = groups.Marks()
    seen: dict[str, str] = {}
    base = dataset.resolve()
    place = {name: k for k, name in enumerate(asked_as)}
    for entry in sorted(journal.glob("*.json"), key=lambda p: (place.get(p.name, -1), p.name)):
        record, is_asked = json.loads(entry.read_text()), entry.name in asked_as
        for found in record["found"]:
            told = found["told"]
            if is_asked:
                told["path"] = told["path"].replace(record["path"], asked_as[entry.name], 1)
            if "clip" not in found:
                quarantined.append((is_asked, told))
                continue
            clip, files = found["clip"], found["frames"]
            if not is_asked and not Path(clip["media"]).exists():
                published.tell(f"{told['path']}: is gone, so its clip leaves {dataset.name}")
                entry.unlink(missing_ok=True)
                continue
            twin = seen.setdefault(clip["source_md5"], told["path"])
            if twin != told["path"]:
                advice = f"the same bytes are taken in as {twin}; remove one of them"
                record = {"path": told["path"], "reason": "duplicate", "advice": advice}
                quarantined.append((is_asked, record))
                continue
            _add(rows, dataset.name, base, clip, found["fixes"], files)
            marks.add(clip["clip_id"], found)
            accepted.append((is_asked, told))
    told_of = Outcome([r for asks, r in accepted if asks], [r for asks, r in quarantined if asks])
    whole = {"accepted": [r for _, r in accepted], "quarantined": [r for _, r in quarantined]}
    if len(rows["clips"]):
        frames = rows["frames"].table() if len(rows["frames"]) else None
        tables = clips.Tables(rows["clips"].table(), rows["fixes"].table(), frames)
        tables.clips["group_id"] = tables.clips["clip_id"].map(marks.groups())
        stage.write_text(dataset / ".gitignore", "*\n")
        stage.write_text(dataset / REPORT, json.dumps(whole, indent=1) + "\n")
        clips.write(dataset, groups.split(_label(tables), settings))
    return told_of


def _add(
    rows: Mapping[str, published.Rows],
    dataset: str,
    base: Path,
    clip: Record,
    fixes: Record,
    files: Record | None,
) -> None:
    media = Path(clip["media"])
    folder = media.parent if files is not None and media.is_file() else media
    row = {name: value for name, value in clip.items() if name in clips.CLIP_COLUMNS}
    rows["clips"].add(1, dataset=dataset, video_path=_from(base, folder), **row)
    rows["fixes"].add(len(fixes["lat"]), clip_id=clip["clip_id"], **fixes)
    if files is not None:
        rows["frames"].add(
            len(files["file"]),
            clip_id=clip["clip_id"],
            frame_index=np.arange(len(files["file"])),
            file=[_from(base, Path(file)) for file in files["file"]],
            time_s=files["time_s"],
        )


def _from(base: Path, path: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _label(tables: clips.Tables) -> clips.Tables:
    """Names for each clip the place nearest to its middle, and whose it is."""
    kept = tables.fixes[tables.fixes["status"] != "dropped"]
    of_clip = kept.groupby("clip_id")
    middle = kept[of_clip.cumcount() == of_clip["lat"].transform("size") // 2]
    places = published.labels_at(middle[["lat", "lon"]].to_numpy(float))
    labels = pd.DataFrame(places, index=middle["clip_id"]).loc[tables.clips["clip_id"]]
    named = {level: labels[level].to_numpy(object) for level in LEVELS}
    return replace(tables, clips=tables.clips.assign(licence="own recording", **named))
