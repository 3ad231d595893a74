"""Frames become features, once: a store of the frozen encoders' outputs, keyed by clip content.

The store is a folder of safetensors shards and an index. A shard holds, for each clip content, the
features of its frames and their times; the index says which content each clip has. Clips whose
content is there are never decoded again: an extraction that was killed goes on at the clip where it
stopped, because finished clips wait for their shard on disk, in parts.

Belongs here: the store, batching frames of many clips. Does not belong here: decoding
(decoding.py, media/video.py), squares of a picture (media/views.py), encoders (encoders/frames.py),
choosing frames for training (batches.py).
Shape legend: T frames, V views of a frame, N pictures, H W pixels, S pixels of a side, D features,
3 = red, green, blue.
"""

import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from vidtag_ml.config import Features
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.encoders.frames import FrameEncoder
from vidtag_ml.features import decoding
from vidtag_ml.features.decoding import PIECE_FRAMES, Piece
from vidtag_ml.features.store import INDEX
from vidtag_ml.media import views
from vidtag_ml.media.views import Views
from vidtag_ml.workflow import accelerator, stage

SHARD_FRAMES = 1024
"""A shard is closed when it holds this many frames."""
PART_S = 1.0
"""Finished clips are written at most this much later, as a part of the shard that is still open."""


@dataclass(frozen=True)
class Clip:
    """A clip content with all its features."""

    content: str
    time_s: NDArray[np.float64]
    features: Tensor


def load_encoders(config: Features, encoders_dir: Path) -> dict[str, FrameEncoder]:
    """The configured encoders in their order, frozen, on the accelerator if there is one.

    Raises:
        ValueError: an encoder has no weights in `encoders_dir`.
    """
    device = accelerator.device()
    loaded = {}
    for name in config.encoders:
        encoder = frame_encoders.load(encoders_dir, name).to(device)
        loaded[name] = encoder.to(memory_format=torch.channels_last)
    return loaded


def encode(
    encoders: Mapping[str, FrameEncoder],
    frames_THW3: NDArray[np.uint8],
    batch_size: int,
    seen: Views = "whole",
) -> Tensor:
    """Features in float16 of one video's frames, the encoders' outputs side by side.

    (T, D) of one view, (T, V, D) of several.

    Raises:
        ValueError: an encoder's output does not fit into float16.
    """
    num, step, time_s = len(frames_THW3), PIECE_FRAMES, np.zeros(len(frames_THW3))
    if next(iter(encoders.values())).mean_C11.device.type == "cpu":  # a batch for each core
        share = num * views.NUM[seen] / torch.get_num_threads()
        batch_size = max(1, min(batch_size, math.ceil(share)))
    cut = (
        Piece("", frames_THW3[k : k + step], time_s[k : k + step], k + step >= num)
        for k in range(0, num, step)
    )
    (clip,) = chain.from_iterable(_encoded(cut, encoders, batch_size, seen))
    return clip.features


def extract(
    tables: Tables,
    dataset_folder: Path,
    encoders: Mapping[str, FrameEncoder],
    config: Features,
    store_folder: Path,
    progress: Callable[[int, int], None] | None = None,
    elsewhere: Callable[[pd.DataFrame], Iterator[list[Clip]]] | None = None,
) -> int:
    """Fills the store with the features of all clips; returns how many clips had to be decoded.

    One decoding pass serves all encoders and runs ahead in threads. Restartable, also after a kill:
    what was finished a second ago stays; shards are never half written.

    Args:
        tables: the clips; `content_md5` is their identity in the store.
        dataset_folder: folder that `video_path` and `file` are relative to.
        encoders: name -> encoder, in the order in which features are put side by side.
        config: sampling rate, views and batch size.
        store_folder: folder of this store; other encoders, views or another rate need another one.
        progress: called with the clips done and the clips to do.
        elsewhere: encodes clips in place of this process, to the same bytes.

    Raises:
        VideoError: a video cannot be decoded; says which.
        ValueError: an encoder's output does not fit into float16; says which.
    """
    store_folder.mkdir(parents=True, exist_ok=True)
    shard = _OpenShard.resumed(store_folder)
    clips = tables.clips.drop_duplicates("content_md5")
    clips = clips[~clips["content_md5"].isin([*_shards(store_folder), *shard.clips])]
    done = 0
    if elsewhere:
        encoded = elsewhere(clips)
    else:
        decoded = decoding.of_clips(clips, tables, dataset_folder, config.frames_per_second)
        encoded = _encoded(decoded, encoders, config.batch_size, config.views)
    try:
        for finished in encoded:
            for clip in finished:
                shard.add(clip)
                done += 1
                if progress:
                    progress(done, len(clips))
            shard.keep()
    finally:
        shard.close()
    _write_index(store_folder, tables.clips, encoders, config.views)
    return done


