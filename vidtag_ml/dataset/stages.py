"""The stage that makes the table of places; as in workflow/inputs.py.

Belongs here: its key. Does not belong here: the table itself (hierarchy.py), how clips come in
(ingest/stages.py).
"""

from pathlib import Path

from vidtag_ml import config
from vidtag_ml.workflow import code_key, inputs, layout, stage


def hierarchy(root: Path, params: config.Params) -> bool:
    """Makes `data/hierarchy.csv`: which city lies in which state, country and continent."""
    at = layout.of(root, params)
    key = {
        "clips": inputs.input_digest(at.dataset / "clips.parquet", "vidtag ingest"),
        **code_key.of("hierarchy"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.dataset import hierarchy as places
        from vidtag_ml.dataset import tables

        places.write(places.build(tables.read(at.dataset).clips), aside)

    return stage.make(at.hierarchy, key, build)
