"""How far a clock is ahead of UTC, as texts say it.

Belongs here: offsets, and how far zones of the Earth can be ahead. Does not belong here: names of
zones, local time of a place (vidtag_ml.ingest.own.clocks).
"""

import math
import re

FIRST_S, LAST_S = -12 * 3600.0, 14 * 3600.0
"""Zones of the Earth are no less and no more ahead of UTC."""
_BROKEN = (-9.5, -3.5, -2.5, 3.5, 4.5, 5.5, 5.75, 6.5, 8.75, 9.5, 10.5, 12.75, 13.75)
IN_USE = tuple(3600.0 * hours for hours in sorted((*range(-12, 15), *_BROKEN)))
"""How far zones in use are ahead of UTC."""
_WRITTEN = re.compile(
    r"(?:UTC|GMT)?\s*([+\u2212-])(\d{1,2})(?::?([0-5]\d))?|UTC|GMT|Z", re.ASCII | re.IGNORECASE
)


def ahead_s(written: str) -> float:
    """Seconds that a zone is ahead of UTC; NaN if the text is none, or none of the Earth.

    >>> ahead_s("+05:30"), ahead_s("-0330"), ahead_s("UTC+2"), ahead_s("Z"), ahead_s("+15")
    (19800.0, -12600.0, 7200.0, 0.0, nan)
    """
    found = _WRITTEN.fullmatch(written.strip())
    if not found:
        return math.nan
    sign, hours, minutes = found.groups(default="0")
    size_s = 3600.0 * int(hours) + 60.0 * int(minutes)
    zone_s = size_s if sign in "+0" else -size_s
    return zone_s if FIRST_S <= zone_s <= LAST_S else math.nan
