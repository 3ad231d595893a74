"""Tests of vidtag_ml.encoders.videomae."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from vidtag_ml.encoders import videomae
from vidtag_ml.encoders.frames import IMAGENET_MEAN, IMAGENET_STD
from vidtag_ml.encoders.videomae import VIDEOMAE_SMALL, VideoMAE, VideoSpec

SMALL = {"num_frames": 4, "image_size": 32, "width": 16, "layers": 2, "heads": 2, "mlp": 32}
TINY = dataclasses.replace(VIDEOMAE_SMALL, **SMALL)


def _release(folder, **changed):
    """A classification checkpoint as transformers writes it; its biases are not zero."""
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    names = {"width": "hidden_size", "layers": "num_hidden_layers", "mlp": "intermediate_size"}
    names |= {"heads": "num_attention_heads"}
    torch.manual_seed(0)
    sizes = {names.get(key, key): value for key, value in SMALL.items()}
    model = VideoMAEForVideoClassification(VideoMAEConfig(num_labels=5, **{**sizes, **changed}))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return model.eval()


def _clips(num=2, spec=TINY):
    size = spec.image_size
    return torch.randn(num, spec.num_frames, 3, size, size, generator=torch.manual_seed(1))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videomae")
    return folder, _release(folder)


def test_a_release_gives_the_mean_over_tokens_of_its_own_last_layer(release):
    folder, model = release
    ours = videomae.published(folder)
    theirs = model.videomae(_clips()).last_hidden_state.mean(1)
    assert (ours.spec, ours.training) == (TINY, False)
    torch.testing.assert_close(ours(_clips()), theirs)


def test_the_feature_is_what_the_published_classifier_reads(release):
    folder, model = release
    logits = model.classifier(model.fc_norm(videomae.published(folder)(_clips())))
    torch.testing.assert_close(logits, model(_clips()).logits)


def test_biases_are_read_under_both_of_their_names(release, tmp_path):
    folder, model = release
    assert any(key.endswith("q_bias") for key in load_file(folder / "model.safetensors"))
    TINY.write(tmp_path / "new.json")
    save_file(model.state_dict(), tmp_path / "new.safetensors")
    old, new = videomae.published(folder), videomae.load(tmp_path, "new")
    torch.testing.assert_close(new.state_dict(), old.state_dict())


def test_weights_are_stored_like_a_frame_encoders(release, tmp_path):
    from vidtag_ml.encoders import catalog

    model = videomae.published(release[0])
    catalog.store(tmp_path, "small", model.spec, model.network)
    loaded = videomae.load(tmp_path, "small")
    assert loaded.spec == TINY
    assert all(p.requires_grad and p.dtype == torch.float32 for p in loaded.parameters())
    torch.testing.assert_close(loaded(_clips()), model(_clips()), atol=2e-2, rtol=2e-2)


def test_a_network_that_was_not_fine_tuned_keeps_its_last_norm(tmp_path):
    model = _release(tmp_path, use_mean_pooling=False)
    ours = videomae.published(tmp_path)
    assert ours.spec.final_norm
    torch.testing.assert_close(ours(_clips()), model.videomae(_clips())[0].mean(1))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_an_incomplete_release_names_what_is_missing(release, tmp_path, name):
    (kept,) = {"config.json", "model.safetensors"} - {name}
    (tmp_path / kept).write_bytes((release[0] / kept).read_bytes())
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        videomae.published(tmp_path)


def test_absent_weights_name_the_file_and_what_to_do(tmp_path):
    TINY.write(tmp_path / "small.json")
    with pytest.raises(ValueError, match=r"small\.safetensors: no such file.*Hugging Face"):
        videomae.load(tmp_path, "small")


def test_weights_of_another_network_are_refused(release, tmp_path):
    dataclasses.replace(TINY, layers=3).write(tmp_path / "small.json")
    (tmp_path / "small.safetensors").write_bytes((release[0] / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"small\.safetensors: does not fit .*layer\.2\."):
        videomae.load(tmp_path, "small")


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"model_type": "vivit"}, "model_type is 'vivit', not 'videomae'"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu', not 'gelu'"),
        ({"image_size": [32, 32]}, "image_size is .*; it must be of type int"),
    ],
)
def test_a_release_of_another_kind_is_refused(release, tmp_path, changed, complaint):
    values = json.loads((release[0] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, **changed}))
    with pytest.raises(ValueError, match=complaint):
        videomae.published(tmp_path)


def test_a_specification_survives_its_file(tmp_path):
    TINY.write(tmp_path / "small.json")
    assert VideoSpec.read(tmp_path / "small.json") == TINY


@pytest.mark.parametrize("held", ["{", "[1]", '{"num_frames": 16}'])
def test_a_broken_specification_names_its_file(tmp_path, held):
    (tmp_path / "small.json").write_text(held)
    with pytest.raises(ValueError, match=r"small\.json"):
        VideoSpec.read(tmp_path / "small.json")


@pytest.mark.parametrize("changed", [{"num_frames": 3}, {"image_size": 40}, {"heads": 3}])
def test_sizes_that_do_not_divide_are_refused(changed):
    with pytest.raises(ValueError, match="not divisible by"):
        dataclasses.replace(TINY, **changed)


def test_the_small_network_has_its_published_size():
    assert (VIDEOMAE_SMALL.patch, VIDEOMAE_SMALL.width) == (16, 384)
    with torch.device("meta"):  # of two frames: transformers takes long to tabulate positions
        model = VideoMAE(dataclasses.replace(VIDEOMAE_SMALL, num_frames=2))
    embedding, layer = 3 * 2 * 16 * 16 * 384 + 384, 4 * 384**2 + 3 * 384 + 2 * 2 * 384
    layer += 2 * 384 * 1536 + 1536 + 384
    assert sum(p.numel() for p in model.parameters()) == embedding + 12 * layer == 21_879_168
    assert model.network.embeddings.num_patches == 1568 // 8


def test_a_clip_of_another_length_or_size_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 3, 32, 32\), not \(4, 3, 32, 32\)"):
        VideoMAE(TINY)(_clips()[:, :3])


def test_white_is_normalised_as_the_pixels_say():
    white = torch.full((2, 4, 3, 8, 8), 255, dtype=torch.uint8)
    assert (videomae.normalise(white, "unit") == 1).all()
    wanted = (1 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(videomae.normalise(white, "imagenet").mean((0, 1, 3, 4)), wanted)


@pytest.mark.parametrize("pixels", ["imagenet", "unit"])
def test_bytes_are_normalised_as_the_specification_says(pixels):
    model = VideoMAE(dataclasses.replace(TINY, pixels=pixels)).eval()
    squares = torch.randint(0, 256, (1, 4, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(model(squares), model(videomae.normalise(squares, pixels)))
