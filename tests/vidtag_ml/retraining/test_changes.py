"""What differs between two identities, and what of it is the recipe."""

import pytest

from vidtag_ml.retraining import changes
from vidtag_ml.retraining.changes import Change

BASE = {
    "dvc.clips": "c",
    "dvc.gallery": "g",
    "hierarchy": "h",
    "code.features": "f",
    "param.phase_one.epochs": "8",
}


def recipe(**now):
    """Parts of the recipe that differ after a change."""
    found = changes.between(BASE, BASE | {name.replace("__", "."): v for name, v in now.items()})
    return [change.part for change in changes.of_recipe(found)]


def test_equal_identities_have_one_digest_in_any_order():
    assert changes.between(BASE, dict(reversed(BASE.items()))) == ()
    assert changes.digest(BASE) == changes.digest(dict(reversed(BASE.items())))
    assert changes.digest(BASE) != changes.digest(BASE | {"dvc.clips": "d"})


def test_a_part_that_the_older_does_not_tell_of_differs_but_is_not_known():
    (change,) = changes.between(BASE, BASE | {"package.torch": "2.15.0"})
    assert change == Change("package.torch", None, "2.15.0")
    assert not change.known
    assert changes.of_recipe((change,)) == ()


@pytest.mark.parametrize("part", ["code.features", "param.phase_one.epochs"])
def test_code_and_params_are_the_recipe(part):
    assert recipe(**{part: "other"}) == [part]


def test_data_are_not_the_recipe_but_what_changes_without_them_is():
    assert recipe(dvc__clips="d", dvc__gallery="e", hierarchy="i") == []
    assert recipe(hierarchy="i") == ["hierarchy"]
    assert recipe(dvc__gallery="e") == ["dvc.gallery"]
