"""Claims about cross-fitting: each train clip is embedded by a model that did not learn from it."""

import shutil
from dataclasses import replace

import pytest
import torch

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.features.batches import Frames
from vidtag_ml.models import networks
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.vidtag import cross_fit, phase_two, stages
from vidtag_ml.retrieval import embeddings
from vidtag_ml.workflow import layout, stage


@pytest.fixture(scope="session")
def fitted(made, tmp_path_factory):
    """A workspace with a Phase II whose frames come from two parts, and its params."""
    root = shutil.copytree(made, tmp_path_factory.mktemp("cross") / "fit")
    params = config.load(root / "params.yaml")
    params = replace(params, phase_two=replace(params.phase_two, cross_fit_parts=2))
    assert stages.phase_two(root, params)
    return root, params


def held(tables, part, num_parts):
    clips = cross_fit.without(tables, part, num_parts).clips
    return set(clips.loc[clips["split"] == cross_fit.HELD, "clip_id"])


def test_each_train_clip_is_held_once_with_all_of_its_group(made, params):
    tables = clip_tables.read(layout.of(made, params).dataset)
    parts = [held(tables, k, 3) for k in range(3)]
    train = tables.clips[tables.clips["split"] == "train"]
    assert sorted(clip for part in parts for clip in part) == sorted(train["clip_id"])
    part_of = {clip: k for k, part in enumerate(parts) for clip in part}
    assert (train["clip_id"].map(part_of).groupby(train["group_id"]).nunique() == 1).all()


def test_more_parts_than_groups_are_refused(made, params):
    tables = clip_tables.read(layout.of(made, params).dataset)
    with pytest.raises(ValueError, match="choose fewer parts"):
        cross_fit.without(tables, 0, 1_000)


def seen_by_part(root, params, part):
    """Frames of a part by its own model, and the gallery by it."""
    store, tables, points = gps_stages.training_data(layout.of(root, params))
    model = networks.load(layout.of(root, params).phase_one_part(part))
    held = cross_fit.without(tables, part, 2)
    frames = Frames.load(store, held, cross_fit.HELD, params.clips.max_gap_s)
    own_GE = embeddings.embed_gallery(model, points.latlon_G2)
    return phase_two.embedded(model, frames, own_GE, 4), own_GE


def test_frames_are_embedded_by_the_model_that_did_not_learn_from_them(fitted):
    root, params = fitted
    at = layout.of(root, params)
    store, tables, points = gps_stages.training_data(at)
    whole = networks.load(at.model("phase_one"))
    gallery_GE = embeddings.embed_gallery(whole, points.latlon_G2)
    folders = [at.phase_one_part(k) for k in range(2)]
    seen = phase_two.out_of_part(params, store, tables, points, whole, gallery_GE, folders)
    alone, own_GE = seen_by_part(root, params, 1)
    last = slice(-len(alone.features_FD), None)
    assert torch.equal(seen.latlon_F2[last], alone.latlon_F2)
    similar = seen.features_FD[last] @ seen.predicted_FE[last].T
    assert torch.allclose(similar, alone.features_FD @ alone.predicted_FE.T, atol=1e-5)
    assert seen.num_C.sum() == len(seen.features_FD)
    truth = embeddings.embed_gallery(whole, alone.latlon_F2.numpy())
    assert torch.equal(seen.truth_FE[last], truth)
    turned = cross_fit.turned(alone, own_GE, gallery_GE)
    assert torch.equal(turned.features_FD, seen.features_FD[last])
    assert not torch.equal(turned.features_FD, alone.features_FD)


def test_frames_are_turned_as_the_galleries_are(fitted):
    frames, own_GE = seen_by_part(*fitted, 0)
    random, _ = torch.linalg.qr(torch.randn(2 * own_GE.shape[1:], generator=seeded()))
    turned = cross_fit.turned(frames, own_GE, own_GE @ random)
    for name in ("features_FD", "predicted_FE"):
        wanted = getattr(frames, name) @ random
        assert torch.allclose(getattr(turned, name), wanted, atol=1e-3)


def seeded():
    return torch.Generator().manual_seed(0)


def test_parts_are_made_once_and_decide_about_the_refiner(fitted, made):
    root, params = fitted
    assert not stages.phase_two(root, params)
    at = layout.of(root, params)
    refiners = [networks.load(layout.of(r, params).model("vidtag")).refiner for r in (root, made)]
    assert not torch.equal(*(refiner.memory_norm.weight for refiner in refiners))
    (at.phase_one_part(1) / "model.safetensors").unlink()
    assert not stages.phase_two(root, params)  # the refiner has all that it needs of it
    stages.phase_one_part(root, params, 1)
    assert (at.phase_one_part(1) / "model.safetensors").is_file()


def test_whether_phase_two_is_due_is_known_before_its_parts_are_made(made, tmp_path, params):
    root = shutil.copytree(made, tmp_path / "copy")
    params = replace(params, phase_two=replace(params.phase_two, cross_fit_parts=2))
    with stage.looking():
        assert stages.phase_two(root, params)
    assert not layout.of(root, params).phase_one_part(0).exists()


def test_a_single_part_is_refused(params):
    with pytest.raises(ValueError, match="2 is the least"):
        replace(params.phase_two, cross_fit_parts=1)
