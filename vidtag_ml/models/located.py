"""Located tracks: the answer of each system that gives tracks.

Belongs here: a located track beside what the recording itself says, as JSON and in every format.
Does not belong here: tracks themselves (earth/tracks.py), the formats (earth/track_files.py,
earth/geoparquet.py, plots), what a receiver says (measured.py), what the page shows beside it
(shown.py), locating (each system's locator.py). Shape legend: T frames, 2 =
(lat, lon) in degrees.
"""

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vidtag_ml.earth import sphere
from vidtag_ml.earth.geoparquet import write_geoparquet
from vidtag_ml.earth.origin import Facts
from vidtag_ml.earth.track_files import write_csv, write_geojson, write_gpx, write_kml
from vidtag_ml.earth.tracks import Track, iso_8601, legible
from vidtag_ml.models import shown
from vidtag_ml.models.measured import HELD, Measured, measured
from vidtag_ml.models.recording import Began, Recording
from vidtag_ml.workflow import stage

_WRITERS = {
    "gpx": write_gpx, "geojson": write_geojson, "kml": write_kml, "csv": write_csv,
    "parquet": write_geoparquet,
}  # fmt: skip
"""Suffix -> what writes such a file of a track."""
UNTIMED = "no recording time known: times are from the start"


@dataclass(frozen=True, kw_only=True)
class LocatedTrack(Track):
    """A track that a model found, and what its recording says itself."""

    noun: ClassVar[str] = "track"
    timed: ClassVar[bool] = True
    mode: str
    """How the clips moved that the model was trained on."""
    max_speed_kmh: Mapping[str, float]
    """Limit by mode, above which a measured position is not believed."""
    began: Began | None = None
    """When time 0 was, and who says so."""
    gps: Measured | None = None
    """What the recording's own receiver says."""
    seen: Recording | None = None
    """What was located."""
    track_radius_km: float | None = None
    """Distance from the track that all of the truth is within, in 9 of 10 clips; None = nobody
    knows."""
    foreign: str = ""
    """What the model knows, if this recording is of another kind."""
    unsure: tuple[str, ...] = ()
    """What is not known of how sure it is, a sentence each."""
    places: Sequence[Mapping[str, Any]] = ()
    """Names that hold most of the probability, coarse to fine: level, name and mass."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What was known before it was located, and what the model by itself held of that."""

    def __post_init__(self) -> None:
        """Calls the clip so that every file can say it, and checks as `Track` does."""
        object.__setattr__(self, "clip", legible(self.clip))
        super().__post_init__()

    @property
    def told(self) -> tuple[str, ...]:
        """What was assumed about it, a sentence each."""
        said = self.gps.told if self.gps else ()
        return (*said, *(self.began.told if self.began else (UNTIMED,)), *self.unsure)

    def beside(self, seen: Recording, began: Began | None) -> "LocatedTrack":
        """The track with when its recording began, and what its receiver says of where it was.

        Args:
            seen: what was located.
            began: when it began, whatever it says itself; None = as it says.
        """
        gps = measured(seen, self.time_s, self.mode, self.max_speed_kmh)
        began = began or (gps and gps.began) or seen.began
        start = began.moment if began else None
        return dataclasses.replace(self, start=start, began=began, gps=gps, seen=seen)

    def as_json(self) -> dict[str, Any]:
        """Plain values: the points, when they were, how far they are from the receiver's.

        What is not known of a point is null.
        """
        table = self.table().astype(object)
        began, points = self.began, table.where(table.notna(), None).to_dict("records")
        if began:
            for point in points:
                point["time"] = iso_8601(began.moment + dt.timedelta(seconds=point["time_s"]))
        return {
            "start_time": iso_8601(began.moment) if began else None,
            "start_time_from": began.source if began else None,
            "radius_km": self.track_radius_km,
            "track": points,
            **({"areas": list(self.areas)} if self.areas else {}),
            **({"place": dict(self.places[-1])} if self.places else {}),
            **({"given": dict(self.given)} if self.given else {}),
            **(_against(self.latlon_T2, self.gps) if self.gps else {}),
        }

    def write(self, folder: Path, name: str, facts: Facts) -> list[Path]:
        """Writes NAME.gpx, .geojson, .kml, .csv, .parquet, .json, .png, .html; gives the paths."""
        truth_T2 = self.gps.latlon_T2 if self.gps else None
        note = HELD if self.gps and self.gps.held else ""
        return write_files(self, facts, folder, name, truth_T2, note)


def write_files(
    track: LocatedTrack,
    facts: Facts,
    folder: Path,
    name: str = "track",
    truth_T2: np.ndarray | None = None,
    note: str = "",
) -> list[Path]:
    """Writes a track as NAME.gpx, .geojson, .kml, .csv, .parquet, .json, .png and .html.

    Returns the paths. The JSON file is what docs/schema/answer.schema.json says; the page shows it.

    Where no position is known there is no picture and no page, and none of before is left.

    Args:
        track: what was located.
        facts: where the track comes from; all files say so.
        folder: made if need be.
        name: of the files.
        truth_T2: true positions, drawn beside the track if they are known.
        note: what the picture says of these.
    """
    from vidtag_ml.plots import maps
    from vidtag_ml.plots.viewer import page

    paths = [folder / f"{name}.{kind}" for kind in _WRITERS]
    for path, write in zip(paths, _WRITERS.values(), strict=True):
        write(track, path, facts)
    answer, picture, map_page = (folder / f"{name}.{kind}" for kind in ("json", "png", "html"))
    told = _answer(track, facts, folder)
    stage.write_text(answer, json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    if not np.isfinite(track.latlon_T2).any():
        picture.unlink(missing_ok=True)
        map_page.unlink(missing_ok=True)
        return [*paths, answer]
    with stage.replacing(picture) as aside:
        maps.track_map(track, truth_T2, aside, note, facts)
    page.write(map_page, [shown.beside(told, track.seen)], track.clip)
    return [*paths, answer, picture, map_page]


def _answer(track: LocatedTrack, facts: Facts, folder: Path) -> dict[str, Any]:
    """What the JSON file in a folder says."""
    return {
        **shown.where(track.seen, folder),
        "origin": dict(facts),
        **track.as_json(),
        "told": [
            *([facts["foreign"]] if "foreign" in facts else []),
            *(track.seen.told if track.seen else ()),
            *track.told,
        ],
    }


def _against(latlon_T2: np.ndarray, gps: Measured) -> dict[str, Any]:
    """What a recording's own receiver measured, and how far a track is from that."""
    facts = {"source": gps.source, "num_fixes": gps.num_fixes, "num_dropped": gps.num_dropped}
    if gps.latlon_T2 is None:
        return {"gps": facts}
    errors_km = sphere.great_circle_km(latlon_T2, gps.latlon_T2)
    true = [None if np.isnan(p).any() else p.tolist() for p in gps.latlon_T2]
    error_km = float(np.nanmedian(errors_km))
    return {"gps": facts, "measured": true, "median_error_km": error_km}
