"""All sections together, and the files that they are read from.

Belongs here: `Params`, a file on top of its preset and base. Values live in `params.yaml`, not
here, so that one file says everything a run depends on. Does not belong here: sections (the modules
beside this one), types (parsing.py), values computed from others.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidtag_ml.config.cityguessr import CityGuessr
from vidtag_ml.config.clips import SOURCES, Clips
from vidtag_ml.config.evaluation import Evaluation
from vidtag_ml.config.features import Features
from vidtag_ml.config.gallery import Aerial, Gallery
from vidtag_ml.config.gama import Fusion, Gama, Heading, Screening
from vidtag_ml.config.geoclip import Classifier, GeoCLIP
from vidtag_ml.config.parsing import parse
from vidtag_ml.config.registry import Registry
from vidtag_ml.config.retraining import Retraining
from vidtag_ml.config.revisit import Revisit
from vidtag_ml.config.vidtag import Model, PhaseOne, PhaseTwo


@dataclass(frozen=True)
class Params:
    """All sections of a params file."""

    clips: Clips
    gallery: Gallery
    features: Features
    model: Model
    phase_one: PhaseOne
    phase_two: PhaseTwo
    geoclip: GeoCLIP
    classifier: Classifier
    cityguessr: CityGuessr
    aerial: Aerial
    gama: Gama
    screening: Screening
    heading: Heading
    fusion: Fusion
    revisit: Revisit
    evaluation: Evaluation
    registry: Registry
    retraining: Retraining

    def __post_init__(self) -> None:
        """Refuses a cross-fit whose parts all start from what has learnt from every train clip."""
        if self.phase_two.cross_fit_parts and self.phase_one.location_start == "geoclip":
            raise ValueError(
                "phase_two.cross_fit_parts is set, and phase_one.location_start is geoclip, which "
                "has learnt where all train clips are: start from a pretrained encoder, or from "
                "null"
            )


PRESETS = Path(__file__).parent / "presets"
"""Readings of the paper that differ from ours (docs/specs/vidtag.md, section 13): keys to change,
as YAML."""


def load(path: Path) -> Params:
    """The configuration in a YAML file.

    A file with a key `base` holds changes to the file that it names, relative to its own folder; a
    key `preset` names changes to that base which come first: those in `PRESETS`.

    Raises:
        ValueError: a key is unknown, missing or there twice, or a value has the wrong type or lies
            outside its range; names the key. Or a file is no YAML in UTF-8.
        FileNotFoundError: there is no such file.
    """
    parsed = parse(Params, _resolved(path), str(path))
    assert isinstance(parsed, Params)
    if (source := parsed.clips.source) not in SOURCES:
        known = ", ".join(SOURCES)
        raise ValueError(f"{path}: clips.source is {source!r}; it must be one of {known}")
    return parsed


def _resolved(path: Path) -> Any:
    """The values of a file on top of its preset and base."""
    values = _yaml(path)
    if not isinstance(values, dict) or not {"base", "preset"} & set(values):
        return values
    own = {k: v for k, v in values.items() if k not in ("base", "preset")}
    if "base" not in values:
        raise ValueError(f"{path}: a preset changes another file: name that one as `base`")
    below = _resolved(path.parent / str(values["base"]))
    if "preset" in values:
        preset = PRESETS / f"{values['preset']}.yaml"
        if not preset.is_file():
            known = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
            raise ValueError(f"{path}: no preset is called {values['preset']!r}; known: {known}")
        below = _changed(below, _yaml(preset))
    return _changed(below, own)


def _changed(values: Any, changes: Any) -> Any:
    """`values` with `changes` laid over them, section by section."""
    if not (isinstance(values, dict) and isinstance(changes, dict)):
        return changes
    return {**values, **{k: _changed(values.get(k), v) for k, v in changes.items()}}


def _yaml(path: Path) -> Any:
    from vidtag_ml.config import strict_yaml  # `vidtag --help` has no use for yaml

    return strict_yaml.read(path)
