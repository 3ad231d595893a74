import numpy as np
import pytest
import torch
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.models.cityguessr import losses as cityguessr_losses
from vidtag_ml.models.gps_retrieval import losses
from vidtag_ml.models.vidtag import losses as vidtag_losses

S = torch.tensor([[0.9, 0.1, 0.2], [0.0, 0.8, 0.3], [0.1, 0.2, 0.7]])
ALL = torch.ones(3, 3, dtype=torch.bool)
WEIGHTS = {"off_diagonal_weight": 10.0, "diagonal_weight": 1.0}
SCALE = torch.tensor(14.0)


def _noise(**changed):
    values = {"collapse_probability": 0.0, "jitter_deg": (0.001, 0.02), "shift_deg": 0.2}
    chances = {"clean_probability": 0.0, "predicted_probability": 0.0}
    kinds = {"collapse_after": False, "drift": False}
    kinds |= {"wander_km": 0.0, "wander_memory": 0.9, "swap_probability": 0.0}
    return config.Noise(**{**values, **chances, **kinds, **changed})


def _unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def _corrupt(latlon, valid=None, seed=0, **noise):
    valid = torch.ones(latlon.shape[:2], dtype=torch.bool) if valid is None else valid
    return vidtag_losses.corrupt(
        latlon, valid, _noise(**noise), torch.Generator().manual_seed(seed)
    )


def _identity(*parts, same_place_km=0.001, **more):
    more |= {"same_place_km": same_place_km, **WEIGHTS}
    return vidtag_losses.similarities(*parts, "identity", **more)


def _kernel(*parts):
    return vidtag_losses.similarities(*parts, "kernel", **WEIGHTS, same_place_km=0.001)


@pytest.mark.parametrize(
    ("similarity", "wanted"), [(S, 0.68), (torch.eye(3), 0.0), (torch.ones(3, 3), 20.0)]
)
def test_the_identity_loss_has_its_toy_values(similarity, wanted):
    loss = vidtag_losses.weighted((similarity - torch.eye(3)).square(), ALL, 10.0, 1.0)
    assert loss.item() == pytest.approx(wanted, abs=1e-6)


def test_pairs_at_the_same_place_do_not_count():
    kept = ALL.clone()
    kept[0, 2] = kept[2, 0] = False
    loss = vidtag_losses.weighted((S - torch.eye(3)).square(), kept, 10.0, 1.0)
    upper, lower = (0.01 + 0.09) / 2, (0.0 + 0.04) / 2
    assert loss.item() == pytest.approx(10 * (upper + lower) + 0.14 / 3, abs=1e-6)


def _identity_by_loops(refined, true, valid):
    rows = [(b, t) for b, t in np.ndindex(*valid.shape) if valid[b, t]]
    frames = [[float(refined[i] @ true[j]) for j in rows] for i in rows]
    means = [
        [functional.normalize(x[b][valid[b]].sum(0), dim=0) for b in range(len(valid))]
        for x in (refined, true)
    ]
    videos = [[float(r @ t) for t in means[1]] for r in means[0]]
    total = 0.0
    for matrix in (np.array(frames), np.array(videos)):
        error = (matrix - np.eye(len(matrix))) ** 2
        upper, lower = np.triu_indices(len(matrix), 1), np.tril_indices(len(matrix), -1)
        total += 10 * (error[upper].mean() + error[lower].mean()) + np.diag(error).mean()
    return total


def test_the_identity_loss_sums_frames_and_videos_over_real_frames():
    refined, true = _unit(3, 4, 8), _unit(3, 4, 8, seed=1)
    valid = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
    latlon = torch.rand(3, 4, 2) * 80
    latlon[~valid] = torch.nan
    loss = _identity(refined, true, latlon, valid)
    assert loss.item() == pytest.approx(_identity_by_loops(refined, true, valid), rel=1e-5)


def test_frames_of_a_parked_car_are_not_driven_apart():
    latlon = torch.tensor([[[48.85, 2.35]] * 3, [[51.5, -0.12]] * 3])
    valid, here = torch.ones(2, 3, dtype=torch.bool), torch.eye(8)[:2, None].expand(2, 3, 8)
    parked = _identity(here, here, latlon, valid)
    printed = _identity(here, here, latlon, valid, same_place_km=0.0)
    assert parked.item() == pytest.approx(0)
    assert printed.item() > 1


