"""What was driven, as a graph: how far it is from one reference to another along recorded ways.

Belongs here: the graph and distances in it. Does not belong here: what follows for a track
(decoding.py). Shape legend: R references, E of their edges, N of them at one time, M at the next.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import sphere

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
MEET_M = 20.0
"""References this near to each other are on one road: positions err, and cars drive 28 m a second
where roads are crossed without a frame in the middle."""
DETOUR = 2.0
"""Beside what was driven a way counts so many times: it may not have been recorded."""


class Roads:
    """References, joined where a recording went on and where recordings meet."""

    def __init__(self, latlon_R2: Floats, clip_R: Rows) -> None:
        """The graph of references.

        Args:
            latlon_R2: where they are.
            clip_R: which recordings they are from, each in order of time.
        """
        self.latlon_R2 = latlon_R2
        self.clip_R = clip_R

    def apart_km(self, from_N: Rows, to_M: Rows, reach_km: float) -> Floats:
        """Distances (N, M) along what was driven, in either direction.

        None is longer than `DETOUR` times the way as the crow flies, which is what those have that
        nothing joins; no way much longer than `reach_km` is looked for.
        """
        from scipy.sparse.csgraph import dijkstra

        flown_NM = sphere.great_circle_km(
            self.latlon_R2[from_N][:, None], self.latlon_R2[to_M][None]
        )
        limit_km = DETOUR * reach_km
        driven_NR = dijkstra(self._graph, directed=False, indices=from_N, limit=limit_km)
        return np.asarray(np.minimum(driven_NR[:, to_M], DETOUR * flown_NM))

    @cached_property
    def _graph(self) -> "csr_array":
        """Lengths of edges in km; each edge is there once."""
        from scipy.sparse import csr_array
        from scipy.spatial import cKDTree

        num = len(self.latlon_R2)
        on = np.flatnonzero(np.diff(self.clip_R) == 0)
        tree = cKDTree(sphere.unit_vectors(self.latlon_R2))
        meeting = tree.query_pairs(sphere.chord(MEET_M / 1000), output_type="ndarray")
        edges_E2 = np.unique(np.concatenate([np.stack([on, on + 1], -1), meeting]), axis=0)
        from_E, to_E = edges_E2.T
        length_E = sphere.great_circle_km(self.latlon_R2[from_E], self.latlon_R2[to_E])
        length_E = np.maximum(length_E, np.finfo(float).tiny)  # 0 is no edge
        return csr_array((length_E, (from_E, to_E)), shape=(num, num))
