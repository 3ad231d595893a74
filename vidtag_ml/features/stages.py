"""The stage that encodes all frames; as in workflow/inputs.py.

Belongs here: its key, shards that are used again. Does not belong here: encoding (extraction.py).
"""

import functools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidtag_ml import config
from vidtag_ml.workflow import code_key, inputs, layout, progress, stage
from vidtag_ml.workflow.ray_workers import Engine


def features(root: Path, params: config.Params, engine: Engine = "here") -> bool:
    """Makes `out/features/`: the frozen encoders' outputs for all frames of all clips.

    Whoever works makes the same, so the engine is no part of the key.
    """
    at, folder = layout.of(root, params), root / params.features.encoders_dir
    encoders = inputs.encoders_digest(folder, params.features.encoders)
    settings = {
        "frames_per_second": params.features.frames_per_second,
        "views": params.features.views,
        "encoders": encoders,
        "order": list(encoders),
        **code_key.of("features"),
    }
    key = {"settings": settings, "dataset": inputs.input_digest(at.dataset, "vidtag ingest")}

    def build(aside: Path) -> None:
        from vidtag_ml.dataset import tables as clip_tables
        from vidtag_ml.features import extraction as frame_features
        from vidtag_ml.features import spread

        _reuse_shards(at.features, aside, settings)
        loaded = frame_features.load_encoders(params.features, folder)
        report = progress.reporter("encoding clips")
        tables = clip_tables.read(at.dataset)
        where = at.dataset, folder, params.features
        rays = functools.partial(spread.by_ray, tables, *where) if engine == "ray" else None
        frame_features.extract(tables, at.dataset, loaded, params.features, aside, report, rays)

    return stage.make(at.features, key, build)


def _reuse_shards(old: Path, aside: Path, settings: Mapping[str, Any]) -> None:
    """Links the shards of the last store into the new one, if it is whole and made in one way."""
    made_from = stage.made_from(old)
    if made_from is None or made_from["settings"] != settings:
        return
    aside.mkdir(parents=True, exist_ok=True)
    for shard in old.glob("shard-*.safetensors"):
        if not (aside / shard.name).exists():
            _link(shard, aside / shard.name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
