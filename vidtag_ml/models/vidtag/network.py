"""VidTAG: frames aligned in time, then a track of GPS embeddings refined.

See docs/specs/vidtag.md, section 3.

Belongs here: TempGeo, the head, GeoRefiner. Does not belong here: backbones (their cached
features come in), losses, decoding. Shape legend: B clips, T frames, D features, E common space.
`valid_BT` is True at real frames, False at padding.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.models.gps_retrieval.network import AlignedModel
from vidtag_ml.models.position_encodings import Positions


class TempGeo(nn.Module):
    """Frames of one clip attend to each other, and are moved, not replaced."""

    def __init__(self, sizes: config.Model, width: int) -> None:
        """Builds `temporal_layers` pre-norm layers; each starts by adding nothing.

        So a head that knows single frames is as good at the start as without TempGeo
        (docs/decisions/0048). Without layers frames do not see each other.
        """
        super().__init__()
        kind = sizes.positions if sizes.temporal_layers else "none"
        self.positions = Positions(kind, width, sizes.num_positions)
        layers = [
            _encoder_layer(width, sizes.temporal_heads, sizes.temporal_ffn, sizes.dropout)
            for _ in range(sizes.temporal_layers)
        ]
        for layer in layers:
            _silence(layer.self_attn.out_proj, layer.linear2)
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width) if sizes.temporal_norm else nn.Identity()

    def forward(self, fused_BTD: Tensor, valid_BT: Tensor, time_BT: Tensor) -> Tensor:
        """Aligned features (B, T, D) of fused unit vectors."""
        placed = stream = _to_stream(fused_BTD + self.positions(valid_BT, time_BT))
        for layer in self.layers:
            stream = layer(stream, src_key_padding_mask=~valid_BT)
        # Positions steer attention; they are no part of what a frame shows, so they leave again.
        aligned_BTD: Tensor = self.norm(_to_stream(fused_BTD) + stream - placed)
        return aligned_BTD


class GeoRefiner(nn.Module):
    """GPS embeddings attend to each other and to the frames, and are moved, not replaced."""

    def __init__(self, sizes: config.Model) -> None:
        """Builds encoder and decoder; every decoder block starts by adding nothing."""
        super().__init__()
        width, heads, ffn = refiner_width(sizes), sizes.refiner_heads, sizes.refiner_ffn
        self.positions = Positions(sizes.refiner_positions, width, sizes.num_positions)
        self.frames_in, self.gps_in, self.gps_out = (
            nn.Identity() if sizes.refiner_width is None else nn.Linear(before, after)
            for before, after in (
                (sizes.embed_dim, width),
                (sizes.embed_dim, width),
                (width, sizes.embed_dim),
            )
        )
        self.encoder = nn.ModuleList(
            _encoder_layer(width, heads, ffn, sizes.dropout)
            for _ in range(sizes.refiner_encoder_layers)
        )
        self.memory_norm = nn.LayerNorm(width)
        self.decoder = nn.ModuleList(
            _decoder_layer(width, heads, ffn, sizes.dropout)
            for _ in range(sizes.refiner_decoder_layers)
        )

    def forward(
        self, gps_BTE: Tensor, frames_BTE: Tensor, valid_BT: Tensor, time_BT: Tensor
    ) -> Tensor:
        """Refined embeddings (B, T, E), not normalised; untrained, the direction of `gps_BTE`."""
        padding_BT = ~valid_BT
        positions = self.positions(valid_BT, time_BT)
        memory = _to_stream(self.frames_in(frames_BTE) + positions)
        for layer in self.encoder:
            memory = layer(memory, src_key_padding_mask=padding_BT)
        memory = self.memory_norm(memory)
        queries = stream = _to_stream(self.gps_in(gps_BTE) + positions)
        for layer in self.decoder:
            stream = layer(
                stream,
                memory,
                tgt_key_padding_mask=padding_BT,
                memory_key_padding_mask=padding_BT,
            )
        # Positions steer attention; they are no part of a coordinate, so they leave the stream.
        moved_BTE: Tensor = _to_stream(gps_BTE) + self.gps_out(stream - queries)
        return moved_BTE


def refiner_width(sizes: config.Model) -> int:
    """Width of the refiner's layers."""
    return sizes.embed_dim if sizes.refiner_width is None else sizes.refiner_width


class VidTAG(AlignedModel):
    """Two encoders' features -> TempGeo -> head; GPS encoder; GeoRefiner over the found track."""

    name: ClassVar[str] = "vidtag"
    decodings: ClassVar[tuple[str, ...]] = (
        *("initial", "refined", "viterbi", "refined_viterbi", "motion"),
    )

    def __init__(self, sizes: config.Model, widths: Mapping[str, int]) -> None:
        """Random weights; the encoders' features are concatenated.

        Raises:
            ValueError: the features' width is not divisible by TempGeo's number of heads.
        """
        super().__init__(sizes, widths)
        width, heads = self.num_features, sizes.temporal_heads
        if sizes.temporal_layers and width % heads:
            raise ValueError(
                f"width of features is {width}, not divisible by temporal_heads = {heads}"
            )
        self.temporal = TempGeo(sizes, self.num_features)
        self.head = _head((self.num_features, *sizes.head_widths, sizes.embed_dim))
        self.refiner = GeoRefiner(sizes)

    def unaligned(self) -> tuple[nn.Module, ...]:
        """The refiner: Phase I does without it."""
        return (self.refiner,)

    def embed_frames(self, features_BTD: Tensor, valid_BT: Tensor, time_BT: Tensor) -> Tensor:
        """Unit vectors (B, T, E) of frames, aligned with the other frames of their clip."""
        fused_BTD = functional.normalize(features_BTD.to(self.logit_scale.dtype), dim=-1)
        aligned_BTD = self.temporal(fused_BTD, valid_BT, time_BT)
        return functional.normalize(self.head(aligned_BTD), dim=-1)

    def refine(
        self, gps_BTE: Tensor, frames_BTE: Tensor, valid_BT: Tensor, time_BT: Tensor
    ) -> Tensor:
        """Unit vectors (B, T, E): GPS embeddings made consistent with each other and the frames."""
        return functional.normalize(self.refiner(gps_BTE, frames_BTE, valid_BT, time_BT), dim=-1)


def _to_stream(unit_BTX: Tensor) -> Tensor:
    """Unit vectors scaled to unit variance a component, as Transformers scale their embeddings.

    Without this the first block's output, of norm near sqrt(width), drowns a vector of norm 1.
    """
    return unit_BTX * math.sqrt(unit_BTX.shape[-1])


def _head(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear layers between the widths, Mish between them (docs/specs/vidtag.md, section 3.3)."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.Mish()]
    return nn.Sequential(*layers[:-1])


def _encoder_layer(width: int, heads: int, ffn: int, dropout: float) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        width, heads, ffn, dropout, activation="gelu", batch_first=True, norm_first=True
    )


def _decoder_layer(width: int, heads: int, ffn: int, dropout: float) -> nn.Module:
    layer = nn.TransformerDecoderLayer(
        width, heads, ffn, dropout, activation="gelu", batch_first=True, norm_first=True
    )
    _silence(layer.self_attn.out_proj, layer.multihead_attn.out_proj, layer.linear2)
    return layer


def _silence(*lasts: nn.Linear) -> None:
    """Lets the last layers of branches start by adding nothing to the stream."""
    for last in lasts:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
