"""Model cards and verdicts as text: what they say, and that they fit where they are kept."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests.fifth_system.system import SYSTEM as TOY
from vidtag_ml.models import card, comparison, gate
from vidtag_ml.models.comparison import RATIOS
from vidtag_ml.models.vidtag.system import SYSTEM

NUM = 40
IDS = [f"clip-{k:02d}" for k in range(NUM)]
OURS = pd.Series(np.log(np.r_[np.full(31, 50.0), np.full(9, 5000.0)]), IDS)
THEIRS = pd.Series(np.full(NUM, np.log(100.0)), IDS)
LABELS = pd.DataFrame(
    {
        "continent": ["Asia"] * 20 + ["Africa"] * 11 + ["Oceania"] * 9,
        "time of day": [None] * NUM,
    },
    index=IDS,
)
TAGS = {"git_commit": "0123456789abcdef+changes", "dvc.clips": "c.dir", "params": "p"}
SUMMARY = {
    "model": "vidtag", "split": "val", "median_km": 50.0, "median_km_lo": 40.0,
    "median_km_hi": 60.0, "gallery": "lattice", "gallery_size": 166688, "oracle_median_km": 16.0,
    "gallery_md5": "0" * 32,
}  # fmt: skip


@pytest.fixture
def clips(tables):
    return tables.clips


def body(system, clips, summary):
    val = comparison.profile(RATIOS, OURS, LABELS)
    return card.body(system, clips, {"val": summary, "test": summary}, val, TAGS)


def test_a_card_says_what_for_whom_and_from_which_data_under_which_licence(clips):
    told = body(SYSTEM, clips, SUMMARY)
    titles = [line[3:] for line in told.splitlines() if line.startswith("## ")]
    assert titles == ["For whom", "Data", "Figures", "Limits", "Licence"]
    assert "VidTAG: gives tracks. Made by code 0123456789ab with changes" in told
    assert "flyover (6)" in told
    assert "| train | 6 |" in told
    assert all(licence in told for licence in clips["licence"].unique())


@pytest.mark.parametrize(("num", "told"), [(1, "and not say so"), (40, "Most others get no")])
def test_a_card_says_what_becomes_of_other_videos(clips, num, told):
    val = clips.head(1).assign(split="val")
    many = pd.concat([clips[clips["split"] == "train"], *[val] * num])
    assert told in body(SYSTEM, many, SUMMARY)


def test_figures_of_a_card_have_intervals_and_their_gallery(clips):
    told = body(SYSTEM, clips, SUMMARY)
    assert "| median_km | 50 [40, 60] | 50 [40, 60] |" in told
    assert "Gallery: lattice, 166,688 entries" in told
    assert "its own median error 16 km" in told


def test_limits_name_the_worst_the_few_and_the_unknown(clips):
    told = body(SYSTEM, clips, SUMMARY)
    assert "Typical figure on val: 141 km (40 clips)" in told
    assert "Hardly measured, fewer than 10 clips: Oceania (9)" in told
    assert "Not known of the clips, so not measured by: time of day" in told
    shuffled = LABELS.assign(continent=["Asia"] * 10 + ["Africa"] * 20 + ["Asia"] * 10)
    worst = comparison.profile(RATIOS, OURS, shuffled)
    assert "Worst on: Asia: " in card.body(SYSTEM, clips, {"val": SUMMARY}, worst, TAGS)


def test_a_system_of_little_has_a_card_too(clips):
    told = body(TOY, clips, {"right": 1, "split": "val"})
    assert "Toy: gives legends" in told
    assert "| right | 1 | 1 |" in told
    assert "Gallery" not in told


def verdict(labels=LABELS, **how):
    rows = gate.compared(
        gate.Rule("val clips", lambda s: s, lambda _a, _b: None, RATIOS), OURS, THEIRS, labels, 50
    )
    return gate.Verdict(promoted=False, reasons=("bad", "good"), num_against=1,
                        rival="champion 1", rows=rows)  # fmt: skip


def test_a_verdict_is_a_table_with_intervals():
    told = card.verdict(verdict(), RATIOS)
    assert "The gate: not promoted, compared with champion 1." in told
    assert "- no: bad\n- yes: good" in told
    assert "| Asia | 20 | 50 | 100 | 0.50 [0.50, 0.50] times | better |" in told
    assert "| Oceania | 9 | 5,000 | 100 | 50.0 times the error | too few to judge |" in told


def test_a_later_verdict_takes_the_place_of_the_earlier_one(clips):
    first = card.with_verdict(body(SYSTEM, clips, SUMMARY), card.verdict(verdict(), RATIOS))
    other = dataclasses.replace(verdict(), promoted=True, num_against=0, rival="champion 2")
    second = card.with_verdict(first, card.verdict(other, RATIOS))
    assert second.count(card.VERDICT) == 1
    assert "promoted, compared with champion 2" in second
    assert "champion 1" not in second
    assert "## For whom" in second


def test_a_card_is_cut_between_lines_where_the_registry_would_cut_it(clips):
    many = LABELS.assign(camera=[f"a camera of a long name {k}" for k in range(NUM)])
    long = card.with_verdict(
        body(SYSTEM, clips, SUMMARY), card.verdict(verdict(many), RATIOS) + "\n| x |" * 500
    )
    kept = card.fitting(long)
    assert len(kept) <= card.MOST_CHARACTERS
    assert kept.endswith("among the artifacts of its run)")
    assert card.fitting("short") == "short"
