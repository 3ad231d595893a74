"""Weights as others publish them, read and put under the names of our modules.

Belongs here: the layouts of published checkpoints (open_clip, timm, Hugging Face, facebook's
DINOv2, GeoCLIP's releases) and the way from each to us. Does not belong here: which weights vidtag
knows and where they lie (weights.py), architectures (models/). Reads files, never the network.
Shape legend: G gallery entries, 2 = (lat, lon) in degrees.
"""

import importlib.util
import json
import pickle
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidtag_ml import config
from vidtag_ml.models import backbones
from vidtag_ml.models.backbones import EncoderSpec, FrameEncoder
from vidtag_ml.models.location import GEOCLIP_SIGMAS, LocationEncoder, from_geoclip

Weights = dict[str, Tensor]

CHECKPOINTS = ("model.safetensors", "pytorch_model.bin")
"""Names under which a Hugging Face folder holds its weights, the better first."""
_HF_CLIP = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.patch_embedding.": "conv1.",
    "pre_layrnorm.": "ln_pre.",
    "post_layernorm.": "ln_post.",
    "encoder.layers.": "transformer.resblocks.",
    "layer_norm1.": "ln_1.",
    "layer_norm2.": "ln_2.",
    "self_attn.out_proj.": "attn.out_proj.",
    "self_attn.q_proj.": "attn.q.",
    "self_attn.k_proj.": "attn.k.",
    "self_attn.v_proj.": "attn.v.",
    "mlp.fc1.": "mlp.c_fc.",
    "mlp.fc2.": "mlp.c_proj.",
}
_HF_DINOV2 = {
    "embeddings.cls_token": "cls_token",
    "embeddings.mask_token": "mask_token",
    "embeddings.register_tokens": "register_tokens",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
    "layernorm.": "norm.",
    "encoder.layer.": "blocks.",
    "attention.attention.query.": "attn.q.",
    "attention.attention.key.": "attn.k.",
    "attention.attention.value.": "attn.v.",
    "attention.output.dense.": "attn.proj.",
    "attention.q_proj.": "attn.q.",
    "attention.k_proj.": "attn.k.",
    "attention.v_proj.": "attn.v.",
    "attention.o_proj.": "attn.proj.",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}
_PACKAGE = {
    "location_encoder.": "location_encoder_weights.pth",
    "image_encoder.mlp.": "image_encoder_mlp_weights.pth",
    "logit_scale": "logit_scale_weights.pth",
}
_PACKAGE_GALLERY = "coordinates_100K.csv"


def encoder(spec: EncoderSpec, source: Path) -> FrameEncoder:
    """The encoder `spec` with the weights of a published checkpoint, whose layout its keys tell.

    For open_clip: open_clip's or OpenAI's own names, or those of transformers' CLIPModel and
    CLIPVisionModelWithProjection. For timm: timm's or facebook's names, or those of transformers'
    Dinov2Model and Dinov2WithRegistersModel. A position table of another grid is resampled by timm.

    Args:
        spec: what to build.
        source: the checkpoint, or a folder that holds one of `CHECKPOINTS`.

    Raises:
        ValueError: there is no such file, its layout is unknown, or it does not fit; names it.
    """
    file = checkpoint_in(source)
    published = read_weights(file)
    rename = _to_open_clip if spec.library == "open_clip" else _to_timm
    weights = rename(published, file)
    built = FrameEncoder(spec)
    if spec.library == "open_clip":
        if _is_hugging_face_clip(published):
            _check_activation(built, file.with_name("config.json"))
        weights = _regridded(weights, built.network)
    else:
        from timm.models.vision_transformer import checkpoint_filter_fn

        weights = checkpoint_filter_fn(weights, built.network)  # type: ignore[arg-type]
    named = {f"network.{key}": value for key, value in weights.items()}
    return backbones.fill(built, named, f"{file}: does not fit {spec.model}")


@dataclass(frozen=True)
class Heads:
    """What GeoCLIP's authors trained, under our names, in float32 (geoclip.md sections 2 to 4)."""

    location: Weights
    """State dict of a `LocationEncoder` with `sigmas`."""
    sigmas: tuple[float, ...]
    """Scale of each branch of the GPS encoder."""
    image: Weights
    """State dict of `GeoCLIP.image`."""
    logit_scale: Tensor
    """Logarithm of the scale of cosines, a scalar."""
    gallery_csv: Path
    """The released gallery: a CSV file, header LAT,LON."""


