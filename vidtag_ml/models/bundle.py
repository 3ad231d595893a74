"""Bundles: folders with all that locating needs, and the card that says what is in one.

Belongs here: writing and reading `bundle.json`, which all bundles have. Does not belong here: what
lies beside it (each system's module `locator`), opening a bundle of any kind (registry.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vidtag_ml import config
from vidtag_ml.workflow import stage

S = TypeVar("S")
FILE = "bundle.json"
_KIND = "tracks"
"""Of cards that tell no kind."""


@dataclass(frozen=True)
class Form:
    """What the cards of one system's bundles tell."""

    kind: str
    """What its model gives: tracks, places, or tracks by aerial imagery."""
    format: int
    """Stored in each bundle; another number means that this code cannot read it."""
    sections: tuple[str, ...]
    """Sections of the params that locating depends on."""
    facts: tuple[str, ...] = ()
    """What else a card tells."""


@dataclass(frozen=True)
class Card:
    """What a bundle says of itself."""

    folder: Path
    """The bundle."""
    content: Mapping[str, Any]
    """As they stand in the file."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / FILE

    @property
    def kind(self) -> str:
        """What the bundle's model gives."""
        return str(self.content.get("kind", _KIND))

    def section(self, name: str, kind: type[S]) -> S:
        """A section of the params that the model was bundled with.

        Raises:
            ValueError: it is not what this code reads; names the key.
        """
        parsed: S = config.parse(kind, self.content[name], str(self.path))
        return parsed

    def check(self, form: Form) -> None:
        """Refuses the card of another system, of another format, or one that tells too little.

        Raises:
            ValueError: it is one of these; says which.
        """
        found = self.content.get("format")
        if self.kind != form.kind:
            raise ValueError(f"{self.folder}: this model gives {self.kind}, not {form.kind}")
        if found != form.format:
            raise ValueError(f"{self.path}: format {found!r}; this vidtag reads {form.format}")
        absent = [n for n in (*form.sections, *form.facts) if n not in self.content]
        if absent:
            raise ValueError(f"{self.path}: tells no {', no '.join(absent)}: bundle the model anew")


def write(
    folder: Path,
    form: Form,
    params: config.Params,
    made_from: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Writes the card of a bundle.

    Args:
        folder: the bundle.
        form: of its system.
        params: hold the form's sections.
        made_from: what the bundle was made from, stored as it is.
        facts: those of the form.
    """
    assert set(facts) == set(form.facts)
    card = {
        "kind": form.kind,
        "format": form.format,
        **{name: config.as_dict(getattr(params, name)) for name in form.sections},
        **facts,
        "made_from": dict(made_from or {}),
    }
    stage.write_text(folder / FILE, json.dumps(card, indent=1) + "\n")


def read(folder: Path) -> Card:
    """The card of a bundle of any kind.

    Raises:
        ValueError: the folder is no bundle.
    """
    try:
        values = json.loads((folder / FILE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{folder}: there is no {FILE}, so this is no model") from None
    except ValueError as error:
        raise ValueError(f"{folder / FILE}: this is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{folder / FILE}: this is no card of a bundle")
    return Card(folder, values)
