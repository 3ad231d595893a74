"""Bundles: folders with all that locating needs, the card that says what is in one, and its sums.

Nothing of a bundle is read before all of its bytes are what they were when it was made (decision
35): `read` is the only way to a card, and a card the only way to a locator.

Belongs here: writing and reading `bundle.json` and the sums, which all bundles have. Does not
belong here: what lies beside them (each system's module `locator`), opening a bundle of any kind
(registry.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vidtag_ml import config
from vidtag_ml.workflow import stage, sums

S = TypeVar("S")
FILE = "bundle.json"
GALLERY = "gallery"
"""The folder of a bundle that holds what is searched, as it lies in data/."""
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
    extras: tuple[str, ...] = ()
    """What a card may tell besides: bundles without it can be used."""


@dataclass(frozen=True)
class Card:
    """What a bundle says of itself."""

    folder: Path
    """The bundle."""
    content: Mapping[str, Any]
    """As they stand in the file."""
    sums: sums.Sums
    """Of all files of the bundle."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / FILE

    @property
    def kind(self) -> str:
        """What the bundle's model gives."""
        return str(self.content.get("kind", _KIND))

    @property
    def digest(self) -> str:
        """Of all bytes of the bundle: its identity in the registry."""
        return sums.digest(self.sums)

    @property
    def gallery(self) -> str | None:
        """What DVC calls the gallery that is searched; None if none is."""
        searched = sums.within(self.sums, GALLERY)
        return sums.dvc_md5(searched) if searched else None

    def part(self, name: str) -> "Card":
        """The card of a bundle that is a folder of this one."""
        return _parsed(self.folder / name, sums.within(self.sums, name))

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


@dataclass(frozen=True)
class Kept:
    """Where a bundle lies, and what a registry says of it if it is in one."""

    folder: Path
    """The bundle."""
    name: str | None = None
    """Of the registered model."""
    version: int | None = None
    """Of that."""
    digest: str | None = None
    """Of the bundle's bytes when it was registered."""

    def card(self) -> Card:
        """The bundle's card; see `read`."""
        return read(self.folder, self.digest)


def write(
    folder: Path,
    form: Form,
    params: config.Params,
    made_from: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Writes the card of a bundle, and then its sums.

    Args:
        folder: the bundle, whose other files are all there.
        form: of its system.
        params: hold the form's sections.
        made_from: what the bundle was made from, stored as it is.
        facts: those of the form, and perhaps its extras.
    """
    assert set(form.facts) <= set(facts) <= {*form.facts, *form.extras}
    card = {
        "kind": form.kind,
        "format": form.format,
        **{name: config.as_dict(getattr(params, name)) for name in form.sections},
        **facts,
        "made_from": dict(made_from or {}),
    }
    stage.write_text(folder / FILE, json.dumps(card, indent=1) + "\n")
    sums.write(folder)


def read(folder: Path, registered: str | None = None) -> Card:
    """The card of a bundle of any kind, whose bytes are all as they were when it was made.

    Args:
        folder: the bundle.
        registered: digest of its bytes in a registry; its own sums are believed if not given.

    Raises:
        ValueError: the folder is no bundle, or bytes of it are others.
    """
    if not (folder / FILE).is_file():
        raise ValueError(f"{folder}: there is no {FILE}, so this is no model")
    return _parsed(folder, _verified(folder, registered))


def _parsed(folder: Path, verified: sums.Sums) -> Card:
    try:
        values = json.loads((folder / FILE).read_text())
    except ValueError as error:
        raise ValueError(f"{folder / FILE}: this is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{folder / FILE}: this is no card of a bundle")
    return Card(folder, values, verified)


def _verified(folder: Path, registered: str | None) -> sums.Sums:
    """The sums of a bundle.

    Raises:
        ValueError: they are not those that were registered, or that the bundle keeps.
    """
    found, own = sums.take(folder), sums.kept(folder)
    if own is None and registered is None:
        raise ValueError(
            f"{folder}: its bytes cannot be checked, for it is of an older vidtag and has no "
            f"{sums.FILE}: `vidtag bundle` makes it anew; a registered one is used by its name"
        )
    said = None if own is None else sums.difference(found, own)
    if said is None and registered in (None, sums.digest(found)):
        return found
    what = "made" if registered is None else "registered"
    raise ValueError(
        f"{folder}: not as it was {what} ({said or 'other bytes'}), so nothing of it is used: put "
        "back a copy that is whole, or make the model anew"
    )
