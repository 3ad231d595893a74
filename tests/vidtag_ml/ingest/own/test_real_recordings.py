"""Every real recording ends as the manifest says. Skipped where they are not."""

import csv
from pathlib import Path

import pytest

from vidtag_ml import config
from vidtag_ml.dataset import rules
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.ingest.own import inspection
from vidtag_ml.ingest.own import tables as own_tables

REAL = Path(__file__).resolve().parents[5] / "shared" / "data"
PARAMS = Path(__file__).resolve().parents[4] / "params.yaml"
RIGHT_SIGN = "bad/flir_lon_sign_error.jpg"
"""The manifest lists it at +118.25, as readers do that skip the W in FLIR's own record; the true
place is at -118.25."""
BOX = ("lat_min", "lat_max", "lon_min", "lon_max")

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings are not here")


@pytest.fixture(scope="module")
def manifest():
    with (REAL / "MANIFEST.csv").open(newline="") as lines:
        return {row["path"]: row for row in csv.DictReader(lines)}


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory):
    """The dataset's folder, and what was told of each recording by its path."""
    root, params = tmp_path_factory.mktemp("real"), config.load(PARAMS)
    outcome, _ = own_tables.ingest(
        [str(REAL)], root / "real", inspection.settings(params), params.clips
    )
    told = [record.as_json() for record in (*outcome.accepted, *outcome.quarantined)]
    return root / "real", {str(Path(t["path"]).relative_to(REAL)): t for t in told}


def test_clips_have_the_frames_duration_fixes_and_box_of_the_manifest(manifest, taken_in):
    for path, row in manifest.items():
        if row["expected"] != "clip":
            continue
        told = taken_in[1][path]
        assert "clip_id" in told, path
        for name, column in (("num_frames", "frames"), ("num_fixes", "n_fixes")):
            assert row[column] in ("", str(told[name])), (path, name)
        if row["duration_s"]:
            assert told["duration_s"] == pytest.approx(float(row["duration_s"]), abs=0.06), path
        wrong = {"lon_min", "lon_max"} if path == RIGHT_SIGN else set()
        for name in set(BOX) - wrong:
            assert told[name] == pytest.approx(float(row[name]), abs=2e-5), (path, name)


def test_photos_of_a_sequence_are_one_clip(manifest, taken_in):
    folders = {r["expected"][5:] for r in manifest.values() if r["expected"].startswith("clip:")}
    assert len(folders) >= 5
    for folder in folders:
        rows = [row for row in manifest.values() if row["expected"] == f"clip:{folder}"]
        told = taken_in[1][folder]
        assert told["num_frames"] == told["num_fixes"] == len(rows)
        for name, pick in zip(BOX, (min, max, min, max), strict=True):
            true = pick(float(row[name]) for row in rows)
            assert told[name] == pytest.approx(true, abs=2e-7)


def test_the_rest_is_quarantined_for_the_right_reason(manifest, taken_in):
    for path, row in manifest.items():
        expected, told = row["expected"], taken_in[1].get(path)
        if expected.startswith("quarantine"):
            assert told is not None, path
            _, _, reason = expected.partition(":")
            assert told["reason"] == (reason or told["reason"]), path
            assert told["advice"]


def test_what_is_no_recording_is_not_told_of(manifest, taken_in):
    for path, row in manifest.items():
        if row["expected"].split(":")[0] in ("ignored", "sidecar", "table"):
            assert path not in taken_in[1]


def test_the_thermal_photo_is_placed_by_its_reference(taken_in):
    assert taken_in[1][RIGHT_SIGN]["lon_min"] == pytest.approx(-118.2542682)


def test_the_tables_have_no_problem(taken_in):
    tables = clip_tables.read(taken_in[0])
    assert rules.problems(tables, config.load(PARAMS).evaluation.max_speed_kmh) == []


def test_stills_and_the_videos_made_of_them_are_one_group(taken_in):
    rows = clip_tables.read(taken_in[0]).clips
    drone = rows[rows["clip_id"].str.startswith(("caliterra", "odm_caliterra"))]
    assert len(drone) == 3
    assert len(set(drone["group_id"])) == 1
