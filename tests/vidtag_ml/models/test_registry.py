"""The list of systems: what each says of itself holds."""

import json

import pytest

from vidtag_ml.models import gate
from vidtag_ml.models.registry import SYSTEMS
from vidtag_ml.models.stages import STAGES
from vidtag_ml.workflow import code_key, layout

BUNDLED = [system for system in SYSTEMS.values() if system.bundling]


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=lambda s: s.name)
def test_trainings_are_stages_and_sections_and_have_a_key(system, params):
    known = json.loads(code_key.FILE.read_text())
    for name, training in system.trainings.items():
        assert STAGES[name] is training.make
        assert training.settings(params) is getattr(params, name)
        assert name in known
    assert {f"evaluate_{system.name}"} <= set(known)


@pytest.mark.parametrize("system", BUNDLED, ids=lambda s: s.name)
def test_bundles_are_of_the_kind_that_their_locator_reads(system, params, tmp_path):
    locator = system.bundling.locator()
    form = __import__(locator.__module__, fromlist=["FORM"]).FORM
    assert form.kind == system.bundling.kind
    assert {"of", "rate", "locate"} <= set(dir(locator))
    assert {"table", "as_json", "write", "beside", "told", "foreign"} <= set(dir(locator.gives))
    assert system.bundling.folder(layout.of(tmp_path, params)).parent == tmp_path / "out"


@pytest.mark.parametrize("system", BUNDLED, ids=lambda s: s.name)
def test_versions_are_judged_by_a_rule_against_rivals_that_are_there(system):
    how = system.bundling.registration
    assert isinstance(how.judging(), gate.Judging)
    assert not how.first or how.first in SYSTEMS
    assert f"bundle_{system.name}" in json.loads(code_key.FILE.read_text())
