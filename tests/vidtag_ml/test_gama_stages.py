"""The stages of GAMa: what their keys hold."""

import json

from vidtag_ml import code_key, layout


def test_each_record_tells_the_code_of_its_stage(made_gama):
    root, params = made_gama
    at = layout.of(root, params)
    named = {at.evaluation("gama"): "evaluate_gama", at.dataset: "ingest_flyover_gama"}
    paths = [at.aerial_gallery, at.aerial_pixels, at.aerial_bundle]
    paths += [at.model(name) for name in ("gama", "screening", "heading")]
    for path, name in {**named, **{path: path.name for path in paths}}.items():
        record = json.loads(path.with_name(f"{path.name}.record.json").read_text())
        assert code_key.of(name).items() <= record["key"].items(), name
