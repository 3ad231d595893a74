"""Which videos CityGuessr knows: what its frames look like to it, and how well a city fits them.

Of cached frames these are their features, as the backbone sees them; of pixels, the backbone's one
vector of a video. The score is the greatest logit of a city (Hendrycks et al. 2022, 1911.11132).

Belongs here: that, of train and val clips and of a video. Does not belong here: what is made of it
(models/familiarity.py), which clips there are (sources.py). Shape legend: B clips, T frames, X what
a frame is, D features, W width of the backbone, K cities.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.models import familiarity
from vidtag_ml.models.cityguessr import sources as cityguessr_sources
from vidtag_ml.models.cityguessr.data import Seen
from vidtag_ml.models.cityguessr.network import CityGuessr
from vidtag_ml.models.cityguessr.sources import Sources
from vidtag_ml.models.familiarity import Familiarity, Looks

LENGTHS = (1, 4)
"""Frames that val clips are cut to, beside all those that are seen of a clip."""


@torch.inference_mode()
def looked(model: CityGuessr, seen: Seen, logits_BK: Tensor) -> tuple[Tensor, list[float]]:
    """Features of the frames of one clip, and its score, for each of them.

    Args:
        model: in evaluation mode.
        seen: what it sees of the clip.
        logits_BK: what it says of the cities.
    """
    frames_BTX, valid_BT, time_BT = seen
    if model.sizes.videomae is None:
        features_TD = frames_BTX[0][valid_BT[0]]
    else:
        features_TD = model.backbone(frames_BTX, valid_BT, time_BT)
    return features_TD, [float(logits_BK[0].max())] * len(features_TD)


def learnt(model: CityGuessr, settings: config.CityGuessrTraining, sources: Sources) -> Familiarity:
    """What a model knows, by the train and val clips of a dataset."""
    clips = sources.tables.clips
    train, val = (_some(clips[clips["split"] == split]) for split in ("train", "val"))
    seen_train = _seen(model, settings, sources, train)
    looks = Looks.of_clips(_looked(model, seen)[0] for seen in seen_train)
    seen_val = list(_seen(model, settings, sources, val))
    measures = {
        num: [
            looks.measures(*_looked(model, part))
            for seen in seen_val
            if (part := _middle(model, seen, num)) is not None
        ]
        for num in _lengths(model, settings)
    }
    return familiarity.learnt(familiarity.kinds(train), looks, measures)


def lost(
    known: Familiarity, model: CityGuessr, settings: config.CityGuessrTraining, sources: Sources,
    split: str,
) -> "pd.Series[float]":  # fmt: skip
    """Which clips of a split would get no answer, by clip_id; empty if nobody knows."""
    clips = sources.tables.clips
    chosen = clips[clips["split"] == split]
    beyond = {
        str(name): known.beyond(*_looked(model, seen))
        for name, seen in zip(
            chosen["clip_id"], _seen(model, settings, sources, chosen), strict=True
        )
    }
    return pd.Series({k: float(v > 0) for k, v in beyond.items() if v is not None}, dtype=float)


def _looked(model: CityGuessr, seen: Seen) -> tuple[Tensor, list[float]]:
    with torch.inference_mode():
        return looked(model, seen, model.logits(*seen)[0])


def _seen(
    model: CityGuessr, settings: config.CityGuessrTraining, sources: Sources, clips: pd.DataFrame
) -> Iterator[Seen]:
    """What the model sees of clips, one by one."""
    names = [str(name) for name in clips["clip_id"]]
    videos = cityguessr_sources.videos_of(model, settings, sources, names)
    device = model.temperatures.device
    for k in range(len(names)):
        frames, valid, time = videos.seen(np.array([k]), None)
        yield frames.to(device), valid.to(device), time.to(device)


def _middle(model: CityGuessr, seen: Seen, num_frames: int) -> Seen | None:
    """The middle frames of a clip; None if it has fewer."""
    if model.sizes.videomae is not None:
        return seen
    start = (int(seen[1].sum()) - num_frames) // 2
    if start < 0:
        return None
    frames_1TX, valid_1T, time_1T = (part[:, start : start + num_frames] for part in seen)
    return frames_1TX, valid_1T, time_1T - time_1T[:, :1]


def _lengths(model: CityGuessr, settings: config.CityGuessrTraining) -> Sequence[int]:
    """Numbers of frames; of pixels the backbone makes one vector of all that are seen."""
    if model.sizes.videomae is not None:
        return (1,)
    return (*(n for n in LENGTHS if n < settings.frames_per_clip), settings.frames_per_clip)


def _some(clips: pd.DataFrame) -> pd.DataFrame:
    ordered = clips.sort_values("clip_id")
    return ordered.iloc[list(familiarity.spaced(len(ordered)))]
