"""The model card: what a version is, for whom, from which data, how good, where not (Markdown).

After Mitchell et al., Model Cards for Model Reporting (2019).

Belongs here: its text, from values. Does not belong here: where it is kept
(vidtag_assets.release.cards), measuring, comparing (comparison.py), the verdict itself (gate.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from vidtag_ml.metrics import conformal
from vidtag_ml.models.comparison import LEAST_UNITS, Profile, Row, Scale, Typical, number
from vidtag_ml.models.gate import Verdict
from vidtag_ml.models.system import System

MOST_CHARACTERS = 5000
"""What MLflow's registry keeps of a description, on PostgreSQL."""
MOST_FIGURES = 8
VERDICT = "## Verdict"
"""Begin of the part that each decision writes anew."""
NUM_WORST = 3
"""Slices that are named as the worst."""
_CUT = "\n\n(cut: the whole card is `card.md` among the artifacts of its run)"


def body(
    system: System,
    clips: pd.DataFrame,
    summaries: Mapping[str, Mapping[str, Any]],
    val: Profile,
    tags: Mapping[str, str],
) -> str:
    """All of a card but the verdict.

    Args:
        system: what it is a version of.
        clips: the table of clips that it was made from.
        summaries: of its reports, by split.
        val: how it does on the val clips, slice by slice.
        tags: of the version.
    """
    parts = {
        "For whom": _for_whom(clips),
        "Data": _data(clips),
        "Figures": _figures(system, summaries),
        "Limits": _limits(val),
        "Licence": _licence(clips),
    }
    told = [f"## {title}\n\n{text}" for title, text in parts.items()]
    return "\n\n".join([_what(system, tags), *told])


def verdict(found: Verdict, scale: Scale) -> str:
    """What the gate said: each reason, whether it allows promotion, and the table of slices."""
    said = "promoted" if found.promoted else "not promoted"
    against = f", compared with {found.rival}" if found.rival else ""
    marks = ["no" if k < found.num_against else "yes" for k in range(len(found.reasons))]
    lines = [f"- {mark}: {reason}" for mark, reason in zip(marks, found.reasons, strict=True)]
    parts = [f"{VERDICT}\n\nThe gate: {said}{against}.", "\n".join(lines)]
    return "\n\n".join([*parts, slices(found.rows, scale)] if found.rows else parts)


def slices(rows: Sequence[Row], scale: Scale) -> str:
    """Rows as a table; intervals of slices hold for all of them together."""
    head = ("slice", "units", f"ours {scale.unit}".strip(), "theirs", "change [95 %]", "")
    return markdown(head, [_cells(row, scale) for row in rows])


def _cells(row: Row, scale: Scale) -> list[str]:
    change = scale.changed(row) if row.low is not None else scale.loss(row)
    return [row.name, f"{row.num:,}", number(row.ours), number(row.theirs), change, row.judged]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def with_verdict(card: str, told: str) -> str:
    """A card whose verdict is this one."""
    return f"{card.partition(VERDICT)[0].rstrip()}\n\n{told}"


def fitting(card: str) -> str:
    """A card as far as MLflow's registry keeps it, cut between lines."""
    if len(card) <= MOST_CHARACTERS:
        return card
    return card[: MOST_CHARACTERS - len(_CUT)].rpartition("\n")[0] + _CUT


def _what(system: System, tags: Mapping[str, str]) -> str:
    commit, changes, _ = tags["git_commit"].partition("+")
    return (
        f"{system.title}: gives {system.bundled.kind}. Made by code {commit[:12]}"
        f"{' with changes' if changes else ''}, data {tags['dvc.clips'][:12]}, parameters "
        f"{tags['params'][:12]}; `vidtag trace` has all of it."
    )


def _for_whom(clips: pd.DataFrame) -> str:
    """What it may be asked about: more of what it was trained on."""
    train, num_val = clips[clips["split"] == "train"], int((clips["split"] == "val").sum())
    modes, places = _counts(train["mode"]), _counts(train["continent"])
    return (
        f"Videos like those that it was trained on: {modes}; from {places}. "
        f"{_others(num_val)}: where a model was never measured, believe none of its answers. Not "
        "to find people, nor to decide about them: docs/responsible-use.md."
    )


