"""Files of embeddings: written in blocks, resumed, read as they lie there."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vidtag_ml.earth import sphere
from vidtag_ml.models.gps_retrieval import embedding as gallery_embedding
from vidtag_ml.models.gps_retrieval import network as geo_models
from vidtag_ml.retrieval import embeddings


class Counting(geo_models.GeoModel):
    """Unit vectors of points; counts those that it embeds and stops when told to."""

    name = "counting"
    num, most = 0, 10**9

    def embed_frames(self, features_BTD, *_):
        return features_BTD

    def embed_locations(self, latlon_N2):
        self.num += len(latlon_N2)
        if self.num > self.most:
            raise KeyboardInterrupt
        return torch.from_numpy(sphere.unit_vectors(latlon_N2.numpy()))


POINTS = sphere.equal_area_lattice(1000)


@pytest.fixture
def model():
    return Counting(None, {}).eval()


def test_the_file_is_one_that_safetensors_reads(model, tmp_path):
    found = gallery_embedding.write(model, POINTS, tmp_path / "new" / "gallery.safetensors")
    theirs = load_file(tmp_path / "new" / "gallery.safetensors")["embedding_GE"]
    assert theirs.dtype == found.dtype == torch.float16
    assert torch.equal(theirs, found)
    torch.testing.assert_close(
        found.float(), embeddings.embed_gallery(model, POINTS), atol=1e-3, rtol=0
    )


def test_blocks_make_the_same_file(model, tmp_path, monkeypatch):
    gallery_embedding.write(model, POINTS, tmp_path / "whole")
    monkeypatch.setattr(gallery_embedding, "BLOCK", 7)
    gallery_embedding.write(model, POINTS, tmp_path / "blocks")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "blocks").read_bytes()


def test_a_stopped_write_goes_on_where_it_stopped(model, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery_embedding, "BLOCK", 100)
    path = tmp_path / "gallery.safetensors"
    model.most = 750
    with pytest.raises(KeyboardInterrupt):
        gallery_embedding.write(model, POINTS, path)
    assert not path.exists()
    model.num, model.most = 0, 10**9
    gallery_embedding.write(model, POINTS, path)
    assert model.num == 300 + 1
    assert [file.name for file in tmp_path.iterdir()] == ["gallery.safetensors"]
    expected = gallery_embedding.write(model, POINTS, tmp_path / "straight")
    assert torch.equal(embeddings.read(path), expected)


def test_rows_of_another_gallery_are_not_gone_on_with(model, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery_embedding, "BLOCK", 100)
    model.most = 750
    with pytest.raises(KeyboardInterrupt):
        gallery_embedding.write(model, -POINTS, tmp_path / "gallery.safetensors")
    model.most = 10**9
    found = gallery_embedding.write(model, POINTS, tmp_path / "gallery.safetensors")
    expected = gallery_embedding.write(model, POINTS, tmp_path / "straight")
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", [torch.float16, torch.float32])
def test_what_is_read_is_mapped(kind, tmp_path):
    values = torch.arange(6.0).view(3, 2).to(kind)
    save_file({"embedding_GE": values}, tmp_path / "gallery.safetensors")
    found = embeddings.read(tmp_path / "gallery.safetensors")
    assert torch.equal(found, values)
    assert str(tmp_path) in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("content", [b"", b"short", b"LAT,LON\n1,2\n3,4\n"])
def test_a_file_of_something_else_is_named(content, tmp_path):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(ValueError, match="other: not a file of embeddings"):
        embeddings.read(tmp_path / "other")


def test_a_file_that_was_cut_is_named(model, tmp_path):
    gallery_embedding.write(model, POINTS, tmp_path / "cut")
    whole = (tmp_path / "cut").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cut: not a file of embeddings"):
        embeddings.read(tmp_path / "cut")
