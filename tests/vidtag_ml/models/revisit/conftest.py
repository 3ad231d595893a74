"""A workspace of the made-up streets in which every stage of revisit has run."""

import pytest

from tests.conftest import write_encoder
from tests.data import streets
from vidtag_ml.features import stages as features_stages
from vidtag_ml.models.revisit import stages


@pytest.fixture(scope="package")
def street_params(params):
    """Params of own recordings with one small encoder."""
    return streets.adapted(params)


@pytest.fixture(scope="package")
def made_streets(street_params, tmp_path_factory):
    """A workspace in which the streets are known, measured and bundled; not to be changed."""
    root = tmp_path_factory.mktemp("streets")
    (root / "data" / "encoders").mkdir(parents=True)
    write_encoder(root / "data" / "encoders", "small", "test_convnext", 64)
    streets.write(root / "data" / "recordings")
    assert features_stages.features(root, street_params)
    assert stages.revisit(root, street_params)
    for split in ("val", "test"):
        assert stages.evaluate_revisit(root, street_params, split)
    assert stages.bundle_revisit(root, street_params)
    return root
