"""Answers that take less than the model, which it must beat: by likeness alone, or by nothing.

The reference most like a frame, by the encoder's features or by a thumbnail, is always answered; so
are the middle of the references and one at random.

Belongs here: these answers, and thumbnails. Does not belong here: how good they are (evaluate.py),
the verdict (judging.py). Shape legend: T frames, R references, E features, P values of a thumbnail,
H W pixels, 3 = red, green, blue, 2 = (lat, lon) in degrees.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vidtag_ml.earth import sphere
from vidtag_ml.models import blind
from vidtag_ml.models.revisit.network import Revisit, unit
from vidtag_ml.retrieval import search

Floats = NDArray[np.float64]
ALIKE = ("features", "thumbnail")
"""Answers that look at frames, and so have a score."""
BLIND = ("middle", "random")
"""Answers that look at none."""
SIDE_PX = 16
SEED = 0


def thumbnail(frame_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame as 16 x 16 pixels (P,)."""
    small = Image.fromarray(frame_HW3).resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
    return np.array(small).reshape(-1)


def alike(
    model: Revisit, features_TE: Tensor, thumbnail_TP: NDArray[np.uint8], truth_T2: Floats
) -> dict[str, Floats]:
    """How far the reference most like each frame is from its true place, and how like it is.

    Columns error_m_NAME and score_NAME, each (T,).
    """
    thumbnails = _centred(torch.from_numpy(thumbnail_TP)), _centred(model.thumbnail_RP)
    pairs = {"features": (unit(features_TE.float()), model.embedding_RE), "thumbnail": thumbnails}
    found = {}
    for name, (query_TE, reference_RE) in pairs.items():
        score_T1, row_T1 = search.search(query_TE, reference_RE, 1)
        answer_T2 = model.latlon_R2[row_T1[:, 0]].numpy()
        found[f"error_m_{name}"] = sphere.great_circle_km(answer_T2, truth_T2) * 1000
        found[f"score_{name}"] = score_T1[:, 0].double().numpy()
    return found


def blindly(model: Revisit, truth_T2: Floats) -> dict[str, Floats]:
    """How far answers that look at nothing are from true places: error_m_NAME, each (T,)."""
    latlon_R2 = model.latlon_R2.numpy()
    drawn_T = np.random.default_rng(SEED).integers(len(latlon_R2), size=len(truth_T2))
    answers = {"middle": blind.centre(latlon_R2)[None], "random": latlon_R2[drawn_T]}
    return {
        f"error_m_{name}": sphere.great_circle_km(answer, truth_T2) * 1000
        for name, answer in answers.items()
    }


def right(frames: pd.DataFrame, known_m: float) -> "Mapping[str, pd.Series[bool]]":
    """For each frame of a report whether each answer is right; `never` gives no position."""
    answers = {
        name: frames["is_known"] & (frames[f"error_m_{name}"] <= known_m)
        for name in (*ALIKE, *BLIND)
    }
    return {**answers, "never": ~frames["is_known"]}


def _centred(thumbnail_TP: Tensor) -> Tensor:
    values = thumbnail_TP.float()
    return unit(values - values.mean(1, keepdim=True))
