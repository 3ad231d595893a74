"""Bundles of GAMa on a tiny flyover_gama world: what is in them, and that they locate as judged."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.models import registry
from vidtag_ml.models.gama import embedding as gama_embedding
from vidtag_ml.models.gama import locator as gama_locator
from vidtag_ml.models.gama import stages as gama_stages
from vidtag_ml.models.gama import tile_tracks
from vidtag_ml.models.gama.locator import GamaLocator
from vidtag_ml.models.vidtag import locator as vidtag_locator
from vidtag_ml.workflow import layout, sums


@pytest.fixture(scope="module")
def located(made_gama):
    """The params, layout and matcher of a world in which all of GAMa was made, and a test video."""
    root, params = made_gama
    at = layout.of(root, params)
    drive = gama_stages.drives(at, params, "test")[0]
    return params, at, GamaLocator.load(at.aerial_bundle), drive


@pytest.fixture(scope="module")
def track(located):
    return located[2].locate(video(located))


def video(located):
    _, at, _, drive = located
    return at.dataset / "videos" / f"{drive.name}.mp4"


@pytest.fixture
def moved(located, tmp_path):
    """A copy of the bundle elsewhere."""
    return shutil.copytree(located[1].aerial_bundle, tmp_path / "moved bundle")


def change(bundle, **values):
    card = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**card, **values}))
    sums.write(bundle)
    return bundle


def test_a_track_has_a_point_a_second_and_begins_in_the_middle_of_a_tile(located, track):
    middles = set(map(tuple, located[2].tiles.latlon_G2))
    assert track.clip == located[3].name
    assert track.time_s.tolist() == [0.0, 1.0, 2.0]
    assert set(map(tuple, track.initial_latlon_T2)) <= middles
    assert ((track.score_T >= 0) & (track.score_T <= 1)).all()


def test_what_is_stranger_than_val_videos_is_foreign(located, track, knowing):
    bundle = located[1].aerial_bundle
    known, strange = (
        GamaLocator.load(knowing(bundle, limit)).locate(video(located)) for limit in (1e9, -1e9)
    )
    assert (known.foreign, strange.foreign) == ("", "flights over Earth from above (flyover_gama)")
    np.testing.assert_array_equal(strange.latlon_T2, track.latlon_T2)
    assert gama_locator.NO_RADIUS in known.told


def test_few_val_videos_and_old_bundles_tell_nothing_and_that_is_told(located, track, moved):
    shutil.rmtree(moved / "familiarity")
    sums.write(moved)
    old = GamaLocator.load(moved).locate(video(located))
    assert (old.foreign, track.foreign) == ("", "")
    assert any("bundled by an older vidtag" in said for said in old.told)
    assert any("fewer than 40 val clips" in said for said in track.told)


def test_clips_are_embedded_as_in_the_evaluation(located):
    params, at, matcher, drive = located
    world = gama_stages.world(at, params)
    seen = gama_embedding.clips_seen([drive], world.footage, params.gama)
    _, found = matcher._clips(video(located), matcher.rate(None))
    for name, vectors in zip(("gama", "heading"), found, strict=True):
        model = gama_embedding.read_gama(at.model(name))
        wanted = gama_embedding.embed_clips(model, params.gama, seen, [drive], world.footage)
        torch.testing.assert_close(vectors, wanted, atol=1e-5, rtol=1e-5)


def test_the_track_is_the_last_way_through_the_kept_regions(located, track):
    matcher = located[2]
    time_s, (clips_NE, turned_NE) = matcher._clips(video(located), matcher.rate(None))
    first = (clips_NE @ matcher.tiles_ME.float().T).argmax(1)
    kept = [str(name) for name in matcher.regions.ids[matcher._regions(first.numpy())]]
    rows = aerial_gallery.reduced(matcher.tiles, matcher.regions, kept)
    clips = tile_tracks.Clips(time_s, clips_NE, turned_NE, 160000.0, None)
    ways = matcher.decoder.decode(clips, rows)
    assert len(kept) == 1 < len(matcher.regions)
    assert (track.initial_latlon_T2 == matcher.tiles.latlon_G2[first]).all()
    assert list(ways) == ["path", "turned"]
    np.testing.assert_array_equal(track.latlon_T2, ways["turned"][1].latlon_T2)


def test_a_bundle_that_was_moved_locates_alike(located, track, moved):
    found = registry.load(moved).locate(video(located))
    pd.testing.assert_frame_equal(found.table(), track.table())


def test_more_frames_a_second_make_shorter_clips(located):
    assert located[2].locate(video(located), 16.0).time_s.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_video_shorter_than_a_clip_is_refused(located):
    with pytest.raises(ValueError, match=r"mp4: 4 frames at 1 a second; a clip takes 15"):
        located[2].locate(video(located), 1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"kind": "places"}, "gives places, not aerial"),
        ({"imagery": "/not/there"}, "the aerial imagery is gone from /not/there"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(moved, values, message):
    with pytest.raises(ValueError, match=message):
        GamaLocator.load(change(moved, **values))


def test_pictures_come_from_the_folder_that_the_card_names(located, moved, tmp_path, monkeypatch):
    asked = []
    real = aerial_pictures.pixels

    def pixels(areas, rows, size, folder=None, heading_deg=0.0):
        asked.append(folder)
        return real(areas, rows, size, heading_deg=heading_deg)

    monkeypatch.setattr(gama_locator.aerial_pictures, "pixels", pixels)
    GamaLocator.load(change(moved, imagery=str(tmp_path))).locate(video(located))
    assert set(asked) == {tmp_path}


def test_nothing_is_bundled_again(located):
    params, at, _, _ = located
    assert not gama_stages.bundle_gama(at.root, params)


def test_bundles_of_every_kind_are_loaded_by_what_they_are(located, made):
    kinds = [located[1].aerial_bundle, made / "out" / "guess_bundle", made / "out" / "bundle"]
    assert [type(registry.load(kind)).__name__ for kind in kinds] == [
        "GamaLocator", "CityGuessrLocator", "VidtagLocator"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="gives aerial, not tracks"):
        vidtag_locator.VidtagLocator.load(kinds[0])


def test_photos_have_no_clips_to_match(located, photographed, tmp_path):
    folder = photographed(video(located), tmp_path / "trip")
    with pytest.raises(ValueError, match="photos have none"):
        located[2].locate(folder)
