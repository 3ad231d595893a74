"""How own recordings are taken in, and what became of them.

Belongs here: doing so. Does not belong here: the recordings (tests/data/recordings.py).
"""

from pathlib import Path

import pytest

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.ingest.own import inspection
from vidtag_ml.ingest.own import tables as own_tables

SETTINGS = config.Clips("recordings", None, 7, 2, 1, 1, 1, 16, 2.0, 0.0)
HOW = inspection.Intake(
    None, 0.0, 1.0, 2.0, {"walk": 10.0, "ride": 60.0, "car": 200.0, "photos": 1e3}
)


@pytest.fixture
def take(tmp_path):
    """Takes recordings into tmp_path/data/trip."""

    def run(*asked, how=HOW):
        dataset = tmp_path / "data" / "trip"
        return own_tables.ingest([str(a) for a in asked], dataset, how, SETTINGS)[0]

    return run


def tables(tmp_path):
    return clip_tables.read(tmp_path / "data" / "trip")


def reasons(outcome):
    return {Path(r.path).name: r.reason for r in outcome.quarantined}
