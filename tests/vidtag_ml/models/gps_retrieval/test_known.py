"""What is known already: where frames may be, what contradicts it, radii in spite of it."""

import dataclasses
import datetime as dt
import types

import numpy as np
import pytest
import torch

from tests.vidtag_ml.models.gps_retrieval.test_locate import EVALUATION, WANDER_KMS, _world
from vidtag_ml.earth import sphere
from vidtag_ml.earth.regions import Box, Circle
from vidtag_ml.models.given import DOUBTED, ContradictionError, Given
from vidtag_ml.models.gps_retrieval.known import WIDENED, Known
from vidtag_ml.models.gps_retrieval.locate import locate, mass_of
from vidtag_ml.models.recording import Began
from vidtag_ml.retrieval import search
from vidtag_ml.retrieval.embeddings import embed_gallery
from vidtag_ml.retrieval.index import Exact

SPEED_KMH, SPACING_KM = 2500.0, 27.8
NOON = dt.datetime(2024, 3, 20, 12, tzinfo=dt.UTC)


def _known(given, time_s, began=None):
    return Known.of(given, began, time_s, SPEED_KMH, SPACING_KM)


def _found(given, decoding="viterbi", elsewhere=(0.0, 0.0)):
    """Where a track is that goes on elsewhere by the same steps, by what is given."""
    gallery, track, time_s, model = _world()
    seen = sphere.unit_vectors(track + np.array(elsewhere))
    index, known = Exact(gallery, embed_gallery(model, gallery)), _known(given, time_s)
    evaluation = dataclasses.replace(EVALUATION, decoding=decoding)
    ask = (model, seen, time_s, index, evaluation)
    within = mass_of(*ask, known)
    return locate(*ask, SPEED_KMH, WANDER_KMS, known), within, track, known


@pytest.mark.parametrize("decoding", ["initial", "refined", "viterbi", "motion"])
def test_a_region_far_from_the_best_points_still_has_candidates(decoding):
    found, (mass_T, share_T), *_ = _found(Given(within=Box(3.9, -2, 6, -1)), decoding)
    assert found.latlon_T2[:, 0].min() > 3.6
    assert found.latlon_T2[:, 1].max() < -0.7
    assert mass_T.max() < 1e-6 < share_T.min()
    assert np.isfinite(found.spread_km_T).all()
    (part,) = found.belief.parts
    assert part.probability_TP.sum(1) == pytest.approx(1.0, abs=1e-4)


def test_what_is_true_changes_nothing_that_was_right():
    gallery, track, time_s, model = _world()
    index = Exact(gallery, embed_gallery(model, gallery))
    evaluation = dataclasses.replace(EVALUATION, decoding="viterbi")
    alone = locate(model, sphere.unit_vectors(track), time_s, index, evaluation, SPEED_KMH)
    found, (mass_T, _), *_ = _found(Given(within=Box(-2, -2, 6, 6)))
    np.testing.assert_allclose(found.latlon_T2, alone.latlon_T2, atol=1e-9)
    np.testing.assert_allclose(mass_T, 1.0)


@pytest.mark.parametrize("name", ["start", "end"])
def test_ends_that_are_known_bound_the_frames_by_the_speed_limit(name):
    _, track, time_s, _ = _world()
    at = 0 if name == "start" else -1
    place = (float(track[at, 0]), float(track[at, 1]) - 1.0)
    found, *_ = _found(Given(**{name: place}))
    away_km = sphere.great_circle_km(place, found.latlon_T2)
    reach_km = np.abs(time_s - time_s[at]) * SPEED_KMH / 3600 + 3 * SPACING_KM
    assert (away_km <= reach_km).all()
    assert away_km[at] < 1.5 * SPACING_KM


def test_ends_beyond_the_speed_limit_are_a_contradiction():
    with pytest.raises(ContradictionError, match="no place is left at 0 s, at 2500 km/h"):
        _found(Given(start=(0.0, 0.0), end=(5.0, 5.0)))


def test_a_region_that_the_gallery_lacks_is_a_contradiction():
    with pytest.raises(ContradictionError, match="no place is left"):
        _found(Given(within=Circle((60.0, 60.0), 100.0)))


def test_what_speaks_against_it_is_a_contradiction_unless_somebody_insists():
    given = Given(within=Box(3.9, -2, 6, -1))
    _, within, _, known = _found(given)
    with pytest.raises(ContradictionError, match="what is seen contradicts what was given"):
        known.told(*within)
    insisting = dataclasses.replace(known, given=dataclasses.replace(given, anyway=True))
    assert "of the probability lay there before" in insisting.told(*within)


