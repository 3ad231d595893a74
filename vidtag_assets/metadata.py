"""What the UI shows beside an asset: previews, pictures, figures, as Dagster metadata.

Belongs here: turning tables, pictures and dicts into metadata values. Does not belong here: drawing
(vidtag_ml.plots), choosing what an asset shows (the asset).
"""

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

OWNERS = ["team:vidtag"]


def preview(table: pd.DataFrame, num_rows: int = 5) -> dg.MarkdownMetadataValue:
    """The first rows of a table."""
    shown = table.head(num_rows)
    rows = [list(map(str, shown.columns)), ["---"] * len(shown.columns)]
    rows += [[_cell(value) for value in row] for row in shown.itertuples(index=False)]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(row)} |" for row in rows))


def picture(draw: Callable[[Path], Any]) -> dg.MarkdownMetadataValue:
    """The picture that `draw` writes to the path it is given, inside the metadata itself."""
    from vidtag_ml.plots import maps

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(path)
        return dg.MetadataValue.md(maps.markdown(path))


def numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The finite numbers among values, as floats."""
    return {
        f"{prefix}{key}": float(value)
        for key, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "/").replace("\n", " ")
