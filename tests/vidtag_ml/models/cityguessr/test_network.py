"""Tests of vidtag_ml.models.cityguessr."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.dataset.hierarchy import Hierarchy
from vidtag_ml.encoders.videomae import VIDEOMAE_SMALL
from vidtag_ml.models.cityguessr import losses as cityguessr_losses
from vidtag_ml.models.cityguessr.network import CityGuessr, SelfCrossAttention, Sizes

PLACES = (
    ("Austin", "Texas", "USA", "North America"),
    ("Dallas", "Texas", "USA", "North America"),
    ("Kyoto", "Kyoto", "Japan", "Asia"),
    ("Memphis", "Tennessee", "USA", "North America"),
)
COUNTS = (4, 3, 2, 2)
WIDTHS = {"clip": 6, "dino": 10}
TINY_VIDEOMAE = dataclasses.replace(
    VIDEOMAE_SMALL, num_frames=4, image_size=32, width=16, layers=1, heads=2, mlp=32
)
SIZES = Sizes(
    backbone="frames", width=16, layers=2, heads=2, ffn=32, dropout=0.0, videomae=None,
    places=PLACES, attention=True, attention_width=6, attention_heads=2, scenes=16, text=12,
)  # fmt: skip
VIDEO_SIZES = dataclasses.replace(SIZES, backbone="videomae", videomae=TINY_VIDEOMAE)
PLAIN = {"attention": False, "scenes": 0, "text": 0}
BACKBONES = pytest.mark.parametrize("sizes", [SIZES, VIDEO_SIZES], ids=["frames", "videomae"])


def _model(sizes=SIZES, **changed):
    torch.manual_seed(0)
    sizes = dataclasses.replace(sizes, **changed)
    return CityGuessr(sizes, {} if sizes.videomae else WIDTHS)


def _batch(sizes=SIZES, num=3):
    torch.manual_seed(1)
    shape = (3, 32, 32) if sizes.videomae else (16,)
    valid = torch.ones(num, 4, dtype=torch.bool)
    return torch.randn(num, 4, *shape), valid, torch.arange(4.0).expand(num, 4)


def _num(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def published():
    """CityGuessr with VideoMAE-small and the classes of CityGuessr68k, without memory."""
    table = Path(__file__).resolve().parents[4] / "vidtag_ml/ingest/published/cityguessr68k.csv"
    places = Hierarchy.of(pd.read_csv(table, dtype=str)).places
    short = dataclasses.replace(VIDEOMAE_SMALL, num_frames=2)
    changed = {"videomae": short, "places": places, "text": 512}
    with torch.device("meta"):
        return CityGuessr(dataclasses.replace(VIDEO_SIZES, **changed), {})


def test_the_published_layers_have_their_sizes(published):
    scene = 420 * 256 + 256 * 128 + 128 * 64 + 64 * 32 + 32 * 16 + 16 * 16
    assert [layer.out_features for layer in published.classifiers] == [166, 157, 91, 6]
    assert _num(published.classifiers) == 384 * 420 + 420
    assert _num(published.attention) == 3 * 12 + (3 * 36 + 18) + (36 + 6) + 7 == 211
    assert _num(published.scene) == scene + 256 + 128 + 64 + 32 + 16 + 16 == 151_808
    assert _num(published.text) == 420 * 466 + 466 + 466 * 512 + 512 == 435_290


def test_parameters_are_the_backbones_or_the_heads(published):
    parts = [*published.backbone.parameters(), *published.head_parameters()]
    assert {id(p) for p in parts} == {id(p) for p in published.parameters()}
    assert len(parts) == len(list(published.parameters()))
    num_heads = sum(p.numel() for p in published.head_parameters())
    assert num_heads == 161_700 + 211 + 151_808 + 435_290
    assert _num(published.backbone) == 21_879_168


@BACKBONES
def test_a_video_is_answered_on_all_levels(sizes):
    answers = _model(sizes)(*_batch(sizes))
    assert [tuple(level.shape) for level in answers.logits] == [(3, count) for count in COUNTS]
    assert answers.scene_BS.shape == (3, 16)
    assert answers.text_BE.shape == (3, 12)


@BACKBONES
def test_predictions_are_the_logits_of_training(sizes):
    model = _model(sizes).eval()
    torch.testing.assert_close(model.logits(*_batch(sizes)), model(*_batch(sizes)).logits)


def test_a_prediction_runs_neither_attention_nor_heads():
    model = _model()
    for part in (model.attention, model.scene, model.text):
        part.register_forward_hook(lambda *_: pytest.fail("a prediction needs none of this"))
    assert len(model.logits(*_batch())) == 4


def test_parts_exist_only_if_asked_for():
    model = _model(**PLAIN)
    answers = model(*_batch())
    assert (model.attention, model.scene, model.text) == (None, None, None)
    assert (answers.scene_BS, answers.text_BE) == (None, None)
    assert _model(scenes=0)(*_batch()).text_BE is not None


def _loss(model, sizes, *, everything):
    answers = model(*_batch(sizes))
    loss = cityguessr_losses.hierarchical(
        answers.logits, torch.tensor([[0, 0, 0, 0], [2, 1, 1, 1], [3, 2, 0, 0]])
    )
    if everything:
        loss = loss + cityguessr_losses.soft_labels(answers.scene_BS, torch.rand(3, 16).softmax(-1))
        loss = loss + cityguessr_losses.text_alignment(answers.text_BE, torch.randn(3, 12))
    return loss


@BACKBONES
def test_with_all_losses_every_parameter_gets_a_gradient(sizes):
    model = _model(sizes)
    _loss(model, sizes, everything=True).backward()
    # What is added to all keys alike changes no attention, so its gradient is rounding or nothing.
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert all(p.grad is not None for p in model.parameters())
    assert set(silent) <= {"attention.key.bias"}


@BACKBONES
def test_the_scores_alone_do_not_train_attention_and_heads(sizes):
    model = _model(sizes)
    _loss(model, sizes, everything=False).backward()
    without = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is None}
    assert without == {"attention", "scene", "text"}


@pytest.mark.parametrize("part", ["scene_BS", "text_BE"])
def test_the_heads_train_the_backbone_through_all_levels(part):
    model = _model()
    getattr(model(*_batch()), part).square().sum().backward()
    assert all(layer.weight.grad.any() for layer in model.classifiers)
    assert model.backbone.project.weight.grad.any()


def test_attention_mixes_scores_as_the_published_formula_does():
    torch.manual_seed(0)
    module, scores = SelfCrossAttention(6, 2), torch.randn(2, 11)
    inner = module.attention
    three = (module.query, module.key, module.value)
    q, k, v = (
        (layer(scores[..., None]) @ w.T + b).unflatten(-1, (2, 3)).transpose(1, 2)
        for layer, w, b in zip(
            three, inner.in_proj_weight.chunk(3), inner.in_proj_bias.chunk(3), strict=True
        )
    )
    seen = ((q @ k.mT / 3**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(module(scores), module.out(inner.out_proj(seen))[..., 0])


@pytest.mark.parametrize("rubbish", [1e4, float("nan")])
@pytest.mark.parametrize("layers", [0, 2])
def test_padding_changes_nothing(layers, rubbish):
    model, (frames, valid, time) = _model(layers=layers), _batch()
    shorter = model.logits(frames[:, :3], valid[:, :3], time[:, :3])
    frames[:, 3], time = rubbish, time.clone()
    valid[:, 3], time[:, 3] = False, 99.0
    padded = model.logits(frames, valid, time)
    torch.testing.assert_close(padded, shorter)
    torch.cat(padded, 1).sum().backward()
    assert all(p.grad.isfinite().all() for p in model.backbone.parameters())


@pytest.mark.parametrize(("layers", "changes"), [(0, False), (1, True)])
def test_only_layers_see_the_order_of_frames(layers, changes):
    model, (frames, valid, time) = _model(layers=layers), _batch()
    there, back = (model.logits(each, valid, time)[0] for each in (frames, frames.flip(1)))
    assert torch.allclose(there, back, atol=1e-5) is not changes


def test_only_the_direction_of_each_encoders_features_counts():
    model, (frames, valid, time) = _model(), _batch()
    scale = torch.tensor([7.0] * 6 + [0.1] * 10)
    torch.testing.assert_close(
        model.logits(frames * scale, valid, time), model.logits(frames, valid, time)
    )


def test_cached_half_precision_is_read():
    frames, valid, time = _batch()
    assert _model().logits(frames.half(), valid, time)[0].dtype == torch.float32


@BACKBONES
def test_sizes_survive_json(sizes):
    text = json.dumps(config.as_dict(sizes))
    assert config.parse(Sizes, json.loads(text), "model.json") == sizes


def test_temperatures_are_one_for_each_inference_and_level_and_are_saved():
    held = _model().state_dict()["temperatures"]
    assert (held.dtype, tuple(held.shape)) == (torch.float64, (4, 4))
    assert (held == 1).all()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"attention": False}, "turn attention on"),
        ({"attention": False, "scenes": 0}, "turn attention on"),
        ({"backbone": "videomae"}, "backbone is videomae, but videomae is None"),
        ({"videomae": TINY_VIDEOMAE}, "backbone is frames, but"),
        ({"heads": 3}, "heads is 3; it must divide width: 16"),
        ({"attention_heads": 4}, "attention_width is 6, not divisible"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(changed, complaint):
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(SIZES, **changed)


def test_frames_need_an_encoder():
    with pytest.raises(ValueError, match="no encoder"):
        CityGuessr(SIZES, {})


def test_one_batch_can_be_learned():
    model, batch = _model(), _batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    classes = torch.tensor([[0, 0, 0, 0], [2, 1, 1, 1], [3, 2, 0, 0]])
    for _ in range(25):
        loss = cityguessr_losses.hierarchical(model(*batch).logits, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2
