"""Slices: of which kind a clip is, each where that is known; the gate judges them one by one.

Belongs here: the ways of slicing clips. Does not belong here: comparing models on slices
(comparison.py), what follows from it (gate.py).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sun
from vidtag_ml.ingest.own import cameras, journal
from vidtag_ml.ingest.own.records import Accepted
from vidtag_ml.models import recording
from vidtag_ml.models.comparison import LEAST_UNITS
from vidtag_ml.workflow.layout import Layout

LATITUDES = {
    "arctic": 66.56, "northern temperate": 23.44, "tropics": -23.44,
    "southern temperate": -66.56, "antarctic": -90.0,
}  # fmt: skip
"""Bands from the north, with the latitude where each ends."""
DAY_DEG, NIGHT_DEG = 6.0, -6.0
"""Heights of the sun: higher it is day, lower it is night, between them light is dim."""


def of(at: Layout, split: str) -> pd.DataFrame:
    """The kinds of a split's clips by clip_id: a column a way of slicing, missing where unknown.

    Of time and camera only own recordings tell, by the journals of their datasets.
    """
    tables = clip_tables.read(at.dataset)
    clips = tables.clips[tables.clips["split"] == split].set_index("clip_id")
    first = tables.kept.drop_duplicates("clip_id").set_index("clip_id")
    latlon = first[["lat", "lon"]].reindex(clips.index).astype(float)
    told = _told(at.root, clips)
    return pd.DataFrame(
        {
            "continent": clips["continent"],
            "countries": countries(clips),
            "latitude": latitudes(latlon["lat"]),
            "time of day": times_of_day(told["began_s"], latlon),
            "mode": clips["mode"],
            "camera": told["camera"],
        }
    )


def countries(clips: pd.DataFrame) -> "pd.Series[str]":
    """The country of each clip if enough are of it, else the other ones of its continent."""
    num = clips.groupby("country")["country"].transform("size")
    others = "other countries of " + clips["continent"]
    grouped = clips["country"].where(num.fillna(0) >= LEAST_UNITS, others)
    return grouped.where(clips["country"].notna())


def latitudes(lat: "pd.Series[float]") -> "pd.Series[str]":
    """The band of each latitude."""
    ends = np.array(list(LATITUDES.values()))
    band = np.array(list(LATITUDES), object)[(lat.to_numpy(float)[:, None] < ends).sum(1)]
    return pd.Series(band, lat.index).where(lat.notna())


def times_of_day(began_s: "pd.Series[float]", latlon: pd.DataFrame) -> "pd.Series[str]":
    """Day, dim or night by the sun's height when and where a clip begins."""
    height = pd.Series(sun.height_deg(began_s, latlon), began_s.index)
    lit = np.select([height >= DAY_DEG, height > NIGHT_DEG], ["day", "dim light"], "night")
    return pd.Series(lit, began_s.index).where(height.notna())


def _told(root: Path, clips: pd.DataFrame) -> pd.DataFrame:
    """When clips began, in seconds since 1970, and by which cameras, as far as journals tell."""
    folders = [root / "data" / str(name) / journal.FOLDER for name in clips["dataset"].unique()]
    known = {r.clip.clip_id: r for r in _accepted(folders) if r.clip.clip_id in clips.index}
    rows = {name: (_began_s(record), _camera(record)) for name, record in known.items()}
    columns = ["began_s", "camera"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).reindex(clips.index)


def _accepted(folders: Iterable[Path]) -> Iterable[Accepted]:
    entries = (entry for folder in folders for entry in journal.read_all(folder))
    return (found for entry in entries for found in entry.found if isinstance(found, Accepted))


def _began_s(record: Accepted) -> float:
    began = recording.began(record.began_utc_s, "")
    return np.nan if began is None else began.moment.timestamp()


def _camera(record: Accepted) -> str | None:
    return cameras.of(Path(record.sources[0])) or None
