"""Miniatures of the published datasets, made by the scripts in tests/data.

Belongs here: ingesting them. Does not belong here: what is in them (tests/data).
"""

import importlib

import pytest

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables

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


@pytest.fixture
def ingest(tmp_path):
    """The tables of recordings, and what was told: ingest("msls", recordings)."""

    def tables(name, recordings, report=None, **changes):
        settings = config.Clips(**{**vars(SETTINGS), "source": name, **changes})
        source = importlib.import_module(f"vidtag_ml.ingest.published.{name}")
        source.write(settings, recordings, tmp_path / "data" / name, report)
        return clip_tables.read(tmp_path / "data" / name)

    return tables
