"""Own recordings: videos and photos in folders become the tables, or a reason why not.

Positions come from telemetry inside a video (GoPro, CAMM), a file of the same name beside it (GPX,
DJI's SRT, NMEA, CSV, GeoJSON), its location tag, photos' EXIF, or a CSV table of photos.

What became of each recording is written down as soon as it is known, so a run that was stopped goes
on where it was, a recording that crashes a decoder stops no other, and the tables of one dataset or
of many are always made from all journals anew.

Belongs here: doing many recordings at once, the tables of all. Does not belong here: finding them
(finding.py), what becomes of one (intake.py), how what was left out is reported (quarantine.py).
"""

import errno
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidtag_ml import clips, config, stage
from vidtag_ml.hierarchy import LEVELS
from vidtag_ml.sources import finding, groups, intake, journal, published
from vidtag_ml.sources.finding import Candidate
from vidtag_ml.sources.intake import Intake, Record

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """A recording to be looked at."""

    candidate: Candidate
    file: Path
    """The journal entry to write."""
    key: Record
    """Of the entry."""


@dataclass
class Outcome:
    """What became of recordings: records as `vidtag ingest --json` prints them."""

    accepted: list[Record] = field(default_factory=list)
    """clip_id, path, decoder, num_frames, duration_s, num_fixes, fix_source, box, repairs."""
    quarantined: list[Record] = field(default_factory=list)
    """path, reason and advice."""

    @property
    def num_repaired(self) -> int:
        """How many of the accepted were repaired."""
        return sum(bool(record["repairs"]) for record in self.accepted)


def ingest(
    asked: Sequence[str],
    dataset: Path,
    how: Intake,
    settings: config.Clips,
    report: Report | None = None,
) -> tuple[Outcome, Outcome]:
    """Takes recordings into a dataset, beside those that are there.

    Args:
        asked: files, folders and globs.
        dataset: the dataset's folder; its name is the dataset's. Recordings stay where they are.
        how: how they are taken in.
        settings: seed, sizes of splits and `min_split_km`.
        report: called with (recordings done, all recordings).

    Returns:
        what became of what was asked for, and of all recordings of the dataset.

    Raises:
        ValueError: nothing was found, or copies would give way to the recordings themselves.
    """
    folder = dataset / journal.FOLDER
    candidates = finding.find(asked)
    code = stage.code_digest(*journal.CODE)
    jobs = []
    for candidate in candidates:
        file, key = journal.file_of(folder, candidate), journal.key_of(candidate, how, code)
        entry = journal.read(file)
        if entry is not None and entry.copied and how.copies is None:
            raise ValueError(
                f"{candidate.path}: {dataset.name} reads a copy without metadata, or with veils; "
                f"ask for it again in the same way, or remove {dataset} to start afresh"
            )
        if entry is None or not entry.holds(key):
            jobs.append(Job(candidate, file, key))
    in_parallel(jobs, how, len(candidates), report)
    shown_as = {journal.file_of(folder, one): str(one.path) for one in candidates}
    made = _Tables(dataset, shown_as)
    for entry in _in_order([dataset]):
        made.add(entry, dataset.name)
    made.write(settings)
    return made.of_asked, made.of_all


def merge(datasets: Sequence[Path], settings: config.Clips, folder: Path) -> None:
    """Writes the tables of all datasets as one; a recording that is in two of them counts once.

    Raises:
        ValueError: no dataset has a recording that can be used.
    """
    made = _Tables(folder, {})
    for entry in _in_order(datasets):
        made.add(entry, entry.file.parent.parent.name)
    if not made.of_all.accepted:
        raise ValueError(f"{folder}: no recordings yet; `vidtag ingest PATH --dataset NAME` first")
    made.write(settings)


def _in_order(datasets: Sequence[Path]) -> Iterator[journal.Entry]:
    """Entries, those first that were taken in first; holds one at a time."""
    folders = (path / journal.FOLDER for path in datasets)
    known = ((e.added_ns, e.file) for folder in folders for e in journal.read_all(folder))
    for _, file in sorted(known):
        if (entry := journal.read(file)) is not None:
            yield entry


def in_parallel(jobs: Sequence[Job], how: Intake, total: int, report: Report | None = None) -> None:
    """Does the jobs in processes of their own; one that kills its process is left out, alone.

    Raises:
        OSError: the disk is full.
        RuntimeError: no process can be started.
    """
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
                found = [intake.left_out(suspect.candidate.path, "error", advice)]
                journal.write(suspect.file, suspect.key, suspect.candidate.path, found)
                tell()


def _run(waiting: list[Job], how: Intake, tell: Callable[[], None]) -> list[Job]:
    """Takes jobs from the end of a list; returns those that were under way when a process died."""
    workers = min(len(waiting), os.cpu_count() or 1)
    running: dict[Future[None], Job] = {}
    with ProcessPoolExecutor(workers, mp_context=_processes()) as pool:
        _check(pool)
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


