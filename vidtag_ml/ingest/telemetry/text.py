"""Numbers and times as text files write them.

Belongs here: what one cell or element means by itself. Does not belong here: which of them a format
has (its own file).
"""

import datetime as dt
import math


def number(text: str | None) -> float:
    """A number; NaN if the text is none.

    >>> number(" 47.5 "), number("NA")
    (47.5, nan)
    """
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def utc_s(text: str | None) -> float:
    """Seconds since 1970 of a time by ISO 8601, in UTC if it has no zone; NaN if it is none.

    >>> utc_s("1970-01-01T01:00:00.5+01:00")
    0.5
    """
    try:
        moment = dt.datetime.fromisoformat((text or "").strip())
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
