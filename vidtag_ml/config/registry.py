"""Section `registry`: what registered models are called, and when the gate may promote one.

Belongs here: its fields, a sentence under each.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from vidtag_ml.config.ranges import Range


@dataclass(frozen=True)
class Registry:
    """Under which names models are registered, and when the gate may promote one."""

    domain: str | None
    """Models are registered as vidtag-DOMAIN, cityguessr-DOMAIN and gama-DOMAIN, and champions are
    compared within a domain; null = `clips.source`, but the plain names on Flyover Earth."""
    least_clips: Annotated[int, Range(least=2)]
    """Val clips, of GAMa videos, that a challenger needs: fewer decide by chance (decision 25)."""

    def __post_init__(self) -> None:
        """Refuses what MLflow could not name."""
        if self.domain is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.domain):
            raise ValueError(f"domain is {self.domain!r}; use letters, digits, _ and -, or null")
