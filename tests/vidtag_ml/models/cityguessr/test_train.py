"""Training of CityGuessr: it learns, resumes exactly, keeps what it should, and says no clearly."""

import functools
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml.dataset import scenes
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.hierarchy import LEVELS, Hierarchy
from vidtag_ml.encoders import catalog, text, videomae
from vidtag_ml.features import batches as features_batches
from vidtag_ml.features.store import ClipFeatures
from vidtag_ml.models import fit
from vidtag_ml.models.cityguessr import data as cityguessr_data
from vidtag_ml.models.cityguessr import inference
from vidtag_ml.models.cityguessr import sources as cityguessr_sources
from vidtag_ml.models.cityguessr import train as cityguessr_train
from vidtag_ml.models.cityguessr.sources import Sources
from vidtag_ml.models.cityguessr.train import Guess, train_cityguessr

PLACES = [
    ("Austin", "Texas", "USA", "America"),
    ("Dallas", "Texas", "USA", "America"),
    ("Kyoto", "Kyoto", "Japan", "Asia"),
    ("Nara", "Nara", "Japan", "Asia"),
]
SPEC = replace(
    videomae.VIDEOMAE_SMALL, num_frames=4, image_size=32, width=16, layers=1, heads=2, mlp=32
)
TOWER = replace(text.CLIP_VIT_B32, dim=12, width=16, layers=1, heads=2)


class KilledError(Exception):
    """Stands for a machine that goes away."""


@dataclass
class Store:
    """Stands for a FeatureStore: a clip's features are its city's, with noise."""

    widths: dict[str, int] = field(default_factory=lambda: {"flyover_clip": 10, "flyover_dino": 6})

    def select(self, encoders):
        assert list(encoders) == list(self.widths)
        return self

    def clip(self, name):
        city, _, number = name.partition("-")
        rng = np.random.default_rng([ord(city[0]), int(number)])
        of_city = np.random.default_rng(ord(city[0])).standard_normal(16)
        num = int(rng.integers(3, 7))
        features = of_city + 0.3 * rng.standard_normal((num, 16))
        return ClipFeatures(torch.from_numpy(features).half(), np.arange(num, dtype=float))


@pytest.fixture
def sources(tmp_path):
    """Two train clips and a val clip in each of four cities."""
    rows = [
        {"clip_id": f"{place[0]}-{k}", "split": split, "mode": "flyover", "kind": "video"}
        | dict(zip(LEVELS, place, strict=True))
        for place in PLACES
        for k, split in enumerate(("train", "train", "val"))
    ]
    fixes = [
        {"clip_id": row["clip_id"], "lat": 10.0 * k - 40, "lon": 15.0 * k, "status": "original"}
        for k, row in enumerate(rows)
    ]
    tables = clip_tables.Tables(pd.DataFrame(rows), pd.DataFrame(fixes))
    hierarchy = Hierarchy(tuple(PLACES))
    return Sources(tables, tmp_path / "data", hierarchy, Store(), tmp_path / "encoders")


@pytest.fixture
def settings(params):
    """Two steps an epoch; everything random and every head is on."""
    return replace(params.cityguessr, epochs=3, batch_size=4, learning_rate=1e-2, dropout=0.1)


@pytest.fixture
def train(monkeypatch, sources, tmp_path):
    """Trains in a folder, if asked only to a step; returns the weights and buffers."""
    monkeypatch.setattr(fit, "fit", functools.partial(fit.fit, save_every_s=0.0))
    step = Guess.training_step

    def train(settings, name="model", dies_at=-1):
        def mortal(module, batch, batch_idx):
            if module.global_step == dies_at:
                raise KilledError
            return step(module, batch, batch_idx)

        monkeypatch.setattr(Guess, "training_step", mortal)
        model = train_cityguessr(settings, sources, tmp_path / name, progress=False)
        return model.state_dict()

    return train


def killed(train, settings, name, dies_at):
    with pytest.raises(KilledError):
        train(settings, name, dies_at)


def same(one, other, but=()):
    return all(torch.equal(one[k], other[k]) for k in one if k not in but)


@pytest.mark.parametrize("dies_at", [1, 2, 5])
def test_stopped_at_any_step_and_resumed_equals_the_straight_run(
    train, settings, tmp_path, dies_at
):
    straight = train(settings, "straight")
    killed(train, settings, "resumed", dies_at)
    torch.rand(7)
    assert same(train(settings, "resumed"), straight)
    losses = [(tmp_path / name / "losses.csv").read_text() for name in ("straight", "resumed")]
    assert losses[0] == losses[1]


