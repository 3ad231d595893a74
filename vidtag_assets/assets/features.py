"""The cache of features: what the frozen encoders see in each frame.

Belongs here: asset frame_features. Does not belong here: decoding and encoding
(vidtag_ml.features).
"""

import dagster as dg

from vidtag_assets.assets.dataset import clips
from vidtag_assets.execution import cluster
from vidtag_assets.metadata import OWNERS
from vidtag_assets.workspace.resources import ParamsFile, Workspace
from vidtag_ml.features import stages as features_stages
from vidtag_ml.workflow import code_key, stage
from vidtag_ml.workflow.ray_workers import Engine


class Encoding(dg.Config):
    """How frames are encoded; whatever is chosen, the features are the same."""

    engine: Engine = "here"
    """Ray's workers, of the cluster that RAY_ADDRESS names or of this machine, or this process."""


@dg.asset(
    deps=[clips],
    group_name="features",
    kinds={"torch", "safetensors"},
    code_version=code_key.version("features"),
    owners=OWNERS,
    op_tags=cluster.needs(cpu=2, memory_gb=4, gpus=1),
    pool="gpu",
)
def frame_features(
    config: Encoding, workspace: Workspace, params_file: ParamsFile
) -> dg.MaterializeResult:
    """Features of all frames from the frozen encoders, float16, in `out/features/`.

    The one asset that decodes videos for training; the phases train on this cache.

    **When it fails:** an encoder has no weights (`vidtag weights fetch`), or a video cannot be
    decoded; the message names the file. Materialize again: finished clips are not decoded twice.
    """
    params = params_file.load()
    worked = features_stages.features(workspace.path, params, config.engine)
    folder = workspace.layout(params).features
    shards = sorted(folder.glob("*.safetensors"))
    digest = stage.digest(folder)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(digest),
        metadata={
            "encoders": ", ".join(params.features.encoders),
            "num_shards": len(shards),
            "size_mb": sum(path.stat().st_size for path in shards) / 1e6,
            "path": dg.MetadataValue.path(folder),
            "digest": digest,
            "worked": worked,
        },
    )
