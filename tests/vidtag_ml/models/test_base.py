import numpy as np
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.models.base import save
from vidtag_ml.models.cityguessr.network import CityGuessr, Sizes
from vidtag_ml.models.networks import build, load, read
from vidtag_ml.retrieval.embeddings import embed_gallery

SIZES = config.Model(
    embed_dim=32,
    temporal_layers=1,
    temporal_heads=2,
    temporal_ffn=32,
    head_widths=(24,),
    temporal_norm=False,
    positions="sinusoidal",
    num_positions=8,
    dropout=0.1,
    location=config.Location(sigmas=(1.0, 8.0), num_frequencies=16, hidden=32),
    refiner_encoder_layers=1,
    refiner_decoder_layers=1,
    refiner_heads=2,
    refiner_ffn=32,
    refiner_width=None,
    refiner_positions="sinusoidal",
)
NAMES = pytest.mark.parametrize("name", ["vidtag", "geoclip"])


@NAMES
def test_a_saved_model_comes_back_the_same(tmp_path, name):
    model = build(name, SIZES, {"eyes": 16}).eval()
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    given = torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool), torch.arange(10.0).view(2, 5)
    assert torch.equal(loaded.embed_frames(*given), model.embed_frames(*given))
    assert loaded.name == name
    assert not loaded.training


def test_a_folder_without_weights_is_refused(tmp_path):
    save(build("geoclip", SIZES, {"eyes": 16}), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors: no such file"):
        load(tmp_path)


def test_weights_of_other_sizes_are_refused(tmp_path):
    save(build("geoclip", SIZES, {"eyes": 16}), tmp_path)
    text = (tmp_path / "model.json").read_text().replace('"eyes": 16', '"eyes": 8')
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"model\.safetensors: does not fit"):
        load(tmp_path)


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'planet'; known: vidtag, geoclip"):
        build("planet", SIZES, {"eyes": 16})


def test_the_gallery_is_embedded_alike_in_chunks():
    model, points = (
        build("vidtag", SIZES, {"eyes": 16}).eval(),
        np.random.default_rng(0).uniform(-80, 80, (9, 2)),
    )
    whole = embed_gallery(model, points)
    assert whole.dtype == torch.float32
    torch.testing.assert_close(embed_gallery(model, points, chunk=4), whole)


def test_a_model_without_refiner_says_so():
    with pytest.raises(ValueError, match="geoclip has no refiner: decode with initial or viterbi"):
        build("geoclip", SIZES, {"eyes": 3}).refine(*[torch.zeros(1, 1, 32)] * 4)


PLACES = (("Kyoto", "Kyoto", "Japan", "Asia"), ("Lyon", "Rhône", "France", "Europe"))
OF_PLACES = Sizes(
    backbone="frames", width=16, layers=1, heads=2, ffn=32, dropout=0.0, videomae=None,
    places=PLACES, attention=True, attention_width=6, attention_heads=2, scenes=16, text=12,
)  # fmt: skip


def test_a_model_that_gives_no_coordinates_is_read_but_not_loaded_as_one_that_does(tmp_path):
    model = build("cityguessr", OF_PLACES, {"eyes": 16})
    model.temperatures.fill_(1 / 3)
    save(model, tmp_path)
    found = read(tmp_path)
    assert isinstance(found, CityGuessr)
    assert (found.sizes, found.training) == (OF_PLACES, False)
    assert torch.equal(found.temperatures, model.temperatures)
    with pytest.raises(ValueError, match="a cityguessr model gives no coordinates"):
        load(tmp_path)
