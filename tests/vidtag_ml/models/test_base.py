import numpy as np
import pytest
import torch

from vidtag_ml.models.base import save
from vidtag_ml.models.cityguessr.network import CityGuessr, Sizes
from vidtag_ml.models.networks import build, load, read
from vidtag_ml.retrieval.embeddings import embed_gallery

NAMES = pytest.mark.parametrize("name", ["vidtag", "geoclip"])


@NAMES
def test_a_saved_model_comes_back_the_same(tmp_path, sizes, name):
    model = build(name, sizes, {"eyes": 16}).eval()
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    given = torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool), torch.arange(10.0).view(2, 5)
    assert torch.equal(loaded.embed_frames(*given), model.embed_frames(*given))
    assert loaded.name == name
    assert not loaded.training


def test_a_folder_without_weights_is_refused(tmp_path, sizes):
    save(build("geoclip", sizes, {"eyes": 16}), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors: no such file"):
        load(tmp_path)


def test_weights_of_other_sizes_are_refused(tmp_path, sizes):
    save(build("geoclip", sizes, {"eyes": 16}), tmp_path)
    text = (tmp_path / "model.json").read_text().replace('"eyes": 16', '"eyes": 8')
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"model\.safetensors: does not fit"):
        load(tmp_path)


def test_an_unknown_model_is_refused_with_the_known_ones(tmp_path, sizes):
    with pytest.raises(ValueError, match=r"'planet'; known: .*geoclip.*vidtag"):
        build("planet", sizes, {"eyes": 16})
    save(build("geoclip", sizes, {"eyes": 16}), tmp_path)
    text = (tmp_path / "model.json").read_text().replace('"geoclip"', '"planet"')
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"'planet'; known: .*geoclip.*vidtag"):
        read(tmp_path)


def test_the_gallery_is_embedded_alike_in_chunks(sizes):
    model, points = (
        build("vidtag", sizes, {"eyes": 16}).eval(),
        np.random.default_rng(0).uniform(-80, 80, (9, 2)),
    )
    whole = embed_gallery(model, points)
    assert whole.dtype == torch.float32
    torch.testing.assert_close(embed_gallery(model, points, chunk=4), whole)


def test_a_model_without_refiner_says_so(sizes):
    with pytest.raises(
        ValueError, match="geoclip has no refiner: decode with initial or viterbi or motion"
    ):
        build("geoclip", sizes, {"eyes": 3}).refine(*[torch.zeros(1, 1, sizes.embed_dim)] * 4)


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
