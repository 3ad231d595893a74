"""Made-up worlds: what is taken in was there, or what was assumed of its clock is told.

A place is never excused. A time is, by a sentence, where a world leaves its clock open: a video
that does not say when it began, a clock without its zone and a log of hours, a log without a date.

Belongs here: the claim, over worlds that are made up. Does not belong here: these
(tests/data/made_up.py), their truth (tests/data/worlds.py), how it is written
(tests/data/dialects.py). Shape legend: N moments, 2 = (lat, lon) in degrees.
"""

import re
import shutil
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from tests.data import dialects, made_up, recordings, worlds
from tests.data.made_up import DIALECTS
from vidtag_ml.ingest.own import inspection, positions
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.ingest.own.records import Accepted

LIMITS = {"walk": 10.0, "ride": 60.0, "car": 200.0, "drone": 120.0, "photos": 1000.0}
MAX_GAP_S = 2.0
FAR_M, LATE_S = 15.0, 0.5
ASSUMED = re.compile(r"clock|recording time|zone|taken for the", re.ASCII)
"""Words by which a sentence tells what was assumed of times."""
DRONE_MPS = 20.0
"""Drones that write four decimals of a degree are slower."""
PLACE_TAG = "com.apple.quicktime.location.ISO6709"
SOON = settings(
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
NUMS = [pytest.param(4, id="few"), pytest.param(40, id="many", marks=pytest.mark.slow)]


def examples(num, of, **strategies):
    """Runs a claim on examples that are the same in each run, and others for each `of`."""

    def run(claim):
        settings(SOON, max_examples=num)(
            seed(zlib.crc32(of.encode()))(given(**strategies)(claim))
        )()

    return run


@pytest.fixture(autouse=True)
def no_other_program(exiftool_says):
    """What is claimed is claimed of our own readers."""
    exiftool_says(None)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory, tagged):
    """A video of some length with tags, in a folder of its own."""
    folder = tmp_path_factory.mktemp("filmed")
    known = {num: recordings.film(folder / f"{num}.mp4", num=num) for num in (12, 40)}

    def copy(duration_s, told):
        shutil.rmtree(folder / "now", ignore_errors=True)
        (folder / "now").mkdir()
        return tagged(known[duration_s], folder / "now" / "a.mp4", **told)

    return copy


def placed(path, world):
    """What vidtag makes of a video; None if it finds no position to believe."""
    try:
        return positions.place(path, world.duration_s, world.mode, 0.0, MAX_GAP_S, LIMITS)
    except positions.NoPositionError:
        return None


def written(filmed, world, dialect, write):
    """A video with a file of a dialect beside it; drones write only while they film."""
    path = filmed(world.duration_s, world.tags)
    drone = dialect.suffix == ".srt"
    log = [r for r in world.said if not drone or 0 <= r.time_s <= world.duration_s]
    path.with_suffix(dialect.suffix).write_bytes(write(log, world.began_utc_s))
    return path


def believed(found):
    return found.fixes[found.fixes["status"] != "dropped"]


def strays(world, found):
    """Times of the video at which it is not where it was, give or take 0.5 s."""
    fixes, time_N = believed(found), np.arange(0, world.duration_s + 0.01, 0.25)
    found_N2 = worlds.between(fixes["time_s"], fixes[["lat", "lon"]], time_N, MAX_GAP_S)
    about_s = np.linspace(-LATE_S, LATE_S, 41)
    off_m = [worlds.apart_m(found_N2, world.journey.at(time_N + late_s)) for late_s in about_s]
    return time_N[np.min(off_m, axis=0) > FAR_M]


def elsewhere(world, found):
    """Believed positions where nobody was while the log was written."""
    way_N2 = world.journey.at([row.time_s for row in world.log])
    places = believed(found)[["lat", "lon"]].to_numpy()
    return [place for place in places if np.min(worlds.apart_m(way_N2, [place])) > FAR_M]


def is_true_or_told(world, found, *, clock):
    """Asserts the claim for one recording that was taken in."""
    assert not elsewhere(world, found), found.repairs
    late = strays(world, found)
    if clock == "first" or (clock == "utc" and world.open):
        assert not len(late) or any(map(ASSUMED.search, found.repairs)), (late, found.repairs)
    else:
        assert not len(late), found.repairs


