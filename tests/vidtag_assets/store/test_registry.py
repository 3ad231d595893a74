"""Names, aliases and versions against MLflow's real registry, with empty models."""

import dataclasses

import pytest

from vidtag_assets.store import champions, registry, registry_file


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("vidtag", ("vidtag", None, None)),
        ("vidtag@champion", ("vidtag", "champion", None)),
        ("vidtag/12", ("vidtag", None, 12)),
    ],
)
def test_names_of_models(text, parts):
    assert registry_file.parse(text) == parts


@pytest.mark.parametrize("text", ["", "@champion", "vidtag@", "vidtag/", "vidtag/x", "a/1@b"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ValueError, match="names no model"):
        registry_file.parse(text)


def test_absent_champion_is_said_plainly(tracking):
    with pytest.raises(ValueError, match="vidtag has no champion yet"):
        registry.resolve(tracking, "vidtag@champion")
    with pytest.raises(ValueError, match="no version 9"):
        registry.resolve(tracking, "vidtag/9")
    with pytest.raises(ValueError, match="no model 'other' is registered"):
        registry.resolve(tracking, "other")


@pytest.mark.parametrize(
    ("source", "domain", "name"),
    [
        ("flyover", None, "vidtag"),
        ("flyover_gama", None, "vidtag"),
        ("msls", None, "vidtag-msls"),
        ("recordings", "trip_2", "vidtag-trip_2"),
        ("flyover", "trip", "vidtag-trip"),
    ],
)
def test_each_domain_has_a_registered_name(params, source, domain, name):
    changed = dataclasses.replace(
        params,
        clips=dataclasses.replace(params.clips, source=source),
        registry=dataclasses.replace(params.registry, domain=domain),
    )
    assert registry.name_of("vidtag", changed) == name


@pytest.mark.parametrize(
    ("name", "promoted", "asked"),
    [
        ("vidtag", True, ""),
        ("vidtag", False, " --model vidtag@challenger"),
        ("vidtag-trip", True, " --model vidtag-trip"),
        ("vidtag-trip", False, " --model vidtag-trip@challenger"),
    ],
)
def test_locate_is_told_which_model_unless_it_takes_it_by_itself(name, promoted, asked):
    assert registry.asked(name, promoted=promoted) == asked


def test_models_are_known_by_their_tag_or_as_they_were_called_before_it(tracking):
    client = tracking.client()
    for name, kind in (("gama-trip", "gama"), ("vidtag-trip", "vidtag")):
        registry.declare(tracking, name, kind)
    client.create_registered_model("a stranger")
    assert registry.names(tracking) == ["vidtag", "vidtag-trip", "gama-trip"]
    registry.declare(tracking, "vidtag", "vidtag")
    assert registry.names(tracking) == ["vidtag", "vidtag-trip", "gama-trip"]
    for name in ("gama-trip", "vidtag-trip", "a stranger"):
        client.delete_registered_model(name)


def test_absent_models_are_answered_with_those_that_there_are(tracking):
    registry.declare(tracking, "vidtag-trip", "vidtag")
    tracking.client().create_model_version("vidtag-trip", "/nowhere/5")
    champions.promote(tracking, "vidtag-trip", 1, "first")
    for absent in ("vidtag", "gama"):
        with pytest.raises(ValueError, match="registered here: vidtag, vidtag-trip@champion"):
            registry.resolve(tracking, absent)
    champions.promote(tracking, "vidtag-trip", 1, "again")
    tracking.client().delete_registered_model("vidtag-trip")


def never():
    raise AssertionError("this need not be asked")


def test_known_bytes_are_challenged_again_without_a_new_version(tracking):
    client = tracking.client()
    client.set_model_version_tag("vidtag", "2", "bundle", "abc")
    version, new = registry.challenge(tracking, "vidtag", "abc", never)
    assert (int(version.version), new) == (2, False)
    assert registry.aliases(tracking) == {"challenger": 2}


def test_new_bytes_become_a_version_and_the_challenger(tracking):
    tags = {"bundle": "new"}
    log = lambda: tracking.client().create_model_version("vidtag", "/nowhere/4", tags=tags)  # noqa: E731
    version, new = registry.challenge(tracking, "vidtag", "new", log)
    assert (int(version.version), new) == (4, True)
    assert registry.aliases(tracking) == {"challenger": 4}
