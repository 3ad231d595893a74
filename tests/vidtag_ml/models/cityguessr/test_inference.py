"""Tests of vidtag_ml.models.cityguessr.inference."""

import numpy as np
import pytest

from vidtag_ml.dataset.hierarchy import LEVELS, Hierarchy
from vidtag_ml.metrics import bootstrap
from vidtag_ml.models.cityguessr import inference

ROWS = [
    ("Abu_Dhabi", "Abu Dhabi", "United Arab Emirates", "Asia"),
    ("Austin", "Texas", "United States", "North America"),
    ("Dallas", "Texas", "United States", "North America"),
    ("Memphis", "Tennessee", "United States", "North America"),
    ("Pune", "Maharashtra", "India", "Asia"),
    ("Singapore", "Singapore", "Singapore", "Asia"),
]
WORLD = Hierarchy.of_rows(ROWS)
ABU_DHABI, AUSTIN, DALLAS, MEMPHIS, PUNE, SINGAPORE = WORLD.ancestors_C4


def _logs(*levels):
    """Logits of one clip, whose softmax the levels' shares are."""
    return [np.log(np.array([level])) - 1.0 for level in levels]


SHARES = (
    [0.1, 0.2, 0.2, 0.3, 0.1, 0.1],
    [0.1, 0.3, 0.1, 0.4, 0.1],
    [0.2, 0.3, 0.4, 0.1],
    [0.6, 0.4],
)


def _random(clips=200, seed=0, scale=3.0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0.0, scale, (clips, size)) for size in WORLD.sizes]


def _softmax(row):
    powers = [np.exp(value - max(row)) for value in row]
    return [power / sum(powers) for power in powers]


def test_codependent_gives_parents_the_sums_of_their_cities():
    city, state, country, continent = inference.probabilities(_logs(*SHARES), WORLD, "codependent")
    assert city[0] == pytest.approx(SHARES[0])
    assert state[0] == pytest.approx([0.1, 0.4, 0.3, 0.1, 0.1])
    assert country[0] == pytest.approx([0.1, 0.7, 0.1, 0.1])
    assert continent[0] == pytest.approx([0.3, 0.7])


def test_codependent_answers_the_best_city_and_its_ancestors():
    found = inference.probabilities(_logs(*SHARES), WORLD, "codependent")
    assert inference.answer(found, WORLD, "codependent").tolist() == [MEMPHIS.tolist()]


def test_independent_heads_do_not_hear_of_each_other():
    found = inference.probabilities(_logs(*SHARES), WORLD, "independent")
    assert [level[0].tolist() for level in found] == [pytest.approx(level) for level in SHARES]
    assert inference.answer(found, WORLD, "independent").tolist() == [[3, 3, 2, 0]]


def test_product_multiplies_each_level_with_its_parent_s():
    city, state, country, continent = inference.probabilities(_logs(*SHARES), WORLD, "product")
    assert continent[0] == pytest.approx([0.6, 0.4])
    assert country[0] == pytest.approx(np.array([0.12, 0.12, 0.24, 0.06]) / 0.54)
    assert state[0] == pytest.approx(np.array([12, 36, 12, 96, 6]) / 162)
    assert city[0] == pytest.approx(np.array([12, 72, 72, 36, 96, 6]) / 294)


def test_product_agrees_with_plain_loops():
    logits, found = _random(20), inference.probabilities(_random(20), WORLD, "product")
    for clip in range(20):
        above = _softmax(logits[3][clip])
        for level in (2, 1, 0):
            own, parent = _softmax(logits[level][clip]), WORLD.parents[level]
            masses = [own[k] * above[parent[k]] for k in range(len(own))]
            above = [mass / sum(masses) for mass in masses]
            assert found[level][clip] == pytest.approx(above)


def test_tree_gives_mass_to_paths_that_exist_alone():
    city, state, country, continent = inference.probabilities(_logs(*SHARES), WORLD, "tree")
    weights = np.array([12, 72, 72, 36, 96, 6])
    assert city[0] == pytest.approx(weights / 294)
    assert state[0] == pytest.approx(np.array([12, 144, 36, 96, 6]) / 294)
    assert country[0] == pytest.approx(np.array([12, 180, 96, 6]) / 294)
    assert continent[0] == pytest.approx(np.array([114, 180]) / 294)


def test_tree_descends_and_may_pass_the_best_city_by():
    found = inference.probabilities(_logs(*SHARES), WORLD, "tree")
    assert found[0].argmax() == PUNE[0]
    assert inference.answer(found, WORLD, "tree").tolist() == [AUSTIN.tolist()]


