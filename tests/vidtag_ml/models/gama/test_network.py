"""Claims about GAMa's networks: their sizes, maps, and what each side of them sees."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18
from torchvision.models.video import r3d_18

from vidtag_ml import config
from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.models import base
from vidtag_ml.models.gama import losses as gama_losses
from vidtag_ml.models.gama import network as gama_network
from vidtag_ml.pretraining import frames as pretraining_frames

WORKER = Path(__file__).with_name("gradients_worker.py")
PUBLISHED = config.GamaNetwork(
    width=64, blocks=2, ground="video", stem="reference", dropout=0.3, tx="aerial", tx_layers=2,
    tx_heads=4, tx_dropout=0.1, positions="none",
)  # fmt: skip
SMALL = dataclasses.replace(PUBLISHED, width=4, blocks=1, stem="fast")
SCREENING = config.ScreeningNetwork(width=4, blocks=1, sequence="2d", stem="fast", dropout=0.3)
HEAD = 2 * (512 * 512 + 512)
RESNET18, R3D18 = 11_689_512 - 1000 * 513, 33_371_472 - 400 * 513
TRANSFORMER = 2 * (4 * 512 * 512 + 2 * 512 * 512 + (4 + 2) * 512 + 4 * 512) + 2 * 512


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Networks this small gain nothing from a second, and wait long for it on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(sizes=SMALL, **changed):
    torch.manual_seed(0)
    return gama_network.GAMaNet(dataclasses.replace(sizes, **changed)).eval()


def count(module):
    return sum(p.numel() for p in module.parameters())


def clips(num=2, frames=8, side=32):
    return torch.randn(num, 3, frames, side, 2 * side, generator=torch.Generator().manual_seed(1))


def tiles(*shape, side=48):
    return torch.randn(*shape, 3, side, side, generator=torch.Generator().manual_seed(2))


def test_sizes_in_a_model_json_are_read_in_any_order():
    card = dict(reversed(config.as_dict(PUBLISHED).items()))
    assert config.parse(config.GamaNetwork, card, "model.json") == PUBLISHED


def map_sizes(network, pixels):
    """Sizes of the maps behind the stem and each stage, without computing them."""
    seen, stem = [], network.stem if hasattr(network, "stem") else network.maxpool
    stages = (network.layer1, network.layer2, network.layer3, network.layer4)
    for module in (stem, *(stage[-1] for stage in stages)):
        module.register_forward_hook(lambda *given: seen.append(tuple(given[2].shape[2:])))
    network(pixels)
    return seen


@pytest.mark.parametrize("stem", ["reference", "fast"])
@pytest.mark.parametrize(
    ("tx", "on_ground", "on_tile"),
    [("aerial", 0, 1), ("video", 1, 0), ("dual", 1, 1), ("none", 0, 0)],
)
def test_published_sizes_have_torchvisions_parameters_and_our_heads(tx, on_ground, on_tile, stem):
    with torch.device("meta"):
        model = made(PUBLISHED, tx=tx, stem=stem)
        assert count(r3d_18()) - count(r3d_18().fc) == R3D18
        assert count(resnet18()) - count(resnet18().fc) == RESNET18
    assert count(model.ground) == R3D18 + HEAD + on_ground * TRANSFORMER
    assert count(model.aerial) == RESNET18 + HEAD + on_tile * TRANSFORMER


def test_the_image_baseline_has_an_image_network_on_either_side():
    with torch.device("meta"):
        model = made(PUBLISHED, ground="image", tx="none")
    assert count(model.ground) == count(model.aerial) == RESNET18 + HEAD


@pytest.mark.parametrize(("sequence", "small"), [("2d", RESNET18), ("3d", R3D18)])
def test_screening_has_two_separate_encoders(sequence, small):
    sizes = dataclasses.replace(SCREENING, width=64, blocks=2, sequence=sequence)
    with torch.device("meta"):
        model = gama_network.Screening(sizes)
    assert count(model.small) == small + HEAD
    assert count(model.large) == RESNET18 + HEAD


def test_maps_of_the_video_encoder_are_those_of_the_sheet():
    with torch.device("meta"):
        sizes = map_sizes(made(PUBLISHED).ground.network, torch.empty(1, 3, 8, 112, 224))
    assert sizes == [(8, 56, 112), (8, 56, 112), (4, 28, 56), (2, 14, 28), (1, 7, 14)]


@pytest.mark.parametrize(
    ("stem", "wide"), [("reference", [220, 220, 110, 55, 28]), ("fast", [56, 56, 28, 14, 7])]
)
def test_maps_of_the_aerial_encoder_are_those_of_the_sheet(stem, wide):
    with torch.device("meta"):
        network = made(PUBLISHED, stem=stem).aerial.network
        sizes = map_sizes(network, torch.empty(1, 3, 224, 224))
    assert sizes == [(side, side) for side in wide]


@pytest.mark.parametrize(
    ("pixels", "side", "num"),
    [(torch.empty(1, 3, 8, 112, 224), "ground", 98), (torch.empty(1, 3, 224, 224), "aerial", 49)],
)
def test_the_transformer_reads_the_tokens_of_the_sheet(pixels, side, num):
    with torch.device("meta"):
        encoder, seen = getattr(made(PUBLISHED, tx="dual"), side), []
        encoder.transformer.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
        assert encoder(pixels.to("meta")).shape == (1, 512)
    assert seen == [(1, num, 512)]


@pytest.mark.parametrize("network", ["ground", "aerial"])
def test_published_weights_give_torchvisions_features(network, tmp_path):
    torch.manual_seed(1)
    original = (r3d_18 if network == "ground" else resnet18)(weights=None).eval()
    torch.save(original.state_dict(), tmp_path / "published.pth")
    original.fc = torch.nn.Identity()
    encoder = getattr(made(PUBLISHED, tx="none", stem="fast"), network)
    gama_network.load_published(encoder.network, tmp_path / "published.pth")
    pixels = clips(1, 4, 16) if network == "ground" else tiles(1, side=64)
    with torch.inference_mode():
        torch.testing.assert_close(encoder.features(pixels), original(pixels), rtol=1e-4, atol=1e-4)


def test_both_stems_take_all_weights_shortcuts_included(tmp_path):
    state = resnet18(weights=None).state_dict()
    save_file(state, tmp_path / "published.safetensors")
    network = gama_network.ImageNetwork(64, 2, "reference")
    gama_network.load_published(network, tmp_path / "published.safetensors")
    ours = network.state_dict()
    assert set(ours) == set(state) - {"fc.weight", "fc.bias"}
    assert all(torch.equal(ours[key], state[key]) for key in ours)
    assert sum("downsample.0" in key for key in ours) == 3


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (gama_network.ImageNetwork(4, 2, "fast"), "ImageNetwork of width 64 .* ResNet-18"),
        (gama_network.VideoNetwork(4, 2, 0.3), "VideoNetwork of width 64 .* R3D-18"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_sentence(network, complaint, tmp_path):
    torch.save(gama_network.ImageNetwork(8, 2, "fast").state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=rf"other.pth: does not fit; a {complaint}"):
        gama_network.load_published(network, tmp_path / "other.pth")


@pytest.mark.parametrize(("content", "name"), [(b"rubbish", "a.pth"), (b"{}", "a.safetensors")])
def test_files_that_are_no_weights_are_refused(content, name, tmp_path):
    network = gama_network.ImageNetwork(4, 1, "fast")
    with pytest.raises(ValueError, match="no such file"):
        gama_network.load_published(network, tmp_path / name)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: not a checkpoint"):
        gama_network.load_published(network, tmp_path / name)


@pytest.mark.parametrize("stem", ["reference", "fast"])
@pytest.mark.parametrize("tx", ["aerial", "video", "dual", "none"])
def test_a_small_network_gives_unit_vectors_of_one_width(tx, stem):
    model = made(tx=tx, stem=stem)
    with torch.inference_mode():
        ground, aerial = model.embed_clips(clips()), model.embed_tiles(tiles(2))
    assert ground.shape == aerial.shape == (2, 32)
    torch.testing.assert_close(torch.cat([ground, aerial]).norm(dim=1), torch.ones(4))


def test_the_image_baseline_sees_the_centre_frame_alone():
    model, pixels = made(ground="image"), clips()
    moved = torch.randn_like(pixels)
    moved[:, :, 4] = pixels[:, :, 4]
    with torch.inference_mode():
        assert torch.equal(model.embed_clips(pixels), model.embed_clips(moved))
        moved[:, :, 4] = 0
        assert not torch.allclose(model.embed_clips(pixels), model.embed_clips(moved))


@pytest.mark.parametrize(("positions", "same"), [("none", True), ("sinusoidal", False)])
def test_tokens_have_an_order_only_with_positions(positions, same):
    torch.manual_seed(0)
    reads = gama_network.TokenTransformer(dataclasses.replace(SMALL, positions=positions)).eval()
    tokens = torch.randn(1, 9, 32)
    with torch.inference_mode():
        assert torch.allclose(reads(tokens), reads(tokens.flip(1)), atol=1e-5) is same


def test_dropout_follows_every_block_of_the_video_network():
    network, calls = gama_network.VideoNetwork(4, 2, 0.3).eval(), []
    network.dropout.register_forward_hook(lambda *_: calls.append(1))
    network(clips(1, 4, 16))
    assert (len(calls), network.dropout.p) == (8, 0.3)
    assert gama_network.ImageNetwork(4, 2, "fast").dropout.p == 0.0


@pytest.mark.parametrize(("sequence", "same"), [("2d", True), ("3d", False)])
def test_screening_averages_tiles_unless_they_are_frames(sequence, same):
    torch.manual_seed(0)
    model = gama_network.Screening(dataclasses.replace(SCREENING, sequence=sequence)).eval()
    pixels = tiles(2, 4)
    with torch.inference_mode():
        there, back = model.embed_videos(pixels), model.embed_videos(pixels.flip(1))
        assert model.embed_regions(tiles(2)).shape == there.shape == (2, 32)
    assert torch.allclose(there, back, atol=1e-5) is same
    torch.testing.assert_close(there.norm(dim=1), torch.ones(2))


def test_features_of_a_sequence_are_averaged_before_the_head():
    torch.manual_seed(0)
    model, pixels = gama_network.Screening(SCREENING).eval(), tiles(1, 3)
    with torch.inference_mode():
        each = torch.stack([model.small.features(tile[None])[0] for tile in pixels[0]])
        wanted = torch.nn.functional.normalize(model.small.head(each.mean(0)), dim=0)
        torch.testing.assert_close(model.embed_videos(pixels)[0], wanted)


@pytest.mark.parametrize("loss", [gama_losses.nt_xent, gama_losses.triplet])
def test_a_batch_can_be_learnt_by_heart(loss):
    model = made(width=2, dropout=0.0, tx_dropout=0.0).train()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    values = []
    for _ in range(12):
        value = loss(model.embed_clips(clips(3, 4, 16)), model.embed_tiles(tiles(3, side=32)))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        values.append(value.item())
    assert values[-1] < values[0] / 3


@pytest.mark.parametrize("isa", ["AVX2", "DEFAULT"])
def test_gradients_with_and_without_onednn_agree_on_a_cpu_with_and_without_avx_512(isa):
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    ran = subprocess.run([sys.executable, WORKER], capture_output=True, env=environment, text=True)
    assert ran.returncode == 0, ran.stderr
    differences = json.loads(ran.stdout)
    assert {name: value for name, value in differences.items() if not value < 1e-4} == {}
    assert len(differences) == 9


@pytest.mark.parametrize(
    "build",
    [
        lambda: made(SMALL),
        lambda: made(SMALL, ground="image", tx="none"),
        lambda: gama_network.Screening(SCREENING),
        *(
            lambda spec=spec: frame_encoders.FrameEncoder(spec)
            for spec in pretraining_frames.SPECS.values()
        ),
    ],
)
def test_no_network_has_the_layer_that_onednn_differentiates_wrongly(build):
    with torch.device("meta"):
        layers = [layer for layer in build().modules() if isinstance(layer, torch.nn.Conv2d)]
    points = [layer for layer in layers if layer.kernel_size == (1, 1) and max(layer.stride) > 1]
    assert [layer for layer in points if layer.in_channels < 16] == []


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"ground": "image", "tx": "dual"}, "tx = dual reads a video's map"),
        ({"tx_heads": 5}, "tx_heads is 5; it must divide 8 x width: 32"),
    ],
)
def test_sizes_that_make_no_network_are_refused(changed, complaint):
    with pytest.raises(ValueError, match=complaint):
        made(**changed)


def test_features_of_encoders_are_not_read():
    with pytest.raises(ValueError, match="gama reads pixels, not the features of clip"):
        gama_network.GAMaNet(SMALL, {"clip": 8})


@pytest.mark.parametrize("sizes", [PUBLISHED, SCREENING])
def test_sizes_survive_a_file(sizes):
    assert config.parse(type(sizes), config.as_dict(sizes), "a file") == sizes


def test_a_network_can_be_saved(tmp_path):
    base.save(made(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "model.safetensors"}
