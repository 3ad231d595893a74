"""Cards of bundles: one writer, one reader, and what is refused; no byte that changed is read."""

import json
import shutil

import pandas as pd
import pytest

from vidtag_ml import config
from vidtag_ml.models import bundle, registry
from vidtag_ml.workflow import stage, sums

FORM = bundle.Form("tracks", 2, ("features", "evaluation"), ("mode",), ("wander_kms",))


@pytest.fixture
def folder(params, tmp_path):
    bundle.write(tmp_path, FORM, params, {"model": "abc"}, mode="flyover")
    return tmp_path


def change(folder, **values):
    path = folder / bundle.FILE
    card = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({k: v for k, v in card.items() if v is not None}))
    sums.write(folder)
    return bundle.read(folder)


def test_what_was_written_is_read(params, folder):
    card = bundle.read(folder)
    card.check(FORM)
    assert card.kind == "tracks"
    assert card.section("features", config.Features) == params.features
    assert (card.content["mode"], card.content["made_from"]) == ("flyover", {"model": "abc"})


def test_extras_may_be_told_or_not(params, folder, tmp_path):
    bundle.read(folder).check(FORM)
    (tmp_path / "more").mkdir()
    bundle.write(tmp_path / "more", FORM, params, mode="flyover", wander_kms=3.2)
    card = bundle.read(tmp_path / "more")
    card.check(FORM)
    assert card.content["wander_kms"] == 3.2


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
    sums.write(tmp_path)
    with pytest.raises(ValueError, match=said):
        bundle.read(tmp_path)


def test_bundles_of_an_unknown_kind_are_refused(folder):
    change(folder, kind="smells")
    with pytest.raises(ValueError, match=r"kind 'smells'; this vidtag knows tracks, places, aer"):
        registry.load(folder)


def flipped(path):
    """One bit of a file's middle is another."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def whole(made, tmp_path):
    """A copy of a bundle that locates."""
    return shutil.copytree(made / "out" / "bundle", tmp_path / "bundle")


@pytest.mark.parametrize(
    "name", ["model/model.safetensors", "gallery/gallery.parquet", "bundle.json", sums.FILE]
)
def test_a_bundle_with_a_flipped_bit_is_not_read(whole, name):
    flipped(whole / name)
    with pytest.raises(ValueError, match=r"bundle: not as it was made \(.*\)|not a list of md5"):
        registry.load(whole)


def test_a_mirrored_gallery_is_not_searched(whole):
    path = whole / "gallery" / "gallery.parquet"
    points = pd.read_parquet(path)
    points.assign(lon=-points["lon"]).to_parquet(path, index=False)
    with pytest.raises(ValueError, match=r"made \(gallery/gallery\.parquet changed\), so"):
        registry.load(whole)


def test_sums_that_were_changed_with_the_bytes_are_found_out_by_the_registry(whole):
    registered = stage.digest(whole)
    assert registry.load(whole, registered)
    flipped(whole / "model" / "model.safetensors")
    sums.write(whole)
    assert registry.load(whole)
    with pytest.raises(ValueError, match=r"not as it was registered \(other bytes\)"):
        registry.load(whole, registered)


def test_bundles_without_sums_are_vouched_for_by_the_registry_alone(whole):
    (whole / sums.FILE).unlink()
    assert registry.load(whole, stage.digest(whole))
    with pytest.raises(ValueError, match=r"cannot be checked, .* older vidtag .* `vidtag bundle`"):
        registry.load(whole)


def test_a_bundle_knows_its_digest_and_what_dvc_calls_its_gallery(made, whole):
    card = bundle.read(whole)
    assert card.digest == stage.digest(whole)
    assert card.gallery == sums.dvc_md5(sums.take(made / "data" / "gallery"))
    assert bundle.read(made / "out" / "guess_bundle").gallery is None