def test_it_learns_clips_whose_features_tell_their_place(settings, sources, tmp_path):
    settings = replace(settings, epochs=30, decay=1.0, schedule="decay")
    model = train_cityguessr(settings, sources, tmp_path / "model", progress=False)
    for split in ("train", "val"):
        seen = cityguessr_sources.clips_of(model, settings, sources, split)
        logits = cityguessr_data.logits(model, seen, 4)
        found = np.stack([level.argmax(1) for level in logits], 1)
        assert np.array_equal(found, seen.classes_C4.numpy())


def scripted(monkeypatch, right_of_epoch):
    """Val accuracy is what the script says of each epoch."""

    def validation_step(module, batch, _batch_idx):
        module.right.append(torch.tensor([right_of_epoch[module.current_epoch]]))

    monkeypatch.setattr(Guess, "validation_step", validation_step)


@pytest.mark.parametrize("dies_at", [None, 5, 7])
def test_the_best_weights_are_kept_also_over_a_resume(train, settings, monkeypatch, dies_at):
    scripted(monkeypatch, [0.0, 1.0, 0.0, 1.0])
    settings = replace(settings, schedule="decay", decay=0.9, selection="best")
    wanted = train(replace(settings, epochs=2, selection="last"), "two epochs")
    settings = replace(settings, epochs=4)
    if dies_at is not None:
        killed(train, settings, "best", dies_at)
    assert same(train(settings, "best"), wanted)
    last = train(replace(settings, selection="last"), "last")
    assert not same(last, wanted, but=("temperatures",))


def test_a_trained_backbone_has_a_rate_of_its_own(settings, sources):
    settings = replace(
        settings, backbone="videomae", start="tiny", optimizer="adamw", schedule="cosine",
        warmup_steps=2, epochs=5, weight_decay=0.1,
    )  # fmt: skip
    catalog.store(sources.encoders_dir, "tiny", SPEC, videomae.VideoMAE(SPEC).network)
    model = cityguessr_train._built(settings, sources, 12)
    made = Guess(model, settings, None, steps_per_epoch=2).configure_optimizers()
    backbone, heads = made["optimizer"].param_groups
    assert {id(p) for p in backbone["params"]} == {id(p) for p in model.backbone.parameters()}
    assert len(backbone["params"] + heads["params"]) == len(list(model.parameters()))
    assert backbone["initial_lr"] == settings.backbone_learning_rate
    assert heads["initial_lr"] == settings.learning_rate
    assert {group["weight_decay"] for group in (backbone, heads)} == {0.1}


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_a_backbone_that_starts_from_nothing_has_the_rate_of_all(settings, sources, optimizer):
    settings = replace(settings, optimizer=optimizer)
    module = Guess(cityguessr_train._built(settings, sources, 12), settings, None, 2)
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert {group["initial_lr"] for group in groups} == {settings.learning_rate}


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize(
    ("schedule", "factors"),
    [("decay", [0.5, 1, 0.1, 0.1, 0.01, 0.01]), ("cosine", [0.5, 1, 1, 0.8536, 0.5, 0.1464])],
)
def test_the_rate_follows_the_schedule_that_is_asked_for(
    train, settings, tmp_path, optimizer, schedule, factors
):
    train(replace(settings, optimizer=optimizer, schedule=schedule, warmup_steps=2, decay=0.1))
    rates = pd.read_csv(tmp_path / "model" / "losses.csv")["lr"] / settings.learning_rate
    assert rates.tolist() == pytest.approx(factors, abs=1e-4)


@pytest.mark.parametrize("kind", ["soft", "majority"])
def test_scenes_are_the_land_cover_where_the_dataset_brings_none(settings, sources, kind):
    settings = replace(settings, scenes=kind)
    model = cityguessr_train._built(settings, sources, 0)
    seen = cityguessr_sources.clips_of(model, settings, sources, "train")
    cover = scenes.land_cover(sources.tables.kept, seen.videos.clip_ids)
    wanted = cover if kind == "soft" else np.eye(16)[cover.argmax(1)]
    np.testing.assert_allclose(seen.scenes_CS, wanted, atol=1e-6)
    assert cityguessr_sources.clips_of(model, settings, sources, "val").scenes_CS is None


def test_scenes_that_the_dataset_brings_come_first(settings, sources):
    names = sources.tables.clips["clip_id"].tolist()
    brought = np.random.default_rng(0).dirichlet(np.ones(16), len(names))
    scenes.write(sources.dataset / "scenes.parquet", names, brought)
    seen = cityguessr_sources.clips_of(
        cityguessr_train._built(settings, sources, 0), settings, sources, "train"
    )
    wanted = brought[[names.index(name) for name in seen.videos.clip_ids]]
    np.testing.assert_allclose(seen.scenes_CS, wanted, atol=1e-6)


