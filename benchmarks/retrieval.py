"""Exact search against a matrix product and top-k, and its memory over ten million mapped points.

The reference multiplies 16 queries with a million embeddings of width 512 in memory, in one go, and
takes the 32 best. The large search is in a process of its own, over a float16 file that is mapped.
Run as `python -m benchmarks.retrieval [POINTS]`; takes 1 kB of disk a point while it runs.

Belongs here: these measurements. Does not belong here: what is measured
(vidtag_ml/retrieval/index.py).
"""

import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.models.geoclip.network import GeoCLIP
from vidtag_ml.models.gps_retrieval import embedding as gallery_embedding
from vidtag_ml.models.gps_retrieval.network import AlignedModel
from vidtag_ml.retrieval import search

WIDTH, BATCH, K = 512, 16, 32
IN_MEMORY, MAPPED = 1_000_000, 10_000_000
ROUNDS = 7
MOST_RATIO, MOST_GB = 1.2, 4.0


def small_model() -> AlignedModel:
    """Embeds points in 512 numbers at little cost."""
    sizes = config.load(Path("params.yaml")).model
    location = config.Location(sigmas=(1.0, 16.0), num_frequencies=32, hidden=64)
    sizes = config.parse(
        config.Model,
        {**config.as_dict(sizes), "embed_dim": WIDTH, "location": config.as_dict(location)},
        "benchmark",
    )
    return GeoCLIP(sizes, {"clip": 8}).eval()


def exact_ratio() -> float:
    """Time of `search` over that of a plain product with top-k; prints both."""
    drawn = torch.Generator().manual_seed(0)
    gallery_GE = torch.nn.functional.normalize(torch.randn(IN_MEMORY, WIDTH, generator=drawn))
    queries_NE = torch.nn.functional.normalize(torch.randn(BATCH, WIDTH, generator=drawn))

    def plain() -> torch.Tensor:
        return (queries_NE @ gallery_GE.T).topk(K, 1).indices

    def ours() -> torch.Tensor:
        return search.search(queries_NE, gallery_GE, K)[1]

    assert torch.equal(plain(), ours())
    rounds = [(_seconds(plain), _seconds(ours)) for _ in range(ROUNDS)]
    plain_s, ours_s = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(ours / plain for plain, ours in rounds)
    limit_s = IN_MEMORY * WIDTH * 4 / _bytes_per_second(gallery_GE)
    _say(
        f"exact, {IN_MEMORY:,} x {WIDTH}, batch {BATCH}, best {K}: reading the gallery once "
        f"{limit_s * 1e3:.0f} ms, product and top-k {plain_s * 1e3:.0f} ms, search "
        f"{ours_s * 1e3:.0f} ms, ratio {ratio:.2f} (bar: at most {MOST_RATIO})"
    )
    return ratio


def _bytes_per_second(values: torch.Tensor) -> float:
    """At which memory is read by a sum."""
    return values.numel() * 4 / min(_seconds(values.sum) for _ in range(3))


def mapped(num_points: int, folder: Path) -> None:
    """Searches a mapped gallery; prints time and the most anonymous memory."""
    path, peak_gb, done = folder / "embeddings.safetensors", [0.0], threading.Event()
    start = time.perf_counter()
    gallery_GE = gallery_embedding.write(small_model(), sphere.equal_area_lattice(num_points), path)
    written_s = time.perf_counter() - start

    def watch() -> None:
        while not done.wait(0.05):
            peak_gb[0] = max(peak_gb[0], _anonymous_gb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    queries_NE = torch.randn(BATCH, WIDTH, generator=torch.Generator().manual_seed(0))
    taken_s = _seconds(lambda: search.search(queries_NE, gallery_GE, K))
    done.set()
    watcher.join()
    _say(
        f"mapped, {num_points:,} x {WIDTH} float16 ({path.stat().st_size / 1e9:.1f} GB): embedded "
        f"in {written_s:.0f} s, {BATCH} queries searched in {taken_s:.1f} s, at most "
        f"{peak_gb[0]:.2f} GB of anonymous memory (bar: at most {MOST_GB})"
    )
    if peak_gb[0] > MOST_GB:
        sys.exit(1)


def _anonymous_gb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024 / 1e9


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _say(text: str) -> None:
    Console().print(text, soft_wrap=True)


def main() -> int:
    """Runs both; 1 if a bar is missed."""
    num_points = int(sys.argv[1]) if len(sys.argv) > 1 else MAPPED
    with tempfile.TemporaryDirectory(dir=".") as folder:
        process = multiprocessing.get_context("spawn").Process(
            target=mapped, args=(num_points, Path(folder))
        )
        process.start()
        process.join()
    return int(exact_ratio() > MOST_RATIO or bool(process.exitcode))


if __name__ == "__main__":
    sys.exit(main())
