"""Exact search: the rows with the greatest inner products.

Belongs here: doing it in little memory. Does not belong here: indexes that use it (index.py).
Shape legend: N queries, G gallery entries, D embedding, P rows or columns of a piece.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Allowed = Callable[[slice, slice], NDArray[np.bool_]]
"""Rows of queries and of a gallery -> which of the latter count for which of the former."""

QUERY_ROWS, GALLERY_ROWS, BLOCK = 512, 65_536, 64
"""Rows of a score matrix in `search`; columns; columns that are first judged by their best."""


def search(
    queries_ND: Tensor, gallery_GD: Tensor, k: int, allowed: Allowed | None = None
) -> tuple[Tensor, Tensor]:
    """The k greatest inner products (N, k) of each query, best first, and their entries (N, k).

    Exact, and the cosine where rows have unit norm. Memory stays near 200 MB whatever the gallery's
    size: scores are made in pieces, and the gallery may be a mapped file. Within a piece, the k
    best are in the k blocks with the best maxima, so that only those are sorted. A float16 gallery
    is compared in the queries' precision, one on another device on theirs. Where not all is
    `allowed`, the rest has -inf, and comes after all that is.

    Raises:
        ValueError: k is not between 1 and the gallery's size, or widths disagree.
    """
    size = len(gallery_GD)
    if not 1 <= k <= size:
        raise ValueError(f"k is {k}; the gallery has {size} entries")
    if queries_ND.shape[1:] != gallery_GD.shape[1:]:
        raise ValueError(f"queries {queries_ND.shape} do not fit the gallery {gallery_GD.shape}")
    scores = queries_ND.new_full((len(queries_ND), k), -torch.inf)
    index = torch.zeros_like(scores, dtype=torch.int64)
    buffer = queries_ND.new_empty(min(len(queries_ND), QUERY_ROWS) * min(size, GALLERY_ROWS))
    with torch.no_grad():
        for start in range(0, size, GALLERY_ROWS):
            piece_DP = gallery_GD[start : start + GALLERY_ROWS].to(queries_ND).T
            for row in range(0, len(queries_ND), QUERY_ROWS):
                rows = slice(row, row + QUERY_ROWS)
                queries = queries_ND[rows]
                out = buffer[: len(queries) * piece_DP.shape[1]].view(len(queries), -1)
                scores_NP = torch.mm(queries, piece_DP, out=out)
                if allowed is not None:
                    scores_NP.masked_fill_(~_mask(allowed, rows, start, scores_NP), -torch.inf)
                best, where = _top(scores_NP, k)
                both = torch.cat([scores[rows], best], 1)
                scores[rows], order = both.topk(k, 1)
                index[rows] = torch.cat([index[rows], where + start], 1).gather(1, order)
    return scores, index


def mass(
    logits_ND: Tensor, gallery_GD: Tensor, allowed: Allowed
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share (N,) of each query's softmax over a gallery that is allowed, and that of entries.

    Args:
        logits_ND: queries, times the scale of their softmax.
        gallery_GD: as of `search`.
        allowed: which entries count.
    """
    num = len(logits_ND)
    both_N2 = logits_ND.new_full((num, 2), -torch.inf, dtype=torch.float64)
    count_N = torch.zeros(num, dtype=torch.float64, device=logits_ND.device)
    for start in range(0, len(gallery_GD), GALLERY_ROWS):
        piece_DP = gallery_GD[start : start + GALLERY_ROWS].to(logits_ND).T
        for row in range(0, num, BLOCK):
            rows = slice(row, row + BLOCK)
            logits_NP = (logits_ND[rows] @ piece_DP).double()
            mask_NP = _mask(allowed, rows, start, logits_NP)
            inside_N = logits_NP.masked_fill(~mask_NP, -torch.inf).logsumexp(1)
            found_N2 = torch.stack([inside_N, logits_NP.logsumexp(1)], 1)
            both_N2[rows] = torch.logaddexp(both_N2[rows], found_N2)
            count_N[rows] += mask_NP.sum(1)
    share_N = (both_N2[:, 0] - both_N2[:, 1]).exp()
    return share_N.cpu().numpy(), (count_N / len(gallery_GD)).cpu().numpy()


def _mask(allowed: Allowed, rows: slice, start: int, scores_NP: Tensor) -> Tensor:
    columns = slice(start, start + scores_NP.shape[1])
    return torch.from_numpy(allowed(rows, columns)).to(scores_NP.device)


def _top(scores_NP: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The best min(k, P) scores of each row, and their columns."""
    rows, columns = scores_NP.shape
    num_blocks = columns // BLOCK
    if num_blocks <= 2 * k:
        best, where = scores_NP.topk(min(k, columns), 1)
        return best, where
    whole = scores_NP[:, : num_blocks * BLOCK].view(rows, num_blocks, BLOCK)
    block = whole.amax(2).topk(k, 1, sorted=False).indices
    inside = torch.arange(BLOCK, device=block.device)
    column = (block[:, :, None] * BLOCK + inside).flatten(1)
    rest = torch.arange(num_blocks * BLOCK, columns, device=block.device).expand(rows, -1)
    column = torch.cat([column, rest], 1)
    best, order = scores_NP.gather(1, column).topk(k, 1)
    return best, column.gather(1, order)
