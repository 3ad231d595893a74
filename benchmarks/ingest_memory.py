"""Peak memory of taking in own recordings, at two sizes; what a recording more costs.

The recordings are empty files with the journal of a run that looked at all of them and was killed
before it wrote anything else: 60 fixes each, every tenth left out. Measured, in a process of its
own, is the run that goes on: it finds the files, reads the journal, writes tables, report and JSON,
and merges the dataset. What decoders hold is not in it: it does not grow with their number.
Run as `python -m benchmarks.ingest_memory [RECORDINGS]`; fails above a bar.

Belongs here: this measurement, and the journals for it. Does not belong here: the rules of ingest
(vidtag_ml/ingest).
"""

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from vidtag_ml import config
from vidtag_ml.dataset import tables
from vidtag_ml.ingest.own import inspection, journal
from vidtag_ml.ingest.own import report as ingest_report
from vidtag_ml.ingest.own import tables as own_tables
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.ingest.own.records import Accepted, Clip, Columns, Rejected, Summary
from vidtag_ml.workflow import code_key

NUM_RECORDINGS, NUM_FIXES, NUM_PICTURES = 20_000, 60, 16
FEWER = 4
"""The smaller size is this part of the larger; both fill the row groups that are held."""
MOST_KB = 1.5
HOW = inspection.Intake(None, 0.0, 1.0, 2.0, {"walk": 10.0})
SETTINGS = config.Clips("recordings", None, 7, 8, 1, 1, 1, 16, 2.0, 0.0)


def make(root: Path, num: int) -> None:
    """Writes recordings to `root/videos` and their journal to `root/data/trip`."""
    rng, code = np.random.default_rng(0), code_key.of("inspect")
    (root / "videos").mkdir(parents=True)
    for k in range(num):
        one = Candidate(root / "videos" / f"walk-{k:06d}.mp4")
        one.path.touch()
        found = _left_out(one.path) if k % 10 == 0 else _taken_in(one.path, k, rng)
        file = journal.file_of(root / "data" / "trip" / journal.FOLDER, one)
        journal.write(file, journal.key_of(one, HOW, code), one.path, [found], added_ns=0)


def _left_out(path: Path) -> Rejected:
    return inspection.left_out(
        path, "no_position", "put its track beside it: a GPX of the same name"
    )


def _taken_in(path: Path, number: int, rng: np.random.Generator) -> Accepted:
    """A walk of a minute; each begins far from all others."""
    lat, lon = np.divmod(number, 1000)
    clip = Clip(
        clip_id=f"{path.stem}-{number:010x}",
        source_md5=f"{number:032x}",
        kind="video",
        mode="walk",
        content_md5=f"{number:032x}",
        num_frames=1800,
        duration_s=60.0,
        fps=30.0,
        width=1920,
        height=1080,
        codec="h264",
    )
    second = np.arange(NUM_FIXES, dtype=float)
    missing = dict.fromkeys(("altitude_m", "accuracy_m", "dop"), np.nan)
    known = {"fix_type": "3d", "fix_source": "gpx", "status": "measured"}
    fixes: Columns = {name: [value] * NUM_FIXES for name, value in (missing | known).items()}
    fixes |= {"time_s": second.tolist(), "lat": (lat / 2.0 - 50.0 + second * 1e-5).tolist()}
    fixes["lon"] = [lon / 3.0 - 160.0] * NUM_FIXES
    summary = Summary(
        clip_id=clip.clip_id,
        path=str(path),
        decoder="pyav",
        num_frames=1800,
        duration_s=60.0,
        num_fixes=NUM_FIXES,
        fix_source="gpx",
        lat_min=lat / 2.0 - 50.0,
        lat_max=lat / 2.0 - 50.0,
        lon_min=lon / 3.0 - 160.0,
        lon_max=lon / 3.0 - 160.0,
        repairs=["1 of 61 fixes dropped: faster than walk"],
        num_found=61,
        dropped={"faster than walk": 1},
    )
    return Accepted(
        clip=clip,
        summary=summary,
        fixes={name: fixes[name] for name in tables.FIX_COLUMNS if name != "clip_id"},
        began_utc_s=1e9 + 3600.0 * number,
        sources=[str(path)],
        files=[str(path)],
        signature=rng.integers(0, 2**64, NUM_PICTURES, np.uint64).tolist(),
        picture_time_s=[],
        tracks=[],
    )


def take_in(root: Path) -> None:
    """What `vidtag ingest` does, and the merge of datasets."""
    dataset = root / "data" / "trip"
    outcome, whole = own_tables.ingest([str(root / "videos")], dataset, HOW, SETTINGS)
    ingest_report.write(root / "data" / "quarantine", dataset, outcome, whole)
    with (root / "told.json").open("w") as told:
        told.writelines(f"{line}\n" for line in outcome.json_lines())
    own_tables.merge([dataset], SETTINGS, root / "data" / "recordings")


def _measure(root: Path, told: "multiprocessing.Queue[tuple[float, float]]") -> None:
    start = time.perf_counter()
    take_in(root)
    status = Path("/proc/self/status").read_text()
    told.put((time.perf_counter() - start, int(status.split("VmHWM:")[1].split()[0])))


def main() -> int:
    """Measures both sizes; 1 if the bar is missed."""
    num = int(sys.argv[1]) if len(sys.argv) > 1 else NUM_RECORDINGS
    console, peaks_kb = Console(soft_wrap=True, highlight=False), []
    processes = multiprocessing.get_context("spawn")
    for size in (num // FEWER, num):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            make(Path(folder).resolve(), size)
            told = processes.Queue()
            process = processes.Process(target=_measure, args=(Path(folder).resolve(), told))
            process.start()
            seconds, peak_kb = told.get()
            process.join()
        peaks_kb.append(peak_kb)
        console.print(f"{size:,} recordings: {seconds:.0f} s, at most {peak_kb / 1e3:.0f} MB")
    slope_kb = (peaks_kb[1] - peaks_kb[0]) / (num - num // FEWER)
    console.print(f"{slope_kb:.2f} kB a recording (bar: {MOST_KB} kB)")
    return int(slope_kb > MOST_KB)


if __name__ == "__main__":
    sys.exit(main())
