"""The stage that makes the aerial gallery; as in workflow/inputs.py.

Belongs here: its key, where imagery lies, whether it fits the videos. Does not belong here: tiles
(gallery.py, sources.py), stages of networks that search them (models/gama/stages.py).
"""

from pathlib import Path
from typing import Any

from vidtag_ml import config
from vidtag_ml.workflow import code_key, inputs, layout, stage

GALLERY = "aerial_gallery"
"""What DVC calls it."""
SEEN = {"flyover": "flyover_gama", "published": "bdd100k"}
"""`aerial.source` -> the only `clips.source` whose videos show that ground from near enough."""


def aerial_gallery(root: Path, params: config.Params) -> bool:
    """Makes `data/aerial_gallery/`: tiles with known bounds, and the regions of all videos."""
    at, folder = layout.of(root, params), imagery(root, params)
    key = {
        "aerial": config.as_dict(params.aerial),
        "tables": inputs.tables_digest(at.dataset),
        "imagery": imagery_fingerprint(folder),
        **code_key.of("aerial_gallery"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.aerial import gallery as aerial_gallery
        from vidtag_ml.aerial import sources
        from vidtag_ml.dataset import tables

        kept = tables.read(at.dataset).kept
        aerial_gallery.write(aside, *sources.build(params.aerial, kept, folder))

    return stage.make(at.aerial_gallery, key, build)


def fits(params: config.Params) -> bool:
    """Whether imagery and videos of the params show the same ground.

    The Blue Marble is what the flights of flyover_gama see, the published tiles belong to the
    drives of BDD100K; slippy tiles and GeoTIFFs are chosen by whoever has them, for any videos.
    """
    return SEEN.get(params.aerial.source, params.clips.source) == params.clips.source


def imagery(root: Path, params: config.Params) -> Path | None:
    """The folder of imagery that the params name, if they name one."""
    return None if params.aerial.folder is None else root / params.aerial.folder


def imagery_fingerprint(folder: Path | None) -> Any:
    """What tells whether a folder of imagery changed."""
    from vidtag_ml.ingest.published import tables as published

    return None if folder is None else published.fingerprint(folder)
