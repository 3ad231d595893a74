"""`vidtag`: the machine-learning commands, and those that need the registry.

Belongs here: commands that name a model by alias or version, or change one. Does not belong here:
what they do (store, lineage, release), the other commands (vidtag_ml.cli). Nothing heavy is
imported before a command needs it.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from vidtag_assets.workspace import home
from vidtag_ml.cli import app as ml
from vidtag_ml.cli.locate import folder_only, locate_with
from vidtag_ml.cli.options import PARAMS, AsJson, load
from vidtag_ml.cli.output import print_json, print_line, print_sheet
from vidtag_ml.earth import origin
from vidtag_ml.models.bundle import Kept
from vidtag_ml.workflow import inputs, progress

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_assets.lineage.comparing import Comparison
    from vidtag_assets.store.promotions import Promotion
    from vidtag_assets.workspace.resources import Dvc, Tracking


CHAMPION = "vidtag@champion"
NAMES = "NAME, NAME@ALIAS, NAME/VERSION or the folder of a bundle."

Reason = Annotated[str, typer.Option(help="Why; the promotion log keeps it.")]


def bundle_of(model: str) -> Kept:
    """The bundle that `NAME[@ALIAS|/VERSION]` or a path names."""
    if Path(model).is_dir() or (os.sep in model and not model.rpartition(os.sep)[2].isdecimal()):
        return folder_only(model)
    from vidtag_assets.store import registry_file

    _check_registry()
    if home.server(Path.cwd()) is None:
        home.follow(Path.cwd())
        known = registry_file.kept(registry_file.of(Path.cwd()), model)
        if known is not None:
            return known
    from vidtag_assets.store import registry

    return registry.kept(_tracking(), model)


def trace(
    what: Annotated[
        str,
        typer.Argument(
            help="A model, a file that locate wrote (track.gpx), or the beginning of a DVC md5, a "
            "commit or a run's id."
        ),
    ] = CHAMPION,
    restore: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Make it again there: code, data, model.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make it again and measure it; minutes.")
    ] = False,
    card: Annotated[
        bool, typer.Option("--card", help="Print its model card, as Markdown, and no more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a model or an answer is from, or which models were made from something."""
    from vidtag_assets.lineage import tracing
    from vidtag_assets.release import cards
    from vidtag_assets.workspace.resources import Dvc

    if card and (restore or verify or as_json):
        raise ValueError("--card prints the model card alone: leave out the other options")
    tracking, dvc = _tracking(), Dvc(root=str(Path.cwd()))
    found = tracing.trace(tracking, dvc, what)
    if (restore or verify) and len({(m["model"], m["version"]) for m in found}) > 1:
        raise ValueError(f"{what} leads to {len(found)} versions; name one, as NAME/VERSION")
    if card:
        for model in found:
            print_line(cards.of(tracking, f"{model['model']}/{model['version']}"))
        return
    for model in found if not as_json else ():
        _print_model(model)
    failed = [model["damage"] for model in found if "damage" in model]
    if (restore or verify) and not failed:
        failed = _make_again(tracking, dvc, found, restore, verify, as_json)
    if as_json:
        print_json(found)
    if failed:
        raise ValueError("; ".join(failed))


def register(
    names: Annotated[list[str] | None, ml.one_of(ml.BUNDLED, "vidtag if not given")] = None,
) -> None:
    """Register trained models of params.yaml with what they are made from, and ask the gate."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    from vidtag_assets.release import by_command
    from vidtag_assets.workspace.resources import Dvc, Tracking

    params, here = load(PARAMS), Path.cwd()
    dvc, tracking = Dvc(root=str(here)), Tracking(root=str(here))
    wanted = names or ["vidtag"]
    with progress.showing():
        by_command.prepare(here, params, dvc, *wanted)
    for name in wanted:
        _print_registered(*by_command.register(here, params, dvc, tracking, name))


def promote(
    model: Annotated[str, typer.Argument(help="NAME@ALIAS or NAME/VERSION.")] = "vidtag@challenger",
    reason: Reason = "by hand, past the gate",
    as_json: AsJson = False,
) -> None:
    """Make a version the champion, past the gate; the old champion becomes @previous."""
    from vidtag_assets.lineage import stored
    from vidtag_assets.store import champions, registry
    from vidtag_assets.workspace.resources import Dvc

    tracking = _tracking()
    version = registry.resolve(tracking, model)
    registry.kept(tracking, f"{version.name}/{version.version}").card()
    if lacking := stored.obstacles(tracking, Dvc(root=tracking.root), version):
        raise ValueError(
            f"{version.name}/{version.version} cannot be made again, so it becomes no champion: "
            f"{'; '.join(lacking)}"
        )
    made = champions.promote(tracking, version.name, int(version.version), reason)
    _print_promotion(made, as_json)


def rollback(
    name: Annotated[str, typer.Argument(help="Name of the model.")] = "vidtag",
    reason: Reason = "by hand",
    as_json: AsJson = False,
) -> None:
    """Make the previous champion the champion again."""
    from vidtag_assets.store import champions

    _print_promotion(champions.rollback(_tracking(), name, reason), as_json)


def compare(
    first: Annotated[
        str | None, typer.Argument(help="A version, as `trace` reads it, or a model's name.")
    ] = None,
    second: Annotated[
        str | None, typer.Argument(help="The version that is compared with it.")
    ] = None,
    split: Annotated[str, typer.Option(help="val, or test.")] = "val",
    out: Annotated[
        Path | None, typer.Option(help="Folder for pictures, and for all clips as a table.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what changed from one version to another; of one model or none, all versions."""
    from vidtag_assets.lineage import compared, comparing
    from vidtag_assets.store import registry, registry_file
    from vidtag_assets.workspace.resources import Dvc

    tracking = _tracking()
    if second is None:
        names = [registry_file.parse(first)[0]] if first else registry.names(tracking)
        board = comparing.board(tracking, *names)
        if as_json:
            print_json(board.to_dict("records"))
            return
        for line in compared.board(board):
            print_line(line)
        return
    inputs.check_split(split)
    dvc, params = Dvc(root=str(Path.cwd())), load(PARAMS)
    found = comparing.compare(tracking, dvc, params, (str(first), second), split)
    files = compared.write(found, out) if out else []
    if as_json:
        print_json(found.as_json())
        return
    _print_comparison(found)
    for file in files:
        print_line(f"  {file}")


