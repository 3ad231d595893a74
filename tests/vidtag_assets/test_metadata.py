"""What the UI shows of a report at once, and what behind one link."""

import urllib.parse

import pandas as pd
from PIL import Image

from vidtag_assets import metadata
from vidtag_ml.models.system import Sheet

SHEET = Sheet(
    "24 test clips, 96 frames",
    ("vidtag",),
    [("frames <= 200 km", "12.3%"), ("frames <= 750 km", "80.0%"), ("median error", "431 km")],
)


def test_a_summary_is_a_picture_of_its_shares_and_then_its_rows():
    picture, title, *rows = metadata.summary(SHEET).value.split("\n\n")
    assert picture.startswith("![shares](data:image/svg+xml,")
    assert "d='M0 2h12M0 6h80'" in urllib.parse.unquote(picture)
    assert title == "24 test clips, 96 frames"
    assert rows[0].splitlines()[0] == "|  | vidtag |"
    assert rows[0].splitlines()[2:] == [f"| {' | '.join(row)} |" for row in SHEET.rows]


def test_a_summary_is_never_so_long_that_the_ui_hides_it():
    long = Sheet("many", ("a", "b"), [(f"row {k}", "1.0%", "some words") for k in range(40)])
    shown = metadata.summary(long).value
    assert len(shown) < metadata.NUM_INLINE
    assert "| row 0 |" in shown


def test_pictures_and_tables_are_behind_one_link():
    table = pd.DataFrame({"a": [1]})
    shown = {"tracks": Image.new("RGB", (64, 32)).save, "worst_clips": table}
    parts = metadata.report(shown).value.split("\n\n")
    assert parts[0] == "**tracks**"
    assert parts[1].startswith("![picture](data:image/jpeg")
    assert parts[2:] == ["**worst clips**", "| a |\n| --- |\n| 1 |"]


def test_sentences_stand_below_each_other():
    assert metadata.bullets(["worse in Asia", "6 clips"]).value == "- worse in Asia\n- 6 clips"
