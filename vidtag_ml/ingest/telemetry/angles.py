"""Latitudes and longitudes as text writes them: signs, letters of hemispheres, minutes, commas.

Belongs here: what a text says of an angle, with what the column of its hemisphere says beside it.
Does not belong here: which of two numbers is the latitude if no letter tells (order.py), what
columns and keys are called (table.py, srt.py). Shape legend: N rows.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

AXES = {"N": "lat", "S": "lat", "E": "lon", "W": "lon"}
"""Which angle a letter belongs to."""
NAMES = {"lat": "latitude", "lon": "longitude"}
_LONGEST = 60
"""Characters of the longest text that is an angle."""
_MOST = 0.9
"""Letters of so large a share of all rows tell what a column holds."""
_NUMBER = r"\d{1,9}(?:[.,]\d{0,20})?"
_LETTER = r"north|south|east|west|[nsew]"
_MARKS = str.maketrans(
    {"\u2212": "-"}
    | dict.fromkeys("\u2019\u2032\u00b4", "'")
    | dict.fromkeys("\u2033\u201d", '"')
    | dict.fromkeys("\u00ba\u02da", "\u00b0")
)
"""Minus signs and marks of minutes, seconds and degrees, as they are typed."""
_DEGREES = r"\s*(?:\u00b0|:|deg(?:rees)?|d)"
_FLAGS = re.ASCII | re.IGNORECASE | re.VERBOSE
_ANGLE = re.compile(
    rf"""(?:({_LETTER})\s*:?\s*)? ([-+])?\s*
    ({_NUMBER}) (?:(?:{_DEGREES}\s*|\s+)
    ({_NUMBER}) (?:(?:\s*[':]\s*|\s+)
    ({_NUMBER}) (?:\s*(?:\"|''))? | \s*')? | {_DEGREES}?)
    \s*({_LETTER})?""",
    _FLAGS,
)
_LEADING = re.compile(
    rf"""\s*(?:(?:{_LETTER})\s*:?\s*)?[-+\u2212]?\s*{_NUMBER}(?:e[-+]?\d{{1,3}})?(?![.,]?\d)
    (?:\s*[\u00b0\u00ba](?:\s*{_NUMBER}\s*['\u2032\u2019](?:\s*{_NUMBER}\s*(?:[\"\u2033\u201d]|''))?)?)?
    (?:\s*(?:{_LETTER})(?![a-z])(?!\s*[:=]))?""",
    _FLAGS,
)
_WORDS = {
    **dict.fromkeys(("n", "north", "nord", "norte"), "N"),
    **dict.fromkeys(("s", "south", "sud", "s\u00fcd", "sur", "sul"), "S"),
    **dict.fromkeys(("e", "east", "est", "este", "ost", "leste"), "E"),
    **dict.fromkeys(("w", "west", "ouest", "oeste"), "W"),
}
"""Hemispheres in words; O is east in German and west in French."""
_MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "--", "undefined")


_AS_NMEA = re.compile(
    r"[^\d+-]*(?:(\d{1,3})(?=\d\d(?!\d)))?([0-5]?\d(?:[.,]\d*)?)[^\d+-]*", re.ASCII
)
"""Degrees and minutes in one number."""


@dataclass(frozen=True)
class Angle:
    """What a text says of an angle."""

    size: float
    """Degrees, without a sign."""
    sign: str
    """+, - or nothing."""
    letter: str
    """N, S, E, W or nothing; ? for another word, two if a column contradicts its own."""


@dataclass(frozen=True)
class Places:
    """Angles of N rows as degrees, NaN where a row has none, and what was done, a sentence each."""

    lat: Floats
    lon: Floats
    told: tuple[str, ...]


def angle(text: str) -> Angle | None:
    """What a text says of an angle; None if it is none, or more than one.

    A comma is a decimal point. Minutes or seconds that a writer rounded up to 60 are read.

    >>> angle(" 33,85 S"), angle("-33.85"), angle("47,5,8")
    (Angle(size=33.85, sign='', letter='S'), Angle(size=33.85, sign='-', letter=''), None)
    """
    if plain := _plain(text):
        return plain
    text = text.strip().translate(_MARKS)
    found = _ANGLE.fullmatch(text) if len(text) <= _LONGEST else None
    if not found:
        return None
    before, sign, *numbers, after = found.groups()
    parts = [float(number.replace(",", ".")) for number in numbers if number]
    whole = all(part == int(part) for part in parts[:-1])
    if (before and after) or not whole or max(parts[1:], default=0.0) > 60.0:
        return None
    size = sum(part / 60.0**k for k, part in enumerate(parts))
    return Angle(size, sign or "", (before or after or "")[:1].upper())


def signed(axis: str, said: Angle) -> tuple[float, str]:
    """Degrees of an angle that should have a letter, and what was done or is wrong.

    NaN if its sign cannot be known: without a letter, only a minus tells it.

    >>> signed("lat", Angle(33.85, "-", "")), signed("lat", Angle(33.85, "", "S"))
    ((-33.85, 'negative by its sign, without a letter'), (-33.85, ''))
    """
    if wrong := _doubt(axis, said):
        return math.nan, f"{wrong}: left out"
    if not said.letter:
        return -said.size, "negative by its sign, without a letter" if said.size else ""
    if said.letter in "NE":
        return said.size, ""
    if said.sign == "-":
        return -said.size, f"with a minus and the letter {said.letter}: taken as negative"
    return -said.size, ""


def _doubt(axis: str, said: Angle) -> str:
    """Why the sign of an angle cannot be known; empty if it can."""
    if not said.letter:
        letters = " or ".join(letter for letter, of in AXES.items() if of == axis)
        return f"without {letters}" if said.sign != "-" and said.size else ""
    if len(said.letter) > 1:
        return "with a letter that its column contradicts"
    if said.letter not in AXES:
        return "with a word that names no hemisphere"
    if AXES[said.letter] != axis:
        return f"with the letter {said.letter}"
    if said.sign == "-" and said.letter in "NE":
        return f"with a minus and the letter {said.letter}, which contradict each other"
    return ""


def leading(text: str) -> str:
    """The angle that a text begins with, as text; all of it if it begins with none.

    >>> leading("47,5, longitude"), leading("33.85 S, "), leading("1e-05]"), leading("47,5,8,5")
    ('47,5', '33.85 S', '1e-05', '47,5,8,5')
    """
    found = _LEADING.match(text)
    return found[0] if found else text


def letter(text: str) -> str:
    """The hemisphere that a text of nothing else names: N, S, E, W, or ? if it is another word.

    Numbers and missing texts name none.

    >>> letter(" south "), letter("W"), letter("O"), letter("1"), letter("NA")
    ('S', 'W', '?', '', '')
    """
    text = text.strip("\0 \t").lower()
    unnamed = text in _MISSING or _plain(text) is not None
    return _WORDS.get(text, "" if unnamed else "?")


def is_missing(text: str) -> bool:
    """Whether a text says that there is nothing.

    >>> is_missing(" N/A "), is_missing("0")
    (True, False)
    """
    return text.strip("\0 \t").lower() in _MISSING


def places(
    lat: Sequence[str], lon: Sequence[str], lat_refs: Sequence[str], lon_refs: Sequence[str]
) -> Places:
    """Latitudes and longitudes of N rows, with what columns of hemispheres say of them.

    Letters tell the sign, and which column is which; without any the sign of the number does. What
    contradicts itself is left out.

    Args:
        lat: texts (N,) that should be latitudes.
        lon: texts (N,) that should be longitudes.
        lat_refs: texts (N,) that name hemispheres, or none at all.
        lon_refs: those of the longitudes.
    """
    first, second = _angles(lat, lat_refs), _angles(lon, lon_refs)
    told = [
        *_unread("latitudes", lat, first, lat_refs),
        *_unread("longitudes", lon, second, lon_refs),
    ]
    if _are_nmea((*lat, *lon), (*first, *second)):
        first, second = _from_nmea(lat, first), _from_nmea(lon, second)
        told.append("numbers as 4730.5 N are read as NMEA writes them: 47 degrees, 30.5 minutes")
    if _mostly("lon", first) and _mostly("lat", second):
        first, second = second, first
        told.append("latitude and longitude were exchanged: letters N, S, E and W say so")
    lat_N, of_lat = _degrees("lat", first)
    lon_N, of_lon = _degrees("lon", second)
    return Places(lat_N, lon_N, (*told, *of_lat, *of_lon))


def _unread(
    name: str, texts: Sequence[str], found: Sequence[Angle | None], refs: Sequence[str]
) -> Iterator[str]:
    """What is told of texts that are neither an angle nor missing, and of hemispheres unnamed."""
    unread = (text for text, said in zip(texts, found, strict=True) if said is None)
    wrong = [text for text in unread if text.strip().lower() not in _MISSING]
    if wrong:
        yield f"of {len(texts)} {name}, {len(wrong)} left out: no angle, as {wrong[0][:40]!r}"
    if refs and not any(map(letter, refs)):
        yield f"the column of their hemispheres names none: {name} taken by their signs"


def _plain(text: str) -> Angle | None:
    """A number as Python reads it, as most are; no NaN and nothing infinite."""
    try:
        number = float(text)
    except ValueError:
        return None
    if "_" in text:  # 4_8 is 48 to Python alone
        return None
    sign = "-" if math.copysign(1.0, number) < 0 else ""
    return Angle(abs(number), sign, "") if math.isfinite(number) else None


def _angles(texts: Sequence[str], refs: Sequence[str]) -> list[Angle | None]:
    """Angles with the letters of another column; those that it contradicts have two."""
    letters = [letter(ref) for ref in refs]
    found = [angle(text) for text in texts]
    if not any(letters):
        return found
    return [said and _named(said, named) for said, named in zip(found, letters, strict=True)]


def _named(said: Angle, named: str) -> Angle:
    both = said.letter if named in ("", said.letter) else said.letter + named
    return Angle(said.size, said.sign, both)


def _are_nmea(texts: Sequence[str], found: Sequence[Angle | None]) -> bool:
    """Whether angles, all with letters, are degrees and minutes in one number.

    On one axis at least most have four digits before the point, or are no angles in degrees.
    """
    known = [(text, said) for text, said in zip(texts, found, strict=True) if said]
    if not all(said.letter in AXES and _AS_NMEA.fullmatch(text) for text, said in known):
        return False
    shows: dict[str, list[bool]] = {axis: [] for axis in NAMES}
    for text, said in known:
        beyond = said.size > (180.0 if AXES[said.letter] == "lat" else 360.0)
        shows[AXES[said.letter]].append(beyond or bool(re.search(r"(?<![.,\d])\d{4}", text)))
    return any(sum(of_axis) >= max(1, _MOST * len(of_axis)) for of_axis in shows.values())


def _from_nmea(texts: Sequence[str], found: Sequence[Angle | None]) -> list[Angle | None]:
    read = map(_AS_NMEA.fullmatch, texts)
    return [said and made and _of_nmea(made, said) for made, said in zip(read, found, strict=True)]


def _of_nmea(made: re.Match[str], said: Angle) -> Angle:
    degrees, minutes = made.groups()
    size = float(degrees or 0) + float(minutes.replace(",", ".")) / 60.0
    return Angle(size, said.sign, said.letter)


def _mostly(axis: str, found: Sequence[Angle | None]) -> bool:
    """Whether the letters of nearly all angles belong to an axis."""
    known = [a for a in found if a]
    of_axis = sum(AXES.get(a.letter) == axis for a in known)
    return bool(known) and of_axis >= _MOST * len(known)


def _degrees(axis: str, found: Sequence[Angle | None]) -> tuple[Floats, tuple[str, ...]]:
    """Signed degrees (N,), and what was done."""
    known = [a for a in found if a]
    num_letters = sum(bool(a.letter) for a in known)
    few = 2 * num_letters <= len(known)
    done: Counter[str] = Counter()
    degrees = np.full(len(found), np.nan)
    for k, said in enumerate(found):
        if said and few and not said.letter:
            degrees[k] = -said.size if said.sign == "-" else said.size
        elif said:
            degrees[k], what = signed(axis, said)
            if degrees[k] < 0 and not what:
                what = f"negative by the letter {said.letter}"
            done[what] += 1
    if few and num_letters:
        done["without a letter, as others have: taken by their signs"] = len(known) - num_letters
    of = f"of {len(known)} {NAMES[axis]}s"
    told = (f"{num} {of} {what}" for what, num in done.items() if what)
    return degrees, tuple(told)
