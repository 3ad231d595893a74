"""Long clips in parts that a model may see at once, windows or combs, and each frame once.

Belongs here: which frames a part has and how the parts' results are joined. Does not belong here:
what is computed in a part. Shape legend: T frames, X anything.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor


def windows(num_frames: int, limit: int) -> list[tuple[slice, slice]]:
    """(frames read, frames kept) of windows of at most `limit` frames that overlap by half.

    Every frame is kept once, from the window in whose middle it lies.

    >>> [(read.start, read.stop, kept.start, kept.stop) for read, kept in windows(7, 4)]
    [(0, 4, 0, 3), (2, 6, 3, 4), (3, 7, 4, 7)]
    """
    last = max(0, num_frames - limit)
    starts = [*range(0, last, max(1, limit // 2)), last]
    edges = [0, *((late + early + limit) // 2 for early, late in pairwise(starts)), num_frames]
    return [
        (slice(start, min(start + limit, num_frames)), slice(first, stop))
        for start, (first, stop) in zip(starts, pairwise(edges), strict=True)
    ]


def in_windows(
    embed: Callable[..., Tensor], limit: int, time_T: Tensor, *parts_TX: Tensor
) -> Tensor:
    """What `embed(*parts, valid, time)`, made for batches of clips, says of one clip's frames."""
    kept = []
    for read, keep in windows(len(time_T), limit):
        batch = [part[read][None] for part in parts_TX]
        valid_BT = torch.ones(1, read.stop - read.start, dtype=torch.bool, device=time_T.device)
        result_TX = embed(*batch, valid_BT, time_T[read][None])[0]
        kept.append(result_TX[keep.start - read.start : keep.stop - read.start])
    return torch.cat(kept)


def interleaved(
    embed: Callable[..., Tensor], limit: int, time_T: Tensor, *parts_TX: Tensor
) -> Tensor:
    """As `in_windows`, but what is seen at once is every n-th frame, from each start.

    n is the least number that leaves at most `limit` frames, spread over all of the clip as in
    training (docs/specs/vidtag.md, section 3.2).
    """
    num = max(1, -(-len(time_T) // limit))
    order_T = torch.cat([torch.arange(first, len(time_T), num) for first in range(num)])
    seen = [
        in_windows(embed, limit, time_T[first::num], *(part[first::num] for part in parts_TX))
        for first in range(min(num, len(time_T)))
    ]
    return torch.cat(seen)[order_T.argsort().to(time_T.device)]
