"""Figures by search, and the flat summary that they stand in."""

from vidtag_ml.models.gama import searches

FIGURES = {
    "flat": {"recall_at_1": 0.5, "num_queries": 3},
    "screening": {"recall_at_1": 0.4},
    "screening_before": {"recall_at_1": 0.3},
    "fused": {"top1_mean_km": 5.0, "median_km": 4.0},
    "fused_turned": {"top1_mean_km": 6.0, "median_km": 3.0},
    "near": {"top1_mean_km": 9.0},
}
PROTOCOL = {"near_km": 170.0, "gallery_md5": "m", "median_km": 3.0, "track": "fused_turned"}


def test_each_search_is_given_back_its_own_figures_alone():
    summary = {**PROTOCOL, **searches.flattened(FIGURES)}
    assert {search: searches.of(summary, search) for search in FIGURES} == FIGURES


def test_a_search_that_a_report_lacks_has_no_figures():
    assert searches.of(PROTOCOL, "path") == {}
