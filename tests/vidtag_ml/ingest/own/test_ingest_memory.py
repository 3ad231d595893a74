"""Memory does not grow with the number of recordings by more than their names."""

import runpy
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

from vidtag_ml.ingest.own import tables as own_tables

BENCHMARK = Path(__file__).parents[4] / "benchmarks" / "ingest_memory.py"
ingest_memory = SimpleNamespace(**runpy.run_path(str(BENCHMARK)))


def peak_kb(root, num):
    ingest_memory.make(root, num)
    tracemalloc.start()
    try:
        ingest_memory.take_in(root)
        return tracemalloc.get_traced_memory()[1] / 1e3
    finally:
        tracemalloc.stop()


def test_a_recording_costs_about_a_kilobyte(tmp_path, monkeypatch):
    monkeypatch.setattr(own_tables, "GROUP_ROWS", {"clips": 16, "fixes": 256, "frames": 256})
    monkeypatch.setattr(own_tables, "_AT_ONCE", 16)
    ingest_memory.make(tmp_path / "first", 10)
    ingest_memory.take_in(tmp_path / "first")
    few = peak_kb(tmp_path / "few", 100)
    # Python's table of interned strings may double during one of them, by some megabytes.
    many = min(peak_kb(tmp_path / name, 300) for name in ("many", "again"))
    assert (many - few) / 200 < 1.5
