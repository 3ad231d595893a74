"""Feature extraction against its limit: the same encoders' forward passes on ready pictures.

Extraction is all of it: decoding videos, resizing, encoding, writing shards. The limit is the
encoders alone, on batches of the same size that are already resized and normalised. Both take turns
in one process. Run as `python -m benchmarks.features`; reads the workspace's Flyover clips, or
renders some if there are none.

Belongs here: this one measurement. Does not belong here: what is measured
(vidtag_ml/features/extraction.py).
"""

import functools
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.encoders.frames import FrameEncoder
from vidtag_ml.features import extraction
from vidtag_ml.ingest.flyover import dataset as flyover_dataset
from vidtag_ml.media import video

NUM_CLIPS = 200
ROUNDS = 3
LEAST_RATIO = 0.9

Batches = dict[str, list[Tensor]]


def dataset(folder: Path, settings: config.Clips, scratch: Path) -> tuple[Tables, Path]:
    """Tables of `NUM_CLIPS` clips and their folder: of `folder` if it is one, else rendered."""
    if not (folder / "clips.parquet").is_file():
        folder = scratch / "flyover"
        counts = {"num_train": NUM_CLIPS - 20, "num_val": 10, "num_test": 10}
        flyover_dataset.write(replace(settings, **counts), folder)
    tables = clip_tables.read(folder)
    return replace(tables, clips=tables.clips.head(NUM_CLIPS)), folder


@torch.inference_mode()
def ready_batches(
    tables: Tables, folder: Path, encoders: dict[str, FrameEncoder], settings: config.Features
) -> Batches:
    """Preprocessed batches of all frames, as each encoder sees them."""
    frames = []
    for name in tables.clips["video_path"]:
        time_s = video.sample_times(folder / name, settings.frames_per_second)
        frames.append(video.frames_at(folder / name, time_s)[0])
    pictures = torch.from_numpy(np.concatenate(frames)).split(settings.batch_size)
    return {
        name: [
            encoder.preprocess(part.to(encoder.mean_C11.device)).contiguous(
                memory_format=torch.channels_last
            )
            for part in pictures
        ]
        for name, encoder in encoders.items()
    }


@torch.inference_mode()
def forward_s(encoders: dict[str, FrameEncoder], batches: Batches) -> float:
    """Seconds of the encoders' forward passes."""
    device = next(iter(encoders.values())).mean_C11.device.type
    start = time.perf_counter()
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        for parts in zip(*batches.values(), strict=True):
            outputs = [e(part) for e, part in zip(encoders.values(), parts, strict=True)]
            torch.cat(outputs, 1).cpu()
    return time.perf_counter() - start


def extraction_s(
    tables: Tables, folder: Path, encoders: dict[str, FrameEncoder], settings: config.Features
) -> float:
    """Seconds of a whole extraction into an empty store."""
    with tempfile.TemporaryDirectory() as store:
        start = time.perf_counter()
        extraction.extract(tables, folder, encoders, settings, Path(store))
        return time.perf_counter() - start


def main() -> int:
    """Prints frames a second of both and their ratio; 1 if it is below the bar."""
    params = config.load(Path("params.yaml"))
    settings = replace(params.features, views="whole")
    with tempfile.TemporaryDirectory() as scratch:
        tables, folder = dataset(Path("data/flyover"), params.clips, Path(scratch))
        encoders = extraction.load_encoders(settings, Path(settings.encoders_dir))
        batches = ready_batches(tables, folder, encoders, settings)
        num = sum(len(part) for part in next(iter(batches.values())))
        rounds = []
        for _ in range(ROUNDS + 1):
            limit = forward_s(encoders, batches)
            rounds.append((limit, extraction_s(tables, folder, encoders, settings)))
    rounds = rounds[1:]
    limit, whole = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(limit / whole for limit, whole in rounds)
    say = functools.partial(Console().print, soft_wrap=True)
    say(f"{num} frames of {len(tables.clips)} clips, median of {ROUNDS} rounds")
    say(f"limit (forward passes): {limit:.1f} s, {num / limit:.0f} frames/s")
    say(f"extraction: {whole:.1f} s, {num / whole:.0f} frames/s")
    say(f"ratio: {ratio:.3f} (bar: at least {LEAST_RATIO})")
    return int(ratio < LEAST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
