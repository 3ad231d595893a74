"""Identities of models, part by part, and what differs between two of them.

Belongs here: comparing. Does not belong here: reading an identity (vidtag_assets.lineage.identity).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

Identity = Mapping[str, str]
"""What a model is made from: part -> value, such as `dvc.clips` -> md5, `code.features` -> md5,
`param.phase_one.epochs` -> 8, `package.torch` -> 2.15.0."""

DATA = "dvc.clips"
DERIVED = ("hierarchy", "dvc.gallery")
"""Data that are made from clips by the recipe."""


@dataclass(frozen=True)
class Change:
    """A part in which two identities differ, or may differ."""

    part: str
    """Its name."""
    then: str | None
    """Its value in the older identity; None if that does not tell."""
    now: str | None
    """Its value in the newer one; None if there is no such part any more."""

    @property
    def known(self) -> bool:
        """Whether both identities tell of it."""
        return self.then is not None and self.now is not None


def digest(identity: Identity) -> str:
    """md5 of an identity."""
    text = json.dumps(dict(identity), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def between(then: Identity, now: Identity) -> tuple[Change, ...]:
    """All parts in which two identities differ, in alphabetical order.

    >>> between({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"})
    (Change(part='b', then='2', now='3'), Change(part='c', then=None, now='4'))
    """
    parts = sorted(then.keys() | now.keys())
    found = (Change(part, then.get(part), now.get(part)) for part in parts)
    return tuple(change for change in found if change.then != change.now)


def of_recipe(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """The known changes of how a model is made: params, code, packages, encoders.

    Of hierarchy and gallery, too, if they have changed though the clips have not.
    """
    known = [change for change in changes if change.known]
    follows = (DATA, *DERIVED) if any(c.part == DATA for c in known) else (DATA,)
    return tuple(change for change in known if change.part not in follows)
