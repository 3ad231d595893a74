"""A fifth system: whatever the video, it is in the place that the params' domain names."""

import json

from vidtag_ml.models import bundle
from vidtag_ml.models.system import Bundling, Sheet, System
from vidtag_ml.workflow import layout, stage

FORM = bundle.Form("legends", 1, ("registry",), ("where",))


class ToyReport:
    """A figure, and no clips."""

    def __init__(self, folder):
        self.summary = json.loads((folder / "summary.json").read_text())
        self.per_clip = None


def train(root, params, _logger=None):
    """Makes `out/toy/`."""
    at = layout.of(root, params)
    return stage.make(at.model("toy"), {"source": at.source}, lambda aside: _write(aside, 1))


def evaluate(root, params, split):
    """Makes `out/evaluation/toy/<split>/`."""
    folder = layout.of(root, params).evaluation("toy", split)
    return stage.make(folder, {"split": split}, lambda aside: _write(aside, 0.5))


def make_bundle(root, params):
    """Makes `out/toy_bundle/`."""

    def build(aside):
        aside.mkdir(parents=True, exist_ok=True)
        bundle.write(aside, FORM, params, where="Atlantis")

    return stage.make(root / "out" / "toy_bundle", {"toy": 1}, build)


def _write(folder, figure):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps({"right": figure}))


def _locator():
    from tests.fifth_system.locator import ToyLocator

    return ToyLocator


SYSTEM = System(
    name="toy",
    trainings={"toy": train},
    evaluate=evaluate,
    report=ToyReport,
    sheet=lambda summary: Sheet("toy", ("share",), [("right", f"{summary['right']:.0%}")]),
    headline=dict,
    bundling=Bundling(make_bundle, lambda at: at.root / "out" / "toy_bundle", FORM.kind, _locator),
)
