import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import normalize

from vidtag_ml.encoders import frame_checkpoints, geoclip_release
from vidtag_ml.encoders.frames import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    OPENAI_MEAN,
    OPENAI_STD,
    EncoderSpec,
    FrameEncoder,
)
from vidtag_ml.models.geoclip.network import GeoCLIP

SIZE = 56
TOWER = {"layers": 2, "width": 32, "head_width": 16, "patch_size": 14, "image_size": SIZE}
CLIP = EncoderSpec(
    library="open_clip",
    model="small_clip",
    dim=24,
    image_size=SIZE,
    mean=OPENAI_MEAN,
    std=OPENAI_STD,
    options={"vision_cfg": TOWER, "quick_gelu": True},
)
DINO = EncoderSpec(
    library="timm",
    model="vit_small_patch14_dinov2",
    dim=32,
    image_size=SIZE,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    options={"img_size": SIZE, "depth": 2, "embed_dim": 32, "num_heads": 2},
)
REGISTERS = dataclasses.replace(DINO, model="vit_small_patch14_reg4_dinov2")
HF_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14}
TEXT = {**HF_SIZES, "vocab_size": 8, "intermediate_size": 32, "max_position_embeddings": 4}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def _randomised(network):
    """No parameter keeps a value, such as a zero bias, that would hide a wrong place."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return network.eval()


def _vision(projected=True, image_size=SIZE, activation="quick_gelu"):
    from transformers import CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection

    sizes = {**HF_SIZES, "image_size": image_size, "intermediate_size": 128, "projection_dim": 24}
    kind = CLIPVisionModelWithProjection if projected else CLIPVisionModel
    return _randomised(kind(CLIPVisionConfig(**sizes, hidden_act=activation)))


def _clip():
    from transformers import CLIPConfig, CLIPModel

    vision = {**HF_SIZES, "image_size": SIZE, "intermediate_size": 128}
    return _randomised(
        CLIPModel(CLIPConfig(vision_config=vision, text_config=TEXT, projection_dim=24))
    )


def _dinov2(image_size=SIZE):
    from transformers import Dinov2Config, Dinov2Model

    return _randomised(Dinov2Model(Dinov2Config(**HF_SIZES, image_size=image_size, mlp_ratio=4)))


def _as_pickle(model, folder):
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def _as_folder(model, folder):
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("publish", [_as_folder, _as_pickle])
def test_a_hugging_face_vision_model_gives_its_own_projected_embedding(tmp_path, publish):
    theirs, pictures = _vision(), torch.randn(2, 3, SIZE, SIZE)
    ours = frame_checkpoints.encoder(CLIP, publish(theirs, tmp_path))
    with torch.inference_mode():
        wanted = theirs(pictures).image_embeds
        torch.testing.assert_close(ours(pictures), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("publish", [_as_folder, _as_pickle])
def test_a_hugging_face_clip_gives_its_own_image_features(tmp_path, publish):
    theirs, pictures = _clip(), torch.randn(2, 3, SIZE, SIZE)
    ours = frame_checkpoints.encoder(CLIP, publish(theirs, tmp_path))
    with torch.inference_mode():
        pooled = theirs.vision_model(pictures).pooler_output
        wanted = theirs.visual_projection(pooled)
        torch.testing.assert_close(ours(pictures), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("publish", [_as_folder, _as_pickle])
def test_a_hugging_face_dinov2_gives_its_own_class_token(tmp_path, publish):
    theirs, pictures = _dinov2(), torch.randn(2, 3, SIZE, SIZE)
    ours = frame_checkpoints.encoder(DINO, publish(theirs, tmp_path))
    with torch.inference_mode():
        wanted = theirs(pictures).last_hidden_state[:, 0]
        torch.testing.assert_close(ours(pictures), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("publish", [_as_folder, _as_pickle])
def test_a_hugging_face_dinov2_with_registers_gives_its_own_class_token(tmp_path, publish):
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    sizes = {**HF_SIZES, "image_size": SIZE, "mlp_ratio": 4, "num_register_tokens": 4}
    theirs = _randomised(Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**sizes)))
    pictures = torch.randn(2, 3, SIZE, SIZE)
    ours = frame_checkpoints.encoder(REGISTERS, publish(theirs, tmp_path))
    with torch.inference_mode():
        wanted = theirs(pictures).last_hidden_state[:, 0]
        torch.testing.assert_close(ours(pictures), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("spec", [CLIP, DINO], ids=["open_clip", "timm"])
def test_names_of_the_owning_library_are_taken_as_they_are(tmp_path, spec):
    encoder, pictures = _randomised(FrameEncoder(spec)), torch.randn(2, 3, SIZE, SIZE)
    prefix = "visual." if spec is CLIP else ""
    state = {f"{prefix}{k}": v.clone() for k, v in encoder.network.state_dict().items()}
    save_file(state, tmp_path / "own.safetensors")
    loaded = frame_checkpoints.encoder(spec, tmp_path / "own.safetensors")
    torch.testing.assert_close(loaded(pictures), encoder(pictures))


def test_facebooks_dinov2_is_taken_with_its_mask_token(tmp_path):
    encoder, pictures = _randomised(FrameEncoder(DINO)), torch.randn(2, 3, SIZE, SIZE)
    torch.save(
        {**encoder.network.state_dict(), "mask_token": torch.ones(1, 32)}, tmp_path / "d.pth"
    )
    loaded = frame_checkpoints.encoder(DINO, tmp_path / "d.pth")
    torch.testing.assert_close(loaded(pictures), encoder(pictures))


def test_a_training_checkpoint_of_several_processes_is_unwrapped(tmp_path):
    encoder, pictures = _randomised(FrameEncoder(CLIP)), torch.randn(2, 3, SIZE, SIZE)
    state = {f"module.visual.{k}": v for k, v in encoder.network.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "epoch_3.pt")
    loaded = frame_checkpoints.encoder(CLIP, tmp_path / "epoch_3.pt")
    torch.testing.assert_close(loaded(pictures), encoder(pictures))


def test_openais_archives_are_read(tmp_path):
    encoder, pictures = _randomised(FrameEncoder(CLIP)), torch.randn(2, 3, SIZE, SIZE)
    whole = torch.nn.Module()
    whole.visual, whole.forward = encoder.network, encoder.network.forward
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(whole, pictures, check_trace=False), tmp_path / "ViT.pt")
    loaded = frame_checkpoints.encoder(CLIP, tmp_path / "ViT.pt")
    torch.testing.assert_close(loaded(pictures), encoder(pictures))


@pytest.mark.parametrize(
    ("spec", "make", "prefix"),
    [(CLIP, _vision, "positional_embedding"), (DINO, _dinov2, "pos_embed")],
    ids=["open_clip", "timm"],
)
def test_positions_of_another_grid_are_resampled_as_timm_does(tmp_path, spec, make, prefix):
    from timm.layers import resample_abs_pos_embed

    theirs = make(image_size=70)
    loaded = frame_checkpoints.encoder(spec, _as_folder(theirs, tmp_path))
    table = next(v for k, v in theirs.state_dict().items() if "position_embedding" in k)
    wanted = resample_abs_pos_embed(table.reshape(1, 26, 32), [4, 4])
    ours = loaded.state_dict()[f"network.{prefix}"].reshape(1, 17, 32)
    torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize(
    ("spec", "keys", "complaint"),
    [
        (CLIP, ["cls_token"], "holds no CLIP vision transformer .* begin with 'cls_token'"),
        (DINO, ["visual.class_embedding"], "holds no DINOv2 vision transformer"),
        (
            CLIP,
            ["visual.class_embedding", "visual.positional_embedding"],
            "does not fit small_clip",
        ),
        (DINO, ["cls_token", "reg_token"], "does not fit vit_small_patch14_dinov2"),
        (CLIP, [], "holds no CLIP .* its keys begin with 'nothing'"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path, spec, keys, complaint):
    save_file({key: torch.zeros(17, 32) for key in keys}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=rf"x\.safetensors: {complaint}"):
        frame_checkpoints.encoder(spec, tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["model.safetensors", "model.bin"])
@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04 torn"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: not a checkpoint"):
        frame_checkpoints.encoder(CLIP, tmp_path / name)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds neither model"):
        frame_checkpoints.encoder(CLIP, tmp_path)
    with pytest.raises(ValueError, match=r"nowhere\.pt: no such file"):
        frame_checkpoints.encoder(CLIP, tmp_path / "nowhere.pt")


def test_clip_without_its_projection_is_refused(tmp_path):
    state = {k: v for k, v in _vision().state_dict().items() if "projection" not in k}
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"has no visual_projection\.weight"):
        frame_checkpoints.encoder(CLIP, tmp_path)


def test_clip_with_another_activation_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"config\.json: hidden_act is 'gelu'"):
        frame_checkpoints.encoder(CLIP, _as_folder(_vision(activation="gelu"), tmp_path))


# GeoCLIP's heads, against the package that carries them.


@pytest.fixture(scope="module")
def heads():
    return geoclip_release.geoclip()


@pytest.fixture(scope="module")
def package():
    with warnings.catch_warnings():  # the package uses torch.jit.script
        warnings.simplefilter("ignore", FutureWarning)
        import geoclip
    return Path(geoclip.__file__).parent / "model"


@pytest.fixture(scope="module")
def release(tmp_path_factory, package):
    """The package's weights in the format of a release, sigmas aside."""
    folder = tmp_path_factory.mktemp("release")
    read = {
        name: torch.load(package / "weights" / f"{name}_weights.pth", weights_only=True)
        for name in ("location_encoder", "image_encoder_mlp", "logit_scale")
    }
    tensors = {f"location_encoder.{k}": v for k, v in read["location_encoder"].items()}
    tensors |= {f"image_encoder.mlp.{k}": v for k, v in read["image_encoder_mlp"].items()}
    save_file(tensors | {"logit_scale": read["logit_scale"]}, folder / "model.safetensors")
    (folder / "points.csv").write_text("LAT,LON\n1.5,2.5\n-3,4\n")
    return folder


