"""A store of MLflow with empty models, of each module's own."""

from pathlib import Path

import pytest

from vidtag_assets.store import promotions, registry
from vidtag_assets.workspace.resources import Tracking


@pytest.fixture(scope="module")
def store(world, tmp_path_factory):
    """A store of its own, with a space in its path."""
    yield Tracking(root=str(tmp_path_factory.mktemp("a store")))
    world.resources["tracking"].client()  # the process's default store again


@pytest.fixture
def tracking(store):
    """Three versions without weights, no alias, an empty log."""
    client = store.client()
    client.create_registered_model(registry.NAME)
    for number in (1, 2, 3):
        tags = {"dvc.clips": f"c{number}", "dvc.gallery": "g"}
        client.create_model_version(registry.NAME, f"/nowhere/{number}", tags=tags)
    yield store
    client.delete_registered_model(registry.NAME)
    promotions.log_path(Path(store.root)).unlink(missing_ok=True)
