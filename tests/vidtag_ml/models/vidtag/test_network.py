from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.models.geoclip.network import GeoCLIP
from vidtag_ml.models.position_encodings import Positions, relative_position
from vidtag_ml.models.vidtag.network import GeoRefiner, VidTAG

ROOT = Path(__file__).parents[4]
PAPER = config.Model(
    embed_dim=512,
    temporal_layers=2,
    temporal_heads=8,
    temporal_ffn=2528,
    head_widths=(1024, 768),
    temporal_norm=False,
    positions="sinusoidal",
    num_positions=512,
    dropout=0.1,
    location=config.Location(sigmas=(1.0, 8.0, 256.0), num_frequencies=256, hidden=1024),
    refiner_encoder_layers=1,
    refiner_decoder_layers=2,
    refiner_heads=8,
    refiner_ffn=2048,
    refiner_width=None,
    refiner_positions="sinusoidal",
)
TINY = replace(
    PAPER,
    embed_dim=48,
    temporal_heads=4,
    temporal_ffn=128,
    head_widths=(80, 64),
    location=config.Location(sigmas=(1.0, 8.0), num_frequencies=16, hidden=32),
    refiner_heads=4,
    refiner_ffn=64,
)
KINDS = pytest.mark.parametrize("kind", ["sinusoidal", "learned", "none"])
WIDTHS = {"clip": 32, "dino": 64}


def _tiny(kind="sinusoidal", **changes):
    torch.manual_seed(0)
    return VidTAG(replace(TINY, positions=kind, refiner_positions=kind, **changes), WIDTHS).eval()


def _awake(kind="sinusoidal", **changes):
    """With a TempGeo that adds something, as a trained one."""
    model = _tiny(kind, **changes)
    model.temporal.load_state_dict(_shaken(model.temporal))
    return model


def _clips(num=3, length=8):
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(num, length, 96, generator=generator)
    valid = torch.ones(num, length, dtype=torch.bool)
    return features, valid, torch.arange(float(length)).expand(num, -1)


def _million(*parts):
    return sum(p.numel() for part in parts for p in part.parameters()) / 1e6


@pytest.mark.parametrize("preset", [None, "reproduction"])
def test_the_papers_preset_has_its_number_of_trainable_parameters(preset, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(f"base: {ROOT / 'params/paper_msls.yaml'}\n")
    if preset:
        path.write_text(path.read_text() + f"preset: {preset}\n")
    with torch.device("meta"):
        model = VidTAG(config.load(path).model, {"clip": 768, "dino": 1024})
    phase_one = _million(model.temporal, model.head, model.location)
    assert phase_one == pytest.approx(56.3, rel=0.01)
    if preset is None:
        assert _million(model.refiner) == pytest.approx(11.6, rel=0.01)


def test_geoclips_image_perceptron_has_its_published_size():
    with torch.device("meta"):
        model = GeoCLIP(PAPER, {"clip": 768})
    assert sum(p.numel() for p in model.image.parameters()) == 984_320


def test_embeddings_are_unit_vectors_and_float16_features_are_welcome():
    model, (features, valid, time) = _tiny(), _clips()
    frames = model.embed_frames(features.half(), valid, time)
    places = model.embed_locations(torch.tensor([(0.0, 0.0), (90, 0), (-90, 180)]))
    assert frames.shape == (3, 8, 48)
    assert frames.dtype == torch.float32
    torch.testing.assert_close(frames.norm(dim=-1), torch.ones(3, 8))
    torch.testing.assert_close(places.norm(dim=-1), torch.ones(3))


@KINDS
def test_padding_changes_nothing(kind):
    model, (features, valid, time) = _awake(kind), _clips()
    padded = functional.pad(features, (0, 0, 0, 5), value=7.0)
    mask, late = functional.pad(valid, (0, 5)), functional.pad(time, (0, 5), value=99.0)
    frames = model.embed_frames(features, valid, time)
    with_padding = model.embed_frames(padded, mask, late)
    torch.testing.assert_close(with_padding[:, :8], frames)
    model.refiner.load_state_dict(_shaken(model.refiner))
    refined = model.refine(frames.flip(1), frames, valid, time)
    again = model.refine(_pad_front(with_padding), with_padding, mask, late)
    torch.testing.assert_close(again[:, :8], refined)


def _pad_front(frames):
    return torch.cat([frames[:, :8].flip(1), frames[:, 8:]], 1)


def _shaken(module):
    return {k: v + 0.05 * torch.randn_like(v) for k, v in module.state_dict().items()}


def test_frames_of_one_clip_see_each_other_and_no_other_clip():
    model, (features, valid, time) = _awake(), _clips()
    before = model.embed_frames(features, valid, time)
    features[0, 3] += 1
    moved = (model.embed_frames(features, valid, time) - before).abs().amax(-1) > 1e-6
    assert moved[0].all()
    assert not moved[1:].any()


def test_only_the_relative_times_of_frames_matter():
    model, (features, valid, time) = _awake(), _clips()
    frames = model.embed_frames(features, valid, time)
    torch.testing.assert_close(model.embed_frames(features, valid, 30 + 2 * time), frames)
    assert not torch.allclose(model.embed_frames(features, valid, time**2), frames, atol=1e-4)


def test_positions_run_from_0_to_15_over_the_real_frames():
    valid = torch.tensor([[True, True, True, False], [True, False, False, False]])
    time = torch.tensor([[10.0, 12.0, 14.0, 90.0], [5.0, 6.0, 7.0, 8.0]])
    assert relative_position(valid, time).tolist() == [[0, 7.5, 15, 0], [0, 0, 0, 0]]


def test_sinusoidal_positions_have_half_the_norm_of_a_feature():
    _, valid, time = _clips()
    norms = Positions("sinusoidal", 96, 0)(valid, time).norm(dim=-1)
    torch.testing.assert_close(norms, torch.full_like(norms, 0.5))


@KINDS
def test_the_untrained_refiner_returns_its_queries(kind):
    model, (features, valid, time) = _tiny(kind), _clips()
    frames = model.embed_frames(features, valid, time)
    gps = functional.normalize(torch.randn_like(frames), dim=-1)
    torch.testing.assert_close(model.refine(gps, frames, valid, time), gps)


def test_the_refiner_learns_to_undo_a_shift():
    model, (features, valid, time) = _tiny(), _clips(8)
    frames = model.embed_frames(features, valid, time).detach()
    truth = frames.roll(1, -1)
    wrong = functional.normalize(truth + 0.1 * torch.randn_like(truth), dim=-1)
    optimizer = torch.optim.Adam(model.refiner.parameters(), 1e-3)
    before = (wrong * truth).sum(-1).mean()
    for _ in range(60):
        loss = 1 - (model.refine(wrong, frames, valid, time) * truth).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert 1 - loss < 1
    assert loss < (1 - before) / 2


def test_every_trainable_weight_of_phase_one_gets_a_gradient():
    model, (features, valid, time) = _tiny(), _clips()
    frames = model.embed_frames(features, valid, time).flatten(0, 1)
    places = model.embed_locations(torch.rand(24, 2) * 90)
    functional.cross_entropy(model.scale() * frames @ places.T, torch.arange(24)).backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert {name.split(".")[0] for name in without} == {"refiner"}


def test_the_scale_starts_at_the_published_temperature_and_stops_at_100():
    model = _tiny()
    assert model.scale().item() == pytest.approx(1 / 0.07)
    model.logit_scale.data.fill_(9.0)
    assert model.scale().item() == pytest.approx(100)


def test_layers_start_from_different_weights():
    first, second = _tiny().temporal.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="features is 98, not divisible by temporal_heads = 4"):
        VidTAG(TINY, {"clip": 98})


