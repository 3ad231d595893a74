"""The papers' scale, end to end: each preset on a miniature of its dataset's published layout.

The presets stay as they are but for batch sizes, epochs and the spacing of MSLS' grid, whose points
take most of the time. Their encoders are replaced by files of
the same names: a random CLIP tower of one layer with ViT-L's 768 outputs, and a random ViT. The
heads of GeoCLIP are the released ones, from the package.
"""

import dataclasses
import functools
from pathlib import Path

import pytest
import torch
import yaml

from tests.data import bdd100k, cityguessr68k, images, msls
from vidtag_ml import config
from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.encoders import catalog, text, videomae
from vidtag_ml.encoders.frames import EncoderSpec, FrameEncoder
from vidtag_ml.models import report as models_report
from vidtag_ml.models.cityguessr import inference
from vidtag_ml.models.cityguessr.evaluate import PlaceReport
from vidtag_ml.models.registry import RANKED, SYSTEMS
from vidtag_ml.models.stages import STAGES
from vidtag_ml.workflow import layout

ROOT = Path(__file__).parents[1]
SECTIONS = ("phase_one", "phase_two", "geoclip", "classifier")
SMALL = {section: {"epochs": 1, "batch_size": 16} for section in SECTIONS}
COARSE = {**SMALL, "gallery": {"spacing_km": 0.5}}
TOWER = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 32}
HALF = (0.5, 0.5, 0.5)


def encoders(folder):
    """Stand-ins for both encoders of the papers, and GeoCLIP's heads and gallery."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    clip = EncoderSpec("open_clip", "tiny", 768, 32, HALF, HALF, {"vision_cfg": TOWER})
    dino = EncoderSpec("timm", "test_vit", 64, 32, HALF, HALF, {"img_size": 32})
    for name, spec in (("clip_vit_l14", clip), ("dinov2_vit_l14", dino)):
        catalog.store(folder, name, spec, FrameEncoder(spec).network)
    catalog.fetch("geoclip", folder)


def workspace(root, preset, make, changes):
    """A workspace with a miniature of the preset's dataset, and params on top of the preset."""
    base = str(ROOT / "params" / f"{preset}.yaml")
    own = {"base": base, "features": {"batch_size": 8}, **changes}
    (root / "params.yaml").write_text(yaml.safe_dump(own))
    params = config.load(root / "params.yaml")
    make(root / params.clips.folder)
    encoders(root / "data" / "encoders")
    return params


def run(root, params):
    trained = ("phase_one", "phase_two", "geoclip", "classifier")
    for name in ("ingest", "hierarchy", "gallery", "features", *trained):
        assert STAGES[name](root, params), name
    return {name: report(root, params, name) for name in RANKED}


def report(root, params, name):
    assert SYSTEMS[name].evaluate(root, params)
    return models_report.Report.read(layout.of(root, params).evaluation(name))


@pytest.mark.parametrize(
    ("preset", "make", "changes"),
    [
        ("paper_msls", functools.partial(msls.make, num_sequences=6, num_frames=18), COARSE),
        pytest.param(
            "paper_gama",
            functools.partial(bdd100k.make, seconds=17),
            SMALL,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "paper_cityguessr68k",
            functools.partial(cityguessr68k.make, num_frames=17),
            SMALL,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["msls", "bdd100k", "cityguessr68k"],
)
def test_a_preset_runs_from_recordings_to_figures(tmp_path, preset, make, changes):
    params = workspace(tmp_path, preset, make, changes)
    reports = run(tmp_path, params)
    for each in reports.values():
        assert each.summary["num_frames"] > 0
        assert each.summary["median_km"] >= 0
        assert "acc_1km" in each.summary
    assert reports["vidtag"].summary["decoding"] == "refined"
    if params.gallery.source == "cities":
        figures = reports["vidtag"].summary
        shares = [figures[f"acc_{level}"] for level in LEVELS]
        assert shares == sorted(shares)
        assert figures["consistency"] == 1.0
        labels = reports["vidtag"].per_clip
        assert (labels["predicted_city"] == labels["city"]).mean() == shares[0]


def place_encoders(folder):
    """Stand-ins for VideoMAE-small and CLIP's text tower."""
    video = dataclasses.replace(
        videomae.VIDEOMAE_SMALL, image_size=32, width=16, layers=1, heads=2, mlp=32
    )
    words = dataclasses.replace(text.CLIP_VIT_B32, width=16, layers=1, heads=2)
    torch.manual_seed(0)
    catalog.store(folder, "videomae_small", video, videomae.VideoMAE(video).network)
    catalog.store(folder, "clip_vit_b32_text", words, text.TextTower(words).network)


@pytest.mark.parametrize("preset", [None, "cityguessr_reference"])
def test_cityguessr_trains_on_pixels_from_its_preset(tmp_path, preset):
    make = functools.partial(cityguessr68k.make, num_frames=21, scenes=True)
    changes = {"cityguessr": {"epochs": 1, "batch_size": 4, "warmup_steps": 1}}
    changes |= {"preset": preset} if preset else {}
    params = workspace(tmp_path, "paper_cityguessr68k", make, changes)
    place_encoders(tmp_path / "data" / "encoders")
    for name in ("ingest", "hierarchy"):
        assert STAGES[name](tmp_path, params), name
    for name in ("cityguessr", "evaluate_cityguessr"):
        assert STAGES[name](tmp_path, params), name
    at = layout.of(tmp_path, params)
    figures = PlaceReport.read(at.evaluation("cityguessr")).summary
    assert (figures["num_clips"], figures["num_city"]) == (10, 5)
    assert figures["consistency"] == 1.0
    model = inference.load(at.model("cityguessr"))
    assert model.sizes.videomae.pixels == ("unit" if preset else "imagenet")
    assert (model.sizes.scenes, model.sizes.text) == (16, 512)


def test_released_geoclip_locates_an_image_set_without_training(tmp_path):
    params = workspace(tmp_path, "images_im2gps3k", images.make, {})
    gallery = tmp_path / params.gallery.file
    gallery.write_text("".join(gallery.read_text().splitlines(keepends=True)[:2001]))
    for name in ("ingest", "gallery", "features", "geoclip"):
        assert STAGES[name](tmp_path, params), name
    figures = report(tmp_path, params, "geoclip").summary
    assert (figures["num_frames"], figures["gallery_size"]) == (len(images.PLACES), 2000)
    assert figures["acc_2500km"] >= figures["acc_1km"]
