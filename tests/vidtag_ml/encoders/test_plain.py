"""The twins of timm's and open_clip's networks: same weights, same features."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.encoders.frames import EncoderSpec, FrameEncoder

ENCODERS = Path(__file__).parents[3] / "data" / "encoders"
NAMES = ("flyover_clip", "flyover_dino")


@pytest.mark.parametrize("name", NAMES)
def test_twin_gives_the_features_of_its_library_to_the_bit(name):
    twin = frame_encoders.load(ENCODERS, name)
    assert type(twin.network).__module__ == "vidtag_ml.encoders.plain"
    published = load_file(ENCODERS / f"{name}.safetensors")
    owned = frame_encoders.fill(FrameEncoder(twin.spec), published, "refused")
    assert list(twin.state_dict()) == list(owned.state_dict())
    pictures = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(twin(pictures), owned(pictures))


@pytest.mark.parametrize("name", NAMES)
def test_network_asked_for_in_another_way_has_no_twin(name):
    spec = EncoderSpec.read(ENCODERS / f"{name}.json")
    other = {"vision_cfg": {**spec.options.get("vision_cfg", {}), "timm_pool": "avg"}}
    assert frame_encoders._twin(dataclasses.replace(spec, options=other)) is None