def test_geoclip_sees_each_frame_alone():
    features, valid, time = _clips()
    model = GeoCLIP(TINY, {"clip": 96}).eval()
    before = model.embed_frames(features.half(), valid, time)
    features[0, 3] = 0
    moved = (model.embed_frames(features.half(), valid, time) - before).abs().amax(-1) > 1e-6
    assert moved.nonzero().tolist() == [[0, 3]]


@KINDS
def test_an_untrained_tempgeo_hands_frames_on(kind):
    model, (features, valid, time) = _tiny(kind), _clips()
    alone = _tiny(kind, temporal_layers=0)
    alone.head.load_state_dict(model.head.state_dict())
    frames = model.embed_frames(features, valid, time)
    torch.testing.assert_close(frames, alone.embed_frames(features, valid, time))


def test_without_temporal_layers_each_frame_is_alone():
    features, valid, time = _clips()
    model = _tiny(temporal_layers=0)
    before = model.embed_frames(features, valid, time)
    features[0, 3] += 1
    moved = (model.embed_frames(features, valid, time**2) - before).abs().amax(-1) > 1e-6
    assert moved.nonzero().tolist() == [[0, 3]]


def test_learned_positions_end_with_the_last_entry():
    _, valid, time = _clips()
    table = Positions("learned", 96, 5)(valid, time)
    assert torch.equal(table[:, 4], table[:, 7])
    assert not torch.equal(table[:, 3], table[:, 4])


def test_a_final_norm_is_a_setting():
    assert not any("temporal.norm" in name for name in _tiny().state_dict())
    model, (features, valid, time) = _tiny(temporal_norm=True), _clips()
    aligned = model.temporal(features, valid, time)
    torch.testing.assert_close(aligned.std(-1, correction=0), torch.ones(3, 8), atol=1e-3, rtol=0)


def test_a_wide_refiner_has_projections_and_still_starts_as_its_queries():
    model, (features, valid, time) = _tiny(refiner_width=96), _clips()
    frames = model.embed_frames(features, valid, time)
    gps = functional.normalize(torch.randn_like(frames), dim=-1)
    assert model.refiner.memory_norm.normalized_shape == (96,)
    bias = model.refiner.gps_out.bias
    moved = functional.normalize(gps * 48**0.5 + bias, dim=-1)
    torch.testing.assert_close(model.refine(gps, frames, valid, time), moved)


def test_the_refiner_runs_under_autocast():
    _, valid, time = _clips()
    gps = functional.normalize(torch.randn(3, 8, 48), dim=-1)
    with torch.autocast("cpu", torch.bfloat16):
        refined = GeoRefiner(TINY)(gps, gps, valid, time)
    assert refined.isfinite().all()
