"""Bundles: folders with all that locating needs.

Belongs here: what every bundle has. Does not belong here: what each system adds (its module
`locator`), opening one of any kind (registry.py).
"""

import json
from pathlib import Path


def kind(folder: Path) -> str:
    """What a bundle's model gives: tracks, places, or tracks by aerial imagery.

    Raises:
        ValueError: the folder is no bundle.
    """
    try:
        card = json.loads((folder / "bundle.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{folder}: there is no bundle.json, so this is no model") from None
    return str(card.get("kind", "tracks"))
