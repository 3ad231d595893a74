"""Own recordings: videos and photos in folders become the tables, or a reason why not.

Positions come from telemetry inside a video (GoPro, CAMM), a file of the same name beside it (GPX,
DJI's SRT, NMEA, CSV, GeoJSON), other cameras' tracks inside it (ExifTool), its location tag,
photos' EXIF, or a CSV table of photos.

What became of each recording is written down as soon as it is known, so a run that was stopped goes
on where it was, and the tables of one dataset or of many are always made from all journals anew.
What grows with the number of recordings lies on disk; memory keeps names and signatures, about 1 kB
a recording.

Belongs here: the tables of all, and what became of them. Does not belong here: finding recordings
(discovery.py), doing many at once (workers.py), what becomes of one (inspection.py), how what was
left out is reported (report.py).
"""

import contextlib
import itertools
import json
import os
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.ingest.own import (
    discovery,
    groups,
    inspection,
    journal,
    looks,
    parquet_writer,
    workers,
)
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.ingest.own.disk_list import Shelf
from vidtag_ml.ingest.own.inspection import Intake
from vidtag_ml.ingest.own.records import (
    Accepted,
    Columns,
    PassedOver,
    Record,
    Rejected,
    Summary,
    printable,
)
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.workflow import code_key, stage

GROUP_ROWS = {"clips": 4096, "fixes": 65536, "frames": 65536}
"""Rows of the tables' row groups, of which one is held at a time."""
_GONE = "it, or a photo of its sequence, was there no more when it had been looked at"
_AT_ONCE = 256
"""Clips whose places are looked up together."""


@dataclass
class Outcome:
    """What became of recordings."""

    accepted: Shelf[Summary] = field(default_factory=Shelf)
    quarantined: Shelf[Rejected] = field(default_factory=Shelf)
    passed_over: Shelf[PassedOver] = field(default_factory=Shelf)
    """What was found beside recordings and is none."""
    num_found: int = 0
    """Files, and folders that were not entered: used, quarantined and passed over."""
    num_used: int = 0
    """Files of accepted recordings, and their tracks."""
    num_left_out: int = 0
    """Files of recordings that are quarantined."""

    def add(self, told: Summary | Rejected, num_files: int) -> None:
        """Adds what became of one, and of how many files it is."""
        if isinstance(told, Rejected):
            self.quarantined.append(told)
            self.num_left_out += num_files
        else:
            self.accepted.append(told)
            self.num_used += num_files

    @property
    def num_files(self) -> dict[str, int]:
        """How many files were found, and what became of them."""
        return {
            "found": self.num_found,
            "used": self.num_used,
            "quarantined": self.num_left_out,
            "passed_over": len(self.passed_over),
        }

    @property
    def num_repaired(self) -> int:
        """How many of the accepted were repaired."""
        return sum(bool(record.repairs) for record in self.accepted)

    def json_lines(self) -> Iterator[str]:
        """What `--json` prints, as `json.dumps` with an indent of 1 does, a record at a time."""
        yield "{"
        told: tuple[tuple[str, Sequence[Summary | Rejected | PassedOver]], ...] = (
            ("accepted", self.accepted),
            ("quarantined", self.quarantined),
            ("passed_over", self.passed_over),
        )
        for name, records in told:
            if not records:
                yield f' "{name}": [],'
                continue
            yield f' "{name}": ['
            for num, record in enumerate(records, 1):
                text = json.dumps(record.as_json(), indent=1, allow_nan=False)
                yield textwrap.indent(text, "  ") + ("," if num < len(records) else "")
            yield " ],"
        yield textwrap.indent(f'"num_files": {json.dumps(self.num_files, indent=1)}', " ")
        yield "}"