@pytest.mark.parametrize("how", ["codependent", "tree"])
def test_parents_are_never_less_probable_and_answers_are_paths(how):
    found = inference.probabilities(_random(), WORLD, how)
    for below, above, parent in zip(found, found[1:], WORLD.parents, strict=False):
        assert (above[:, parent] >= below).all()
    paths = set(map(tuple, WORLD.ancestors_C4.tolist()))
    assert set(map(tuple, inference.answer(found, WORLD, how).tolist())) <= paths


@pytest.mark.parametrize("how", inference.INFERENCES)
def test_each_level_sums_to_one_even_where_logits_are_extreme(how):
    extreme = [logits * 1000.0 for logits in _random(50)]
    for level in inference.probabilities(extreme, WORLD, how):
        assert level.sum(1) == pytest.approx(np.ones(50))


@pytest.mark.parametrize("how", inference.INFERENCES)
def test_a_high_temperature_makes_all_cities_alike(how):
    city, *_ = inference.probabilities(_random(5), WORLD, how, (1e9,) * 4)
    assert city == pytest.approx(np.full((5, 6), 1 / 6))


def test_what_cannot_be_scores_of_the_classes_is_refused():
    logits = _random(3)
    with pytest.raises(ValueError, match="no inference is called 'beam'"):
        inference.probabilities(logits, WORLD, "beam")
    with pytest.raises(ValueError, match=r"do not fit \(6, 5, 4, 2\) classes"):
        inference.probabilities(logits[::-1], WORLD, "tree")
    with pytest.raises(ValueError, match="a logit is not finite"):
        inference.probabilities([*logits[:3], logits[3] * np.nan], WORLD, "tree")
    with pytest.raises(ValueError, match="four positive numbers"):
        inference.probabilities(logits, WORLD, "tree", (1.0, 1.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="no inference is called 'beam'"):
        inference.answer(logits, WORLD, "beam")


def _drawn(probabilities_NK, seed=1):
    """True classes, as often as their probabilities say."""
    at_N1 = np.random.default_rng(seed).random((len(probabilities_NK), 1))
    return (probabilities_NK.cumsum(1) < at_N1).sum(1).clip(max=probabilities_NK.shape[1] - 1)


def _paths(city_N):
    return WORLD.ancestors_C4[city_N]


@pytest.mark.parametrize("how", ["codependent", "tree"])
def test_one_temperature_of_the_cities_is_recovered(how):
    logits = _random(8000)
    city_NC = inference.probabilities(logits, WORLD, how, (2.5,) * 4)[0]
    found = inference.temperatures(logits, _paths(_drawn(city_NC)), WORLD, how)
    assert found == pytest.approx((2.5,) * 4, rel=0.1)
    assert len(set(found)) == 1


@pytest.mark.parametrize("how", ["independent", "product"])
def test_a_temperature_of_each_head_is_recovered(how):
    logits, truth = _random(8000), (0.5, 1.0, 2.0, 4.0)
    levels = inference.probabilities(logits, WORLD, "independent", truth)
    true_N4 = np.stack([_drawn(level, seed) for seed, level in enumerate(levels)], 1)
    assert inference.temperatures(logits, true_N4, WORLD, how) == pytest.approx(truth, rel=0.1)


def test_clips_without_a_class_do_not_change_a_temperature():
    logits = _random(300)
    true_N4 = _paths(np.arange(300) % 6)
    true_N4[200:, :2] = -1
    known = inference.temperatures([head[:200] for head in logits], true_N4[:200], WORLD, "tree")
    assert inference.temperatures(logits, true_N4, WORLD, "tree") == pytest.approx(known)


def test_a_head_that_is_always_right_stops_at_the_coldest_temperature():
    logits = [np.eye(size)[_paths(np.arange(6))[:, k]] for k, size in enumerate(WORLD.sizes)]
    found = inference.temperatures(logits, _paths(np.arange(6)), WORLD, "independent")
    assert min(found) >= inference.TEMPERATURE_RANGE[0]
    assert max(found) < 0.1


def test_a_head_of_one_class_needs_no_temperature():
    world = Hierarchy.of_rows(ROWS[1:3])
    logits = [np.zeros((2, size)) for size in world.sizes]
    assert inference.temperatures(logits, world.ancestors_C4, world, "product") == (1.0,) * 4


def test_temperatures_need_clips_of_known_classes():
    logits = _random(2)
    with pytest.raises(ValueError, match="no clip's state is a class"):
        inference.temperatures(logits, [[0, -1, 0, 0], [1, -1, 1, 1]], WORLD, "product")
    with pytest.raises(ValueError, match="logits of 2 clips and true classes of 1"):
        inference.temperatures(logits, [[0, 0, 0, 0]], WORLD, "product")


@pytest.mark.parametrize(
    ("least", "ids", "depth"),
    [
        (0.0, [1, 1, 1, 1], 4),
        (0.24, [1, 1, 1, 1], 4),
        (0.25, [-1, 1, 1, 1], 3),
        (0.5, [-1, -1, 1, 1], 2),
        (0.7, [-1, -1, -1, -1], 0),
    ],
)
def test_the_place_ends_where_the_next_step_is_not_probable_enough(least, ids, depth):
    found = inference.probabilities(_logs(*SHARES), WORLD, "tree")
    found_ids, found_depth = inference.supported(found, WORLD, least)
    assert (found_ids.tolist(), found_depth.tolist()) == ([ids], [depth])


def test_nothing_is_supported_below_a_level_that_is_not():
    levels = [np.array([level]) for level in ([0, 1.0, 0, 0, 0, 0], [0, 1.0, 0, 0, 0])]
    levels += [np.array([[0.3, 0.4, 0.2, 0.1]]), np.array([[0.1, 0.9]])]
    found, depth = inference.supported(levels, WORLD, 0.5)
    assert (found.tolist(), depth.tolist()) == ([[-1, -1, -1, 1]], [1])


def test_the_least_probability_is_one():
    with pytest.raises(ValueError, match=r"the least probability is 1\.5"):
        inference.supported([], WORLD, 1.5)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (DALLAS, "Dallas, Texas, United States, North America"),
        (ABU_DHABI, "Abu Dhabi, United Arab Emirates, Asia"),
        (SINGAPORE, "Singapore, Asia"),
        ((-1, 1, 1, 1), "Texas, United States, city unknown"),
        ((-1, -1, 1, 1), "United States, city unknown"),
        ((-1, -1, -1, 0), "Asia, country unknown"),
        ((-1, -1, -1, -1), "nothing is sure"),
        ((2, -1, 1, 1), "United States, city unknown"),
    ],
)
def test_a_sentence_says_what_is_known(ids, words):
    assert inference.sentence(ids, WORLD) == words


