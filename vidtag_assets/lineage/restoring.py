"""A version made again: its code, data, parameters and model in a folder, and measured there.

Belongs here: putting back what was stored and recorded, evaluating there with that code, what
differs from what was registered. Does not belong here: storing it (stored.py), what `trace` tells
(tracing.py).
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_assets.lineage import circumstances, provenance, stored
from vidtag_assets.store import registry
from vidtag_assets.workspace import source
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.models.bundle import Card
from vidtag_ml.models.registry import system_of
from vidtag_ml.models.system import System
from vidtag_ml.workflow import inputs, layout, stage

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion

Say = Callable[[str], None]
"""Tells a person what is done."""
MADE_FIRST = {"features": "features", "aerial_gallery": "aerial"}
"""What trainings read and no record holds -> the command that makes it."""


@dataclass(frozen=True)
class Check:
    """Something that is compared with what was registered."""

    what: str
    passed: bool
    said: str = "as registered"


@dataclass(frozen=True)
class Restored:
    """A version in a folder of its own."""

    folder: Path
    """A workspace with its code, data and parameters, and its networks as if trained there."""
    version: "ModelVersion"
    system: System
    params: config.Params


def restore(tracking: Tracking, dvc: Dvc, version: "ModelVersion", folder: Path) -> Restored:
    """A version's code, data, parameters and model in a folder, all bytes of them checked.

    Code is what was stored of it; data come from DVC's cache, or else from its remote.

    Args:
        tracking: MLflow's store.
        dvc: of the workspace whose cache holds the data.
        version: which.
        folder: made; there may be nothing in it.

    Raises:
        ValueError: the folder is in use, or something cannot be put back; the folder is as it was.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: there is something already; name a folder that is not there")
    card = registry.kept(tracking, f"{version.name}/{version.version}").card()
    kept, part = stored.of(tracking, version), folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        source.unpack(code := stored.code_of(kept), part)
        if source.digest(part) != version.tags["source"]:
            raise ValueError(f"{code}: not the code that was registered")
        _put_records(kept, part)
        params = config.load(part / "params.yaml")
        _put_data(dvc, version, part)
        _put_model(card, part, params)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _find_recordings(Path(dvc.root), folder, params)
    return Restored(folder, version, system_of(card), params)


@contextlib.contextmanager
def aside(
    tracking: Tracking, dvc: Dvc, version: "ModelVersion", folder: Path | None
) -> Iterator[Restored]:
    """A version restored in a folder; without one, in one beside the workspace that goes again.

    Beside it, because tables name recordings outside a workspace by the way from there.

    Raises:
        ValueError: `restore` refuses.
    """
    if folder is not None:
        yield restore(tracking, dvc, version, folder)
        return
    root = Path(dvc.root).resolve()
    try:
        place = tempfile.mkdtemp(prefix=f".{root.name}.verify-", dir=root.parent)
    except OSError as error:
        raise ValueError(
            f"{root.parent}: {error.strerror}: name a folder for it with --restore"
        ) from error
    try:
        yield restore(tracking, dvc, version, Path(place))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _put_records(kept: Path, there: Path) -> None:
    """Parameters, and the records of data."""
    others = (stored.code_of(kept).name, stored.CHANGES, stored.PACKAGES)
    for path in kept.rglob("*"):
        name = path.relative_to(kept)
        if path.is_file() and name.name not in others:
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, there / name)
    shutil.copy(kept / stored.PACKAGES, there / f"installed-{stored.PACKAGES}")


