"""How results are printed."""

import json

import pytest

from vidtag_ml import cli_output


def test_figures_show_what_a_summary_has(capsys):
    summary = {"num_clips": 1, "num_frames": 2, "split": "val", "gallery_size": 3, "dfd_km": 4.0}
    cli_output.print_figures({"vidtag": summary})
    assert "4 km" in capsys.readouterr().out


def test_json_has_no_nan(capsys):
    cli_output.print_json({"median_km": None, "names": ["Z\u00fcrich"]})
    assert json.loads(capsys.readouterr().out) == {"median_km": None, "names": ["Z\u00fcrich"]}
    with pytest.raises(ValueError, match="JSON"):
        cli_output.print_json({"median_km": float("nan")})
