"""`vidtag locate`: videos in; tracks, or names of places, out.

Belongs here: the command, for models found in any way. Does not belong here: how a registry finds
them (vidtag_assets.cli), locating itself (predict.py, guess.py). Nothing heavy is imported before
the command needs it. Shape legend: T frames, 2 = (lat, lon).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidtag_ml.cli_options import AsJson
from vidtag_ml.cli_output import print_json, print_located, print_places

if TYPE_CHECKING:
    from vidtag_ml.guess import Guesser
    from vidtag_ml.track import Track

Resolve = Callable[[str], Path]
"""A model's name -> the folder of its bundle."""


def locate_with(resolve: Resolve, default: str, names: str) -> Callable[..., None]:
    """The command `locate` for models that `resolve` finds.

    Args:
        resolve: turns what `--model` says into a folder.
        default: what it says if it is not given.
        names: what it may say, for `--help`.
    """

    def locate(
        videos: Annotated[list[Path], typer.Argument(metavar="VIDEO...", help="Video files.")],
        model: Annotated[str, typer.Option(help=names)] = default,
        out: Annotated[Path, typer.Option(help="Folder for the tracks.")] = Path("out/located"),
        fps: Annotated[float | None, typer.Option(help="Frames a second to look at.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Turn videos into tracks (GPX, GeoJSON, KML, CSV, a picture), or into names of places."""
        _check_videos(videos)
        if fps is not None and not fps > 0:
            raise ValueError(f"--fps is {fps}; it must be positive")
        from vidtag_ml import guess, predict

        predictor = predict.load(resolve(model))
        if isinstance(predictor, guess.Guesser):
            _guess(predictor, videos, out, fps, as_json)
            return
        rows = []
        for path in videos:
            track = predictor.locate(path, fps)
            limits = predictor.evaluation.max_speed_kmh
            truth = predict.measured(path, track.time_s, limits)
            name = "track" if len(videos) == 1 else path.stem
            files = predict.write_files(track, out, name, truth)
            points = track.table().to_dict("records")
            row = {"video": str(path), "files": [str(f) for f in files], "track": points}
            rows.append(row | ({} if truth is None else _against(track, truth)))
        print_json(rows) if as_json else print_located(rows)

    return locate


def _guess(
    guesser: "Guesser", videos: Sequence[Path], out: Path, fps: float | None, as_json: bool
) -> None:
    """Says which city, state, country and continent each video is from."""
    from vidtag_ml import guess

    rows = []
    for path in videos:
        place = guesser.locate(path, fps)
        files = guess.write_files(place, out, "place" if len(videos) == 1 else path.stem)
        rows.append({"video": str(path), "files": [str(f) for f in files], **place.as_json()})
    print_json(rows) if as_json else print_places(rows)


def _against(track: "Track", truth_T2: Any) -> dict[str, Any]:
    """How far a track is from what the video's own receiver measured."""
    import numpy as np

    from vidtag_ml import geo

    errors_km = geo.great_circle_km(track.latlon_T2, truth_T2)
    true = [None if np.isnan(p).any() else p.tolist() for p in np.asarray(truth_T2)]
    return {"measured": true, "median_error_km": float(np.nanmedian(errors_km))}


def folder_only(name: str) -> Path:
    """The folder that a model's name is, where there is no registry.

    Raises:
        ValueError: there is no such folder.
    """
    if not Path(name).is_dir():
        raise ValueError(
            f"{name}: there is no such model folder; `vidtag train` and a bundle make one"
        )
    return Path(name)


def _check_videos(videos: Sequence[Path]) -> None:
    """Refuses, before anything is done, what cannot be located."""
    from vidtag_ml import video

    stems = [path.stem for path in videos]
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise ValueError(f"two videos are called {twice[0]!r}: their tracks would be one file")
    for path in videos:
        video.probe(path)
