"""Retrieval: the points whose embeddings are most similar to a query's.

Exact search is the reference. `CoarseToFine` searches points that no gallery holds: a location
encoder is a continuous function, so the cells around the best points are divided and searched
again, to any resolution. FAISS stands behind the same interface.

Belongs here: indexes. Does not belong here: exact search (search.py), where points lie and how
cells are divided (gallery.py, earth/sphere.py), embeddings on disk (embeddings.py), what is made of
what was found (models/gps_retrieval/locate.py).
Shape legend: N queries, G gallery entries, D embedding, K best entries, M points found by any
query, P rows or columns of a piece, 2 = (lat, lon) in degrees.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.retrieval import search
from vidtag_ml.retrieval.embeddings import EmbedsLocations, embed_gallery
from vidtag_ml.retrieval.gallery import Gallery, halvings
from vidtag_ml.retrieval.search import GALLERY_ROWS

Floats = NDArray[np.float64]
MOST_FINEST = 2_000_000
"""Points that `finest_grid` makes at most; nothing but a test of a search needs them all."""
LEARNT_FROM = 64
"""faiss_ivf: embeddings a list from which the lists are learnt."""


@dataclass(frozen=True)
class Hits:
    """What a search found: for each query the best points, best first."""

    score_NK: Tensor
    """Similarities, decreasing."""
    index_NK: Tensor
    """Rows of `latlon_M2` and `embedding_MD`."""
    latlon_M2: Floats
    """Points in degrees; all of the gallery where that is what was searched."""
    embedding_MD: Tensor
    """Their embeddings; perhaps a mapped file, or on another device than the queries."""

    def __post_init__(self) -> None:
        """Checks that scores, rows and points fit each other."""
        if self.score_NK.shape != self.index_NK.shape or self.score_NK.ndim != 2:
            raise ValueError(f"scores {self.score_NK.shape}, but rows {self.index_NK.shape}")
        if self.latlon_M2.shape != (len(self.embedding_MD), 2):
            raise ValueError(
                f"{self.latlon_M2.shape} points but {len(self.embedding_MD)} embeddings: they "
                "belong to different galleries"
            )

    @property
    def latlon_NK2(self) -> Floats:
        """The points found for each query (N, K, 2)."""
        return np.asarray(self.latlon_M2[self.index_NK.cpu().numpy()])

    def embeddings(self, row_N: Tensor) -> Tensor:
        """Embeddings (N, D) of some rows, as they are stored."""
        return self.embedding_MD[row_N.to(self.embedding_MD.device)]


class Index(ABC):
    """Finds the points most similar to queries."""

    @property
    @abstractmethod
    def protocol(self) -> dict[str, Any]:
        """What a report says of the search: `search`, its method, and what else decides scores."""

    @property
    def of_paths(self) -> "Index":
        """Finds the points through which paths go: so far apart that a few cover much ground."""
        return self

    @abstractmethod
    def search(self, query_ND: Tensor, k: int) -> Hits:
        """The k greatest inner products of each query; fewer where there are fewer points."""


@dataclass(frozen=True)
class Exact(Index):
    """Compares each query with all of a gallery."""

    latlon_G2: Floats
    """The gallery's points."""
    embedding_GD: Tensor
    """Their embeddings, in any float type: from `embeddings.embed_gallery`, or a mapped file."""

    def __post_init__(self) -> None:
        """Checks that points and embeddings are as many."""
        _check_sizes(self.latlon_G2, self.embedding_GD)

    @property
    def protocol(self) -> dict[str, Any]:
        """The method alone."""
        return {"search": "exact"}

    def search(self, query_ND: Tensor, k: int) -> Hits:
        """The k greatest inner products of each query; nothing is copied."""
        scores, rows = search.search(query_ND, self.embedding_GD, min(k, len(self.embedding_GD)))
        return Hits(scores, rows, self.latlon_G2, self.embedding_GD)


