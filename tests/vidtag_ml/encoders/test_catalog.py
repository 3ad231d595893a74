import dataclasses
import functools
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from vidtag_ml.encoders import catalog, geoclip_release, text, videomae
from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.encoders.frames import IMAGENET_MEAN, IMAGENET_STD, EncoderSpec, FrameEncoder
from vidtag_ml.encoders.location import GEOCLIP_SIGMAS, load_location

TOWER = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 32}
SPEC = EncoderSpec(
    library="open_clip",
    model="own_tower",
    dim=24,
    image_size=32,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    options={"vision_cfg": TOWER},
)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """A folder with GeoCLIP as the installed package has it; not to be changed."""
    folder = tmp_path_factory.mktemp("encoders")
    catalog.fetch("geoclip", folder)
    return folder


@pytest.fixture
def broken(encoders, tmp_path):
    """A copy of that folder, to be harmed."""
    for name in catalog.GEOCLIP_FILES:
        (tmp_path / name).write_bytes((encoders / name).read_bytes())
    return tmp_path


def test_a_stored_encoder_is_half_precision_and_works(tmp_path):
    torch.manual_seed(0)
    encoder, pictures = FrameEncoder(SPEC).eval(), torch.rand(2, 3, 32, 32)
    path = catalog.store(tmp_path, "small", SPEC, encoder.network)
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    assert catalog.verify(tmp_path, "small").state == "ok"
    loaded = frame_encoders.load(tmp_path, "small")
    torch.testing.assert_close(loaded(pictures), encoder(pictures), atol=2e-2, rtol=2e-2)


def test_geoclip_is_kept_in_single_precision_with_its_sigmas(encoders):
    location, image, gallery = (encoders / name for name in catalog.GEOCLIP_FILES)
    stored = {**load_file(location), **load_file(image)}
    assert {value.dtype for value in stored.values()} == {torch.float32}
    with safe_open(location, "pt") as file:
        assert json.loads(file.metadata()["sigmas"]) == [1.0, 16.0, 256.0]
    assert set(load_file(image)) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert gallery.read_bytes() == geoclip_release.geoclip().gallery_csv.read_bytes()


def test_geoclips_gps_encoder_comes_back_as_it_was_released(encoders):
    wanted = geoclip_release.geoclip()
    found, logit_scale = load_location(encoders / catalog.GEOCLIP_FILES[0], GEOCLIP_SIGMAS)
    assert all(torch.equal(found[key], value) for key, value in wanted.location.items())
    assert torch.equal(logit_scale, wanted.logit_scale)


def test_geoclip_is_listed_and_verified(encoders, tmp_path):
    assert "geoclip" in catalog.known([])
    found = catalog.verify(encoders, "geoclip")
    assert (found.state, len(found.md5)) == ("ok", 32)
    assert found.size_mb == pytest.approx(43.8, abs=0.1)
    assert catalog.status(tmp_path, "geoclip").state == (
        "absent: `vidtag weights fetch geoclip` gets them"
    )


@pytest.mark.parametrize("name", catalog.GEOCLIP_FILES)
def test_a_harmed_file_of_geoclip_is_told(broken, name):
    before = catalog.status(broken, "geoclip")
    (broken / name).write_bytes(b"rubbish")
    found = catalog.verify(broken, "geoclip")
    assert found.state.startswith("unusable: ")
    assert found.md5 != before.md5


