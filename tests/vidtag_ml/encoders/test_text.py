"""Tests of vidtag_ml.encoders.text."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vidtag_ml import config
from vidtag_ml.encoders import text
from vidtag_ml.encoders.text import CLIP_VIT_B32, TextTower

PLACES = (("Abu_Dhabi", "Abu Dhabi", "UAE", "Asia"), ("Kyoto", "Kyoto Prefecture", "Japan", "Asia"))
TINY = dataclasses.replace(CLIP_VIT_B32, dim=12, width=16, layers=2, heads=2, quick_gelu=False)
NAMES = ["Abu Dhabi", "Kyoto", "Saint-Étienne"]


def _embed(names):
    """A vector that tells its name: lengths differ, letters count."""
    return np.array([[len(n), n.count("a"), 1.0 + n.count(" ")] for n in names], np.float32)


def _clip(quick_gelu=False):
    """A whole CLIP with both of its towers."""
    import open_clip

    torch.manual_seed(0)
    vision = {"image_size": 32, "patch_size": 16, "layers": 1, "width": 32, "head_width": 16}
    sizes = {k: v for k, v in config.as_dict(TINY).items() if k not in ("dim", "quick_gelu")}
    return open_clip.CLIP(TINY.dim, vision, sizes, quick_gelu=quick_gelu).eval()


@pytest.fixture(scope="module")
def clip():
    return _clip()


def _theirs(clip, names=NAMES):
    import open_clip

    with torch.inference_mode():
        return clip.encode_text(open_clip.tokenize(list(names))).numpy()


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_the_tower_embeds_as_the_whole_clip_does(clip, tmp_path, suffix):
    file, state = tmp_path / f"clip.{suffix}", clip.state_dict()
    save_file(state, file) if suffix == "safetensors" else torch.save({"state_dict": state}, file)
    tower = text.published(file, TINY)
    np.testing.assert_allclose(tower.embed(NAMES), _theirs(clip), rtol=1e-5, atol=1e-6)
    assert not any(p.requires_grad for p in tower.parameters())


def test_an_openai_checkpoint_brings_its_sizes_along(clip, tmp_path):
    extra = {"input_resolution": 32, "context_length": 77, "vocab_size": 49408}
    extra = {key: torch.tensor(value) for key, value in extra.items()}
    save_file({**clip.state_dict(), **extra}, tmp_path / "clip.safetensors")
    tower = text.published(tmp_path / "clip.safetensors", TINY)
    np.testing.assert_allclose(tower.embed(NAMES), _theirs(clip), rtol=1e-5, atol=1e-6)


def test_the_activation_is_the_one_that_is_asked_for(clip, tmp_path):
    save_file(clip.state_dict(), tmp_path / "clip.safetensors")
    quick = dataclasses.replace(TINY, quick_gelu=True)
    tower = text.published(tmp_path / "clip.safetensors", quick)
    assert not np.allclose(tower.embed(NAMES), _theirs(clip), atol=1e-6)
    other = _clip(quick_gelu=True)
    other.load_state_dict(clip.state_dict())
    np.testing.assert_allclose(tower.embed(NAMES), _theirs(other), rtol=1e-5, atol=1e-6)


def test_many_names_are_embedded_like_few(clip, tmp_path):
    save_file(clip.state_dict(), tmp_path / "clip.safetensors")
    tower, names = text.published(tmp_path / "clip.safetensors", TINY), [f"a{k}" for k in range(70)]
    np.testing.assert_allclose(tower.embed(names)[66:], tower.embed(names[66:]), atol=1e-5)


def test_weights_are_stored_like_a_frame_encoders(tmp_path):
    from vidtag_ml.encoders import catalog

    torch.manual_seed(0)
    tower = TextTower(TINY).eval()
    catalog.store(tmp_path, "names", TINY, tower.network)
    loaded = text.load(tmp_path, "names")
    assert loaded.spec == TINY
    np.testing.assert_allclose(loaded.embed(NAMES), tower.embed(NAMES), atol=3e-2)


def test_nothing_is_built_of_the_vision_tower():
    tower = TextTower(TINY)
    assert not any("visual" in name for name, _ in tower.named_parameters())


@pytest.mark.parametrize("name", ["names.json", "names.safetensors"])
def test_absent_files_are_named_with_what_to_do(tmp_path, name):
    if name != "names.json":
        TINY.write(tmp_path / "names.json")
    with pytest.raises(ValueError, match=rf"{name}: no such file.*seeded"):
        text.load(tmp_path, "names")


def test_weights_of_another_tower_are_refused(clip, tmp_path):
    save_file(clip.state_dict(), tmp_path / "clip.safetensors")
    with pytest.raises(ValueError, match=r"clip\.safetensors: not the text tower wanted"):
        text.published(tmp_path / "clip.safetensors", dataclasses.replace(TINY, layers=1))


def test_a_broken_specification_names_its_file(tmp_path):
    (tmp_path / "names.json").write_text("{")
    with pytest.raises(ValueError, match=r"names\.json"):
        text.TextSpec.read(tmp_path / "names.json")


def test_the_default_tower_is_clips():
    import open_clip

    known = open_clip.get_model_config("ViT-B-32-quickgelu")
    ours = config.as_dict(CLIP_VIT_B32)
    assert (ours.pop("dim"), ours.pop("quick_gelu")) == (known["embed_dim"], known["quick_gelu"])
    assert ours == known["text_cfg"]


def test_targets_are_means_of_unit_vectors_of_the_names():
    spoken = [[name.replace("_", " ") for name in place] for place in PLACES]
    wanted = [
        np.mean([v / np.linalg.norm(v) for v in map(np.ravel, _embed(row))], 0) for row in spoken
    ]
    np.testing.assert_allclose(text.targets(PLACES, _embed), wanted, rtol=1e-6)


def test_each_name_is_embedded_once_with_spaces_for_underscores():
    asked = []

    def embed(names):
        asked.extend(names)
        return _embed(names)

    text.targets(PLACES, embed)
    assert sorted(asked) == ["Abu Dhabi", "Asia", "Japan", "Kyoto", "Kyoto Prefecture", "UAE"]


def test_targets_of_cities_alone_are_their_unit_vectors():
    seeded = functools.partial(text.seeded, seed=3)
    cities = text.targets(PLACES, seeded, ("city",))
    np.testing.assert_allclose(cities, seeded(["Abu Dhabi", "Kyoto"]), rtol=1e-6)
    assert (cities.shape, cities.dtype) == ((2, 512), np.float32)


@pytest.mark.parametrize(
    ("embed", "levels"),
    [
        (_embed, ("town",)),
        (_embed, ()),
        (lambda names: _embed(names)[:-1], ("city",)),
        (lambda names: _embed(names) * 0, ("city",)),
        (lambda names: _embed(names) * np.nan, ("city",)),
    ],
)
def test_levels_and_vectors_that_make_no_target_are_refused(embed, levels):
    with pytest.raises(ValueError, match=r"levels are|names do not have"):
        text.targets(PLACES, embed, levels)


def test_stand_ins_are_nearly_orthogonal_unit_vectors():
    vectors = text.seeded([f"city {k}" for k in range(60)], seed=0)
    cosines = vectors @ vectors.T
    np.testing.assert_allclose(cosines.diagonal(), 1, rtol=1e-5)
    assert np.abs(cosines - np.eye(60)).max() < 0.25


def test_stand_ins_follow_from_name_and_seed_alone():
    there, back = text.seeded(NAMES, 1), text.seeded(NAMES[::-1], 1)
    np.testing.assert_array_equal(there, back[::-1])
    assert not np.allclose(there, text.seeded(NAMES, 2))
    signs = "".join("+" if x > 0 else "-" for x in text.seeded(["Kyoto"], 0, 12)[0])
    assert signs == "++++++-++++-"
