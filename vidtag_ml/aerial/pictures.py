"""Pictures of aerial tiles and regions: read from files, cut from GeoTIFFs or the Blue Marble.

A picture shows a square of the Web Mercator plane. North is up, or a heading: the square is then
turned around its middle, except that of a file, of which only the largest turned square within it
is shown.

Belongs here: pixels of areas with known bounds, and their embeddings by an encoder that is handed
in. Does not belong here: which areas there are (sources.py), their tables (gallery.py).
Shape legend: N areas, S rows and columns of a picture, E embedding, F GeoTIFFs, 2 = (x, y) in the
plane, 3 = red, green, blue, 4 = (south, west, north, east) in degrees.
"""

import functools
import hashlib
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.aerial.gallery import Areas
from vidtag_ml.earth import blue_marble, slippy, sphere

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Of slippy tiles."""


def pixels(
    areas: Areas,
    rows_N: ArrayLike,
    size: int,
    folder: Path | None = None,
    heading_deg: ArrayLike = 0.0,
) -> Pixels:
    """Pictures (N, S, S, 3) of some tiles or regions, read now: as many rows as memory holds.

    Args:
        areas: tiles or regions.
        rows_N: which of them.
        size: S in pixels.
        folder: where the imagery lies; not needed for Flyover.
        heading_deg: what is up in the pictures, clockwise from north: one value, or N.

    Raises:
        ValueError: a picture is missing or broken, or rasterio is needed and not installed.
    """
    source = areas.protocol["source"]
    rows = np.asarray(rows_N, int)
    pictures = np.zeros((len(rows), size, size, 3), np.uint8)
    files = areas.table["file"].to_numpy(object)[rows]
    headings = np.broadcast_to(np.asarray(heading_deg, float), rows.shape)
    for k, (file, heading) in enumerate(zip(files, headings, strict=True)):
        bounds_4 = areas.bounds_G4[rows[k]]
        if source == "flyover":
            pictures[k] = _blue_marble(bounds_4, size, heading)
        elif folder is None:
            raise ValueError(f"pictures of a {source} gallery lie in a folder; none is given")
        elif source == "geotiff":
            pictures[k], _ = _cut(bounds_4, size, heading, folder)
        elif isinstance(file, str):
            pictures[k] = _turned(_opened(folder / file, size), size, heading)
        elif source == "slippy":
            joined = _joined(bounds_4, size, folder, areas.protocol)
            pictures[k] = _turned(joined, size, heading)
        else:
            raise ValueError(f"{areas.ids[rows[k]]} has no picture in {folder}")
    return pictures


def embed(
    encode: Callable[[Pixels], "Tensor"],
    areas: Areas,
    path: Path,
    made_from: str,
    batch_size: int,
    folder: Path | None = None,
) -> "Tensor":
    """Writes the embeddings of all tiles or regions, float16, and opens them, mapped.

    Memory does not grow with the gallery, and a write that was stopped is gone on with.

    Args:
        encode: pictures (N, S, S, 3) to embeddings (N, E); S is the protocol's tile_pixels.
        areas: tiles or regions.
        path: a safetensors file, see retrieval/embeddings.py.
        made_from: a digest of the encoder.
        batch_size: pictures that are encoded at once.
        folder: where the imagery lies.
    """
    from vidtag_ml.retrieval import embeddings

    size = areas.protocol["tile_pixels"]

    def rows(start: int, stop: int) -> "Tensor":
        return encode(pixels(areas, np.arange(start, stop), size, folder))

    whole = hashlib.md5(f"{made_from} {areas.digest} {size}".encode(), usedforsecurity=False)
    whole.update(areas.bounds_G4.tobytes())
    return embeddings.write_rows(rows, len(areas), path, whole.hexdigest(), batch_size)


def _blue_marble(bounds_4: Floats, size: int, heading_deg: float) -> Pixels:
    """A picture from straight above, without haze; averaged where its pixels are larger."""
    across = (bounds_4[3] - bounds_4[1]) / 360.0 * blue_marble.blue_marble().shape[1]
    finer = max(1, math.ceil(across / size))
    steps = (np.arange(size * finer) + 0.5) / (size * finer) - 0.5
    right, down = np.meshgrid(steps, steps)
    x, y, width = slippy.squares(bounds_4)
    cos, sin = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))
    east, south = right * cos - down * sin, right * sin + down * cos
    xy = np.stack([x + width * east, y + width * south], -1)
    colour = blue_marble.colours(sphere.unit_vectors(slippy.from_plane(xy)))
    colour = colour.reshape(size, finer, size, finer, 3).mean((1, 3))
    return np.asarray(np.rint(colour), np.uint8)


def _opened(path: Path, size: int) -> "Image":
    """A square picture; a large JPEG is decoded at no more than it takes to show it well."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * size, 2 * size))
            picture = image.convert("RGB")
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such picture") from None
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path}: not a picture; copy it again: {error}") from None
    if picture.width != picture.height:
        raise ValueError(f"{path}: {picture.width} x {picture.height} pixels are no square tile")
    return picture


def _turned(picture: "Image", size: int, heading_deg: float) -> Pixels:
    """The largest square within a picture, turned so that a heading is up, at a size."""
    from PIL import Image

    angle = math.radians(heading_deg)
    share = min(1.0, 1 / (abs(math.cos(angle)) + abs(math.sin(angle))))
    margin = picture.width * (1 - share) / 2
    turned = picture.rotate(heading_deg % 360.0, Image.Resampling.BICUBIC)
    box = (margin, margin, picture.width - margin, picture.width - margin)
    return np.asarray(turned.resize((size, size), Image.Resampling.BILINEAR, box))


