"""Configuration: `params.yaml` as frozen dataclasses, a module a section, read strictly.

All of it is reached through this package: `config.load`, `config.Params`, `config.Gallery` ...
"""

from vidtag_ml.config.cityguessr import CityGuessr, CityGuessrNetwork, CityGuessrTraining
from vidtag_ml.config.clips import PUBLISHED, SOURCES, Clips
from vidtag_ml.config.evaluation import Decoding, Evaluation, Search
from vidtag_ml.config.features import Features
from vidtag_ml.config.gallery import Aerial, Gallery
from vidtag_ml.config.gama import (
    Fusion,
    Gama,
    GamaNetwork,
    GamaTraining,
    Heading,
    HeadingTraining,
    Screening,
    ScreeningNetwork,
)
from vidtag_ml.config.geoclip import Classifier, GeoCLIP
from vidtag_ml.config.params import PRESETS, Params, load
from vidtag_ml.config.parsing import as_dict, parse, part
from vidtag_ml.config.ranges import (
    Amount,
    Count,
    Degrees,
    Dropout,
    Portion,
    Positive,
    Range,
    Share,
    Some,
    Whole,
    Zoom,
)
from vidtag_ml.config.registry import Registry
from vidtag_ml.config.retraining import Retraining
from vidtag_ml.config.revisit import Revisit
from vidtag_ml.config.training import Training
from vidtag_ml.config.vidtag import Location, Model, Noise, PhaseOne, PhaseTwo

__all__ = [
    "PRESETS",
    "PUBLISHED",
    "SOURCES",
    "Aerial",
    "Amount",
    "CityGuessr",
    "CityGuessrNetwork",
    "CityGuessrTraining",
    "Classifier",
    "Clips",
    "Count",
    "Decoding",
    "Degrees",
    "Dropout",
    "Evaluation",
    "Features",
    "Fusion",
    "Gallery",
    "Gama",
    "GamaNetwork",
    "GamaTraining",
    "GeoCLIP",
    "Heading",
    "HeadingTraining",
    "Location",
    "Model",
    "Noise",
    "Params",
    "PhaseOne",
    "PhaseTwo",
    "Portion",
    "Positive",
    "Range",
    "Registry",
    "Retraining",
    "Revisit",
    "Screening",
    "ScreeningNetwork",
    "Search",
    "Share",
    "Some",
    "Training",
    "Whole",
    "Zoom",
    "as_dict",
    "load",
    "parse",
    "part",
]
