"""Networks by their names, and trained ones read from folders.

Belongs here: finding the class by its name. Does not belong here: the classes (each system's module
`network`), how a folder is written (base.py).
"""

import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from vidtag_ml import config
from vidtag_ml.models.base import Model
from vidtag_ml.models.gps_retrieval.network import GeoModel


def constructors() -> "dict[str, type[Model]]":
    """The models there are, by name: those of each room's module `network`, and others defined."""
    for file in sorted(Path(__file__).parent.glob("*/network.py")):
        importlib.import_module(f"vidtag_ml.models.{file.parent.name}.network")
    found = [model for model in _below(Model) if "name" in vars(model)]
    return {model.name: model for model in sorted(found, key=lambda model: model.name)}


def _below(kind: type[Model]) -> Iterator[type[Model]]:
    """The classes that are made from one, however far below."""
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def build(name: str, sizes: Any, widths: Mapping[str, int]) -> "Model":
    """The model `name` with random weights.

    Args:
        name: a key of `constructors()`.
        sizes: the `model` section of the params for vidtag and geoclip; of others their own sizes.
        widths: encoder name -> number of its features, of those whose features it reads.

    Raises:
        ValueError: there is no such model.
    """
    return _of_name(name)(sizes, widths)


def load(folder: Path) -> GeoModel:
    """The model that `save` wrote to `folder`, as `read` has it, if it gives coordinates.

    Raises:
        ValueError: it gives none, or `read` refuses the folder.
    """
    model = read(folder)
    if not isinstance(model, GeoModel):
        raise ValueError(f"{folder}: a {model.name} model gives no coordinates")
    return model


def read(folder: Path) -> Model:
    """The model that `save` wrote to `folder`, on the CPU and in evaluation mode.

    Raises:
        ValueError: a file is missing or does not fit the other, or there is no such model; names
            it.
    """
    for name in ("model.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name}: no such file, so {folder} holds no trained model")
    card = json.loads((folder / "model.json").read_text())
    kind = _of_name(card["name"])
    sizes = config.parse(kind.sizes_type, card["config"], str(folder / "model.json"))
    model = kind(sizes, card["widths"])
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except RuntimeError as error:
        raise ValueError(
            f"{folder / 'model.safetensors'}: does not fit {folder / 'model.json'}: {error}"
        ) from error
    return model.eval()


def _of_name(name: str) -> type[Model]:
    known = constructors()
    if name not in known:
        raise ValueError(f"no model is called {name!r}; known: {', '.join(known)}")
    return known[name]
