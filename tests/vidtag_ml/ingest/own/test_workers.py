"""Many recordings are done at once, and none stops another."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import PosixPath

from tests.data.recordings import recording
from tests.vidtag_ml.ingest.own.conftest import HOW
from vidtag_ml.ingest.own import workers
from vidtag_ml.ingest.own.discovery import Candidate


class _Deadly(PosixPath):
    """A path that kills the process which receives it, as a decoder does that crashes."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_recording_that_crashes_its_process_stops_no_other(tmp_path):
    good = [recording(tmp_path / "v", f"g{k}", k) for k in range(3)]
    bad = _Deadly(tmp_path / "v" / "bad.mp4")
    jobs = [workers.Job(Candidate(p), tmp_path / f"{p.stem}.json", {}, 0) for p in (*good, bad)]
    done = []
    workers.in_parallel(jobs, HOW, 4, lambda *progress: done.append(progress))
    assert done[-1] == (4, 4)
    assert "the decoder crashed" in (tmp_path / "bad.json").read_text()
    assert all("num_fixes" in (tmp_path / f"g{k}.json").read_text() for k in range(3))


def test_a_mistake_of_ours_stops_no_other_recording(tmp_path):
    path = recording(tmp_path / "v")
    broken = dataclasses.replace(HOW, max_speed_kmh=None)
    workers.in_parallel([workers.Job(Candidate(path), tmp_path / "a.json", {}, 0)], broken, 1)
    (found,) = json.loads((tmp_path / "a.json").read_text())["found"]
    assert found["told"]["reason"] == "error"
    assert "TypeError" in found["told"]["advice"]


def test_a_script_from_standard_input_is_told_and_no_recording_blamed(tmp_path):
    """Its processes die at birth, as they find no file to import."""
    script = (
        "from pathlib import Path\n"
        "from vidtag_ml.ingest.own import inspection, workers\n"
        "from vidtag_ml.ingest.own.discovery import Candidate\n"
        "job = workers.Job(Candidate(Path('a.mp4')), Path('a.json'), {}, 0)\n"
        "workers.in_parallel([job], inspection.Intake(None, 0.0, 1.0, 2.0, {}), 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-"],
        input=script,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RuntimeError: no process can be started" in done.stderr
    assert not (tmp_path / "a.json").exists()
