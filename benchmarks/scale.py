"""What a million clips and ten million gallery points cost, stage by stage (docs/scale.md).

`python -m benchmarks.scale` prints the page's table from `RATES`, `PLAN` and `PRICES` below: edit
these to compute another. `python -m benchmarks.scale measure` measures anew what this machine can
tell, in seconds of one core, which a busy machine changes little.

Belongs here: this one computation, and the measurements behind it. Does not belong here: what is
measured (vidtag_ml).
"""

import functools
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import sampling
from vidtag_ml import config
from vidtag_ml.encoders import frames
from vidtag_ml.encoders.location import LocationEncoder
from vidtag_ml.media import video

GB, HOUR_S = 1e9, 3600.0


@dataclass(frozen=True)
class Rates:
    """What one thing takes; docs/scale.md says where each number is from."""

    hash_core_s: float
    """A gigabyte of video, of which the digest is taken."""
    probe_core_s: float
    """A video, of which is read how many frames it has and when they are shown."""
    check_core_s: float
    """A clip with its fixes in the checks of the tables."""
    decode_core_s: float
    """A frame of a 720p video of which one a second is wanted."""
    encode_flop: float
    """A frame through both encoders."""
    point_flop: float
    """A gallery point through the location encoder."""
    train_clips_per_gpu_s: float
    """Clips of 16 frames that a training sees, from cached features."""
    viterbi_core_s: float
    """A frame in the decoding of its track."""


@dataclass(frozen=True)
class Plan:
    """What is to be done, and on what."""

    clips: int = 1_000_000
    points: int = 10_000_000
    clip_s: float = 20.0
    frames_per_second: float = 1.0
    clip_mb: float = 12.5
    """720p at 5 Mbit/s."""
    features: int = 1792
    """Numbers of a frame, two bytes each."""
    embedding: int = 512
    """Numbers of a gallery point, two bytes each."""
    epochs: tuple[int, int] = (8, 2)
    """Of Phase I and Phase II."""
    tested: float = 0.1
    """Part of the clips on which the model is evaluated."""
    gpus: int = 8
    cores_per_gpu: int = 16
    gpu_flop_per_s: float = 312e12 * 0.4
    """What is reached of an A100's dense bfloat16."""
    storage_gb_per_s: float = 2.0
    """At which all machines together read."""

    @property
    def frames(self) -> float:
        """Of all clips."""
        return self.clips * self.clip_s * self.frames_per_second


@dataclass(frozen=True)
class Prices:
    """In US dollars; assumptions of 2026-11-30."""

    gpu_hour: float = 2.00
    """With the cores and memory beside it."""
    core_hour: float = 0.04
    """Of machines without GPUs."""
    gb_month: float = 0.023
    """Of object storage."""


@dataclass(frozen=True)
class Stage:
    """What a stage takes."""

    name: str
    core_hours: float = 0.0
    gpu_hours: float = 0.0
    read_gb: float = 0.0
    """What it reads from storage."""
    kept_gb: float = 0.0
    """What it leaves there; ingest counts the clips."""

    alone: bool = False
    """Whether one process makes it, with one GPU if it uses any, however many there are."""

    def limits(self, plan: Plan) -> dict[str, float]:
        """Hours that it takes at least, by what it needs them for."""
        gpus = 1 if self.alone else plan.gpus
        cores = 1 if self.alone and not self.gpu_hours else gpus * plan.cores_per_gpu
        return {
            "cores": self.core_hours / cores,
            "GPUs": self.gpu_hours / gpus,
            "storage": self.read_gb / plan.storage_gb_per_s / HOUR_S,
        }

    def hours(self, plan: Plan) -> float:
        """Hours on the plan's machines; cores, GPUs and storage are at work side by side."""
        return max(self.limits(plan).values())

    def usd(self, plan: Plan, prices: Prices) -> float:
        """What its machines cost while it works; of a machine without GPUs, a core."""
        if not self.gpu_hours:
            return self.hours(plan) * prices.core_hour
        return self.hours(plan) * (1 if self.alone else plan.gpus) * prices.gpu_hour


RATES = Rates(
    hash_core_s=1.49,
    probe_core_s=0.0142,
    check_core_s=10.6 / 100_000,
    decode_core_s=0.0616,
    encode_flop=162_025_537_536 + 162_023_964_672,
    point_flop=18_877_440,
    train_clips_per_gpu_s=16_588 * 600 / (2.75 * HOUR_S),
    viterbi_core_s=0.3e-3,
)


def stages(plan: Plan, rates: Rates) -> list[Stage]:
    """All stages, in their order."""
    encode_s = rates.encode_flop / plan.gpu_flop_per_s
    search_s = 2 * plan.points * plan.embedding / plan.gpu_flop_per_s
    ingest_s = rates.hash_core_s * plan.clip_mb / 1000 + rates.probe_core_s + rates.check_core_s
    first, second = (plan.clips * epochs / rates.train_clips_per_gpu_s for epochs in plan.epochs)
    decoded = plan.frames * rates.decode_core_s / HOUR_S
    encoded = plan.frames * encode_s / HOUR_S
    tested, tracks = plan.frames * plan.tested, plan.frames * rates.viterbi_core_s / HOUR_S
    searched = plan.frames * search_s / HOUR_S
    clips_gb = plan.clips * plan.clip_mb / 1000
    features_gb = plan.frames * plan.features * 2 / GB
    points_gb = plan.points * plan.embedding * 2 / GB
    return [
        Stage("ingest", plan.clips * ingest_s / HOUR_S, 0.0, clips_gb, clips_gb, alone=True),
        Stage("features", decoded, encoded, clips_gb, features_gb),
        Stage(
            "gallery, embedded",
            gpu_hours=plan.points * rates.point_flop / plan.gpu_flop_per_s / HOUR_S,
            kept_gb=points_gb,
            alone=True,
        ),
        Stage("Phase I", gpu_hours=first / HOUR_S, read_gb=features_gb),
        Stage("Phase II", gpu_hours=second / HOUR_S, read_gb=features_gb + points_gb),
        Stage(
            f"evaluation on {plan.tested:.0%} of the clips",
            tested * rates.viterbi_core_s / HOUR_S,
            tested * search_s / HOUR_S,
            plan.tested * features_gb + points_gb,
            alone=True,
        ),
        Stage("locating as many clips", decoded + tracks, encoded + searched, clips_gb),
    ]


