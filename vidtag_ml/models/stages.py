"""All stages by name: what the command line, the benchmark and tests look up.

Belongs here: one table. Does not belong here: any stage (the module `stages` of its room).
"""

from collections.abc import Callable

from vidtag_ml.aerial import stages as aerial
from vidtag_ml.dataset import stages as dataset
from vidtag_ml.features import stages as features
from vidtag_ml.ingest import stages as ingest
from vidtag_ml.models.gama import stages as gama
from vidtag_ml.models.registry import SYSTEMS
from vidtag_ml.retrieval import stages as retrieval

STAGES: dict[str, Callable[..., bool]] = {
    "ingest": ingest.ingest,
    "hierarchy": dataset.hierarchy,
    "gallery": retrieval.gallery,
    "features": features.features,
    "aerial_gallery": aerial.aerial_gallery,
    "aerial_pixels": gama.aerial_pixels,
    **{name: each.make for system in SYSTEMS.values() for name, each in system.trainings.items()},
    **{f"evaluate_{name}": system.evaluate for name, system in SYSTEMS.items()},
    **{
        f"bundle_{name}": system.bundling.make
        for name, system in SYSTEMS.items()
        if system.bundling
    },
}
"""Functions of (root, params, ...) that say whether they had to work; each after its inputs."""