def test_the_kernel_wants_the_truth_and_the_identity_something_else():
    """True embeddings that are alike, as of places: the identity's optimum lies elsewhere."""
    alike = functional.normalize(_unit(1, 6, 8) + 0.5 * _unit(1, 1, 8, seed=1), dim=-1)
    latlon, valid = torch.rand(1, 6, 2) * 80, torch.ones(1, 6, dtype=torch.bool)
    for loss, harms in ((_kernel, False), (_identity, True)):
        moved = alike.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(moved, alike, latlon, valid), moved)
        assert (gradient.abs().max() > 0.1) == harms
        assert (loss(alike, alike, latlon, valid) > 0.1) == harms
    assert _kernel(_unit(1, 6, 8, seed=2), alike, latlon, valid) > 0.1


def test_same_place_tells_half_a_metre_from_two_metres():
    half, two = 0.5 / 111_195, 2 / 111_195
    for apart, wanted in ((half, 0.0), (two, 20.0)):
        latlon = torch.tensor([[[48.85, 2.35], [48.85 + apart, 2.35]]], dtype=torch.float64)
        valid, one = torch.ones(1, 2, dtype=torch.bool), torch.eye(8)[:1, None].expand(1, 2, 8)
        loss = _identity(one, one, latlon, valid)
        assert loss.item() == pytest.approx(wanted)


