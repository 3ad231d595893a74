"""What stages read, as digests: the parts of keys that all of them share (decision 11).

Both doors, the command line and the Dagster assets, call the stages of each room (its module
`stages`) and nothing below them. A stage returns True if it did work, False if its output was there
and made from the same inputs. Progress goes to the logger `vidtag_ml.progress`, as text and, in
`extra`, as numbers.

Belongs here: digests of inputs, with the command that makes what is missing. Does not belong here:
stages, where outputs lie (layout.py), the mechanics of skipping (stage.py).
"""

from collections.abc import Sequence
from pathlib import Path

from vidtag_ml.workflow import stage

SPLITS = ("val", "test")
"""Splits that a model is evaluated on: val decides promotion, test is reported."""


def check_split(split: str) -> None:
    """Raises ValueError if no split is called so."""
    if split not in SPLITS:
        raise ValueError(f"no split is called {split!r}; known: {', '.join(SPLITS)}")


def input_digest(path: Path, command: str) -> str:
    """Digest of an input.

    Raises:
        ValueError: it is not there; names the command that makes it.
    """
    if not path.exists():
        raise ValueError(f"{path}: not there yet; `{command}` makes it")
    return stage.digest(path)


def tables_digest(dataset: Path) -> dict[str, str]:
    """Digests of a dataset's tables, of those that there are."""
    tables = {name: dataset / f"{name}.parquet" for name in ("clips", "fixes", "frames")}
    if not tables["frames"].exists():
        del tables["frames"]
    return {name: input_digest(path, "vidtag ingest") for name, path in tables.items()}


def model_digest(folder: Path, command: str) -> dict[str, str]:
    """Digests of what `base.save` wrote: the losses beside it do not matter to later stages."""
    return {n: input_digest(folder / n, command) for n in ("model.json", "model.safetensors")}


def encoders_digest(folder: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Digests of the card and the weights of frame encoders, by name."""
    return {
        name: [
            input_digest(folder / f"{name}.{kind}", f"vidtag weights fetch {name}")
            for kind in ("json", "safetensors")
        ]
        for name in names
    }
