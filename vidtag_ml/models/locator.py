"""What all systems do for whoever has a recording: a bundle in memory locates it and answers.

Belongs here: the two contracts, and what keeping them takes in all systems. Does not belong here:
how one system keeps them (its locator.py), tracks as answers (located.py), which systems there are
(registry.py).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import pandas as pd

from vidtag_ml.earth.origin import Facts
from vidtag_ml.models import bundle
from vidtag_ml.models.given import Given
from vidtag_ml.models.recording import Began, Recording

Progress = Callable[[int, int], None]
"""Called with the frames of a recording that are done, and those to do."""


class Answer(Protocol):
    """Where a recording is from: a track, a place."""

    noun: ClassVar[str]
    """What it is, in one word; its files are called so."""
    timed: ClassVar[bool]
    """Whether it tells of moments."""

    @property
    def foreign(self) -> str:
        """What the model knows, if the recording is of another kind; empty if it is not."""

    @property
    def told(self) -> tuple[str, ...]:
        """What was assumed about it, a sentence each."""

    def table(self) -> pd.DataFrame:
        """A row each position or place."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""

    def write(self, folder: Path, name: str, facts: Facts) -> list[Path]:
        """Writes it as files of that name in a folder, made if need be; returns their paths.

        Facts are where it comes from; its files say so.
        """

    def beside(self, seen: Recording, began: Began | None) -> "Answer":
        """The answer beside what the recording itself says: when it began, where that was.

        Args:
            seen: what was located.
            began: when it began, whatever it says itself; None = as it says.
        """


class Locator(Protocol):
    """A bundle in memory."""

    gives: ClassVar[type[Answer]]
    """What it answers with."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The locator of a bundle; networks are read when they are needed.

        Raises:
            ValueError: the folder is no bundle, or `of` refuses it.
        """
        return cls.of(bundle.read(folder))

    @classmethod
    def of(cls, card: bundle.Card) -> Self:
        """The locator of the bundle with this card.

        Raises:
            ValueError: the bundle is of another kind or format.
        """

    def rate(self, frames_per_second: float | None) -> float:
        """Frames of a video that are looked at each second: as asked for, else as in training.

        Raises:
            ValueError: it is not positive, or the model's frames have a rate of their own.
        """

    def locate(
        self,
        asked: Path | Recording,
        frames_per_second: float | None = None,
        progress: Progress | None = None,
    ) -> Answer:
        """Where a recording is from.

        Args:
            asked: any file that decord or PyAV decodes, or a folder of nothing but pictures.
            frames_per_second: see `rate`.
            progress: called with the frames done and the frames to do.

        Raises:
            VideoError: the file is no video that can be used; says why.
            ValueError: the recording or the rate does not fit the model.
        """


@runtime_checkable
class Guided(Protocol):
    """A bundle in memory that can use what is known of recordings already."""

    def knowing(self, given: Given) -> Locator:
        """The locator, for recordings of which that is known.

        Raises:
            ValueError: that does not fit the model.
        """


def knowing(locator: Locator, given: Given) -> Locator:
    """A locator for recordings of which something is known, if anything is.

    Raises:
        ValueError: it cannot use that.
    """
    if not given:
        return locator
    if isinstance(locator, Guided):
        return locator.knowing(given)
    raise ValueError(f"{given.options}: this model cannot use what is known already")


def rate(asked: float | None, usual: float) -> float:
    """Frames a second: those asked for, else the usual.

    Raises:
        ValueError: it is not positive.
    """
    chosen = usual if asked is None else asked
    if not chosen > 0:
        raise ValueError(f"frames_per_second is {chosen}; it must be positive")
    return chosen
