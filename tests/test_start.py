"""What `vidtag` imports: no more than a command needs, so that it begins at once."""

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from vidtag_assets.workspace.resources import Tracking
from vidtag_ml import config
from vidtag_ml.models import base, networks
from vidtag_ml.models.vidtag import locator as vidtag_locator
from vidtag_ml.retrieval import gallery
from vidtag_ml.workflow import stage

ENCODERS = Path(__file__).parents[1] / "data" / "encoders"
WIDTHS = {"flyover_clip": 256, "flyover_dino": 512}
FOREIGN = (
    "dagster", "great_expectations", "huggingface_hub", "lightning_fabric", "mlflow", "open_clip",
    "pytorch_lightning", "sklearn", "sqlalchemy", "timm", "torchmetrics", "torchvision",
    "transformers", "vidtag_ml.models.fit",
)  # fmt: skip
"""What a track needs nothing of."""
ASK = """
import sys
from vidtag_assets import cli
try:
    cli.main()
finally:
    sys.stderr.write(str(sorted(set({unwanted}) & set(sys.modules))))
"""


def run(folder, unwanted, *arguments):
    """Standard output of a command in a process of its own, and which modules it imported."""
    code = ASK.format(unwanted=unwanted)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def registered(params, tmp_path_factory):
    """A workspace with a champion of random weights that reads the real Flyover encoders."""
    root = tmp_path_factory.mktemp("registered")
    torch.manual_seed(0)
    base.save(networks.build("vidtag", params.model, WIDTHS), root / "model")
    points = gallery.build(params.gallery)
    gallery.write(root / "gallery", points, config.as_dict(params.gallery))
    bundle = root / "kept" / "artifacts" / "bundle"
    vidtag_locator.write_bundle(
        root / "model", root / "gallery", ENCODERS, params, bundle, mode="flyover"
    )
    client = Tracking(root=str(root)).client()
    client.create_registered_model("vidtag")
    tags = {"bundle": stage.digest(bundle)}
    client.create_model_version("vidtag", (root / "kept").as_uri(), tags=tags)
    client.set_registered_model_alias("vidtag", "champion", "1")
    return root


def test_champion_locates_without_what_it_was_trained_and_registered_with(registered, tiny_world):
    video = shutil.copy(next((tiny_world / "videos").glob("*.mp4")), registered)
    said, imported = run(registered, FOREIGN, "locate", video, "--out", "tracks")
    assert "mean score" in said
    assert imported == "[]"
    assert len(list((registered / "tracks").iterdir())) == 8


@pytest.mark.parametrize("ask", ["--help", "--version"])
def test_help_and_version_answer_at_once(tmp_path, ask):
    heavy = ("av", "matplotlib", "numpy", "pandas", "torch", "yaml", *FOREIGN)
    said, imported = run(tmp_path, heavy, ask)
    assert imported == "[]"
    assert said.startswith(f"vidtag-geo {version('vidtag-geo')}") or "locate" in said
