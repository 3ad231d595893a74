"""GeoCLIP as it was released: two heads and a gallery.

Belongs here: the package's files in our names. Does not belong here: reading checkpoints
(checkpoints.py), the model made of them (models/geoclip).
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from vidtag_ml import config
from vidtag_ml.encoders import checkpoints
from vidtag_ml.encoders.checkpoints import Weights
from vidtag_ml.encoders.location import GEOCLIP_SIGMAS, LocationEncoder, from_geoclip

_PACKAGE = {
    "location_encoder.": "location_encoder_weights.pth",
    "image_encoder.mlp.": "image_encoder_mlp_weights.pth",
    "logit_scale": "logit_scale_weights.pth",
}
_PACKAGE_GALLERY = "coordinates_100K.csv"


@dataclass(frozen=True)
class Heads:
    """What GeoCLIP's authors trained, under our names, in float32.

    See docs/specs/geoclip.md, sections 2 to 4.
    """

    location: Weights
    """State dict of a `LocationEncoder` with `sigmas`."""
    sigmas: tuple[float, ...]
    """Scale of each branch of the GPS encoder."""
    image: Weights
    """State dict of `GeoCLIP.image`."""
    logit_scale: Tensor
    """Logarithm of the scale of cosines, a scalar."""
    gallery_csv: Path
    """The released gallery: a CSV file, header LAT,LON."""


def geoclip(folder: Path | None = None) -> Heads:
    """GeoCLIP's released heads and gallery, read from files.

    Args:
        folder: a release (config.json, model.safetensors and a CSV file), or a folder that holds
            the weights files of the package `geoclip`; None = the installed package.

    Raises:
        ValueError: the package is not installed, a file is missing or unreadable, or the weights
            are not those of GeoCLIP; names the place.
    """
    place = folder or _installed()
    if not place.is_dir():
        raise ValueError(f"{place}: no such folder")
    read = _release if (place / "config.json").is_file() else _package
    published, sigmas, gallery = read(place)
    try:
        heads = Heads(
            location=from_geoclip(checkpoints.below("location_encoder.", published)),
            sigmas=sigmas,
            image=checkpoints.below("image_encoder.mlp.", published),
            logit_scale=published["logit_scale"].reshape(()),
            gallery_csv=gallery,
        )
        load_heads(heads)
        read_gallery(gallery)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"{place}: not GeoCLIP's weights: {error}") from error
    return heads


def read_gallery(file: Path) -> NDArray[np.float64]:
    """Points (G, 2), degrees, of a released gallery: a CSV file with header LAT,LON.

    Raises:
        ValueError: it is no such file, or a point is not on the globe; names it.
    """
    with file.open(encoding="utf-8", errors="replace") as lines:
        header = lines.readline().strip()
    if header != "LAT,LON":
        raise ValueError(f"{file}: its header is {header[:40]!r}, not 'LAT,LON'")
    try:
        latlon_G2 = np.loadtxt(file, delimiter=",", skiprows=1, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if latlon_G2.shape[1] != 2 or not (np.abs(latlon_G2) <= (90.0, 180.0)).all():
        raise ValueError(f"{file}: not all of its rows are (lat, lon) in degrees")
    return latlon_G2


def load_heads(heads: Heads) -> tuple[LocationEncoder, nn.Sequential]:
    """GPS encoder and image perceptron of the published sizes with these weights.

    Raises:
        RuntimeError: the weights have other names or sizes.
    """
    location = LocationEncoder(config.Location(heads.sigmas, 256, 1024), 512)
    image = nn.Sequential(nn.Linear(768, 768), nn.ReLU(), nn.Linear(768, 512))
    location.load_state_dict(heads.location)
    image.load_state_dict(heads.image)
    return location.eval(), image.eval()


def _installed() -> Path:
    found = importlib.util.find_spec("geoclip")
    if found is None or not found.submodule_search_locations:
        raise ValueError(
            "the package geoclip, which carries GeoCLIP's weights, is not installed; install it, "
            "or name a folder with its weights"
        )
    return Path(found.submodule_search_locations[0])


def _package(place: Path) -> tuple[Weights, tuple[float, ...], Path]:
    """Weights under the names of a release, sigmas and gallery of the package's files."""
    found = {prefix: next(place.rglob(file), None) for prefix, file in _PACKAGE.items()}
    absent = [_PACKAGE[prefix] for prefix, file in found.items() if file is None]
    if absent:
        raise ValueError(f"{place}: has neither config.json nor {absent[0]}")
    beside = place.parent / "gps_gallery" / _PACKAGE_GALLERY
    gallery = next(place.rglob(_PACKAGE_GALLERY), beside)
    if not gallery.is_file():
        raise ValueError(f"{place}: has no gallery {_PACKAGE_GALLERY}")
    published = {
        f"{prefix}{key}": value
        for prefix, file in found.items()
        if file is not None
        for key, value in checkpoints.read_weights(file).items()
    }
    return published, GEOCLIP_SIGMAS, gallery


def _release(place: Path) -> tuple[Weights, tuple[float, ...], Path]:
    """Weights, sigmas and gallery of a release folder (docs/specs/geoclip.md, section 2)."""
    card = place / "config.json"
    try:
        values = json.loads(card.read_text())
        if (values["model_type"], values["format_version"]) != ("geoclip-geolocation", 1):
            raise ValueError(f"{card}: not a geoclip-geolocation release of format_version 1")
        sigmas = tuple(float(sigma) for sigma in values["sigma"])
        gallery = place / Path(values["gallery_file"]).name
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{card}: not the card of a GeoCLIP release: {error!r}") from error
    for file in (gallery, place / "model.safetensors"):
        if not file.is_file():
            raise ValueError(f"{file}: no such file")
    return checkpoints.read_weights(place / "model.safetensors"), sigmas, gallery
