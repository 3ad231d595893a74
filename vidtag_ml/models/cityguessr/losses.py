"""What CityGuessr minimises (docs/specs/cityguessr.md, section 4).

Belongs here: functions of tensors. Shape legend: B clips, K classes of a level, S scenes, E text,
4 = city, state, country, continent.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional


def hierarchical(logits: Sequence[Tensor], ids_B4: Tensor) -> Tensor:
    """Sum over levels of the mean cross-entropy (docs/specs/cityguessr.md, section 4, L_geo).

    Args:
        logits: scores (B, K) of each level, city first.
        ids_B4: true classes; -1 = unknown, which counts nothing. A level with no known class adds
            0.
    """
    total = logits[0].new_zeros(())
    for logits_BK, ids_B in zip(logits, ids_B4.unbind(1), strict=True):
        summed = functional.cross_entropy(logits_BK, ids_B, ignore_index=-1, reduction="sum")
        total = total + summed / (ids_B != -1).sum().clamp(min=1)
    return total


def soft_labels(scene_BS: Tensor, target_BS: Tensor) -> Tensor:
    """Mean cross-entropy of logits to probabilities.

    See docs/specs/cityguessr.md, section 4, L_scene.
    """
    return functional.cross_entropy(scene_BS, target_BS.to(scene_BS.dtype))


def text_alignment(text_BE: Tensor, target_BE: Tensor) -> Tensor:
    """Minus the mean cosine between answers and targets.

    See docs/specs/cityguessr.md, section 4, L_TLA.

    Published as a sum: times 12 it is what it was at the published batch of 12.
    """
    return -functional.cosine_similarity(text_BE, target_BE.to(text_BE.dtype), dim=-1).mean()
