"""Which aerial tiles and regions there are: GAMa's layout, slippy tiles, GeoTIFFs, the Blue Marble.

GAMa's folder satelite_data (the misspelling is real, docs/specs/datasets.md, section 3) holds
{train,val}_gps/VIDEO/07.jpeg, centred on the fix of that number in locations[] of info/,
{train,val}/VIDEO/X_Y.jpeg, tiles of zoom 19, and {train,val}_hr/VIDEO.jpeg, the large images.
The list gallery_gps.list, if there is one, says which uncentred tiles of val are meant.

A region is the square of tiles in the middle of its video's fixes. GAMa keeps videos that extend
over at most 0.004 degrees: 7 tiles of zoom 19 hold them so, and might not around a middle fix.

Belongs here: finding tiles and regions, their bounds and files. Does not belong here: their tables
on disk (gallery.py), their pixels (pictures.py).
Shape legend: N tiles, 2 = (lat, lon) in degrees or (x, y) numbers of tiles.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.aerial.gallery import BOUNDS, Regions, Tiles
from vidtag_ml.config import Aerial
from vidtag_ml.dataset import tables
from vidtag_ml.earth import slippy, sphere
from vidtag_ml.ingest.published import bdd100k
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.published.tables import UnusableError
from vidtag_ml.workflow import progress

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

LEAST_SHOWN = 0.5
"""geotiff: tiles of which less is imagery are left out."""
_NUMBERED = re.compile(r"(\d+)_(\d+)\.(?:jpe?g|png)")
_XY = ["x", "y"]
_AERIAL, _LIST, _SPLITS = "satelite_data", "gallery_gps.list", ("train", "val")


def build(
    settings: Aerial, fixes: pd.DataFrame | None = None, folder: Path | None = None
) -> tuple[Tiles, Regions]:
    """The tiles and regions that the settings describe; the order is that of the fixes.

    Videos of which there is no tile are left out, counted and told.

    Args:
        settings: source, kind and sizes.
        fixes: clip_id, time_s, lat, lon and perhaps status (those that are dropped do not count).
            Each clip has a region; each fix a tile if tiles are centred, except those published.
            None = no regions, and no centred tiles.
        folder: where the imagery lies; not needed for Flyover.

    Raises:
        ValueError: what the source needs is missing, or there is no tile.
    """
    if folder is None and settings.source != "flyover":
        raise ValueError(f"aerial.source is {settings.source}, but aerial.folder names no folder")
    kept = _kept(fixes)
    if kept.empty and (settings.source in ("flyover", "published") or settings.kind == "centred"):
        raise ValueError(f"{settings.source}, {settings.kind} tiles need the fixes of videos")
    zoom = _zoom(settings, folder)
    if settings.source == "published":
        assert folder is not None
        tiles, regions = _published(settings, kept, folder)
    elif settings.kind == "centred":
        tiles, regions = _around_fixes(settings, kept, folder, zoom)
    else:
        tiles, regions = _of_grid(settings, kept, folder, zoom)
    if tiles.empty:
        raise ValueError(f"{folder}: holds no tile of the videos")
    _tell_absent(kept, regions)
    protocol = {
        "source": settings.source,
        "kind": settings.kind,
        "zoom": zoom,
        "tile_pixels": settings.tile_pixels,
        "tile_km": float(np.median(slippy.width_km(tiles["lat"], zoom))),
        "region_tiles": settings.region_tiles,
    }
    return Tiles(tiles, protocol), Regions(regions, protocol)


def _kept(fixes: pd.DataFrame | None) -> pd.DataFrame:
    if fixes is None:
        return pd.DataFrame(columns=["clip_id", "time_s", "lat", "lon"])
    return fixes[tables.is_kept(fixes)].dropna(subset=["lat", "lon"]).reset_index(drop=True)


def _zoom(settings: Aerial, folder: Path | None) -> float:
    """Of the grid; where a ground size decides, at the middle latitude of the imagery."""
    if settings.ground_km is None:
        return settings.zoom
    if settings.source != "geotiff" or folder is None:
        raise ValueError("aerial.ground_km is for GeoTIFFs; other tiles have the size of a zoom")
    _, bounds_N4 = aerial_pictures.rasters(folder)
    return slippy.zoom_of(settings.ground_km, float(np.median(bounds_N4[:, [0, 2]])))


def _tell_absent(fixes: pd.DataFrame, regions: pd.DataFrame) -> None:
    absent = sorted(set(fixes["clip_id"]) - set(regions["region"]))
    if absent:
        progress.tell(f"aerial: {len(absent)} videos have no tile; first: {absent[0]}")


def _videos(fixes: pd.DataFrame) -> Iterator[tuple[str, Floats]]:
    """Each video with its positions, in order."""
    for video, own in fixes.groupby("clip_id", sort=False):
        yield str(video), own[["lat", "lon"]].to_numpy(float)


def _median(latlon_N2: Floats) -> tuple[float, float]:
    """Median lat and lon, across the date line too (docs/specs/metrics.md, section 6)."""
    lon = latlon_N2[0, 1] + sphere.wrap_lon(latlon_N2[:, 1] - latlon_N2[0, 1])
    return float(np.median(latlon_N2[:, 0])), float(sphere.wrap_lon(np.median(lon)))


def _regions(
    settings: Aerial,
    fixes: pd.DataFrame,
    zoom: float,
    members: Mapping[str, list[str]],
    squares: Mapping[str, Numbers] | None = None,
    files: Mapping[str, str | None] | None = None,
) -> pd.DataFrame:
    """Rows of the regions that have tiles.

    Args:
        settings: tiles along a side.
        fixes: of the videos.
        zoom: of the grid.
        members: names of each video's tiles.
        squares: north-western tile (2,) of videos whose region is known by other means.
        files: the large images of videos that have one.
    """
    rows = []
    for video, latlon_N2 in _videos(fixes):
        if not members.get(video):
            continue
        first = (squares or {}).get(video)
        if first is None:
            first = _square(settings, latlon_N2, zoom)[0]
        bounds = slippy.bounds(first, zoom, settings.region_tiles)
        file = (files or {}).get(video)
        rows.append((video, *_median(latlon_N2), *bounds, file, members[video]))
    return pd.DataFrame(rows, columns=[name for name, _ in Regions.FIELDS])


def _square(settings: Aerial, latlon_N2: Floats, zoom: float) -> Numbers:
    """Numbers (N, 2) of the tiles of a video's region, from the north-west."""
    return slippy.square(slippy.middle(latlon_N2, zoom), settings.region_tiles, zoom)


