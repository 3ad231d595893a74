"""Frames become features, once: a store of the frozen encoders' outputs, keyed by clip content.

The store is a folder of safetensors shards and an index. A shard holds, for each clip content, the
features of its frames and their times; the index says which content each clip has. Clips whose
content is there are never decoded again, so an interrupted extraction goes on where it stopped.

Belongs here: the store, batching frames of many clips. Does not belong here: decoding
(video.py), encoders (models/backbones.py), choosing frames for training (dataset.py).
Shape legend: T frames, N pictures, H W pixels, D features, 3 = red, green, blue.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidtag_ml import stage, video
from vidtag_ml.clips import Tables
from vidtag_ml.config import Features
from vidtag_ml.models import backbones
from vidtag_ml.models.backbones import FrameEncoder

SHARD_FRAMES = 1024
"""A shard is closed when it holds this many frames."""
_INDEX = "index.json"


@dataclass(frozen=True)
class ClipFeatures:
    """Features (T, D) in float16 of a clip's frames, and their times (T,) from the first frame."""

    features_TD: Tensor
    time_s: NDArray[np.float64]


@dataclass(frozen=True)
class _Piece:
    """Consecutive frames of one clip content; `last` closes the content."""

    content: str
    frames_THW3: NDArray[np.uint8]
    time_s: NDArray[np.float64]
    last: bool


def load_encoders(config: Features, encoders_dir: Path) -> dict[str, FrameEncoder]:
    """The configured encoders in their order, frozen, on the accelerator if there is one.

    Raises:
        ValueError: an encoder has no weights in `encoders_dir`.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = {}
    for name in config.encoders:
        for path in (encoders_dir / f"{name}.json", encoders_dir / f"{name}.safetensors"):
            if not path.is_file():
                raise ValueError(
                    f"{path}: no such weights of encoder {name!r}; `vidtag weights fetch` gets them"
                )
        encoder = backbones.load(encoders_dir, name).to(device)
        loaded[name] = encoder.to(memory_format=torch.channels_last)
    return loaded


@torch.inference_mode()
def encode(
    encoders: Mapping[str, FrameEncoder], frames_THW3: NDArray[np.uint8], batch_size: int
) -> Tensor:
    """Features (T, D) in float16 of one video's frames; the encoders' outputs side by side."""
    pieces = (
        _Piece(
            "",
            frames_THW3[k : k + batch_size],
            np.zeros(len(frames_THW3[k : k + batch_size])),
            False,
        )
        for k in range(0, len(frames_THW3), batch_size)
    )
    return torch.cat([features for _, features in _encoded(pieces, encoders, batch_size)])


def extract(
    tables: Tables,
    dataset_folder: Path,
    encoders: Mapping[str, FrameEncoder],
    config: Features,
    store_folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Fills the store with the features of all clips; returns how many clips had to be decoded.

    One decoding pass serves all encoders and runs ahead in a thread. Restartable: what is finished
    stays, also when this is interrupted; shards are never half written.

    Args:
        tables: the clips; `content_md5` is their identity in the store.
        dataset_folder: folder that `video_path` and `file` are relative to.
        encoders: name -> encoder, in the order in which features are put side by side.
        config: sampling rate and batch size.
        store_folder: folder of this store; other encoders or another rate need another folder.
        progress: called with the clips done and the clips to do.

    Raises:
        VideoError: a video cannot be decoded; says which.
    """
    store_folder.mkdir(parents=True, exist_ok=True)
    clips = tables.clips.drop_duplicates("content_md5")
    clips = clips[~clips["content_md5"].isin(list(_shards(store_folder)))]
    shard: dict[str, Tensor] = {}
    done, num_frames = 0, 0
    pieces = _ahead(_decoded(clips, tables, dataset_folder, config))
    try:
        for content, time_s, features in _joined(_encoded(pieces, encoders, config.batch_size)):
            shard[f"{content}.features"] = features
            shard[f"{content}.time_s"] = torch.from_numpy(time_s)
            done, num_frames = done + 1, num_frames + len(features)
            if num_frames >= SHARD_FRAMES:
                _write_shard(store_folder, shard)
                shard, num_frames = {}, 0
            if progress:
                progress(done, len(clips))
    finally:
        _write_shard(store_folder, shard)
    _write_index(store_folder, tables.clips, encoders)
    return done


def _decoded(
    clips: pd.DataFrame, tables: Tables, folder: Path, config: Features
) -> Iterator[_Piece]:
    """Pieces of at most a batch of frames, clip by clip."""
    files = {}
    if tables.frames is not None:
        groups = tables.frames.sort_values("frame_index").groupby("clip_id")
        files = {str(clip_id): frames for clip_id, frames in groups}
    for clip in clips.itertuples():
        if clip.kind == "frames":
            yield from _pictures(str(clip.content_md5), files[str(clip.clip_id)], folder)
            continue
        path = folder / str(clip.video_path)
        time_s = video.sample_times(video.probe(path), config.frames_per_second)
        start = 0
        for frames, _ in video.batches_at(path, time_s, config.batch_size):
            stop = start + len(frames)
            yield _Piece(str(clip.content_md5), frames, time_s[start:stop], stop == len(time_s))
            start = stop


