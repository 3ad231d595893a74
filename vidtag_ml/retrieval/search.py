"""Exact search: the rows with the greatest inner products.

Belongs here: doing it in little memory. Does not belong here: indexes that use it (index.py).
Shape legend: N queries, G gallery entries, D embedding, P rows or columns of a piece.
"""

import torch
from torch import Tensor

QUERY_ROWS, GALLERY_ROWS, BLOCK = 512, 65_536, 64
"""Rows of a score matrix in `search`; columns; columns that are first judged by their best."""


def search(queries_ND: Tensor, gallery_GD: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k greatest inner products (N, k) of each query, best first, and their entries (N, k).

    Exact, and the cosine where rows have unit norm. Memory stays near 200 MB whatever the gallery's
    size: scores are made in pieces, and the gallery may be a mapped file. Within a piece, the k
    best are in the k blocks with the best maxima, so that only those are sorted. A float16 gallery
    is compared in the queries' precision, one on another device on theirs.

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
                best, where = _top(torch.mm(queries, piece_DP, out=out), k)
                both = torch.cat([scores[rows], best], 1)
                scores[rows], order = both.topk(k, 1)
                index[rows] = torch.cat([index[rows], where + start], 1).gather(1, order)
    return scores, index


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