def of_cars(sources):
    tables = replace(sources.tables, clips=sources.tables.clips.assign(mode="car"))
    return replace(sources, tables=tables)


def test_absent_scenes_say_how_to_do_without(settings, sources, tmp_path):
    with pytest.raises(ValueError, match=r"scenes\.parquet.*set cityguessr\.scenes to none"):
        train_cityguessr(settings, of_cars(sources), tmp_path, progress=False)
    settings = replace(settings, scenes="none", epochs=1)
    model = train_cityguessr(settings, of_cars(sources), tmp_path, progress=False)
    assert (model.scene, model.sizes.scenes) == (None, 0)


def test_text_targets_are_those_of_the_tower_that_is_named(settings, sources, tmp_path):
    torch.manual_seed(0)
    catalog.store(sources.encoders_dir, "tower", TOWER, text.TextTower(TOWER).network)
    settings = replace(settings, text="tower", epochs=1)
    tower = text.load(sources.encoders_dir, "tower")
    wanted = text.targets(PLACES, tower.embed)
    np.testing.assert_array_equal(cityguessr_train._text_targets(settings, sources), wanted)
    model = train_cityguessr(settings, sources, tmp_path / "model", progress=False)
    assert model.sizes.text == 12


def test_stand_ins_for_text_follow_the_seed_and_the_levels_asked_for(settings, sources):
    by = {
        (seed, levels): cityguessr_train._text_targets(
            replace(settings, text="seeded", text_levels=levels, seed=seed), sources
        )
        for seed, levels in ((1, "all"), (2, "all"), (1, "city"))
    }
    cities = text.seeded([place[0] for place in PLACES], 1)
    torch.testing.assert_close(by[1, "city"], torch.from_numpy(cities))
    assert by[1, "all"].shape == (4, cityguessr_train.TEXT_WIDTH)
    assert not any(torch.equal(by[1, "all"], by[key]) for key in ((2, "all"), (1, "city")))


@pytest.mark.parametrize("part", ["scene_weight", "text_weight"])
def test_every_head_is_learned_with_its_weight(settings, sources, part):
    model = cityguessr_train._built(settings, sources, cityguessr_train.TEXT_WIDTH).eval()
    batch = cityguessr_sources.clips_of(model, settings, sources, "train").batch(
        next(iter(features_batches.in_order(8, 8))), None
    )
    targets = cityguessr_train._text_targets(settings, sources)
    losses = [
        Guess(model, replace(settings, **{part: weight}), targets, 2).training_step(batch, 0)
        for weight in (0.0, 1.0, 2.0)
    ]
    assert abs(losses[1] - losses[0]) > 1e-3
    torch.testing.assert_close(losses[2] - losses[1], losses[1] - losses[0], atol=1e-4, rtol=1e-3)


def test_temperatures_fit_the_val_clips_and_are_stored(train, settings, sources, tmp_path):
    train(settings)
    model = inference.load(tmp_path / "model")
    val = cityguessr_sources.clips_of(model, settings, sources, "val")
    logits, true = cityguessr_data.logits(model, val, 4), val.classes_C4.numpy()
    for how, found in zip(inference.INFERENCES, model.temperatures.tolist(), strict=True):
        wanted = inference.temperatures(logits, true, sources.hierarchy, how)
        assert found == pytest.approx(wanted, rel=1e-3)
    assert not torch.equal(model.temperatures, torch.ones(4, 4, dtype=torch.float64))


def test_what_cannot_be_learned_from_is_refused(settings, sources, tmp_path):
    table = sources.tables.clips
    empty = replace(sources, tables=replace(sources.tables, clips=table[table["split"] == "val"]))
    with pytest.raises(ValueError, match="no clip is in split 'train'"):
        train_cityguessr(settings, empty, tmp_path, progress=False)
    older = replace(sources, hierarchy=Hierarchy(tuple(PLACES[:3])))
    with pytest.raises(ValueError, match="of no class: `vidtag hierarchy`"):
        train_cityguessr(settings, older, tmp_path, progress=False)


def test_frames_that_the_started_network_is_not_made_for_are_refused(settings, sources, tmp_path):
    catalog.store(sources.encoders_dir, "tiny", SPEC, videomae.VideoMAE(SPEC).network)
    settings = replace(settings, backbone="videomae", start="tiny", frames_per_clip=8)
    with pytest.raises(ValueError, match="frames_per_clip is 8, but tiny is made for 4 frames"):
        train_cityguessr(settings, sources, tmp_path, progress=False)
