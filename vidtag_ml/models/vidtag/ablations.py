"""The rows of the benchmark's main table: what each changes, and what it is compared with.

Belongs here: which rows there are. Does not belong here: how one is made and measured
(benchmark.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vidtag_ml import config

Maker = Literal["phase_one", "phase_two", "geoclip", "classifier"]
SEEDS = (11, 12)
"""Of the trainings by which headline rows are made again, beside the params' own."""
LEVELS = 2
"""Divisions after which coarse-to-fine search is compared with exact search."""
ZERO_SHOT = "clip_vit_l14"
"""Encoder of the released GeoCLIP."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    """As in the table."""
    group: str
    """Heading under which it stands."""
    made_by: Maker
    """Stage that trains its model."""
    decoding: str
    """Value of `evaluation.decoding`."""
    params: config.Params
    """With everything that the row changes."""
    variant: str = ""
    """Where its model lies; empty = the params' own model."""
    against: str | None = None
    """Row whose clips it is compared with, one by one."""
    seed_of: str | None = None
    """Row that it is but for the seed of its training."""
    gallery: Literal["params", "coarse", "finest"] = "params"
    """What is searched: the model's points in the params' gallery, a lattice so coarse that its
    cells, divided `LEVELS` times, are just below `index.MOST_FINEST`, or all of these."""


@dataclass
class _Rows:
    """Collects rows; each changes the same params."""

    params: config.Params
    rows: list[Row] = field(default_factory=list)
    group: str = ""

    def add(
        self,
        name: str,
        made_by: Maker,
        decoding: str,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        **more: Any,
    ) -> None:
        params = self.params
        for section, values in (changes or {}).items():
            params = replace(params, **{section: replace(getattr(params, section), **values)})
        evaluation: dict[str, Any] = {"decoding": decoding}
        params = replace(params, evaluation=replace(params.evaluation, **evaluation))
        self.rows.append(Row(name, self.group, made_by, decoding, params, **more))


def rows(params: config.Params) -> list[Row]:
    """The rows of issue and papers, for a params file whose features come from two encoders.

    Raises:
        ValueError: `phase_one.encoders` are not two, or the gallery is no lattice.
    """
    if params.gallery.source != "lattice":
        found = params.gallery.source
        raise ValueError(f"gallery.source is {found}: the benchmark needs a lattice")
    if len(params.phase_one.encoders) != 2:
        raise ValueError(
            f"phase_one.encoders are {', '.join(params.phase_one.encoders)}: the benchmark "
            "compares two and their union"
        )
    table = _Rows(params)
    _baselines(table)
    _ablation(table)
    _decoders(table)
    _searches(table)
    _alignments(table)
    _refiners(table)
    _seeds(table)
    return table.rows


TEMPGEO, VITERBI = "both encoders + TempGeo", "TempGeo + Viterbi"
MOTION = "TempGeo + motion"
REFINED = "+ GeoRefiner (VidTAG)"
GEOCLIP_MOTION = "GeoCLIP fine-tuned + motion"
MISLED_CROSS_FIT = "kernel loss, cross-fit in two, frames misled"
COARSE = "coarse to fine"
COARSER = "coarse to fine from a coarser gallery"
FINEST = "exact over all of its finest points"


def _baselines(table: _Rows) -> None:
    table.group = "Baselines"
    first, second = table.params.phase_one.encoders
    if ZERO_SHOT in table.params.features.encoders:
        from vidtag_ml.encoders.location import GEOCLIP_SIGMAS

        location = config.Location(GEOCLIP_SIGMAS, num_frequencies=256, hidden=1024)
        released: dict[str, dict[str, Any]] = {
            "model": {"embed_dim": 512, "location": location},
            "geoclip": {
                "encoders": (ZERO_SHOT,),
                "sigmas": GEOCLIP_SIGMAS,
                "epochs": 0,
                "location_start": "geoclip_location",
                "image_start": "geoclip_image",
            },
        }
        table.add("GeoCLIP zero-shot", "geoclip", "initial", released, variant="zero-shot")
    table.add("GeoCLIP fine-tuned", "geoclip", "initial", against=TEMPGEO)
    table.add("GeoCLIP fine-tuned + Viterbi", "geoclip", "viterbi", against=VITERBI)
    for role, encoder in (("CLIP", first), ("DINOv2", second)):
        changes: dict[str, dict[str, Any]] = {"classifier": {"encoder": encoder}}
        variant = "" if encoder == table.params.classifier.encoder else f"classifier-{encoder}"
        table.add(f"{role} classifier", "classifier", "initial", changes, variant=variant)


def _ablation(table: _Rows) -> None:
    table.group = "What each part buys (frame by frame)"
    first, second = table.params.phase_one.encoders
    alone: dict[str, Any] = {"temporal_layers": 0}
    for name, encoders, sizes, variant in (
        ("CLIP-role encoder", (first,), alone, "clip"),
        ("DINOv2-role encoder", (second,), alone, "dino"),
        ("DINOv2-role encoder + TempGeo", (second,), {}, "dino-tempgeo"),
        ("both encoders", (first, second), alone, "both"),
    ):
        changes: dict[str, dict[str, Any]] = {
            "phase_one": {"encoders": encoders},
            "model": sizes,
        }
        table.add(name, "phase_one", "initial", changes, variant=variant, against=TEMPGEO)
    table.add(TEMPGEO, "phase_one", "initial")
    table.add(REFINED, "phase_two", "refined", against=TEMPGEO)


