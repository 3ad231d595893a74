"""The benchmark's table as people and programs read it: Markdown, CSV, JSON and pictures.

Belongs here: which figures are shown and how they are written. Does not belong here: where they
come from (models/vidtag/benchmark.py), how pictures are drawn (plots/maps.py).
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.metrics import paired
from vidtag_ml.models.gps_retrieval.evaluate import train_distance_km
from vidtag_ml.models.report import Report
from vidtag_ml.models.vidtag import ablations
from vidtag_ml.workflow import layout, measuring, stage

if TYPE_CHECKING:
    from collections.abc import Sequence


SHOWN_TRACKS = 3
"""Clips whose tracks are drawn: with the median error of a good, a middling and a bad one."""
DRAWN = ("GeoCLIP fine-tuned", ablations.TEMPGEO, ablations.REFINED, "TempGeo + Viterbi")
"""Rows in the pictures."""


def write(root: Path, params: config.Params, table: pd.DataFrame, out: Path) -> list[Path]:
    """Writes benchmark.json, .csv, .md and, where rows allow, pictures; returns the paths."""
    paths = [out / f"benchmark.{kind}" for kind in ("json", "csv", "md")]
    records = as_json(table)
    stage.write_text(paths[0], json.dumps(records, indent=1, allow_nan=False) + "\n")
    stage.write_text(paths[1], table.to_csv(index=False, lineterminator="\n"))
    stage.write_text(paths[2], markdown(table))
    split = str(table["split"].iloc[0])
    names = [name for name in DRAWN if name in set(table["row"])]
    folders = root / "out" / "benchmark" / "rows" / split
    reports = {name: Report.read(folders / measuring.slug(name)) for name in names}
    tables = clip_tables.read(layout.of(root, params).dataset)
    return paths + (_pictures(reports, tables, params, out) if reports else [])


def as_json(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The records as plain values; figures that a row has not are left out."""
    records = json.loads(table.to_json(orient="records", double_precision=15))
    return [{k: v for k, v in record.items() if v is not None} for record in records]