def test_a_model_that_knows_nothing_contradicts_nothing():
    given = Given(within=Box(3.9, -2, 6, -1))
    share_T = np.full(6, 1e-5)
    assert _known(given, np.arange(6.0)).told(share_T, share_T).startswith("0.001 % of the prob")


def _sure(radius_km):
    wide = None if radius_km is None else np.full(6, radius_km)
    return {"radius_km_T": wide, "track_radius_km": radius_km, "unsure": ("more",)}


def test_radii_are_widened_by_how_far_the_answer_moved_so_they_hold_what_they_held():
    found, within, track, known = _found(Given(near=Circle((3.0, 3.0), 400.0)), "initial")
    alone = dataclasses.replace(found, latlon_T2=track + np.array([1.0, 0.0]))
    sure = known.sureness(_sure(150.0), alone, found, within, "told")
    error_km = sphere.great_circle_km(found.latlon_T2, track)
    moved_km = sphere.great_circle_km(found.latlon_T2, alone.latlon_T2)
    np.testing.assert_allclose(sure["radius_km_T"], 150.0 + moved_km)
    assert (error_km <= sure["radius_km_T"]).all()
    assert sure["track_radius_km"] >= sure["radius_km_T"].max() - 1e-9
    assert sure["unsure"] == ("told", WIDENED, "more")


def test_radii_end_where_what_is_known_ends_and_none_comes_from_none():
    found, within, _, known = _found(Given(near=Circle((1.0, 1.0), 50.0)))
    sure = known.sureness(_sure(5000.0), found, found, within, "told")
    assert sure["radius_km_T"].max() < 200
    sure = known.sureness(_sure(None), found, found, within, "told")
    assert (sure["radius_km_T"], sure["track_radius_km"]) == (None, None)
    assert WIDENED not in sure["unsure"]


def test_believing_it_all_the_same_is_told_first():
    given = Given(within=Box(3.9, -2, 6, -1), anyway=True)
    found, within, _, known = _found(given)
    sure = known.sureness(_sure(None), found, found, within, "told")
    assert sure["unsure"][0] == DOUBTED
    assert sure["given"]["contradicts"]


PLACES = np.array([(0.0, 0.0), (0.0, 180.0), (0.0, 80.0)])


def _sunny(given, began=None, lasts_s=60.0):
    known = _known(given, np.array([0.0, lasts_s]), began)
    return known.allowed(PLACES).ever_P.tolist()


def test_daylight_rules_out_the_night_side():
    hour = dt.timedelta(hours=1)
    assert _sunny(Given(after=NOON - hour, before=NOON + hour)) == [True, False, True]
    assert _sunny(Given(after=NOON - 16 * hour, before=NOON - 15 * hour)) == [False, True, False]
    assert _sunny(Given(after=NOON - 12 * hour, before=NOON + 12 * hour)) == [True] * 3


def test_a_clock_of_the_recordings_own_is_used_if_it_tells_its_zone():
    day = Given(after=NOON - dt.timedelta(hours=12), before=NOON + dt.timedelta(hours=12))
    assert _sunny(day, Began(NOON, "gpx")) == [True, False, True]
    assert _sunny(day, Began(NOON, "EXIF", is_utc=False)) == [True] * 3
    assert _sunny(Given(after=NOON), Began(NOON, "gpx")) == [True, False, True]


def test_a_clock_that_tells_another_time_is_a_contradiction():
    later = Given(after=NOON + dt.timedelta(hours=1))
    with pytest.raises(ContradictionError, match="began 2024-03-20 12:00 UTC, says gpx"):
        _sunny(later, Began(NOON, "gpx"))


def test_one_moment_and_no_clock_tell_nothing_of_the_sun():
    with pytest.raises(ValueError, match="give both --after and --before"):
        _sunny(Given(after=NOON))


def test_mass_is_the_share_of_the_softmax_and_search_finds_only_what_is_allowed():
    generator = torch.Generator().manual_seed(0)
    queries, gallery = (torch.randn(n, 8, generator=generator) for n in (5, 300))
    wanted = np.random.default_rng(0).random((5, 300)) < 0.1
    allowed = types.SimpleNamespace(of=lambda rows, columns: wanted[rows, columns]).of
    mass_N, share_N = search.mass(queries, gallery, allowed)
    soft = (queries @ gallery.T).softmax(1).numpy()
    np.testing.assert_allclose(mass_N, (soft * wanted).sum(1), rtol=1e-5)
    np.testing.assert_allclose(share_N, wanted.mean(1))
    scores, rows = search.search(queries, gallery, 4, allowed)
    assert np.take_along_axis(wanted, rows.numpy(), 1)[np.isfinite(scores.numpy())].all()
    best = np.where(wanted, (queries @ gallery.T).numpy(), -np.inf).max(1)
    np.testing.assert_allclose(scores[:, 0].numpy(), best, rtol=1e-5)
