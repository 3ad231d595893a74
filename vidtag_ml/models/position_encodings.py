"""Where a frame stands in its clip, as numbers that networks read.

Belongs here: position encodings. Does not belong here: layers that use them (each system's module
`network`). Shape legend: B clips, T frames. `valid_BT` is True at real frames, False at padding.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

LAST_POSITION = 15.0
"""Position of a clip's last frame: training shows 16 frames, and any clip is mapped onto them."""


class Positions(nn.Module):
    """Position encodings (B, T, width) of frames by their time within the clip."""

    def __init__(
        self, kind: Literal["sinusoidal", "learned", "none"], width: int, entries: int
    ) -> None:
        """Sinusoidal: unit norm times a learnable scalar. Learned: `entries` by frame number."""
        super().__init__()
        self.kind, self.width = kind, width
        if kind == "learned":
            self.table = nn.Parameter(torch.randn(entries, width) * 0.02)
        elif kind == "sinusoidal":
            self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, valid_BT: Tensor, time_BT: Tensor) -> Tensor:
        """Encodings of real frames; what is returned at padding has no meaning."""
        if self.kind == "none":
            return time_BT.new_zeros(*time_BT.shape, self.width)
        if self.kind == "learned":
            return self.table[(valid_BT.long().cumsum(1) - 1).clamp(0, len(self.table) - 1)]
        half = (self.width + 1) // 2
        frequency = 10000.0 ** (-torch.arange(half, device=time_BT.device) / half)
        phase = relative_position(valid_BT, time_BT)[..., None] * frequency
        waves = torch.cat([phase.sin(), phase.cos()], -1)[..., : self.width]
        return self.weight * functional.normalize(waves, dim=-1)


def relative_position(valid_BT: Tensor, time_BT: Tensor) -> Tensor:
    """Times mapped to [0, 15] over each clip's real frames; 0 where a clip has a single time."""
    time = time_BT.float()
    first = time.masked_fill(~valid_BT, torch.inf).amin(1, keepdim=True)
    last = time.masked_fill(~valid_BT, -torch.inf).amax(1, keepdim=True)
    position = LAST_POSITION * (time - first) / (last - first).clamp(min=1e-6)
    return position.masked_fill(~valid_BT, 0.0)
