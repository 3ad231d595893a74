"""VideoMAE: all frames of a clip, as pixels, seen by one Transformer.

See docs/specs/cityguessr.md, section 3.

Belongs here: the network through transformers, its specification, its weights from local files.
Does not belong here: which frames are seen of a clip (models/cityguessr/data.py), classes
(models/cityguessr/network.py). Nothing here ever downloads. Shape legend: B clips, T frames, N
tokens, S pixels of a side, D features, 3 = red, green, blue.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from vidtag_ml import config
from vidtag_ml.encoders import checkpoints
from vidtag_ml.encoders.frames import IMAGENET_MEAN, IMAGENET_STD

Pixels = Literal["imagenet", "unit"]
_HOW = (
    "VideoMAE needs a folder from Hugging Face, such as videomae-small-finetuned-kinetics, with "
    "config.json and model.safetensors in it, put on this machine by you"
)


@dataclass(frozen=True)
class VideoSpec:
    """What it takes to build one VideoMAE; stored as JSON beside the weights."""

    num_frames: int
    """Frames of a clip, no more and no fewer."""
    image_size: int
    """Side of the squares that frames are squeezed to."""
    pixels: Pixels
    """imagenet: normalised by ImageNet's statistics; unit: scaled to [0, 1] only."""
    tubelet: int
    """Frames of a token."""
    patch: int
    """Side of a token in pixels."""
    width: int
    """Width of the tokens, and of the feature."""
    layers: int
    """Transformer layers."""
    heads: int
    """Attention heads."""
    mlp: int
    """Feed-forward width."""
    final_norm: bool
    """A norm follows the last layer, as before fine-tuning; a fine-tuned network has none."""

    def __post_init__(self) -> None:
        """Checks that tokens fill a clip, and heads a token.

        Raises:
            ValueError: one number does not divide the other.
        """
        pairs = (("num_frames", "tubelet"), ("image_size", "patch"), ("width", "heads"))
        for whole, part in pairs:
            if getattr(self, whole) % getattr(self, part):
                numbers = f"{getattr(self, whole)}, not divisible by {part} {getattr(self, part)}"
                raise ValueError(f"{whole} of VideoMAE is {numbers}")

    @classmethod
    def read(cls, path: Path) -> "VideoSpec":
        """The specification stored at `path`.

        Raises:
            ValueError: the file does not hold one; names the file.
        """
        spec: VideoSpec = config.parse(cls, _json(path), str(path))
        return spec

    def write(self, path: Path) -> None:
        """Stores the specification as JSON."""
        path.write_text(json.dumps(config.as_dict(self), indent=2) + "\n")


VIDEOMAE_SMALL = VideoSpec(
    num_frames=16,
    image_size=224,
    pixels="imagenet",
    tubelet=2,
    patch=16,
    width=384,
    layers=12,
    heads=6,
    mlp=1536,
    final_norm=False,
)
"""VideoMAE-small as fine-tuned on Kinetics-400 (docs/specs/cityguessr.md, section 3)."""


