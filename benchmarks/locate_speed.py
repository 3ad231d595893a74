"""What locating a frame takes against its encoders' bare forward; long videos, and many short ones.

Run as `python -m benchmarks.locate_speed VIDEO MODEL [MINUTES [SHORT]]`, MODEL a bundle of VidTAG:
tables of a frame's time, of VIDEO looped to MINUTES and to half of them (20), with the memory at
its peak, and of SHORT short ones (100), a second time when all are finished. A frame may take 1.1
times what the encoders alone take on squares that lie ready.

Belongs here: this measurement. Does not belong here: the start of the command (locate_start.py),
encoding datasets (features.py).
"""

import io
import itertools
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import torch
from rich.console import Console

from vidtag_ml.features import extraction
from vidtag_ml.models import answers, asked, bundle, registry
from vidtag_ml.models.answers import Wanted
from vidtag_ml.models.recording import Video
from vidtag_ml.models.vidtag import locator as vidtag_locator
from vidtag_ml.models.vidtag.locator import VidtagLocator
from vidtag_ml.workflow.progress import Batch

BAR, RUNS, MOST_FRAMES, HOURS = 1.1, 3, 64, 2
CONSOLE = Console(soft_wrap=True, highlight=False)


def main() -> int:
    """Prints what each takes; 1 if a frame takes more than the bar."""
    video, model = (Path(name).resolve() for name in sys.argv[1:3])
    minutes, short = (int(text) for text in (*sys.argv[3:], "20", "100")[:2])
    ratio = per_frame(video, VidtagLocator.load(model))
    with tempfile.TemporaryDirectory() as folder:
        for part in (minutes / 2, minutes):
            long = looped(video, Path(folder) / f"{part:g}.mp4", part * 60)
            alone(long_video, long, model, part)
        alone(many, video, model, short, Path(folder))
    return int(ratio > BAR)


def per_frame(path: Path, locator: VidtagLocator) -> float:
    """Ratio of a frame's time to that of the bare forward; prints both, and what is between."""
    seen, settings = Video(path), locator.settings
    time_s = seen.times(locator.rate(None))[:MOST_FRAMES]
    frames = next(seen.batches_at(time_s, len(time_s)))
    squares = extraction._squares(locator.encoders, frames, settings.views)

    share = -(-len(frames) // torch.get_num_threads())
    batches = [
        {size: part[k : k + share] for size, part in squares.items()}
        for k in range(0, len(frames), share)
    ]

    def bare() -> None:
        for _ in extraction._outputs(locator.encoders, iter(batches)):
            pass

    def decoded() -> None:
        for _ in seen.batches_at(time_s, settings.batch_size):
            pass

    def encoded() -> None:
        vidtag_locator.encoded(locator.encoders, settings, seen, time_s)

    took = {each.__name__: best(each) / len(frames) for each in (bare, decoded, encoded)}
    ratio = took["encoded"] / took["bare"]
    told = ", ".join(f"{name} {1e3 * each_s:.1f} ms" for name, each_s in took.items())
    CONSOLE.print(f"a frame of {path.name}: {told}; {ratio:.2f} x the bare forward (bar {BAR})")
    return ratio


def best(call: Callable[[], None]) -> float:
    """Seconds of the fastest of some calls."""
    took = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return min(took[1:])


def long_video(path: Path, model: Path, minutes: float) -> None:
    """Prints what a long video takes, and what so many hours would."""
    start = time.perf_counter()
    located(model, [path], path.parent / "long")
    took_s = time.perf_counter() - start
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    hours_s = took_s * HOURS * 60 / minutes
    CONSOLE.print(
        f"{minutes:g} minutes of video: {took_s:.1f} s, {peak_gb:.2f} GB at the peak; computed from"
        f" that, {HOURS} hours: {hours_s:.0f} s"
    )


def many(path: Path, model: Path, num: int, folder: Path) -> None:
    """Prints what many short videos take in one process, and again when all are finished."""
    videos = [shutil.copy(path, folder / f"short {k}.mp4") for k in range(num)]
    for kind in ("new", "finished before"):
        start = time.perf_counter()
        located(model, videos, folder / "many")
        took_s = time.perf_counter() - start
        CONSOLE.print(f"{num} videos, {kind}: {took_s:.1f} s, {1e3 * took_s / num:.0f} ms each")


def located(model: Path, videos: list[Path], out: Path) -> None:
    """Locates videos as the command does."""
    kept = bundle.Kept(model)
    card = kept.card()
    wanted = Wanted(out, anyway=True, go_on=len(videos) > 1)
    found = asked.find([str(video) for video in videos], out).asked
    names = asked.results(found, "track")
    silent = Batch([one.num_bytes for one in found], io.StringIO())
    rows = list(
        answers.answers(registry.of(card), registry.facts(card, kept), found, names, wanted, silent)
    )
    assert all("error" not in row for row in rows), rows[0]


def alone(call: Callable[..., None], *arguments: object) -> None:
    """Calls in a process of its own, so that the peak of memory is its own."""
    process = multiprocessing.get_context("spawn").Process(target=call, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0


def looped(path: Path, target: Path, length_s: float) -> Path:
    """A video's packets again and again, for so long; returns the target."""
    with av.open(str(target), "w") as out:
        stream, start = None, 0
        for _ in itertools.count():
            with av.open(str(path)) as source:
                given = source.streams.video[0]
                stream = stream or out.add_stream_from_template(given)
                end = start
                for packet in source.demux(given):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + start, packet.dts + start
                    end = max(end, packet.pts + (packet.duration or 1))
                    packet.stream = stream
                    out.mux(packet)
                start = end
                if start * given.time_base >= length_s:
                    return target
    raise AssertionError


if __name__ == "__main__":
    sys.exit(main())
