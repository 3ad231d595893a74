"""Tracks as GeoParquet 1.1: a table with a point a row, which GIS programs and pandas read.

Belongs here: that format. Does not belong here: the other formats of tracks (track_files.py).
"""

import json
import struct
from pathlib import Path

import numpy as np

from vidtag_ml.earth.origin import Facts
from vidtag_ml.earth.track_files import Tracks, as_table
from vidtag_ml.workflow import stage

_POINT = struct.Struct("<BIdd")
"""Well-known binary: little-endian, kind 1, lon, lat."""


def write_geoparquet(tracks: Tracks, path: Path, facts: Facts | None = None) -> None:
    """Writes all columns of the tracks, their facts, and the column `geometry` (WKB, OGC:CRS84).

    A position that is not known has no geometry. Moments, where known, are the column `time`.
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    table = as_table(tracks).assign(**(facts or {}))
    if "time" in table:
        table["time"] = pd.to_datetime(table["time"], utc=True).astype("datetime64[ms, UTC]")
    lonlat_T2 = table[["lon", "lat"]].to_numpy(float)
    known_T = np.isfinite(lonlat_T2).all(1)
    points = [
        _POINT.pack(1, 1, *xy) if k else None for xy, k in zip(lonlat_T2, known_T, strict=True)
    ]
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.append_column("geometry", pa.array(points, pa.binary()))
    about = {"encoding": "WKB", "geometry_types": ["Point"]}
    if known_T.any():
        low, high = (f(lonlat_T2[known_T], axis=0).tolist() for f in (np.min, np.max))
        about |= {"bbox": [*low, *high]}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}}
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), "geo": json.dumps(geo)})
    with stage.replacing(path) as aside:
        parquet.write_table(arrow, aside, compression="zstd")
