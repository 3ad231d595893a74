"""The machine-learning commands: parse, call one function, print.

Belongs here: commands that need neither a registry nor DVC (those are in vidtag_assets.cli), how
errors look. Does not belong here: what commands do (each room's module `stages`), `locate`, `view`
and `weights` (modules of these names), how results look (output.py). Nothing heavy is imported
before a command needs it: `--help` answers at once.
"""

import errno
import functools
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import vidtag_ml
from vidtag_ml.cli import locate as cli_locate
from vidtag_ml.cli import view as cli_view
from vidtag_ml.cli import weights
from vidtag_ml.cli.options import (
    PARAMS,
    AsJson,
    Encoders,
    Engine,
    EngineChoice,
    ParamsPath,
    load,
)
from vidtag_ml.cli.output import (
    print_json,
    print_line,
    print_outcome,
    print_sheet,
)
from vidtag_ml.models.registry import SYSTEMS, benchmarks
from vidtag_ml.workflow import progress

if TYPE_CHECKING:
    from vidtag_ml import config


STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""
GOES_ON = (
    "ingest", "hierarchy", "gallery", "aerial", "features", "train", "train-encoders", "evaluate",
    "benchmark",
)  # fmt: skip
"""Commands that find what an earlier try finished, and go on from there."""


PHASES = {
    name.replace("_", "-"): training.make
    for system in SYSTEMS.values()
    for name, training in system.trainings.items()
}
"""What `vidtag train` trains."""
BUNDLED = [name for name, system in SYSTEMS.items() if system.bundling]
"""What `vidtag bundle` puts into one folder."""


def one_of(names: Iterable[str], about: str) -> Any:
    """An argument that is one of some names, or several of them; others are refused by name."""
    choices = ", ".join(names)

    def known(given: Any) -> Any:
        for name in given if isinstance(given, list) else [given]:
            if name is not None and name not in names:
                raise typer.BadParameter(f"{name!r} is not one of {choices}.")
        return given

    return typer.Argument(metavar="NAME", help=f"{about}: {choices}.", callback=known)


class Veiled(StrEnum):
    """What `vidtag ingest --blur` makes unknowable."""

    FACES = "faces"
    PLATES = "plates"


class Split(StrEnum):
    """Splits that models are evaluated on."""

    VAL = "val"
    TEST = "test"


def ingest(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Your own videos and photos: folders, files, *."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Takes PATHs into data/DATASET.")] = None,
    mode: Annotated[str | None, typer.Option(help="How PATHs moved, if you know.")] = None,
    time_offset: Annotated[float, typer.Option(help="Seconds added to sidecars' clocks.")] = 0.0,
    time_zone: Annotated[
        str | None, typer.Option(help="Of cameras' clocks: Europe/Berlin, +02:00, UTC.")
    ] = None,
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
    values = load(params)
    if paths and dataset and source is None:
        veil = tuple(map(str, blur or ()))
        copies: dict[str, Any] = {"strip_metadata": strip_metadata, "veil": veil}
        _ingest_own(values, paths, dataset, as_json, mode, time_offset, time_zone, **copies)
        return
    if dataset or mode or time_offset or time_zone or strip_metadata or blur or as_json:
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
    from vidtag_ml.ingest import sources

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
    time_zone: str | None,
    **copies: Any,
) -> None:
    from vidtag_ml.ingest import stages as ingest_stages

    with progress.showing():
        outcome = ingest_stages.recordings(
            Path(), values, paths, dataset, mode, time_offset_s, time_zone, **copies
        )
    if as_json:
        for line in outcome.json_lines():
            print_line(line)
    else:
        print_outcome(outcome)
    if not outcome.accepted:
        raise typer.Exit(1)


def hierarchy(params: ParamsPath = PARAMS) -> None:
    """Make the table of cities, states, countries and continents."""
    _stage("hierarchy", "data/hierarchy.csv", load(params))


def gallery(params: ParamsPath = PARAMS) -> None:
    """Make the coordinates among which models search."""
    _stage("gallery", "data/gallery", load(params))


