"""Claims about pretraining: what it makes is what trainings start from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vidtag_ml import config
from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.models.geoclip.network import GeoCLIP
from vidtag_ml.models.gps_retrieval import contrastive
from vidtag_ml.models.vidtag.network import VidTAG
from vidtag_ml.pretraining import alignment

ROOT = Path(__file__).parents[3]
FIRST, SECOND = NAMES = ("flyover_clip", "flyover_dino")
RECIPE = alignment.Recipe(frames=64, steps=30, batch_size=16, num_random_negatives=16)


@pytest.fixture(scope="module")
def sizes(params):
    return replace(params.model, temporal_layers=0)


@pytest.fixture(scope="module")
def made(sizes, tmp_path_factory):
    """A folder of files, and the models that they come from, trained on features that know."""
    folder = tmp_path_factory.mktemp("encoders")
    models = alignment._models(sizes, dict.fromkeys(NAMES, 12), seed=0)
    places = torch.rand(64, 2, dtype=torch.float64) * 60
    waves = torch.cat([(places / k).sin() for k in (3, 7, 20, 60, 90, 200)], -1).float()
    features = {name: waves.half() for name in NAMES}
    first = alignment._fit(models, features, places, replace(RECIPE, steps=1), lambda *_: None)
    last = alignment._fit(models, features, places, RECIPE, lambda *_: None)
    alignment._publish(folder, models, RECIPE, {"loss": last, "seconds": 1.0})
    return folder, models, (first, last)


def test_all_heads_learn_with_one_gps_encoder(made):
    _, models, (first, last) = made
    assert last < first
    assert len({id(model.location) for model in models}) == 1
    assert [(m.name, *m.widths) for m in models] == [
        ("vidtag", *NAMES), ("vidtag", FIRST), ("vidtag", SECOND), ("geoclip", FIRST),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(4))
def test_each_model_starts_from_what_was_made_for_it(made, sizes, number):
    folder, models, _ = made
    trained = models[number]
    fresh = type(trained)(sizes, trained.widths)
    contrastive.start_from(fresh, folder / "flyover_location.safetensors")
    heads = folder / "flyover_heads.safetensors"
    encoders = tuple(trained.widths)
    contrastive.load_image(alignment.image(fresh), heads, trained.name, encoders)
    for part in (alignment.image, lambda model: model.location):
        for ours, theirs in zip(part(fresh).parameters(), part(trained).parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_encoders_without_a_head_are_named(made, sizes):
    heads = made[0] / "flyover_heads.safetensors"
    with pytest.raises(ValueError, match=r"has geoclip/flyover_clip, .*; nothing for vidtag/other"):
        contrastive.load_image(VidTAG(sizes, {"other": 12}).head, heads, "vidtag", ("other",))


def test_a_file_of_one_head_needs_no_names(made, sizes, tmp_path):
    theirs = GeoCLIP(sizes, {FIRST: 12})
    save_file(theirs.image.state_dict(), tmp_path / "one.safetensors")
    ours = GeoCLIP(sizes, {FIRST: 12})
    contrastive.load_image(ours.image, tmp_path / "one.safetensors", "geoclip", (FIRST,))
    assert torch.equal(ours.image[0].weight, theirs.image[0].weight)


def test_what_is_shipped_fits_the_params_and_its_bar():
    params = config.load(ROOT / "params.yaml")
    folder = ROOT / params.features.encoders_dir
    keys = {key.rpartition("/")[0] for key in load_file(folder / "flyover_heads.safetensors")}
    assert keys == {
        f"{name}/{'+'.join(chosen)}"
        for name, chosen in (
            ("vidtag", NAMES), ("vidtag", NAMES[:1]), ("vidtag", NAMES[1:]), ("geoclip", NAMES[:1]),
        )
    }  # fmt: skip
    assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) <= 30e6


@pytest.mark.slow
def test_frames_are_the_same_each_time_and_pass_through_a_codec(tmp_path):
    encoders = {FIRST: frame_encoders.load(ROOT / "data" / "encoders", FIRST)}
    made, places = alignment.chunk(encoders, 1, 0, tmp_path, 8)
    again, _ = alignment.chunk(encoders, 1, 0, tmp_path, 8)
    other, _ = alignment.chunk(encoders, 1, 1, tmp_path, 8)
    assert torch.equal(made[FIRST], again[FIRST])
    assert not torch.equal(made[FIRST], other[FIRST])
    assert places.shape == (8, 2)
    assert not list(tmp_path.iterdir())


def test_a_standardised_layer_sees_unit_variance_and_folds_into_one_that_does_the_same():
    inputs = 5 + 0.01 * torch.randn(400, 6)
    standardised = alignment._Standardised(torch.nn.Linear(6, 3), inputs)
    seen = (inputs - standardised.mean_D) / standardised.std_D
    torch.testing.assert_close(seen.std(0), torch.ones(6))
    before = standardised(inputs)
    torch.testing.assert_close(standardised.folded()(inputs), before, atol=2e-3, rtol=1e-3)


def test_features_that_hardly_differ_are_told_apart(sizes):
    places = torch.rand(64, 2, dtype=torch.float64) * 60
    waves = torch.cat([(places / k).sin() for k in (3, 7, 20, 60, 90, 200)], -1).float()
    plain, offset = (
        alignment._fit(
            alignment._models(sizes, {FIRST: 12}, seed=0),
            {FIRST: features.half()},
            places,
            RECIPE,
            lambda *_: None,
        )
        for features in (waves, 10 + waves)
    )
    assert offset < plain + 0.3
