"""The hierarchy of places: which city lies in which state, country and continent.

Belongs here: the table of distinct places of a dataset, and its CSV. Does not belong here: how a
source labels its clips (sources/), what a model makes of the classes (models/cityguessr.py).
"""

from pathlib import Path

import pandas as pd

from vidtag_ml import stage

LEVELS = ("city", "state", "country", "continent")


def build(clips: pd.DataFrame) -> pd.DataFrame:
    """Distinct rows of city, state, country and continent among the clips, sorted, none missing.

    Raises:
        ValueError: a clip lacks one of the labels, or a column is absent.
    """
    absent = [level for level in LEVELS if level not in clips.columns]
    if absent:
        raise ValueError(f"the clips have no column {absent[0]!r}")
    labels = clips[list(LEVELS)]
    unlabelled = labels.isna().any(axis=1)
    if unlabelled.any():
        first = clips.loc[unlabelled, "clip_id"].iloc[0]
        raise ValueError(f"{int(unlabelled.sum())} clips lack labels; the first is {first}")
    rows = labels.astype(str).drop_duplicates()
    return rows.sort_values(list(reversed(LEVELS))).reset_index(drop=True)


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes the table as CSV in one step."""
    stage.write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read(path: Path) -> pd.DataFrame:
    """The table in a CSV file; all values are strings, so that Namibia's "NA" stays what it is.

    Raises:
        ValueError: the columns are not those of a hierarchy; names the file.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(table.columns) != LEVELS:
        raise ValueError(f"{path}: columns are {', '.join(table.columns)}, not {', '.join(LEVELS)}")
    return table
