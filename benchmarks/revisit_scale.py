"""What a city of ten million recorded frames costs to be searched (docs/own-recordings.md).

Embeddings are made up: along a drive they change slowly, another drive of the same street shows the
same with noise. How alike frames of one place and of others are was measured on real recordings
(decision 45): cosines of about 0.8, and 0.5. An index of FAISS with product quantisation is built
at several sizes and asked for places; what it finds is looked at again with the features
themselves. The last size is computed from the others: an index needs as much memory a reference;
a query, and a reference that is added, are compared with all lists, a query also with the
references of a few, and both numbers grow with the square root of that of references.

Run as `python -m benchmarks.revisit_scale [SIZE...]`; 2.6 kB of memory a reference, and half as
much again while it runs.

Belongs here: this measurement. Does not belong here: searching (vidtag_ml/retrieval,
vidtag_ml/models/revisit).
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from vidtag_ml.retrieval import search

SIZES, WANTED = (50_000, 200_000), 10_000_000
WIDTH = 1280
"""Of efficientnet_lite0's features."""
LATENT = 64
"""Directions in which places differ, of falling weight."""
DRIVE = 600
"""References of a drive."""
COMMON, KEPT, NEXT = 0.5, 0.8, 0.95
"""Cosine of frames of two places, of one place, and how alike neighbours along a drive are."""
QUERIES, SHORTLIST, REACH, K = 500, 200, 2, 10
"""Frames that are looked for; candidates of the index; references of a drive this near show the
place; candidates that are compared in detail."""
PROJECTED, CODE_BYTES, PROBES = 256, 64, 32
LEARNT_FROM = 40
"""References a list from which lists and codes are learnt."""
DETAILS_BYTES = 66_000
"""Local features of a reference."""

Halves = NDArray[np.float16]


@dataclass(frozen=True)
class Measured:
    """What one size took and found."""

    size: int
    num_lists: int
    learn_s: float
    add_s: float
    index_bytes: int
    index_ms: float
    """A query in the index."""
    again_ms: float
    """Its candidates with the features themselves."""
    exact_ms: float
    found: float
    """Share of queries whose place is among the candidates that are compared in detail."""
    found_exactly: float
    """The same by exact search."""


def lists(size: int) -> int:
    """How many inverted lists an index has."""
    return int(4 * size**0.5)


def city(size: int) -> tuple[Halves, Halves, NDArray[np.int64]]:
    """Made-up references (size, WIDTH), queries, and the references whose places these show."""
    drawn = np.random.default_rng(0)
    weights = (1 + np.arange(LATENT)) ** -0.5
    directions = np.linalg.qr(drawn.normal(size=(WIDTH, LATENT)))[0].T * weights[:, None]
    directions = (directions / np.linalg.norm(weights)).astype(np.float32)
    shown = drawn.choice(size, QUERIES, replace=False)
    references = np.empty((size, WIDTH), np.float16)
    queries = np.empty((QUERIES, WIDTH), np.float16)
    for start in range(0, size, DRIVE):
        places = _drive(drawn, min(DRIVE, size - start)) @ directions
        references[start : start + DRIVE] = _seen(drawn, places)
        here = np.flatnonzero((shown >= start) & (shown < start + DRIVE))
        queries[here] = _seen(drawn, places[shown[here] - start])
    return references, queries, shown


def _drive(drawn: np.random.Generator, num: int) -> NDArray[np.float32]:
    """What neighbouring places look like, before anything disturbs it."""
    from scipy.signal import lfilter

    steps = drawn.normal(size=(num, LATENT))
    steps[0] /= np.sqrt(1 - NEXT**2)
    return np.asarray(lfilter([np.sqrt(1 - NEXT**2)], [1, -NEXT], steps, axis=0), np.float32)


def _seen(drawn: np.random.Generator, places: NDArray[np.float32]) -> Halves:
    """Frames of places: unit vectors."""
    frames = np.sqrt((1 - KEPT) / WIDTH) * drawn.standard_normal(places.shape, np.float32)
    frames += np.sqrt(KEPT - COMMON) * places + np.sqrt(COMMON / WIDTH)
    return np.asarray(frames / np.linalg.norm(frames, axis=1, keepdims=True), np.float16)


