"""Text files: their encodings, and numbers and times as they write them.

Belongs here: what bytes, and what one cell or element means by itself. Does not belong here: angles
(angles.py), which of all this a format has (its own file).
"""

import codecs
import datetime as dt
import math
import re

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by the bytes that files in them begin with; UTF-32 begins like UTF-16."""
_LEAP = re.compile(r":59:60(?!\d)", re.ASCII)
_GUESSED = "not in UTF-8: read as Windows-1252, of which only names may suffer"


def decoded(data: bytes, encoding: str = "utf-8") -> tuple[str, tuple[str, ...]]:
    """A file as text, and what was assumed of its encoding.

    Its first bytes tell UTF-8, 16 or 32; else it is in an encoding, or in Windows-1252 if not.

    >>> decoded("\u00e9".encode("utf-16")), decoded(b"a,b")
    (('\u00e9', ()), ('a,b', ()))
    """
    marked = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    if marked is None and 0 in data[:2]:
        marked = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        return data.decode(marked or encoding), ()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), (_GUESSED,)


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

    A leap second, 23:59:60, is the first of the next day.

    >>> utc_s("1970-01-01T01:00:00.5+01:00"), utc_s("2016-12-31T23:59:60Z") % 86400
    (0.5, 0.0)
    """
    written = (text or "").strip()
    if leap := _LEAP.search(written):
        before = utc_s(f"{written[: leap.start()]}:59:59{written[leap.end() :]}")
        return before + 1.0
    try:
        moment = dt.datetime.fromisoformat(written)
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
