"""Claims about Phase II: only the refiner learns, from precomputed embeddings."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.models import networks
from vidtag_ml.models.fit import fit
from vidtag_ml.models.gps_retrieval.contrastive import align, clip_data
from vidtag_ml.models.vidtag import losses as vidtag_losses
from vidtag_ml.models.vidtag.phase_two import PhaseTwo, embedded
from vidtag_ml.retrieval import embeddings, search


def noise_of(**changes):
    values = {"collapse_probability": 0.0, "collapse_after": False, "drift": False}
    return config.Noise(
        **{
            **values,
            "clean_probability": 0.0,
            "jitter_deg": (0.1, 2.0),
            "shift_deg": 2.0,
            "predicted_probability": 0.0,
            "wander_km": 0.0,
            "wander_memory": 0.9,
            "swap_probability": 0.0,
            **changes,
        }
    )


@pytest.fixture
def model(sizes):
    torch.manual_seed(0)
    return networks.build("vidtag", sizes, {"clip": 10, "dino": 6}).eval()


@pytest.fixture
def module_of(model, phase_one, phase_two, train, points):
    """A PhaseTwo and its data, with changed settings."""

    def module_of(**changes):
        settings = replace(phase_two, **changes)
        gallery_GE = embeddings.embed_gallery(model, points.latlon_G2)
        frames = embedded(model, train, gallery_GE, 4)
        data = clip_data(frames, frames, settings)
        points_G2 = torch.from_numpy(points.latlon_G2)
        steps = data.steps_per_epoch
        return PhaseTwo(model, settings, phase_one, points_G2, gallery_GE, steps), data

    return module_of


def test_clips_are_embedded_as_if_each_were_alone(model, train, points):
    gallery_GE = embeddings.embed_gallery(model, points.latlon_G2)
    frames = embedded(model, train, gallery_GE, 4)
    for first, num in zip(train.first_C, train.num_C, strict=True):
        part = slice(first, first + num)
        features, time = train.features_FD[None, part], train.time_F[None, part]
        with torch.no_grad():
            alone = model.embed_frames(features, torch.ones(1, num, dtype=torch.bool), time)[0]
        assert torch.allclose(frames.features_FD[part], alone, atol=1e-5)
        nearest = search.search(alone, gallery_GE, 1)[1][:, 0]
        assert torch.equal(frames.predicted_FE[part], gallery_GE[nearest])


def test_true_positions_are_embedded_in_place(model, train, points):
    frames = embedded(model, train, embeddings.embed_gallery(model, points.latlon_G2), 4)
    with torch.no_grad():
        expected = model.embed_locations(train.latlon_F2)
    assert torch.allclose(frames.truth_FE, expected.float(), atol=1e-5)


@pytest.mark.parametrize("loss", ["identity", "kernel", "retrieval"])
def test_only_the_refiner_learns(loss, module_of, phase_two, tmp_path):
    module, data = module_of(loss=loss)
    before = {k: v.clone() for k, v in module.model.state_dict().items()}
    fit(module, data, replace(phase_two, epochs=60), tmp_path, progress=False)
    moved = {k for k, v in module.model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved
    assert all(name.startswith("refiner.") for name in moved)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_frames_and_predictions_wander_alike(module_of):
    module, data = module_of(noise=noise_of(wander_km=300.0, predicted_probability=1.0))
    batch = next(iter(data.train_dataloader()))
    misled = module._misled(batch, seeded(0))
    moved = vidtag_losses.wander(batch.latlon_BT2, batch.valid_BT, module.settings.noise, seeded(0))
    apart = module._embedded(moved) - module._embedded(batch.latlon_BT2)
    for name in ("features_BTD", "predicted_BTE"):
        wanted = torch.nn.functional.normalize(getattr(batch, name) + apart, dim=-1)
        assert torch.allclose(getattr(misled, name)[batch.valid_BT], wanted[batch.valid_BT])
    assert misled.truth_BTE is batch.truth_BTE


def test_swapped_frames_keep_their_predictions(module_of):
    module, data = module_of(noise=noise_of(swap_probability=1.0))
    batch = next(iter(data.train_dataloader()))
    misled = module._misled(batch, seeded(0))
    rows = vidtag_losses.swap(batch.valid_BT, 1.0, seeded(0))
    assert not torch.equal(rows, vidtag_losses.swap(batch.valid_BT, 0.0, seeded(0)))
    for name in ("features_BTD", "predicted_BTE"):
        assert torch.equal(getattr(misled, name), getattr(batch, name).flatten(0, 1)[rows])


def test_nothing_misleads_where_no_noise_asks_for_it(module_of):
    module, data = module_of()
    batch = next(iter(data.train_dataloader()))
    misled = module._misled(batch, seeded(0))
    assert misled.features_BTD is batch.features_BTD
    assert misled.predicted_BTE is batch.predicted_BTE


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_queries_are_predicted_or_corrupted_tracks(probability, module_of):
    noise = noise_of(predicted_probability=probability)
    module, data = module_of(noise=noise)
    batch = next(iter(data.train_dataloader()))
    queries = module._queries(batch, batch.generator())
    same = (queries == batch.predicted_BTE).all(-1)
    assert same[batch.valid_BT].all() == bool(probability)
    assert torch.allclose(queries.norm(dim=-1), torch.ones(same.shape), atol=1e-5)


def test_half_of_the_clips_get_predicted_queries(module_of):
    module, data = module_of()
    batch = next(iter(data.train_dataloader()))
    counts = [
        (module._queries(batch, seeded(seed)) == batch.predicted_BTE).all(-1).all(-1).sum()
        for seed in range(100)
    ]
    assert 1.5 < np.mean(counts) < 2.5


def test_noise_and_dropout_follow_from_the_batch_alone(module_of):
    module, data = module_of()
    batch = next(iter(data.train_dataloader()))
    first = module.training_step(batch, 0).item()
    torch.rand(3)
    assert module.training_step(batch, 0).item() == first
    assert module.training_step(replace(batch, seed=batch.seed + 1), 0).item() != first


@pytest.mark.parametrize("loss", ["identity", "kernel", "retrieval"])
def test_refined_tracks_are_nearer_to_the_truth_than_their_queries(
    loss, model, thorough, module_of, phase_two, train, points, tmp_path
):
    align(model, thorough, train, train, points, tmp_path / "first", progress=False)
    noise = noise_of(jitter_deg=(1.0, 8.0), shift_deg=8.0)
    module, data = module_of(loss=loss, noise=noise, decay=0.98, off_diagonal_weight=0.1)
    fit(module, data, replace(phase_two, epochs=60), tmp_path, progress=False)
    frames, model = data.train.frames, module.model.eval()
    batch = frames.batch(*frames.whole(np.arange(9)), seed=99)
    wrong = vidtag_losses.corrupt(batch.latlon_BT2, batch.valid_BT, noise, batch.generator())
    with torch.no_grad():
        queries = model.embed_locations(wrong.flatten(0, 1).float()).view(*wrong.shape[:2], -1)
        refined = model.refine(queries, batch.features_BTD, batch.valid_BT, batch.time_BT)
    closeness = [(e * batch.truth_BTE).sum(-1)[batch.valid_BT].mean() for e in (queries, refined)]
    assert closeness[1] > closeness[0] + 0.01


def test_each_loss_is_another(module_of):
    values = []
    for loss in ("identity", "kernel", "retrieval"):
        module, data = module_of(loss=loss)
        values.append(module.training_step(next(iter(data.train_dataloader())), 0).item())
    assert np.abs(np.diff(sorted(values))).min() > 1e-3
