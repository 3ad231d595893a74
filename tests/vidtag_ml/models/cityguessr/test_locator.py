"""Bundles of places: what is in them, and that they say what evaluation says."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vidtag_ml import config
from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.earth import origin
from vidtag_ml.encoders import catalog, videomae
from vidtag_ml.features import stages as features_stages
from vidtag_ml.features import store as feature_store
from vidtag_ml.models import bundle, recording
from vidtag_ml.models.cityguessr import data as cityguessr_data
from vidtag_ml.models.cityguessr import locator as cityguessr_locator
from vidtag_ml.models.cityguessr import stages as cityguessr_stages
from vidtag_ml.models.cityguessr.evaluate import PlaceReport
from vidtag_ml.models.vidtag import locator as vidtag_locator
from vidtag_ml.workflow import layout, sums

FACTS = {"model": "cityguessr", "model_version": 1, "bundle": "b" * 32}

SPEC = replace(
    videomae.VIDEOMAE_SMALL, num_frames=4, image_size=32, width=16, layers=1, heads=2, mlp=32
)


@pytest.fixture(scope="module")
def guesser(made):
    return cityguessr_locator.CityGuessrLocator.load(made / "out" / "guess_bundle")


@pytest.fixture(scope="module")
def video(made):
    return next((made / "data" / "flyover" / "videos").glob("*.mp4"))


@pytest.fixture(scope="module")
def place(guesser, video):
    return guesser.locate(video)


def assert_places_are_the_evaluated_ones(guesser, root):
    report = PlaceReport.read(root / "out" / "evaluation" / "cityguessr" / "test")
    for row in report.per_clip.to_dict("records"):
        found = guesser.locate(root / "data" / "flyover" / "videos" / f"{row['clip_id']}.mp4")
        assert found.names == {level: row[f"predicted_{level}"] for level in LEVELS}
        assert found.answer == row["answer"]
        for level in LEVELS:
            assert found.probabilities[level] == pytest.approx(row[f"confidence_{level}"], abs=1e-4)


def test_photos_of_a_flight_are_from_where_its_video_is(
    guesser, video, place, photographed, tmp_path
):
    found = guesser.locate(photographed(video, tmp_path / "trip"))
    assert (found.clip, found.names) == ("trip", place.names)


def test_what_is_stranger_than_val_clips_is_foreign_and_said_so(made, video, knowing):
    bundle = made / "out" / "guess_bundle"
    known, strange = (
        cityguessr_locator.CityGuessrLocator.load(knowing(bundle, limit)).locate(video)
        for limit in (1e9, -1e9)
    )
    assert (known.foreign, known.told) == ("", ())
    assert strange.foreign == "flights over Earth from above (flyover)"


def test_few_val_clips_and_old_bundles_tell_nothing_and_that_is_told(made, video, place, tmp_path):
    moved = shutil.copytree(made / "out" / "guess_bundle", tmp_path / "bundle")
    shutil.rmtree(moved / "familiarity")
    sums.write(moved)
    old = cityguessr_locator.CityGuessrLocator.load(moved).locate(video)
    assert (old.foreign, place.foreign) == ("", "")
    assert "bundled by an older vidtag" in old.told[0]
    assert "fewer than 40 val clips" in place.told[0]


def test_files_of_a_foreign_place_say_so(place, tmp_path):
    why = "this is no flight"
    files = place.write(tmp_path, "place", {**FACTS, "foreign": why})
    told = json.loads(files[0].read_text())
    assert told["told"][0] == told["origin"]["foreign"] == why


def test_located_places_are_the_evaluated_ones(made, guesser):
    assert_places_are_the_evaluated_ones(guesser, made)


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the made workspace."""
    return shutil.copytree(made, tmp_path / "copy")


def of_pixels(root):
    """Params with VideoMAE as the backbone, and its weights in the workspace."""
    params = config.load(root / "params.yaml")
    torch.manual_seed(0)
    catalog.store(root / "data" / "encoders", "tiny", SPEC, videomae.VideoMAE(SPEC).network)
    settings = replace(params.cityguessr, backbone="videomae", start="tiny", frame_stride=2)
    return replace(params, cityguessr=settings)


def test_videomae_learns_from_pixels_and_locates_as_it_is_evaluated(copy):
    params = of_pixels(copy)
    before = load_file(copy / "data" / "encoders" / "tiny.safetensors")
    assert cityguessr_stages.cityguessr(copy, params)
    assert cityguessr_stages.evaluate_cityguessr(copy, params)
    assert cityguessr_stages.bundle_cityguessr(copy, params)
    guesser = cityguessr_locator.CityGuessrLocator.load(copy / "out" / "guess_bundle")
    assert_places_are_the_evaluated_ones(guesser, copy)
    with pytest.raises(ValueError, match=r"frames_per_second is 5, .*every 2th frame"):
        guesser.locate(copy / "any.mp4", 5.0)
    after = guesser.model.backbone.state_dict()
    assert any(not torch.equal(after[k], value.float()) for k, value in before.items())
    assert list((copy / "out" / "guess_bundle" / "encoders").iterdir()) == []


