"""What GAMa minimises (docs/specs/gama.md, section 4).

Belongs here: functions of tensors. Shape legend: B clips, X clips and tiles, E embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(
    clips_BE: Tensor, tiles_BE: Tensor, temperature: float = 0.1, base_temperature: float = 0.07
) -> Tensor:
    """Cross-entropy of finding each clip's tile and each tile's clip.

    See docs/specs/gama.md, section 4.

    All other clips and tiles of the batch stand to choice. As in the reference code, the positive
    stays in the denominator, where the paper's Eq. 1 leaves it out, and the mean over all 2 B
    anchors is multiplied by temperature / base_temperature.

    Args:
        clips_BE: unit vectors of clips.
        tiles_BE: unit vectors of their tiles, row for row.
        temperature: what similarities are divided by.
        base_temperature: scales the loss; equal to `temperature`, it is the plain cross-entropy.

    >>> round(float(nt_xent(torch.eye(4).double(), torch.eye(4).double())), 8)
    0.00038909
    """
    both_XE = torch.cat([clips_BE, tiles_BE])
    num = len(both_XE)
    itself_XX = torch.eye(num, dtype=torch.bool, device=both_XE.device)
    logits_XX = (both_XE @ both_XE.T / temperature).masked_fill(itself_XX, -torch.inf)
    partner_X = torch.arange(num, device=both_XE.device).roll(num // 2)
    return functional.cross_entropy(logits_XX, partner_X) * (temperature / base_temperature)


def triplet(clips_BE: Tensor, tiles_BE: Tensor, margin: float = 0.2) -> Tensor:
    """How much nearer than by a margin the hardest wrong partner is.

    See docs/specs/gama.md, section 4, baseline.

    Squared distances of unit vectors; the mean over both directions, each clip with the nearest
    wrong tile of the batch and each tile with the nearest wrong clip.

    Raises:
        ValueError: a batch of one pair has no wrong partner.
    """
    if len(clips_BE) < 2:
        raise ValueError(f"a triplet needs a wrong partner, but the batch has {len(clips_BE)} pair")
    apart_BB = 2 - 2 * clips_BE @ tiles_BE.T
    right_BB = torch.eye(len(clips_BE), dtype=torch.bool, device=clips_BE.device)
    wrong_BB = apart_BB.masked_fill(right_BB, torch.inf)
    own_B = apart_BB.diagonal()
    hinges = [functional.relu(own_B - wrong_BB.amin(axis) + margin) for axis in (0, 1)]
    return torch.cat(hinges).mean()
