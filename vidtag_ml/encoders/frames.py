"""Frame encoders: open_clip and timm networks that turn pictures into feature vectors.

Belongs here: building an encoder from a specification, loading weights from a local file, each
encoder's own preprocessing. Nothing here ever downloads; `vidtag weights` does, on request.
Shape legend: N pictures, H W pixels, D features, 3 = red, green, blue.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vidtag_ml.encoders import plain
from vidtag_ml.media import views

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_REGNET = {
    "timm_model_name": "regnetx_004",
    "timm_model_pretrained": False,
    "timm_pool": "",
    "timm_proj": "linear",
}
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class EncoderSpec:
    """What it takes to build one frame encoder; stored as JSON beside the weights."""

    library: Literal["open_clip", "timm"]
    """Library that owns the architecture."""
    model: str
    """Architecture name in that library; for open_clip a custom tower has a free name."""
    dim: int
    """Width of the feature vector."""
    image_size: int
    """Pictures are resized to image_size x image_size, whatever their aspect ratio."""
    mean: tuple[float, float, float]
    """Channel means that the encoder expects, for values in [0, 1]."""
    std: tuple[float, float, float]
    """Channel standard deviations that the encoder expects."""
    options: dict[str, Any] = field(default_factory=dict)
    """open_clip: `vision_cfg` of a custom tower, and `quick_gelu` if it uses that activation; empty
    for a named model. timm: create_model's."""

    @classmethod
    def read(cls, path: Path) -> "EncoderSpec":
        """The specification stored at `path`.

        Raises:
            ValueError: the file does not hold one; names the file.
        """
        try:
            values = json.loads(path.read_text())
            return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not an encoder's specification: {error!r}") from error

    def write(self, path: Path) -> None:
        """Stores the specification as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


class FrameEncoder(nn.Module):
    """A backbone with its preprocessing: pictures in, one feature vector each out."""

    mean_C11: Tensor
    std_C11: Tensor

    def __init__(self, spec: EncoderSpec, network: nn.Module | None = None) -> None:
        """Builds the architecture with random weights; never touches the network or the disk.

        A `network` is another implementation of the architecture, whose weights have its names.
        """
        super().__init__()
        self.spec = spec
        self.network = _in_its_library(spec) if network is None else network
        self.register_buffer("mean_C11", torch.tensor(spec.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std_C11", torch.tensor(spec.std).view(3, 1, 1), persistent=False)

    def preprocess(self, frames_NHW3: Tensor) -> Tensor:
        """Whole pictures (N, H, W, 3) uint8, squeezed to squares and normalised: (N, 3, S, S)."""
        squares_NV3SS = views.squares(frames_NHW3, self.spec.image_size, "whole")
        return self.normalise(squares_NV3SS.squeeze(1))

    def normalise(self, squares_N3SS: Tensor) -> Tensor:
        """Squares of the encoder's size, 0 to 255 (media/views.py), by its own statistics."""
        shift_C11 = -self.mean_C11 / self.std_C11
        return torch.addcmul(shift_C11, squares_N3SS.float(), 1 / (255 * self.std_C11))

    def forward(self, pictures_N3SS: Tensor) -> Tensor:
        """Features (N, D) of preprocessed pictures."""
        features: Tensor = self.network(pictures_N3SS)
        return features


def load(folder: Path, name: str) -> FrameEncoder:
    """The encoder NAME.json, NAME.safetensors of `folder`: frozen, in evaluation mode, float32.

    Raises:
        ValueError: a file is missing or does not fit the other; names it, and the way to get it.
    """
    described, weights_file = folder / f"{name}.json", folder / f"{name}.safetensors"
    for file in (described, weights_file):
        if not file.is_file():
            raise ValueError(
                f"{file}: no such file, so the encoder {name} has no weights; `vidtag weights` "
                "shows which there are and how to get them"
            )
    spec = EncoderSpec.read(described)
    encoder = FrameEncoder(spec, _twin(spec))
    return fill(encoder, load_file(weights_file), f"{weights_file}: does not fit {described}")


def fill(encoder: FrameEncoder, weights: Mapping[str, Tensor], complaint: str) -> FrameEncoder:
    """`encoder` with the given weights: frozen, in evaluation mode, float32.

    Raises:
        ValueError: a name or a shape has no counterpart; says the complaint, then which.
    """
    shapes = {key: value.shape for key, value in encoder.state_dict().items()}
    for key, value in weights.items():
        if shapes.get(key, value.shape) != value.shape:
            sizes = f"{tuple(value.shape)}, not {tuple(shapes[key])}"
            raise ValueError(f"{complaint}: {key} has shape {sizes}")
    exact = {key: value.float() for key, value in weights.items()}
    missing, unexpected = encoder.load_state_dict(exact, strict=False)
    # Batch counters are training state, and are not published.
    wrong = [key for key in missing if not key.endswith("num_batches_tracked")] + unexpected
    if wrong:
        raise ValueError(f"{complaint}: {wrong[0]} has no counterpart")
    return encoder.eval().requires_grad_(False)


def _twin(spec: EncoderSpec) -> nn.Module | None:
    """The same network without its library, if there is one: see `plain.py`."""
    asked = (spec.library, spec.options)
    if asked == ("open_clip", {"vision_cfg": {**_REGNET, "image_size": spec.image_size}}):
        return plain.RegNetX004(spec.dim)
    if (*asked, spec.model, spec.dim) == ("timm", {}, "resnet10t", 512):
        return plain.ResNet10T()
    return None


def _in_its_library(spec: EncoderSpec) -> nn.Module:
    return _open_clip_tower(spec) if spec.library == "open_clip" else _timm(spec)


def _open_clip_tower(spec: EncoderSpec) -> nn.Module:
    """The vision tower alone; a text tower as large as ViT-L's would be built for nothing."""
    import open_clip

    if spec.options:
        width, vision = spec.dim, spec.options["vision_cfg"]
        quick_gelu = spec.options.get("quick_gelu", False)
    else:
        known = open_clip.get_model_config(spec.model)
        if known is None:
            raise ValueError(f"open_clip knows no model {spec.model}")
        width, vision = known["embed_dim"], known["vision_cfg"]
        quick_gelu = known.get("quick_gelu", False)
    vision = {**vision, "timm_model_pretrained": False}
    text = {"context_length": 4, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}
    tower: nn.Module = open_clip.CLIP(width, vision, text, quick_gelu=quick_gelu).visual
    return tower


def _timm(spec: EncoderSpec) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(
        spec.model, pretrained=False, num_classes=0, **spec.options
    )
    return network


PAPER_SPECS = {
    "clip_vit_l14": EncoderSpec(
        library="open_clip",
        model="ViT-L-14-quickgelu",
        dim=768,
        image_size=224,
        mean=OPENAI_MEAN,
        std=OPENAI_STD,
    ),
    "dinov2_vit_l14": EncoderSpec(
        library="timm",
        model="vit_large_patch14_dinov2",
        dim=1024,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        options={"img_size": 224},
    ),
    "dinov2_reg_vit_l14": EncoderSpec(
        library="timm",
        model="vit_large_patch14_reg4_dinov2",
        dim=1024,
        image_size=224,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        options={"img_size": 224},
    ),
}
"""The papers' encoders (docs/specs/vidtag.md, section 12): CLIP's projected features, DINOv2's
class token, without and with registers."""