def _encoded(
    decoded: Iterator[Piece],
    encoders: Mapping[str, FrameEncoder],
    batch_size: int,
    seen: Views,
) -> Iterator[list[Clip]]:
    """After each batch the clips that it finished, which may be none.

    The encoders see full batches, however short the clips.
    """
    waiting: deque[Piece] = deque()

    def noted() -> Iterator[Piece]:
        for piece in decoded:
            waiting.append(piece)
            yield piece

    rows = torch.zeros(0)
    parts: list[tuple[Piece, Tensor]] = []
    for features in batches_of(noted(), encoders, batch_size, seen):
        rows = torch.cat([rows, features]) if len(rows) else features
        finished = []
        while waiting and len(rows) >= (num := len(waiting[0].time_s) * views.NUM[seen]):
            parts.append((waiting.popleft(), rows[:num]))
            rows = rows[num:]
            if parts[-1][0].last:
                finished.append(_whole(parts, views.NUM[seen]))
                parts = []
        yield finished


@torch.inference_mode()
def batches_of(
    decoded: Iterator[Piece],
    encoders: Mapping[str, FrameEncoder],
    batch_size: int,
    seen: Views,
) -> Iterator[Tensor]:
    """Features (N, D) in float16 of the frames' pictures, view by view, in full batches."""
    squares = (_squares(encoders, piece.frames_THW3, seen) for piece in decoded)
    for output in _outputs(encoders, _batches(squares, batch_size)):
        yield _float16(output, encoders)


def _squares(
    encoders: Mapping[str, FrameEncoder], frames_THW3: NDArray[np.uint8], seen: Views
) -> dict[int, Tensor]:
    """Side -> squares (T x V, 3, S, S) of frames; encoders of one size share them."""
    device = next(iter(encoders.values())).mean_C11.device
    frames = torch.from_numpy(np.ascontiguousarray(frames_THW3))
    if device.type == "cuda":
        frames = frames.pin_memory().to(device, non_blocking=True)
    sizes = {encoder.spec.image_size for encoder in encoders.values()}
    return {size: views.squares(frames, size, seen).flatten(0, 1) for size in sizes}


def _batches(parts: Iterator[dict[int, Tensor]], batch_size: int) -> Iterator[dict[int, Tensor]]:
    """The same squares in batches of one length; the last may be shorter."""
    held: list[dict[int, Tensor]] = []
    for part in chain(parts, [None]):
        held += [] if part is None else [part]
        num = sum(len(next(iter(squares.values()))) for squares in held)
        while num >= (batch_size if part is not None else 1):
            joined = {size: torch.cat([squares[size] for squares in held]) for size in held[0]}
            yield {size: squares[:batch_size] for size, squares in joined.items()}
            held = [{size: squares[batch_size:] for size, squares in joined.items()}]
            num -= batch_size


