"""Figures on places, as people read them."""

from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.models.cityguessr import figures


def test_an_error_is_no_share_of_which_more_would_be_better():
    shares = [key.format(level) for key in figures.ROWS.values() for level in LEVELS]
    summary = dict.fromkeys(shares, 0.5) | {"num_clips": 2, "split": "test", "consistency": 1.0}
    summary |= {f"ece_{level}": 0.1234 for level in LEVELS} | {"inference": "codependent"}
    summary |= {f"num_{level}": 10 for level in LEVELS}
    *rows, error = figures.sheet(summary).rows
    assert {cell for row in rows for cell in row[1:]} == {"50.0%"}
    assert error == ("calibration error", *["0.123"] * len(LEVELS))