def _pictures(content: str, frames: pd.DataFrame, folder: Path) -> Iterator[_Piece]:
    """One piece a picture file; a sequence without times counts its frames instead."""
    from PIL import Image

    column = "frame_index" if frames["time_s"].isna().all() else "time_s"
    time_s = frames[column].to_numpy(np.float64)
    for k, file in enumerate(frames["file"]):
        with Image.open(folder / file) as image:
            pixels = np.array(image.convert("RGB"))[None]
        yield _Piece(content, pixels, time_s[k : k + 1], k + 1 == len(frames))


def _ahead(pieces: Iterator[_Piece], depth: int = 4) -> Iterator[_Piece]:
    """The same pieces, made by a thread that runs up to `depth` pieces ahead."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, pieces, None) for _ in range(depth))
        while (piece := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, pieces, None))
            yield piece


@torch.inference_mode()
def _encoded(
    pieces: Iterator[_Piece], encoders: Mapping[str, FrameEncoder], batch_size: int
) -> Iterator[tuple[_Piece, Tensor]]:
    """Pieces with their features; the encoders see full batches, whatever the pieces' lengths."""
    waiting: deque[_Piece] = deque()
    pictures: list[list[Tensor]] = []
    rows = torch.zeros(0)
    for piece in chain(pieces, [None]):
        if piece is not None:
            waiting.append(piece)
            pictures.append([_preprocess(e, piece.frames_THW3) for e in encoders.values()])
        while (num := sum(len(p[0]) for p in pictures)) >= batch_size or (piece is None and num):
            joined = [torch.cat(parts) for parts in zip(*pictures, strict=True)]
            features = _forward(encoders, [part[:batch_size] for part in joined])
            rows = torch.cat([rows, features]) if len(rows) else features
            pictures = [[part[batch_size:] for part in joined]]
        while waiting and len(rows) >= len(waiting[0].time_s):
            num = len(waiting[0].time_s)
            yield waiting.popleft(), rows[:num]
            rows = rows[num:]


def _joined(
    encoded: Iterator[tuple[_Piece, Tensor]],
) -> Iterator[tuple[str, NDArray[np.float64], Tensor]]:
    """Content, times and features of whole clips."""
    parts: list[tuple[_Piece, Tensor]] = []
    for piece, features in encoded:
        parts.append((piece, features))
        if piece.last:
            time_s = np.concatenate([p.time_s for p, _ in parts])
            yield piece.content, time_s, torch.cat([f for _, f in parts])
            parts = []


def _preprocess(encoder: FrameEncoder, frames_THW3: NDArray[np.uint8]) -> Tensor:
    frames = torch.from_numpy(np.ascontiguousarray(frames_THW3)).to(encoder.mean_C11.device)
    return encoder.preprocess(frames).contiguous(memory_format=torch.channels_last)


def _forward(encoders: Mapping[str, FrameEncoder], pictures: list[Tensor]) -> Tensor:
    device = pictures[0].device.type
    with torch.autocast(device, torch.float16, enabled=device == "cuda"):
        outputs = [e(p).half().cpu() for e, p in zip(encoders.values(), pictures, strict=True)]
    return torch.cat(outputs, 1)


def _write_shard(folder: Path, shard: dict[str, Tensor]) -> None:
    if not shard:
        return
    name = hashlib.md5(" ".join(shard).encode(), usedforsecurity=False).hexdigest()[:12]
    with stage.replacing(folder / f"shard-{name}.safetensors") as aside:
        save_file({k: v.contiguous() for k, v in shard.items()}, aside)


def _shards(folder: Path) -> dict[str, str]:
    """Content -> name of the shard that holds it."""
    held = {}
    for path in sorted(folder.glob("shard-*.safetensors")):
        with safe_open(path, "pt") as shard:
            held.update({name.rsplit(".", 1)[0]: path.name for name in shard.keys()})  # noqa: SIM118
    return held


def _write_index(folder: Path, clips: pd.DataFrame, encoders: Mapping[str, FrameEncoder]) -> None:
    held = _shards(folder)
    pairs = zip(clips["clip_id"], clips["content_md5"], strict=True)
    index = {
        "widths": {name: encoder.spec.dim for name, encoder in encoders.items()},
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
    clips: Mapping[str, tuple[str, str]]
    """Clip id -> content and the shard that holds it."""

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
        return cls(folder, index["widths"], clips)

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
            return ClipFeatures(shard.get_tensor(f"{content}.features"), time_s)
