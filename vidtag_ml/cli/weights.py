"""`vidtag weights`: which weights are here, whether they work, where to get them.

Belongs here: the commands below `weights`. Does not belong here: what they do
(encoders/catalog.py). Nothing heavy is imported before a command needs it.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidtag_ml.cli.options import PARAMS, AsJson, Encoders, ParamsPath, load
from vidtag_ml.cli.output import print_json, print_line, print_weights

if TYPE_CHECKING:
    from vidtag_ml.encoders.catalog import Status


app = typer.Typer(no_args_is_help=True, help="Weights of frame encoders, and GeoCLIP's.")
EncodersDir = Annotated[Path | None, typer.Option("--dir", help="Instead of encoders_dir.")]


@app.command("list")
def list_weights(
    params: ParamsPath = PARAMS, folder: EncodersDir = None, as_json: AsJson = False
) -> None:
    """Show which weights are here."""
    from vidtag_ml.encoders import catalog

    values = load(params)
    place = folder or Path(values.features.encoders_dir)
    found = [catalog.status(place, name) for name in catalog.known(values.features.encoders)]
    _show(found, as_json)


@app.command("verify")
def verify_weights(
    names: Encoders = None,
    params: ParamsPath = PARAMS,
    folder: EncodersDir = None,
    as_json: AsJson = False,
) -> None:
    """Build each encoder (default: of the params) and try it; fails if one is absent or bad."""
    from vidtag_ml.encoders import catalog

    values = load(params)
    place = folder or Path(values.features.encoders_dir)
    found = [catalog.verify(place, name) for name in names or values.features.encoders]
    _show(found, as_json)
    for bad in (w for w in found if w.state != "ok"):
        raise ValueError(f"{place / bad.name}: {bad.state}")


@app.command("fetch")
def fetch_weights(
    names: Encoders = None,
    source: Annotated[Path | None, typer.Option("--from", help="A local file or folder.")] = None,
    params: ParamsPath = PARAMS,
    folder: EncodersDir = None,
) -> None:
    """Download pretrained encoders, or take them and GeoCLIP's heads from files."""
    from vidtag_ml.encoders import catalog

    values = load(params)
    place = folder or Path(values.features.encoders_dir)
    absent = [n for n in values.features.encoders if catalog.status(place, n).state != "ok"]
    if source is not None and len(names or absent) != 1:
        raise ValueError(f"--from {source}: say which one name it is for")
    for name in names or absent:
        if source is None:
            sys.stderr.write(f"{name}: looking for it; this can take minutes\n")
        print_line(f"{name}: {catalog.fetch(name, place, source)}")


def _show(found: "list[Status]", as_json: bool) -> None:
    import dataclasses

    print_json([dataclasses.asdict(w) for w in found]) if as_json else print_weights(found)
