"""Time and memory of judging 100,000 clips of 16 fixes each: both suites, and the rules of clips.

Twice, in a process of its own each: tables in which all is well, and the worst, in which every fix
breaks several rules. The process reads the tables, judges them and writes the data docs, as the
checks do one after another. Run as `python -m benchmarks.validate [CLIPS]`; fails above a bar.

Belongs here: these measurements. Does not belong here: the rules (vidtag_ml/dataset/tables.py,
vidtag_assets/assets/expectations.py).
"""

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from vidtag_assets.assets import expectations
from vidtag_ml.dataset import rules
from vidtag_ml.dataset import tables as clip_tables

NUM_CLIPS, FIXES_PER_CLIP = 100_000, 16
MAX_SPEED_KMH = {"walk": 10.0}
MIN_SPLIT_KM = 1.0
MOST_SECONDS, MOST_GB = 60.0, 1.0


def good_tables(num_clips: int) -> clip_tables.Tables:
    """Walks with a fix a second, one at each point of a lattice, 17 km apart if 100,000."""
    clip_ids = np.array([f"walk-{k:06d}" for k in range(num_clips)], object)
    side = int(np.ceil(np.sqrt(num_clips)))
    lat, lon = np.divmod(np.arange(num_clips), side)
    second = np.tile(np.arange(FIXES_PER_CLIP, dtype=float), num_clips)
    clip = pd.DataFrame(
        {
            "clip_id": clip_ids,
            "dataset": "walks",
            "video_path": clip_ids + ".mp4",
            "kind": "video",
            "num_frames": 480,
            "duration_s": 16.0,
            "fps": 30.0,
            "width": 1920,
            "height": 1080,
            "codec": "h264",
            "mode": "walk",
            "split": np.resize(["train", "val", "test"], num_clips),
            "group_id": clip_ids,
            **dict.fromkeys(("city", "state", "country", "continent"), "somewhere"),
            "licence": "CC0-1.0",
            "content_md5": [f"{k:032x}" for k in range(num_clips)],
        }
    )
    fix = pd.DataFrame(
        {
            "clip_id": np.repeat(clip_ids, FIXES_PER_CLIP),
            "time_s": second,
            "lat": np.repeat(lat / side * 50.0 - 25.0, FIXES_PER_CLIP) + second * 1e-5,
            "lon": np.repeat(lon / side * 50.0 + 1.0, FIXES_PER_CLIP),
            "altitude_m": 100.0,
            "accuracy_m": 5.0,
            "dop": 1.5,
            "fix_type": "3d",
            "fix_source": "gps5",
            "status": "measured",
        }
    )
    return clip_tables.Tables(clip, fix)


def bad_tables(num_clips: int) -> clip_tables.Tables:
    """The same, with columns that no rule lets pass: off Earth, at one time, of no known kind."""
    good = good_tables(num_clips)
    poor = {"dop": 99.0, "accuracy_m": -1.0, "altitude_m": -1e4, "fix_type": "4d"}
    return clip_tables.Tables(
        good.clips.assign(kind="film", num_frames=0, split="practice", content_md5="?", city=None),
        good.fixes.assign(lat=91.0, time_s=0.0, status="guessed", **poor),
    )


def judge(folder: Path) -> None:
    """Prints seconds and peak memory of each part; ends the process with 1 above a bar."""
    _say(f"  import of Great Expectations: {_measured(expectations.clips_suite)}")
    start = time.perf_counter()
    tables = clip_tables.read(folder)
    _say(f"  reading: {time.perf_counter() - start:.1f} s, up to here at most {_peak_gb():.2f} GB")
    parts: dict[str, Callable[[], object]] = {
        "problems": lambda: rules.problems(tables, MAX_SPEED_KMH, MIN_SPLIT_KM),
        "suite of clips": lambda: expectations.validate(
            tables.clips, expectations.clips_suite, folder / "docs" / "clips"
        ),
        "suite of fixes": lambda: expectations.validate(
            tables.fixes, expectations.fixes_suite, folder / "docs" / "fixes"
        ),
    }
    for name, part in parts.items():
        _say(f"  {name}: {_measured(part)}")
    taken_s, peak_gb = time.perf_counter() - start, _peak_gb()
    _say(
        f"  all but the import: {taken_s:.1f} s (bar: {MOST_SECONDS:.0f} s), at most {peak_gb:.2f} "
        f"GB (bar: {MOST_GB} GB)"
    )
    sys.exit(int(taken_s > MOST_SECONDS or peak_gb > MOST_GB))


def _measured(work: Callable[[], object]) -> str:
    start = time.perf_counter()
    work()
    return f"{time.perf_counter() - start:.1f} s, up to here at most {_peak_gb():.2f} GB"


def _peak_gb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def _say(text: str) -> None:
    Console().print(text, soft_wrap=True, highlight=False)


def main() -> int:
    """Runs both; 1 if a bar is missed."""
    num_clips = int(sys.argv[1]) if len(sys.argv) > 1 else NUM_CLIPS
    missed = 0
    for name, tables_of in (("all well", good_tables), ("all wrong", bad_tables)):
        _say(f"{name}: {num_clips:,} clips, {num_clips * FIXES_PER_CLIP:,} fixes")
        with tempfile.TemporaryDirectory(dir=".") as folder:
            clip_tables.write(Path(folder), tables_of(num_clips))
            process = multiprocessing.get_context("spawn").Process(
                target=judge, args=(Path(folder),)
            )
            process.start()
            process.join()
        missed += int(process.exitcode != 0)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
