import socket

import pytest
import torch
from safetensors.torch import save_file

from vidtag_ml.encoders.frames import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PAPER_SPECS,
    EncoderSpec,
    FrameEncoder,
    load,
)
from vidtag_ml.models import networks


def _spec(library="timm", model="test_resnet", dim=96, **options):
    return EncoderSpec(
        library=library,
        model=model,
        dim=dim,
        image_size=32,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        options=options,
    )


TOWER = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 32}
CUSTOM = _spec("open_clip", "own_tower", 24, vision_cfg=TOWER)
TIMM = _spec()


def _publish(encoder, folder, name="small"):
    encoder.spec.write(folder / f"{name}.json")
    weights = {k: v for k, v in encoder.state_dict().items() if "num_batches" not in k}
    save_file({k: v.half() for k, v in weights.items()}, folder / f"{name}.safetensors")


@pytest.mark.parametrize("spec", [CUSTOM, TIMM], ids=["open_clip", "timm"])
def test_encoders_of_both_libraries_give_one_vector_a_picture(spec):
    encoder = FrameEncoder(spec).eval()
    frames = torch.randint(0, 256, (3, 40, 56, 3), dtype=torch.uint8)
    assert encoder(encoder.preprocess(frames)).shape == (3, spec.dim)


def test_preprocessing_resizes_and_normalises_by_the_encoders_own_statistics():
    encoder = FrameEncoder(TIMM)
    white = encoder.preprocess(torch.full((1, 50, 20, 3), 255, dtype=torch.uint8))
    assert white.shape == (1, 3, 32, 32)
    wanted = (1 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(white.mean((0, 2, 3)), wanted)


def test_a_specification_survives_its_file(tmp_path):
    CUSTOM.write(tmp_path / "own.json")
    assert EncoderSpec.read(tmp_path / "own.json") == CUSTOM


@pytest.mark.parametrize("spec", [CUSTOM, TIMM], ids=["open_clip", "timm"])
def test_loading_restores_published_weights_frozen_and_in_float32(tmp_path, spec):
    encoder = FrameEncoder(spec).eval()
    _publish(encoder, tmp_path)
    loaded = load(tmp_path, "small")
    pictures = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(loaded(pictures), encoder(pictures), atol=2e-2, rtol=2e-2)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_absent_weights_name_the_file_and_the_command(tmp_path):
    TIMM.write(tmp_path / "small.json")
    with pytest.raises(ValueError, match=r"small\.safetensors.*`vidtag weights`"):
        load(tmp_path, "small")


def test_weights_of_another_network_are_refused(tmp_path):
    _publish(FrameEncoder(TIMM), tmp_path)
    CUSTOM.write(tmp_path / "small.json")
    with pytest.raises(ValueError, match=r"small\.safetensors: does not fit"):
        load(tmp_path, "small")


def test_a_broken_specification_names_its_file(tmp_path):
    (tmp_path / "small.json").write_text('{"library": "timm"}')
    with pytest.raises(ValueError, match=r"small\.json: not an encoder's specification"):
        EncoderSpec.read(tmp_path / "small.json")


def test_an_unknown_open_clip_name_is_refused():
    with pytest.raises(ValueError, match="no model ViT-Nowhere"):
        FrameEncoder(_spec("open_clip", "ViT-Nowhere", 8))


@pytest.mark.parametrize(("name", "millions"), [("clip_vit_l14", 304), ("dinov2_vit_l14", 304)])
def test_the_papers_encoders_have_their_published_sizes(name, millions):
    spec = PAPER_SPECS[name]
    with torch.device("meta"):
        encoder = FrameEncoder(spec).eval()
        features = encoder(torch.empty(2, 3, spec.image_size, spec.image_size))
    assert features.shape == (2, spec.dim)
    num_parameters = sum(p.numel() for p in encoder.parameters())
    assert num_parameters / 1e6 == pytest.approx(millions, rel=0.01)


def test_constructors_never_touch_the_network(monkeypatch, params):
    def refuse(*arguments, **named):
        raise AssertionError("a constructor opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    for spec in (CUSTOM, TIMM):
        FrameEncoder(spec)
    with torch.device("meta"):
        for spec in PAPER_SPECS.values():
            FrameEncoder(spec)
    for name in ("vidtag", "geoclip"):
        networks.build(name, params.model, {"clip": 96})


@pytest.mark.parametrize("quick", [True, False])
def test_a_custom_tower_has_the_activation_that_it_asks_for(quick):
    encoder = FrameEncoder(_spec("open_clip", "own_tower", 24, vision_cfg=TOWER, quick_gelu=quick))
    assert ("QuickGELU" in {type(m).__name__ for m in encoder.modules()}) is quick


def test_openais_clip_uses_quick_gelu():
    with torch.device("meta"):
        encoder = FrameEncoder(PAPER_SPECS["clip_vit_l14"])
    assert "QuickGELU" in {type(m).__name__ for m in encoder.modules()}