app = ml.build_app(
    locate_with(bundle_of, CHAMPION, NAMES),
    "GPS-tagged videos in, a traceable, promoted model out; any video in, a GPS track out. "
    "The workspace is the current folder.",
)
for command in (register, trace, compare, promote, rollback):
    app.command(rich_help_panel="Registry")(command)


def main() -> NoReturn:
    """Runs `vidtag`, if it is the one of the workspace that it is called in."""
    said = home.foreign(Path(sys.argv[0]), Path.cwd())
    if said:
        sys.stderr.write(f"vidtag: {said}\n")
        sys.exit(2)
    ml.main(app)


def _make_again(
    tracking: "Tracking",
    dvc: "Dvc",
    found: list[dict[str, Any]],
    folder: Path | None,
    verify: bool,
    as_json: bool,
) -> list[str]:
    """Makes the version that was found again and perhaps measures it; what is not as registered."""
    from vidtag_assets.lineage import restoring
    from vidtag_assets.store import registry

    version = registry.resolve(tracking, f"{found[0]['model']}/{found[0]['version']}")
    checks = []
    with restoring.aside(tracking, dvc, version, folder) as restored:
        if folder and not as_json:
            print_line(f"  restored in {folder}")
        for check in restoring.verify(tracking, restored, _say) if verify else ():
            checks.append(check)
            if not as_json:
                print_line(f"  {check.what}: {check.said}")
    for model in found:
        model |= {"restored": str(folder)} if folder else {}
        model |= {"verified": {each.what: each.said for each in checks}} if verify else {}
    return [f"{each.what}: {each.said}" for each in checks if not each.passed]


def _say(text: str) -> None:
    sys.stderr.write(f"vidtag: {text}\n")


def _tracking() -> "Tracking":
    """The store of the workspace, which is the current folder.

    Raises:
        ValueError: nothing was ever registered here.
    """
    _check_registry()
    from vidtag_assets.workspace.resources import Tracking

    return Tracking(root=str(Path.cwd()))


def _check_registry() -> None:
    """Refuses a folder in which nothing was ever registered: MLflow would make an empty store."""
    if home.server(Path.cwd()) is None and not Path("mlflow.db").is_file():
        raise ValueError(
            f"{Path.cwd()}: no model is registered here (there is no mlflow.db); "
            "`make demo` or `vidtag register` makes one, and --model takes a folder too"
        )


SHOWN = (
    "median_km",
    "acc_200km",
    "dfd_km",
    "acc_city",
    "acc_country",
    "hierarchical_recall_at_1",
)
"""Of the many metrics, those that `trace` prints; --json has them all."""


def _print_model(model: dict[str, Any]) -> None:
    aliases = "".join(f" @{alias}" for alias in model["aliases"])
    print_line(f"{model['model']}/{model['version']}{aliases}")
    metrics = {f"{split}_{f}" for split in ("val", "test") for f in SHOWN}
    for key, value in model.items():
        if key in ("model", "version", "aliases"):
            continue
        if key == "answer":
            value = origin.sentence(value)
        if isinstance(value, dict):
            chosen = {k: v for k, v in value.items() if key != "metrics" or k in metrics}
            value = ", ".join(
                f"{k} {v:.4g}" if key == "metrics" else f"{k} {v}" for k, v in chosen.items()
            )
        print_line(f"  {key.replace('_', ' '):<16} {value}")


def _print_comparison(found: "Comparison") -> None:
    from vidtag_assets.lineage import compared

    for line in compared.made_from(found):
        print_line(line)
    print_sheet(compared.figures(found))
    print_sheet(compared.slices(found))
    for line in compared.clips(found):
        print_line(line)


def _print_registered(version: "ModelVersion", new: bool, entry: "Promotion") -> None:
    from vidtag_assets.store import registry

    known = "registered" if new else "registered already"
    print_line(f"{version.name}/{version.version}: {known}, @{registry.CHALLENGER}")
    print_line(f"  the gate: {entry.action}: {entry.reason}")
    promoted = entry.champion == entry.version
    print_line(f"  vidtag locate VIDEO{registry.asked(entry.model, promoted=promoted)}")


def _print_promotion(made: "Promotion", as_json: bool) -> None:
    if as_json:
        import dataclasses

        print_json(dataclasses.asdict(made))
        return
    was = f"version {made.previous}" if made.previous else "none"
    print_line(f"{made.model}@champion is version {made.champion} (was {was}): {made.reason}")
