"""Cards of bundles: one writer, one reader, and what is refused."""

import json

import pytest

from vidtag_ml import config
from vidtag_ml.models import bundle, registry

FORM = bundle.Form("tracks", 2, ("features", "evaluation"), ("mode",))


@pytest.fixture
def folder(params, tmp_path):
    bundle.write(tmp_path, FORM, params, {"model": "abc"}, mode="flyover")
    return tmp_path


def change(folder, **values):
    path = folder / bundle.FILE
    card = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({k: v for k, v in card.items() if v is not None}))
    return bundle.read(folder)


def test_what_was_written_is_read(params, folder):
    card = bundle.read(folder)
    card.check(FORM)
    assert card.kind == "tracks"
    assert card.section("features", config.Features) == params.features
    assert (card.content["mode"], card.content["made_from"]) == ("flyover", {"model": "abc"})


def test_cards_that_tell_no_kind_are_of_tracks(folder):
    change(folder, kind=None).check(FORM)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "places"}, "this model gives places, not tracks"),
        ({"format": 1}, "format 1; this vidtag reads 2"),
        ({"features": None, "mode": None}, "tells no features, no mode: bundle the model anew"),
    ],
)
def test_cards_of_other_forms_are_refused_in_a_sentence(folder, values, said):
    with pytest.raises(ValueError, match=said):
        change(folder, **values).check(FORM)


@pytest.mark.parametrize(
    ("text", "said"), [("{", "this is no JSON"), ("[]", "this is no card of a bundle")]
)
def test_what_is_no_card_is_refused(tmp_path, text, said):
    (tmp_path / bundle.FILE).write_text(text)
    with pytest.raises(ValueError, match=said):
        bundle.read(tmp_path)


def test_bundles_of_an_unknown_kind_are_refused(folder):
    change(folder, kind="smells")
    with pytest.raises(ValueError, match=r"kind 'smells'; this vidtag knows tracks, places, aer"):
        registry.load(folder)
