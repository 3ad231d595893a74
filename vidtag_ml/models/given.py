"""What a person knows already of a recording, before a model looks at it.

Belongs here: what can be known, and how it is said. Does not belong here: what follows for frames
(gps_retrieval/known.py), reading it from a command line (cli/given.py).
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from vidtag_ml.earth.regions import Circle, Region
from vidtag_ml.models.recording import Began

LatLon = tuple[float, float]
DOUBTED = "what is seen contradicts what was given, which is believed all the same"


class ContradictionError(ValueError):
    """What is known contradicts itself, or what the model sees; there is no answer."""


@dataclass(frozen=True)
class Given:
    """What is known of a recording; None where nothing is."""

    within: Region | None = None
    """All of it was taken there."""
    near: Circle | None = None
    """So was it here."""
    start: LatLon | None = None
    """Where its first frame was taken."""
    end: LatLon | None = None
    """Where its last frame was taken."""
    after: dt.datetime | None = None
    """It was made in daylight, not before this moment."""
    before: dt.datetime | None = None
    """Nor after this one."""
    mode: str | None = None
    """How it moved."""
    began: Began | None = None
    """When its first frame was taken, if it is told so."""
    anyway: bool = False
    """Whether it is believed where it contradicts what is seen."""

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return any(self.words)

    @property
    def options(self) -> str:
        """The options that said so."""
        names = ("within", "near", "start", "end", "after", "before", "mode")
        return ", ".join(f"--{n}" for n in names if getattr(self, n) is not None)

    @property
    def is_of_place(self) -> bool:
        """Whether it tells where, and not only how fast."""
        return bool(self) and self.options != "--mode"

    @property
    def words(self) -> tuple[str, ...]:
        """What is known, in a few words each."""
        return tuple(self._words())

    def _words(self) -> Iterator[str]:
        for region in filter(None, (self.within, self.near)):
            yield f"within {region.words}"
        for name, place in (("start", self.start), ("end", self.end)):
            if place:
                yield f"{name} at {place[0]:g}, {place[1]:g}"
        for name, moment in (("after", self.after), ("before", self.before)):
            if moment:
                yield f"in daylight {name} {moment:%Y-%m-%d %H:%M} UTC"
        if self.mode:
            yield f"mode {self.mode}"