def _others(num_val: int) -> str:
    """What becomes of other videos, by how many val clips told what it knows."""
    if num_val < conformal.LEAST_CLIPS:
        return (
            f"With {num_val} val clips (fewer than {conformal.LEAST_CLIPS}) it may answer for any "
            "other video as well, wrongly, and not say so"
        )
    return "Most others get no answer; some get a wrong one that looks right"


def _data(clips: pd.DataFrame) -> str:
    rows = []
    for split in ("train", "val", "test"):
        part = clips[clips["split"] == split]
        hours = f"{part['duration_s'].sum() / 3600:,.1f}"
        countries = f"{part['country'].nunique():,}"
        rows.append((split, f"{len(part):,}", hours, f"{part['group_id'].nunique():,}", countries))
    head = ("split", "clips", "hours", "groups", "countries")
    shared = int(clips[["group_id", "split"]].drop_duplicates()["group_id"].duplicated().sum())
    return (
        f"{markdown(head, rows)}\n\nDatasets: {_counts(clips['dataset'])}. Groups that are in more "
        f"than one split: {shared}."
    )


def _figures(system: System, summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The headline with intervals where there are any, and what was searched."""
    first = next(iter(summaries.values()))
    names = [n for n, v in system.headline(first).items() if _is_number(v)][:MOST_FIGURES]
    rows = [(name, *(_figure(summary, name) for summary in summaries.values())) for name in names]
    table = markdown(("figure [95 %]", *summaries), rows)
    return "\n\n".join(filter(None, (table, _gallery(first))))


def _figure(summary: Mapping[str, Any], name: str) -> str:
    ends = [summary[key] for end in ("lo", "hi") if _is_number(summary.get(key := f"{name}_{end}"))]
    told = f" [{number(ends[0])}, {number(ends[1])}]" if len(ends) == 2 else ""
    return f"{number(summary[name])}{told}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _gallery(summary: Mapping[str, Any]) -> str:
    """What was searched, and how good an answer from it can be."""
    if "gallery_size" not in summary:
        return ""
    known = [f"{summary['gallery_size']:,} entries"]
    known += [f"md5 {summary['gallery_md5'][:12]}"] if "gallery_md5" in summary else []
    oracle = summary.get("oracle_median_km")
    known += [] if oracle is None else [f"its own median error {number(oracle)} km"]
    return f"Gallery: {summary.get('gallery', 'unknown')}, {', '.join(known)}."


def _limits(val: Profile) -> str:
    """The slices where it is worst, those of few clips, and the kinds that are not known."""
    large = [row for row in val.rows[1:] if row.num >= LEAST_UNITS and row.loss > 0]
    worst = sorted(large, key=lambda row: -row.loss)[:NUM_WORST]
    few = [f"{row.name} ({row.num})" for row in val.rows[1:] if row.num < LEAST_UNITS]
    told = {
        "Typical figure on val": _typical(val.rows[0], val.scale),
        "Worst on": "; ".join(f"{row.name}: {_typical(row, val.scale)}" for row in worst),
        f"Hardly measured, fewer than {LEAST_UNITS} clips": _some(few),
        "Not known of the clips, so not measured by": ", ".join(val.unknown),
    }
    return "\n".join(f"- {title}: {text}" for title, text in told.items() if text)


def _typical(row: Typical, scale: Scale) -> str:
    return f"{number(row.figure)}{f' {scale.unit}' if scale.unit else ''} ({row.num} clips)"


def _some(names: Sequence[str], named: int = 8) -> str:
    more = f" and {len(names) - named} more" if len(names) > named else ""
    return ", ".join(names[:named]) + more


def _licence(clips: pd.DataFrame) -> str:
    licences = _counts(clips["licence"], named=6)
    return f"Code: Apache-2.0. Clips: {licences}. The bundle's encoders have cards of their own."


def _counts(values: "pd.Series[str]", named: int = 8) -> str:
    """The most frequent values with how many there are of each."""
    counts = values.fillna("unknown").value_counts()
    return _some([f"{name} ({num:,})" for name, num in counts.items()], named)