HEAD = "Stage", "core h", "GPU h", "hours", "limited by", "GB read", "GB kept", "USD"


def table(plan: Plan, rates: Rates, prices: Prices) -> str:
    """The stages as a table in Markdown, with the sum of all but the last, which comes later."""
    each = stages(plan, rates)
    rows = [_cells(stage, plan, prices) for stage in each]
    *made, _ = each
    total = (
        "**all but the last**",
        _number(sum(stage.core_hours for stage in made)),
        _number(sum(stage.gpu_hours for stage in made)),
        _number(sum(stage.hours(plan) for stage in made)),
        *("", ""),
        _number(sum(stage.kept_gb for stage in made)),
        _number(sum(stage.usd(plan, prices) for stage in made)),
    )
    lines = [HEAD, ("---",) * len(HEAD), *rows, total]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cells(stage: Stage, plan: Plan, prices: Prices) -> tuple[str, ...]:
    limits = stage.limits(plan)
    return (
        stage.name,
        _number(stage.core_hours),
        _number(stage.gpu_hours),
        _number(stage.hours(plan)),
        max(limits, key=lambda name: limits[name]),
        _number(stage.read_gb),
        _number(stage.kept_gb),
        _number(stage.usd(plan, prices)),
    )


def _number(value: float) -> str:
    """Two digits that count, more before the point; nothing for nothing."""
    if value == 0:
        return ""
    if value < 0.01:
        return "< 0.01"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def monthly_usd(plan: Plan, rates: Rates, prices: Prices) -> float:
    """What keeping everything costs a month."""
    return sum(stage.kept_gb for stage in stages(plan, rates)) * prices.gb_month


def measure() -> dict[str, float]:
    """Those of the rates that this machine can tell."""
    spec = frames.PAPER_SPECS
    return {
        **_of_videos(),
        "hash_core_s": _hash_core_s(),
        "encode_flop": sum(_encode_flop(spec[n]) for n in ("clip_vit_l14", "dinov2_vit_l14")),
        "point_flop": _point_flop(),
    }


def _hash_core_s() -> float:
    block = np.random.default_rng(0).bytes(1 << 26)
    md5 = functools.partial(hashlib.md5, block, usedforsecurity=False)
    return min(_core_s(md5) for _ in range(5)) / (len(block) / GB)


def _of_videos() -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "video.mp4"
        sampling.write(path, 60, int(PLAN.clip_mb * 8e6 / PLAN.clip_s))
        _say(f"{path.stat().st_size * 8 / 1e6 / sampling.SECONDS:.1f} Mbit/s")
        time_s = video.sample_times(path, 1.0)

        def decode() -> None:
            for _ in video.batches_at(path, time_s, 16):
                pass

        def probe() -> None:
            path.touch()  # else the index is known
            video.sample_times(path, 1.0)

        decoded = min(_core_s(decode) for _ in range(3)) / len(time_s)
        probed = min(_core_s(probe) for _ in range(5)) * PLAN.clip_s / sampling.SECONDS
        return {"decode_core_s": decoded, "probe_core_s": probed}


def _encode_flop(spec: frames.EncoderSpec) -> float:
    with torch.device("meta"):
        encoder = frames.FrameEncoder(spec).eval()
        picture = torch.empty(1, 3, spec.image_size, spec.image_size)
    return _flop(lambda: encoder(picture))


def _point_flop() -> float:
    sizes = config.load(Path(__file__).parents[1] / "params" / "paper_msls.yaml").model
    encoder = LocationEncoder(sizes.location, sizes.embed_dim).eval()
    return _flop(lambda: encoder(torch.zeros(1, 2)))


def _flop(work: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        work()
    return float(counter.get_total_flops())


def _core_s(work: Callable[[], object]) -> float:
    """Seconds of cores that work takes, of all threads together."""
    before = time.process_time()
    work()
    return time.process_time() - before


PLAN, PRICES = Plan(), Prices()


def main() -> None:
    """Prints the table, or what was measured."""
    if sys.argv[1:] == ["measure"]:
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        lines = [f"{name} = {value:.6g}" for name, value in measure().items()]
        text = "\n".join([*lines, f"load {load}, {os.cpu_count()} cores"])
    else:
        kept = monthly_usd(PLAN, RATES, PRICES)
        text = f"{table(PLAN, RATES, PRICES)}\nKept: {kept:,.0f} USD a month"
    _say(text)


def _say(text: str) -> None:
    Console().print(text, soft_wrap=True, markup=False, highlight=False)


if __name__ == "__main__":
    main()
