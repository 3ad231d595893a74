"""Frames become features, once: a store of the frozen encoders' outputs, keyed by clip content.

The store is a folder of safetensors shards and an index. A shard holds, for each clip content, the
features of its frames and their times; the index says which content each clip has. Clips whose
content is there are never decoded again: an extraction that was killed goes on at the clip where it
stopped, because finished clips wait for their shard on disk, in parts.

Belongs here: the store, batching frames of many clips. Does not belong here: decoding
(pieces.py, video.py), squares of a picture (views.py), encoders (models/backbones.py), choosing
frames for training (dataset.py).
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
from dataclasses import dataclass, field, replace
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from vidtag_ml import pieces, stage, views
from vidtag_ml.clips import Tables
from vidtag_ml.config import Features
from vidtag_ml.models import backbones
from vidtag_ml.models.backbones import FrameEncoder
from vidtag_ml.pieces import PIECE_FRAMES, Piece
from vidtag_ml.views import Views

SHARD_FRAMES = 1024
"""A shard is closed when it holds this many frames."""
PART_S = 1.0
"""Finished clips are written at most this much later, as a part of the shard that is still open."""
_INDEX = "index.json"


@dataclass(frozen=True)
class ClipFeatures:
    """Features in float16 of a clip's frames, and their times (T,) from the first frame."""

    stored: Tensor
    """(T, D) of one view, (T, V, D) of several."""
    time_s: NDArray[np.float64]

    @property
    def features_TVD(self) -> Tensor:  # noqa: N802
        """Features (T, V, D) of all views."""
        return self.stored[:, None] if self.stored.ndim == 2 else self.stored

    @property
    def features_TD(self) -> Tensor:  # noqa: N802
        """Features (T, D) of the first view, which training reads."""
        return self.features_TVD[:, 0]


@dataclass(frozen=True)
class _Clip:
    """A clip content with all its features."""

    content: str
    time_s: NDArray[np.float64]
    features: Tensor


def load_encoders(config: Features, encoders_dir: Path) -> dict[str, FrameEncoder]:
    """The configured encoders in their order, frozen, on the accelerator if there is one.

    Raises:
        ValueError: an encoder has no weights in `encoders_dir`.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = {}
    for name in config.encoders:
        encoder = backbones.load(encoders_dir, name).to(device)
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

    Raises:
        VideoError: a video cannot be decoded; says which.
        ValueError: an encoder's output does not fit into float16; says which.
    """
    store_folder.mkdir(parents=True, exist_ok=True)
    shard = _OpenShard.resumed(store_folder)
    clips = tables.clips.drop_duplicates("content_md5")
    clips = clips[~clips["content_md5"].isin([*_shards(store_folder), *shard.clips])]
    done = 0
    decoded = pieces.of_clips(clips, tables, dataset_folder, config.frames_per_second)
    try:
        for finished in _encoded(decoded, encoders, config.batch_size, config.views):
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


@torch.inference_mode()
def _encoded(
    decoded: Iterator[Piece],
    encoders: Mapping[str, FrameEncoder],
    batch_size: int,
    seen: Views,
) -> Iterator[list[_Clip]]:
    """After each batch the clips that it finished, which may be none.

    The encoders see full batches, however short the clips.
    """
    waiting: deque[Piece] = deque()

    def noted() -> Iterator[dict[int, Tensor]]:
        for piece in decoded:
            waiting.append(piece)
            yield _squares(encoders, piece.frames_THW3, seen)

    rows = torch.zeros(0)
    parts: list[tuple[Piece, Tensor]] = []
    for output in _outputs(encoders, _batches(noted(), batch_size)):
        features = _float16(output, encoders)
        rows = torch.cat([rows, features]) if len(rows) else features
        finished = []
        while waiting and len(rows) >= (num := len(waiting[0].time_s) * views.NUM[seen]):
            parts.append((waiting.popleft(), rows[:num]))
            rows = rows[num:]
            if parts[-1][0].last:
                finished.append(_whole(parts, views.NUM[seen]))
                parts = []
        yield finished


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


def _whole(parts: Sequence[tuple[Piece, Tensor]], num_views: int) -> _Clip:
    time_s = np.concatenate([piece.time_s for piece, _ in parts])
    features = torch.cat([rows for _, rows in parts])
    if num_views > 1:
        features = features.view(len(time_s), num_views, -1)
    return _Clip(parts[0][0].content, time_s, features)


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

    def add(self, clip: _Clip) -> None:
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
    stage.write_text(folder / _INDEX, json.dumps(index, indent=1) + "\n")


@dataclass(frozen=True)
class FeatureStore:
    """A finished store, read clip by clip; shards stay on disk until they are asked for."""

    folder: Path
    """Where the shards are."""
    widths: Mapping[str, int]
    """Encoder name -> number of its features, in the order in which they are put side by side."""
    views: Views
    """What of a frame has features."""
    clips: Mapping[str, tuple[str, str]]
    """Clip id -> content and the shard that holds it."""
    columns: tuple[slice, ...]
    """Where the encoders' features lie in the shards, in the order of `widths`."""

    @classmethod
    def open(cls, folder: Path) -> "FeatureStore":
        """The store in `folder`.

        Raises:
            ValueError: there is no finished store.
        """
        try:
            index = json.loads((folder / _INDEX).read_text())
        except FileNotFoundError:
            raise ValueError(f"{folder}: no finished features; run `vidtag features`") from None
        clips = {clip: (content, shard) for clip, (content, shard) in index["clips"].items()}
        ends = np.cumsum([*index["widths"].values()]).tolist()
        columns = tuple(slice(*edges) for edges in pairwise([0, *ends]))
        return cls(folder, index["widths"], index.get("views", "whole"), clips, columns)

    def select(self, encoders: Sequence[str]) -> "FeatureStore":
        """This store with only the features of some encoders, in the order given.

        Raises:
            ValueError: an encoder is not in the store.
        """
        column_of = dict(zip(self.widths, self.columns, strict=True))
        if absent := [name for name in encoders if name not in column_of]:
            held = ", ".join(column_of)
            raise ValueError(f"{self.folder}: no features of encoder {absent[0]!r}; it has {held}")
        return replace(
            self,
            widths={name: self.widths[name] for name in encoders},
            columns=tuple(column_of[name] for name in encoders),
        )

    @property
    def num_features(self) -> int:
        """Width of a feature vector: all encoders side by side."""
        return sum(self.widths.values())

    def clip(self, clip_id: str) -> ClipFeatures:
        """The features of one clip.

        Raises:
            ValueError: the clip is not in the store.
        """
        if clip_id not in self.clips:
            raise ValueError(
                f"{self.folder}: no features of clip {clip_id!r}; run `vidtag features`"
            )
        content, name = self.clips[clip_id]
        with safe_open(self.folder / name, "pt") as shard:
            time_s = shard.get_tensor(f"{content}.time_s").numpy()
            stored = shard.get_tensor(f"{content}.features")
        return ClipFeatures(torch.cat([stored[..., k] for k in self.columns], -1), time_s)
