"""CPU time to take in own recordings at two sizes: photos of one folder, videos of many folders.

One walk of photos lies in one folder, a photo a second; of the videos, each with a GPX beside it,
20 lie in three folders. All are small, so that what is measured is what vidtag does for each, and
not decoding. Each size is taken in by a first run, which looks at everything, and by a second one,
which finds everything known.
Run as `python -m benchmarks.ingest_scale [PHOTOS [VIDEOS]]`; fails where four times as many take
more than `MOST` times as long.

Belongs here: this measurement, and the recordings for it. Does not belong here: memory
(ingest_memory.py), the rules of ingest (vidtag_ml/ingest).
"""

import datetime as dt
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image
from rich.console import Console

from vidtag_ml import config
from vidtag_ml.earth import track_files, tracks
from vidtag_ml.ingest.own import inspection
from vidtag_ml.ingest.own import report as ingest_report
from vidtag_ml.ingest.own import tables as own_tables
from vidtag_ml.media import encoding

NUM_PHOTOS, NUM_VIDEOS = 10_000, 2_000
FEWER = 4
"""The smaller size is this part of the larger."""
MOST = 5.0
"""Four times as many may take so many times as long; were anything quadratic, it would tend to
sixteen times."""
VIDEOS_IN_FOLDERS = 20 / 3
NUM_FRAMES = 8
NOON = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)
HOW = inspection.Intake(
    None, 0.0, 1.0, 2.0, {"walk": 10.0, "ride": 60.0, "car": 200.0, "photos": 1e3}
)
SETTINGS = config.Clips("recordings", None, 7, 8, 1, 1, 1, 16, 2.0, 0.0)


def make_photos(folder: Path, num: int) -> None:
    """Writes photos of one walk to the north, one a second; each of other pixels."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(num):
        picture = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        picture.save(folder / f"IMG_{k}.jpg", exif=_exif(48.3 + k * 1e-5, 2.3, k))


def _exif(lat: float, lon: float, second: int) -> Image.Exif:
    exif, clock = Image.Exif(), NOON + dt.timedelta(seconds=second)
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Maker", "Model"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"{clock:%Y:%m:%d %H:%M:%S}"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLatitude: (lat, 0.0, 0.0),
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: (lon, 0.0, 0.0),
        }
    )
    return exif


def make_videos(folder: Path, num: int) -> None:
    """Writes videos, each of other pictures, in many folders, each with its track; none is near."""
    second = np.arange(NUM_FRAMES, dtype=float)
    for k in range(num):
        path = folder / f"day {int(k / VIDEOS_IN_FOLDERS)}" / f"VID_{k}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(k)
        frames = rng.integers(0, 256, (NUM_FRAMES, 6, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
        encoding.write(path, frames, 1.0, 30)
        lat = -60.0 + 120.0 * k / num + second * 1e-5
        latlon = np.stack([lat, np.full(len(second), 2.3)], -1)
        began = NOON + dt.timedelta(hours=k)
        track = tracks.Track(path.stem, second, latlon, latlon, second, began)
        track_files.write_gpx(track, path.with_suffix(".gpx"))


def take_in(root: Path) -> int:
    """What `vidtag ingest` does with `root/recordings`; how many clips there are then."""
    dataset = root / "data" / "trip"
    outcome, whole = own_tables.ingest([str(root / "recordings")], dataset, HOW, SETTINGS)
    ingest_report.write(root / "data" / "quarantine", dataset, outcome, whole)
    with (root / "told.json").open("w") as told:
        told.writelines(f"{line}\n" for line in outcome.json_lines())
    return len(outcome.accepted)


def _seconds(make: Callable[[Path, int], None], num: int) -> tuple[float, float]:
    """Of all processes together, in a first and in a second run."""
    root = Path(tempfile.mkdtemp(dir=".")).resolve()
    try:
        make(root / "recordings", num)
        starts = [_spent_s()]
        for _ in range(2):
            assert take_in(root)
            starts.append(_spent_s())
    finally:
        shutil.rmtree(root)
    return starts[1] - starts[0], starts[2] - starts[1]


def _spent_s() -> float:
    """What this process and those that have ended for it have computed so far."""
    # Its workers count when it ends.
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, whose))


def main() -> int:
    """Measures both kinds at both sizes; 1 if either grows faster than it may."""
    asked = [int(text) for text in sys.argv[1:]]
    num_photos, num_videos = [*asked, *(NUM_PHOTOS, NUM_VIDEOS)[len(asked) :]]
    console, worst = Console(soft_wrap=True, highlight=False), 0.0
    for kind, make, num in (
        ("photos in one folder", make_photos, num_photos),
        ("videos in many folders", make_videos, num_videos),
    ):
        few, many = _seconds(make, num // FEWER), _seconds(make, num)
        for run, few_s, many_s in zip(("first", "second"), few, many, strict=True):
            ratio = many_s / few_s
            worst = max(worst, ratio)
            console.print(
                f"{num // FEWER:,} and {num:,} {kind}, {run} run: {few_s:.1f} s and "
                f"{many_s:.1f} s, x {ratio:.1f} (bar: x {MOST:g})"
            )
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
