"""What decoding and encoding cost a frame.

Belongs here: timing in a process of its own, kept for the same encoders and clips. Does not belong
here: memory and processes in general (workflow/measuring.py).
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.workflow import code_key, layout, measuring, stage

if TYPE_CHECKING:
    import pandas as pd


def seconds_per_frame(
    root: Path, params: config.Params, encoders: tuple[str, ...], clips: "pd.DataFrame"
) -> dict[str, Any]:
    """Seconds that decoding and encoding take a frame, and the encoders' parameters.

    Timed once for the same encoders and clips, in a process of its own: a row's peak memory does
    not tell which row came first.
    """
    at = layout.of(root, params)
    settings = replace(params.features, encoders=encoders)
    weights = [root / settings.encoders_dir / f"{name}.safetensors" for name in encoders]
    videos = [at.dataset / path for path in clips.loc[clips["kind"] == "video", "video_path"]]
    key = {
        "features": config.as_dict(settings),
        "weights": [stage.digest(path) for path in weights],
        "videos": clips["content_md5"].tolist(),
        **code_key.of("benchmark_encoding"),
    }
    out = root / "out" / "benchmark" / "encoding" / f"{measuring.slug(' '.join(encoders))}.json"

    def build(aside: Path) -> None:
        measuring.in_a_process(_encode, settings, root / settings.encoders_dir, videos, aside)

    stage.make(out, key, build)
    timed: dict[str, Any] = json.loads(out.read_text())
    return timed


def _encode(settings: config.Features, folder: Path, videos: list[Path], out: Path) -> None:
    """Writes what `seconds_per_frame` says."""
    from vidtag_ml.features import extraction
    from vidtag_ml.media import video

    loaded = extraction.load_encoders(settings, folder)
    began, num_frames = time.perf_counter(), 0
    for file in videos:
        time_s = video.sample_times(file, settings.frames_per_second)
        for frames, _ in video.batches_at(file, time_s, settings.batch_size):
            extraction.encode(loaded, frames, settings.batch_size, settings.views)
            num_frames += len(frames)
    seconds = (time.perf_counter() - began) / num_frames if num_frames else float("nan")
    parameters = sum(p.numel() for e in loaded.values() for p in e.parameters())
    out.write_text(json.dumps({"seconds": seconds, "parameters": parameters}) + "\n")
