"""Stretches hold every frame once; what Ray's workers make of them is what one process makes."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import lay_out
from tests.vidtag_ml.features.test_extraction import write_clips
from vidtag_ml.features import decoding, spread
from vidtag_ml.features import stages as features_stages
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.workflow import layout, stage


def frames_of(clips, tables, folder):
    return [p.frames_THW3[:, 0, 0, 0] for p in decoding.of_clips(clips, tables, folder, 1.0)]


@pytest.mark.parametrize("lengths", [[3, 6, 1], [40], [8, 8, 8], [1] * 20, [17, 2, 30, 1]])
def test_stretches_hold_every_frame_once_and_whole_batches(tmp_path, monkeypatch, lengths):
    monkeypatch.setattr(spread, "SHARD_FRAMES", 10)
    tables = write_clips(tmp_path, lengths)
    every = np.concatenate(frames_of(tables.clips, tables, tmp_path))
    times = spread._times(tables.clips, tables, tmp_path, 1.0)
    found = list(spread._stretches(tables.clips, tables, times, batch_size=4))
    assert [s.num for s in found[:-1]] == [8] * (len(found) - 1)
    parts = []
    for one in found:
        decoded = decoding.of_clips(one.tables.clips, one.tables, tmp_path, 1.0)
        cut = list(spread._cut(decoded, one.skip, one.num))
        assert sum(len(piece.time_s) for piece in cut) == one.num
        parts += [piece.frames_THW3[:, 0, 0, 0] for piece in cut]
    assert np.array_equal(np.concatenate(parts), every)


def test_of_no_clips_there_are_no_stretches(tmp_path):
    tables = write_clips(tmp_path, [3])
    none = tables.clips.iloc[:0]
    assert list(spread._stretches(none, tables, [], batch_size=4)) == []


def workers(mark):
    """Ids of Ray's workers whose environment bears a mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title, variables = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            if b"MapWorker" in title and f"VIDTAG_TEST={mark}".encode() in variables:
                found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_ray_makes_the_same_bytes_though_a_worker_is_lost(
    params, tiny_encoders, tmp_path, monkeypatch, two_workers
):
    monkeypatch.setattr(spread, "SHARD_FRAMES", 8)
    root = lay_out(tmp_path / "a workspace", params, tiny_encoders)
    ingest_stages.ingest(root, params)
    out, made, killed = layout.of(root, params).features, [], []

    def kill():
        until = time.monotonic() + 120
        while not killed and time.monotonic() < until:
            for worker in workers(tmp_path)[:1]:
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    for engine in ("here", "ray"):
        if engine == "ray":
            killer.start()
        assert features_stages.features(root, params, engine)
        made.append((stage.digest(out), stage.recorded(out)))
        out.rename(tmp_path / engine)
    killer.join()
    assert len(killed) == 1
    assert made[0] == made[1]
