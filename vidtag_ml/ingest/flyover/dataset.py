"""The Flyover dataset on disk: flights as H.264 videos with GPX sidecars and tables.

Belongs here: which flights there are, their files, labels and splits. Does not belong here: what
the camera sees (camera.py), what the tables look like in general (dataset/tables.py).
Shape legend: T frames of a clip, C cities, 2 = (lat, lon) in degrees.
"""

import datetime as dt
import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.dataset import splits as dataset_splits
from vidtag_ml.dataset import tables
from vidtag_ml.earth import geonames, track_files
from vidtag_ml.ingest.flyover import camera
from vidtag_ml.media import encoding
from vidtag_ml.workflow import stage

LICENCE = "imagery: NASA Blue Marble, free of use with credit; places: GeoNames, CC BY 4.0"
DECIMALS = 7
"""Of degrees: a centimetre. In the last bits of a sine CPUs differ, and with them md5s would."""
BEGAN = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""When all flights began, as their sidecars say."""
_CHUNK = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Clip:
    """One finished clip."""

    clip_id: str
    latlon_T2: Floats
    """Where the craft is at each frame."""
    content_md5: str


def write(
    settings: config.Clips, folder: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Writes the dataset: videos/CLIP.mp4, videos/CLIP.gpx, clips.parquet and fixes.parquet.

    Equal settings give equal bytes, however many processes take part. Finished clips are kept, so
    a killed run loses none of them; the tables are written last.

    Args:
        settings: seed, counts and lengths.
        folder: the dataset's folder; created if absent.
        progress: called with (clips done, all clips) after every few.
    """
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    num = settings.num_train + settings.num_val + settings.num_test
    made: dict[int, _Clip] = {}
    for part in _in_processes(settings, folder, num):
        made.update(part)
        if progress:
            progress(len(made), num)
    ordered = [made[index] for index in range(num)]
    groups = [f"flight-{index:05d}" for index in range(num)]
    sizes = {"train": settings.num_train, "val": settings.num_val, "test": settings.num_test}
    splits = dataset_splits.assign_splits(groups, sizes, settings.seed)
    table = pd.DataFrame([_row(settings.source, clip) for clip in ordered])
    table = table.assign(group_id=groups, split=splits)
    labels = geonames.labels_at(
        np.array([clip.latlon_T2[len(clip.latlon_T2) // 2] for clip in ordered])
    )
    every = camera.FLIGHTS[settings.source].fps
    fixes = pd.concat([_fixes(clip.clip_id, clip.latlon_T2[::every]) for clip in ordered])
    tables.write(folder, tables.Tables(pd.concat([table, labels], axis=1), fixes))


def _in_processes(settings: config.Clips, folder: Path, num: int) -> Iterator[dict[int, _Clip]]:
    """Parts of the clips, by index, as they are finished; two processes if there are many."""
    chunks = [range(start, min(start + _CHUNK, num)) for start in range(0, num, _CHUNK)]
    make = functools.partial(_make_chunk, settings, folder)
    if len(chunks) <= 2:
        yield from map(make, chunks)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn, initializer=_end_with_parent) as pool:
        try:
            for future in as_completed([pool.submit(make, chunk) for chunk in chunks]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Makes this process end when its parent is killed, instead of waiting for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _make_chunk(settings: config.Clips, folder: Path, indices: range) -> dict[int, _Clip]:
    return {index: _make(settings, folder, index) for index in indices}


def _make(settings: config.Clips, folder: Path, index: int) -> _Clip:
    """One clip, on disk. Its sidecar is written last and tells of the flight: the proof."""
    rng = np.random.default_rng([settings.seed, index])
    flights = camera.FLIGHTS[settings.source]
    num_frames = int(rng.integers(settings.min_frames, settings.max_frames + 1))
    latlon_T2, heading_T = camera.fly_within(rng, num_frames, flights)
    clip_id = f"{settings.source}-{index:05d}"
    video_path, gpx_path = (folder / _path(clip_id, kind) for kind in ("mp4", "gpx"))
    fixes = _fixes(clip_id, latlon_T2[:: flights.fps])
    gpx = track_files.gpx(fixes.rename(columns={"clip_id": "clip"}), BEGAN)
    if not (video_path.exists() and gpx_path.exists() and gpx_path.read_text("utf-8") == gpx):
        gpx_path.unlink(missing_ok=True)
        seen = camera.weather(rng, num_frames)
        frames = camera.render(latlon_T2, heading_T, seen, rng, tilt_deg=flights.tilt_deg)
        encoding.write(video_path, frames, float(flights.fps))
        stage.write_text(gpx_path, gpx)
    return _Clip(clip_id, latlon_T2, stage.digest(video_path))


def _path(clip_id: str, kind: str) -> str:
    return f"videos/{clip_id}.{kind}"


def _fixes(clip_id: str, latlon_T2: Floats) -> pd.DataFrame:
    """A row a fix; there is one a second, to a centimetre, as receivers say it."""
    latlon_T2 = latlon_T2.round(DECIMALS)
    return pd.DataFrame(
        {
            "clip_id": clip_id,
            "time_s": np.arange(len(latlon_T2), dtype=float),
            "lat": latlon_T2[:, 0],
            "lon": latlon_T2[:, 1],
            "altitude_m": camera.ALTITUDE_KM * 1000.0,
            "accuracy_m": 0.0,
            "dop": np.nan,
            "fix_type": "3d",
            "fix_source": "simulated",
            "status": "measured",
        }
    )


def _row(source: str, clip: _Clip) -> dict[str, Any]:
    num_frames, fps = len(clip.latlon_T2), camera.FLIGHTS[source].fps
    return {
        "clip_id": clip.clip_id,
        "dataset": source,
        "video_path": _path(clip.clip_id, "mp4"),
        "kind": "video",
        "num_frames": num_frames,
        "duration_s": num_frames / fps,
        "fps": float(fps),
        "width": camera.FRAME_SIZE,
        "height": camera.FRAME_SIZE,
        "codec": "h264",
        "mode": "flyover",
        "licence": LICENCE,
        "content_md5": clip.content_md5,
    }
