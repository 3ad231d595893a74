"""What all geolocalization models share: the interface, files on disk, and the way to a track.

Belongs here: `GeoModel`, `Prediction`, `save`, `load`, `locate`. Does not belong here: any model's
layers. Shape legend: B clips, T frames, D features, E common space, G gallery entries, K
candidates, S states, N points, 2 = (lat, lon) in degrees. `valid_BT` is True at real frames.
"""

import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml import config, decoding, gallery, geo
from vidtag_ml.models.location import LocationEncoder
from vidtag_ml.models.windows import in_windows, windows

Floats = NDArray[np.float64]

MAX_FRAMES = 512
"""Longest clip a network sees at once; longer ones are cut into windows (vidtag.md section 8)."""
PATH_FRAMES, PATH_STATES = 64, 256
"""Frames that Viterbi decodes together, and gallery points through which their path may go."""
NEARBY = 1.5
"""Candidates within so many spacings of an answer speak for it."""


class GeoModel(nn.Module, ABC):
    """Embeds frames and coordinates in one space, where the nearest coordinate is the answer."""

    name: ClassVar[str]
    """Key in `vidtag_ml.models.CONSTRUCTORS`; stored in model.json."""
    decodings: ClassVar[tuple[str, ...]] = ("initial", "viterbi")
    """Values of `config.Evaluation.decoding` that `locate` accepts for this model."""

    def __init__(self, sizes: config.Model, num_features: int) -> None:
        """Builds the GPS encoder and the temperature; `num_features` is the width of the frames."""
        super().__init__()
        self.sizes, self.num_features = sizes, num_features
        self.location = LocationEncoder(sizes.location, sizes.embed_dim)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @abstractmethod
    def embed_frames(self, features_BTD: Tensor, valid_BT: Tensor, time_BT: Tensor) -> Tensor:
        """Unit vectors (B, T, E) of frames; float16 features are converted first.

        Args:
            features_BTD: cached backbone features.
            valid_BT: True at real frames; what stands at padding changes nothing.
            time_BT: seconds; only their relative position within the clip matters.
        """

    def embed_locations(self, latlon_N2: Tensor) -> Tensor:
        """Unit vectors (N, E) of points in degrees."""
        return functional.normalize(self.location(latlon_N2), dim=-1)

    def refine(
        self,
        gps_BTE: Tensor,  # noqa: ARG002
        frames_BTE: Tensor,  # noqa: ARG002
        valid_BT: Tensor,  # noqa: ARG002
        time_BT: Tensor,  # noqa: ARG002
    ) -> Tensor:
        """Unit vectors (B, T, E): GPS embeddings made consistent with each other and the frames.

        Raises:
            ValueError: this model has no refiner.
        """
        raise ValueError(f"{self.name} has no refiner: decode with {' or '.join(self.decodings)}")

    def scale(self) -> Tensor:
        """Factor on cosines that makes them logits: the inverse temperature, at most 100."""
        return self.logit_scale.clamp(max=math.log(100)).exp()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.logit_scale.device


@dataclass(frozen=True)
class Prediction:
    """Where a model places the frames of one clip."""

    latlon_T2: Floats
    """The answer, by the chosen decoding."""
    initial_latlon_T2: Floats
    """Phase I's nearest gallery point, frame by frame."""
    score_T: Floats
    """Share of the candidates' probability that lies near the answer, in [0, 1]."""
    candidate_latlon_TK2: Floats
    """Gallery points most similar to each frame, best first; after the refiner if it was used."""
    candidate_score_TK: Floats
    """Their similarities."""

    def __post_init__(self) -> None:
        """Checks that all parts speak of the same frames and candidates."""
        num_frames, num_candidates = self.candidate_score_TK.shape
        wanted = {
            "latlon_T2": (num_frames, 2),
            "initial_latlon_T2": (num_frames, 2),
            "score_T": (num_frames,),
            "candidate_latlon_TK2": (num_frames, num_candidates, 2),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape}")


