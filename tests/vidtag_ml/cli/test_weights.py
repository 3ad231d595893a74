"""`vidtag weights`: which are here, whether they work, where they come from."""

import json
import logging

import pytest

from vidtag_ml.encoders import catalog


def test_weights_are_listed_for_people_and_programs(vidtag, workspace):
    found = json.loads(vidtag(workspace, "weights", "list", "--json").stdout)
    lines = vidtag(workspace, "weights", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [w["name"] for w in found]
    assert [line.endswith(w["state"]) for line, w in zip(lines, found, strict=True)].count(
        False
    ) == 0


def test_weights_are_verified(vidtag, workspace):
    assert vidtag(workspace, "weights", "verify").stdout.count(" ok\n") == 2
    (workspace / "data" / "encoders" / "flyover_clip.safetensors").write_bytes(b"rubbish")
    done = vidtag(workspace, "weights", "verify")
    assert done.returncode == 1
    assert "flyover_clip: unusable" in done.stderr


def test_geoclip_is_fetched_and_verified_by_name(vidtag, workspace, tmp_path):
    fetched = vidtag(workspace, "weights", "fetch", "geoclip", "--dir", tmp_path)
    assert fetched.stderr == "geoclip: looking for it; this can take minutes\n"
    assert "geoclip_location.safetensors" in fetched.stdout
    assert vidtag(workspace, "weights", "verify", "geoclip", "--dir", tmp_path).returncode == 0
    nothing = ("weights", "fetch", "geoclip", "--from", tmp_path / "nowhere")
    assert "nowhere: no such folder" in vidtag(workspace, *nothing).refusal


def test_nothing_from_the_network_is_one_line_with_cause_and_advice(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="nothing came from the network") as refused:
        catalog.fetch("videomae_small", tmp_path)
    assert "vidtag weights fetch videomae_small --from FOLDER" in str(refused.value)
    assert not caplog.records
    assert logging.root.manager.disable == logging.NOTSET