def ingest(
    asked: Sequence[str],
    dataset: Path,
    how: Intake,
    settings: config.Clips,
    report: workers.Report | None = None,
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
    found = discovery.find(asked)
    candidates, belonging = found.candidates, Shelf[bool]()
    code, began_ns = code_key.of("inspect"), time.time_ns()
    jobs, pieces, total = Shelf[workers.Job](), Shelf[looks.Piece](), 0
    for candidate in candidates:
        file, key = journal.file_of(folder, candidate), journal.key_of(candidate, how, code)
        entry = journal.read(file)
        if entry is not None and entry.copied and how.copies is None:
            raise ValueError(
                f"{candidate.path}: {dataset.name} reads a copy without metadata, or with veils; "
                f"ask for it again in the same way, or remove {dataset} to start afresh"
            )
        if entry is None or not entry.holds(key):
            job = workers.Job(candidate, file, key, began_ns)
            jobs.append(job)
            for piece in job.pieces():
                if not piece.file.exists():
                    pieces.append(piece)
        total += looks.num_steps(candidate)
        for track in inspection.beside(candidate):
            belonging.append(True, os.path.realpath(track))
    workers.in_parallel(jobs, how, total, report, pieces)
    made = _Tables(dataset, candidates, settings)
    for entry in _in_order([dataset]):
        made.add(entry, dataset.name)
    made.count(found, belonging)
    made.write()
    return made.of_asked, made.of_all


def merge(datasets: Sequence[Path], settings: config.Clips, folder: Path) -> None:
    """Writes the tables of all datasets as one; a recording that is in two of them counts once.

    Raises:
        ValueError: no dataset has a recording that can be used and still exists.
    """
    made = _Tables(folder, Shelf(), settings)
    for entry in _in_order(datasets):
        made.add(entry, entry.file.parent.parent.name)
    if not made.of_all.accepted:
        told = "no recordings yet, or none where they were"
        raise ValueError(f"{told}; `vidtag ingest PATH --dataset NAME` takes them in")
    made.write()


def _in_order(datasets: Sequence[Path]) -> Iterator[journal.Entry]:
    """Entries, those first that were taken in first; holds one at a time."""
    known = Shelf[Path]()
    for path in datasets:
        for entry in journal.read_all(path / journal.FOLDER):
            known.append(entry.file, f"{entry.added_ns:020d} {entry.file}")
    for file in known.by_key():
        if (still := journal.read(file)) is not None:
            yield still


class _Tables:
    """The tables of a dataset: what is told of it entry by entry, then written in order."""

    def __init__(self, folder: Path, asked: Shelf[Candidate], settings: config.Clips) -> None:
        """`asked`: what was asked for by name; told of by the paths by which it was."""
        self.folder, self.asked = folder, asked
        self.base = folder.resolve()
        self.taken = Shelf[_Taken]()
        self.marks = groups.Marks(settings)
        self.told_of = Shelf[str]()
        self.used_tracks = Shelf[bool]()
        self.has_frames = False
        self.of_asked, self.of_all = Outcome(), Outcome()

    def add(self, entry: journal.Entry, dataset: str) -> None:
        """Adds what still exists of an entry; of recordings with the same bytes the first stays."""
        asked = self.asked.find(entry.file.stem)
        shown = printable(asked.path) if asked else entry.path
        outcomes = [self.of_all, *([self.of_asked] if asked else [])]
        for record in filter(journal.is_there, entry.found):
            whole = record.path == printable(entry.path)
            path = shown if whole else str(Path(shown, Path(record.path).name))
            told = record.summary if isinstance(record, Accepted) else record
            if isinstance(record, Accepted) and (twin := self._twin(record, path)):
                advice = f"the same bytes are taken in as {twin}; remove one of them"
                told = Rejected(path, "duplicate", advice, record.sources)
            elif isinstance(record, Accepted):
                self._add_clip(record, dataset, entry.added_ns)
                for track in record.tracks if asked else ():
                    self.used_tracks.append(True, track)
            for outcome in outcomes:
                outcome.add(replace(told, path=path), _num_files(record))
        if asked:
            there = sum(map(_num_files, filter(journal.is_there, entry.found)))
            for _ in range(len(asked.files) - there):
                self.of_asked.passed_over.append(PassedOver(shown, "gone", _GONE))

    def count(self, found: discovery.Found, belonging: Shelf[bool]) -> None:
        """Adds what was found beside the recordings that were asked for.

        Args:
            found: all that was.
            belonging: something by the real path of each file that may tell where one was taken.
        """
        outcome = self.of_asked
        outcome.num_found = found.num_files
        for track in found.tracks:
            real = os.path.realpath(track)
            if self.used_tracks.find(real):
                outcome.num_used += 1
            elif belonging.find(real):
                told = "its recording has its positions from elsewhere, or is quarantined"
                found.pass_over(track, "not_needed", told)
            else:
                told = "no recording here has its name: give it that of its video"
                found.pass_over(track, "no_recording", told)
        for passed in found.passed_over:
            outcome.passed_over.append(passed)

    def _twin(self, record: Accepted, path: str) -> str:
        """Where the same recording, or one of its photos, was taken in before; empty if nowhere."""
        marks = (record.clip.source_md5, *record.sources)
        for mark in marks:
            if twin := self.told_of.find(mark):
                return twin
        for mark in marks:
            self.told_of.append(path, mark)
        return ""

    def _add_clip(self, record: Accepted, dataset: str, added_ns: int) -> None:
        clip, files = record.clip, record.files
        place = Path(files[0]) if clip.kind == "video" else Path(files[0]).parent
        row = {n: value for n, value in vars(clip).items() if n in clip_tables.CLIP_COLUMNS}
        row |= {"dataset": dataset, "video_path": self._relative(place)}
        frames: Columns | None = None
        if clip.kind == "frames":
            self.has_frames = True
            names = [self._relative(Path(file)) for file in files]
            frames = {"file": names, "time_s": record.picture_time_s}
        self.taken.append(_Taken(row, record.fixes, frames), clip.clip_id)
        self.marks.add(record, added_ns)

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.base)).as_posix()

    def write(self) -> None:
        """Writes the tables, with places, groups and splits; without a clip there are none."""
        stage.write_text(self.folder / ".gitignore", "*\n")
        columns = {"clips": clip_tables.CLIP_COLUMNS, "fixes": clip_tables.FIX_COLUMNS}
        columns |= {"frames": clip_tables.FRAME_COLUMNS} if self.has_frames else {}
        made = columns if self.of_all.accepted else {}
        for name in GROUP_ROWS.keys() - made.keys():
            (self.folder / f"{name}.parquet").unlink(missing_ok=True)
        if not made:
            return
        group_of = self.marks.groups()
        split_of = self.marks.splits(group_of)
        with contextlib.ExitStack() as files:
            tables = {
                name: files.enter_context(
                    parquet_writer.replacing(
                        self.folder / f"{name}.parquet", kinds, GROUP_ROWS[name]
                    )
                )
                for name, kinds in made.items()
            }
            for one, labels in _labelled(self.taken.by_key()):
                group = group_of[one.clip_id]
                drawn = {"group_id": group, "split": split_of[group], "licence": "own recording"}
                tables["clips"].add(1, **one.row, **drawn, **labels)
                tables["fixes"].add(len(one.fixes["lat"]), clip_id=one.clip_id, **one.in_time())
                if one.frames:
                    num = len(one.frames["file"])
                    index = np.arange(num)
                    tables["frames"].add(num, clip_id=one.clip_id, frame_index=index, **one.frames)


