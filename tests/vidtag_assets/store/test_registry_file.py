"""The registry read from its file says what MLflow says, or leaves the answer to MLflow."""

import sqlite3

import pytest

from vidtag_assets.store import registry, registry_file
from vidtag_assets.workspace.resources import Tracking


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    """Three versions of a model with empty bundles, two aliases; a version that was deleted."""
    made = Tracking(root=str(tmp_path_factory.mktemp("a store")))
    client = made.client()
    client.create_registered_model("vidtag")
    for number in (1, 2, 3, 4):
        folder = tmp_path_factory.mktemp(f"100% of {number}")
        (folder / "artifacts" / "bundle").mkdir(parents=True)
        tags = {registry_file.DIGEST: f"digest of {number}"}
        client.create_model_version("vidtag", folder.as_uri(), tags=tags)
    client.set_registered_model_alias("vidtag", "champion", "2")
    client.set_registered_model_alias("vidtag", "previous", "1")
    client.delete_model_version("vidtag", "4")
    return made


def quick(tracking, model):
    return registry_file.kept(registry_file.of(tracking.root), model)


@pytest.mark.parametrize("model", ["vidtag", "vidtag@champion", "vidtag@previous", "vidtag/3"])
def test_bundle_is_where_mlflow_says(tracking, model):
    assert quick(tracking, model) == registry.kept(tracking, model)


def test_moved_alias_is_seen_at_once(tracking):
    before = quick(tracking, "vidtag@champion")
    tracking.client().set_registered_model_alias("vidtag", "champion", "3")
    after = quick(tracking, "vidtag@champion")
    assert before != after == registry.kept(tracking, "vidtag@champion")
    tracking.client().set_registered_model_alias("vidtag", "champion", "2")


@pytest.mark.parametrize("model", ["vidtag/4", "vidtag/9", "vidtag@nobody", "gama", "gama/1"])
def test_what_is_not_there_is_left_to_mlflow_which_says_so(tracking, model):
    assert quick(tracking, model) is None
    with pytest.raises(ValueError, match=r"vidtag has no|is registered yet"):
        registry.kept(tracking, model)


def test_tables_of_another_mlflow_are_left_to_it(tmp_path):
    file = registry_file.of(tmp_path)
    sqlite3.connect(file).execute("CREATE TABLE model_versions (name TEXT)").connection.close()
    assert registry_file.kept(file, "vidtag") is None
    file.write_bytes(b"no database, but long enough to be looked at" * 100)
    assert registry_file.kept(file, "vidtag") is None


def test_model_that_lies_elsewhere_is_left_to_mlflow(tracking):
    client = tracking.client()
    client.create_registered_model("far")
    client.create_model_version("far", "s3://bucket/model", tags={registry_file.DIGEST: "d"})
    assert quick(tracking, "far/1") is None


def test_bundle_without_a_digest_is_found_by_nobody(tracking):
    client = tracking.client()
    client.create_registered_model("bare")
    client.create_model_version("bare", registry.kept(tracking, "vidtag/1").folder.as_uri())
    assert quick(tracking, "bare/1") is None
    with pytest.raises(ValueError, match="bare/1 has no tag `bundle`, so its bytes cannot be"):
        registry.kept(tracking, "bare/1")