def test_right_answers_are_counted_by_level_and_unknown_truth_is_wrong():
    answers = [AUSTIN, DALLAS, (4, 1, 1, 1), (-1, -1, -1, 1)]
    truth = [AUSTIN, AUSTIN, PUNE, (-1, -1, 1, 1)]
    found = inference.correct(answers, truth, WORLD)
    assert found["acc_city"].tolist() == [1, 0, 1, 0]
    assert found["acc_state"].tolist() == [1, 1, 0, 0]
    assert found["acc_continent"].tolist() == [1, 1, 0, 1]
    assert found["consistency"].tolist() == [1, 1, 0, 0]


def test_a_clip_is_judged_by_its_inference_s_own_probabilities():
    found = inference.probabilities(_logs(*SHARES), WORLD, "product")
    row = inference.judged(found, [SINGAPORE], WORLD, "product").iloc[0]
    assert (row["acc_city"], row["acc_continent"], row["consistency"]) == (0, 1, 1)
    assert (row["top5_city"], row["top5_state"]) == (0, 1)
    assert row["confidence_city"] == pytest.approx(96 / 294)
    assert row["confidence_continent"] == pytest.approx(0.6)


def test_a_city_that_is_no_class_is_among_no_five():
    found = inference.probabilities(_logs(*SHARES), WORLD, "tree")
    row = inference.judged(found, [(-1, -1, 1, 1)], WORLD, "tree").iloc[0]
    assert (row["top5_city"], row["top5_state"], row["top5_country"]) == (0, 0, 1)


@pytest.mark.parametrize("how", inference.INFERENCES)
def test_figures_have_all_names_and_are_shares(how):
    logits = _random(100)
    found = inference.probabilities(logits, WORLD, how)
    judged = inference.judged(found, _paths(np.arange(100) % 6), WORLD, how)
    figures = inference.figures(judged)
    named = [f"{what}_{level}" for what in ("acc", "top5", "ece") for level in LEVELS]
    assert sorted(figures) == sorted([*named, "consistency", "ece"])
    assert all(0 <= value <= 1 for value in figures.values())
    assert figures["ece"] == pytest.approx(np.mean([figures[f"ece_{level}"] for level in LEVELS]))
    low, high = bootstrap.bootstrap(judged["acc_city"], 200, 0)
    assert low <= figures["acc_city"] <= high


