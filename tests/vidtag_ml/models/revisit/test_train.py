import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests.data.streets import position
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.models import networks
from vidtag_ml.models.revisit import train
from vidtag_ml.workflow import layout


@pytest.fixture(scope="module")
def model(made_streets):
    return networks.read(made_streets / "out" / "revisit")


def test_all_frames_of_train_clips_and_no_others_are_references(model):
    assert model.sizes.clips == ("elm_monday", "oak_monday")
    assert np.bincount(model.clip_R).tolist() == [8, 8]
    assert model.latlon_R2[8].numpy() == pytest.approx(position("oak", 0.0))
    assert model.heading_R.numpy() == pytest.approx(90.0, abs=0.1)
    assert model.embedding_RE.float().norm(dim=1).numpy() == pytest.approx(1.0, abs=1e-2)


def test_what_is_believed_is_what_other_places_do_not_reach(model, street_params, made_streets):
    losses = pd.read_csv(made_streets / "out" / "revisit" / "losses.csv")
    assert losses[["loss", "val_loss"]].to_numpy().tolist() == [[0.0, 0.0]]
    assert model.least_inliers >= street_params.revisit.least_inliers
    assert model.gap_m_R.numpy() == pytest.approx(10.0, abs=0.1)


def test_references_that_look_alike_far_apart_raise_what_must_agree(model, street_params):
    twins = networks.build("revisit", model.sizes, model.widths)
    twins.load_state_dict(model.state_dict())
    for name in ("points_RP2", "descriptors_RPD", "num_R", "embedding_RE"):
        getattr(twins, name)[8:] = getattr(twins, name)[:8]  # oak street looks as elm street does
    train.calibrate(twins, street_params.revisit)
    assert twins.least_inliers > 100


def test_a_clip_that_stands_has_one_reference():
    latlon_F2 = np.array([position("oak", step) for step in (0.0, 0.01, 0.02, 1.0)])
    valid_F = np.array([True, True, False, True])
    assert train.thinned(latlon_F2, valid_F, 5.0) == [0, 3]
    assert train.thinned(latlon_F2, ~valid_F, 5.0) == [2]


def test_headings_are_unknown_where_nothing_moves():
    latlon_F2 = np.array([position("oak", step) for step in (0.0, 1.0, 2.0)])
    assert train.headings(latlon_F2) == pytest.approx(90.0, abs=0.1)
    latlon_F2[1] = np.nan
    assert np.isnan(train.headings(latlon_F2)).tolist() == [False, True, False]
    latlon_F2[1] = latlon_F2[0]
    assert np.isnan(train.headings(np.repeat(latlon_F2[:1], 3, axis=0))).all()
    assert np.isnan(train.headings(latlon_F2[:1])).all()


def test_clips_without_positions_are_refused(made_streets, street_params, tmp_path):
    at = layout.of(made_streets, street_params)
    tables = clip_tables.read(at.dataset)
    nowhere = dataclasses.replace(tables, fixes=tables.fixes.iloc[:0])
    store = FeatureStore.open(at.features)
    with pytest.raises(ValueError, match="no frame of the train clips has a position"):
        train.train_revisit(street_params.revisit, store, nowhere, at.dataset, 2.0, tmp_path)