@dataclass(frozen=True)
class Restricted(Exact):
    """Compares each query with those of a gallery's points at which it may be.

    Points at which it may not be have a score of -inf.
    """

    allowed: search.Allowed
    """Which are these, by rows of the queries, all of which are searched at once."""

    def search(self, query_ND: Tensor, k: int) -> Hits:
        """The k greatest inner products of each query."""
        num = min(k, len(self.embedding_GD))
        found = search.search(query_ND, self.embedding_GD, num, self.allowed)
        return Hits(*found, self.latlon_G2, self.embedding_GD)


@dataclass(frozen=True)
class CoarseToFine(Index):
    """Exact search, then the quarters of the best points' cells, level by level.

    The best `beam` points of each query are followed; a clip's queries share all points that any
    of them follows. The last level is part of `finest_grid`, which is never built.
    """

    model: EmbedsLocations
    """Embeds the finer points; in evaluation mode."""
    start: Index
    """Finds the first points."""
    spacing_km: float
    """Side of the cells of those."""
    finest_km: float
    """Cells are divided until their side is at most this."""
    beam: int
    """Points a query that are followed to the next level."""

    @property
    def protocol(self) -> dict[str, Any]:
        """Method, beam, and the spacing of the last level."""
        reached = self.spacing_km / 2 ** len(halvings(self.spacing_km, self.finest_km))
        return {
            "search": "coarse_to_fine",
            "search_finest_km": reached,
            "search_beam": self.beam,
        }

    @property
    def of_paths(self) -> Index:
        """The start: candidates on finer points crowd around the first ones (decision 43)."""
        return self.start

    def search(self, query_ND: Tensor, k: int) -> Hits:
        """The k greatest inner products of each query among the points of the last level."""
        sides = halvings(self.spacing_km, self.finest_km)
        hits = self.start.search(query_ND, self.beam if sides else k)
        for level, side in enumerate(sides, 1):
            hits = self._divided(query_ND, hits, side, self.beam if level < len(sides) else k)
        return hits

    def _divided(self, query_ND: Tensor, hits: Hits, side_km: float, k: int) -> Hits:
        """The best quarters of the cells of all points found."""
        parents_M2 = hits.latlon_M2[np.unique(hits.index_NK.cpu().numpy())]
        latlon_M2 = sphere.quarters(parents_M2, side_km).reshape(-1, 2)
        embedding_MD = embed_gallery(self.model, latlon_M2).to(query_ND.device)
        scores, rows = search.search(query_ND, embedding_MD, min(k, len(latlon_M2)))
        return Hits(scores, rows, latlon_M2, embedding_MD)


class Faiss(Index):
    """A gallery in FAISS, on the CPU and in float32: flat, or in inverted lists."""

    def __init__(
        self,
        latlon_G2: Floats,
        embedding_GD: Tensor,
        num_lists: int | None = None,
        num_probes: int = 1,
    ) -> None:
        """Copies the embeddings into an index; learns `num_lists` lists first, null = flat.

        Raises:
            ValueError: FAISS is not installed, sizes disagree, or there are more lists than points
                or more probes than lists.
        """
        _check_sizes(latlon_G2, embedding_GD)
        size, width = embedding_GD.shape
        if num_lists is not None and not 1 <= num_probes <= num_lists <= size:
            raise ValueError(
                f"num_probes {num_probes} and num_lists {num_lists} do not fit {size} points"
            )
        faiss = _faiss()
        self.latlon_G2, self.embedding_GD = latlon_G2, embedding_GD
        self.num_lists, self.num_probes = num_lists, num_probes
        self._index = faiss.IndexFlatIP(width)
        if num_lists is not None:
            self._index = faiss.IndexIVFFlat(
                self._index, width, num_lists, faiss.METRIC_INNER_PRODUCT
            )
            sample = torch.linspace(0, size - 1, min(size, LEARNT_FROM * num_lists)).long()
            self._index.train(_rows(embedding_GD[sample.to(embedding_GD.device)]))
            self._index.nprobe = num_probes
        for start in range(0, size, GALLERY_ROWS):
            self._index.add(_rows(embedding_GD[start : start + GALLERY_ROWS]))

    @property
    def protocol(self) -> dict[str, Any]:
        """Method, lists and probes."""
        if self.num_lists is None:
            return {"search": "faiss_flat"}
        return {
            "search": "faiss_ivf",
            "search_num_lists": self.num_lists,
            "search_num_probes": self.num_probes,
        }

    def search(self, query_ND: Tensor, k: int) -> Hits:
        """The k greatest inner products of each query, of those that FAISS looks at.

        Queries whose lists hold fewer than k points look through all of them.
        """
        faiss, k = _faiss(), min(k, len(self.latlon_G2))
        queries = _rows(query_ND)
        scores, rows = self._index.search(queries, k)
        if (few := (rows < 0).any(1)).any():
            everywhere = faiss.SearchParametersIVF(nprobe=self.num_lists)
            scores[few], rows[few] = self._index.search(queries[few], k, params=everywhere)
        found = torch.from_numpy(scores).to(query_ND), torch.from_numpy(rows).to(query_ND.device)
        return Hits(*found, self.latlon_G2, self.embedding_GD)