def geoclip(folder: Path | None = None) -> Heads:
    """GeoCLIP's released heads and gallery, read from files.

    Args:
        folder: a release (config.json, model.safetensors and a CSV file), or a folder that holds
            the weights files of the package `geoclip`; None = the installed package.

    Raises:
        ValueError: the package is not installed, a file is missing or unreadable, or the weights
            are not those of GeoCLIP; names the place.
    """
    place = folder or _installed()
    if not place.is_dir():
        raise ValueError(f"{place}: no such folder")
    read = _release if (place / "config.json").is_file() else _package
    published, sigmas, gallery = read(place)
    try:
        heads = Heads(
            location=from_geoclip(_below("location_encoder.", published)),
            sigmas=sigmas,
            image=_below("image_encoder.mlp.", published),
            logit_scale=published["logit_scale"].reshape(()),
            gallery_csv=gallery,
        )
        load_heads(heads)
        read_gallery(gallery)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"{place}: not GeoCLIP's weights: {error}") from error
    return heads


def read_gallery(file: Path) -> NDArray[np.float64]:
    """Points (G, 2), degrees, of a released gallery: a CSV file with header LAT,LON.

    Raises:
        ValueError: it is no such file, or a point is not on the globe; names it.
    """
    with file.open(encoding="utf-8", errors="replace") as lines:
        header = lines.readline().strip()
    if header != "LAT,LON":
        raise ValueError(f"{file}: its header is {header[:40]!r}, not 'LAT,LON'")
    try:
        latlon_G2 = np.loadtxt(file, delimiter=",", skiprows=1, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if latlon_G2.shape[1] != 2 or not (np.abs(latlon_G2) <= (90.0, 180.0)).all():
        raise ValueError(f"{file}: not all of its rows are (lat, lon) in degrees")
    return latlon_G2


def load_heads(heads: Heads) -> tuple[LocationEncoder, nn.Sequential]:
    """GPS encoder and image perceptron of the published sizes with these weights.

    Raises:
        RuntimeError: the weights have other names or sizes.
    """
    location = LocationEncoder(config.Location(heads.sigmas, 256, 1024), 512)
    image = nn.Sequential(nn.Linear(768, 768), nn.ReLU(), nn.Linear(768, 512))
    location.load_state_dict(heads.location)
    image.load_state_dict(heads.image)
    return location.eval(), image.eval()


def checkpoint_in(source: Path) -> Path:
    """The file of weights that a path names: itself, or the one in a Hugging Face folder.

    Raises:
        ValueError: there is none; names the path.
    """
    if source.is_dir():
        for name in CHECKPOINTS:
            if (source / name).is_file():
                return source / name
        raise ValueError(f"{source}: holds neither {' nor '.join(CHECKPOINTS)}")
    if not source.is_file():
        raise ValueError(f"{source}: no such file")
    return source


def read_weights(file: Path) -> Weights:
    """All tensors of a checkpoint, by name.

    Raises:
        ValueError: it is no checkpoint; names the file.
    """
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        held = _torchscript(file) if _is_torchscript(file) else _pickled(file)
    # Unpickling rubbish fails in as many ways.
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, LookupError, EOFError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{file}: not a checkpoint: {reason}") from error
    for wrapper in ("state_dict", "model"):
        held = held.get(wrapper, held)
    tensors = {str(key): value for key, value in held.items() if isinstance(value, Tensor)}
    return _below("module.", tensors) or tensors


def _pickled(file: Path) -> dict[str, Any]:
    held = torch.load(file, map_location="cpu", weights_only=True)
    return held if isinstance(held, dict) else {"": held}


def _torchscript(file: Path) -> dict[str, Any]:
    with warnings.catch_warnings():  # OpenAI's own files are archives that torch calls old
        warnings.simplefilter("ignore", FutureWarning)
        archive = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]
    return dict(archive.state_dict())


