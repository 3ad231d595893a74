"""What is located: a video, or pictures that follow each other; both are looked at alike.

Belongs here: the frames that a model looks at, their times, when the first of them was taken, their
md5. Does not belong here: decoding (media/video.py, features/decoding.py), what photos say of
themselves (ingest/own/photos.py), which recordings are asked for (asked.py), what models make of
frames (models/vidtag/locator.py, models/cityguessr/locator.py). Shape legend: T frames, N pictures,
B frames of a batch, H W pixels, 3 = red, green, blue, 2 = (lat, lon) in degrees.
"""

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features import decoding
from vidtag_ml.ingest.own import clocks, discovery, photos
from vidtag_ml.ingest.telemetry import zones
from vidtag_ml.media import video

Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]

CONTAINER = "creation_time"
"""What tells when a video began if no receiver does."""
_UNSET_S = [
    dt.datetime(*day, tzinfo=dt.UTC).timestamp()
    for day in ((1904, 1, 1), (1970, 1, 1), (1980, 1, 1), (1980, 1, 6), (2000, 1, 1))
]
"""Days on which clocks begin that were never set: those of QuickTime, Unix, DOS and GPS, and many
cameras; all of Flyover's recordings are of the last."""


_DAY_S = 86400.0


@dataclass(frozen=True)
class Began:
    """When the first frame of a recording was taken, and who says so."""

    moment: dt.datetime
    """In UTC."""
    source: str
    """creation_time, EXIF, the kind of telemetry, or the option that was given."""
    is_utc: bool = True
    """Whether that tells its zone; taken as UTC if not."""
    assumed: tuple[str, ...] = ()
    """What else was assumed of it, a sentence each."""

    @property
    def told(self) -> tuple[str, ...]:
        """What was assumed about it, a sentence each."""
        zone = () if self.is_utc else (f"{self.source} tells no time zone: taken as UTC",)
        return (*self.assumed, *zone)


@dataclass(frozen=True)
class Video:
    """A video file."""

    path: Path
    """Any file that decord or PyAV decodes."""
    told: tuple[str, ...] = ()
    """What was assumed or left out, a sentence each."""

    @property
    def name(self) -> str:
        """The file's, without its suffix."""
        return self.path.stem

    @property
    def began(self) -> Began | None:
        """When its container says that it was made; None if it does not say."""
        clock = clocks.of(self.path, video.container(self.path).tags)
        found = began(clock.utc_s, CONTAINER, is_utc=not clock.is_local)
        return found and dataclasses.replace(found, assumed=clock.told)

    def times(self, frames_per_second: float) -> Floats:
        """Times (T,) at which it is looked at; see `video.sample_times`."""
        return video.sample_times(self.path, frames_per_second)

    def batches_at(self, time_s: ArrayLike, batch_size: int) -> Iterator[Frames]:
        """Frames (B, H, W, 3) at some times; see `video.batches_at`."""
        return (frames for frames, _ in video.batches_at(self.path, time_s, batch_size))


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures that follow each other: a frame each, whatever rate is asked for."""

    path: Path
    """The folder that they lie in, or the only picture."""
    files: tuple[Path, ...]
    """The pictures, in their order."""
    time_s: Floats
    """Times (N,) from the first one; their numbers where they have no times."""
    latlon_N2: Floats
    """Where they say that they were taken; NaN where they do not say."""
    began: Began | None = None
    """When the first one says that it was taken; None if it does not say, or its clock was never
    set."""
    timed: bool = True
    """Whether their times are known, if only from each other."""
    told: tuple[str, ...] = ()
    """What was assumed or left out, a sentence each."""

    @property
    def name(self) -> str:
        """The folder's, or that of the only picture, without its suffix."""
        return self.path.stem if self.path in self.files else self.path.resolve().name

    def times(self, frames_per_second: float) -> Floats:  # noqa: ARG002 - the interface of Video
        """Times (N,) of all pictures."""
        return self.time_s

    def batches_at(self, time_s: ArrayLike, batch_size: int) -> Iterator[Frames]:
        """Pictures (B, H, W, 3) at some times, of one size in a batch; large ones, so few."""
        shown = np.searchsorted(self.time_s, np.asarray(time_s, float), "right") - 1
        files = [self.files[k] for k in shown.clip(min=0)]
        step = min(batch_size, decoding.PIECE_FRAMES)
        for start in range(0, len(files), step):
            yield from decoding.alike(files[start : start + step])


