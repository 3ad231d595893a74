"""A world of a few clips whose features tell where they are, and models small enough for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.features.batches import Frames
from vidtag_ml.retrieval.gallery import Gallery

WIDTH = 16
NOISE = config.Noise(
    collapse_probability=0.1,
    collapse_after=False,
    drift=False,
    clean_probability=0.0,
    jitter_deg=(0.1, 2.0),
    shift_deg=2.0,
    predicted_probability=0.5,
    wander_km=0.0,
    wander_memory=0.9,
    swap_probability=0.0,
)
SIZES = config.Model(
    embed_dim=16,
    temporal_layers=1,
    temporal_heads=2,
    temporal_ffn=16,
    head_widths=(16,),
    temporal_norm=False,
    positions="sinusoidal",
    num_positions=16,
    dropout=0.1,
    location=config.Location(sigmas=(1.0, 4.0), num_frequencies=16, hidden=32),
    refiner_encoder_layers=1,
    refiner_decoder_layers=1,
    refiner_heads=2,
    refiner_ffn=16,
    refiner_width=None,
    refiner_positions="sinusoidal",
)


@pytest.fixture
def sizes() -> config.Model:
    return SIZES


@pytest.fixture
def phase_one() -> config.PhaseOne:
    return config.PhaseOne(
        encoders=("clip", "dino"),
        location_start=None,
        image_start=None,
        seed=1,
        epochs=3,
        batch_size=4,
        frames_per_clip=4,
        learning_rate=1e-2,
        decay=0.5,
        warmup_steps=3,
        weight_decay=0.0,
        precision="float32",
        unit="frame",
        direction="frames_to_gps",
        soft_targets_km=60.0,
        num_near_targets=0,
        num_random_negatives=8,
        queue_size=0,
        queue_mask_km=0.0,
        gps_noise_m=0.0,
        queue_noise_m=0.0,
        clip_gradients=1.0,
    )


@pytest.fixture
def thorough(phase_one) -> config.PhaseOne:
    """Settings with which a model learns the few train clips by heart."""
    return replace(
        phase_one, epochs=60, decay=0.98, soft_targets_km=None, batch_size=9, frames_per_clip=6
    )


@pytest.fixture
def phase_two() -> config.PhaseTwo:
    return config.PhaseTwo(
        seed=2,
        epochs=3,
        batch_size=4,
        frames_per_clip=4,
        learning_rate=1e-2,
        decay=0.5,
        warmup_steps=3,
        weight_decay=0.0,
        precision="float32",
        loss="identity",
        off_diagonal_weight=10.0,
        diagonal_weight=1.0,
        same_place_km=0.001,
        video_unit="mean",
        cross_fit_parts=0,
        noise=NOISE,
        clip_gradients=1.0,
    )


def make_frames(seed: int, num_clips: int) -> Frames:
    """Clips of 3 to 6 frames, 300 km apart; features are a fixed random map of unit vectors."""
    rng = np.random.default_rng(seed)
    num = rng.integers(3, 7, num_clips)
    starts = np.stack([rng.uniform(-60, 60, num_clips), rng.uniform(-180, 180, num_clips)], 1)
    time = np.concatenate([np.arange(n) for n in num]).astype(float)
    latlon = sphere.destination(np.repeat(starts, num, 0), 90.0, 300.0 * time)
    mapping = np.random.default_rng(0).standard_normal((3, WIDTH))
    features = np.tanh(3 * sphere.unit_vectors(latlon) @ mapping)
    return Frames(
        torch.from_numpy(features).half(),
        torch.from_numpy(latlon),
        torch.from_numpy(time).float(),
        np.cumsum(num) - num,
        num,
    )


@pytest.fixture
def train() -> Frames:
    return make_frames(1, 9)


@pytest.fixture
def val() -> Frames:
    return make_frames(2, 5)


@pytest.fixture
def points() -> Gallery:
    return Gallery(sphere.equal_area_lattice(200), {}, "")