def _members(pairs: pd.DataFrame) -> dict[str, list[str]]:
    """Names of the tiles of each region, of pairs (region, tile_id)."""
    return {str(name): list(own) for name, own in pairs.groupby("region", sort=False)["tile_id"]}


def _centred(fixes: pd.DataFrame, zoom: float) -> pd.DataFrame:
    """Rows of tiles around fixes: tile_id, clip_id, time_s, lat, lon, file."""
    table = fixes.rename(columns={"clip_id": "region"})
    table[BOUNDS] = slippy.around(fixes[["lat", "lon"]].to_numpy(float), zoom)
    return table[[name for name, _ in Tiles.FIELDS]]


def _around_fixes(
    settings: Aerial, fixes: pd.DataFrame, folder: Path | None, zoom: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A tile around each fix, cut on demand."""
    if settings.source == "slippy":
        raise ValueError("slippy tiles lie on a grid: aerial.kind must be uncentred")
    number = fixes.groupby("clip_id").cumcount().map("{:02d}".format)
    names = fixes["clip_id"].astype(str) + "/" + number
    tiles = _centred(fixes.assign(tile_id=names, file=None), zoom)
    if settings.source == "geotiff" and folder is not None:
        shown = aerial_pictures.covered(tiles[BOUNDS].to_numpy(float), folder) >= LEAST_SHOWN
        tiles = tiles[shown].reset_index(drop=True)
    return tiles, _regions(settings, fixes, zoom, _members(tiles))


def _of_grid(
    settings: Aerial, fixes: pd.DataFrame, folder: Path | None, zoom: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tiles of all regions, or of the folder; those of no region are distractors."""
    wanted = [(video, _square(settings, points, zoom)) for video, points in _videos(fixes)]
    numbers = np.concatenate([np.empty((0, 2), np.int64), *(square for _, square in wanted)])
    pairs = pd.DataFrame(numbers, columns=_XY)
    pairs["region"] = np.repeat([video for video, _ in wanted], [len(s) for _, s in wanted])
    if settings.source == "flyover":
        present = pairs[_XY].drop_duplicates().assign(file=None)
    else:
        assert folder is not None
        is_slippy = settings.source == "slippy"
        present = _slippy(settings.zoom, folder) if is_slippy else _shown(zoom, folder)
        pairs = pairs.merge(present[_XY], on=_XY)
    tiles, members = _numbered(pairs, present, zoom)
    return tiles, _regions(settings, fixes, zoom, members)


def _numbered(
    pairs: pd.DataFrame, present: pd.DataFrame, zoom: float
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Rows of tiles by number, and the members of regions.

    Args:
        pairs: region, x, y of all tiles of regions.
        present: x, y, file; each tile once.
        zoom: of the grid.
    """
    pairs = pairs.assign(tile_id=_names(pairs))
    first = pairs.drop_duplicates("tile_id").set_index("tile_id")["region"]
    table = present.assign(tile_id=_names(present), time_s=np.nan)
    table["region"] = table["tile_id"].map(first).fillna("")
    numbers = table[_XY].to_numpy(np.int64)
    table[["lat", "lon"]] = slippy.centres(numbers, zoom)
    table[BOUNDS] = slippy.bounds(numbers, zoom)
    columns = [name for name, _ in Tiles.FIELDS]
    return table[columns].reset_index(drop=True), _members(pairs)


def _names(table: pd.DataFrame) -> pd.Series:
    return table["x"].astype(str) + "_" + table["y"].astype(str)


def _slippy(zoom: int, folder: Path) -> pd.DataFrame:
    """Numbers (x, y) and file of the tiles z/x/y.png of a folder, in order of numbers."""
    rows: dict[tuple[int, int], str] = {}
    for path in sorted((folder / str(zoom)).glob("*/*")):
        x, y = path.parent.name, path.stem
        if path.suffix in aerial_pictures.SUFFIXES and x.isdecimal() and y.isdecimal():
            rows.setdefault((int(x), int(y)), path.relative_to(folder).as_posix())
    if not rows:
        raise ValueError(f"{folder / str(zoom)}: has no tile X/Y.png, jpg, jpeg or webp")
    return pd.DataFrame([(*xy, rows[xy]) for xy in sorted(rows)], columns=[*_XY, "file"])


def _shown(zoom: float, folder: Path) -> pd.DataFrame:
    """Numbers (x, y) of the tiles of a grid that GeoTIFFs show, in order of numbers."""
    found = set()
    for south, west, north, east in aerial_pictures.rasters(folder)[1]:
        limits = np.clip([north, south], -slippy.LIMIT_LAT, slippy.LIMIT_LAT)
        (x, top), (_, bottom) = slippy.numbers([(limits[0], west), (limits[1], west)], zoom)
        across = int(np.ceil((east - west) / 360.0 * 2.0**zoom)) + 1
        grid = np.stack(np.meshgrid(np.arange(x, x + across), np.arange(top, bottom + 1)), -1)
        found |= set(map(tuple, slippy.wrapped(grid.reshape(-1, 2), zoom).tolist()))
    numbers = np.array(sorted(found), np.int64)
    shown = aerial_pictures.covered(slippy.bounds(numbers, zoom), folder) >= LEAST_SHOWN
    return pd.DataFrame(numbers[shown], columns=_XY).assign(file=None)


def _published(
    settings: Aerial, fixes: pd.DataFrame, folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tiles of GAMa's layout; a region is what all of its video's uncentred tiles say it is."""
    videos = fixes["clip_id"].astype(str).unique().tolist()
    pairs = _published_pairs(folder, videos)
    squares = {}
    for video, own in pairs.groupby("region"):
        low, high = own[_XY].to_numpy().min(0), own[_XY].to_numpy().max(0)
        if (high - low + 1 == settings.region_tiles).all():
            squares[str(video)] = low
    files = {video: _large(folder, video) for video in videos}
    if settings.kind == "centred":
        tiles = _centred(_published_fixes(folder, videos), settings.zoom)
        members = _members(tiles)
    else:
        pairs = _listed(pairs, folder)
        present = pairs.drop_duplicates(_XY)[[*_XY, "file"]]
        tiles, members = _numbered(pairs, present, settings.zoom)
    return tiles, _regions(settings, fixes, settings.zoom, members, squares, files)


def _published_fixes(folder: Path, videos: list[str]) -> pd.DataFrame:
    """tile_id, clip_id, time_s, lat, lon and file of the centred tiles that have a position."""
    rows, reasons = [], []
    for video in videos:
        try:
            times_s, latlon = bdd100k.locations(folder, video)
            parent = _first(folder, [f"{_AERIAL}/{split}_gps/{video}" for split in _SPLITS])
            for number, path in published.numbered(parent).items():
                if number < len(times_s) and np.isfinite(latlon[number]).all():
                    name, file = f"{video}/{path.stem}", path.relative_to(folder).as_posix()
                    rows.append((name, video, times_s[number], *latlon[number], file))
                else:
                    reasons.append(f"{path}: locations[] has no position {number}")
        except UnusableError as error:
            reasons.append(str(error))
    if reasons:
        progress.tell(f"aerial: {len(reasons)} tiles or videos left out; first: {reasons[0]}")
    return pd.DataFrame(rows, columns=["tile_id", "clip_id", "time_s", "lat", "lon", "file"])


def _published_pairs(folder: Path, videos: list[str]) -> pd.DataFrame:
    """region, x, y and file of the uncentred tiles of videos."""
    rows = []
    for video in videos:
        parent = _first(folder, [f"{_AERIAL}/{split}/{video}" for split in _SPLITS])
        for path in sorted(parent.glob("*")):
            if found := _NUMBERED.fullmatch(path.name):
                number = (int(found[1]), int(found[2]))
                rows.append((video, *number, path.relative_to(folder).as_posix()))
    return pd.DataFrame(rows, columns=["region", *_XY, "file"])


def _listed(pairs: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Those uncentred tiles that gallery_gps.list names, and all that are not of val."""
    if not (folder / _LIST).is_file():
        return pairs
    lines = (folder / _LIST).read_text(encoding="utf-8").splitlines()
    meant = pd.MultiIndex.from_tuples([tuple(line.split()[:2]) for line in lines if line.strip()])
    named = pd.MultiIndex.from_arrays([_names(pairs), pairs["region"]]).isin(meant)
    return pairs[named | ~pairs["file"].str.startswith(f"{_AERIAL}/val/")]


def _large(folder: Path, video: str) -> str | None:
    path = _first(folder, [f"{_AERIAL}/{split}_hr/{video}.jpeg" for split in _SPLITS])
    return path.relative_to(folder).as_posix() if path.exists() else None


def _first(folder: Path, names: list[str]) -> Path:
    """The first of some files or folders that is there; else the last of them."""
    return next((folder / name for name in names if (folder / name).exists()), folder / names[-1])
