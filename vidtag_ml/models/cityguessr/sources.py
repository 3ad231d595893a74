"""Where CityGuessr's videos, classes and scenes come from.

Belongs here: what is seen of which clips. Does not belong here: batches of it (data.py).
Shape legend: N clips, S scenes, 4 = city, state, country, continent.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.dataset import scenes
from vidtag_ml.dataset.hierarchy import Hierarchy
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.models.cityguessr import data
from vidtag_ml.models.cityguessr.data import Labelled
from vidtag_ml.models.cityguessr.network import CityGuessr


@dataclass(frozen=True)
class Sources:
    """Where CityGuessr's videos, weights and scene labels come from."""

    tables: Tables
    """The clips and their fixes."""
    dataset: Path
    """The dataset's folder; holds pixels, and perhaps scenes.parquet."""
    hierarchy: Hierarchy
    """The classes."""
    features: FeatureStore | None
    """Cached features, for the backbone `frames`."""
    encoders_dir: Path
    """Holds weights to start from, and the text tower."""


def clips_of(
    model: CityGuessr, settings: config.CityGuessrTraining, sources: Sources, split: str
) -> Labelled:
    """The clips of a split as the model sees them, with their classes and scenes."""
    clips = sources.tables.clips
    chosen = clips[clips["split"] == split]
    names = [str(name) for name in chosen["clip_id"]]
    if not names:
        raise ValueError(f"no clip is in split {split!r}")
    classes_C4, scenes_CS = classes_of(sources, chosen), None
    if model.sizes.scenes and split == "train":
        scenes_CS = torch.from_numpy(_scene_labels(settings, sources, names)).float()
    return Labelled(videos_of(model, settings, sources, names), classes_C4, scenes_CS)


def classes_of(sources: Sources, clips: pd.DataFrame) -> Tensor:
    """Classes (C, 4) of labelled clips; -1 where a label is none of the classes."""
    return torch.from_numpy(sources.hierarchy.ids(clips))


def videos_of(
    model: CityGuessr, settings: config.CityGuessrTraining, sources: Sources, names: list[str]
) -> data.Videos:
    """What the model's backbone sees of some clips."""
    spec = model.sizes.videomae
    if spec is None:
        assert sources.features is not None
        store = sources.features.select(tuple(model.widths))
        return data.CachedVideos(store, names, settings.frames_per_clip)
    return data.DecodedVideos(
        sources.tables, sources.dataset, names, spec.num_frames, settings.frame_stride,
        spec.image_size,
    )  # fmt: skip


def _scene_labels(
    settings: config.CityGuessrTraining, sources: Sources, names: list[str]
) -> NDArray[Any]:
    """Shares (N, S) of scenes: what the dataset brings; over Flyover Earth the land cover.

    Raises:
        ValueError: the dataset brings none; says how to do without.
    """
    file = sources.dataset / scenes.FILE
    kinds = set(sources.tables.clips["mode"])
    if not file.exists() and kinds == {"flyover"}:
        found = scenes.land_cover(sources.tables.kept, names)
    elif file.exists():
        found = scenes.from_table(file, names)
    else:
        raise ValueError(f"{file}: this dataset brings no scenes: set cityguessr.scenes to none")
    return scenes.majority(found) if settings.scenes == "majority" else found
