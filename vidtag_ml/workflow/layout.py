"""Where everything lies in a workspace.

Belongs here: paths of what stages read and write. Does not belong here: making any of it (each
room's module `stages`).
"""

from dataclasses import dataclass
from pathlib import Path

from vidtag_ml import config


@dataclass(frozen=True)
class Layout:
    """Where everything lies in a workspace."""

    root: Path
    """The workspace's folder."""
    source: str
    """Name of the dataset: `clips.source` of the params."""
    variant: str = ""
    """Models and reports of an ablation, beside those of the params; empty = the params' own."""

    @property
    def out(self) -> Path:
        """What is made from data, gallery and features."""
        return self.root / "out" / "benchmark" / self.variant if self.variant else self.root / "out"

    @property
    def dataset(self) -> Path:
        """Tables and videos."""
        return self.root / "data" / self.source

    @property
    def quarantine(self) -> Path:
        """The report on own recordings that cannot be used."""
        return self.root / "data" / "quarantine"

    @property
    def hierarchy(self) -> Path:
        """The table of places."""
        return self.root / "data" / "hierarchy.csv"

    @property
    def gallery(self) -> Path:
        """The GPS gallery."""
        return self.root / "data" / "gallery"

    @property
    def aerial_gallery(self) -> Path:
        """The aerial tiles and regions."""
        return self.root / "data" / "aerial_gallery"

    @property
    def aerial_pixels(self) -> Path:
        """Frames, tiles and regions at the size that GAMa sees."""
        return self.root / "out" / "aerial_pixels"

    @property
    def features(self) -> Path:
        """The store of features."""
        return self.root / "out" / "features"

    @property
    def bundle(self) -> Path:
        """The model, the gallery and the encoders in one folder, ready to locate videos."""
        return self.root / "out" / "bundle"

    @property
    def guess_bundle(self) -> Path:
        """CityGuessr and the encoders in one folder, ready to name the places of videos."""
        return self.root / "out" / "guess_bundle"

    @property
    def aerial_bundle(self) -> Path:
        """GAMa and its aerial gallery in one folder, ready to locate videos."""
        return self.root / "out" / "aerial_bundle"

    def model(self, name: str) -> Path:
        """The trained model of that name, `phase_one` and `phase_two` among them."""
        return self.out / {"vidtag": "phase_two"}.get(name, name)

    def phase_one_part(self, part: int) -> Path:
        """Phase I without a part of the train clips."""
        return self.out / "phase_one_parts" / str(part)

    def evaluation(self, name: str, split: str = "test") -> Path:
        """The report on a model's tracks in a split."""
        return self.out / "evaluation" / name / split


def of(root: Path, params: config.Params, variant: str = "") -> Layout:
    """The layout of the workspace `root` for these params."""
    return Layout(root, params.clips.source, variant)
