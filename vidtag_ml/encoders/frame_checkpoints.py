"""Published frame encoders, in the names of our towers.

Belongs here: CLIP and DINOv2 as OpenAI, open_clip, timm and Hugging Face publish them. Does not
belong here: reading files (checkpoints.py), architectures (frames.py).
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn

from vidtag_ml.encoders import checkpoints, frames
from vidtag_ml.encoders.checkpoints import Weights
from vidtag_ml.encoders.frames import EncoderSpec, FrameEncoder

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
    file = checkpoints.checkpoint_in(source)
    published = checkpoints.read_weights(file)
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
    return frames.fill(built, named, f"{file}: does not fit {spec.model}")


def _is_hugging_face_clip(published: Mapping[str, Tensor]) -> bool:
    return "vision_model.embeddings.class_embedding" in published


def _to_open_clip(published: Weights, file: Path) -> Weights:
    if _is_hugging_face_clip(published):
        tower = _renamed(checkpoints.below("vision_model.", published), _HF_CLIP, "attn.in_proj_")
        tower.pop("embeddings.position_ids", None)
        if "visual_projection.weight" not in published:
            raise ValueError(f"{file}: has no visual_projection.weight, so no projected features")
        return {**tower, "proj": published["visual_projection.weight"].T}
    tower = checkpoints.below("visual.", published)
    if "class_embedding" not in tower:
        _refuse(file, published, "CLIP vision transformer as open_clip, OpenAI or Hugging Face")
    return tower


def _to_timm(published: Weights, file: Path) -> Weights:
    plain = (
        checkpoints.below("dinov2.", published)
        or checkpoints.below("dinov2_with_registers.", published)
        or published
    )
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
