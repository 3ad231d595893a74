"""The table that every reader of positions returns.

Belongs here: its columns. Does not belong here: any format (its own file), and what makes a
position good (vidtag_ml.ingest.own.plausibility): readers return what is written, in the order of
the file.
"""

from typing import Any

import numpy as np
import pandas as pd

COLUMNS = (
    "time_s",
    "utc_s",
    "lat",
    "lon",
    "altitude_m",
    "accuracy_m",
    "dop",
    "speed_mps",
    "fix_type",
)
"""time_s: from the first frame of the video that the format belongs to. utc_s: seconds since 1970.
Both are NaN where the format does not tell. speed_mps: as the receiver itself measured it.
fix_type: "none", "2d", "3d", or missing."""


def table(**columns: Any) -> pd.DataFrame:
    """The columns given, and missing values for the rest; all of one length.

    >>> table(lat=[47.5], lon=[8.5])[["time_s", "lat", "fix_type"]].values.tolist()
    [[nan, 47.5, None]]
    """
    unknown = set(columns) - set(COLUMNS)
    assert not unknown, unknown
    size = len(columns["lat"])
    made: dict[str, Any] = {}
    for name in COLUMNS:
        if name == "fix_type":
            made[name] = np.array(columns.get(name, [None] * size), object)
        else:
            made[name] = np.array(columns.get(name, np.full(size, np.nan)), np.float64)
    return pd.DataFrame(made)


def placed(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows that have a position, and how many have none, as `Reading.left_out` tells it."""
    known = table["lat"].notna() & table["lon"].notna()
    num = int((~known).sum())
    return table[known].reset_index(drop=True), {"without a position": num} if num else {}
