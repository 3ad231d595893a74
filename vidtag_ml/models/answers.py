"""Recordings one by one: each is located, its answer written, and told as JSON-safe values.

Belongs here: what becomes of one recording, and of one that cannot be located. Does not belong
here: answers themselves (located.py, models/cityguessr/locator.py), printing (cli/output.py).
"""

import dataclasses
import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidtag_ml.earth import origin
from vidtag_ml.earth.origin import Facts
from vidtag_ml.models import coarse, recording
from vidtag_ml.models.asked import Asked
from vidtag_ml.models.finished import Finished
from vidtag_ml.models.given import DOUBTED, ContradictionError, Given
from vidtag_ml.models.located import LocatedTrack
from vidtag_ml.models.locator import Answer, Locator, Progress
from vidtag_ml.models.recording import Began, Recording
from vidtag_ml.workflow.progress import Batch

Row = dict[str, Any]
CONTRADICTED = "what was given contradicts itself, or what is seen"
FOREIGN = "this is not the kind of video that {} knows: {}"


@dataclass(frozen=True)
class Wanted:
    """How recordings are located, and where results go."""

    out: Path
    """Folder of the results; made if need be."""
    frames_per_second: float | None = None
    """Frames of a video that are looked at; None = as in training."""
    began: Began | None = None
    """When the recording began, whatever it says itself."""
    anyway: bool = False
    """Whether recordings of a kind that the model does not know are located all the same."""
    given: Given = field(default_factory=Given)
    """What is known of the recordings already; the locator knows it."""
    coarse: str | None = None
    """The finest level of places that may be told; None = everything."""
    go_on: bool = False
    """Whether answers that were finished before, all else being the same, are not made again."""

    def of(self, result: Path) -> Finished:
        """Where it is written down that the answer with these results is finished."""
        changed = ("out", "go_on")
        options = {n: v for n, v in dataclasses.asdict(self).items() if n not in changed}
        return Finished(self.out, result, options)


def answers(
    locator: Locator,
    model: Facts,
    asked: Sequence[Asked],
    results: Sequence[Path],
    wanted: Wanted,
    batch: Batch,
) -> Iterator[Row]:
    """Locates recordings one by one; JSON-safe rows, each as soon as its files are written.

    A recording that cannot be located has a row with its `error`, and stops no other. One of a kind
    that the model does not know, or that contradicts what is known of it, is not `answered`: its
    row says why, and it has no files. One whose answer was finished before, if these are to go on,
    says that.

    Args:
        locator: a bundle in memory.
        model: which it is.
        asked: the recordings.
        results: where the results of each lie in the folder of results, less their suffix.
        wanted: how they are located.
        batch: is told how far it is.

    Raises:
        OSError: the disk is full.
    """
    for one, result in zip(asked, results, strict=True):
        head = {"video": str(one.shown)}
        try:
            with batch.file(one.shown.name, one.num_bytes) as progress:
                row = head | _answer(locator, model, one.opened(), result, wanted, progress)
        except (ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            row = head | {"error": _reason(one.shown, error)}
        yield row


def _reason(path: Path, error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if said.startswith(str(path)) else f"{path}: {said}"


def _answer(
    locator: Locator,
    model: Facts,
    seen: Recording,
    result: Path,
    wanted: Wanted,
    progress: Progress | None,
) -> Row:
    facts = {**model, "video_md5": recording.md5(seen)}
    if not wanted.go_on:
        return _located(locator, facts, seen, result, wanted, progress)
    finished = wanted.of(result)
    row = finished.find(facts, seen)
    if row is None:
        row = _located(locator, facts, seen, result, wanted, progress)
        finished.keep(facts, seen, row)
    return row


def _located(
    locator: Locator,
    known: Facts,
    seen: Recording,
    result: Path,
    wanted: Wanted,
    progress: Progress | None,
) -> Row:
    facts = {**known, **({"given": _said(wanted)} if wanted.given else {})}
    if wanted.coarse:
        coarse.check(wanted.out / result.parent, result.name)
        wanted.of(result).path.unlink(missing_ok=True)  # what was finished before may be finer
    try:
        found = locator.locate(seen, wanted.frames_per_second, progress)
    except ContradictionError as error:
        return _refused(CONTRADICTED if wanted.coarse else str(error), facts, seen, wanted)
    if wanted.coarse:
        return _coarse(found, facts, seen, result, wanted)
    answer = found.beside(seen, wanted.began)
    foreign = FOREIGN.format(origin.model(facts), answer.foreign) if answer.foreign else None
    if foreign and not wanted.anyway:
        return _refused(foreign, facts, seen, wanted)
    facts |= {"foreign": foreign} if foreign else {}
    facts |= {"doubted": DOUBTED} if DOUBTED in answer.told else {}
    files = answer.write(wanted.out / result.parent, result.name, facts)
    return {
        "files": [str(file) for file in files],
        "origin": facts,
        "answered": True,
        **answer.as_json(),
        "told": [*([foreign] if foreign else []), *seen.told, *answer.told],
    }


def _said(wanted: Wanted) -> str:
    """What was given; where only coarse places may be told, but the options that said it."""
    return wanted.given.options if wanted.coarse else "; ".join(wanted.given.words)


def _coarse(
    found: Answer, facts: dict[str, str | int], seen: Recording, result: Path, wanted: Wanted
) -> Row:
    """What is told of a recording where only coarse places may be told."""
    assert isinstance(found, LocatedTrack)
    assert wanted.coarse is not None
    foreign = FOREIGN.format(origin.model(facts), found.foreign) if found.foreign else None
    if foreign and not wanted.anyway:
        return _refused(foreign, facts, seen, wanted)
    place = coarse.place(found, wanted.coarse)
    if place is None:
        why = f"no {wanted.coarse}, and nothing coarser, holds 90 % of the probability"
        return _refused(why, facts, seen, wanted)
    facts |= {"foreign": foreign} if foreign else {}
    facts |= {"doubted": DOUBTED} if DOUBTED in found.told else {}
    doubts = [str(facts[key]) for key in ("foreign", "doubted") if key in facts]
    told = [*doubts, coarse.told(wanted.coarse)]
    answer = {"answered": True, "coarse": wanted.coarse, "place": place, "told": told}
    files = coarse.write(wanted.out / result.parent, result.name, seen, facts, answer)
    return {"files": [str(file) for file in files], "origin": facts, **answer}


def _refused(why: str, facts: Facts, seen: Recording, wanted: Wanted) -> Row:
    """What is told of a recording that gets no position.

    What its own records say may be finer than what may be told.
    """
    said = {"answered": False, "why": why, "told": [] if wanted.coarse else list(seen.told)}
    return {"files": [], "origin": facts, **said}
