"""`vidtag locate`: videos and photos in; tracks, or names of places, out.

Belongs here: the command, for models found in any way. Does not belong here: how a registry finds
them (vidtag_assets.cli), locating itself (models/answers.py). Nothing heavy is imported before the
command needs it.
"""

import contextlib
import dataclasses
import datetime as dt
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidtag_ml.cli import given
from vidtag_ml.cli.options import AsJson, Engine, EngineChoice
from vidtag_ml.cli.output import print_answer, print_json
from vidtag_ml.models.bundle import Kept
from vidtag_ml.workflow import progress

if TYPE_CHECKING:
    from vidtag_ml.models.answers import Row, Wanted
    from vidtag_ml.models.asked import Found


Resolve = Callable[[str], Kept]
"""A model's name -> its bundle."""
_CLOCK = re.compile(r"\d[^\dW-]\d", re.ASCII)
"""Where a time of day begins after a day."""
MOST_FPS = 1000.0
"""Frames a second above which `--fps` is a mistake: no list of their times would fit in memory."""


def locate_with(resolve: Resolve, default: str, names: str) -> Callable[..., None]:
    """The command `locate` for models that `resolve` finds.

    Args:
        resolve: finds the bundle that `--model` says.
        default: what it says if it is not given.
        names: what it may say, for `--help`.
    """

    def locate(
        asked: Annotated[
            list[str],
            typer.Argument(metavar="PATH...", help="Videos, photos, folders of these, globs."),
        ],
        model: Annotated[str, typer.Option(help=names)] = default,
        out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("out/located"),
        fps: Annotated[
            float | None, typer.Option(help="Frames a second to look at; of photos, all are.")
        ] = None,
        start_time: Annotated[
            str | None,
            typer.Option(metavar="ISO8601", help="When the recording began, if it is wrong."),
        ] = None,
        anyway: Annotated[
            bool, typer.Option("--anyway", help="Locate also what the model does not know.")
        ] = False,
        within: given.Within = None,
        near: given.Near = None,
        start: given.Start = None,
        end: given.End = None,
        after: given.After = None,
        before: given.Before = None,
        mode: given.Mode = None,
        coarse_only: given.Coarse = None,
        engine: EngineChoice = Engine.HERE,
        as_json: AsJson = False,
    ) -> None:
        """Turn videos into tracks (a map, GPX, KML and others), or into names of places.

        Photos of a folder without videos are one track, in the order of their EXIF times. Files
        tell the time of each position where the recording tells its own (container, GPS, EXIF).
        Of several recordings those that were finished before are not located again. What is not of
        the kind that the model was trained on gets no position.
        """
        wanted = _wanted(out, fps, start_time, anyway)
        known = given.read(within, near, start, end, after, before, mode)
        known = dataclasses.replace(known, began=wanted.began, anyway=anyway)
        wanted = dataclasses.replace(wanted, given=known, coarse=given.level(coarse_only))
        from vidtag_ml.models import asked as searched

        found = searched.find(asked, out)
        if start_time is not None and len(found.asked) > 1:
            raise ValueError(f"--start-time is of one recording; {len(found.asked)} are asked for")
        for kind, number in found.passed_over.items():
            sys.stderr.write(f"vidtag: passed over {kind}: {number}\n")
        kept = resolve(model)
        wanted = dataclasses.replace(wanted, go_on=len(found.asked) > 1)
        _locate(kept, found, wanted, engine, as_json)

    return locate


def _wanted(out: Path, fps: float | None, start_time: str | None, anyway: bool) -> "Wanted":
    """What the options say.

    Raises:
        ValueError: one of them cannot be.
    """
    if fps is not None and not 0 < fps <= MOST_FPS:
        raise ValueError(f"--fps is {fps}; it must be positive, and at most {MOST_FPS:g}")
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out is {out}, which is a file; name a folder")
    from vidtag_ml.models.answers import Wanted
    from vidtag_ml.models.recording import Began

    began = None
    if start_time is not None:
        moment = _moment(start_time)
        utc = moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        began = Began(utc, "--start-time", is_utc=moment.tzinfo is not None)
    return Wanted(out, fps, began, anyway)


def _moment(start_time: str) -> dt.datetime:
    """The moment that `--start-time` says, with room for a zone and a recording.

    Raises:
        ValueError: it says none, or only a day.
    """
    with contextlib.suppress(ValueError):
        moment = dt.datetime.fromisoformat(start_time)
        if dt.MINYEAR < moment.year < dt.MAXYEAR and _CLOCK.search(start_time):
            return moment
    raise ValueError(f"--start-time is {start_time!r}; it must be as 2024-05-06T07:08:09+02:00")


def _locate(kept: Kept, found: "Found", wanted: "Wanted", engine: Engine, as_json: bool) -> None:
    """Locates what was found and prints it, each as soon as it is done.

    Raises:
        ValueError: an option does not fit the model.
        typer.Exit: some could not be located (1).
        SystemExit: it was stopped (130), and that is said.
    """
    rows: list[Row] = []
    stopped = False
    try:
        for row in _answered(kept, found, wanted, engine):
            rows.append(row)
            if not as_json and (len(found.asked) > 1 or "error" not in row):
                print_answer(row)
    except KeyboardInterrupt:
        stopped = True
    if as_json:
        print_json(rows)
    for row in rows:
        if "error" in row:
            sys.stderr.write(f"vidtag: {row['error']}\n")
    if stopped:
        sys.stderr.write(f"vidtag: {_left(rows, len(found.asked), wanted.out)}\n")
        raise SystemExit(130)
    if any("error" in row for row in rows):
        raise typer.Exit(1)


def _answered(kept: Kept, found: "Found", wanted: "Wanted", engine: Engine) -> "Iterator[Row]":
    """The answers, one by one.

    Raises:
        ValueError: an option does not fit the model.
    """
    from vidtag_ml.models import answers, asked, registry, spread
    from vidtag_ml.models.locator import Guided, knowing

    card = kept.card()
    locator = knowing(registry.of(card), wanted.given)
    if wanted.began and not locator.gives.timed:
        gives = locator.gives.noun
        raise ValueError(f"--start-time: this model gives {gives}s, which have no times")
    if wanted.coarse and not isinstance(locator, Guided):
        raise ValueError("--coarse-only: this model's answers cannot be told by levels alone")
    locator.rate(wanted.frames_per_second)
    results = asked.results(found.asked, locator.gives.noun)
    if engine is Engine.RAY:
        return spread.by_ray(kept, found.asked, results, wanted)
    batch = progress.Batch([one.num_bytes for one in found.asked])
    facts = registry.facts(card, kept)
    return answers.answers(locator, facts, found.asked, results, wanted, batch)


def _left(rows: "list[Row]", num: int, out: Path) -> str:
    """What is finished when it was stopped, and what the same command will do."""
    if not rows:
        return f"stopped before the first of {num} was finished"
    again = "the same command goes on from there"
    done = "the first is" if len(rows) == 1 else f"the first {len(rows)} are"
    return f"stopped: {done} finished (of {num}, to {rows[-1]['video']}), see {out}; {again}"


def folder_only(name: str) -> Kept:
    """The folder that a model's name is, where there is no registry.

    Raises:
        ValueError: there is no such folder.
    """
    if not Path(name).is_dir():
        raise ValueError(f"{name}: there is no such model folder; `vidtag bundle` makes one")
    return Kept(Path(name))
