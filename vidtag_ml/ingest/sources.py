"""The values of `clips.source`, and the module that takes each in.

Belongs here: that table in words and in code. Does not belong here: any source.
"""

import importlib

from vidtag_ml import config


def module_of(source: str) -> str:
    """The module that takes in what a value of `clips.source` names."""
    if source.startswith("flyover"):
        return "vidtag_ml.ingest.flyover.dataset"
    if source == "recordings":
        return "vidtag_ml.ingest.own.tables"
    return f"vidtag_ml.ingest.published.{source}"


def about() -> dict[str, str]:
    """What each value of `clips.source` takes in: the first paragraph of its module."""
    found = {}
    for name in config.SOURCES:
        text = importlib.import_module(module_of(name)).__doc__ or ""
        found[name] = " ".join(text.split("\n\n")[0].split())
    return found