def _num_files(record: Record) -> int:
    """Of how many files that were found a record tells."""
    return len(record.sources if isinstance(record, Accepted) else record.files)


@dataclass(frozen=True)
class _Taken:
    """What the tables tell of a clip."""

    row: dict[str, Any]
    fixes: Columns
    frames: Columns | None

    @property
    def clip_id(self) -> str:
        """Its name."""
        return str(self.row["clip_id"])

    def in_time(self) -> Columns:
        """Its fixes in order of time."""
        order = np.argsort(np.asarray(self.fixes["time_s"], float), kind="stable").tolist()
        return {name: [values[k] for k in order] for name, values in self.fixes.items()}

    def middle(self) -> tuple[float, float]:
        """Latitude and longitude of the fix in its middle."""
        fixes = self.in_time()
        kept = [k for k, status in enumerate(fixes["status"]) if status != "dropped"]
        return fixes["lat"][kept[len(kept) // 2]], fixes["lon"][kept[len(kept) // 2]]


def _labelled(taken: Iterator[_Taken]) -> Iterator[tuple[_Taken, dict[str, str]]]:
    """Clips, each with the place nearest to its middle."""
    while some := list(itertools.islice(taken, _AT_ONCE)):
        yield from zip(some, published.labels_at([one.middle() for one in some]), strict=True)
