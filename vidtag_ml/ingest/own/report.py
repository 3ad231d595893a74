"""What became of recordings: a table of what was left out for programs, a page for people.

The page shows all datasets. What it says of one is kept as a part beside it, so that taking in one
dataset looks at no other.

Belongs here: `report.csv` and `report.html`. Does not belong here: why something is left out
(inspection.py, tables.py), the small maps (vidtag_ml.plots.sketch).
"""

import csv
import html
import itertools
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pandas as pd
from pyarrow import parquet

from vidtag_ml.ingest.own.disk_list import Shelf
from vidtag_ml.ingest.own.records import PassedOver, Rejected, Summary
from vidtag_ml.ingest.own.tables import Outcome
from vidtag_ml.plots import sketch
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
SHOWN = 1000
"""Recordings of a dataset on the page; those of which there is something to tell come first."""
NAMED = 8
"""Files that were passed over for one reason and are named."""
_BEGIN = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>vidtag: ingest report</title>
<style>
:root { color-scheme: light dark; --page: #fff; --ink: #1b2430; --soft: #66758a;
  --line: #dfe5ec; --ground: #f2f5f8; --grid: #e2e8ee; --way: #0a6ebd; --dropped: #d9480f;
  --land: #b8c4d0; --good: #2b8a3e }
@media (prefers-color-scheme: dark) { :root { --page: #0b1018; --ink: #e8eef6; --soft: #8a97a8;
  --line: #243041; --ground: #121a26; --grid: #1b2635; --way: #5ccfe6; --dropped: #ffb454;
  --land: #5a6b82; --good: #bae67e } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem;
  padding: 0 1.2rem; color: var(--ink); background: var(--page) }
h1 { font-size: 1.7rem; margin: 0 0 .3rem }
h2 { font-size: 1.35rem; margin: 2.6rem 0 .2rem; border-top: 1px solid var(--line);
  padding-top: 1.6rem }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .3rem }
p { margin: .2rem 0 } b { font-variant-numeric: tabular-nums }
.soft, .soft b { color: var(--soft) }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
th { font-weight: 500; color: var(--soft) } td:first-child { min-width: 12rem; width: 32% }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr));
  gap: 1.6rem 1.4rem; margin-top: .8rem }
