"""What a format of positions offers: where in a video or beside it it stands, and how it is read.

Belongs here: the kinds of places, what a reader returns, which readers there are. Does not belong
here: any format (a module each, with its `READER`).
"""

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from vidtag_ml.media.video import Container, Packet


@dataclass(frozen=True)
class Recording:
    """Where positions of a video may be."""

    inside: Container
    beside: Sequence[Path]
    """Files of its name, in the order in which they are tried."""
    path: Path
    """The video."""


@dataclass(frozen=True)
class Reading:
    """What is written in one place."""

    points: pd.DataFrame
    """The columns of `points.COLUMNS`."""
    fix_source: str
    """The format, as tables of fixes name it."""
    mode: str | None = None
    """How those move who write it; None = in any way."""
    repairs: tuple[str, ...] = ()
    """What was swapped, negated, left unread or assumed in reading it, a sentence each."""
    shifts_s: tuple[float, ...] = ()
    """By how much all of its UTC may be later, where the file leaves a doubt; likeliest first."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many of the positions that are written are not among the points, by reason."""
    since_start: "Reading | None" = None
    """The same by times since some start, for a video that does not say when it began."""


@dataclass(frozen=True)
class Source:
    """One place that may hold the positions of a video."""

    name: str
    """What it is called in a sentence."""
    read: Callable[[], Reading]
    """Raises ValueError if what is there cannot be read."""
    file: Path | None = None
    """What it is if it is a file of its own, with a clock of its own."""


@dataclass(frozen=True)
class InTrack:
    """A format of data tracks in videos."""

    has: Callable[[Sequence[Packet]], bool]
    """Whether a track is of this format."""
    read: Callable[[Sequence[Packet]], Reading]
    trust: int
    """Where a video has several, the highest that tells a track is believed."""

    def sources(self, video: Recording) -> Iterator[Source]:
        """The tracks that are of this format."""
        for track in filter(self.has, video.inside.tracks):
            yield Source("the video's telemetry", functools.partial(self.read, track))


@dataclass(frozen=True)
class Beside:
    """A format of files beside videos."""

    suffixes: tuple[str, ...]
    """In lower case, with the dot."""
    read: Callable[[Path], Reading]
    trust: int
    """Where a video has several, the highest that tells a track is believed."""

    def sources(self, video: Recording) -> Iterator[Source]:
        """The files that have such a suffix."""
        for file in video.beside:
            if file.suffix.lower() in self.suffixes:
                yield Source(file.name, functools.partial(self.read, file), file)


@dataclass(frozen=True)
class InTags:
    """A format of tags of whole videos."""

    read: Callable[[Mapping[str, str]], Reading]
    trust: int
    """Where a video has several, the highest that tells a track is believed."""

    def sources(self, video: Recording) -> Iterator[Source]:
        """The video's tags, whatever they are."""
        yield Source("the video's location", functools.partial(self.read, video.inside.tags))


@dataclass(frozen=True)
class InFile:
    """Formats of whole videos that a program of its own reads, where it is installed."""

    program: str
    """Its name."""
    version: Callable[[], str]
    """Which version is installed; empty = none. It decides what is read."""
    read: Callable[[Recording], Reading]
    trust: int
    """Where a video has several, the highest that tells a track is believed."""

    def sources(self, video: Recording) -> Iterator[Source]:
        """The video, if there is a program to read it."""
        if self.version():
            yield Source(self.program, functools.partial(self.read, video))


Reader = InTrack | Beside | InTags | InFile


def known() -> tuple[Reader, ...]:
    """The `READER` of each module beside this one that has it, the most trusted first."""
    names = (file.stem for file in sorted(Path(__file__).parent.glob("[a-z]*.py")))
    modules = (importlib.import_module(f"{__package__}.{name}") for name in names)
    found = [module.READER for module in modules if hasattr(module, "READER")]
    return tuple(sorted(found, key=lambda reader: -reader.trust))