def _pictures(
    reports: dict[str, Report], tables: clip_tables.Tables, params: config.Params, out: Path
) -> list[Path]:
    from vidtag_ml.plots import charts, maps

    frames = {name: report.frames.dropna(subset="error_km") for name, report in reports.items()}
    errors = {name: table["error_km"] for name, table in frames.items()}
    paths = [charts.error_cdf(errors, out / "errors.png")]
    truth_N2 = next(iter(frames.values()))[["true_lat", "true_lon"]].to_numpy(float)
    distance = train_distance_km(tables, truth_N2)
    within_km = sorted(params.evaluation.accuracy_km)[len(params.evaluation.accuracy_km) // 2]
    if np.isfinite(distance).all():
        path = out / "distance.png"
        paths.append(charts.accuracy_by_distance(distance, errors, within_km, path))
    last = list(reports.values())[-1]
    order = last.per_clip.sort_values("median_km")["clip_id"].tolist()
    chosen = [order[round(share * (len(order) - 1))] for share in (0.25, 0.6, 0.95)]
    tracks, truths = [], {}
    for clip in chosen[:SHOWN_TRACKS]:
        for name, report in reports.items():
            (track,) = (t for t in report.tracks if t.clip == clip)
            label = f"{clip}, {name}"
            tracks.append(replace(track, clip=label))
            truths[label] = report.truths[clip]
    sheet = maps.tracks_sheet(tracks, truths, out / "tracks.png", columns=len(reports))
    return [*paths, sheet]


def markdown(table: pd.DataFrame) -> str:
    """The table in Markdown, a part for each group of rows; accuracies in per cent.

    A part's comparisons are corrected for their number (`paired.holm`): all that it marks is sure
    together.
    """
    table = pd.concat([_marked(rows) for _, rows in table.groupby("group", sort=False)])
    kind = table["group"].str.extract("^(Places|Cross-view):")[0].fillna("Tracks")
    write_of = {"Tracks": _tracks, "Places": _places, "Cross-view": _cross_view}
    there = [name for name in write_of if (kind == name).any()]
    return "\n".join(write_of[name](table[kind == name]) for name in there)


def _marked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a part with a column `sure_FIGURE` beside each `p_FIGURE`."""
    names = [name for name in rows.columns if name.startswith("p_")]
    p_RK = rows[names].to_numpy(float)
    sure_RK = np.zeros(p_RK.shape, bool)
    sure_RK[np.isfinite(p_RK)] = paired.holm(p_RK[np.isfinite(p_RK)])
    return rows.assign(**{f"sure_{name[2:]}": sure_RK[:, k] for k, name in enumerate(names)})


def _places(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    about = (
        f"Dataset {first['dataset']}, split {first['split']}: {first['num_clips']:.0f} clips and "
        "their city, state, country and continent. In brackets: 95 % bootstrap intervals over "
        "clips. ▲ ▼: better or worse than the row that it is compared with, clip by clip, by more "
        "than chance (95 % for all marks of a part together, Holm). ECE: mean calibration error of "
        "the four levels, of probabilities calibrated on val."
    )
    lines = [about]
    head = ["Row", *LEVELS, "top-5 city", "top-5 country", "consistency", "ECE", "gallery"]
    head += ["parameters M", "ms a frame", "peak MB"]
    for group, rows in table.groupby("group", sort=False):
        lines += ["", f"**{group}**", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for row in rows.to_dict("records"):
            cells = [row["row"], *(_share(row, f"acc_{level}") for level in LEVELS)]
            cells += [_given(row, k, 100, ".1f") for k in ("top5_city", "top5_country")]
            cells += [_percent(row, "consistency"), _given(row, "ece", 100, ".1f"), row["gallery"]]
            cells += [_given(row, "parameters", 1e-6, ".1f")]
            cells += [_given(row, "seconds_per_frame", 1e3, ".2f")]
            cells += [_given(row, "peak_memory_mb", 1, ",.0f")]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cross_view(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    near = f"{first['near_km']:.0f} km"
    about = (
        f"Dataset {first['dataset']}, split {first['split']}: {first['num_clips']:.0f} videos. "
        f"Tiles are {first['tile_km']:.0f} km wide in the mean; one within {near} of the query "
        "counts as right, as does its own. In brackets: 95 % bootstrap intervals over videos. ▲ ▼: "
        "better or worse than the row that it is compared with, video by video, by more than "
        "chance (95 % for all marks of a part together, Holm). Median km: error of the positions "
        "along a way."
    )
    recalls = ("recall_at_1", "recall_at_5", "recall_at_10", "recall_at_1pct", "recall_at_10pct")
    distances = [c for c in table.columns if c.startswith("top1_at_")]
    in_tiles = any(c.endswith("tiles") for c in distances)
    within = [c for c in distances if c.endswith("tiles" if in_tiles else "mile")]
    head = ["Row", "gallery", *(c.replace("ecall_at_", "@").replace("r@", "R@") for c in recalls)]
    head += [c.replace("top1_at_", "top-1 at ") for c in within]
    head += ["mean top-1 km", "median km"]
    lines = [about]
    for group, rows in table.groupby("group", sort=False):
        lines += ["", f"**{group}**", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for row in rows.to_dict("records"):
            cells = [row["row"], _given(row, "gallery_size", 1, ",.0f"), _bounded(row, recalls[0])]
            cells += [_given(row, name, 100, ".1f") for name in (*recalls[1:], *within)]
            cells += [_given(row, "top1_mean_km", 1, ",.0f"), _given(row, "median_km", 1, ",.0f")]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _bounded(row: dict[Any, Any], name: str) -> str:
    value = _given(row, name, 100, ".1f")
    low, high = (_given(row, f"{name}_{end}", 100, ".1f") for end in ("lo", "hi"))
    return value and f"{value}{_difference(row, name)} [{low}, {high}]"


def _share(row: dict[Any, Any], name: str) -> str:
    low, high = (f"{row[f'{name}_{end}'] * 100:.0f}" for end in ("lo", "hi"))
    return f"{_percent(row, name)} [{low}, {high}]"


def _given(row: dict[Any, Any], name: str, factor: float, form: str) -> str:
    """A figure that some rows have not."""
    value = row.get(name)
    return "" if value is None or pd.isna(value) else format(value * factor, form)


def _tracks(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    thresholds = [c for c in table.columns if _is_accuracy(c)]
    about = (
        f"Dataset {first['dataset']}, split {first['split']}: {first['num_clips']:.0f} clips, "
        f"{first['num_frames']:.0f} frames. Gallery of the params: {_gallery(table)}. In brackets: "
        "95 % bootstrap intervals over clips. ▲ ▼: better or worse than the row that it is "
        "compared with, clip by clip, by more than chance (95 % for all marks of a part together, "
        "Holm; of median and DFD the ratio). Leakage audit: "
        f"{first['shared_groups']:.0f} groups and {first['shared_contents']:.0f} videos are in two "
        f"splits; {first['near_train_25km']:.0%} of the fixes lie within 25 km of a train fix, "
        f"{first['near_train_1km']:.1%} within 1 km. What encoders and starting weights have "
        "seen before is no part of that: their cards, beside them, say it."
    )
    lines = [about]
    for group, rows in table.groupby("group", sort=False):
        lines += ["", f"**{group}**", "", *_part(rows, thresholds)]
    return "\n".join([*lines, *_over_seeds(table, thresholds)]) + "\n"


def _over_seeds(table: pd.DataFrame, thresholds: "Sequence[str]") -> list[str]:
    """Rows that were trained with several seeds: means, and in brackets the least and the most."""
    headline = table["seed_of"].fillna(table["row"])
    trained = table[headline.isin(table["seed_of"].dropna())].groupby(headline, sort=False)
    figures = dict.fromkeys(thresholds, 100.0) | {"median_km": 1.0, "p95_km": 1.0, "dfd_km": 1.0}
    head = ["Row", "seeds", *figures]
    lines = ["", "**Over seeds of training: mean [least, most]**", "", f"| {' | '.join(head)} |"]
    lines.append("|" + "---|" * len(head))
    for name, rows in trained:
        cells = [str(name), str(len(rows))]
        for figure, factor in figures.items():
            low, mean, high = (rows[figure].agg(way) * factor for way in ("min", "mean", "max"))
            cells.append(f"{mean:.1f} [{low:.1f}, {high:.1f}]")
        lines.append(f"| {' | '.join(cells)} |")
    return lines if len(trained) else []


def _gallery(table: pd.DataFrame) -> str:
    rows = table[table["row"].isin(DRAWN)]
    row = (rows if len(rows) else table).iloc[0]
    return (
        f"{row['gallery']}, {row['gallery_size']:,.0f} points (md5 {row['gallery_md5'][:8]}), "
        f"oracle median {row['oracle_median_km']:.3g} km, {row['leak_frames']:.0f} evaluation "
        "fixes in it"
    )


def _is_accuracy(column: str) -> bool:
    return column.startswith("acc_") and column.endswith("km")


def _part(rows: pd.DataFrame, thresholds: "Sequence[str]") -> list[str]:
    head = ["Row", *(f"<= {c.removeprefix('acc_').removesuffix('km')} km" for c in thresholds)]
    head += ["median km", "p95", "p99", "max", "videos: median km", "DFD km", "DFD deg", "MRD km"]
    head += ["MRD deg", "oracle km", "parameters M", "ms a frame", "peak MB"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows.to_dict("records"):
        cells = [row["row"], *(_percent(row, c) for c in thresholds), _with_interval(row)]
        cells += [f"{row[c]:,.0f}" for c in ("p95_km", "p99_km", "max_km")]
        dfd = f"{row['dfd_km']:,.0f}{_difference(row, 'dfd_km')}"
        cells += [f"{row['video_median_km']:.1f}", dfd, f"{row['dfd_deg']:.2f}"]
        cells += [f"{row['mrd_km']:,.0f}", f"{row['mrd_deg']:.2f}"]
        cells += [f"{row['oracle_median_km']:.1f}", f"{row['parameters'] / 1e6:.1f}"]
        cells += [f"{row['seconds_per_frame'] * 1e3:.1f}", f"{row['peak_memory_mb']:,.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _percent(row: dict[Any, Any], name: str) -> str:
    text = f"{row[name]:.1%}".replace("%", "")
    return text + _difference(row, name)


def _difference(row: dict[Any, Any], name: str) -> str:
    """A mark where the row is surely better or worse in this than the one it is compared with."""
    if not row.get(f"sure_{name}", False):
        return ""
    smaller = row.get(f"ratio_{name}")
    better = row[f"diff_{name}"] > 0 if smaller is None or pd.isna(smaller) else smaller < 1
    return " ▲" if better else " ▼"


def _with_interval(row: dict[Any, Any]) -> str:
    low, high = row["median_km_lo"], row["median_km_hi"]
    return f"{row['median_km']:.1f}{_difference(row, 'median_km')} [{low:.1f}, {high:.1f}]"
