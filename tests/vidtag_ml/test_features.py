"""Claims about the feature store: complete, restartable, keyed by content."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from vidtag_ml import features, video
from vidtag_ml.clips import Tables
from vidtag_ml.config import Features
from vidtag_ml.models.backbones import EncoderSpec

CONFIG = Features(
    encoders=("mean", "corner"), encoders_dir="encoders", frames_per_second=1.0, batch_size=4
)


class Encoder(torch.nn.Module):
    """Three or six statistics of a picture; counts the pictures and batches it saw."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.spec = EncoderSpec("timm", "none", dim, 8, (0.0,) * 3, (1.0,) * 3)
        self.register_buffer("mean_C11", torch.zeros(3, 1, 1))
        self.batches: list[int] = []

    def preprocess(self, frames_NHW3):
        return frames_NHW3.permute(0, 3, 1, 2).float() / 255

    def forward(self, pictures_N3SS):
        self.batches.append(len(pictures_N3SS))
        statistics = [pictures_N3SS.mean((2, 3)), pictures_N3SS[..., 0, 0]]
        return torch.cat(statistics, 1)[:, : self.spec.dim]


def encoders() -> dict[str, Encoder]:
    return {"mean": Encoder(3), "corner": Encoder(6)}


def write_clips(folder, lengths) -> Tables:
    """Videos whose k-th frame has brightness 8 k, plus 3 for each clip number."""
    rows = []
    for number, length in enumerate(lengths):
        brightness = (np.arange(length) * 8 + number * 3).astype(np.uint8)
        frames = np.broadcast_to(brightness[:, None, None, None], (length, 16, 16, 3))
        video.write(folder / f"v{number}.mp4", np.ascontiguousarray(frames), 1.0)
        rows.append((f"c{number}", "video", f"v{number}.mp4", f"md5-{number}"))
    columns = ["clip_id", "kind", "video_path", "content_md5"]
    return Tables(pd.DataFrame(rows, columns=columns), pd.DataFrame())


def test_every_clip_gets_the_features_and_times_of_its_frames(tmp_path):
    tables = write_clips(tmp_path, [3, 6, 1])
    assert features.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store") == 3
    store = features.FeatureStore.open(tmp_path / "store")
    assert (store.num_features, dict(store.widths)) == (9, {"mean": 3, "corner": 6})
    clip = store.clip("c1")
    assert clip.features_TD.dtype == torch.float16
    assert clip.features_TD.shape == (6, 9)
    assert clip.time_s.tolist() == [0, 1, 2, 3, 4, 5]
    bright = clip.features_TD[:, 0].float().numpy() * 255
    assert bright == pytest.approx(np.arange(6) * 8 + 3, abs=3)


def test_encoders_see_full_batches_across_clips(tmp_path):
    tables, both = write_clips(tmp_path, [3, 6, 1]), encoders()
    features.extract(tables, tmp_path, both, CONFIG, tmp_path / "store")
    assert both["mean"].batches == both["corner"].batches == [4, 4, 2]


def test_encoding_one_video_gives_what_the_store_holds(tmp_path):
    tables = write_clips(tmp_path, [3, 6, 1])
    features.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    frames, _ = video.frames_at(tmp_path / "v1.mp4", np.arange(6.0))
    alone = features.encode(encoders(), frames, batch_size=4)
    assert torch.equal(alone, features.FeatureStore.open(tmp_path / "store").clip("c1").features_TD)


def test_what_is_in_the_store_is_not_decoded_again(tmp_path):
    tables = write_clips(tmp_path, [3, 6])
    features.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    (tmp_path / "v0.mp4").unlink()
    extended = pd.concat([tables.clips, tables.clips.assign(clip_id=["again0", "again1"])])
    again = replace(tables, clips=extended)
    assert features.extract(again, tmp_path, encoders(), CONFIG, tmp_path / "store") == 0
    store = features.FeatureStore.open(tmp_path / "store")
    assert torch.equal(store.clip("again0").features_TD, store.clip("c0").features_TD)


def test_an_interrupted_extraction_keeps_what_it_had(tmp_path):
    tables, store = write_clips(tmp_path, [3, 6, 2]), tmp_path / "store"

    def stop(done, num):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features.extract(tables, tmp_path, encoders(), CONFIG, store, stop)
    with pytest.raises(ValueError, match="no finished features"):
        features.FeatureStore.open(store)
    assert features.extract(tables, tmp_path, encoders(), CONFIG, store) == 1
    assert features.FeatureStore.open(store).clip("c2").features_TD.shape == (2, 9)
    assert not list(store.glob(".*"))


def test_a_broken_video_stops_with_its_name_and_loses_nothing(tmp_path):
    tables, store = write_clips(tmp_path, [3, 6, 2]), tmp_path / "store"
    (tmp_path / "v2.mp4").write_bytes(b"no video")
    with pytest.raises(video.VideoError, match=r"v2\.mp4"):
        features.extract(tables, tmp_path, encoders(), replace(CONFIG, batch_size=1), store)
    write_clips(tmp_path, [3, 6, 2])
    assert features.extract(tables, tmp_path, encoders(), CONFIG, store) == 1


def test_a_sequence_of_pictures_becomes_features_frame_by_frame(tmp_path):
    for k in range(3):
        Image.new("RGB", (8, 8), (k * 50, 0, 0)).save(tmp_path / f"{k}.png")
    clips = pd.DataFrame({"clip_id": ["p"], "kind": ["frames"], "content_md5": ["md5-p"]})
    frames = pd.DataFrame({"clip_id": ["p"] * 3, "frame_index": [2, 0, 1]})
    frames["file"], frames["time_s"] = frames["frame_index"].astype(str) + ".png", np.nan
    tables = Tables(clips, pd.DataFrame(), frames)
    features.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    clip = features.FeatureStore.open(tmp_path / "store").clip("p")
    assert clip.time_s.tolist() == [0, 1, 2]
    assert (clip.features_TD[:, 0].float() * 255).tolist() == pytest.approx([0, 50, 100], abs=0.2)


def test_an_unknown_clip_is_an_error_that_says_what_to_run(tmp_path):
    tables = write_clips(tmp_path, [1])
    features.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    store = features.FeatureStore.open(tmp_path / "store")
    with pytest.raises(ValueError, match=r"no features of clip 'c9'; run `vidtag features`"):
        store.clip("c9")


def test_absent_weights_are_an_error_that_names_file_and_command(tmp_path):
    with pytest.raises(ValueError, match=r"mean\.json: .*`vidtag weights fetch`"):
        features.load_encoders(CONFIG, tmp_path)
