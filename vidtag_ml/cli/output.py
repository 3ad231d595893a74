"""How the commands' results look: lines, JSON, tables of figures.

Belongs here: printing what a command was given back. Does not belong here: what commands do
(app.py and the modules beside it), progress (workflow/progress.py), how errors look (app.py).
JSON goes to standard output alone and has no NaN, so that any program can read it.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vidtag_ml.earth import origin

if TYPE_CHECKING:
    from vidtag_ml.encoders.catalog import Status
    from vidtag_ml.ingest.own.tables import Outcome
    from vidtag_ml.models.system import Sheet


def print_line(text: str) -> None:
    """Writes a line to standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """Writes JSON to standard output."""
    print_line(json.dumps(value, indent=1, allow_nan=False))


NAMED = 3
"""Recordings of a reason whose names are printed."""


def print_sheet(sheet: "Sheet") -> None:
    """Prints figures as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=sheet.title)
    table.add_column("")
    for name in sheet.columns:
        table.add_column(name, justify="right")
    for cells in sheet.rows:
        table.add_row(*cells)
    Console().print(table)


def print_answer(row: Mapping[str, Any]) -> None:
    """Prints what `vidtag locate` found of a recording: a track, a place, or why there is none."""
    if "error" in row:
        print_line(f"not located: {row['error']}")
        return
    if not row["answered"]:
        print_line(f"{row['video']}: no position: {row['why']}")
    else:
        _print_found(row)
    print_line(f"  by {origin.sentence(row['origin'])}")
    for sentence in row["told"]:
        print_line(f"  {sentence}")
    for file in row["files"]:
        print_line(f"  {file}")


def _print_found(row: Mapping[str, Any]) -> None:
    """Prints a track, a place by its levels, or the one name that was asked for."""
    if "track" in row:
        _print_track(row)
    elif "coarse" in row:
        print_line(f"{row['video']}: {_in(row['place'])}")
    else:
        _print_place(row)


def _in(place: Mapping[str, Any]) -> str:
    return f"in {place['name']} ({100 * place['mass']:.0f} % of the probability)"


def _print_track(row: Mapping[str, Any]) -> None:
    """Its ends, its score, when it began, and how far its own GPS is."""
    placed = [point for point in row["track"] if point["lat"] is not None]
    near = [point["radius_km"] for point in placed if point.get("radius_km") is not None]
    digits = 5 if near and min(near) < 1 else 3
    ends = (f"{p['lat']:.{digits}f}, {p['lon']:.{digits}f}" for p in placed[:1] + placed[-1:])
    where = " to ".join(ends) if placed else "place unknown"
    score = sum(point["score"] for point in row["track"]) / len(row["track"])
    radius_km = row.get("radius_km")
    sure = "" if radius_km is None else f", within {radius_km:,.0f} km all along (90 %)"
    print_line(f"{row['video']}: {where}{sure}, mean score {score:.2f}")
    if "place" in row:
        print_line(f"  {_in(row['place'])}")
    if row["start_time"]:
        print_line(f"  began {row['start_time']}, says {row['start_time_from']}")
    if "median_error_km" in row:
        known = sum(position is not None for position in row["measured"])
        who = "location tag" if row["gps"]["source"] == "location_tag" else "own GPS"
        print_line(
            f"  its {who} says: median error {row['median_error_km']:,.1f} km "
            f"({row['gps']['source']}, at {known} of {len(row['track'])} frames)"
        )


def _print_place(row: Mapping[str, Any]) -> None:
    """The answer, and each level."""
    print_line(f"{row['video']}: {row['answer']}")
    for level, found in row["place"].items():
        print_line(f"  {level:<10} {found['probability']:>6.1%}  {found['name']}")


def print_outcome(outcome: "Outcome") -> None:
    """Prints what became of own recordings: taken in, repaired or left out, and why."""
    for record in outcome.accepted:
        seconds = f", {record.duration_s:g} s" if record.duration_s else ""
        frames = _counted(record.num_frames, "frame", "frames")
        fixes = _counted(record.num_fixes, "fix", "fixes")
        print_line(
            f"{record.path}: {frames}{seconds}, {fixes} ({record.fix_source}) as {record.clip_id}"
        )
        for repair in record.repairs:
            print_line(f"  {repair}")
    _print_by_reason((r.path, f"{r.reason}: {r.advice}") for r in outcome.quarantined)
    _print_by_reason((p.path, f"passed over: {p.told}") for p in outcome.passed_over)
    num, repaired, left = len(outcome.accepted), outcome.num_repaired, len(outcome.quarantined)
    print_line(f"{num} accepted ({repaired} of them repaired), {left} quarantined")
    files = outcome.num_files
    print_line(
        f"  {_counted(files['found'], 'file', 'files')} found = {files['used']} used + "
        f"{files['quarantined']} quarantined + {files['passed_over']} passed over"
    )
    print_line("  data/quarantine/report.html shows all of it, with maps; report.csv for programs")


def _print_by_reason(told: "Iterable[tuple[str, str]]") -> None:
    """Prints each reason with the name of the file or, of several, how many and the first names."""
    found: dict[str, tuple[int, list[str]]] = {}
    for name, reason in told:
        num, names = found.get(reason, (0, []))
        found[reason] = num + 1, [*names, name] if num < NAMED else names
    for reason, (num, names) in found.items():
        if num == 1:
            print_line(f"{names[0]}: {reason}")
            continue
        print_line(f"{num} files: {reason}")
        more = f" and {num - len(names)} more" if num > len(names) else ""
        print_line(f"  {', '.join(names)}{more}")


def print_weights(found: "Sequence[Status]") -> None:
    """Prints weights, a line a file: name, model, size, whether they are usable."""
    for status in found:
        size = f"{status.size_mb:.1f} MB" if status.size_mb else ""
        print_line(f"{status.name:<16} {status.model:<32} {size:>9}  {status.state}".rstrip())


def _counted(num: int, one: str, many: str) -> str:
    return f"{num} {one if num == 1 else many}"