def _is_torchscript(file: Path) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _below(prefix: str, weights: Mapping[str, Tensor]) -> Weights:
    """What begins with the prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _is_hugging_face_clip(published: Mapping[str, Tensor]) -> bool:
    return "vision_model.embeddings.class_embedding" in published


def _to_open_clip(published: Weights, file: Path) -> Weights:
    if _is_hugging_face_clip(published):
        tower = _renamed(_below("vision_model.", published), _HF_CLIP, "attn.in_proj_")
        tower.pop("embeddings.position_ids", None)
        if "visual_projection.weight" not in published:
            raise ValueError(f"{file}: has no visual_projection.weight, so no projected features")
        return {**tower, "proj": published["visual_projection.weight"].T}
    tower = _below("visual.", published)
    if "class_embedding" not in tower:
        _refuse(file, published, "CLIP vision transformer as open_clip, OpenAI or Hugging Face")
    return tower


def _to_timm(published: Weights, file: Path) -> Weights:
    plain = _below("dinov2.", published) or _below("dinov2_with_registers.", published) or published
    if "embeddings.cls_token" in plain:
        return _renamed(plain, _HF_DINOV2, "attn.qkv.")
    if "cls_token" not in plain:
        _refuse(file, published, "DINOv2 vision transformer as timm, facebook or Hugging Face")
    return plain


def _refuse(file: Path, published: Iterable[str], what: str) -> NoReturn:
    first = next(iter(published), "nothing")
    raise ValueError(f"{file}: holds no {what} would name it; its keys begin with {first!r}")


def _renamed(theirs: Mapping[str, Tensor], names: Mapping[str, str], stacked: str) -> Weights:
    """Weights under new names, with query, key and value stacked into one.

    Args:
        theirs: weights as published.
        names: parts of names, and what takes their place.
        stacked: takes the place of `attn.q.`, `attn.k.` and `attn.v.`.
    """
    ours = {}
    for name, value in theirs.items():
        for old, new in names.items():
            name = name.replace(old, new)
        ours[name] = value
    for query in [name for name in ours if ".attn.q." in name]:
        parts = [query.replace(".attn.q.", f".attn.{part}.") for part in "qkv"]
        if all(part in ours for part in parts):
            whole = torch.cat([ours.pop(part) for part in parts])
            ours[query.replace("attn.q.", stacked)] = whole
    return ours


def _regridded(weights: Weights, tower: nn.Module) -> Weights:
    """The weights of a CLIP tower with positions on its own grid."""
    from timm.layers.pos_embed import resample_abs_pos_embed

    table = weights["positional_embedding"]
    grid = list(tower.grid_size)  # type: ignore[arg-type]
    return {**weights, "positional_embedding": resample_abs_pos_embed(table[None], grid)[0]}


def _check_activation(built: FrameEncoder, card: Path) -> None:
    """Compares activations: they have no weights, so a wrong one would be noticed nowhere else."""
    if not card.is_file():
        return
    values = json.loads(card.read_text())
    activation = values.get("vision_config", values).get("hidden_act", "quick_gelu")
    quick = any(type(module).__name__ == "QuickGELU" for module in built.modules())
    if quick != (activation == "quick_gelu"):
        raise ValueError(f"{card}: hidden_act is {activation!r}, unlike that of {built.spec.model}")


def _installed() -> Path:
    found = importlib.util.find_spec("geoclip")
    if found is None or not found.submodule_search_locations:
        raise ValueError(
            "the package geoclip, which carries GeoCLIP's weights, is not installed; install it, "
            "or name a folder with its weights"
        )
    return Path(found.submodule_search_locations[0])


def _package(place: Path) -> tuple[Weights, tuple[float, ...], Path]:
    """Weights under the names of a release, sigmas and gallery of the package's files."""
    found = {prefix: next(place.rglob(file), None) for prefix, file in _PACKAGE.items()}
    absent = [_PACKAGE[prefix] for prefix, file in found.items() if file is None]
    if absent:
        raise ValueError(f"{place}: has neither config.json nor {absent[0]}")
    beside = place.parent / "gps_gallery" / _PACKAGE_GALLERY
    gallery = next(place.rglob(_PACKAGE_GALLERY), beside)
    if not gallery.is_file():
        raise ValueError(f"{place}: has no gallery {_PACKAGE_GALLERY}")
    published = {
        f"{prefix}{key}": value
        for prefix, file in found.items()
        if file is not None
        for key, value in read_weights(file).items()
    }
    return published, GEOCLIP_SIGMAS, gallery


def _release(place: Path) -> tuple[Weights, tuple[float, ...], Path]:
    """Weights, sigmas and gallery of a release folder (geoclip.md section 2)."""
    card = place / "config.json"
    try:
        values = json.loads(card.read_text())
        if (values["model_type"], values["format_version"]) != ("geoclip-geolocation", 1):
            raise ValueError(f"{card}: not a geoclip-geolocation release of format_version 1")
        sigmas = tuple(float(sigma) for sigma in values["sigma"])
        gallery = place / Path(values["gallery_file"]).name
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{card}: not the card of a GeoCLIP release: {error!r}") from error
    for file in (gallery, place / "model.safetensors"):
        if not file.is_file():
            raise ValueError(f"{file}: no such file")
    return read_weights(place / "model.safetensors"), sigmas, gallery