def test_weights_that_are_not_finite_are_told(broken):
    path = broken / catalog.GEOCLIP_FILES[1]
    save_file({**load_file(path), "2.bias": torch.full((512,), torch.nan)}, path)
    assert catalog.verify(broken, "geoclip").state == "unusable: features are not finite"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("flyover_clip", "comes with the repository"),
        ("clip_vit_b32", "no pretrained encoder is called 'clip_vit_b32'; known: .*geoclip"),
        ("clip_vit_l14", r"x\.safetensors: holds no CLIP"),
        ("dinov2_vit_l14", r"x\.safetensors: holds no DINOv2"),
        ("geoclip", r"x\.safetensors: no such folder"),
    ],
)
def test_what_cannot_be_fetched_is_refused_and_nothing_is_written(tmp_path, name, complaint):
    save_file({"weight": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=complaint):
        catalog.fetch(name, tmp_path / "encoders", tmp_path / "x.safetensors")
    assert not (tmp_path / "encoders").exists()


def test_a_status_can_be_printed_as_json(encoders):
    assert json.dumps(dataclasses.asdict(catalog.status(encoders, "geoclip")))


SMALL = {"width": 16, "heads": 2, "layers": 1}
VIDEO = dataclasses.replace(videomae.VIDEOMAE_SMALL, num_frames=4, image_size=32, mlp=32, **SMALL)
TOWER = dataclasses.replace(text.CLIP_VIT_B32, dim=12, **SMALL)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A folder with a tiny VideoMAE and a tiny text tower under names of their own."""
    folder = tmp_path_factory.mktemp("places")
    torch.manual_seed(0)
    catalog.store(folder, "clips", VIDEO, videomae.VideoMAE(VIDEO).network)
    catalog.store(folder, "names", TOWER, text.TextTower(TOWER).network)
    return folder


@pytest.mark.parametrize(
    ("name", "model"), [("clips", "transformers VideoMAE"), ("names", "CLIP text tower")]
)
def test_weights_of_places_are_verified_under_any_name(places, name, model):
    found = catalog.verify(places, name)
    assert (found.state, found.model, len(found.md5)) == ("ok", model, 32)


@pytest.mark.parametrize("name", ["clips", "names"])
@pytest.mark.parametrize("harm", ["rubbish", "not finite", "another shape"])
def test_harmed_weights_of_places_are_told(places, tmp_path, name, harm):
    state = load_file(places / f"{name}.safetensors")
    (tmp_path / f"{name}.json").write_bytes((places / f"{name}.json").read_bytes())
    if harm == "rubbish":
        (tmp_path / f"{name}.safetensors").write_bytes(b"rubbish")
    else:
        spoil = (lambda v: v * torch.nan) if harm == "not finite" else (lambda v: v[..., :1])
        spoilt = {k: spoil(v).contiguous() for k, v in state.items()}
        save_file(spoilt, tmp_path / f"{name}.safetensors")
    assert catalog.verify(tmp_path, name).state.startswith("unusable: ")


def test_videomae_is_taken_from_a_published_folder(tmp_path):
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    frames = {"num_frames": 4, "image_size": 32, "intermediate_size": 32, "num_labels": 3}
    model = VideoMAEForVideoClassification(VideoMAEConfig(**sizes, **frames))
    model.save_pretrained(tmp_path / "release")
    catalog.fetch("videomae_small", tmp_path, tmp_path / "release")
    assert catalog.verify(tmp_path, "videomae_small").state == "ok"
    assert videomae.load(tmp_path, "videomae_small").spec == VIDEO


def test_a_text_tower_is_taken_from_a_published_file(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "published", functools.partial(text.published, spec=TOWER))
    torch.manual_seed(0)
    save_file(text.TextTower(TOWER).network.state_dict(), tmp_path / "clip.safetensors")
    catalog.fetch("clip_vit_b32_text", tmp_path / "here", tmp_path / "clip.safetensors")
    found = catalog.status(tmp_path / "here", "clip_vit_b32_text")
    assert (found.state, found.model) == ("ok", "CLIP text tower")


@pytest.mark.parametrize("name", ["videomae_small", "clip_vit_b32_text"])
def test_absent_releases_of_places_are_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"nowhere.*no such file"):
        catalog.fetch(name, tmp_path / "encoders", tmp_path / "nowhere")
    assert not (tmp_path / "encoders").exists()
    assert (
        catalog.status(tmp_path, name).state == f"absent: `vidtag weights fetch {name}` gets them"
    )
    assert name in catalog.known([])
