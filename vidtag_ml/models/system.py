"""What a system is to those that offer all of them alike: command line, assets, registration, gate.

Belongs here: the form. Does not belong here: any system (its system.py), which there are
(registry.py), what its stages do (its stages.py). Nothing heavy is imported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vidtag_ml import config
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    import pandas as pd

    from vidtag_ml.models.gate import Judging
    from vidtag_ml.models.locator import Locator

Stage = Callable[..., bool]
"""Takes workspace, params and, to train, a logger; says whether it had to work."""


class Evaluated(Protocol):
    """A report of any system."""

    @property
    def summary(self) -> dict[str, Any]:
        """Figures, JSON-safe."""

    @property
    def per_clip(self) -> "pd.DataFrame":
        """One row a clip."""


@dataclass(frozen=True)
class Sheet:
    """Figures as people read them."""

    title: str
    """What they are of."""
    columns: tuple[str, ...]
    """Heads of all columns but the first."""
    rows: Sequence[tuple[str, ...]]
    """What a figure is called, and its cells."""


@dataclass(frozen=True)
class Training:
    """A stage that learns: it makes a folder with model.safetensors and losses.csv."""

    make: Stage
    reads: tuple[str, ...]
    """What it learns from: clips, hierarchy, gallery, features, aerial_gallery, and the system's
    own trainings that come before it."""
    settings: Callable[[config.Params], Any]
    """Its section of the params."""
    about: str
    """What it is, and what to do when it fails; read in the UI."""
    before: Mapping[str, Stage] = field(default_factory=dict)
    """Stages by name that are run first, and are nothing by themselves."""


@dataclass(frozen=True)
class Registration:
    """How versions of a system are registered, and one of them becomes champion."""

    judging: Callable[[], "Judging"]
    """How they are judged; imported when it is asked for."""
    about: str
    """When a version becomes champion, and what to do when it fails; read in the UI."""
    recorded: tuple[str, ...]
    """Stages of dvc.yaml whose outputs a version is made from."""
    added: tuple[str, ...] = ()
    """Folders of data/ that it is made from and no stage makes."""
    searched: bool = True
    """Whether it searches the system's gallery."""
    first: str = ""
    """The system that the first champion must beat; empty = it has but to beat the floor."""
    called: str = ""
    """How assets call a version; empty = as the system."""

    @property
    def data(self) -> list[str]:
        """What a version is made from beside clips and gallery, as DVC calls it."""
        return [n for n in (*self.recorded, *self.added) if n not in ("clips", "gallery")]


@dataclass(frozen=True)
class Bundling:
    """How a system becomes a folder that locates, and versions of it."""

    make: Stage
    """Takes workspace and params."""
    folder: Callable[[Layout], Path]
    """Where it puts the bundle."""
    kind: str
    """Of the bundle's card."""
    locator: Callable[[], "type[Locator]"]
    """What such a bundle is in memory; imported when it is asked for."""
    registration: Registration
    """How it is registered."""
    parts: Callable[[Layout], Sequence[tuple[str, Path]]] = lambda _: ()
    """Folders of the bundle that are networks, and where stages look for them."""
    beyond: str = ""
    """Beginning of figures that are of networks which a bundle lacks; empty = there are none."""


Reports = Mapping[str, Any]
"""Reports by split."""
Shown = Mapping[str, "Callable[[Path], Any] | pd.DataFrame"]
"""Pictures, which are written to the path that they are given, and tables, by their names."""


@dataclass(frozen=True)
class Benchmark:
    """A system's rows of the table that `vidtag benchmark` makes."""

    run: Callable[..., "pd.DataFrame"]
    """Takes workspace, params, split, which rows, and whom to tell; a record a row."""
    sources: tuple[str, ...] = ()
    """Values of `clips.source` that these rows alone are for; empty = all others."""


@dataclass(frozen=True)
class System:
    """A model with all that is made of it."""

    name: str
    """Of its folder of reports, of its registered versions, and for commands."""
    title: str
    """How people call it."""
    trainings: Mapping[str, Training]
    """By the names of their stages, in their order."""
    evaluate: Callable[[Path, config.Params, str], bool]
    """The stage of its report on a split."""
    report: Callable[[Path], Evaluated]
    """Reads a report's folder."""
    sheet: Callable[[Mapping[str, Any]], Sheet]
    """What a person is shown of a report's summary."""
    headline: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    """Those of its figures that are worth a column."""
    show: Callable[[Reports, Layout, config.Params], Shown]
    """What the UI shows beside the figures."""
    about: str
    """What a report says, and what to do when it fails; read in the UI."""
    bundling: Bundling | None = None
    """None = it is measured, but never used by itself."""
    benchmark: Benchmark | None = None
    """None = its rows are among those of another."""
    ranked: bool = False
    """Whether its answers are tracks, which the leaderboard compares."""
    gallery: str = "gallery"
    """What it is searched in, as DVC calls it."""
    fits: Callable[[config.Params], bool] = lambda _: True
    """Whether it can be made from what the params name."""

    @property
    def bundled(self) -> Bundling:
        """How a system becomes a folder that does."""
        assert self.bundling is not None, f"{self.name} is never bundled"
        return self.bundling