class VideoMAE(nn.Module):
    """A clip's frames in, one feature vector out: the mean over all tokens of the last layer."""

    def __init__(self, spec: VideoSpec) -> None:
        """Builds the architecture with random weights; never touches the network or the disk."""
        from transformers import VideoMAEConfig, VideoMAEModel

        super().__init__()
        self.spec, self.width = spec, spec.width
        self.network = VideoMAEModel(
            VideoMAEConfig(
                num_frames=spec.num_frames,
                image_size=spec.image_size,
                tubelet_size=spec.tubelet,
                patch_size=spec.patch,
                hidden_size=spec.width,
                num_hidden_layers=spec.layers,
                num_attention_heads=spec.heads,
                intermediate_size=spec.mlp,
                use_mean_pooling=not spec.final_norm,
            )
        )

    def forward(
        self,
        frames_BT3SS: Tensor,
        valid_BT: Tensor | None = None,  # noqa: ARG002
        time_BT: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Features (B, D); every frame counts, and times are not seen.

        Args:
            frames_BT3SS: squares: bytes, or floats that are normalised already.
            valid_BT: as other backbones take it.
            time_BT: as other backbones take it.

        Raises:
            ValueError: frames are not of the number and size that the network is made for.
        """
        size = self.spec.image_size
        wanted = (self.spec.num_frames, 3, size, size)
        if frames_BT3SS.shape[1:] != wanted:
            raise ValueError(f"a clip has shape {tuple(frames_BT3SS.shape[1:])}, not {wanted}")
        if not frames_BT3SS.is_floating_point():
            frames_BT3SS = normalise(frames_BT3SS, self.spec.pixels)
        tokens_BND: Tensor = self.network(frames_BT3SS).last_hidden_state
        return tokens_BND.mean(1)


def normalise(squares_3SS: Tensor, pixels: Pixels) -> Tensor:
    """Squares (..., 3, S, S), 0 to 255, as floats in [0, 1], then by ImageNet's statistics."""
    unit_3SS = squares_3SS.float() / 255
    if pixels == "unit":
        return unit_3SS
    mean, std = (unit_3SS.new_tensor(each).view(3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
    return (unit_3SS - mean) / std


def load(folder: Path, name: str) -> VideoMAE:
    """VideoMAE from NAME.json, NAME.safetensors of `folder`, in evaluation mode, float32.

    The weights may bear our names or those of transformers' VideoMAEForVideoClassification.

    Raises:
        ValueError: a file is missing or does not fit the other; names it, and what to do.
    """
    card, file = folder / f"{name}.json", folder / f"{name}.safetensors"
    for needed in (card, file):
        if not needed.is_file():
            raise ValueError(f"{needed}: no such file, so {name} has no weights; {_HOW}")
    return _filled(VideoSpec.read(card), file, card)


def published(folder: Path) -> VideoMAE:
    """VideoMAE from a Hugging Face folder, in evaluation mode; classifier and decoder stay behind.

    Raises:
        ValueError: config.json or the weights are missing, or they do not fit; names the file.
    """
    card = folder / "config.json"
    if not card.is_file():
        raise ValueError(f"{card}: no such file; {_HOW}")
    return _filled(_published_spec(card), checkpoints.checkpoint_in(folder), card)


def _filled(spec: VideoSpec, file: Path, card: Path) -> VideoMAE:
    model = VideoMAE(spec)
    try:
        model.network.load_state_dict(_of_encoder(checkpoints.read_weights(file)))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{file}: does not fit {card}: {reason}; {_HOW}") from error
    return model.eval()


def _of_encoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights in float32, under the names of transformers' VideoMAEModel.

    Published files call two biases q_bias and v_bias; transformers renames them on its own way of
    loading only.
    """
    for prefix in ("videomae.", "network."):
        below = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        weights = below or weights
    ours = {}
    for name, value in weights.items():
        name = name.replace(".attention.q_bias", ".attention.query.bias")
        ours[name.replace(".attention.v_bias", ".attention.value.bias")] = value.float()
    return ours


def _published_spec(card: Path) -> VideoSpec:
    values = _json(card)
    # These leave no trace in the weights, so a wrong one would be noticed nowhere else.
    for key, ours in (
        ("model_type", "videomae"),
        ("hidden_act", "gelu"),
        ("layer_norm_eps", 1e-12),
    ):
        if values.get(key) != ours:
            raise ValueError(f"{card}: {key} is {values.get(key)!r}, not {ours!r}; {_HOW}")
    ours_to_theirs = {
        "num_frames": "num_frames",
        "image_size": "image_size",
        "tubelet": "tubelet_size",
        "patch": "patch_size",
        "width": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "mlp": "intermediate_size",
    }
    found = {ours: values[key] for ours, key in ours_to_theirs.items() if key in values}
    found |= {"pixels": "imagenet", "final_norm": not values.get("use_mean_pooling", True)}
    spec: VideoSpec = config.parse(VideoSpec, found, str(card))
    return spec


def _json(path: Path) -> dict[str, object]:
    try:
        values: dict[str, object] = dict(json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a JSON object: {error}") from error
    return values
