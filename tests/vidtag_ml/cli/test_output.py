"""How results are printed."""

import json

import pytest

from vidtag_ml.cli import output as cli_output
from vidtag_ml.ingest.own.records import Rejected
from vidtag_ml.ingest.own.tables import Outcome
from vidtag_ml.models.gps_retrieval import figures


def test_figures_show_what_a_summary_has(capsys):
    summary = {"num_clips": 1, "num_frames": 2, "split": "val", "gallery_size": 3, "dfd_km": 4.0}
    cli_output.print_sheet(figures.side_by_side({"vidtag": summary}))
    assert "4 km" in capsys.readouterr().out


def test_accuracies_are_shown_at_the_thresholds_of_the_evaluation(capsys):
    summary = {"num_clips": 1, "num_frames": 2, "split": "val", "gallery_size": 3}
    summary |= {"acc_2.5km": 0.25, "acc_2.5km_lo": 0.125, "video_acc_2.5km": 0.75}
    cli_output.print_sheet(figures.side_by_side({"vidtag": summary}))
    lines = [line.split("│")[1:3] for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert [[cell.strip() for cell in line] for line in lines] == [
        ["frames <= 2.5 km", "25.0%"],
        ["videos <= 2.5 km", "75.0%"],
    ]


def test_galleries_of_other_sizes_are_told():
    first = {"num_clips": 1, "num_frames": 2, "split": "val", "gallery_size": 3}
    both = {"vidtag": first, "geoclip": first, "classifier": {**first, "gallery_size": 2}}
    assert figures.side_by_side(both).title.endswith("galleries of 3 and 2 points")


def test_json_has_no_nan(capsys):
    cli_output.print_json({"median_km": None, "names": ["Z\u00fcrich"]})
    assert json.loads(capsys.readouterr().out) == {"median_km": None, "names": ["Z\u00fcrich"]}
    with pytest.raises(ValueError, match="JSON"):
        cli_output.print_json({"median_km": float("nan")})


def test_equal_reasons_are_one_line_with_the_first_names(capsys):
    many = [Rejected(f"{k}.mp4", "no_position", "put a GPX beside it", []) for k in range(17)]
    other = Rejected("bad.mp4", "unreadable", "cut off", [])
    cli_output.print_outcome(Outcome(quarantined=[*many[:9], other, *many[9:]]))
    assert capsys.readouterr().out.splitlines()[:4] == [
        "17 files: no_position: put a GPX beside it",
        "  0.mp4, 1.mp4, 2.mp4 and 14 more",
        "bad.mp4: unreadable: cut off",
        "0 accepted (0 of them repaired), 18 quarantined",
    ]
