"""The clips of a model as a table, and what differs between two of them."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.features.store import FeatureStore
from vidtag_ml.ingest.own import journal
from vidtag_ml.retraining import trained_on
from vidtag_ml.workflow import layout


@pytest.fixture
def then(tables):
    return trained_on.clips(tables, {"flyover-00000": 0.0})


def test_a_clip_is_a_row_with_its_middle_and_its_hour_by_the_sun(then, tables):
    assert then["clip_id"].tolist() == tables.clips["clip_id"].tolist()
    first = tables.fixes_of("flyover-00000").iloc[4]
    assert (then["lat"][0], then["lon"][0]) == (first["lat"], first["lon"])
    assert then["hour"][0] == pytest.approx((first["lon"] / 15) % 24)
    assert then["hour"][1:].isna().all()


def test_the_same_clips_do_not_differ(then, tables):
    counts = trained_on.counts(then, trained_on.clips(tables, {}))
    assert (counts.came, counts.went, counts.changed, counts.of, counts.share) == (0, 0, 0, 10, 0)


def test_clips_that_came_went_and_changed_are_counted(then, tables):
    clips, fixes = tables.clips.copy(), tables.fixes.copy()
    clips.loc[0, "content_md5"] = "f" * 32
    clips.loc[1, "city"] = "Elsewhere"
    fixes.loc[fixes["clip_id"] == clips["clip_id"][2], "lat"] += 0.001
    now = trained_on.clips(dataclasses.replace(tables, clips=clips, fixes=fixes), {})
    counts = trained_on.counts(then, now)
    assert str(counts) == "1 came, 1 went, 2 changed: 40.0% of 10"
    assert trained_on.came(then, now)["clip_id"].tolist() == ["flyover-00000"]


def test_an_order_of_fixes_is_no_change(then, tables):
    turned = dataclasses.replace(tables, fixes=tables.fixes.iloc[::-1])
    assert trained_on.counts(then, trained_on.clips(turned, {})).changed == 0


def test_embeddings_have_length_one_and_encoders_count_alike(then, made, params):
    store = FeatureStore.open(layout.of(made, params).features)
    found = np.stack(trained_on.with_embeddings(then, store)["embedding"].tolist())
    assert found.shape == (10, store.num_features)
    width = next(iter(store.widths.values()))
    for part in (found[:, :width], found[:, width:]):
        np.testing.assert_allclose((part**2).sum(1), 0.5, rtol=1e-5)


def test_clips_without_features_have_no_embedding(then, made, params):
    store = FeatureStore.open(layout.of(made, params).features)
    some = then.assign(clip_id=["new", *then["clip_id"][1:]])
    assert trained_on.with_embeddings(some, store)["embedding"].isna().sum() == 1


def test_clips_beyond_those_whose_embeddings_are_kept_are_kept(then, made, params, monkeypatch):
    monkeypatch.setattr(trained_on, "MOST", 4)
    store = FeatureStore.open(layout.of(made, params).features)
    found = trained_on.with_embeddings(then, store)
    assert (len(found), found["embedding"].notna().sum()) == (10, 4)
    assert trained_on.counts(found, then).share == 0


def test_samples_are_always_the_same_and_in_order():
    many = pd.DataFrame({"clip_id": [f"{k:03d}" for k in range(100)]})
    few = trained_on.sample(many, 10)["clip_id"].tolist()
    assert few == sorted(few)
    assert (
        few
        == trained_on.sample(many.sample(frac=1, random_state=0), 10)["clip_id"]
        .sort_values()
        .tolist()
    )


def test_without_a_journal_no_beginning_is_known(tmp_path):
    (tmp_path / "data" / "trip" / journal.FOLDER).mkdir(parents=True)
    assert trained_on.began_utc_s(tmp_path) == {}
