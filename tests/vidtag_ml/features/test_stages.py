"""The stage of features: what lies there already is used again only if it is whole."""

import shutil

from vidtag_ml.features.stages import features
from vidtag_ml.workflow.stage import digest


def test_a_shard_whose_bytes_were_changed_is_encoded_anew(made, params, tmp_path):
    root = shutil.copytree(made, tmp_path / "a copy")
    store = root / "out" / "features"
    before, shard = digest(store), next(store.glob("shard-*.safetensors"))
    data = bytearray(shard.read_bytes())
    data[-100] ^= 0xFF
    shard.write_bytes(data)
    assert features(root, params)
    assert digest(store) == before
