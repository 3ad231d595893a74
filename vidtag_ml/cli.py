"""The machine-learning commands: parse, call one function, print.

Belongs here: commands that need neither a registry nor DVC (those are in vidtag_assets.cli), how
errors look. Does not belong here: what commands do (stages.py, predict.py ...).
Nothing heavy is imported before a command needs it: `--help` answers at once.
"""

import errno
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from vidtag_ml import progress

if TYPE_CHECKING:
    from vidtag_ml import config
    from vidtag_ml.guess import Guesser
    from vidtag_ml.sources.recordings import Outcome
    from vidtag_ml.track import Track
    from vidtag_ml.weights import Status

Resolve = Callable[[str], Path]
"""A model's name -> the folder of its bundle."""


class Phase(StrEnum):
    """What `vidtag train` trains."""

    PHASE_ONE = "phase-one"
    PHASE_TWO = "phase-two"
    GEOCLIP = "geoclip"
    CITYGUESSR = "cityguessr"
    GAMA = "gama"
    SCREENING = "screening"


class ModelName(StrEnum):
    """What `vidtag evaluate` evaluates."""

    VIDTAG = "vidtag"
    GEOCLIP = "geoclip"
    CITYGUESSR = "cityguessr"
    GAMA = "gama"


class Veiled(StrEnum):
    """What `vidtag ingest --blur` makes unknowable."""

    FACES = "faces"
    PLATES = "plates"


class Split(StrEnum):
    """Splits that models are evaluated on."""

    VAL = "val"
    TEST = "test"


ParamsPath = Annotated[Path, typer.Option("--params", help="The params file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Encoders = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Encoders.")]
PARAMS = Path("params.yaml")


def ingest(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Your own videos and photos: folders, files, *."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Takes PATHs into data/DATASET.")] = None,
    mode: Annotated[str | None, typer.Option(help="How PATHs moved, if you know.")] = None,
    time_offset: Annotated[float, typer.Option(help="Seconds added to sidecars' clocks.")] = 0.0,
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Read copies of PATHs without metadata.")
    ] = False,
    blur: Annotated[
        list[Veiled] | None, typer.Option(help="Read copies of PATHs with these veiled.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where clips come from.")] = None,
    list_sources: Annotated[bool, typer.Option("--list-sources", help="Show them.")] = False,
    params: ParamsPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Make the dataset of the params, or take in your own recordings (PATH --dataset NAME)."""
    if list_sources:
        _list_sources(as_json)
        return
    values = _load(params)
    if paths and dataset and source is None:
        veil = tuple(map(str, blur or ()))
        copies: dict[str, Any] = {"strip_metadata": strip_metadata, "veil": veil}
        _ingest_own(values, paths, dataset, as_json, mode, time_offset, **copies)
        return
    if dataset or mode or time_offset or strip_metadata or blur or as_json:
        raise ValueError("these options are for own recordings: vidtag ingest PATH --dataset NAME")
    if paths and (source is None or len(paths) > 1):
        raise ValueError("vidtag ingest PATH... --dataset NAME, or vidtag ingest FOLDER --source S")
    values = _with_source(values, source, paths[0] if paths else None)
    _stage("ingest", f"data/{values.clips.source}", values)


def _with_source(
    values: "config.Params", source: str | None, folder: str | None
) -> "config.Params":
    """The params with another source, and where it lies."""
    import dataclasses

    from vidtag_ml import config

    if source is None:
        return values
    changes = {"source": source} | ({} if folder is None else {"folder": folder})
    clips = {**config.as_dict(values.clips), **changes}
    return dataclasses.replace(values, clips=config.parse(config.Clips, clips, "--source"))


def _list_sources(as_json: bool) -> None:
    from vidtag_ml import sources

    found = sources.about()
    if as_json:
        print_json(found)
        return
    for name, sentence in found.items():
        print_line(f"{name:<14} {sentence}")


def _ingest_own(
    values: "config.Params",
    paths: list[str],
    dataset: str,
    as_json: bool,
    mode: str | None,
    time_offset_s: float,
    **copies: Any,
) -> None:
    from vidtag_ml import stages

    with progress.showing():
        outcome = stages.recordings(Path(), values, paths, dataset, mode, time_offset_s, **copies)
    if as_json:
        for line in outcome.json_lines():
            print_line(line)
    else:
        _print_outcome(outcome)
    if not outcome.accepted:
        raise typer.Exit(1)


def _counted(num: int, one: str, many: str) -> str:
    return f"{num} {one if num == 1 else many}"


def _print_outcome(outcome: "Outcome") -> None:
    for record in outcome.accepted:
        seconds = f", {record['duration_s']:g} s" if record["duration_s"] else ""
        frames = _counted(record["num_frames"], "frame", "frames")
        fixes = _counted(record["num_fixes"], "fix", "fixes")
        print_line(
            f"{record['path']}: {frames}{seconds}, {fixes} ({record['fix_source']}) "
            f"as {record['clip_id']}"
        )
        for repair in record["repairs"]:
            print_line(f"  {repair}")
    for record in outcome.quarantined:
        print_line(f"{record['path']}: {record['reason']}: {record['advice']}")
    num, repaired, left = len(outcome.accepted), outcome.num_repaired, len(outcome.quarantined)
    print_line(f"{num} accepted ({repaired} of them repaired), {left} quarantined")
    print_line("  data/quarantine/report.html says why, report.csv for programs")


def hierarchy(params: ParamsPath = PARAMS) -> None:
    """Make the table of cities, states, countries and continents."""
    _stage("hierarchy", "data/hierarchy.csv", _load(params))


def gallery(params: ParamsPath = PARAMS) -> None:
    """Make the coordinates among which models search."""
    _stage("gallery", "data/gallery", _load(params))


def aerial(params: ParamsPath = PARAMS) -> None:
    """Make the aerial tiles that GAMa searches, and scale them and the videos to its sizes."""
    values = _load(params)
    _stage("aerial_gallery", "data/aerial_gallery", values)
    _stage("aerial_pixels", "out/aerial_pixels", values)


def features(params: ParamsPath = PARAMS) -> None:
    """Encode all frames with the frozen encoders, once."""
    _stage("features", "out/features", _load(params))


def train(
    what: Annotated[Phase, typer.Argument(help="A phase of VidTAG, or another model.")],
    params: ParamsPath = PARAMS,
) -> None:
    """Train Phase I or Phase II of VidTAG, GeoCLIP, CityGuessr or one of GAMa's two networks."""
    name = what.replace("-", "_")
    _stage(name, f"out/{name}", _load(params))


