"""Whether the track beside a video agrees with the place that the video itself names.

A track with exchanged columns or lost hemispheres is a smooth track in another country. Where the
video's own location tag lies on it once it is turned in one way, and far from it as it is written,
the tag is right. A sign may have been lost and is put back; none that is written is taken away.

Belongs here: what the tag says of a track. Does not belong here: reading either (telemetry/), which
of them is used (positions.py). Shape legend: N points, 2 = (lat, lon) in degrees.
"""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.telemetry import quicktime

Floats = NDArray[np.float64]

FAR_KM = 50.0
"""A tag further from the whole track contradicts it."""
NEAR_KM = 5.0
"""A tag as near as this to a turned track confirms it."""


def corroborated(points: pd.DataFrame, tags: Mapping[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """Points of a track, turned as the video's location tag says, and what is told of it.

    Args:
        points: `points.COLUMNS`, of the time of the video.
        tags: the video's.
    """
    latlon_N2 = points[["lat", "lon"]].to_numpy(float)
    tag_2, told = _tagged(tags), _told(points, tags)
    if tag_2 is None or not told:
        return points, []
    turned = {what: found for what, found in _turned(latlon_N2) if _away_km(found, tag_2) < NEAR_KM}
    if len(turned) != 1:
        return points, [f"{told}, which is believed"]
    ((what, found),) = turned.items()
    return points.assign(lat=found[:, 0], lon=found[:, 1]), [f"{told}: {what}, as it says"]


def contradiction(points: pd.DataFrame, tags: Mapping[str, str]) -> list[str]:
    """What is told of a track inside a video that is far from the place of its tag.

    It is as the camera wrote it; the tag may be that of a phone, or of an earlier video.
    """
    told = _told(points, tags)
    return [f"{told}, which is believed"] if told else []


def _told(points: pd.DataFrame, tags: Mapping[str, str]) -> str:
    """How far a tag is from a track, if it is so far that they contradict each other."""
    tag_2 = _tagged(tags)
    away_km = 0.0 if tag_2 is None else _away_km(points[["lat", "lon"]].to_numpy(float), tag_2)
    if not FAR_KM < away_km < np.inf:
        return ""
    return f"the video's location tag is {away_km:.0f} km away from its track"


def _tagged(tags: Mapping[str, str]) -> Floats | None:
    """The place (2,) that a video's tags name; None if they name none that can be believed."""
    try:
        tagged = quicktime.read(tags).points[["lat", "lon"]].to_numpy(float)
    except ValueError:
        return None
    return tagged[0] if len(tagged) and published.on_earth(tagged)[0] else None


def _away_km(latlon_N2: Floats, tag_2: Floats) -> float:
    """How far a place is from the nearest point on Earth; infinite if there is none."""
    here_N2 = latlon_N2[published.on_earth(latlon_N2)]
    return float(np.min(sphere.great_circle_km(here_N2, tag_2), initial=np.inf))


def _turned(latlon_N2: Floats) -> Iterator[tuple[str, Floats]]:
    """A track in the other order and with signs that may be lost, and what was done to it."""
    for exchange, *negate in list(itertools.product((False, True), repeat=3))[1:]:
        found_N2 = latlon_N2[:, ::-1] if exchange else latlon_N2
        if not (found_N2[:, negate] < 0.0).any():
            yield _named(exchange, *negate), found_N2 * np.where(negate, -1.0, 1.0)


def _named(exchange: bool, negate_lat: bool, negate_lon: bool) -> str:
    said = ["latitude and longitude were exchanged"] if exchange else []
    negated = [name for name, done in (("latitude", negate_lat), ("longitude", negate_lon)) if done]
    return " and ".join([*said, *(f"the {name} was negated" for name in negated)])
