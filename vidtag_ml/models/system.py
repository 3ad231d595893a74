"""What a system is to those that offer all of them alike: command line, assets, registration, gate.

Belongs here: the form. Does not belong here: any system (its system.py), which there are
(registry.py), what its stages do (its stages.py). Nothing heavy is imported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vidtag_ml import config
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    import pandas as pd

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
class Bundling:
    """How a system becomes a folder that locates."""

    make: Stage
    """Takes workspace and params."""
    folder: Callable[[Layout], Path]
    """Where it puts the bundle."""
    kind: str
    """Of the bundle's card."""
    locator: Callable[[], "type[Locator]"]
    """What such a bundle is in memory; imported when it is asked for."""


@dataclass(frozen=True)
class System:
    """A model with all that is made of it."""

    name: str
    """Of its folder of reports, of its registered versions, and for commands."""
    trainings: Mapping[str, Stage]
    """Stages by name, in their order; each also is a section of the params."""
    evaluate: Callable[[Path, config.Params, str], bool]
    """The stage of its report on a split."""
    report: Callable[[Path], Evaluated]
    """Reads a report's folder."""
    sheet: Callable[[Mapping[str, Any]], Sheet]
    """What a person is shown of a report's summary."""
    headline: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    """Those of its figures that are worth a column."""
    bundling: Bundling | None = None
    """None = it is measured, but never used by itself."""