def beside(filmed, dialect, world, data):
    """Asserts the claim for a video with a file of a dialect beside it, if that is believed."""
    known = DIALECTS[dialect]
    assume(known.tells(world))
    found = placed(written(filmed, world, known, data.draw(known.write)), world)
    if found is not None:
        is_true_or_told(world, found, clock=known.clock)


def plain(filmed, dialect, world, data):
    """Asserts that a good log is used whole, and that nothing is said of it."""
    known = DIALECTS[dialect]
    assume(known.tells(world))
    assume(known.suffix != ".srt" or world.journey.speed_mps < DRONE_MPS)
    found = placed(written(filmed, world, known, data.draw(known.write)), world)
    inside = [row for row in world.log if 0 <= row.time_s <= world.duration_s]
    assert found is not None
    assert not any(map(ASSUMED.search, found.repairs)), found.repairs
    assert len(believed(found)) >= len(inside)
    is_true_or_told(world, found, clock="video")


def begins_at_its_tag(filmed, world, form):
    """Asserts that a video whose only position is a tag begins there."""
    here = worlds.rows(world.journey, [0.0])[0]
    path = filmed(world.duration_s, {**world.tags, PLACE_TAG: dialects.iso_6709(here, form)})
    (fix,) = believed(placed(path, world)).to_dict("records")
    assert worlds.apart_m([(fix["lat"], fix["lon"])], [here.place])[0] < FAR_M
    assert abs(fix["time_s"]) <= LATE_S


def photographed(folder, album, clock):
    """Asserts the claim for photos, which are several sequences where they were taken in flight."""
    true = made_up.pictured(folder, album, clock)
    how = inspection.Intake("photos", 0.0, 1.0, MAX_GAP_S, LIMITS)
    found = inspection.inspect(Candidate(folder, tuple(sorted(true))), how)
    accepted = [record for record in found if isinstance(record, Accepted)]
    assert album.glitch or len(accepted) == len(found)
    for sequence in accepted:
        rows = [true[path.rpartition("/")[2]] for path in sequence.sources]
        places = list(zip(sequence.fixes["lat"], sequence.fixes["lon"], strict=True))
        assert worlds.apart_m(places, [row.place for row in rows]).max() < FAR_M
        since_s = [row.time_s - rows[0].time_s for row in rows]
        assert np.abs(np.subtract(sequence.picture_time_s, since_s)).max() <= LATE_S


@pytest.mark.parametrize("num", NUMS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_track_beside_a_video_is_true_or_its_assumption_is_told(filmed, dialect, num):
    @examples(num, dialect, world=made_up.films(), data=st.data())
    def _(world, data):
        beside(filmed, dialect, world, data)


@pytest.mark.parametrize("num", NUMS)
@pytest.mark.parametrize("clock", made_up.CLOCKS)
def test_a_log_of_hours_is_true_by_any_clock_or_its_assumption_is_told(filmed, clock, num):
    @examples(num, clock, world=made_up.films([clock], ["long"]), data=st.data())
    def _(world, data):
        beside(filmed, "gpx", world, data)


@pytest.mark.parametrize("num", NUMS)
@pytest.mark.parametrize("dialect", [name for name in DIALECTS if DIALECTS[name].clock != "first"])
def test_nothing_is_assumed_of_a_good_recording_and_all_of_it_is_used(filmed, dialect, num):
    good = made_up.films(["utc", "zoned"], ["same", "wider"], [""])

    @examples(num, dialect, world=good, data=st.data())
    def _(world, data):
        plain(filmed, dialect, world, data)


@pytest.mark.parametrize("num", NUMS)
@pytest.mark.parametrize("form", dialects.ISO_6709)
def test_the_tag_of_a_video_is_where_it_began(filmed, form, num):
    @examples(num, form, world=made_up.films())
    def _(world):
        begins_at_its_tag(filmed, world, form)


@pytest.mark.parametrize("num", NUMS)
@pytest.mark.parametrize("clock", dialects.PHOTOS)
def test_photos_are_where_and_when_they_were_taken(tmp_path, clock, num):
    @examples(num, clock, album=made_up.albums())
    def _(album):
        photographed(tmp_path / "album", album, clock)
