import copy
import warnings

import pytest
import torch

from vidtag_ml import config
from vidtag_ml.models.location import LocationEncoder, equal_earth, from_geoclip

CITIES = [(40.7128, -74.0060), (34.0522, -118.2437), (48.8566, 2.3522), (-33.9, 151.2), (90, 0)]
PAPER = config.Location(sigmas=(1.0, 16.0, 256.0), num_frequencies=256, hidden=1024)
TINY = config.Location(sigmas=(1.0, 8.0), num_frequencies=8, hidden=16)


@pytest.fixture(scope="module")
def theirs():
    with warnings.catch_warnings():  # the package uses torch.jit.script
        warnings.simplefilter("ignore", FutureWarning)
        from geoclip.model.location_encoder import LocationEncoder as Released
    return Released().eval()


@pytest.fixture(scope="module")
def ours(theirs):
    encoder = LocationEncoder(PAPER, 512)
    encoder.load_state_dict(from_geoclip(theirs.state_dict()))
    return encoder.eval()


@pytest.mark.parametrize(
    ("latlon", "xy"),
    [
        ((0, 0), (0, 0)),
        ((0, 180), (1.0, 0)),
        ((90, 0), (0, 0.486717)),
        ((45, 90), (0.428523, 0.317824)),
        ((40.7128, -74.0060), (-0.362762, 0.290791)),
    ],
)
def test_equal_earth_projects_as_published(latlon, xy):
    projected = equal_earth(torch.tensor([latlon], dtype=torch.float64))[0]
    assert projected.tolist() == pytest.approx(xy, abs=1e-6)


def test_released_weights_give_the_packages_embeddings_in_float32(ours, theirs):
    points = torch.tensor(CITIES)
    torch.testing.assert_close(ours(points), theirs(points), atol=1e-4, rtol=0)


def test_released_weights_give_the_packages_embeddings_in_float64(ours, theirs):
    points = torch.tensor(CITIES, dtype=torch.float64)
    exact = LocationEncoder(PAPER, 512).double()
    exact.load_state_dict(from_geoclip(theirs.state_dict()))
    torch.set_default_dtype(torch.float64)  # the package makes constants of the default type
    try:
        wanted = copy.deepcopy(theirs).double()(points)
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(exact(points), wanted, atol=1e-9, rtol=0)
    lengths = wanted[:3].norm(dim=-1).tolist()
    assert lengths == pytest.approx([0.22435, 0.23011, 0.24008], abs=1e-5)


@pytest.mark.parametrize(
    ("degrees", "cosine"), [(0.001, 0.99927), (0.01, 0.93739), (0.1, 0.42997), (1.0, 0.16396)]
)
def test_similarity_falls_with_distance_as_released(ours, degrees, cosine):
    here, there = torch.tensor([(40.7128, -74.0060), (40.7128 + degrees, -74.0060)]).double()
    a, b = ours(torch.stack([here, there]))
    assert torch.cosine_similarity(a, b, dim=0).item() == pytest.approx(cosine, abs=1e-4)


def test_the_paper_size_has_the_published_number_of_parameters():
    encoder = LocationEncoder(PAPER, 512)
    assert sum(p.numel() for p in encoder.parameters()) == 9_447_936


def test_another_sigma_scales_the_released_frequencies(theirs):
    released = theirs.state_dict()
    weights = from_geoclip(released, sigmas=(1.0, 8.0, 256.0))
    torch.testing.assert_close(
        weights["branches.1.frequencies_F2"], released["LocEnc1.capsule.0.b"] / 2
    )


def test_foreign_weights_are_refused():
    with pytest.raises(ValueError, match=r"LocEnc0\.capsule\.0\.b is missing"):
        from_geoclip({})
    with pytest.raises(ValueError, match="three branches"):
        from_geoclip({}, sigmas=(1.0, 2.0))


def test_autocast_leaves_the_fourier_phases_in_full_precision():
    torch.manual_seed(0)
    encoder = LocationEncoder(config.Location((256.0,), 64, 16), 8)
    points = torch.tensor(CITIES)
    exact = encoder(points)
    with torch.autocast("cpu", torch.bfloat16):
        cast = encoder(points)
    assert torch.cosine_similarity(exact, cast.float()).min() > 0.999


def test_frequencies_are_saved_and_never_trained():
    encoder = LocationEncoder(TINY, 4)
    assert "branches.0.frequencies_F2" in encoder.state_dict()
    assert "branches.0.frequencies_F2" not in dict(encoder.named_parameters())