def test_only_independent_heads_contradict_each_other_here():
    logits, true_N4 = _random(100), _paths(np.zeros(100, int))
    shares = {
        how: inference.judged(inference.probabilities(logits, WORLD, how), true_N4, WORLD, how)
        for how in inference.INFERENCES
    }
    assert shares["codependent"]["consistency"].all()
    assert shares["tree"]["consistency"].all()
    assert shares["independent"]["consistency"].mean() < 0.5


def test_there_must_be_a_clip_and_all_of_the_same():
    found = inference.probabilities(_random(2), WORLD, "tree")
    with pytest.raises(ValueError, match="no clip has classes"):
        inference.figures(inference.judged(found, _paths([0, 1]), WORLD, "tree").iloc[:0])
    with pytest.raises(ValueError, match="labels of 2 and 1 videos"):
        inference.judged(found, [AUSTIN], WORLD, "tree")
    with pytest.raises(ValueError, match=r"shape \(clips, 4\), not \(4,\)"):
        inference.correct(AUSTIN, [AUSTIN], WORLD)


def test_a_calibrated_head_has_hardly_a_calibration_error_and_a_hot_one_has():
    logits = _random(20000)
    found = inference.probabilities(logits, WORLD, "codependent")
    true_N4 = _paths(_drawn(found[0]))
    hot = inference.probabilities(logits, WORLD, "codependent", (4.0,) * 4)
    errors = [
        inference.figures(inference.judged(p, true_N4, WORLD, "codependent"))["ece_city"]
        for p in (found, hot)
    ]
    assert errors[0] < 0.015
    assert errors[1] > 0.1


def test_calibration_error_by_hand():
    confidence, right = [0.9, 0.9, 0.9, 0.9, 0.3], [1, 1, 0, 0, 1]
    assert inference.calibration_error(confidence, right, 2) == pytest.approx((4 * 0.4 + 0.7) / 5)


def test_a_reliability_diagram_has_all_bins_and_upper_edges_belong_to_them():
    table = inference.reliability([0.0, 0.25, 0.26, 1.0], [0, 1, 1, 1], 4)
    assert table["num_clips"].tolist() == [2, 1, 0, 1]
    assert table["low"].tolist() == [0.0, 0.25, 0.5, 0.75]
    assert table["high"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert table["accuracy"].dropna().tolist() == [0.5, 1.0, 1.0]
    assert table["confidence"].dropna().tolist() == [0.125, 0.26, 1.0]
    assert table.loc[2, ["accuracy", "confidence"]].isna().all()


def test_every_edge_of_fifteen_bins_is_its_own_bin_s():
    edges = np.linspace(0, 1, 16)[1:]
    assert inference.reliability(edges, np.ones(15))["num_clips"].tolist() == [1] * 15


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        ([], [], r"\(0,\) confidences"),
        ([0.5], [1, 0], r"\(2,\) answers"),
        ([1.5], [1], "not from 0 to 1"),
        ([float("nan")], [1], "not from 0 to 1"),
        ([0.5], [float("nan")], "neither right nor wrong"),
    ],
)
def test_what_is_no_confidence_is_refused(confidence, right, message):
    with pytest.raises(ValueError, match=message):
        inference.reliability(confidence, right)


def test_the_prior_is_the_most_frequent_class_of_each_level_by_itself():
    train = [PUNE, PUNE, AUSTIN, DALLAS, MEMPHIS, (-1, -1, -1, 1), (-1, -1, -1, -1)]
    assert inference.prior(train, WORLD).tolist() == [PUNE[0], AUSTIN[1], AUSTIN[2], AUSTIN[3]]


def test_a_prior_needs_a_class_of_each_level():
    with pytest.raises(ValueError, match="no train clip's city is a class"):
        inference.prior([(-1, 0, 0, 0)], WORLD)


def test_the_prior_is_judged_like_an_answer():
    train = [PUNE, PUNE, AUSTIN]
    truth = np.array([PUNE, AUSTIN, SINGAPORE])
    answers = np.broadcast_to(inference.prior(train, WORLD), truth.shape)
    found = inference.correct(answers, truth, WORLD).mean()
    assert found[["acc_city", "acc_continent"]].tolist() == pytest.approx([1 / 3, 2 / 3])