def measure(size: int) -> Measured:
    """Builds an index of `size` references and asks it for places."""
    references, queries, shown = city(size)
    num_lists = lists(size)
    how = f"PCAR{PROJECTED},IVF{num_lists},PQ{CODE_BYTES}"
    index = faiss.index_factory(WIDTH, how, faiss.METRIC_INNER_PRODUCT)
    sample = np.linspace(0, size - 1, min(size, LEARNT_FROM * num_lists)).astype(int)
    learn_s, _ = _timed(lambda: index.train(references[sample].astype(np.float32)))
    add_s, _ = _timed(lambda: _add(index, references))
    faiss.extract_index_ivf(index).nprobe = PROBES
    query_QE = queries.astype(np.float32)
    index_s, (_, rows) = _timed(lambda: index.search(query_QE, SHORTLIST))
    again_s, best = _timed(lambda: _again(query_QE, references, rows))
    both = torch.from_numpy(query_QE), torch.from_numpy(references)
    exact_s, (_, exactly) = _timed(lambda: search.search(*both, K))
    each = 1e3 / QUERIES
    return Measured(
        size, num_lists, learn_s, add_s, len(faiss.serialize_index(index)),
        index_s * each, again_s * each, exact_s * each,
        _found(best, shown), _found(exactly.numpy(), shown),
    )  # fmt: skip


def _add(index: faiss.Index, references: Halves) -> None:
    for start in range(0, len(references), 1 << 16):
        index.add(references[start : start + (1 << 16)].astype(np.float32))


def _again(
    query_QE: NDArray[np.float32], references: Halves, rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The K candidates of each query that are most like it by the features themselves."""
    best = []
    for query, row in zip(query_QE, rows, strict=True):
        cosine = references[row].astype(np.float32) @ query
        best.append(row[np.argsort(-cosine)[:K]])
    return np.stack(best)


def _found(best: NDArray[np.int64], shown: NDArray[np.int64]) -> float:
    return float((np.abs(best - shown[:, None]) <= REACH).any(1).mean())


def computed(measured: list[Measured], size: int) -> dict[str, float]:
    """What another size would take, from those that were measured; the largest counts."""
    root = np.sqrt([each.size for each in measured])
    slope, start = np.polyfit(root, [each.index_ms for each in measured], 1)
    first, last = measured[0], measured[-1]
    bytes_each = (last.index_bytes - first.index_bytes) / (last.size - first.size)
    grown = size / last.size
    return {
        "learn_s": last.learn_s * grown,
        "add_s": last.add_s * grown * (lists(size) + PROJECTED) / (last.num_lists + PROJECTED),
        "index_gb": (last.index_bytes + bytes_each * (size - last.size)) / 1e9,
        "index_ms": start + slope * np.sqrt(size),
        "exact_ms": last.exact_ms * grown,
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints the table in Markdown."""
    sizes = tuple(map(int, sys.argv[1:])) or SIZES
    say = Console(soft_wrap=True).print
    head = (
        "references", "lists", "learn s", "add s", "index GB", "features GB", "details GB",
        "index ms", "again ms", "exact ms", "found", "found exactly",
    )  # fmt: skip
    say(_row(*head))
    say(_row(*["---"] * len(head)))
    found = []
    for size in sizes:
        each = measure(size)
        found.append(each)
        say(
            _row(
                f"{size:,}", f"{each.num_lists}", f"{each.learn_s:.0f}", f"{each.add_s:.0f}",
                f"{each.index_bytes / 1e9:.3f}", *_stored(size), f"{each.index_ms:.1f}",
                f"{each.again_ms:.1f}", f"{each.exact_ms:.1f}", f"{each.found:.1%}",
                f"{each.found_exactly:.1%}",
            )
        )  # fmt: skip
    if len(found) > 1:
        more = computed(found, WANTED)
        say(
            _row(
                f"{WANTED:,} (computed)", f"{lists(WANTED)}", f"{more['learn_s']:.0f}",
                f"{more['add_s']:.0f}", f"{more['index_gb']:.2f}", *_stored(WANTED),
                f"{more['index_ms']:.1f}", "", f"{more['exact_ms']:.0f}", "", "",
            )
        )  # fmt: skip


def _stored(size: int) -> tuple[str, str]:
    """Gigabytes of the features and of the local features."""
    return f"{size * WIDTH * 2 / 1e9:.1f}", f"{size * DETAILS_BYTES / 1e9:.0f}"


if __name__ == "__main__":
    main()