def build_index(
    model: EmbedsLocations, points: Gallery, embedding_GD: Tensor, settings: config.Search
) -> Index:
    """The index that the settings describe.

    Args:
        model: whose embeddings are searched, in evaluation mode.
        points: the gallery.
        embedding_GD: its embeddings by this model.
        settings: method and what belongs to it.

    Raises:
        ValueError: embeddings of another gallery, coarse_to_fine in a gallery whose spacing is
            unknown, or FAISS is asked for but not installed.
    """
    exact = Exact(points.latlon_G2, embedding_GD)
    if settings.method == "exact":
        return exact
    if settings.method == "coarse_to_fine":
        return CoarseToFine(model, exact, _spacing_km(points), settings.finest_km, settings.beam)
    num_lists = settings.num_lists if settings.method == "faiss_ivf" else None
    return Faiss(points.latlon_G2, embedding_GD, num_lists, settings.num_probes)


def finest_grid(points: Gallery, finest_km: float) -> Gallery:
    """The gallery of all points that `CoarseToFine` can reach: every cell divided to the end.

    Raises:
        ValueError: it would have more than `MOST_FINEST` points, or the spacing is unknown.
    """
    sides, latlon_G2 = halvings(_spacing_km(points), finest_km), points.latlon_G2
    size = len(latlon_G2) * 4 ** len(sides)
    if size > MOST_FINEST:
        raise ValueError(f"the finest grid would have {size:,} points, more than {MOST_FINEST:,}")
    for side in sides:
        latlon_G2 = sphere.quarters(latlon_G2, side).reshape(-1, 2)
    protocol = {
        **points.protocol,
        "divided_from_km": _spacing_km(points),
        "spacing_km": _spacing_km(points) / 2 ** len(sides),
    }
    return Gallery(latlon_G2, protocol, digest="")


def _spacing_km(points: Gallery) -> float:
    """Side of the cells around the gallery's points."""
    if "spacing_km" not in points.protocol:
        raise ValueError("a gallery without a spacing in its protocol has no cells to divide")
    return float(points.protocol["spacing_km"])


def _check_sizes(latlon_G2: Floats, embedding_GD: Tensor) -> None:
    if len(latlon_G2) != len(embedding_GD):
        raise ValueError(
            f"a gallery of {len(latlon_G2)} points but {len(embedding_GD)} embeddings: they belong "
            "to different galleries"
        )


def _faiss() -> Any:
    """The package, kept to torch's number of threads: both bring an OpenMP of their own."""
    try:
        import faiss
    except ImportError as error:
        raise ValueError(
            "search.method asks for FAISS: pip install 'vidtag-geo[faiss]' brings it"
        ) from error
    faiss.omp_set_num_threads(torch.get_num_threads())
    return faiss


def _rows(values_PD: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values_PD.detach().cpu().float().numpy())
