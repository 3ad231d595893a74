"""Reports: figures, a table a clip and others, as files; those whose answers are tracks.

Belongs here: the folder. Does not belong here: what is measured (each system's module `evaluate`).
"""

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth.tracks import Track


@dataclass(frozen=True)
class Filed:
    """Figures and tables, each a file of a folder: summary.json, NAME.parquet of other fields."""

    summary: dict[str, Any]
    """Figures; JSON-safe."""
    per_clip: pd.DataFrame
    """One row a clip."""

    def write(self, folder: Path) -> None:
        """Writes the files, into a folder made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        summary, *tables = self._files(folder)
        summary.write_text(json.dumps(self.summary, indent=2, allow_nan=False) + "\n")
        for table in tables:
            getattr(self, table.stem).to_parquet(table, index=False)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The report in a folder.

        Raises:
            ValueError: the folder lacks one of the files; names it.
        """
        summary, *tables = cls._files(folder)
        for file in (summary, *tables):
            if not file.is_file():
                raise ValueError(f"{file} is missing; `vidtag evaluate` writes reports")
        return cls(json.loads(summary.read_text()), *map(pd.read_parquet, tables))

    @classmethod
    def _files(cls, folder: Path) -> list[Path]:
        names = [field.name for field in dataclasses.fields(cls)]
        return [folder / "summary.json", *(folder / f"{name}.parquet" for name in names[1:])]


@dataclass(frozen=True)
class Report(Filed):
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