def train_encoders(
    names: Encoders = None,
    out: Annotated[Path, typer.Option(help="Receives weights and cards.")] = Path("data/encoders"),
) -> None:
    """Train the small Flyover encoders anew; goes on where an earlier try was stopped."""
    from vidtag_ml.training import encoders, location

    known = [*encoders.SPECS, location.NAME]
    wanted = names or known
    for name in wanted:
        if name not in known:
            raise ValueError(f"no encoder is called {name!r}; known: {', '.join(known)}")
    for name in [n for n in wanted if n != location.NAME]:
        checkpoint = Path("out/encoders") / f"{name}.pt"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        recipe = encoders.RECIPES[name]
        figures = encoders.train(name, recipe, out, checkpoint, _steps(name, recipe.steps))
        print_line(f"{name}: median error {figures['median_km']:.0f} km on unseen flights")
    if location.NAME in wanted:
        plan, values = location.Recipe(), _load(PARAMS)
        say = _steps(location.NAME, plan.steps)
        figures = location.train(out, values.model, values.features.encoders, plan, say)
        print_line(f"{location.NAME}: loss {figures['loss']:.3f}")


def evaluate(
    model: Annotated[ModelName, typer.Argument(help="Which one.")] = ModelName.VIDTAG,
    split: Annotated[Split, typer.Option(help="Clips to evaluate on.")] = Split.TEST,
    params: ParamsPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Measure a trained model on held-out clips."""
    from vidtag_ml import layout, stages
    from vidtag_ml.evaluate import Report

    values = _load(params)
    if model is ModelName.CITYGUESSR:
        _evaluate_places(values, split, as_json)
        return
    if model is ModelName.GAMA:
        _evaluate_tiles(values, split, as_json)
        return
    with progress.showing():
        stages.evaluate_model(Path(), values, model.value, split.value)
    folder = layout.of(Path(), values).evaluation(model.value, split.value)
    summary = Report.read(folder).summary
    print_json(summary) if as_json else print_figures({model.value: summary})


def _evaluate_places(values: "config.Params", split: Split, as_json: bool) -> None:
    from vidtag_ml import layout, stages
    from vidtag_ml.evaluate_places import PlaceReport

    with progress.showing():
        stages.evaluate_cityguessr(Path(), values, split.value)
    folder = layout.of(Path(), values).evaluation("cityguessr", split.value)
    summary = PlaceReport.read(folder).summary
    print_json(summary) if as_json else print_place_figures(summary)


def _evaluate_tiles(values: "config.Params", split: Split, as_json: bool) -> None:
    from vidtag_ml import gama_stages, layout
    from vidtag_ml.evaluate import Report

    with progress.showing():
        gama_stages.evaluate_gama(Path(), values, split.value)
    summary = Report.read(layout.of(Path(), values).evaluation("gama", split.value)).summary
    print_json(summary) if as_json else print_tile_figures(summary)


def benchmark(
    split: Annotated[Split, typer.Option(help="Clips to evaluate on.")] = Split.TEST,
    only: Annotated[str, typer.Option(help="Rows whose group or name contains this.")] = "",
    out: Annotated[Path, typer.Option(help="Receives the table and pictures.")] = Path(
        "out/benchmark"
    ),
    params: ParamsPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Train and measure every model and ablation on one split and gallery: one table."""
    import pandas as pd

    from vidtag_ml import benchmark as rows
    from vidtag_ml import benchmark_cross_view, benchmark_places, benchmark_table

    values = _load(params)
    parts: list[Any] = [rows, benchmark_places]
    if values.clips.source in benchmark_cross_view.SOURCES:
        parts = [benchmark_cross_view]
    tables = []
    with progress.showing():
        for part in parts:
            chosen = lambda row: only.lower() in f"{row.group}: {row.name}".lower()  # noqa: E731
            tables.append(part.run(Path(), values, split.value, chosen, _row))
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        raise ValueError(f"--only {only}: no row's group or name contains this")
    files = benchmark_table.write(Path(), values, table, out)
    print_json(rows.as_json(table)) if as_json else print_line(benchmark_table.markdown(table))
    for file in files if not as_json else ():
        print_line(str(file))


def _row(done: int, total: int, name: str) -> None:
    if name:
        sys.stderr.write(f"row {done + 1} of {total}: {name}\n")


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
        print_json(rows) if as_json else _print_located(rows)

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
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print_line(f"{row['video']}: {row['answer']}")
        for level, found in row["place"].items():
            print_line(f"  {level:<10} {found['probability']:>6.1%}  {found['name']}")
        for file in row["files"]:
            print_line(f"  {file}")


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


weights_app = typer.Typer(no_args_is_help=True, help="Weights of frame encoders, and GeoCLIP's.")
EncodersDir = Annotated[Path | None, typer.Option("--dir", help="Instead of encoders_dir.")]


@weights_app.command("list")
def list_weights(
    params: ParamsPath = PARAMS, folder: EncodersDir = None, as_json: AsJson = False
) -> None:
    """Show which weights are here."""
    from vidtag_ml import weights

    values = _load(params)
    place = folder or Path(values.features.encoders_dir)
    found = [weights.status(place, name) for name in weights.known(values.features.encoders)]
    _print_weights(found, as_json)


@weights_app.command("verify")
def verify_weights(
    names: Encoders = None,
    params: ParamsPath = PARAMS,
    folder: EncodersDir = None,
    as_json: AsJson = False,
) -> None:
    """Build each encoder (default: of the params) and try it; fails if one is absent or bad."""
    from vidtag_ml import weights

    values = _load(params)
    place = folder or Path(values.features.encoders_dir)
    found = [weights.verify(place, name) for name in names or values.features.encoders]
    _print_weights(found, as_json)
    for bad in (w for w in found if w.state != "ok"):
        raise ValueError(f"{place / bad.name}: {bad.state}")


@weights_app.command("fetch")
def fetch_weights(
    names: Encoders = None,
    source: Annotated[Path | None, typer.Option("--from", help="A local file or folder.")] = None,
    params: ParamsPath = PARAMS,
    folder: EncodersDir = None,
) -> None:
    """Download pretrained encoders, or take them and GeoCLIP's heads from files."""
    from vidtag_ml import weights

    values = _load(params)
    place = folder or Path(values.features.encoders_dir)
    absent = [n for n in values.features.encoders if weights.status(place, n).state != "ok"]
    if source is not None and len(names or absent) != 1:
        raise ValueError(f"--from {source}: say which one name it is for")
    for name in names or absent:
        print_line(f"{name}: {weights.fetch(name, place, source)}")


def build_app(locate: Callable[..., None], about: str) -> typer.Typer:
    """The application with the commands of this module and the given `locate`."""
    app = typer.Typer(
        help=about,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(rich_help_panel="Use a model")(locate)
    for step in (ingest, hierarchy, gallery, aerial, features):
        app.command(rich_help_panel="Data")(step)
    app.command(rich_help_panel="Make a model")(train)
    app.command(rich_help_panel="Make a model")(evaluate)
    app.command(rich_help_panel="Make a model")(benchmark)
    app.command("train-encoders", rich_help_panel="Make a model")(train_encoders)
    app.add_typer(weights_app, name="weights", rich_help_panel="Make a model")
    return app


app = build_app(
    locate_with(folder_only, "out/bundle", "The folder of a bundle."),
    "Video geolocalization: from GPS-tagged videos to a model, from any video to a track.",
)


def main(application: typer.Typer = app, arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and exits: 0 done, 1 it could not be done, 2 it was asked wrongly.

    What a user can put right is said in one line on standard error, without a traceback.
    """
    try:
        code = application(args=arguments, prog_name="vidtag", standalone_mode=False)
    except typer.exceptions.TyperException as error:
        _fail(error.format_message(), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        _fail("stopped; what is finished is kept, so the same command goes on from there", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        _fail(message, 1)
    sys.exit(code if isinstance(code, int) else 0)


def explain(error: BaseException) -> str | None:
    """One line for an error that a user can put right; None for a mistake of ours."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    full = errno.errorcode[errno.ENOSPC], "No space left on device", "os error 28"
    if any(sign in str(error) for sign in full):
        return "no space left on device: nothing was replaced; make room and run the command again"
    if isinstance(error, (ValueError, OSError)):
        return " ".join(str(error).split())
    return None


def _fail(message: str, code: int) -> NoReturn:
    if message:  # without arguments, the help was printed and there is nothing to add
        sys.stderr.write(f"vidtag: {message}\n")
    sys.exit(code)


def print_line(text: str) -> None:
    """Writes a line to standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """Writes JSON to standard output."""
    print_line(json.dumps(value, indent=1, allow_nan=False))


FIGURES = {
    "frames <= 25 km": ("acc_25km", "{:.1%}"),
    "<= 100 km": ("acc_100km", "{:.1%}"),
    "<= 200 km": ("acc_200km", "{:.1%}"),
    "<= 750 km": ("acc_750km", "{:.1%}"),
    "videos <= 25 km": ("video_acc_25km", "{:.1%}"),
    "videos <= 100 km": ("video_acc_100km", "{:.1%}"),
    "videos <= 200 km": ("video_acc_200km", "{:.1%}"),
    "videos <= 750 km": ("video_acc_750km", "{:.1%}"),
    "median error": ("median_km", "{:.0f} km"),
    "median error of videos": ("video_median_km", "{:.0f} km"),
    "DFD": ("dfd_km", "{:.0f} km"),
    "MRD": ("mrd_km", "{:.0f} km"),
    "gallery's own error (oracle)": ("oracle_median_km", "{:.0f} km"),
}
"""Rows of the table of figures: what they are called, and where and how they stand."""


def print_figures(summaries: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints the summaries of evaluations side by side."""
    from rich.console import Console
    from rich.table import Table

    first = next(iter(summaries.values()))
    title = f"{first['num_clips']} {first['split']} clips, {first['num_frames']} frames"
    table = Table(title=f"{title}, gallery of {first['gallery_size']} points")
    table.add_column("")
    for name in summaries:
        table.add_column(name, justify="right")
    for label, (key, form) in FIGURES.items():
        cells = [form.format(s[key]) if key in s else "" for s in summaries.values()]
        table.add_row(label, *cells)
    Console().print(table)


def print_place_figures(summary: Mapping[str, Any]) -> None:
    """Prints an evaluation of places: a column a level."""
    from rich.console import Console
    from rich.table import Table

    from vidtag_ml.hierarchy import LEVELS

    title = f"{summary['num_clips']} {summary['split']} clips, {summary['inference']} inference"
    table = Table(title=f"{title}, consistency {summary['consistency']:.1%}")
    table.add_column("")
    for level in LEVELS:
        table.add_column(f"{level} ({summary[f'num_{level}']})", justify="right")
    for label, key in {
        "top-1": "acc_{}",
        "top-5": "top5_{}",
        "most frequent class": "prior_acc_{}",
        "answered, when it is sure": "answered_{}",
        "calibration error": "ece_{}",
    }.items():
        table.add_row(label, *(f"{summary[key.format(level)]:.1%}" for level in LEVELS))
    Console().print(table)


def print_tile_figures(summary: Mapping[str, Any]) -> None:
    """Prints an evaluation among aerial tiles: a column a search, each with its gallery's size."""
    from rich.console import Console
    from rich.table import Table

    searches = {
        "flat": "",
        f"hierarchical ({summary['kept']})": "hierarchical_",
        "screening (videos)": "screening_",
    }
    title = f"{summary['split']}, {summary['gallery']} tiles of {summary['tile_km']:.3g} km"
    table = Table(title=title)
    table.add_column("")
    for name in searches:
        table.add_column(name, justify="right")
    figures = [n for n in summary if n.startswith(("recall_at_", "top1_at_"))]
    shares = {n: "{:.1%}" for n in figures if not n.endswith(("_lo", "_hi"))}
    forms = {"num_queries": "{:.0f}", "gallery_size": "{:.0f}", **shares, "top1_mean_km": "{:.1f}"}
    for name, form in forms.items():
        keys = [f"{prefix}{name}" for prefix in searches.values()]
        cells = [form.format(summary[key]) if key in summary else "" for key in keys]
        table.add_row(name.replace("_", " "), *cells)
    Console().print(table)


def _print_located(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        first, last = row["track"][0], row["track"][-1]
        ends = (f"{point['lat']:.3f}, {point['lon']:.3f}" for point in (first, last))
        score = sum(point["score"] for point in row["track"]) / len(row["track"])
        print_line(f"{row['video']}: {' to '.join(ends)}, mean score {score:.2f}")
        if "median_error_km" in row:
            print_line(f"  its own GPS says: median error {row['median_error_km']:,.1f} km")
        for file in row["files"]:
            print_line(f"  {file}")


def _print_weights(found: "list[Status]", as_json: bool) -> None:
    if as_json:
        import dataclasses

        print_json([dataclasses.asdict(status) for status in found])
        return
    for status in found:
        size = f"{status.size_mb:.1f} MB" if status.size_mb else ""
        print_line(f"{status.name:<16} {status.model:<32} {size:>9}  {status.state}".rstrip())


def _load(path: Path) -> "config.Params":
    from vidtag_ml import config

    try:
        return config.load(path)
    except FileNotFoundError:
        raise ValueError(
            f"{path}: no such file; run vidtag where params.yaml lies, or name one with --params"
        ) from None


def _stage(name: str, out: str, params: "config.Params") -> None:
    from vidtag_ml import gama_stages, stages

    began = time.monotonic()
    with progress.showing():
        worked = getattr(stages if hasattr(stages, name) else gama_stages, name)(Path(), params)
    spent = f"made in {time.monotonic() - began:.0f} s" if worked else "unchanged, nothing to do"
    print_line(f"{out}: {spent}")


def _check_videos(videos: Sequence[Path]) -> None:
    """Refuses, before anything is done, what cannot be located."""
    from vidtag_ml import video

    stems = [path.stem for path in videos]
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise ValueError(f"two videos are called {twice[0]!r}: their tracks would be one file")
    for path in videos:
        video.probe(path)


def _steps(name: str, total: int) -> Callable[[int, str], None]:
    def say(step: int, text: str) -> None:
        print_line(f"{name}: step {step} of {total}, {text}")

    return say