Recording = Video | Pictures


def opened(asked: Path | Recording) -> Recording:
    """The recording at a path: a video, a picture, or a folder of nothing but pictures.

    Raises:
        ValueError: a folder holds no picture that can be read, or videos as well.
    """
    if not isinstance(asked, Path):
        return asked
    if asked.is_dir():
        return of_pictures(asked, _pictures_in(asked))
    if asked.suffix.lower() in photos.SUFFIXES and asked.is_file():
        return of_pictures(asked.parent, [asked.name])
    return Video(asked)


def of_pictures(folder: Path, names: Sequence[str]) -> Pictures:
    """Pictures of a folder in the order of their EXIF times, or of their names if one has none.

    Those that cannot be read are left out, and told.

    Raises:
        ValueError: none can be read.
    """
    seen = list(photos.read([folder / name for name in names]))
    usable = photos.in_order([photo for photo in seen if photo.readable])
    left_out = [_left_out(photo) for photo in seen if not photo.readable]
    if not usable:
        raise ValueError(f"{folder}: none of its photos can be read: {left_out[0]}")
    first, (time_N, num_spread) = usable[0].exif, photos.times(usable)
    told = [*left_out, *sorted({photo.error for photo in usable if photo.error})]
    if num_spread:
        told.append(f"{num_spread} photos share their second with another: spread over it")
    timed = not np.isnan(time_N).any()
    if not timed:
        time_N, when = np.arange(len(usable), dtype=float), None
        if len(usable) > 1:
            told.append("their times are not all known: in the order of names, one a second")
    else:
        when = began(first.captured_s, "EXIF", is_utc=first.captured_is_utc)
    return Pictures(
        folder if len(names) > 1 else folder / names[0],
        tuple(photo.path for photo in usable),
        time_N,
        np.array([(p.exif.lat, p.exif.lon) if p.placed else (np.nan,) * 2 for p in usable]),
        when,
        timed,
        tuple(told),
    )


def of_clip(tables: Tables, clip_id: str, folder: Path) -> Recording:
    """The recording that a clip of a dataset is.

    Args:
        tables: of the dataset.
        clip_id: which clip.
        folder: folder that `video_path` and `file` are relative to.

    Raises:
        ValueError: there is no such clip.
    """
    clip = tables.clip(clip_id)
    path = folder / str(clip["video_path"])
    if clip["kind"] != "frames":
        return Video(path)
    assert tables.frames is not None
    frames = tables.frames[tables.frames["clip_id"] == clip_id]
    files, time_s = decoding.pictures_of(frames, folder)
    return Pictures(path, tuple(files), time_s, np.full((len(files), 2), np.nan))


def md5(seen: Recording) -> str:
    """md5 of a recording's bytes, of pictures one after the other, as tables of clips have it."""
    whole = hashlib.md5(usedforsecurity=False)
    for path in (seen.path,) if isinstance(seen, Video) else seen.files:
        with path.open("rb") as file:
            while part := file.read(2**20):
                whole.update(part)
    return whole.hexdigest()


def began(utc_s: float, source: str, *, is_utc: bool = True) -> Began | None:
    """A moment in seconds since 1970; None if it is NaN, or of a clock that was never set.

    That may have been in any zone.
    """
    since_s = (utc_s - day_s for day_s in _UNSET_S)
    if np.isnan(utc_s) or any(-zones.LAST_S <= s < _DAY_S - zones.FIRST_S for s in since_s):
        return None
    return Began(dt.datetime.fromtimestamp(utc_s, dt.UTC), source, is_utc)


def _left_out(photo: photos.Photo) -> str:
    return f"{photo.path.name} is left out: {photo.error.removeprefix(f'{photo.path}: ')}"


def _pictures_in(folder: Path) -> list[str]:
    """Names of a folder's pictures.

    Raises:
        ValueError: there is none, or there are videos beside them.
    """
    shown = [path for path in folder.iterdir() if path.name[0] != "."]
    if any(path.suffix.lower() in discovery.VIDEOS for path in shown):
        raise ValueError(f"{folder}: this folder holds videos: name them one by one")
    names = [path.name for path in shown if path.suffix.lower() in photos.SUFFIXES]
    if not names:
        kinds = ", ".join(suffix[1:] for suffix in photos.SUFFIXES)
        raise ValueError(f"{folder}: this folder holds no photos ({kinds})")
    return sorted(names, key=photos.natural)