def _card(folder, **changes):
    card = {"model_type": "geoclip-geolocation", "format_version": 1, "gallery_file": "points.csv"}
    (folder / "config.json").write_text(json.dumps({**card, "sigma": [1, 16, 256], **changes}))
    return folder


def _same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_the_image_perceptron_gives_the_packages_embeddings(heads, package, params):
    from geoclip.model.image_encoder import ImageEncoder

    with torch.device("meta"):
        theirs = ImageEncoder(from_pretrained=False).mlp
    weights = package / "weights" / "image_encoder_mlp_weights.pth"
    theirs.load_state_dict(torch.load(weights, weights_only=True), assign=True)
    ours = GeoCLIP(dataclasses.replace(params.model, embed_dim=512), {"clip": 768})
    ours.image.load_state_dict(heads.image)
    features = torch.randn(4, 3, 768)
    valid, time = torch.ones(4, 3, dtype=torch.bool), torch.zeros(4, 3)
    wanted = normalize(theirs(features), dim=-1)
    torch.testing.assert_close(ours.image(features), theirs(features), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.embed_frames(features, valid, time), wanted, atol=1e-5, rtol=0)


def test_the_released_temperature_is_the_published_one(heads):
    assert heads.logit_scale.item() == pytest.approx(3.6810, abs=5e-5)
    assert heads.logit_scale.exp().item() == pytest.approx(39.69, abs=5e-3)