def aerial(params: ParamsPath = PARAMS) -> None:
    """Make the aerial tiles that GAMa searches, and scale them and the videos to its sizes."""
    values = load(params)
    _stage("aerial_gallery", "data/aerial_gallery", values)
    _stage("aerial_pixels", "out/aerial_pixels", values)


def features(params: ParamsPath = PARAMS, engine: EngineChoice = Engine.HERE) -> None:
    """Encode all frames with the frozen encoders, once."""
    from vidtag_ml.features import stages as features_stages

    make = functools.partial(features_stages.features, engine=engine.value)
    _make(make, "out/features", load(params))


def train(
    what: Annotated[str, one_of(PHASES, "A phase of VidTAG, or another model")],
    params: ParamsPath = PARAMS,
) -> None:
    """Train Phase I or Phase II of VidTAG, GeoCLIP, CityGuessr or one of GAMa's networks."""
    _make(PHASES[what], f"out/{what.replace('-', '_')}", load(params))


def train_encoders(
    names: Encoders = None,
    onward: Annotated[
        bool, typer.Option("--onward", help="Train on what is there, on frames of videos.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Receives weights and cards.")] = Path("data/encoders"),
) -> None:
    """Train the small Flyover encoders anew; goes on where an earlier try was stopped.

    Encoders come first, then the heads over them; `--onward` trains encoders on under their heads,
    on frames that passed through a codec, and then the heads anew.
    """
    from vidtag_ml.pretraining import alignment
    from vidtag_ml.pretraining import frames as pretraining_frames

    known = [*pretraining_frames.SPECS, *alignment.NAMES]
    wanted = names or known
    for name in wanted:
        if name not in known:
            raise ValueError(f"no encoder is called {name!r}; known: {', '.join(known)}")
    for name in [n for n in wanted if n in pretraining_frames.SPECS]:
        figures = _encoder_trained(name, out, onward)
        print_line(f"{name}: median error {figures['median_km']:.0f} km on unseen flights")
    if set(alignment.NAMES) & set(wanted):
        plan, values = alignment.Recipe(), load(PARAMS)
        say = _steps(alignment.HEADS, plan.steps)
        figures = alignment.train(out, values.model, values.features.encoders, plan, say)
        print_line(f"{' and '.join(alignment.NAMES)}: loss {figures['loss']:.3f}")


def _encoder_trained(name: str, out: Path, onward: bool) -> dict[str, float]:
    """Figures of an encoder's training, from the beginning or on."""
    from vidtag_ml.pretraining import frames as pretraining_frames
    from vidtag_ml.pretraining import onward as training_on

    checkpoints = Path("out/encoders")
    checkpoints.mkdir(parents=True, exist_ok=True)
    if onward:
        recipe, at = training_on.RECIPES[name], checkpoints / f"{name}.onward.pt"
        say = _steps(name, recipe.steps)
        return training_on.train(name, recipe, load(PARAMS).model, out, at, say)
    recipe, at = pretraining_frames.RECIPES[name], checkpoints / f"{name}.pt"
    return pretraining_frames.train(name, recipe, out, at, _steps(name, recipe.steps))


