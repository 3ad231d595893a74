"""One way into the tables: each module turns one kind of source into clips and fixes."""

import importlib
import typing

from vidtag_ml import config


def about() -> dict[str, str]:
    """What each value of `clips.source` takes in: the first paragraph of its module."""
    found = {}
    for name in typing.get_args(config.Source):
        module = "flyover_dataset" if name.startswith("flyover") else name
        text = importlib.import_module(f"vidtag_ml.sources.{module}").__doc__ or ""
        found[name] = " ".join(text.split("\n\n")[0].split())
    return found