def save(model: GeoModel, folder: Path) -> None:
    """Writes model.json (name, sizes) and model.safetensors into `folder`, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {
        "name": model.name,
        "config": config.as_dict(model.sizes),
        "num_features": model.num_features,
    }
    (folder / "model.json").write_text(json.dumps(card, indent=2) + "\n")
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")


def load(folder: Path) -> GeoModel:
    """The model that `save` wrote to `folder`, on the CPU and in evaluation mode.

    Raises:
        ValueError: a file is missing or does not fit the other; names it.
    """
    from vidtag_ml.models import build

    for name in ("model.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name}: no such file, so {folder} holds no trained model")
    card = json.loads((folder / "model.json").read_text())
    sizes = config.parse(config.Model, card["config"], str(folder / "model.json"))
    model = build(card["name"], sizes, card["num_features"])
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except RuntimeError as error:
        raise ValueError(
            f"{folder / 'model.safetensors'}: does not fit {folder / 'model.json'}: {error}"
        ) from error
    return model.eval()


@torch.inference_mode()
def embed_gallery(model: GeoModel, latlon_G2: Floats, chunk: int = 8192) -> Tensor:
    """Unit vectors (G, E) of gallery points, float32 on the model's device; once per weights."""
    points_G2 = torch.as_tensor(np.ascontiguousarray(latlon_G2), device=model.device)
    starts = range(0, len(points_G2), chunk)
    return torch.cat([model.embed_locations(points_G2[k : k + chunk]).float() for k in starts])


@torch.inference_mode()
def locate(
    model: GeoModel,
    features_TD: NDArray[np.floating] | Tensor,
    time_s: Floats,
    gallery_latlon_G2: Floats,
    gallery_embedding_GE: Tensor,
    evaluation: config.Evaluation,
    max_speed_kmh: float,
) -> Prediction:
    """Where the frames of one clip were taken (vidtag.md section 8); no pass over the gallery.

    initial takes each frame's nearest gallery point; refined sends the embeddings of those points
    through the refiner and searches again. viterbi finds the likeliest speed-limited path through
    the `num_candidates` nearest points of all frames together, so that a blind frame can use its
    neighbours' candidates, and then leaves the gallery's lattice for the local posterior mean.
    refined_viterbi does so with the mean of frame embedding and refined embedding as the query: the
    mean of both similarities, hence the product of what two experts say.

    Args:
        model: in evaluation mode.
        features_TD: cached features of the clip, any float type.
        time_s: presentation times (T,), not decreasing.
        gallery_latlon_G2: gallery points.
        gallery_embedding_GE: their embeddings, from `embed_gallery`; float16 will do.
        evaluation: decoding and number of candidates.
        max_speed_kmh: speed limit of the clip's mode; only Viterbi reads it.

    Raises:
        ValueError: no frames, times of another number, embeddings of another gallery, a decoding
            that the model does not offer, or a model in training mode.
    """
    features = torch.as_tensor(features_TD).to(model.device)
    time, wanted = np.asarray(time_s, float), evaluation.decoding
    _check(model, features, time, gallery_latlon_G2, gallery_embedding_GE, wanted)
    time_T = _seconds(time, wanted).to(model.device)
    bank_GE = gallery_embedding_GE.to(model.device)
    num_candidates = min(evaluation.num_candidates, len(bank_GE))
    query_TE = in_windows(model.embed_frames, MAX_FRAMES, time_T, features)
    scores_TK, index_TK = gallery.search(query_TE, bank_GE, num_candidates)
    initial_T = index_TK[:, 0]
    if wanted.startswith("refined"):
        found_TE = bank_GE[initial_T].to(query_TE.dtype)
        refined_TE = in_windows(model.refine, MAX_FRAMES, time_T, found_TE, query_TE)
        query_TE = refined_TE if wanted == "refined" else (query_TE + refined_TE) / 2
        scores_TK, index_TK = gallery.search(query_TE, bank_GE, num_candidates)
    index = index_TK.cpu().numpy()
    candidates_TK2 = gallery_latlon_G2[index]
    probability_TK = _numpy((model.scale() * scores_TK).softmax(-1))
    if wanted.endswith("viterbi"):
        latlon_T2, score_T = _travel(
            model.scale() * query_TE,
            index,
            probability_TK,
            gallery_latlon_G2,
            bank_GE,
            time,
            max_speed_kmh,
        )
    else:
        latlon_T2 = candidates_TK2[:, 0]
        score_T = _mass_near(latlon_T2, candidates_TK2, probability_TK)
    return Prediction(
        latlon_T2=latlon_T2,
        initial_latlon_T2=gallery_latlon_G2[initial_T.cpu().numpy()],
        score_T=score_T,
        candidate_latlon_TK2=candidates_TK2,
        candidate_score_TK=_numpy(scores_TK),
    )


