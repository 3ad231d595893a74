"""Miniatures of the published datasets, and a program in the place of exiftool.

Belongs here: ingesting them, putting it there. Does not belong here: what is in them (tests/data).
"""

import importlib
import json
import os

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


@pytest.fixture
def exiftool_says(tmp_path, monkeypatch):
    """Puts a program in the place of exiftool, which says this of every video; None = none."""
    path = os.environ["PATH"]

    def put(answer, version="9"):
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv("PATH", str(folder))
        program = folder / "exiftool"
        program.unlink(missing_ok=True)
        if answer is None:
            return
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{path}")
        (folder / "said").write_text(answer if isinstance(answer, str) else json.dumps([answer]))
        asked = f'case "$3" in -ver) echo {version};; *) cat "{folder}/said";; esac'
        program.write_text(f"#!/bin/sh\n{asked}\n")
        program.chmod(0o755)

    return put