.card { content-visibility: auto; contain-intrinsic-size: auto 24rem; overflow-wrap: anywhere }
.card header { display: flex; justify-content: space-between; gap: .8rem; margin: .5rem 0 .2rem }
.card h4 { margin: 0; font-size: 1rem } .card .soft { font-size: .87rem; line-height: 1.4 }
.card ul { margin: .3rem 0 0; padding-left: 1.1rem }
.card li { margin: .1rem 0 } .card .left { color: var(--dropped) }
"""
_HEAD = """</style>
<h1>Ingest report</h1>
<p>%s. Nothing was changed or deleted.</p>
"""
_KEY = """<p class="soft">On the maps, north is up; a filled circle is the begin, a hollow one the
end, a cross a position that was dropped.</p>
"""


def write(folder: Path, dataset: Path, outcome: Outcome, whole: Outcome) -> tuple[Path, Path]:
    """Writes report.csv and report.html, in which what was said of a dataset gives way to this.

    Args:
        folder: made if need be.
        dataset: the dataset's tables; its name is the dataset's.
        outcome: what became of what was asked for.
        whole: what became of all recordings of the dataset.
    """
    table, page = folder / "report.csv", folder / "report.html"
    lines = Shelf[list[str]]()
    for line in _lines(table, dataset.name, whole.quarantined):
        lines.append(line, f"{line[0]}\0{line[2]}")
    with stage.replacing(table) as aside, _text(aside) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(lines)
    parts = folder / "parts"
    with stage.replacing(parts / f"{dataset.name}.html") as aside, _text(aside) as file:
        file.writelines(_part(dataset, outcome, whole))
    with stage.replacing(page) as aside, _text(aside) as file:
        _write_page(file, lines, parts)
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


def _write_page(file: TextIO, lines: Shelf[list[str]], parts: Path) -> None:
    """All datasets by name: first what was left out, then the parts."""
    num = len(lines)
    told = f"{_counted(num, 'recording')} left out" if num else "Nothing was left out"
    file.writelines((_BEGIN, sketch.STYLE, _HEAD % told, sketch.world(), "\n"))
    by_reason = itertools.groupby(lines.by_key(), key=lambda line: (line[0], line[2]))
    for (dataset, reason), those in by_reason:
        file.writelines(_left_out(dataset, reason, those))
    for part in sorted(parts.glob("*.html")):
        file.write(f"<h2>{html.escape(part.stem)}</h2>\n")
        with part.open(encoding="utf-8", newline="") as text:
            shutil.copyfileobj(text, file)
    file.write("</html>\n")


def _left_out(dataset: str, reason: str, lines: Iterable[list[str]]) -> Iterator[str]:
    """What was left out of a dataset for one reason."""
    why = REASONS.get(reason, "").rstrip(".")
    yield f"<h3>{html.escape(dataset)}: {html.escape(why)} "
    yield f'<span class="soft">{html.escape(reason)}</span></h3>\n'
    yield "<table><tr><th>file<th>what to do\n"
    for _, path, _, advice in lines:
        yield f"<tr><td>{html.escape(path)}<td>{html.escape(advice)}\n"
    yield "</table>\n"


def _part(dataset: Path, outcome: Outcome, whole: Outcome) -> Iterator[str]:
    """What the page says of a dataset besides what was left out."""
    yield from _passed_over(outcome)
    if not whole.accepted:
        return
    num, repaired = len(whole.accepted), whole.num_repaired
    yield f"<h3>{_counted(num, 'recording')}, {repaired:,} of them repaired</h3>\n"
    if num > SHOWN:
        yield f"<p>{SHOWN:,} are shown, repaired ones first; --json tells of all.</p>\n"
    yield _KEY
    yield '<div class="cards">\n'
    yield from _cards(dataset, whole.accepted)
    yield "</div>\n"


def _passed_over(outcome: Outcome) -> Iterator[str]:
    """The files that were found in the last run, and those that nothing came of."""
    files = outcome.num_files
    yield f"<p>The last run found <b>{files['found']:,}</b> files = "
    yield f"<b>{files['used']:,}</b> used + <b>{files['quarantined']:,}</b> quarantined + "
    yield f"<b>{files['passed_over']:,}</b> passed over.</p>\n"
    if not files["passed_over"]:
        return
    yield "<h3>Passed over</h3>\n<table><tr><th>why<th>files\n"
    for told, (num, names) in _grouped(outcome.passed_over).items():
        more = f" and {num - len(names):,} more" if num > len(names) else ""
        shown = html.escape(", ".join(names))
        yield f"<tr><td>{html.escape(told)} ({num:,})<td>{shown}{more}\n"
    yield "</table>\n"


def _grouped(passed_over: Iterable[PassedOver]) -> dict[str, tuple[int, list[str]]]:
    """How many files were passed over for each reason, and the first names."""
    found: dict[str, tuple[int, list[str]]] = {}
    for passed in passed_over:
        told = PASSED_OVER.get(passed.reason, passed.told)
        num, names = found.get(told, (0, []))
        found[told] = num + 1, [*names, passed.path] if num < NAMED else names
    return found


def _cards(dataset: Path, accepted: Sequence[Summary]) -> Iterator[str]:
    """Recordings, those of which there is something to tell first."""
    ranked = Shelf[Summary]()
    for summary in accepted:
        ranked.append(summary, f"{not summary.repairs:d} {summary.path}")
    chosen = list(itertools.islice(ranked.by_key(), SHOWN))
    pictures = _pictures(dataset, {summary.clip_id for summary in chosen})
    for summary in chosen:
        yield _card(summary, pictures[summary.clip_id])


@dataclass(frozen=True)
class _Picture:
    """Where a recording was."""

    place: str
    mode: str
    svg: str
    world: str
    num_off: int
    """Dropped positions that are not on the map."""


def _pictures(dataset: Path, chosen: set[str]) -> dict[str, _Picture]:
    """Pictures of clips, by their names; holds a row group at a time."""
    rows: dict[str, Mapping[str, str]] = {}
    for clips in _row_groups(dataset / "clips.parquet", "clip_id", "city", "country", "mode"):
        kept = clips[clips["clip_id"].isin(chosen)]
        rows |= {row["clip_id"]: row for row in kept.to_dict("records")}
    found = {}
    for fixes in _row_groups(dataset / "fixes.parquet", "clip_id", "lat", "lon", "status"):
        kept = fixes[fixes["clip_id"].isin(chosen)]
        for clip_id, its in kept.groupby("clip_id", sort=False):
            found[str(clip_id)] = _picture(rows[str(clip_id)], its)
    return found


def _row_groups(path: Path, *columns: str) -> Iterator[pd.DataFrame]:
    """Row groups of a table, which hold whole clips."""
    file = parquet.ParquetFile(path)
    for k in range(file.num_row_groups):
        yield file.read_row_group(k, list(columns)).to_pandas()


def _picture(row: Mapping[str, str], fixes: pd.DataFrame) -> _Picture:
    dropped = fixes["status"] == "dropped"
    used_N2 = fixes.loc[~dropped, ["lat", "lon"]].to_numpy(float)
    svg, num_off = sketch.sketch(used_N2, fixes.loc[dropped, ["lat", "lon"]].to_numpy(float))
    lat, lon = used_N2[len(used_N2) // 2]
    place = f"near {row['city']}, {row['country']}"
    return _Picture(place, row["mode"], svg, sketch.world_with((lat, lon)), num_off)


def _card(told: Summary, picture: _Picture) -> str:
    """A recording: where it was, what of its positions was used, and what was done."""
    lasts = f" · {told.duration_s:g} s" if told.duration_s else ""
    facts = f"{_counted(told.num_frames, 'frame')}{lasts} · {picture.mode} · {told.fix_source}"
    left = "".join(
        f' + <span class="left"><b>{num:,}</b> {html.escape(reason)}</span>'
        for reason, num in told.dropped.items()
    )
    off = f" ({picture.num_off:,} of the dropped off the map)" if picture.num_off else ""
    done = "".join(f"<li>{html.escape(repair)}" for repair in told.repairs)
    path = Path(told.path)
    return (
        f'<article class="card">{picture.svg}<header><div><h4>{html.escape(path.name)}</h4>'
        f"<p>{html.escape(picture.place)}</p></div>{picture.world}</header>"
        f"<p><b>{told.num_found:,}</b> {_noun(told.num_found, 'fix')} = "
        f"<b>{told.num_fixes:,}</b> used{left}{off}</p>"
        f"{f'<ul>{done}</ul>' if done else ''}"
        f'<p class="soft">{html.escape(facts)}</p>'
        f'<p class="soft">in {html.escape(str(path.parent))}</p></article>\n'
    )


def _counted(num: int, noun: str) -> str:
    return f"{num:,} {_noun(num, noun)}"


def _noun(num: int, noun: str) -> str:
    return noun if num == 1 else f"{noun}{'es' if noun.endswith('x') else 's'}"