def _joined(bounds_4: Floats, size: int, folder: Path, protocol: dict[str, Any]) -> "Image":
    """A region's slippy tiles side by side; black where there is none."""
    from PIL import Image

    zoom, across = int(protocol["zoom"]), int(protocol["region_tiles"])
    side = math.ceil(size / across)
    x, y, width = slippy.squares(bounds_4)
    first = np.round((np.array([x, y]) - width / 2) * 2.0**zoom).astype(np.int64)
    whole = Image.new("RGB", (across * side, across * side))
    for k in range(across**2):
        row, column = divmod(k, across)
        number = slippy.wrapped(first + np.array([column, row]), zoom)
        parent = folder / str(zoom) / str(number[0])
        for path in filter(Path.is_file, (parent / f"{number[1]}{s}" for s in SUFFIXES)):
            tile = Image.fromarray(_turned(_opened(path, side), side, 0.0))
            whole.paste(tile, (column * side, row * side))
            break
    return whole


def covered(bounds_N4: Floats, folder: Path) -> Floats:
    """Shares (N,) of squares that the GeoTIFFs of a folder show, by 16 x 16 points each."""
    return np.array([_cut(bounds_4, 16, 0.0, folder)[1].mean() for bounds_4 in bounds_N4])


def _cut(
    bounds_4: Floats, size: int, heading_deg: float, folder: Path
) -> tuple[Pixels, NDArray[np.bool_]]:
    """A picture (S, S, 3) cut from all GeoTIFFs of a folder, and where they show something."""
    rasterio = _rasterio()
    from rasterio.enums import ColorInterp, Resampling
    from rasterio.vrt import WarpedVRT

    picture = np.zeros((size, size, 3), np.uint8)
    shown = np.zeros((size, size), bool)
    for path in _near(bounds_4, folder):
        with rasterio.open(path) as raster:
            hidden = raster.nodata is not None or ColorInterp.alpha in raster.colorinterp
            view = {
                "crs": "EPSG:3857",
                "transform": _transform(bounds_4, size, heading_deg),
                "width": size,
                "height": size,
                "resampling": Resampling.bilinear,
                "add_alpha": not hidden,
            }
            with WarpedVRT(raster, **view) as warped:
                bands = warped.read([1, 2, 3] if raster.count >= 3 else [1, 1, 1])
                new = (warped.dataset_mask() > 0) & ~shown
        picture[new] = np.moveaxis(bands, 0, -1)[new]
        shown |= new
    return picture, shown


def _transform(bounds_4: Floats, size: int, heading_deg: float) -> Any:
    """From columns and rows of a picture to metres of EPSG:3857, whose y grows northward."""
    from rasterio import Affine
    from rasterio.warp import transform

    (half_m,), _ = transform("EPSG:4326", "EPSG:3857", [180.0], [0.0])
    x, y, width = slippy.squares(bounds_4)
    step_m = 2 * half_m * width / size
    cos, sin = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))
    left = half_m * (2 * x - 1) - step_m * size / 2 * (cos - sin)
    top = half_m * (1 - 2 * y) + step_m * size / 2 * (sin + cos)
    return Affine(step_m * cos, -step_m * sin, left, -step_m * sin, -step_m * cos, top)


def _near(bounds_4: Floats, folder: Path) -> Iterator[Path]:
    """GeoTIFFs that may show part of a square, however it is turned."""
    paths, bounds_F4 = rasters(folder)
    wider = (bounds_4[2:] - bounds_4[:2]) / 4
    south, west, north, east = [*(bounds_4[:2] - wider), *(bounds_4[2:] + wider)]
    beside = (bounds_F4[:, 0] > north) | (bounds_F4[:, 2] < south)
    eastward, westward = (bounds_F4[:, 1] - west) % 360.0, (west - bounds_F4[:, 1]) % 360.0
    meets = (eastward <= east - west) | (westward <= bounds_F4[:, 3] - bounds_F4[:, 1])
    yield from (paths[k] for k in np.flatnonzero(meets & ~beside))


@functools.lru_cache(maxsize=8)
def rasters(folder: Path) -> tuple[list[Path], Floats]:
    """GeoTIFFs of a folder and of those within it, in order of names, and their bounds (F, 4).

    Raises:
        ValueError: there is none, rasterio is not installed, or one has no coordinate system or
            other bands than one or three of 8 bits; names the file.
    """
    rasterio = _rasterio()
    from rasterio.enums import ColorInterp
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
    from rasterio.warp import transform_bounds

    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".tif", ".tiff"))
    if not paths:
        raise ValueError(f"{folder}: there is no GeoTIFF; aerial.folder names where they lie")
    bounds = []
    for path in paths:
        try:
            with warnings.catch_warnings(category=NotGeoreferencedWarning, action="ignore"):
                raster = rasterio.open(path)
        except RasterioIOError as error:
            raise ValueError(f"{path}: not a GeoTIFF; copy it again: {error}") from None
        with raster:
            if raster.crs is None:
                raise ValueError(f"{path}: has no coordinate system, so its place is unknown")
            if raster.dtypes[0] != "uint8" or ColorInterp.palette in raster.colorinterp:
                raise ValueError(f"{path}: has no grey or colour bands of 8 bits; convert it")
            west, south, east, north = transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
        bounds.append([south, west, north, east if east > west else east + 360.0])
    return paths, np.array(bounds)


def _rasterio() -> Any:
    try:
        import rasterio
    except ImportError as error:
        raise ValueError(
            "aerial.source is geotiff: pip install 'vidtag-geo[aerial]' brings rasterio"
        ) from error
    return rasterio
