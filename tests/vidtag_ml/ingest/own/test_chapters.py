"""Claims about chapters: which files go on with which, and when each begins."""

import pytest

from tests.data.recordings import NOON, film, stamped, walked
from vidtag_ml.ingest.own import chapters

CREATED = "2024-06-01T12:00:00Z"


def chapter(path, created=CREATED, num=4, seed=0):
    """A video of `num` seconds, which says when it was made."""
    tags = {"creation_time": created} if created else {}
    return stamped(film(path, seed, num), **tags)


@pytest.mark.parametrize(
    ("names", "before"),
    [
        (("GH010123.MP4", "GH020123.MP4"), 1),
        (("gx010123.mp4", "GX020123.MP4"), 1),
        (("GOPR0123.MP4", "GP010123.MP4", "GP020123.MP4"), 2),
        (("DJI_0009.MP4", "DJI_0010.MP4"), 1),
        (("FILE0001.MOV", "FILE0002.MOV", "FILE0003.MOV"), 2),
        (("20240601_120000_0001.mp4", "20240601_120000_0002.mp4"), 1),
        (("2024 GH010123.MP4", "2024 GH020123.MP4"), 1),
        (("a_GOPR0123.MP4", "a_GP010123.MP4"), 1),
        (("trip-1.MP4", "trip-2.MP4"), 0),
        (("GH010122.MP4", "GH010123.MP4"), 0),
        (("GOPR0122.MP4", "GOPR0123.MP4"), 0),
        (("GH010123.MP4", "GX020123.MP4"), 0),
        (("DJI_0001.MP4", "DJI_0003.MP4"), 0),
        (("a.mp4", "b.mp4"), 0),
    ],
)
def test_chapters_are_known_by_their_names(tmp_path, names, before):
    for name in names:
        (tmp_path / name).touch()
    found = [path.name for path in chapters.files(tmp_path / names[-1])]
    assert found == list(reversed(names[:-1]))[:before]


def test_a_chapter_begins_when_those_before_it_end(tmp_path):
    for number in (1, 2):
        chapter(tmp_path / f"GH0{number}0123.MP4")
    found = chapters.earlier(tmp_path / "GH030123.MP4", NOON.timestamp())
    assert found.lasts_s == pytest.approx(8.0)
    assert "chapter 3 of a recording: begins 8.0 s after the first" in found.repairs[0]


def test_a_chapter_that_bears_a_time_a_second_later_goes_on_with_the_first(tmp_path):
    chapter(tmp_path / "DJI_0001.MP4")
    found = chapters.earlier(tmp_path / "DJI_0002.MP4", NOON.timestamp() + 1)
    assert found.lasts_s == pytest.approx(3.0)
    chapter(tmp_path / "DJI_0003.MP4", num=1)
    assert chapters.earlier(tmp_path / "DJI_0004.MP4", NOON.timestamp() + 1) == chapters.NONE


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("DJI_0003.MP4", "DJI_0001.MP4"),
        ("trip-2.MP4", "trip-1.MP4"),
        ("part 2 of 3.mp4", "part 1 of 3.mp4"),
        ("trip-2.MP4", "trip-3.MP4"),
        ("trip-2.MP4", "trap-1.MP4"),
    ],
)
def test_a_file_of_its_time_that_may_come_before_it_is_told(tmp_path, name, other):
    chapter(tmp_path / other)
    found = chapters.earlier(tmp_path / name, NOON.timestamp())
    assert found.lasts_s == 0.0
    told = "-3" not in other and "trap" not in other
    assert any(f"{other} bears the same time" in said for said in found.repairs) == told
    assert chapters.earlier(tmp_path / name, NOON.timestamp() + 60) == chapters.NONE


def test_a_chapter_before_which_others_are_lost_is_told(tmp_path):
    chapter(tmp_path / "GH020123.MP4")
    found = chapters.earlier(tmp_path / "GH030123.MP4", NOON.timestamp())
    assert found.lasts_s == pytest.approx(4.0)
    assert "1 chapters before those are not beside it" in found.repairs[1]


@pytest.mark.parametrize("created", ["2024-06-01T11:59:50Z", None])
def test_a_file_of_another_time_is_no_chapter(tmp_path, created):
    chapter(tmp_path / "DJI_0001.MP4", created)
    assert chapters.earlier(tmp_path / "DJI_0002.MP4", NOON.timestamp()) == chapters.NONE


@pytest.mark.parametrize("name", ["GH020123.MP4", "GP010123.MP4"])
def test_a_chapter_whose_first_is_lost_is_told(tmp_path, name):
    found = chapters.earlier(tmp_path / name, NOON.timestamp())
    assert found.lasts_s == 0.0
    assert "the one before is not beside it" in found.repairs[0]


@pytest.mark.parametrize("created", [CREATED, None])
def test_a_second_chapter_is_where_the_track_is_after_the_first(tmp_path, take, created):
    for number in (1, 2):
        path = chapter(tmp_path / "v" / f"GH0{number}0123.MP4", created, 12, number)
        walked(path.with_suffix(".gpx"), num=24)
    second, first = sorted(take(tmp_path / "v").accepted, key=lambda told: -told.lat_max)
    assert first.lat_min == pytest.approx(47.0, abs=1e-7)
    assert second.lat_max == pytest.approx(47.0 + 23 / 111_195, abs=1e-7)
    assert any("chapter 2" in repair for repair in second.repairs)


@pytest.mark.parametrize(("num", "first_s", "with_first"), [(14, 0, False), (23, 12, True)])
def test_without_a_time_a_track_begins_with_what_lasts_as_long(
    tmp_path, take, num, first_s, with_first
):
    for number in (1, 2):
        path = chapter(tmp_path / "v" / f"GH0{number}0123.MP4", None, 12, number)
    walked(path.with_suffix(".gpx"), num=num)
    (told,) = take(path).accepted
    assert told.lat_max == pytest.approx(47.0 + min(num - 1, first_s + 14) / 111_195, abs=1e-7)
    said = " ".join(told.repairs)
    assert ("its track begins with the first of its chapters" in said) == with_first
    assert ("its track begins with it, and not with the first" in said) != with_first


def test_a_first_chapter_that_comes_later_moves_the_second(tmp_path, take):
    folder = tmp_path / "v"
    walked(chapter(folder / "GH020123.MP4", num=12).with_suffix(".gpx"), num=24)
    (told,) = take(folder).accepted
    assert told.lat_min == pytest.approx(47.0)
    assert "the one before is not beside it" in told.repairs[0]
    chapter(folder / "GH010123.MP4", num=12, seed=1)
    (told,) = take(folder).accepted
    assert told.lat_max == pytest.approx(47.0 + 23 / 111_195, abs=1e-7)


def test_files_of_one_second_whose_tracks_fit_as_they_are_stay_so(tmp_path, take):
    for number in (1, 2):
        path = chapter(tmp_path / "v" / f"clip_000{number}.mp4", num=12 + number)
        walked(path.with_suffix(".gpx"))
    for told in take(tmp_path / "v").accepted:
        assert (told.num_fixes, told.repairs) == (12, [])
