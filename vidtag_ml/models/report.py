"""Reports: figures, a table a clip, a table a frame, as files.

Belongs here: the folder. Does not belong here: what is measured (each system's module `evaluate`).
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth.tracks import Track

_FILES = ("summary.json", "per_clip.parquet", "frames.parquet")


@dataclass(frozen=True)
class Report:
    """What a model did on one split, and everything the figures depend on."""

    summary: dict[str, Any]
    """Figures (docs/specs/metrics.md, section 10) with intervals, model, split, decoding and
    gallery protocol; JSON-safe. Figures named initial_... are those before refinement and
    decoding."""
    per_clip: pd.DataFrame
    """One row a clip: labels and the clip's own figures; with a gallery of cities also those that
    were predicted, as predicted_city ..., and which are right (acc_city ..., consistency)."""
    frames: pd.DataFrame
    """One row a frame: the track's columns, true_lat, true_lon and error_km (NaN without truth)."""

    @cached_property
    def tracks(self) -> list[Track]:
        """The predicted tracks, in order of clip."""
        return [
            Track(
                clip=str(clip),
                time_s=rows["time_s"].to_numpy(float),
                latlon_T2=rows[["lat", "lon"]].to_numpy(float),
                initial_latlon_T2=rows[["initial_lat", "initial_lon"]].to_numpy(float),
                score_T=rows["score"].to_numpy(float),
            )
            for clip, rows in self.frames.groupby("clip", sort=False)
        ]

    @cached_property
    def truths(self) -> dict[str, NDArray[np.float64]]:
        """True positions (T, 2) by clip; NaN where unknown."""
        groups = self.frames.groupby("clip", sort=False)
        return {str(c): rows[["true_lat", "true_lon"]].to_numpy(float) for c, rows in groups}

    def write(self, folder: Path) -> None:
        """Writes summary.json, per_clip.parquet and frames.parquet."""
        folder.mkdir(parents=True, exist_ok=True)
        summary = json.dumps(self.summary, indent=2, allow_nan=False)
        (folder / _FILES[0]).write_text(summary + "\n")
        self.per_clip.to_parquet(folder / _FILES[1], index=False)
        self.frames.to_parquet(folder / _FILES[2], index=False)

    @classmethod
    def read(cls, folder: Path) -> "Report":
        """The report in a folder.

        Raises:
            ValueError: the folder lacks one of the files; names it.
        """
        for name in _FILES:
            if not (folder / name).is_file():
                raise ValueError(f"{folder / name} is missing; `vidtag evaluate` writes reports")
        summary = json.loads((folder / _FILES[0]).read_text())
        return cls(summary, *(pd.read_parquet(folder / name) for name in _FILES[1:]))
