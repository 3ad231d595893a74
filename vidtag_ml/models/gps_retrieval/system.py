"""What all systems have in common that search coordinates.

Belongs here: their reports. Does not belong here: any of them (its system.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidtag_ml.models.report import Report


def read_report(folder: Path) -> "Report":
    """The report on tracks in a folder."""
    from vidtag_ml.models.report import Report

    return Report.read(folder)
