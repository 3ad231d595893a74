"""Claims about DJI's subtitles: all their styles, and whose position is read."""

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import srt

PLACES = [(47.376, 8.541), (-33.85, -70.25), (0.0, 179.999999)]
STYLES = ("modern", "mavic_pro", "p4_rtk", "mavic_2")


@pytest.fixture
def srt_of(tmp_path):
    """Reads text as a subtitle file."""

    def read(content):
        path = tmp_path / "DJI_0001.SRT"
        path.write_text(content, newline="")
        return srt.read(path).points

    return read


@pytest.mark.parametrize("style", STYLES)
def test_each_style_gives_time_and_place_of_the_drone(made, srt_of, style):
    table = srt_of(made.dji_srt(PLACES, style, step_s=0.5))
    np.testing.assert_allclose(table[["lat", "lon"]], PLACES, atol=1e-9)
    np.testing.assert_allclose(table["time_s"], [0, 0.5, 1.0])


def test_local_dates_are_no_utc(made, srt_of):
    assert srt_of(made.dji_srt(PLACES))["utc_s"].isna().all()


@pytest.mark.parametrize(("style", "wanted"), [("modern", 455.1), ("mavic_pro", np.nan)])
def test_only_an_absolute_altitude_is_read(made, srt_of, style, wanted):
    np.testing.assert_array_equal(srt_of(made.dji_srt(PLACES, style))["altitude_m"], wanted)


def test_blocks_without_a_position_are_no_rows_but_count_for_time(made, srt_of):
    content = made.dji_srt(PLACES, "mavic_2").replace("47.376000", "n/a")
    table = srt_of(content)
    assert table["time_s"].tolist() == [1, 2]


def test_a_block_without_any_time_has_none(srt_of):
    assert np.isnan(srt_of("[latitude: 1.5] [longitude: 2.5]")["time_s"][0])


@pytest.mark.parametrize(
    "content",
    ["", "1\n00:00:01,000 --> 00:00:02,000\nHello\n", "1\nHOME(149.0251,-20.2532) 2017.08.05\n"],
)
def test_other_subtitles_are_refused(srt_of, content):
    with pytest.raises(ValueError, match=r"DJI_0001\.SRT: not the subtitles of a DJI drone"):
        srt_of(content)


@pytest.mark.parametrize("name", ["mavic_2_style", "mavic_pro", "old_format", "p4_rtk"])
def test_real_files_hold_the_track_of_the_manifest(real, manifest, name):
    row = manifest.loc[f"dji_srt/{name}.SRT"]
    table = srt.read(real / "dji_srt" / f"{name}.SRT").points
    assert len(table) == int(row["n_fixes"])
    for name in ("lat", "lon"):
        box = [float(row[f"{name}_min"]), float(row[f"{name}_max"])]
        np.testing.assert_allclose([table[name].min(), table[name].max()], box, atol=1e-7)
    begun_s = table["time_s"][0]
    np.testing.assert_allclose(table["time_s"] - begun_s, np.arange(len(table)), atol=1.0)
