"""GeoCLIP as one of the systems: the baseline that others are measured against.

Belongs here: what it is made of. Does not belong here: any of that (stages.py).
"""

from functools import partial

from vidtag_ml.models.geoclip import stages
from vidtag_ml.models.gps_retrieval import figures
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.gps_retrieval.system import read_report
from vidtag_ml.models.system import System

SYSTEM = System(
    name="geoclip",
    trainings={"geoclip": stages.geoclip},
    evaluate=partial(gps_stages.evaluate_system, "geoclip"),
    report=read_report,
    sheet=figures.sheet,
    headline=figures.headline,
)