def test_the_released_gallery_is_the_packages(heads, package):
    from geoclip.model.misc import load_gps_data

    ours = geoclip_release.read_gallery(heads.gallery_csv)
    theirs = load_gps_data(package / "gps_gallery" / "coordinates_100K.csv")
    assert ours.shape == (100_000, 2)
    assert len(np.unique(ours, axis=0)) == 94_123
    assert np.array_equal(ours.astype(np.float32), theirs.numpy())


@pytest.mark.parametrize("part", [".", "model", "model/weights"])
def test_heads_come_from_any_folder_that_holds_the_packages_files(heads, package, part):
    found = geoclip_release.geoclip(package.parent / part)
    assert _same(found.location, heads.location)
    assert _same(found.image, heads.image)
    assert found.gallery_csv.samefile(heads.gallery_csv)


def test_heads_come_from_a_release_folder(heads, release):
    found = geoclip_release.geoclip(_card(release, sigma=[1, 8, 256]))
    assert _same(found.location, heads.location)
    assert _same(found.image, heads.image)
    assert torch.equal(found.logit_scale, heads.logit_scale)
    assert found.sigmas == (1.0, 8.0, 256.0)
    assert geoclip_release.read_gallery(found.gallery_csv).tolist() == [[1.5, 2.5], [-3.0, 4.0]]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model_type": "geoclip-location-encoder"}, "not a geoclip-geolocation release"),
        ({"format_version": 2}, "format_version 1"),
        ({"sigma": None}, "not the card of a GeoCLIP release"),
        ({"sigma": [1, 256]}, "not GeoCLIP's weights"),
        ({"gallery_file": "absent.csv"}, r"absent\.csv: no such file"),
    ],
)
def test_a_release_that_is_wrong_is_refused(release, changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        geoclip_release.geoclip(_card(release, **changes))


def test_a_folder_without_geoclip_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"neither config\.json nor location_encoder_weights\.pth"):
        geoclip_release.geoclip(tmp_path)
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        geoclip_release.geoclip(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text",
    ["lat,lon\n1,2\n", "LAT,LON\n1,x\n", "LAT,LON\n91,2\n", "LAT,LON\n1\n", "LAT,LON\n1,nan"],
)
def test_a_gallery_that_is_wrong_is_refused(tmp_path, text):
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(ValueError, match=r"points\.csv: "):
        geoclip_release.read_gallery(tmp_path / "points.csv")
