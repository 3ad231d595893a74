"""What was left out, and why: a table for programs, a page for people.

Belongs here: `report.csv` and `report.html`. Does not belong here: why something is left out
(intake.py, recordings.py).
"""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vidtag_ml import stage

COLUMNS = ("dataset", "path", "reason", "advice")
REASONS = {
    "unreadable": "It cannot be decoded.",
    "no_position": "Nothing tells where it was taken.",
    "clock": "Its positions cannot be matched to its pictures in time.",
    "duplicate": "The same bytes are there already.",
    "error": "A mistake of vidtag's.",
}
"""Words in the column `reason`."""
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>vidtag: quarantine</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem;
  padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0;
  border-bottom: 1px solid #8884; overflow-wrap: anywhere }}
td:first-child {{ white-space: nowrap }}
</style>
<h1>Quarantine</h1>
<p>{count}. Nothing was changed or deleted; do what the last column says and run the same command
again.</p>
{tables}
</html>
"""


def write(folder: Path, dataset: str, left_out: Sequence[dict[str, Any]]) -> tuple[Path, Path]:
    """Writes report.csv and report.html, in which a dataset's old lines give way to these.

    Args:
        folder: made if need be.
        dataset: whose recordings they are.
        left_out: records with path, reason and advice.
    """
    table = pd.DataFrame([{"dataset": dataset, **record} for record in left_out], columns=COLUMNS)
    csv, page = folder / "report.csv", folder / "report.html"
    if csv.exists():
        earlier = pd.read_csv(csv, dtype=str, keep_default_na=False)
        table = pd.concat([earlier[earlier["dataset"] != dataset], table], ignore_index=True)
    stage.write_text(csv, table.to_csv(index=False, lineterminator="\n"))
    stage.write_text(page, _page(table))
    stage.write_text(folder / ".gitignore", "*\n")
    return csv, page


def _page(table: pd.DataFrame) -> str:
    parts = []
    for (dataset, reason), rows in table.groupby(["dataset", "reason"], sort=True):
        lines = "".join(
            f"<tr><td>{html.escape(path)}<td>{html.escape(advice)}\n"
            for path, advice in rows[["path", "advice"]].itertuples(index=False)
        )
        meaning = REASONS.get(str(reason), "")
        parts.append(
            f"<h2>{html.escape(str(dataset))}: {html.escape(str(reason))} ({len(rows)})</h2>\n"
            f"<p>{meaning}</p>\n<table><tr><th>file<th>what to do\n{lines}</table>\n"
        )
    count = f"{len(table)} recordings were left out" if len(table) else "Nothing was left out"
    return _PAGE.format(count=count, tables="".join(parts))
