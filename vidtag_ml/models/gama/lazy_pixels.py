"""Pixels that are read when they are asked for: for datasets that no disk holds twice.

Belongs here: rows of frames, tiles and regions as `data.PixelStore` reads them, from the
files themselves. Does not belong here: the same rows as arrays (data.py), pictures of
areas (aerial/pictures.py), decoding (media/video.py).
Shape legend: V videos, X row numbers of any shape, H W pixels, 3 = red, green, blue.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.media import pictures as picture_files
from vidtag_ml.media import video
from vidtag_ml.models.gama.data import PixelStore, scaled

Indices = NDArray[np.int64]
Pixels = NDArray[np.uint8]

FILE = "videos.parquet"


@dataclass(frozen=True)
class VideoFrames:
    """Frames of all videos, one behind the other; as many files are read as rows are asked for."""

    videos: pd.DataFrame
    """clip_id, first, num_frames, kind and path (a video, or a folder of numbered pictures)."""
    root: Path
    """What paths are relative to."""
    frames_per_second: float
    """Of videos; of a folder each picture is a frame."""
    size: tuple[int, int]
    """H and W, to which frames are scaled."""

    def __getitem__(self, rows: Any, /) -> Pixels:
        """Frames (X, H, W, 3)."""
        rows_X = np.asarray(rows, np.int64)
        flat = rows_X.ravel()
        first_V = self.videos["first"].to_numpy(np.int64)
        video_N = np.searchsorted(first_V, flat, "right") - 1
        pixels = np.empty((len(flat), *self.size, 3), np.uint8)
        for number in np.unique(video_N):
            mine = np.flatnonzero(video_N == number)
            pixels[mine] = self._read(int(number), flat[mine] - first_V[number])
        return pixels.reshape(*rows_X.shape, *self.size, 3)

    def _read(self, number: int, frame_N: Indices) -> Pixels:
        row = self.videos.iloc[number]
        path = self.root / row["path"]
        if row["kind"] == "video":
            shown, where = np.unique(frame_N, return_inverse=True)
            frames, _ = video.frames_at(path, shown / self.frames_per_second)
            return scaled(frames[where], self.size)
        files = list(published.numbered(path).values())
        with ThreadPoolExecutor() as threads:  # decoding leaves Python's lock to the others
            pictures = threads.map(lambda k: picture_files.picture(files[k])[None], frame_N)
            return np.concatenate([scaled(pixels_1HW3, self.size) for pixels_1HW3 in pictures])


@dataclass(frozen=True)
class AreaPictures:
    """Pictures of tiles or regions."""

    areas: aerial_gallery.Areas
    """Whose pictures."""
    folder: Path | None
    """Where the imagery lies."""

    def __getitem__(self, rows: Any, /) -> Pixels:
        """Pictures (X, H, W, 3)."""
        rows_X = np.asarray(rows, np.int64)
        side = self.areas.protocol["tile_pixels"]
        pixels = aerial_pictures.pixels(self.areas, rows_X.ravel(), side, self.folder)
        return pixels.reshape(*rows_X.shape, side, side, 3)


def write(
    tables: Tables,
    dataset: Path,
    settings: config.Gama,
    folder: Path,
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Writes how many frames each video has, and where they are: the index that `read` needs.

    Args:
        tables: clips and, of those that are folders of pictures, one of the pictures.
        dataset: folder that `video_path` and `file` are relative to.
        settings: frames_per_second.
        folder: made if need be.
        report: called with (videos done, all videos).
    """
    folder.mkdir(parents=True, exist_ok=True)
    folders = _folders(tables)
    rows, first = [], 0
    for done, row in enumerate(tables.clips.to_dict("records"), 1):
        if row["kind"] == "video":
            path = Path(row["video_path"])
            num = len(video.sample_times(dataset / path, settings.frames_per_second))
        else:
            path = folders[str(row["clip_id"])]
            num = len(published.numbered(dataset / path))
        rows.append((str(row["clip_id"]), first, num, row["kind"], path.as_posix()))
        first += num
        if report:
            report(done, len(tables.clips))
    columns = ["clip_id", "first", "num_frames", "kind", "path"]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / FILE, index=False)


def _folders(tables: Tables) -> dict[str, Path]:
    """Folder of each clip that is one of pictures."""
    if tables.frames is None:
        return {}
    some = tables.frames.groupby("clip_id")["file"].first()
    return {str(clip_id): Path(file).parent for clip_id, file in some.items()}


def read(
    folder: Path,
    dataset: Path,
    tiles: aerial_gallery.Tiles,
    regions: aerial_gallery.Regions,
    imagery_folder: Path | None,
    settings: config.Gama,
) -> PixelStore:
    """Pixels by the index that `write` made.

    Raises:
        ValueError: there is no index; names the folder.
    """
    try:
        videos = pd.read_parquet(folder / FILE)
    except OSError as error:
        raise ValueError(f"{folder}: holds no index of videos: {error}") from error
    frames = VideoFrames(videos, dataset, settings.frames_per_second, settings.frame_size)
    of_tiles, of_regions = (AreaPictures(each, imagery_folder) for each in (tiles, regions))
    return PixelStore(videos, frames, of_tiles, of_regions)
