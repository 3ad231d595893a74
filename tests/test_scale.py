"""The page on scale is what its rates come to, and the computation what it says."""

import dataclasses
from pathlib import Path

import pytest

from benchmarks.scale import PLAN, PRICES, RATES, Stage, monthly_usd, stages, table

PAGE = (Path(__file__).parents[1] / "docs" / "scale.md").read_text()


def of(name, **changes):
    found = stages(dataclasses.replace(PLAN, **changes), RATES)
    return next(stage for stage in found if stage.name == name)


def test_the_page_has_the_table_that_its_rates_come_to():
    """If this fails: `python -m benchmarks.scale`, and put what it prints into docs/scale.md."""
    assert table(PLAN, RATES, PRICES) in PAGE
    assert f"costs {monthly_usd(PLAN, RATES, PRICES):,.0f} USD a month" in PAGE


@pytest.mark.parametrize(
    "said",
    [
        f"{RATES.hash_core_s:.2f} core s",
        f"{RATES.probe_core_s} core s",
        f"{RATES.decode_core_s} core s",
        f"{RATES.encode_flop / 1e9:.0f} GFLOP",
        f"{RATES.point_flop / 1e9:.4f} GFLOP",
        f"{RATES.train_clips_per_gpu_s:,.0f} clips of 16 frames a second",
        f"{PLAN.gpu_flop_per_s / 1e12:.0f} TFLOP/s",
        f"{PRICES.gpu_hour:.2f} an hour",
        f"{PRICES.core_hour} for a core alone",
        f"{PRICES.gb_month} a month",
    ],
)
def test_the_page_says_the_rates_and_prices_that_are_computed_with(said):
    assert said in PAGE


def test_features_are_computed_by_hand_alike():
    features = of("features")
    assert features.core_hours == pytest.approx(20_000_000 * 0.0616 / 3600)
    assert features.gpu_hours == pytest.approx(20e6 * 324.0495e9 / 124.8e12 / 3600, rel=1e-4)
    assert features.kept_gb == pytest.approx(20e6 * 1792 * 2 / 1e9)


def test_twice_the_clips_are_twice_the_work_and_the_same_gallery():
    for name in ("ingest", "features", "Phase I", "locating as many clips"):
        one, two = of(name), of(name, clips=2 * PLAN.clips)
        assert two.usd(PLAN, PRICES) == pytest.approx(2 * one.usd(PLAN, PRICES))
    gallery = "gallery, embedded"
    assert of(gallery) == of(gallery, clips=2 * PLAN.clips)
    assert of(gallery, points=2 * PLAN.points).kept_gb == 2 * of(gallery).kept_gb


def test_a_stage_lasts_as_long_as_what_it_needs_most():
    plan = dataclasses.replace(PLAN, gpus=2, cores_per_gpu=4, storage_gb_per_s=1.0)
    assert Stage("", core_hours=16.0, gpu_hours=2.0).hours(plan) == 2.0
    assert Stage("", core_hours=1.0, gpu_hours=6.0).hours(plan) == 3.0
    assert Stage("", gpu_hours=6.0, alone=True).hours(plan) == 6.0
    assert Stage("", core_hours=1.0, gpu_hours=1.0, read_gb=18_000).hours(plan) == 5.0
    assert Stage("", core_hours=3.0, alone=True).usd(plan, PRICES) == 3 * PRICES.core_hour
