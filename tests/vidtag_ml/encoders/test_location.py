import contextlib
import copy
import json
import warnings

import pytest
import torch
from safetensors.torch import save_file

from vidtag_ml import config
from vidtag_ml.encoders.location import LocationEncoder, equal_earth, from_geoclip, load_location

CITIES = [(40.7128, -74.0060), (34.0522, -118.2437), (48.8566, 2.3522)]
EDGES = [(lat, lon) for lat in (-90, 0, 90) for lon in (-180, -179.9999, 0, 179.9999, 180)]
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


def _points(dtype):
    """The cities, both poles and both sides of the date line, and random points."""
    generator = torch.Generator().manual_seed(0)
    anywhere = torch.rand(500, 2, generator=generator, dtype=torch.float64) * 2 - 1
    named = torch.tensor(CITIES + EDGES, dtype=torch.float64)
    return torch.cat([named, anywhere * torch.tensor([90.0, 180.0])]).to(dtype)


@contextlib.contextmanager
def _making(dtype):
    """The package makes constants of torch's default type."""
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("dtype", "agree"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_released_weights_give_the_packages_embeddings(ours, theirs, dtype, agree):
    points, encoder = _points(dtype), copy.deepcopy(ours).to(dtype)
    with torch.inference_mode(), _making(dtype):
        wanted = copy.deepcopy(theirs).to(dtype)(points)
        torch.testing.assert_close(encoder(points), wanted, atol=agree, rtol=0)


def test_released_weights_give_the_published_lengths_and_cosines(ours):
    cities_3E = copy.deepcopy(ours).double()(torch.tensor(CITIES, dtype=torch.float64))
    lengths = cities_3E.norm(dim=-1).tolist()
    assert lengths == pytest.approx([0.22435, 0.23011, 0.24008], abs=1e-5)
    cosines = torch.cosine_similarity(cities_3E[:1], cities_3E[1:]).tolist()
    assert cosines == pytest.approx([0.37435, 0.40646], abs=5e-5)


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


def _file(folder, encoder, sigmas=None):
    weights = {**encoder.state_dict(), "logit_scale": torch.tensor(3.5)}
    metadata = None if sigmas is None else {"sigmas": json.dumps(sigmas)}
    save_file({k: v.half() for k, v in weights.items()}, folder / "gps.safetensors", metadata)
    return folder / "gps.safetensors"


def test_a_stored_encoder_comes_back_in_float32_with_its_temperature(tmp_path):
    encoder = LocationEncoder(TINY, 4).half().float()
    weights, logit_scale = load_location(_file(tmp_path, encoder), TINY.sigmas)
    LocationEncoder(TINY, 4).load_state_dict(weights)
    assert all(torch.equal(weights[key], value) for key, value in encoder.state_dict().items())
    assert (logit_scale.shape, logit_scale.item()) == ((), 3.5)


def test_another_sigma_scales_the_frequencies_of_its_branch_alone(tmp_path, ours):
    path = _file(tmp_path, ours, [1.0, 16.0, 256.0])
    released, _ = load_location(path, (1.0, 16.0, 256.0))
    scaled, _ = load_location(path, (1.0, 8.0, 256.0))
    middle = "branches.1.frequencies_F2"
    assert torch.equal(scaled.pop(middle), released.pop(middle) * 8 / 16)
    assert all(torch.equal(scaled[key], value) for key, value in released.items())


def test_sigmas_that_a_file_does_not_tell_are_taken_as_wanted(tmp_path):
    encoder = LocationEncoder(TINY, 4).half().float()
    weights, _ = load_location(_file(tmp_path, encoder), (1.0, 64.0))
    assert torch.equal(weights["branches.1.frequencies_F2"], encoder.branches[1].frequencies_F2)


def test_a_file_that_does_not_fit_is_named(tmp_path):
    path = _file(tmp_path, LocationEncoder(TINY, 4), [1.0, 8.0])
    with pytest.raises(ValueError, match=r"gps\.safetensors: has 2 branches"):
        load_location(path, (1.0, 8.0, 256.0))
    save_file({"visual.proj": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"gps\.safetensors: .*logit_scale is missing"):
        load_location(path, (1.0,))
    path.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=r"gps\.safetensors: not a safetensors file"):
        load_location(path, (1.0,))


def test_foreign_weights_are_refused(theirs):
    with pytest.raises(ValueError, match=r"LocEnc0\.capsule\.0\.b is missing"):
        from_geoclip({})
    torn = {k: v for k, v in theirs.state_dict().items() if k != "LocEnc1.head.0.bias"}
    with pytest.raises(ValueError, match=r"LocEnc1\.head\.0\.bias is missing"):
        from_geoclip(torn)


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
