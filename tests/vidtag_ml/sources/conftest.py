"""Miniatures of the published datasets, made by the scripts in tests/data.

Belongs here: making and ingesting them. Does not belong here: what is in them (tests/data).
"""

import functools
import importlib
import runpy
from pathlib import Path

import pytest

from vidtag_ml import clips, config

SCRIPTS = Path(__file__).parents[2] / "data"
SETTINGS = config.Clips(
    source="msls",
    folder="recordings",
    seed=7,
    num_train=2,
    num_val=1,
    num_test=1,
    min_frames=2,
    max_frames=16,
    max_gap_s=2.0,
    min_split_km=0.0,
)


@pytest.fixture(scope="session")
def make():
    """Writes a miniature: make("msls", folder)."""

    @functools.cache
    def script(name):
        return runpy.run_path(str(SCRIPTS / f"{name}.py"))["make"]

    return lambda name, folder, *args, **options: script(name)(folder, *args, **options)


@pytest.fixture
def ingest(tmp_path):
    """The tables of recordings, and what was told: ingest("msls", recordings)."""

    def tables(name, recordings, report=None, **changes):
        settings = config.Clips(**{**vars(SETTINGS), "source": name, **changes})
        source = importlib.import_module(f"vidtag_ml.sources.{name}")
        source.write(settings, recordings, tmp_path / "data" / name, report)
        return clips.read(tmp_path / "data" / name)

    return tables