def test_distances_agree_with_geo():
    a, b = (np.random.default_rng(s).uniform((-90, -180), (90, 180), (20, 2)) for s in (0, 1))
    b[:3] = a[:3] + np.array([(0, 0), (0, 1e-4), (1, 0)])
    ours = losses.distance_km(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(
        ours, sphere.great_circle_km(a[:, None], b[None]), rtol=1e-3, atol=1e-3
    )


def test_contrastive_is_the_cross_entropy_of_each_frames_coordinate():
    frames, gps = _unit(6, 8), _unit(6, 8, seed=1)
    p = (SCALE * frames @ gps.T).softmax(-1)
    loss = losses.contrastive(frames, gps, SCALE)
    assert loss.item() == pytest.approx(-p.diagonal().log().mean().item(), rel=1e-5)


def test_symmetric_averages_both_directions():
    frames, gps = _unit(6, 8), _unit(6, 8, seed=1)
    there, back = losses.contrastive(frames, gps, SCALE), losses.contrastive(gps, frames, SCALE)
    both = losses.contrastive(frames, gps, SCALE, direction="symmetric")
    torch.testing.assert_close(both, (there + back) / 2)


def test_negatives_make_the_task_harder_and_get_gradients():
    frames, gps, others = _unit(6, 8), _unit(6, 8, seed=1), _unit(9, 8, seed=2).requires_grad_()
    loss = losses.contrastive(frames, gps, SCALE, negatives_ME=others)
    loss.backward()
    assert loss > losses.contrastive(frames, gps, SCALE)
    assert others.grad.abs().sum() > 0


@pytest.mark.parametrize("direction", ["frames_to_gps", "symmetric"])
def test_soft_targets_of_far_apart_places_are_one_hot(direction):
    frames, gps, others = _unit(3, 8), _unit(3, 8, seed=1), _unit(1, 8, seed=2)
    places = torch.tensor([(0.0, 0.0), (40, 90), (-50, -120), (80, 10)])
    distance = losses.distance_km(places[:3], places)
    given = {"negatives_ME": others, "direction": direction}
    soft = losses.contrastive(
        frames, gps, SCALE, **given, distance_NX=distance, soft_targets_km=60.0
    )
    torch.testing.assert_close(soft, losses.contrastive(frames, gps, SCALE, **given))


def test_soft_targets_forgive_a_near_miss():
    gps = torch.eye(3)
    places = torch.tensor([(0.0, 0.0), (0.1, 0.0), (60, 90)])
    soft = {"distance_NX": losses.distance_km(places, places), "soft_targets_km": 60.0}
    near_miss = losses.contrastive(gps[[1, 0, 2]], gps, SCALE, **soft)
    far_miss = losses.contrastive(gps[[2, 1, 0]], gps, SCALE, **soft)
    assert near_miss < far_miss / 1.2


def test_soft_targets_need_distances():
    with pytest.raises(ValueError, match="both or none"):
        losses.contrastive(_unit(2, 4), _unit(2, 4), SCALE, soft_targets_km=60.0)


def test_jitter_has_the_magnitude_asked_for_and_both_signs():
    latlon = torch.zeros(50, 16, 2)
    offset = _corrupt(latlon, shift_deg=0.0)
    assert offset.abs().min() >= 0.001 - 1e-6
    assert offset.abs().max() <= 0.02 + 1e-6
    assert 0.4 < (offset > 0).float().mean() < 0.6


def test_shift_moves_a_whole_sequence():
    latlon = torch.rand(200, 4, 2)
    offset = _corrupt(latlon, jitter_deg=(0.0, 0.0)) - latlon
    torch.testing.assert_close(offset, offset[:, :1].expand_as(offset), atol=1e-5, rtol=0)
    assert 0.15 < offset.abs().max() <= 0.2 + 1e-5


def test_collapse_puts_all_frames_on_one_of_the_real_ones():
    latlon = torch.rand(300, 4, 2)
    valid = torch.tensor([True, True, False, True]).expand(300, -1)
    wrong = _corrupt(latlon, valid, collapse_probability=1.0)
    which = (wrong[:, :1] == latlon).all(-1)
    assert (which.sum(1) == 1).all()
    assert which.sum(0).tolist()[2] == 0
    assert (which.sum(0)[[0, 1, 3]] > 70).all()
    assert (wrong[:, 2] == 0).all()


def test_collapse_happens_as_often_as_asked():
    wrong = _corrupt(torch.zeros(4000, 2, 2), collapse_probability=0.1)
    share = (wrong == 0).all(-1).all(-1).float().mean()
    assert share.item() == pytest.approx(0.1, abs=0.02)


def test_corrupted_tracks_stay_on_the_globe():
    latlon = torch.tensor([[[89.95, 179.95], [-89.95, -179.95]]]).expand(100, -1, -1)
    wrong = _corrupt(latlon)
    assert wrong[..., 0].abs().max() <= 90
    assert -180 <= wrong[..., 1].min() <= wrong[..., 1].max() < 180


def test_the_same_generator_gives_the_same_noise():
    latlon = torch.rand(3, 4, 2, dtype=torch.float64)
    assert torch.equal(_corrupt(latlon), _corrupt(latlon))
    assert not torch.equal(_corrupt(latlon), _corrupt(latlon, seed=1))


def test_a_track_may_collapse_after_it_was_moved():
    latlon = torch.rand(50, 4, 2)
    wrong = _corrupt(latlon, collapse_probability=1.0, collapse_after=True)
    assert torch.equal(wrong, wrong[:, :1].expand_as(wrong))
    assert not (wrong[:, :1] == latlon).all(-1).any()


def test_drift_grows_from_nothing_to_the_shift():
    latlon, valid = torch.zeros(20, 5, 2), torch.ones(20, 5, dtype=torch.bool)
    valid[:, 4] = False
    offset = _corrupt(latlon, valid, jitter_deg=(0.0, 0.0), drift=True)
    assert (offset[:, 0] == 0).all()
    torch.testing.assert_close(offset[:, 1], offset[:, 3] / 3)
    assert offset[:, 3].abs().max() > 0.15


def test_clean_tracks_are_left_as_they_are():
    latlon = torch.rand(1000, 3, 2)
    same = (_corrupt(latlon, clean_probability=0.25) == latlon).all(-1).all(-1)
    assert same.float().mean().item() == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("lat", [0.0, 60.0, 89.99])
def test_jitter_is_given_in_metres_at_every_latitude(lat):
    points = torch.tensor([[lat, 179.9999]], dtype=torch.float64).expand(4000, 2)
    moved = losses.jitter(points, 150.0, torch.Generator().manual_seed(0))
    apart = sphere.great_circle_km(points.numpy(), moved.numpy())
    assert np.sqrt((apart**2).mean() / 2) == pytest.approx(0.150, rel=0.05 if lat < 89 else 0.5)
    assert moved[:, 1].min() < 0 < moved[:, 1].max()


def test_masked_coordinates_are_as_if_they_were_not_there():
    frames, gps, others = _unit(6, 8), _unit(6, 8, seed=1), _unit(2, 8, seed=2)
    masked = torch.zeros(6, 8, dtype=torch.bool)
    masked[:, 6:] = True
    loss = losses.contrastive(frames, gps, SCALE, negatives_ME=others, masked_NX=masked)
    torch.testing.assert_close(loss, losses.contrastive(frames, gps, SCALE))


def test_videos_may_be_concatenations_of_their_frames():
    refined, true = _unit(3, 4, 8), _unit(3, 4, 8, seed=1)
    valid, latlon = torch.ones(3, 4, dtype=torch.bool), torch.rand(3, 4, 2) * 80
    both = [
        _identity(refined, true, latlon, valid, video_unit=unit)
        for unit in ("mean", "concatenation")
    ]
    means, rows = (x.mean(1) / x.mean(1).norm(dim=-1, keepdim=True) for x in (refined, true))
    flat = refined.flatten(1) @ true.flatten(1).T / 4
    errors = [(s - torch.eye(3)).square() for s in (means @ rows.T, flat)]
    parts = [vidtag_losses.weighted(error, ALL, 10.0, 1.0) for error in errors]
    torch.testing.assert_close(both[0] - both[1], parts[0] - parts[1])


def test_centroids_agree_with_geo():
    latlon = torch.tensor([[(10.0, 179.0), (12.0, -179.0), (0.0, 0.0)]], dtype=torch.float64)
    valid = torch.tensor([[True, True, False]])
    wanted = sphere.centroid(latlon[0, :2].numpy())
    assert losses.centroid(latlon, valid)[0].tolist() == pytest.approx(wanted.tolist())


def _logits(*shape, seed=0):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _log_softmax(logits):
    exact = logits.detach().double().numpy()
    return exact - np.log(np.exp(exact).sum(-1, keepdims=True))


def test_the_hierarchical_loss_sums_the_mean_cross_entropy_of_known_classes():
    logits = [_logits(4, num, seed=num) for num in (7, 5, 3, 2)]
    ids = np.array([[6, 4, 2, 1], [-1, 0, 0, 0], [3, -1, -1, 1], [-1, 1, -1, 0]])
    wanted = 0.0
    for level, scores in enumerate(logits):
        known = np.flatnonzero(ids[:, level] >= 0)
        wanted -= _log_softmax(scores)[known, ids[known, level]].mean()
    loss = cityguessr_losses.hierarchical(logits, torch.from_numpy(ids))
    assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_a_level_without_a_known_class_counts_nothing():
    logits = [_logits(2, 3, seed=k).requires_grad_() for k in range(4)]
    loss = cityguessr_losses.hierarchical(logits, torch.tensor([[-1, 0, 1, 2], [-1, 1, 1, -1]]))
    without = cityguessr_losses.hierarchical(logits[1:], torch.tensor([[0, 1, 2], [1, 1, -1]]))
    loss.backward()
    torch.testing.assert_close(loss, without)
    assert [bool(level.grad.any()) for level in logits] == [False, True, True, True]
    assert not logits[3].grad[1].any()


def test_levels_and_classes_must_be_equally_many():
    with pytest.raises(ValueError, match="zip"):
        cityguessr_losses.hierarchical([_logits(2, 3)], torch.zeros(2, 4, dtype=torch.long))


def test_soft_labels_are_compared_by_cross_entropy():
    scores, target = _logits(5, 16), _logits(5, 16, seed=1).double().softmax(-1)
    wanted = -(target.numpy() * _log_softmax(scores)).sum(1).mean()
    assert cityguessr_losses.soft_labels(scores, target).item() == pytest.approx(wanted, rel=1e-5)


def test_text_alignment_is_minus_the_mean_cosine():
    ours, target = _logits(5, 8), _logits(5, 8, seed=1)
    a, b = ours.double().numpy(), target.double().numpy()
    wanted = np.mean(
        [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)]
    )
    assert cityguessr_losses.text_alignment(ours, target).item() == pytest.approx(-wanted, rel=1e-5)
    assert cityguessr_losses.text_alignment(3 * target, target).item() == pytest.approx(-1)


