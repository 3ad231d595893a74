"""The stage that makes the gallery; as in workflow/inputs.py.

Belongs here: its key. Does not belong here: where points lie (gallery.py).
"""

from pathlib import Path

from vidtag_ml import config
from vidtag_ml.workflow import code_key, inputs, layout, stage


def gallery(root: Path, params: config.Params) -> bool:
    """Makes `data/gallery/`: the coordinates among which models search."""
    at, settings = layout.of(root, params), params.gallery
    key = {"gallery": config.as_dict(settings), **code_key.of("gallery")}
    if reads_fixes := settings.source in ("grid", "cities"):
        key["tables"] = inputs.tables_digest(at.dataset)
    file = root / settings.file if settings.source == "file" and settings.file else None
    if file is not None:
        key["file"] = inputs.input_digest(file, "vidtag weights fetch geoclip")

    def build(aside: Path) -> None:
        from vidtag_ml.dataset import tables
        from vidtag_ml.retrieval import gallery as galleries

        fixes = tables.read(at.dataset).fixes_in("train") if reads_fixes else None
        points = galleries.build(settings, fixes, file)
        galleries.write(aside, points, config.as_dict(settings))

    return stage.make(at.gallery, key, build)