def _travel(
    query_TE: Tensor,
    index_TK: NDArray[np.int64],
    probability_TK: Floats,
    gallery_latlon_G2: Floats,
    bank_GE: Tensor,
    time_s: Floats,
    max_speed_kmh: float,
) -> tuple[Floats, Floats]:
    """Positions (T, 2) along the likeliest path, and the probability near each (T,).

    All frames of a window share their states: the points that the frames find likeliest in sum.
    """
    positions, scores = [], []
    for read, keep in windows(len(time_s), PATH_FRAMES):
        points, which = np.unique(index_TK[read], return_inverse=True)
        total = np.bincount(which.ravel(), probability_TK[read].ravel())
        states_S = np.sort(points[np.argsort(-total, kind="stable")[:PATH_STATES]])
        states_SE = bank_GE[torch.from_numpy(states_S).to(bank_GE.device)].to(query_TE.dtype)
        log_probability_TS = _numpy((query_TE[read] @ states_SE.T).log_softmax(-1))
        latlon_S2 = gallery_latlon_G2[states_S]
        path_T, marginals_TS = decoding.viterbi(
            latlon_S2, log_probability_TS, time_s[read], max_speed_kmh
        )
        latlon_T2 = decoding.posterior_mean(latlon_S2, path_T, marginals_TS)
        mine = slice(keep.start - read.start, keep.stop - read.start)
        positions.append(latlon_T2[mine])
        scores.append(_mass_near(latlon_S2[path_T], latlon_S2, marginals_TS)[mine])
    return np.concatenate(positions), np.concatenate(scores)


def _mass_near(latlon_T2: Floats, candidates_TK2: Floats, probability_TK: Floats) -> Floats:
    """Probability (T,) of the candidates within `NEARBY` spacings of each point."""
    radius_km = NEARBY * decoding.spacing_km(candidates_TK2)
    near_TK = geo.great_circle_km(latlon_T2[:, None], candidates_TK2) <= radius_km
    return np.asarray((probability_TK * near_TK).sum(-1).clip(0, 1))


def _check(
    model: GeoModel,
    features_TD: Tensor,
    time_s: Floats,
    gallery_latlon_G2: Floats,
    gallery_embedding_GE: Tensor,
    wanted: str,
) -> None:
    if model.training:
        raise ValueError("the model is in training mode: call model.eval() before locate")
    if features_TD.ndim != 2 or not len(features_TD):
        raise ValueError(f"features of shape {tuple(features_TD.shape)}; needed: (frames, width)")
    if time_s.shape != (len(features_TD),):
        raise ValueError(f"{len(features_TD)} frames but times of shape {time_s.shape}")
    if len(gallery_latlon_G2) != len(gallery_embedding_GE):
        raise ValueError(
            f"a gallery of {len(gallery_latlon_G2)} points but {len(gallery_embedding_GE)} "
            "embeddings: they belong to different galleries"
        )
    if wanted not in model.decodings:
        raise ValueError(
            f"{model.name} cannot decode by {wanted}; it offers {', '.join(model.decodings)}"
        )


def _seconds(time_s: Floats, wanted: str) -> Tensor:
    """Times from the first frame (T,); frame numbers where a source has no times."""
    if np.isfinite(time_s).all():
        return torch.from_numpy(time_s - time_s[0]).float()
    if wanted.endswith("viterbi"):
        raise ValueError("frames without times have no speed: decode by initial or refined")
    return torch.arange(len(time_s)).float()


def _numpy(values: Tensor) -> Floats:
    return np.asarray(values.double().cpu().numpy())
