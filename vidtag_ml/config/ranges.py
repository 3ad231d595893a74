"""Types of numbers that say where they must lie, and of lists that must hold something.

Belongs here: ranges, and the few that fields need. Does not belong here: checking values against
them (parsing.py).
"""

import math
from collections.abc import Sized
from dataclasses import dataclass
from typing import Annotated, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Range:
    """Where a number must lie.

    >>> 0 in Range(above=0, most=1), 1 in Range(above=0, most=1), str(Range(above=0, most=1))
    (False, True, 'above 0 and at most 1')
    """

    least: float = -math.inf
    """The smallest number that will do."""
    above: float = -math.inf
    """Larger numbers do."""
    most: float = math.inf
    """The largest number that will do."""
    below: float = math.inf
    """Smaller numbers do."""

    def __contains__(self, value: float) -> bool:
        """Whether the number lies there."""
        return self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        """The ends that there are, in words."""
        ends = {"at least": self.least, "above": self.above}
        ends |= {"at most": self.most, "below": self.below}
        return " and ".join(f"{words} {end:g}" for words, end in ends.items() if math.isfinite(end))


@dataclass(frozen=True)
class Filled:
    """What a list must be in which something has to stand."""

    def __contains__(self, values: Sized) -> bool:
        """Whether there is something in it."""
        return len(values) > 0

    def __str__(self) -> str:
        """The same in words."""
        return "a list of at least one"


Count = Annotated[int, Range(least=1)]
Whole = Annotated[int, Range(least=0)]
Zoom = Annotated[int, Range(least=0, most=30)]
Positive = Annotated[float, Range(above=0)]
Amount = Annotated[float, Range(least=0)]
Degrees = Annotated[float, Range(least=0, most=180)]
Share = Annotated[float, Range(least=0, most=1)]
Portion = Annotated[float, Range(above=0, most=1)]
Dropout = Annotated[float, Range(least=0, below=1)]
Some = Annotated[tuple[Item, ...], Filled()]
