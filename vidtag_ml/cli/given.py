"""What `vidtag locate` is told of a recording beforehand, by options.

Belongs here: these options, and reading them. Does not belong here: what can be known
(models/given.py), regions (earth/regions.py), the command (locate.py).
"""

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vidtag_ml.earth.regions import Region
    from vidtag_ml.models.given import Given

_PANEL = "What you know already"


def _option(metavar: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        metavar=metavar, help=text, rich_help_panel=_PANEL
    )
    return option


Within = Annotated[
    str | None,
    _option("COUNTRY|S,W,N,E|FILE", "A country, a box of degrees, or a .geojson file."),
]
Near = Annotated[str | None, _option("LAT,LON,KM", "All of it was near this place.")]
Start = Annotated[str | None, _option("LAT,LON", "Where it begins.")]
End = Annotated[str | None, _option("LAT,LON", "Where it ends.")]
After = Annotated[
    str | None, _option("ISO8601", "Made in daylight, not before this; a day counts.")
]
Before = Annotated[
    str | None, _option("ISO8601", "Made in daylight, not after this; a day counts.")
]
Mode = Annotated[str | None, _option("MODE", "How it moved: the speed limit of that mode.")]
Coarse = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL", help="Tell and write nothing finer: continent, country, region, city."
    ),
]
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def read(
    within: str | None,
    near: str | None,
    start: str | None,
    end: str | None,
    after: str | None,
    before: str | None,
    mode: str | None,
) -> "Given":
    """What the options say.

    Raises:
        ValueError: one of them cannot be, or says nothing; names it.
    """
    from vidtag_ml.earth.regions import Circle
    from vidtag_ml.models.given import Given

    circle = None
    if near is not None:
        lat, lon, km = _numbers("--near", near, 3)
        if not km > 0:
            raise ValueError(f"--near is {near!r}; its kilometres must be positive")
        circle = Circle(_place("--near", near, lat, lon), km)
    first, last = _moment("--after", after), _moment("--before", before, ends=True)
    if first and last and first >= last:
        raise ValueError(f"--after {after} is not before --before {before}")
    return Given(
        _region(within),
        circle,
        None if start is None else _place("--start", start, *_numbers("--start", start, 2)),
        None if end is None else _place("--end", end, *_numbers("--end", end, 2)),
        first,
        last,
        mode,
    )


def level(coarse_only: str | None) -> str | None:
    """The level that `--coarse-only` names.

    Raises:
        ValueError: there is none of that name.
    """
    from vidtag_ml.earth.naming import LEVELS

    if coarse_only is not None and coarse_only not in LEVELS:
        raise ValueError(f"--coarse-only is {coarse_only!r}; it must be {', '.join(LEVELS)}")
    return coarse_only


def _region(within: str | None) -> "Region | None":
    from vidtag_ml.earth import regions

    if within is None:
        return None
    try:
        return regions.parse(within)
    except ValueError as error:
        raise ValueError(f"--within: {error}") from error


def _numbers(option: str, text: str, num: int) -> list[float]:
    wanted = "LAT,LON,KM" if num == 3 else "LAT,LON"
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != num:
        raise ValueError(f"{option} is {text!r}; it must be {wanted}, as 48.85,2.35")
    return found


def _place(option: str, text: str, lat: float, lon: float) -> tuple[float, float]:
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise ValueError(f"{option} is {text!r}; lat is -90 to 90 and comes first, lon -180 to 180")
    return lat, lon


def _moment(option: str, text: str | None, *, ends: bool = False) -> dt.datetime | None:
    """A moment in UTC; of a day its beginning, or its end."""
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        utc = moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return utc + dt.timedelta(days=1) if ends and _DAY.fullmatch(text) else utc
    except (ValueError, OverflowError) as error:
        told = "it must be as 2024-05-06T07:08+02:00, or a day"
        raise ValueError(f"{option} is {text!r}; {told} (without a zone, UTC)") from error