def _check(pool: ProcessPoolExecutor) -> None:
    """Raises RuntimeError if no process lives at all, for which no recording is to blame."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        told = "no process can be started; a script must be a file, and guard its main part"
        raise RuntimeError(told) from error


def _processes() -> Any:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__])
    return server


def _work(job: Job, how: Intake) -> None:
    """Writes what became of one recording, or of the photos of one folder."""
    path = job.candidate.path
    try:
        found = intake.inspect(job.candidate, how)
    except Exception as error:  # a mistake of ours must not stop the other recordings
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        advice = f"vidtag failed on it, please report this: {type(error).__name__}: {error}"
        found = [intake.left_out(path, "error", advice)]
    journal.write(job.file, job.key, path, found)


class _Tables:
    """The tables of a dataset as they grow, entry by entry."""

    def __init__(self, folder: Path, shown_as: dict[Path, str]) -> None:
        """`shown_as`: entries that were asked for, with the paths by which they are told of."""
        self.folder, self.shown_as = folder, shown_as
        self.base = folder.resolve()
        self.clips = published.Rows(clips.CLIP_COLUMNS)
        self.fixes = published.Rows(clips.FIX_COLUMNS)
        self.frames = published.Rows(clips.FRAME_COLUMNS)
        self.marks = groups.Marks()
        self.told_of: dict[str, str] = {}
        self.of_asked, self.of_all = Outcome(), Outcome()

    def add(self, entry: journal.Entry, dataset: str) -> None:
        """Adds what still exists of an entry; of recordings with the same bytes the first stays."""
        shown = self.shown_as.get(entry.file, entry.path)
        outcomes = [self.of_all, *([self.of_asked] if entry.file in self.shown_as else [])]
        for record in filter(journal.is_there, entry.found):
            name = Path(record["told"]["path"]).name
            at = shown if record["told"]["path"] == entry.path else str(Path(shown) / name)
            told = {**record["told"], "path": at}
            if "clip" not in record:
                _each(outcomes, "quarantined", told)
            elif twin := self._twin(record, told["path"]):
                advice = f"the same bytes are taken in as {twin}; remove one of them"
                told = {"path": told["path"], "reason": "duplicate", "advice": advice}
                _each(outcomes, "quarantined", told)
            else:
                self._add_clip(record, dataset)
                _each(outcomes, "accepted", told)

    def _twin(self, record: Record, path: str) -> str:
        """Where the same recording, or one of its photos, was taken in before; empty if nowhere."""
        marks = (record["clip"]["source_md5"], *record["sources"])
        twin = next((self.told_of[mark] for mark in marks if mark in self.told_of), "")
        if not twin:
            self.told_of |= dict.fromkeys(marks, path)
        return twin

    def _add_clip(self, record: Record, dataset: str) -> None:
        clip, fixes, files = record["clip"], record["fixes"], record["files"]
        row = {name: value for name, value in clip.items() if name in clips.CLIP_COLUMNS}
        place = Path(files[0]) if clip["kind"] == "video" else Path(files[0]).parent
        self.clips.add(1, dataset=dataset, video_path=self._relative(place), split="train", **row)
        self.fixes.add(len(fixes["lat"]), clip_id=clip["clip_id"], **fixes)
        if clip["kind"] == "frames":
            self.frames.add(
                len(files),
                clip_id=clip["clip_id"],
                frame_index=np.arange(len(files)),
                file=[self._relative(Path(file)) for file in files],
                time_s=record["picture_time_s"],
            )
        self.marks.add(clip["clip_id"], record)

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.base)).as_posix()

    def write(self, settings: config.Clips) -> None:
        """Writes the tables, with places, groups and splits; without a clip there are none."""
        stage.write_text(self.folder / ".gitignore", "*\n")
        if not self.of_all.accepted:
            for name in ("clips", "fixes", "frames"):
                (self.folder / f"{name}.parquet").unlink(missing_ok=True)
            return
        frames = self.frames.table() if len(self.frames) else None
        tables = clips.Tables(self.clips.table(), self.fixes.table(), frames)
        tables.clips["group_id"] = tables.clips["clip_id"].map(self.marks.groups())
        clips.write(self.folder, groups.split(_label(tables), settings))


def _each(outcomes: Sequence[Outcome], name: str, told: Record) -> None:
    for outcome in outcomes:
        getattr(outcome, name).append(told)


def _label(tables: clips.Tables) -> clips.Tables:
    """Names for each clip the place nearest to its middle, and whose it is."""
    kept = tables.kept
    of_clip = kept.groupby("clip_id")
    middle = kept[of_clip.cumcount() == of_clip["lat"].transform("size") // 2]
    places = published.labels_at(middle[["lat", "lon"]].to_numpy(float))
    labels = pd.DataFrame(places, index=middle["clip_id"]).loc[tables.clips["clip_id"]]
    named = {level: labels[level].to_numpy(object) for level in LEVELS}
    return replace(tables, clips=tables.clips.assign(licence="own recording", **named))
