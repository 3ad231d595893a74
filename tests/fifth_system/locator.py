"""The bundle of the fifth system in memory, and its answer: a name."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from tests.fifth_system.system import FORM
from vidtag_ml.models import bundle, locator, recording


@dataclass(frozen=True)
class Legend:
    """Where a video is from."""

    noun: ClassVar[str] = "legend"
    timed: ClassVar[bool] = False
    foreign: ClassVar[str] = ""
    clip: str
    where: str
    told: tuple[str, ...] = ("nobody has seen it",)

    def table(self):
        """One row."""
        return pd.DataFrame([{"clip": self.clip, "where": self.where}])

    def as_json(self):
        """Plain values."""
        return {"answer": self.where, "place": {}}

    def write(self, folder, name, facts):
        """NAME.txt."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.txt").write_text(f"{self.where}, says {facts['model']}")
        return [folder / f"{name}.txt"]

    def beside(self, _seen, _began):
        """The same."""
        return self


@dataclass(frozen=True)
class ToyLocator:
    """A bundle in memory."""

    gives: ClassVar[type] = Legend
    where: str

    @classmethod
    def of(cls, card: bundle.Card):
        """The locator of the bundle with this card."""
        card.check(FORM)
        return cls(card.content["where"])

    def rate(self, frames_per_second):
        """Of no frames at all."""
        return locator.rate(frames_per_second, 1.0)

    def locate(self, asked, frames_per_second=None, _progress=None):
        """The one place that it knows."""
        self.rate(frames_per_second)
        return Legend(recording.opened(asked).name, self.where)
