"""Places that were recorded before, as assets: trained, measured, registered, judged, used."""

import dagster as dg
import pytest
import yaml

from tests.conftest import resources_of, write_encoder
from tests.data import streets
from vidtag_assets.assets import factory
from vidtag_assets.store import registry
from vidtag_ml import config
from vidtag_ml.models.revisit.locator import RevisitLocator
from vidtag_ml.models.revisit.system import SYSTEM
from vidtag_ml.models.stages import STAGES

pytestmark = pytest.mark.slow
ASSETS = ("revisit_model", "revisit_evaluation", "registered_revisit", "champion_revisit")


@pytest.fixture(scope="module")
def driven(params, tmp_path_factory):
    """A workspace, its resources and the run that made all of the system's assets."""
    root, own = tmp_path_factory.mktemp("driven"), streets.adapted(params)
    streets.write(root / "data" / "recordings")
    (root / "data" / "encoders").mkdir()
    write_encoder(root / "data" / "encoders", "small", "test_convnext", 64)
    (root / "params.yaml").write_text(yaml.safe_dump(config.as_dict(own), sort_keys=False))
    for name in ("gallery", "features"):
        assert STAGES[name](root, own)
    resources = resources_of(root)
    for stage in ("clips", "gallery"):
        resources["dvc"].commit(stage)
    with dg.DagsterInstance.ephemeral() as instance:
        yield (
            root,
            resources,
            dg.materialize(factory.assets_of(SYSTEM), instance=instance, resources=resources),
        )


def metadata(driven, asset):
    (event,) = driven[2].asset_materializations_for_node(asset)
    return {key: value.value for key, value in event.metadata.items()}


def test_every_asset_is_made_and_shows_figures(driven):
    assert driven[2].success
    assert all(metadata(driven, name) for name in ASSETS)
    shown = metadata(driven, "revisit_evaluation")
    assert (shown["val_recall_15m"], shown["val_silent"]) == (1.0, 1.0)
    assert "| oak_friday" in shown["pictures"] or "errors" in shown["pictures"]


def test_a_version_is_registered_in_the_domain_of_recordings_and_judged(driven):
    _, resources, _ = driven
    (version,) = registry.versions(resources["tracking"], "revisit-recordings")
    assert version.tags["dvc.clips"] == resources["dvc"].md5("clips")
    verdict = metadata(driven, "champion_revisit")
    assert "never giving a position" in str(verdict)


def test_its_bundle_locates(driven):
    found = RevisitLocator.load(driven[0] / "out" / "revisit_bundle")
    assert found.locate(driven[0] / "data" / "recordings" / "oak_friday").known_T.all()
