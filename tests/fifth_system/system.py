"""A fifth system: whatever the video, it is in the place that its one weight stands for."""

import json
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from vidtag_ml.models import bundle
from vidtag_ml.models.comparison import shares
from vidtag_ml.models.gate import Judging, Rule
from vidtag_ml.models.system import Bundling, Registration, Sheet, System, Training
from vidtag_ml.workflow import inputs, layout, stage

FORM = bundle.Form("legends", 1, ("registry",), ("where",))
COMMAND, WEIGHTS = "vidtag train toy", "model.safetensors"
PLACES = ("Atlantis", "El Dorado")


class ToyReport:
    """A figure, and whether each clip is right."""

    def __init__(self, folder):
        self.summary = json.loads((folder / "summary.json").read_text())
        self.per_clip = pd.DataFrame({"clip_id": ["a", "b"], "right": self.summary["right"]})


def train(root, params, logger=None):
    """Makes `out/toy/`: a weight, which is 0 where the seed of the splits is even."""
    at = layout.of(root, params)

    def build(aside):
        aside.mkdir(parents=True, exist_ok=True)
        save_file({"place": torch.tensor(params.clips.seed % 2)}, aside / WEIGHTS)
        (aside / "losses.csv").write_text("step,loss,val_loss\n0,1.0,1.0\n1,0.5,0.5\n")
        if logger:
            logger.log_metrics({"loss": 1.0})

    key = {"seed": params.clips.seed, "tables": inputs.tables_digest(at.dataset)}
    return stage.make(at.model("toy"), key, build)


def evaluate(root, params, split):
    """Makes `out/evaluation/toy/<split>/`."""
    at = layout.of(root, params)
    key = {"split": split, "model": inputs.input_digest(at.model("toy") / WEIGHTS, COMMAND)}

    def build(aside):
        aside.mkdir(parents=True, exist_ok=True)
        right = 1 - _weight(at.model("toy"))
        (aside / "summary.json").write_text(json.dumps({"right": right, "split": split}))

    return stage.make(at.evaluation("toy", split), key, build)


def make_bundle(root, params):
    """Makes `out/toy_bundle/`."""
    model = layout.of(root, params).model("toy")

    def build(aside):
        aside.mkdir(parents=True, exist_ok=True)
        bundle.write(aside, FORM, params, where=PLACES[_weight(model)])

    key = {"model": inputs.input_digest(model / WEIGHTS, COMMAND)}
    return stage.make(root / "out" / "toy_bundle", key, build)


def _weight(folder: Path):
    return int(load_file(folder / WEIGHTS)["place"])


def _locator():
    from tests.fifth_system.locator import ToyLocator

    return ToyLocator


RULE = Rule(
    unit="val clips",
    scores=lambda report: report.per_clip.set_index("clip_id")["right"].astype(float),
    incomparable=lambda _a, _b: None,
    scale=shares("of the clips right"),
)
SYSTEM = System(
    name="toy",
    title="Toy",
    trainings={
        "toy": Training(
            train,
            ("clips",),
            lambda params: params.registry,
            "One weight.\n\n**When it fails:** it does not.",
        )
    },
    evaluate=evaluate,
    report=ToyReport,
    sheet=lambda summary: Sheet("toy", ("share",), [("right", f"{summary['right']:.0%}")]),
    headline=dict,
    show=lambda reports, _at, _params: {"clips": reports["test"].per_clip},
    about="Whether it is right.\n\n**When it fails:** it does not.",
    bundling=Bundling(
        make_bundle,
        lambda at: at.root / "out" / "toy_bundle",
        FORM.kind,
        _locator,
        Registration(
            lambda: Judging(
                RULE,
                lambda report, _at, _params: [(report.summary["right"] > 0, "over nothing")],
                lambda _champion: None,
            ),
            "It must be right.",
            recorded=("clips",),
        ),
    ),
)
