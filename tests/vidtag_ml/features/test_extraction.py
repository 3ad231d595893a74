"""Claims about the feature store: complete, restartable, keyed by content."""

import multiprocessing
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from vidtag_ml.config import Features
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.encoders.frames import EncoderSpec
from vidtag_ml.features import extraction
from vidtag_ml.features import store as feature_store
from vidtag_ml.media import encoding, pictures, video

CONFIG = Features(
    encoders=("mean", "corner"),
    encoders_dir="encoders",
    frames_per_second=1.0,
    views="whole",
    batch_size=4,
)


class Encoder(torch.nn.Module):
    """Three or six statistics of a picture; counts the pictures and batches it saw."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.spec = EncoderSpec("timm", "none", dim, 8, (0.0,) * 3, (1.0,) * 3)
        self.register_buffer("mean_C11", torch.zeros(3, 1, 1))
        self.batches: list[int] = []

        self.pause_s, self.factor = 0.0, 1.0

    def normalise(self, squares_N3SS):
        return squares_N3SS / 255

    def forward(self, pictures_N3SS):
        self.batches.append(len(pictures_N3SS))
        time.sleep(self.pause_s)
        statistics = [pictures_N3SS.mean((2, 3)), pictures_N3SS[..., 0, 0]]
        return self.factor * torch.cat(statistics, 1)[:, : self.spec.dim]


def encoders() -> dict[str, Encoder]:
    return {"mean": Encoder(3), "corner": Encoder(6)}


def write_clips(folder, lengths) -> Tables:
    """Videos whose k-th frame has brightness 8 k, plus 3 for each clip number."""
    rows = []
    for number, length in enumerate(lengths):
        brightness = (np.arange(length) * 8 + number * 3).astype(np.uint8)
        frames = np.broadcast_to(brightness[:, None, None, None], (length, 16, 16, 3))
        encoding.write(folder / f"v{number}.mp4", np.ascontiguousarray(frames), 1.0)
        rows.append((f"c{number}", "video", f"v{number}.mp4", f"md5-{number}"))
    columns = ["clip_id", "kind", "video_path", "content_md5"]
    return Tables(pd.DataFrame(rows, columns=columns), pd.DataFrame())


def test_every_clip_gets_the_features_and_times_of_its_frames(tmp_path):
    tables = write_clips(tmp_path, [3, 6, 1])
    assert extraction.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store") == 3
    store = feature_store.FeatureStore.open(tmp_path / "store")
    assert (store.num_features, dict(store.widths)) == (9, {"mean": 3, "corner": 6})
    clip = store.clip("c1")
    assert clip.features_TD.dtype == torch.float16
    assert clip.features_TD.shape == (6, 9)
    assert clip.time_s.tolist() == [0, 1, 2, 3, 4, 5]
    bright = clip.features_TD[:, 0].float().numpy() * 255
    assert bright == pytest.approx(np.arange(6) * 8 + 3, abs=3)


def test_encoders_see_full_batches_across_clips(tmp_path):
    tables, both = write_clips(tmp_path, [3, 6, 1]), encoders()
    extraction.extract(tables, tmp_path, both, CONFIG, tmp_path / "store")
    assert both["mean"].batches == both["corner"].batches == [4, 4, 2]


def test_encoding_one_video_gives_what_the_store_holds(tmp_path):
    tables = write_clips(tmp_path, [3, 6, 1])
    extraction.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    frames, _ = video.frames_at(tmp_path / "v1.mp4", np.arange(6.0))
    alone = extraction.encode(encoders(), frames, batch_size=4)
    assert torch.equal(
        alone, feature_store.FeatureStore.open(tmp_path / "store").clip("c1").features_TD
    )


def test_what_is_in_the_store_is_not_decoded_again(tmp_path):
    tables = write_clips(tmp_path, [3, 6])
    extraction.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    (tmp_path / "v0.mp4").unlink()
    extended = pd.concat([tables.clips, tables.clips.assign(clip_id=["again0", "again1"])])
    again = replace(tables, clips=extended)
    assert extraction.extract(again, tmp_path, encoders(), CONFIG, tmp_path / "store") == 0
    store = feature_store.FeatureStore.open(tmp_path / "store")
    assert torch.equal(store.clip("again0").features_TD, store.clip("c0").features_TD)


def test_an_interrupted_extraction_keeps_what_it_had(tmp_path):
    tables, store = write_clips(tmp_path, [3, 6, 2]), tmp_path / "store"

    def stop(done, num):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extraction.extract(tables, tmp_path, encoders(), CONFIG, store, stop)
    with pytest.raises(ValueError, match="no finished features"):
        feature_store.FeatureStore.open(store)
    assert extraction.extract(tables, tmp_path, encoders(), CONFIG, store) == 1
    assert feature_store.FeatureStore.open(store).clip("c2").features_TD.shape == (2, 9)
    assert not list(store.glob(".*"))


def extract_slowly(tables, folder) -> None:
    both = encoders()
    both["mean"].pause_s = 0.2
    extraction.PART_S = 0.0
    extraction.extract(tables, folder, both, CONFIG, folder / "store")


def test_a_killed_extraction_goes_on_at_the_clip_where_it_stopped(tmp_path):
    tables, store = write_clips(tmp_path, [4] * 8), tmp_path / "store"
    process = multiprocessing.get_context("fork").Process(
        target=extract_slowly, args=(tables, tmp_path)
    )
    process.start()
    while len(kept := list(store.glob("part-*"))) < 3:
        time.sleep(0.01)
    process.kill()
    process.join()
    assert not list(store.glob("shard-*"))
    for number in range(len(kept)):
        (tmp_path / f"v{number}.mp4").unlink()
    assert extraction.extract(tables, tmp_path, encoders(), CONFIG, store) <= 8 - len(kept)
    assert feature_store.FeatureStore.open(store).clip("c0").features_TD.shape == (4, 9)
    assert not list(store.glob("part-*"))


def test_a_full_shard_is_closed_and_its_parts_are_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "SHARD_FRAMES", 6)
    monkeypatch.setattr(extraction, "PART_S", 0.0)
    tables, store = write_clips(tmp_path, [4] * 5), tmp_path / "store"
    extraction.extract(tables, tmp_path, encoders(), CONFIG, store)
    assert len(list(store.glob("shard-*"))) == 3
    assert not list(store.glob("part-*"))


def test_a_broken_video_stops_with_its_name_and_loses_nothing(tmp_path):
    tables, store = write_clips(tmp_path, [3, 6, 2]), tmp_path / "store"
    (tmp_path / "v2.mp4").write_bytes(b"no video")
    with pytest.raises(video.VideoError, match=r"v2\.mp4"):
        extraction.extract(tables, tmp_path, encoders(), replace(CONFIG, batch_size=1), store)
    write_clips(tmp_path, [3, 6, 2])
    assert extraction.extract(tables, tmp_path, encoders(), CONFIG, store) == 1


def test_a_sequence_of_pictures_becomes_features_frame_by_frame(tmp_path):
    for k in range(3):
        Image.new("RGB", (8, 8), (k * 50, 0, 0)).save(tmp_path / f"{k}.png")
    clips = pd.DataFrame({"clip_id": ["p"], "kind": ["frames"], "content_md5": ["md5-p"]})
    frames = pd.DataFrame({"clip_id": ["p"] * 3, "frame_index": [2, 0, 1]})
    frames["file"], frames["time_s"] = frames["frame_index"].astype(str) + ".png", np.nan
    tables = Tables(clips, pd.DataFrame(), frames)
    extraction.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    clip = feature_store.FeatureStore.open(tmp_path / "store").clip("p")
    assert clip.time_s.tolist() == [0, 1, 2]
    assert (clip.features_TD[:, 0].float() * 255).tolist() == pytest.approx([0, 50, 100], abs=0.2)


def test_a_photo_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert pictures.picture(tmp_path / "a.jpg").shape == (8, 4, 3)


def test_pictures_of_many_sizes_keep_their_order(tmp_path):
    for k in range(40):
        Image.new("RGB", (8 + k // 3 % 2, 8), (k * 6, 0, 0)).save(tmp_path / f"{k}.png")
    clips = pd.DataFrame({"clip_id": ["p"], "kind": ["frames"], "content_md5": ["md5-p"]})
    frames = pd.DataFrame({"clip_id": "p", "frame_index": range(40), "time_s": np.arange(40) / 2})
    frames["file"] = frames["frame_index"].astype(str) + ".png"
    tables = Tables(clips, pd.DataFrame(), frames)
    extraction.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    clip = feature_store.FeatureStore.open(tmp_path / "store").clip("p")
    assert clip.time_s.tolist() == (np.arange(40) / 2).tolist()
    red = clip.features_TD[:, 0].float() * 255
    assert red.tolist() == pytest.approx(range(0, 240, 6), abs=0.2)


def test_ten_views_are_kept_and_the_first_is_what_training_reads(tmp_path):
    tables, config = write_clips(tmp_path, [3, 6]), replace(CONFIG, views="ten")
    extraction.extract(tables, tmp_path, encoders(), config, tmp_path / "store")
    store = feature_store.FeatureStore.open(tmp_path / "store")
    clip = store.clip("c1")
    assert (store.views, clip.features_TVD.shape) == ("ten", (6, 10, 9))
    assert torch.equal(clip.features_TD, clip.features_TVD[:, 0])
    frames, _ = video.frames_at(tmp_path / "v1.mp4", np.arange(6.0))
    assert torch.equal(extraction.encode(encoders(), frames, 4, "ten"), clip.features_TVD)


def test_one_view_is_stored_without_an_axis_of_its_own(tmp_path):
    tables, config = write_clips(tmp_path, [3]), replace(CONFIG, views="centre")
    extraction.extract(tables, tmp_path, encoders(), config, tmp_path / "store")
    store = feature_store.FeatureStore.open(tmp_path / "store")
    assert (store.views, store.clip("c0").stored.shape) == ("centre", (3, 9))
    assert store.clip("c0").features_TVD.shape == (3, 1, 9)


def test_each_encoder_sees_squares_of_its_own_size(tmp_path):
    both = encoders()
    both["corner"].spec = replace(both["corner"].spec, image_size=4)
    seen = extraction.encode(both, np.full((2, 16, 16, 3), 51, np.uint8), 4)
    assert seen.float().numpy() == pytest.approx(np.full((2, 9), 0.2), abs=1e-3)


def test_a_selection_has_only_the_columns_of_its_encoders(tmp_path):
    tables = write_clips(tmp_path, [3])
    extraction.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    store = feature_store.FeatureStore.open(tmp_path / "store")
    whole, turned = store.clip("c0").features_TD, store.select(("corner", "mean"))
    assert list(turned.widths) == ["corner", "mean"]
    assert torch.equal(turned.clip("c0").features_TD, torch.cat([whole[:, 3:], whole[:, :3]], 1))
    corner = turned.select(("corner",))
    assert corner.num_features == 6
    assert torch.equal(corner.clip("c0").features_TD, whole[:, 3:])


def test_selecting_an_encoder_that_is_not_there_is_an_error(tmp_path):
    extraction.extract(write_clips(tmp_path, [1]), tmp_path, encoders(), CONFIG, tmp_path / "store")
    with pytest.raises(ValueError, match=r"no features of encoder 'dino'; it has mean, corner"):
        feature_store.FeatureStore.open(tmp_path / "store").select(("mean", "dino"))


def test_a_store_of_the_last_release_can_be_read(tmp_path):
    tables, index = write_clips(tmp_path, [3]), tmp_path / "store" / "index.json"
    extraction.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    index.write_text(index.read_text().replace('"views": "whole",', ""))
    assert feature_store.FeatureStore.open(tmp_path / "store").views == "whole"


@pytest.mark.parametrize("factor", [1e6, np.nan])
def test_a_feature_beyond_float16_is_an_error_that_names_the_encoder(factor):
    both = encoders()
    both["corner"].factor = factor
    with pytest.raises(ValueError, match=r"encoder 'corner' gave .*; float16 ends at 65504"):
        extraction.encode(both, np.full((2, 16, 16, 3), 51, np.uint8), 4)


def test_an_unknown_clip_is_an_error_that_says_what_to_run(tmp_path):
    tables = write_clips(tmp_path, [1])
    extraction.extract(tables, tmp_path, encoders(), CONFIG, tmp_path / "store")
    store = feature_store.FeatureStore.open(tmp_path / "store")
    with pytest.raises(ValueError, match=r"no features of clip 'c9'; run `vidtag features`"):
        store.clip("c9")


def test_absent_weights_are_an_error_that_names_file_and_command(tmp_path):
    with pytest.raises(ValueError, match=r"mean\.json: .*`vidtag weights`"):
        extraction.load_encoders(CONFIG, tmp_path)