def _decoders(table: _Rows) -> None:
    table.group = "Decoders without training"
    table.add(VITERBI, "phase_two", "viterbi", against=TEMPGEO)
    table.add(MOTION, "phase_two", "motion", against=VITERBI)
    table.add(GEOCLIP_MOTION, "geoclip", "motion", against=MOTION)
    table.add("TempGeo + GeoRefiner + Viterbi", "phase_two", "refined_viterbi", against=VITERBI)


def _searches(table: _Rows) -> None:
    table.group = "Search"
    search = table.params.evaluation.search

    def add(name: str, decoding: str, method: Any, **more: Any) -> None:
        changes = {"evaluation": {"search": replace(search, method=method)}}
        table.add(name, "phase_one", decoding, changes, **more)

    add(f"{COARSE}", "initial", "coarse_to_fine", against=TEMPGEO)
    add(COARSER, "initial", "coarse_to_fine", gallery="coarse")
    add(FINEST, "initial", "exact", gallery="finest", against=COARSER)
    add("FAISS flat", "initial", "faiss_flat", against=TEMPGEO)
    add("FAISS inverted lists", "initial", "faiss_ivf", against=TEMPGEO)


def _alignments(table: _Rows) -> None:
    table.group = f"Phase I settings (against {TEMPGEO})"
    none: dict[str, Any] = {"num_random_negatives": 0, "queue_size": 0}
    one_hot: dict[str, Any] = {"soft_targets_km": None, "num_near_targets": 0}
    for name, changes in (
        ("head from random weights", {"image_start": None}),
        ("symmetric loss", {"direction": "symmetric"}),
        ("clips as units", {"unit": "clip"}),
        ("no extra negatives", none),
        ("queue of 4,096", {**none, "queue_size": 4096, "queue_mask_km": 1.0}),
        ("one-hot targets, no extra negatives", {**none, **one_hot}),
    ):
        variant = name.replace(" ", "-").replace(",", "")
        table.add(
            name, "phase_one", "initial", {"phase_one": changes}, variant=variant, against=TEMPGEO
        )


def _refiners(table: _Rows) -> None:
    table.group = f"Phase II settings (against {TEMPGEO}; with Viterbi, against {VITERBI})"
    noise = table.params.phase_two.noise
    synthetic, predicted = (replace(noise, predicted_probability=p) for p in (0.0, 1.0))
    misled = replace(predicted, wander_km=28.0, swap_probability=0.06)
    identity, kernel = {"loss": "identity"}, {"loss": "kernel", "off_diagonal_weight": 1.0}
    rows: dict[str, dict[str, Any]] = {
        "identity loss, synthetic noise": {**identity, "noise": synthetic},
        "identity loss, Phase I predictions": {**identity, "noise": predicted},
        "identity loss, off-diagonal 0.01, synthetic noise": {
            **identity, "off_diagonal_weight": 0.01, "noise": synthetic,
        },
        "identity loss, off-diagonal 0.01, predictions": {
            **identity, "off_diagonal_weight": 0.01, "noise": predicted,
        },
        "kernel loss, frames misled": {**kernel, "noise": misled},
        "kernel loss, cross-fit in two": {**kernel, "noise": predicted, "cross_fit_parts": 2},
        MISLED_CROSS_FIT: {**kernel, "noise": misled, "cross_fit_parts": 2},
    }  # fmt: skip

    def add(name: str, of: str, decoding: str, against: str) -> None:
        variant = "refiner-" + of.replace(" ", "-").replace(",", "")
        changes = {"phase_two": rows[of]}
        table.add(name, "phase_two", decoding, changes, variant=variant, against=against)

    for name in rows:
        add(name, name, "refined", TEMPGEO)
    for name in ("kernel loss, frames misled", MISLED_CROSS_FIT):
        add(f"{name} + Viterbi", name, "refined_viterbi", VITERBI)


def _seeds(table: _Rows) -> None:
    table.group = "Other seeds of training"
    made: list[tuple[str, Maker, str, str | None]] = [
        (TEMPGEO, "phase_one", "initial", None),
        (MOTION, "phase_one", "motion", TEMPGEO),
        (GEOCLIP_MOTION, "geoclip", "motion", MOTION),
    ]
    for seed in SEEDS:
        changes = {"phase_one": {"seed": seed}, "geoclip": {"seed": seed}}
        for row, made_by, decoding, other in made:
            more = {"against": other and f"{other}, seed {seed}", "seed_of": row}
            name, variant = f"{row}, seed {seed}", f"seed-{seed}"
            table.add(name, made_by, decoding, changes, variant=variant, **more)
