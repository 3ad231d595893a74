"""Claims about the losses of cross-view training, against loops."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from vidtag_ml.models.gama import losses as gama_losses


def pairs(num=5, width=6):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, num, width, generator=generator, dtype=torch.float64)
    return functional.normalize(drawn, dim=-1)


@pytest.mark.parametrize(("base", "wanted"), [(0.1, 2.7236e-4), (0.07, 3.8909e-4)])
def test_nt_xent_has_its_toy_values(base, wanted):
    unit = torch.eye(4, dtype=torch.float64)
    assert gama_losses.nt_xent(unit, unit, 0.1, base).item() == pytest.approx(wanted, rel=2e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_nt_xent_is_the_mean_over_clips_and_tiles(temperature):
    clips, tiles = pairs()
    both = np.concatenate([clips, tiles])
    total = 0.0
    for i, anchor in enumerate(both):
        scores = [math.exp(anchor @ other / temperature) for other in both]
        total -= math.log(scores[(i + 5) % 10] / (sum(scores) - scores[i]))
    ours = gama_losses.nt_xent(clips, tiles, temperature, temperature).item()
    assert ours == pytest.approx(total / 10)


def test_nt_xent_does_not_care_which_side_is_which():
    clips, tiles = pairs()
    torch.testing.assert_close(gama_losses.nt_xent(clips, tiles), gama_losses.nt_xent(tiles, clips))


def test_a_pair_alone_costs_nothing():
    clips, tiles = pairs(1)
    assert gama_losses.nt_xent(clips, tiles).item() == 0.0


@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_triplet_takes_the_hardest_partner_in_both_directions(margin):
    clips, tiles = (side.numpy() for side in pairs())
    total = 0.0
    for ours, theirs in ((clips, tiles), (tiles, clips)):
        for i in range(5):
            apart = [((ours[i] - other) ** 2).sum() for other in theirs]
            hardest = min(apart[j] for j in range(5) if j != i)
            total += max(0.0, apart[i] - hardest + margin)
    ours = gama_losses.triplet(*pairs(), margin).item()
    assert ours == pytest.approx(total / 10)


def test_triplet_is_over_when_all_are_apart_by_the_margin():
    assert gama_losses.triplet(torch.eye(3), torch.eye(3)).item() == 0.0
    assert gama_losses.triplet(torch.ones(3, 1), torch.ones(3, 1)).item() == pytest.approx(0.2)


def test_triplet_needs_a_wrong_partner():
    with pytest.raises(ValueError, match="the batch has 1 pair"):
        gama_losses.triplet(torch.eye(1), torch.eye(1))


@pytest.mark.parametrize("loss", [gama_losses.nt_xent, gama_losses.triplet])
def test_gradients_reach_both_sides_and_are_finite(loss):
    clips, tiles = (side.clone().requires_grad_() for side in pairs())
    loss(clips, tiles).backward()
    assert all(side.grad.isfinite().all() and side.grad.abs().sum() > 0 for side in (clips, tiles))