def evaluate(
    model: Annotated[str, one_of(SYSTEMS, "Which one")] = "vidtag",
    split: Annotated[Split, typer.Option(help="Clips to evaluate on.")] = Split.TEST,
    params: ParamsPath = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Measure a trained model on held-out clips."""
    from vidtag_ml.workflow import layout

    values, system = load(params), SYSTEMS[model]
    with progress.showing():
        system.evaluate(Path(), values, split.value)
    folder = layout.of(Path(), values).evaluation(model, split.value)
    summary = system.report(folder).summary
    print_json(summary) if as_json else print_sheet(system.sheet(summary))


def bundle(
    model: Annotated[str, one_of(BUNDLED, "Which one")] = "vidtag",
    params: ParamsPath = PARAMS,
) -> None:
    """Put a trained model and all that it needs into one folder, ready to locate videos."""
    from vidtag_ml.workflow import layout

    values, bundling = load(params), SYSTEMS[model].bundling
    assert bundling is not None
    out = bundling.folder(layout.of(Path(), values))
    _make(bundling.make, str(out), values)
    print_line(f"vidtag locate VIDEO --model {out}")


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

    from vidtag_ml.cli import benchmark_table

    values, tables = load(params), []
    with progress.showing():
        for part in benchmarks(values.clips.source):
            chosen = lambda row: only.lower() in f"{row.group}: {row.name}".lower()  # noqa: E731
            tables.append(part.run(Path(), values, split.value, chosen, _row))
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        raise ValueError(f"--only {only}: no row's group or name contains this")
    files = benchmark_table.write(Path(), values, table, out)
    if as_json:
        print_json(benchmark_table.as_json(table))
        return
    print_line(benchmark_table.markdown(table))
    for file in files:
        print_line(str(file))


def _say_version(asked: bool) -> None:
    if asked:
        print_line(f"vidtag-geo {vidtag_ml.__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def build_app(locate: Callable[..., None], about: str) -> typer.Typer:
    """The application with the commands of this module and the given `locate`."""
    app = typer.Typer(
        help=about,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=about)(_root)
    app.command(rich_help_panel="Use a model")(locate)
    app.command(rich_help_panel="Use a model")(cli_view.view)
    for step in (ingest, hierarchy, gallery, aerial, features):
        app.command(rich_help_panel="Data")(step)
    for command in (train, evaluate, bundle, benchmark):
        app.command(rich_help_panel="Make a model")(command)
    app.command("train-encoders", rich_help_panel="Make a model")(train_encoders)
    app.add_typer(weights.app, name="weights", rich_help_panel="Make a model")
    return app


app = build_app(
    cli_locate.locate_with(cli_locate.folder_only, "out/bundle", "The folder of a bundle."),
    "Video geolocalization: from GPS-tagged videos to a model, from any video to a track.",
)


def main(application: typer.Typer = app, arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and exits: 0 done, 1 not possible, 2 asked wrongly, 130 stopped by Ctrl-C.

    What a user can put right is said in one line on standard error, without a traceback.
    """
    try:
        code = application(args=arguments, prog_name="vidtag", standalone_mode=False)
    except typer.exceptions.TyperException as error:
        _fail(error.format_message(), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        code = STOPPED
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        _fail(message, 1)
    if code == STOPPED:
        _fail(_stopped(sys.argv[1:] if arguments is None else arguments), STOPPED)
    sys.exit(code if isinstance(code, int) else 0)


def explain(error: BaseException) -> str | None:
    """One line for an error that a user can put right; None for a mistake of ours."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    full = errno.errorcode[errno.ENOSPC], "No space left on device", "os error 28", "disk is full"
    if any(sign in str(error) for sign in full):
        return "no space left on device: nothing was replaced; make room and run the command again"
    if isinstance(error, (ValueError, OSError)):
        return " ".join(str(error).split())
    return None


def _stopped(arguments: Sequence[str]) -> str:
    """What a command that was stopped leaves."""
    if next(iter(arguments), "") in GOES_ON:
        return "stopped; what is finished is kept, so the same command goes on from there"
    return "stopped"


def _fail(message: str, code: int) -> NoReturn:
    if message:  # without arguments, the help was printed and there is nothing to add
        sys.stderr.write(f"vidtag: {message}\n")
    sys.exit(code)


def _stage(name: str, out: str, params: "config.Params") -> None:

    from vidtag_ml.models.stages import STAGES

    _make(STAGES[name], out, params)


def _make(make: "Callable[[Path, config.Params], bool]", out: str, params: "config.Params") -> None:
    began = time.monotonic()
    with progress.showing():
        worked = make(Path(), params)
    spent = f"made in {time.monotonic() - began:.0f} s" if worked else "unchanged, nothing to do"
    print_line(f"{out}: {spent}")


def _steps(name: str, total: int) -> Callable[[int, str], None]:
    def say(step: int, text: str) -> None:
        print_line(f"{name}: step {step} of {total}, {text}")

    return say


def _row(done: int, total: int, name: str) -> None:
    if name:
        sys.stderr.write(f"row {done + 1} of {total}: {name}\n")
