"""What the UI shows beside an asset: previews, pictures, figures, as Dagster metadata.

Belongs here: turning tables, pictures and dicts into metadata values. Does not belong here: drawing
(vidtag_ml.plots), choosing what an asset shows (the asset).
"""

import math
import tempfile
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from vidtag_ml.models.system import Sheet

OWNERS = ["team:vidtag"]
NUM_INLINE = 1000
"""Letters of Markdown that Dagster's UI shows at once; longer texts are behind a link."""
SAFE = "/:='"
"""Letters of a picture that need no escape in its address."""


def preview(table: pd.DataFrame, num_rows: int = 5) -> dg.MarkdownMetadataValue:
    """The first rows of a table."""
    shown = table.head(num_rows)
    rows = [list(map(str, shown.columns)), ["---"] * len(shown.columns)]
    rows += [[_cell(value) for value in row] for row in shown.itertuples(index=False)]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(row)} |" for row in rows))


def bullets(sentences: Sequence[str]) -> dg.MarkdownMetadataValue:
    """Sentences below each other: Dagster's UI cuts off what is wider than its column."""
    return dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in sentences))


def picture(draw: Callable[[Path], Any]) -> dg.MarkdownMetadataValue:
    """The picture that `draw` writes to the path it is given, inside the metadata itself."""
    from vidtag_ml.plots import maps

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.tif"
        draw(path)
        return dg.MetadataValue.md(maps.markdown(path))


def report(shown: Mapping[str, Any]) -> dg.MarkdownMetadataValue:
    """Pictures and tables below each other, each under its name."""
    parts = []
    for name, value in shown.items():
        part = preview(value, len(value)) if isinstance(value, pd.DataFrame) else picture(value)
        parts.append(f"**{name.replace('_', ' ')}**\n\n{part.value}")
    return dg.MetadataValue.md("\n\n".join(parts))


def summary(sheet: Sheet) -> dg.MarkdownMetadataValue:
    """A sheet's shares as bars, and as many of its rows as the UI shows without a click."""
    text = f"{_bars(sheet)}\n\n{sheet.title}\n\n"
    table = [["", *sheet.columns], ["---"] * (len(sheet.columns) + 1), *sheet.rows]
    for row in table:
        line = f"| {' | '.join(row)} |\n"
        text += line if len(text) + len(line) < NUM_INLINE else ""
    return dg.MetadataValue.md(text)


def _bars(sheet: Sheet) -> str:
    """The percentages of a sheet's first column as bars, in a picture of a few letters."""
    shares = [float(row[1][:-1]) for row in sheet.rows if row[1].endswith("%")]
    height = 4 * len(shares)
    bars = "".join(f"M0 {4 * k + 2}h{share:.0f}" for k, share in enumerate(shares))
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='300' viewBox='0 0 100 {height}'>"
        f"<path fill='#e4e8ee' d='M0 0h100v{height}H0'/>"
        f"<path stroke='#4f7cac' stroke-width='3' d='{bars}'/></svg>"
    )
    return f"![shares](data:image/svg+xml,{urllib.parse.quote(svg, safe=SAFE)})"


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
