"""What was left out, and why: a table for programs, a page for people.

Belongs here: `report.csv` and `report.html`. Does not belong here: why something is left out
(inspection.py, tables.py).
"""

import csv
import html
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from vidtag_ml.ingest.own.disk_list import Shelf
from vidtag_ml.ingest.own.records import Rejected
from vidtag_ml.workflow import stage

COLUMNS = ("dataset", "path", "reason", "advice")
REASONS = {
    "unreadable": "It cannot be decoded.",
    "no_position": "Nothing tells where it was taken.",
    "clock": "Its positions cannot be matched to its pictures in time.",
    "duplicate": "The same bytes are there already.",
    "live_photo": "The moving part of a Live Photo, whose photo is taken in.",
    "error": "A mistake of vidtag's.",
}
"""Words in the column `reason`."""
PASSED_OVER = {
    "unknown_type": "Neither a video nor a photo nor a track, by the end of its name.",
    "no_recording": "A track or a table that no recording here goes with.",
    "not_needed": "A track or a table that goes with a recording, which does not use it.",
    "hidden": "Its name begins with a dot.",
    "again": "The same file or folder, by another name or link.",
    "closed": "A folder that cannot be entered.",
    "no_file": "A link that leads nowhere, or something that holds no bytes.",
    "gone": "Was there no more when it had been looked at.",
}
"""Words for why a file is passed over."""
_BEGIN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>vidtag: quarantine</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem;
  padding: 0 1rem }
table { border-collapse: collapse; width: 100%% }
td, th { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0;
  border-bottom: 1px solid #8884; overflow-wrap: anywhere }
td:first-child { white-space: nowrap }
</style>
<h1>Quarantine</h1>
<p>%s. Nothing was changed or deleted; do what the last column says and run the same command
again.</p>
"""


def write(folder: Path, dataset: str, left_out: Iterable[Rejected]) -> tuple[Path, Path]:
    """Writes report.csv and report.html, in which a dataset's old lines give way to these.

    Args:
        folder: made if need be.
        dataset: whose recordings they are.
        left_out: read once, held one at a time.
    """
    table, page = folder / "report.csv", folder / "report.html"
    lines = Shelf[list[str]]()
    counts = Counter[tuple[str, str]]()
    for line in _lines(table, dataset, left_out):
        counts[line[0], line[2]] += 1
        lines.append(line, f"{line[0]}\0{line[2]}")
    with stage.replacing(table) as aside, _text(aside) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)
    with stage.replacing(page) as aside, _text(aside) as file:
        file.writelines(_page(lines, counts))
    stage.write_text(folder / ".gitignore", "*\n")
    return table, page


def _lines(table: Path, dataset: str, left_out: Iterable[Rejected]) -> Iterator[list[str]]:
    """The earlier lines of other datasets, then those of this one."""
    if table.exists():
        with table.open(encoding="utf-8", newline="") as file:
            earlier = csv.DictReader(file)
            yield from (
                [line[c] for c in COLUMNS] for line in earlier if line["dataset"] != dataset
            )
    for record in left_out:
        yield [dataset, record.path, record.reason, record.advice]


def _text(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")


def _page(lines: Shelf[list[str]], counts: Counter[tuple[str, str]]) -> Iterator[str]:
    yield _BEGIN % (f"{len(lines)} recordings were left out" if lines else "Nothing was left out")
    told: tuple[str, str] | None = None
    for dataset, path, reason, advice in lines.by_key():
        if told != (dataset, reason):
            yield "</table>\n" if told else ""
            told = dataset, reason
            yield f"<h2>{html.escape(dataset)}: {html.escape(reason)} ({counts[told]})</h2>\n"
            yield f"<p>{REASONS.get(reason, '')}</p>\n<table><tr><th>file<th>what to do\n"
        yield f"<tr><td>{html.escape(path)}<td>{html.escape(advice)}\n"
    yield "</table>\n" if told else ""
    yield "\n</html>\n"