def _outputs(
    encoders: Mapping[str, FrameEncoder], batches: Iterator[dict[int, Tensor]]
) -> Iterator[Tensor]:
    """Features (N, D) of each batch in float32 and main memory, in order.

    Each core of a CPU has a batch of its own, which is faster than sharing one; an accelerator
    already has its next batch when one is fetched. An error waits for the batches before it.
    """
    device, num_threads = next(iter(encoders.values())).mean_C11.device, torch.get_num_threads()
    num_ahead = num_threads if device.type == "cpu" else 2
    try:
        torch.set_num_threads(1)  # of this thread, which cuts squares; threads that wait spin
        with ThreadPoolExecutor(
            num_ahead, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            begun: deque[Future[Tensor]] = deque()
            error, ended = None, False
            while begun or not ended:
                try:
                    batch = next(batches, None)
                except ValueError as failure:
                    batch, error = None, failure
                ended = batch is None
                if batch is not None:
                    begun.append(pool.submit(_forward, encoders, batch))
                if begun and (ended or len(begun) > num_ahead):
                    yield begun.popleft().result()
            if error:
                raise error
    finally:
        torch.set_num_threads(num_threads)


@torch.inference_mode()
def _forward(encoders: Mapping[str, FrameEncoder], squares: Mapping[int, Tensor]) -> Tensor:
    """Features (N, D) of a batch in float32 and main memory."""
    device = next(iter(squares.values())).device.type
    outputs = []
    for encoder in encoders.values():
        pictures = encoder.normalise(squares[encoder.spec.image_size])
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            outputs.append(encoder(pictures).float())
    return torch.cat(outputs, 1).cpu()


def _float16(features_ND: Tensor, encoders: Mapping[str, FrameEncoder]) -> Tensor:
    limit = torch.finfo(torch.float16).max
    if not (features_ND.abs() <= limit).all():
        widths = [encoder.spec.dim for encoder in encoders.values()]
        for name, part in zip(encoders, torch.split(features_ND, widths, 1), strict=True):
            if not (part.abs() <= limit).all():
                worst = part.abs().max()
                raise ValueError(f"encoder {name!r} gave {worst:g}; float16 ends at {limit:g}")
    return features_ND.half()


def _whole(parts: Sequence[tuple[Piece, Tensor]], num_views: int) -> Clip:
    time_s = np.concatenate([piece.time_s for piece, _ in parts])
    return clip_of(parts[0][0].content, time_s, torch.cat([rows for _, rows in parts]), num_views)


def clip_of(content: str, time_s: NDArray[np.float64], rows: Tensor, num_views: int) -> Clip:
    """A clip content whose pictures, view by view, have these features."""
    return Clip(content, time_s, rows.view(len(time_s), num_views, -1) if num_views > 1 else rows)


@dataclass
class _OpenShard:
    """The shard that is being filled; what is in it lies on disk in parts, one for each write."""

    folder: Path
    clips: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """Content -> name -> tensor."""
    kept: int = 0
    """How many of the clips are in parts."""
    kept_s: float = field(default_factory=time.monotonic)
    """When the last part was written."""

    @classmethod
    def resumed(cls, folder: Path) -> "_OpenShard":
        """The shard that a killed extraction left open."""
        clips: dict[str, dict[str, Tensor]] = {}
        for path in sorted(folder.glob("part-*.safetensors")):
            for key, tensor in load_file(path).items():
                content, name = key.rsplit(".", 1)
                clips.setdefault(content, {})[name] = tensor
        return cls(folder, clips, len(clips))

    def add(self, clip: Clip) -> None:
        """Takes in a clip; closes the shard if that fills it."""
        tensors = {"features": clip.features, "time_s": torch.from_numpy(clip.time_s)}
        self.clips[clip.content] = tensors
        if sum(len(tensors["time_s"]) for tensors in self.clips.values()) >= SHARD_FRAMES:
            self.close()

    def keep(self) -> None:
        """Writes the clips that are not on disk yet, if the last part is `PART_S` old."""
        if self.kept < len(self.clips) and time.monotonic() - self.kept_s >= PART_S:
            _write("part", self.folder, dict(islice(self.clips.items(), self.kept, None)))
            self.kept, self.kept_s = len(self.clips), time.monotonic()

    def close(self) -> None:
        """Writes the shard, which then needs no parts."""
        if self.clips:
            _write("shard", self.folder, self.clips)
        for path in self.folder.glob("part-*.safetensors"):
            path.unlink()
        self.clips, self.kept, self.kept_s = {}, 0, time.monotonic()


def _write(kind: str, folder: Path, clips: Mapping[str, Mapping[str, Tensor]]) -> None:
    name = hashlib.md5(" ".join(clips).encode(), usedforsecurity=False).hexdigest()[:12]
    tensors = {
        f"{content}.{key}": tensor.contiguous()
        for content, of_clip in clips.items()
        for key, tensor in of_clip.items()
    }
    with stage.replacing(folder / f"{kind}-{name}.safetensors") as aside:
        save_file(tensors, aside)


def _shards(folder: Path) -> dict[str, str]:
    """Content -> name of the shard that holds it."""
    held = {}
    for path in sorted(folder.glob("shard-*.safetensors")):
        with safe_open(path, "pt") as shard:
            held.update({name.rsplit(".", 1)[0]: path.name for name in shard.keys()})  # noqa: SIM118
    return held


def _write_index(
    folder: Path, clips: pd.DataFrame, encoders: Mapping[str, FrameEncoder], seen: Views
) -> None:
    held = _shards(folder)
    pairs = zip(clips["clip_id"], clips["content_md5"], strict=True)
    index = {
        "widths": {name: encoder.spec.dim for name, encoder in encoders.items()},
        "views": seen,
        "clips": {clip: [content, held[content]] for clip, content in pairs},
    }
    stage.write_text(folder / INDEX, json.dumps(index, indent=1) + "\n")