def _put_data(dvc: Dvc, version: "ModelVersion", there: Path) -> None:
    """Data, out of the cache or from the remote, and that they have the bytes that they should.

    Raises:
        ValueError: some cannot be had.
    """
    (there / ".dvc").mkdir(exist_ok=True)
    (there / ".dvc" / "config").touch()
    (there / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    put = Dvc(root=str(there))
    data = stored.data_of(version)
    targets = [f"data/{n}.dvc" if (there / "data" / f"{n}.dvc").is_file() else n for n in data]
    lacking = [name for name, md5 in data.items() if not dvc.holds(md5)]
    try:
        put.run("cache", "dir", "--local", str(dvc.cache()))
        put.run("pull" if lacking else "checkout", "--force", *targets)
    except RuntimeError as error:
        raise ValueError(
            f"data cannot be put back ({', '.join(lacking or data)}): {error}"
        ) from error
    for name, md5 in data.items():
        if put.md5_on_disk(name) != md5:
            raise ValueError(f"{name}: DVC's cache gives other bytes than {md5}")


def _put_model(card: Card, there: Path, params: config.Params) -> None:
    """The bundle, and its parts where stages look for them."""
    at, bundled = layout.of(there, params), system_of(card).bundled
    shutil.copytree(card.folder, bundled.folder(at))
    for name, target in (
        ("encoders", there / params.features.encoders_dir),
        *bundled.parts(at),
    ):
        if (card.folder / name).is_dir():
            shutil.copytree(card.folder / name, target, dirs_exist_ok=True)


def _find_recordings(here: Path, there: Path, params: config.Params) -> None:
    """Links recordings that lie in the workspace, outside its data, to where tables look for them.

    Those that lie outside the workspace are found from a folder beside it.
    """
    old, new = layout.of(here, params).dataset, layout.of(there, params).dataset
    for name in clip_tables.read(new).clips["video_path"].unique():
        path = Path(os.path.normpath(new.resolve() / name))
        lies = Path(os.path.normpath(old.resolve() / name))
        if lies.exists() and not path.exists() and there.resolve() in path.parents:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(lies)


def verify(tracking: Tracking, restored: Restored, say: Say) -> Iterator[Check]:
    """What of a restored version is as it was registered, each as soon as it is known.

    Its bundle, code and data are, or `restore` would have failed. It is evaluated in its folder by
    its own code, from the bytes of its recordings on, and every figure is compared.

    Args:
        tracking: MLflow's store.
        restored: the version.
        say: told what is done.

    Raises:
        ValueError: a stage fails there; says how.
    """
    tags = restored.version.tags
    for what in ("bundle", "source", *(f"dvc.{name}" for name in stored.data_of(restored.version))):
        yield Check(what, passed=True)
    digest = provenance.params_digest(restored.params)
    yield _equal("params", digest, tags["params"])
    yield _recordings(restored)
    reads = {read for each in restored.system.trainings.values() for read in each.reads}
    for command in [MADE_FIRST[read] for read in MADE_FIRST if read in reads]:
        say(f"{command} ...")
        _run(restored.folder, command)
    for split in inputs.SPLITS:
        say(f"evaluate {restored.system.name} on {split} ...")
        _run(restored.folder, "evaluate", restored.system.name, "--split", split)
        yield _figures(tracking, restored, split)


def _equal(what: str, found: str, registered: str) -> Check:
    same = found == registered
    return Check(what, same, "as registered" if same else f"{found}, not {registered}")


def _recordings(restored: Restored) -> Check:
    """Whether recordings outside the data have the md5s that the table of clips has."""
    dataset = layout.of(restored.folder, restored.params).dataset
    clips = clip_tables.read(dataset).clips
    outside = clips[clips["video_path"].str.startswith("..") & (clips["kind"] != "frames")]
    wrong = []
    for name, md5 in outside[["video_path", "content_md5"]].itertuples(index=False):
        path = dataset / name
        if not path.is_file() or stage.digest(path) != md5:
            wrong.append(str(path.resolve()))
    said = f"{len(wrong)} of {len(outside)} are gone or others, such as {wrong[0]}" if wrong else ""
    return Check("recordings", not wrong, said or "as registered")


def _run(folder: Path, *arguments: str) -> None:
    """A command of the restored code.

    Raises:
        ValueError: it fails; carries what it said last.
    """
    done = subprocess.run(
        [sys.executable, "-m", "vidtag_ml", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder.resolve())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise ValueError(f"vidtag {' '.join(arguments)} failed in {folder}: {said}")


def _figures(tracking: Tracking, restored: Restored, split: str) -> Check:
    """Whether all figures, and those of each clip, are those that were registered."""
    system, version = restored.system, restored.version
    at = layout.of(restored.folder, restored.params)
    anew = system.report(at.evaluation(system.name, split))
    before = registry.report(tracking, version, split, system.name)
    beyond = system.bundled.beyond
    old, new = _plain(before.summary, beyond), _plain(anew.summary, beyond)
    other = sorted(key for key in old | new if old.get(key) != new.get(key))
    clips = [_without(report.per_clip, beyond) for report in (before, anew)]
    if not other and clips[0].equals(clips[1]):
        left = len(before.summary) - len(old)
        more = f"; {left} of networks that the bundle lacks are not compared" if left else ""
        return Check(f"evaluation.{split}", passed=True, said=f"the same {len(old)} figures{more}")
    told = [f"{key} {new.get(key)}, not {old.get(key)}" for key in other[:3]] or ["other clips"]
    then, now = version.tags.get(stored.MEASURED_ON), circumstances.hardware()
    where = "" if then == now else f" (registered on {then}; this is {now})"
    return Check(f"evaluation.{split}", passed=False, said=f"{'; '.join(told)}{where}")


def _plain(summary: Mapping[str, Any], beyond: str) -> dict[str, str]:
    """Figures as text, without those that begin so."""
    known = {key: json.dumps(value, sort_keys=True) for key, value in summary.items()}
    return {key: text for key, text in known.items() if not (beyond and key.startswith(beyond))}


def _without(table: "pd.DataFrame", beyond: str) -> "pd.DataFrame":
    """A table without the columns that begin so."""
    return table[[name for name in table if not (beyond and str(name).startswith(beyond))]]
