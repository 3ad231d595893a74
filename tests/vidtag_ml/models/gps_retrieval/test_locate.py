"""Locating: an oracle whose embeddings are places, so that every answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.vidtag_ml.models.conftest import SIZES
from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.models.gps_retrieval.locate import COMB_FRAMES, locate, posterior
from vidtag_ml.models.gps_retrieval.network import GeoModel
from vidtag_ml.models.networks import build
from vidtag_ml.retrieval.decoding import spacing_km, viterbi
from vidtag_ml.retrieval.embeddings import embed_gallery
from vidtag_ml.retrieval.index import CoarseToFine, Exact

EVALUATION = config.Evaluation(
    search=config.Search("exact", finest_km=12.0, beam=8, num_lists=1, num_probes=1),
    windows="whole",
    decoding="initial",
    num_candidates=16,
    max_speed_kmh={"car": 200.0},
    accuracy_km=(1.0,),
    bootstrap_draws=10,
)
EYES = {"eyes": 3}
DECODINGS = ["initial", "refined", "viterbi", "refined_viterbi", "motion"]
WANDER_KMS = 0.02


class Oracle(GeoModel):
    """Features are unit vectors of places, and so are embeddings: the nearest point is right."""

    name = "oracle"
    decodings = ("initial", "refined", "viterbi", "refined_viterbi", "motion")
    longest = 0

    def embed_frames(self, features_BTD, *_):
        self.longest = max(self.longest, features_BTD.shape[1])
        return functional.normalize(features_BTD.float(), dim=-1)

    def embed_locations(self, latlon_N2):
        return torch.from_numpy(sphere.unit_vectors(latlon_N2)).float()

    def refine(self, gps_BTE, *_):
        return functional.normalize(gps_BTE + torch.tensor([0.0, 0.0, 1.0]), dim=-1)

    def scale(self):
        return torch.tensor(1e5)  # a standard deviation of 20 km


def _world(num_frames=6):
    """A gallery of 0.25 degree squares, a track north-east at 40 km a minute, and an oracle."""
    lat, lon = np.meshgrid(np.arange(-2, 6, 0.25), np.arange(-2, 6, 0.25), indexing="ij")
    gallery = np.stack([lat.ravel(), lon.ravel()], -1)
    track = np.linspace((0.1, 0.1), (0.1 + 0.25 * num_frames,) * 2, num_frames)
    return gallery, track, np.arange(num_frames) * 60.0, Oracle(SIZES, EYES).eval()


def _locate(
    decoding, features, time_s, gallery, model, max_speed_kmh=2500.0, wander_kms=WANDER_KMS
):
    evaluation = replace(EVALUATION, decoding=decoding)
    index = Exact(gallery, embed_gallery(model, gallery))
    return locate(model, features, time_s, index, evaluation, max_speed_kmh, wander_kms)


def test_initial_is_each_frames_nearest_gallery_point():
    gallery, track, time_s, model = _world()
    found = _locate("initial", sphere.unit_vectors(track), time_s, gallery, model)
    distance = sphere.great_circle_km(track[:, None], gallery[None])
    np.testing.assert_array_equal(found.latlon_T2, gallery[distance.argmin(1)])
    np.testing.assert_array_equal(found.latlon_T2, found.initial_latlon_T2)
    np.testing.assert_array_equal(found.candidate_latlon_TK2[:, 0], found.latlon_T2)
    assert found.candidate_latlon_TK2.shape == (6, 16, 2)


def test_refined_searches_again_with_what_the_refiner_returns():
    gallery, track, time_s, model = _world()
    found = _locate("refined", sphere.unit_vectors(track), time_s, gallery, model)
    assert (found.latlon_T2[:, 0] == gallery[:, 0].max()).all()
    np.testing.assert_allclose(found.initial_latlon_T2, track, atol=0.2)


def test_viterbi_brings_a_stray_frame_back_to_the_track():
    gallery, track, time_s, model = _world()
    seen = sphere.unit_vectors(track)
    seen[3] = sphere.unit_vectors((-1.9, 5.0))
    strayed = _locate("initial", seen, time_s, gallery, model)
    found = _locate("viterbi", seen, time_s, gallery, model)
    assert sphere.great_circle_km(strayed.latlon_T2, track).max() > 400
    assert sphere.great_circle_km(found.latlon_T2, track).max() < 80


def test_viterbi_goes_below_the_spacing_of_the_gallery():
    gallery, track, time_s, model = _world()
    errors = [
        sphere.great_circle_km(
            _locate(how, sphere.unit_vectors(track), time_s, gallery, model).latlon_T2, track
        ).mean()
        for how in ("initial", "viterbi")
    ]
    assert errors[1] < 0.8 * errors[0]


def test_motion_comes_nearer_than_viterbi_where_frames_err():
    gallery, track, time_s, model = _world(20)
    away = np.random.default_rng(0).normal(0, 0.2, track.shape)
    seen = sphere.unit_vectors(track + away)
    errors = [
        sphere.great_circle_km(_locate(how, seen, time_s, gallery, model).latlon_T2, track)
        for how in ("viterbi", "motion")
    ]
    assert np.median(errors[1]) < 0.7 * np.median(errors[0])


def test_motion_of_a_mode_without_train_tracks_is_viterbi():
    gallery, track, time_s, model = _world()
    seen = sphere.unit_vectors(track)
    unknown = _locate("motion", seen, time_s, gallery, model, wander_kms=None)
    found = _locate("viterbi", seen, time_s, gallery, model)
    np.testing.assert_array_equal(unknown.latlon_T2, found.latlon_T2)
    np.testing.assert_array_equal(unknown.score_T, found.score_T)


@pytest.mark.parametrize("decoding", ["viterbi", "motion"])
def test_paths_go_through_the_gallery_however_fine_the_search(decoding):
    gallery, track, time_s, model = _world()
    exact = Exact(gallery, embed_gallery(model, gallery))
    finer = CoarseToFine(model, exact, spacing_km=27.8, finest_km=4.0, beam=8)
    seen, evaluation = sphere.unit_vectors(track), replace(EVALUATION, decoding=decoding)
    plain, fine = (
        locate(model, seen, time_s, index, evaluation, 2500.0, WANDER_KMS)
        for index in (exact, finer)
    )
    np.testing.assert_array_equal(fine.latlon_T2, plain.latlon_T2)
    errors = [
        sphere.great_circle_km(each.initial_latlon_T2, track).mean() for each in (plain, fine)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_refined_viterbi_weighs_both_embeddings():
    gallery, track, time_s, model = _world()
    found = _locate("refined_viterbi", sphere.unit_vectors(track), time_s, gallery, model)
    model.refine = lambda *given: given[1]
    agreeing = _locate("refined_viterbi", sphere.unit_vectors(track), time_s, gallery, model)
    alone = _locate("viterbi", sphere.unit_vectors(track), time_s, gallery, model)
    np.testing.assert_allclose(agreeing.latlon_T2, alone.latlon_T2, atol=1e-4)
    assert (found.latlon_T2[:, 0] > alone.latlon_T2[:, 0]).all()


@pytest.mark.parametrize("decoding", DECODINGS)
def test_scores_are_probabilities_whatever_the_decoding(decoding):
    gallery, track, time_s, model = _world()
    found = _locate(decoding, sphere.unit_vectors(track), time_s, gallery, model)
    assert ((found.score_T >= 0) & (found.score_T <= 1)).all()


@pytest.mark.parametrize("decoding", ["initial", "viterbi", "motion"])
def test_long_videos_are_seen_in_windows(decoding):
    gallery, _, _, model = _world()
    track = np.stack([np.linspace(0, 4, 1100)] * 2, -1)
    seen = sphere.unit_vectors(track).astype(np.float32)
    found = _locate(decoding, seen, np.arange(1100.0), gallery, model, 6000.0)
    assert model.longest == 512
    assert sphere.great_circle_km(found.latlon_T2, track).max() < 25


def test_locating_makes_no_pass_over_the_gallery():
    gallery, track, time_s, model = _world()
    index = Exact(gallery, embed_gallery(model, gallery).half())
    model.embed_locations = None
    for decoding in DECODINGS:
        evaluation = replace(EVALUATION, decoding=decoding)
        seen = sphere.unit_vectors(track).astype(np.float16)
        found = locate(model, seen, time_s, index, evaluation, 2500.0, WANDER_KMS)
        assert found.latlon_T2.shape == (6, 2)


def test_vidtag_locates_by_every_decoding():
    torch.manual_seed(0)
    model, gallery = build("vidtag", SIZES, {"eyes": 16}).eval(), _world()[0]
    features = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float16)
    found = [_locate(how, features, np.arange(5.0), gallery, model) for how in DECODINGS]
    np.testing.assert_array_equal(found[0].latlon_T2, found[1].latlon_T2)
    assert all(np.isfinite(each.latlon_T2).all() for each in found)


def test_one_frame_and_one_gallery_point_are_enough():
    _, _, _, model = _world()
    for decoding in DECODINGS:
        found = _locate(decoding, np.eye(3)[:1], np.zeros(1), np.array([[10.0, 20.0]]), model)
        np.testing.assert_allclose(found.latlon_T2, [[10.0, 20.0]])
        np.testing.assert_allclose(found.score_T, [1.0])


@pytest.mark.parametrize("decoding", ["viterbi", "motion"])
def test_missing_times_are_frame_numbers_unless_speed_is_asked_for(decoding):
    gallery, track, _, model = _world()
    none = np.full(6, np.nan)
    found = _locate("initial", sphere.unit_vectors(track), none, gallery, model)
    np.testing.assert_allclose(found.latlon_T2, track, atol=0.2)
    with pytest.raises(ValueError, match="frames without times have no speed"):
        _locate(decoding, sphere.unit_vectors(track), none, gallery, model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_s": np.zeros(3)}, "6 frames but times of shape"),
        ({"features": np.zeros((0, 3))}, r"features of shape \(0, 3\)"),
        (
            {"model": build("geoclip", SIZES, EYES).eval()},
            "geoclip cannot decode by refined",
        ),
        ({"model": build("vidtag", SIZES, {"eyes": 4}).train()}, "in training mode"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    gallery, track, time_s, model = _world()
    given = {"features": sphere.unit_vectors(track), "time_s": time_s, "model": model, **change}
    with pytest.raises(ValueError, match=message):
        _locate("refined", gallery=gallery, **given)


def test_similarities_of_several_views_are_averaged():
    gallery, track, time_s, model = _world()
    seen = sphere.unit_vectors(track)
    left, right = (seen + np.array([0.0, 0.0, z]) for z in (0.1, -0.1))
    views = np.stack([left, right], 1)
    found = _locate("initial", views, time_s, gallery, model)
    units = functional.normalize(torch.from_numpy(views).float(), dim=-1)
    scores = torch.einsum("tve,ge->tvg", units, embed_gallery(model, gallery)).mean(1)
    np.testing.assert_array_equal(found.initial_latlon_T2, gallery[scores.argmax(1)])


def test_interleaved_parts_show_the_network_no_more_frames_than_training_does():
    gallery, _, _, model = _world()
    track = np.stack([np.linspace(0, 4, 200)] * 2, -1)
    evaluation = replace(EVALUATION, windows="interleaved")
    index = Exact(gallery, embed_gallery(model, gallery))
    seen, time_s = sphere.unit_vectors(track), np.arange(200.0)
    found = locate(model, seen, time_s, index, evaluation, 6000.0)
    assert model.longest <= COMB_FRAMES < 200
    assert sphere.great_circle_km(found.latlon_T2, track).max() < 25


@pytest.mark.parametrize("decoding", ["initial", "viterbi", "motion"])
def test_a_belief_is_near_the_truth_in_each_frame_and_one_in_sum(decoding):
    gallery, _, _, model = _world()
    track, time_s = np.stack([np.linspace(0, 4, 150)] * 2, -1), np.arange(150.0) * 6
    belief = _locate(decoding, sphere.unit_vectors(track), time_s, gallery, model).belief
    assert sum(len(part.probability_TP) for part in belief.parts) == 150
    for number in (0, 70, 149):
        frame = belief.frame(number)
        assert frame.probability_TP.sum() == pytest.approx(1.0, abs=1e-5)
        likeliest = frame.latlon_P2[frame.probability_TP[0].argmax()]
        assert sphere.great_circle_km(likeliest, track[number]) < 60
    assert belief.whole().probability_TP.sum() == pytest.approx(1.0, abs=1e-5)


def _posterior(features, time_s, gallery, model, mass=0.95, num_candidates=16):
    evaluation = replace(EVALUATION, num_candidates=num_candidates)
    index = Exact(gallery, embed_gallery(model, gallery))
    return posterior(model, features, time_s, index, evaluation, 2500.0, mass)


def test_a_posterior_puts_frames_where_viterbi_does():
    gallery, track, time_s, model = _world()
    seen = sphere.unit_vectors(track)
    seen[3] = sphere.unit_vectors((-1.9, 5.0))
    found = _locate("viterbi", seen, time_s, gallery, model)
    held = _posterior(seen, time_s, gallery, model)
    np.testing.assert_array_equal(held.latlon_T2, found.latlon_T2)
    assert held.spacing_km == spacing_km(found.candidate_latlon_TK2)
    assert held.spacing_km == pytest.approx(0.25 * sphere.KM_PER_DEGREE, rel=0.02)


def test_posteriors_of_long_videos_are_those_of_their_windows():
    gallery, _, _, model = _world()
    track = np.stack([np.linspace(0, 4, 150)] * 2, -1)
    seen, time_s = sphere.unit_vectors(track), np.arange(150.0) * 6
    held = _posterior(seen, time_s, gallery, model)
    found = _locate("viterbi", seen, time_s, gallery, model)
    np.testing.assert_array_equal(held.latlon_T2, found.latlon_T2)
    away_km = sphere.great_circle_km(track[:, None], held.likely_P2).min(1)
    assert away_km.max() < held.spacing_km


@pytest.mark.parametrize("mass", [0.3, 0.8, 0.95])
def test_likely_points_are_the_fewest_that_hold_the_mass_of_each_frame(mass):
    gallery, track, time_s, model = _world()
    track, near = track + np.array([0.031, -0.017]), gallery[(gallery < 2.0).all(1)]
    held = _posterior(sphere.unit_vectors(track), time_s, near, model, mass, len(near))
    log_odds = held.query_TE @ embed_gallery(model, near).T
    _, marginals = viterbi(near, log_odds.log_softmax(-1), time_s, 2500.0)
    needed = set()
    for row in marginals:
        total = 0.0
        for k in np.argsort(-row):
            if total >= mass:
                break
            needed.add(tuple(near[k]))
            total += row[k]
    assert set(map(tuple, held.likely_P2)) == needed
    is_likely = (near[:, None] == held.likely_P2).all(-1).any(1)
    assert (marginals[:, is_likely].sum(1) >= mass - 1e-6).all()
    assert 0 < len(held.likely_P2) < len(near)


def test_log_odds_are_similarities_times_the_scale():
    gallery, track, time_s, model = _world()
    held = _posterior(sphere.unit_vectors(track), time_s, gallery, model)
    wanted = 1e5 * sphere.unit_vectors(track) @ sphere.unit_vectors(gallery).T
    np.testing.assert_allclose(held.log_odds(gallery), wanted, rtol=1e-6, atol=0.05)
    between = np.array([(0.13, 0.27), (1.0, -170.0)])
    wanted = 1e5 * sphere.unit_vectors(track) @ sphere.unit_vectors(between).T
    np.testing.assert_allclose(held.log_odds(between), wanted, rtol=1e-6, atol=0.05)


def test_a_model_without_viterbi_has_no_posterior():
    gallery, track, time_s, model = _world()
    model.decodings = ("initial",)
    with pytest.raises(ValueError, match="oracle cannot decode by viterbi"):
        _posterior(sphere.unit_vectors(track), time_s, gallery, model)
