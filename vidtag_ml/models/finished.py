"""Answers that are finished: a batch that was stopped goes on where it stopped.

What is finished is known by the model, the bytes of the recording and where it lies, the positions
beside it, the options and the bytes of the answer's files: what differs in any of these is located
anew.

Belongs here: writing down an answer that is finished, finding it again. Does not belong here:
locating (answers.py), what answers are.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidtag_ml.earth.origin import Facts
from vidtag_ml.ingest.own import positions
from vidtag_ml.models import shown
from vidtag_ml.models.recording import Recording, Video
from vidtag_ml.workflow import stage

FOLDER = ".located"
"""In the folder of results: what is finished, a file an answer."""
TOLD = "it was finished before, by the same model with the same options: not located again"

Row = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """Where it is written down that one recording's answer is finished."""

    out: Path
    """Folder of the results."""
    result: Path
    """Where the results of the recording lie in that, less their suffix."""
    options: Mapping[str, Any]
    """How it is located."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.out / FOLDER / f"{self.result}.json"

    def find(self, facts: Facts, seen: Recording) -> Row | None:
        """The answer that was finished; None if there is none like it.

        Args:
            facts: which model, and which recording by its md5.
            seen: the recording.
        """
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if kept["key"] != self._key(facts, seen):
            return None
        files = {self.out / name: digest for name, digest in kept["files"].items()}
        if not all(file.is_file() and stage.digest(file) == md5 for file, md5 in files.items()):
            return None
        row: Row = {**kept["row"], "files": [str(file) for file in files]}
        return {**row, "told": [*row["told"], TOLD]}

    def keep(self, facts: Facts, seen: Recording, row: Row) -> None:
        """Writes down that an answer is finished, once its files are there."""
        files = [Path(file) for file in row["files"]]
        digests = {file.relative_to(self.out).as_posix(): stage.digest(file) for file in files}
        kept = {"key": self._key(facts, seen), "files": digests, "row": row}
        stage.write_text(self.path, json.dumps(kept) + "\n")

    def _key(self, facts: Facts, seen: Recording) -> str:
        """A digest of what an answer depends on: options may say what the answer must not."""
        beside = positions.sidecars(seen.path) if isinstance(seen, Video) else []
        key = {
            "facts": dict(facts),
            "options": dict(self.options),
            "beside": {file.name: stage.digest(file) for file in beside},
            "where": shown.where(seen, (self.out / self.result).parent),
        }
        return hashlib.sha256(json.dumps(key, default=_plain).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A value as JSON; arrays whole, which `str` would shorten."""
    return value.tolist() if isinstance(value, np.ndarray) else str(value)