def test_an_error_that_wanders_is_as_large_everywhere_and_remembers():
    track = torch.tensor([60.0, 179.9], dtype=torch.float64).expand(4_000, 8, 2)
    valid = torch.ones(4_000, 8, dtype=torch.bool)
    valid[0, 5:] = False
    noise = _noise(wander_km=50.0, wander_memory=0.8)
    moved = vidtag_losses.wander(track, valid, noise, torch.Generator().manual_seed(0))
    assert (moved[0, 5:] == 0).all()
    north = (moved[1:, :, 0] - 60.0) * sphere.KM_PER_DEGREE
    east = (moved[1:, :, 1] - 179.9 + 180) % 360 - 180
    east = east * sphere.KM_PER_DEGREE / 2
    for error in (north, east):
        assert error.std(0).numpy() == pytest.approx(50.0, rel=0.05)
        pair = np.corrcoef(error[:, 3], error[:, 4])[0, 1]
        assert pair == pytest.approx(0.8, abs=0.03)


def test_as_many_real_frames_are_swapped_as_asked():
    valid = torch.rand(50, 40, generator=torch.Generator().manual_seed(1)) < 0.7
    rows = vidtag_losses.swap(valid, 0.06, torch.Generator().manual_seed(0))
    own = torch.arange(2_000).view(50, 40)
    assert ((rows != own)[valid]).float().mean() == pytest.approx(0.06, abs=0.02)
    assert torch.equal(rows[~valid], own[~valid])
    assert valid.flatten()[rows[valid]].all()