def test_without_its_weights_training_names_the_command_that_gets_them(copy):
    params = of_pixels(copy)
    (copy / "data" / "encoders" / "tiny.json").unlink()
    with pytest.raises(ValueError, match=r"tiny\.json.*`vidtag weights fetch tiny`"):
        cityguessr_stages.cityguessr(copy, params)


def test_frames_are_cut_as_in_training(copy, video):
    params = config.load(copy / "params.yaml")
    params = replace(params, features=replace(params.features, views="ten"))
    features_stages.features(copy, params)
    cityguessr_stages.bundle_cityguessr(copy, params)
    guesser = cityguessr_locator.CityGuessrLocator.load(copy / "out" / "guess_bundle")
    seen, _, time = guesser._seen(recording.Video(video), guesser.rate(None))
    store = feature_store.FeatureStore.open(layout.of(copy, params).features)
    cached = cityguessr_data.CachedVideos(store, [video.stem], params.cityguessr.frames_per_clip)
    wanted, _, wanted_time = cached.seen(np.array([0]), None)
    torch.testing.assert_close(seen.float(), wanted, atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(time - time[:, :1], wanted_time - wanted_time[:, :1])


def test_the_place_is_a_path_of_the_hierarchy(guesser, place):
    assert tuple(place.names[level] for level in LEVELS) in guesser.hierarchy.places


def test_candidates_come_best_first_and_begin_with_the_answer(place):
    for level in LEVELS:
        scores = [score for _, score in place.candidates[level]]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) <= cityguessr_locator.NUM_SHOWN
        assert sum(scores) <= 1 + 1e-9
    assert place.candidates["city"][0] == (place.names["city"], place.probabilities["city"])


@pytest.mark.parametrize("least", [0.0, 1.0])
def test_names_are_sure_where_they_are_probable_enough(guesser, video, least):
    changed = replace(guesser, settings=replace(guesser.settings, least_probability=least))
    found = changed.locate(video)
    assert all((name is None) == bool(least) for name in found.sure.values())
    assert (found.answer == "nothing is sure") == bool(least)


def bundle_of(made, tmp_path):
    return shutil.copytree(made / "out" / "guess_bundle", tmp_path / "moved bundle")


def test_probabilities_are_calibrated_by_the_stored_temperatures(made, video, place, tmp_path):
    moved = bundle_of(made, tmp_path)
    file = moved / "model" / "model.safetensors"
    state = load_file(file)
    save_file({**state, "temperatures": torch.full((4, 4), 1e6, dtype=torch.float64)}, file)
    sums.write(moved)
    found = cityguessr_locator.CityGuessrLocator.load(moved).locate(video)
    num = len(cityguessr_locator.CityGuessrLocator.load(moved).hierarchy.places)
    assert found.candidates["city"][0][1] == pytest.approx(1 / num, abs=1e-3)
    assert place.candidates["city"][0][1] != pytest.approx(1 / num, abs=1e-3)


def test_bundle_needs_nothing_outside_itself(made, video, place, tmp_path):
    assert (
        cityguessr_locator.CityGuessrLocator.load(bundle_of(made, tmp_path)).locate(video) == place
    )
    card = json.loads((tmp_path / "moved bundle" / "bundle.json").read_text())
    assert card["made_from"]["dataset"] == "flyover"
    kinds = {path.suffix for path in (tmp_path / "moved bundle").rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors", ""}


def test_files_of_a_place_are_all_written(place, tmp_path):
    paths = place.write(tmp_path / "new folder", "flight", FACTS)
    assert [path.name for path in paths] == ["flight.json", "flight.png"]
    told = json.loads(json.dumps({**place.as_json(), "told": place.told, "origin": FACTS}))
    assert json.loads(paths[0].read_text()) == told
    assert [origin.read(path) for path in paths] == [[FACTS]] * 2
    assert paths[1].read_bytes().startswith(b"\x89PNG")


def test_table_of_a_place_is_one_row(place):
    table = place.table()
    columns = [f"{kind}{level}" for kind in ("", "probability_", "sure_") for level in LEVELS]
    assert table.columns.tolist() == ["clip", "answer", *columns]
    assert len(table) == 1


def test_bundles_of_tracks_and_of_places_are_not_mistaken_for_each_other(made):
    bundles = made / "out"
    assert [bundle.read(bundles / n).kind for n in ("bundle", "guess_bundle")] == [
        "tracks",
        "places",
    ]
    with pytest.raises(ValueError, match="guess_bundle: this model gives places, not tracks"):
        vidtag_locator.VidtagLocator.load(bundles / "guess_bundle")
    with pytest.raises(ValueError, match="bundle: this model gives tracks, not places"):
        cityguessr_locator.CityGuessrLocator.load(bundles / "bundle")


def test_what_is_no_bundle_of_this_format_is_refused(made, tmp_path):
    with pytest.raises(ValueError, match=r"bundle\.json"):
        cityguessr_locator.CityGuessrLocator.load(tmp_path)
    (tmp_path / "bundle.json").write_text('{"kind": "places", "format": 99}')
    sums.write(tmp_path)
    with pytest.raises(ValueError, match="format 99"):
        cityguessr_locator.CityGuessrLocator.load(tmp_path)
