"""Sections `gallery` and `aerial`: what models search.

Belongs here: their fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass
from typing import Literal

from vidtag_ml.config.ranges import Amount, Count, Degrees, Positive, Zoom


@dataclass(frozen=True)
class Gallery:
    """The coordinates among which a model searches."""

    source: Literal["lattice", "grid", "cities", "file"]
    """lattice: equal-area, over land and coast, blind to splits; grid: boxes around train fixes;
    cities: the centres of the dataset's cities; file: as released with GeoCLIP."""
    file: str | None
    """file: a CSV with columns LAT and LON, relative to the workspace."""
    spacing_km: Positive
    """Distance between neighbouring points."""
    coast_km: Amount
    """lattice: points at sea are kept up to this distance from land."""
    padding_deg: Degrees
    """grid: each region's box is widened by this on every side."""


@dataclass(frozen=True)
class Aerial:
    """Which aerial tiles there are."""

    source: Literal["flyover", "published", "slippy", "geotiff"]
    """flyover: cut from the Blue Marble; published: the layout of GAMa; slippy: a folder of
    z/x/y.png (jpg, jpeg, webp); geotiff: cut from all GeoTIFFs of a folder."""
    folder: str | None
    """Where the imagery lies, relative to the workspace or absolute; flyover: null."""
    kind: Literal["centred", "uncentred"]
    """centred: one tile around each fix; uncentred: the tiles of a grid."""
    zoom: Zoom
    """Of the grid; a centred tile is as large as a tile of the grid."""
    ground_km: Positive | None
    """geotiff: width of a tile on the ground, in place of zoom; null = zoom decides."""
    tile_pixels: Count
    """Side of a tile's picture when it is embedded."""
    region_tiles: Count
    """Tiles along a side of a region."""
