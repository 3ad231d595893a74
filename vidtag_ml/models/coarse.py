"""Answers that say nothing finer than a country, or whatever level is asked for.

Belongs here: what such an answer holds: a name, its level and its mass, and nothing that tells more
(no position, track, picture, moment or receiver, nor what was given in degrees). Does not belong
here: names of points (earth/naming.py), tracks (located.py).
"""

import json
from pathlib import Path
from typing import Any

from vidtag_ml.earth.naming import LEVELS
from vidtag_ml.earth.origin import SUFFIXES, Facts
from vidtag_ml.models import shown
from vidtag_ml.models.located import LocatedTrack
from vidtag_ml.models.recording import Recording
from vidtag_ml.workflow import stage


def place(track: LocatedTrack, level: str) -> dict[str, Any] | None:
    """The finest name of a track that is not finer than a level; None if none is sure."""
    allowed = LEVELS[: LEVELS.index(level) + 1]
    sure = [dict(each) for each in track.places if each["level"] in allowed]
    return sure[-1] if sure else None


def told(level: str) -> str:
    """What is left out, as a sentence."""
    return f"nothing finer than the {level} is told, as was asked for"


def check(folder: Path, name: str) -> None:
    """Refuses to write beside finer files of the same name.

    Raises:
        ValueError: there are some; they would be taken for this answer's.
    """
    kinds = [kind for kind in SUFFIXES if kind != ".json"]
    finer = [file for kind in kinds if (file := folder / f"{name}{kind}").exists()]
    if finer:
        raise ValueError(
            f"--coarse-only: {finer[0]} is of an earlier, finer answer; name another folder (--out)"
        )


def write(
    folder: Path, name: str, seen: Recording, facts: Facts, found: dict[str, Any]
) -> list[Path]:
    """Writes what was found as NAME.json, and nothing else; gives its path."""
    path = folder / f"{name}.json"
    row = {**shown.where(seen, folder), "origin": dict(facts), **found}
    stage.write_text(path, json.dumps(row, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    return [path]
