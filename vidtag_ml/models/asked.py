"""What `vidtag locate` is asked for: recordings under files, folders and globs, and their names.

Belongs here: which files are recordings, what is passed over, what results are called. Does not
belong here: what ingest takes in (ingest/own/discovery.py), looking at recordings (recording.py).
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidtag_ml.ingest.own import discovery, photos, positions
from vidtag_ml.models import recording
from vidtag_ml.models.recording import Recording


@dataclass(frozen=True)
class Asked:
    """A recording that is to be located."""

    path: Path
    """A video, a folder of photos, or what was asked for and is not there."""
    pictures: tuple[str, ...] = ()
    """Names of the photos in the folder."""
    missing: str = ""
    """Why there is nothing to locate."""

    def opened(self) -> Recording:
        """The recording.

        Raises:
            ValueError: there is none, or none of its photos can be read.
        """
        if self.missing:
            raise ValueError(self.missing)
        if self.pictures:
            return recording.of_pictures(self.path, self.pictures)
        return recording.Video(self.path)

    @property
    def shown(self) -> Path:
        """What it is called to a person: the file, or the folder of photos."""
        return self.path / self.pictures[0] if len(self.pictures) == 1 else self.path

    @property
    def num_bytes(self) -> int:
        """How large it is; 0 if there is nothing."""
        files = [self.path / name for name in self.pictures] or [self.path]
        return sum(file.stat().st_size for file in files if file.is_file())


@dataclass
class Found:
    """What there is to locate."""

    asked: list[Asked] = field(default_factory=list)
    """Each recording once, in the order in which they are asked for."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """How many other files there are in folders, by what they are."""


def find(asked: Sequence[str], out: Path) -> Found:
    """Recordings under files, folders and globs; what is not there is one as well, and missing.

    A folder is searched to its bottom: for its videos, and where there are none for its photos,
    which are one recording. Hidden files and the folder of results are not looked at. Photos that
    are named are one recording for each folder that they lie in.
    """
    found, chosen = Found(), dict[Path, list[str]]()
    for text in asked:
        try:
            paths = discovery.named(text)
        except ValueError as error:
            found.asked.append(Asked(Path(text), missing=str(error)))
            continue
        for path in paths:
            if path.is_dir():
                found.asked += list(_under(path, out, found.passed_over)) or [_nothing_in(path)]
            elif path.suffix.lower() in photos.SUFFIXES:
                chosen.setdefault(path.parent, []).append(path.name)
            else:
                found.asked.append(Asked(path))
    for folder, names in chosen.items():
        found.asked.append(Asked(folder, tuple(dict.fromkeys(names))))
    found.asked = list({(a.path.resolve(), a.pictures): a for a in found.asked}.values())
    return found


def results(asked: Sequence[Asked], alone: str) -> list[Path]:
    """Where the results of each lie in the folder of results, less their suffix; all differ.

    Names are those of the recordings. If two are alike, results lie in folders as recordings do,
    and names of files that differ by their suffix keep it.

    Args:
        asked: some recordings.
        alone: what the results of a single one are called.
    """
    if len(asked) == 1:
        return [Path(alone)]
    names = [_name(one) for one in asked]
    if len(set(names)) == len(names):
        return [Path(name) for name in names]
    whole = [one.shown.resolve() for one in asked]
    common = os.path.commonpath([path.parent for path in whole])
    beside = Counter((path.parent, name) for path, name in zip(whole, names, strict=True))
    return [
        path.parent.relative_to(common) / (name if beside[path.parent, name] == 1 else path.name)
        for path, name in zip(whole, names, strict=True)
    ]


def _name(one: Asked) -> str:
    is_file = not one.pictures or len(one.pictures) == 1
    return one.shown.stem if is_file else one.path.resolve().name


def _nothing_in(folder: Path) -> Asked:
    return Asked(folder, missing=f"{folder}: no video and no photo in there")


_AMONG = "--out is this folder of photos, and the picture of a track would be one; choose another"


def _under(folder: Path, out: Path, passed_over: Counter[str]) -> Iterator[Asked]:
    """The recordings of a folder, then those of what is deeper."""
    results = out.resolve()
    for parent, folders, names in os.walk(folder):
        at = Path(parent)
        folders[:] = sorted(
            name for name in folders if name[0] != "." and (at / name).resolve() != results
        )
        shown = sorted((name for name in names if name[0] != "."), key=photos.natural)
        videos = [name for name in shown if Path(name).suffix.lower() in discovery.VIDEOS]
        pictures = [name for name in shown if Path(name).suffix.lower() in photos.SUFFIXES]
        yield from (Asked(at / name) for name in videos)
        if pictures and not videos:
            yield Asked(at, tuple(pictures), _AMONG if at.resolve() == results else "")
        known = (*discovery.VIDEOS, *photos.SUFFIXES, *positions.SIDECARS)
        others = sum(Path(name).suffix.lower() not in known for name in shown)
        passed_over += Counter(
            {"photos beside videos": len(pictures) * bool(videos), "other files": others}
        )
