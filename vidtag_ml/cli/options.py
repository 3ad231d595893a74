"""The options that several commands have, and the params that one of them names.

Belongs here: options of more than one module of commands. Does not belong here: options of one
command (beside it).
"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vidtag_ml import config


ParamsPath = Annotated[Path, typer.Option("--params", help="The params file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Encoders = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Encoders.")]
PARAMS = Path("params.yaml")


class Engine(StrEnum):
    """Who works; the results are the same."""

    HERE = "here"
    RAY = "ray"


EngineChoice = Annotated[Engine, typer.Option("--engine", help="Who works; ray: a Ray cluster.")]


def load(path: Path) -> "config.Params":
    """The params in a file.

    Raises:
        ValueError: there is no such file, or a key or value in it is wrong.
    """
    from vidtag_ml import config

    try:
        return config.load(path)
    except FileNotFoundError:
        raise ValueError(
            f"{path}: no such file; run vidtag where params.yaml lies, or name one with --params"
        ) from None
