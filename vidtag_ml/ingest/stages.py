"""The stages that take recordings in; as in workflow/inputs.py.

Belongs here: keys of generated, published and own recordings. Does not belong here: what becomes of
a recording (published/, flyover/, own/).
"""

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_ml import config
from vidtag_ml.ingest import sources
from vidtag_ml.workflow import code_key, layout, progress, stage

if TYPE_CHECKING:
    from vidtag_ml.ingest.own.tables import Outcome


RESERVED = ("encoders", "gallery", "inbox", "quarantine", *config.SOURCES)
"""Folders of `data/` that are no dataset of own recordings."""


def ingest(root: Path, params: config.Params) -> bool:
    """Makes `data/<dataset>/`: tables, and videos where they are generated."""
    if params.clips.source == "recordings":
        return _merge_recordings(root, params)
    if params.clips.source.startswith("flyover"):
        return _render(root, params)
    return _ingest_published(root, params)


def _render(root: Path, params: config.Params) -> bool:
    """Makes flights and their videos."""
    settings = params.clips
    key = {"clips": config.as_dict(settings), **code_key.of(f"ingest_{settings.source}")}

    def build(aside: Path) -> None:
        from vidtag_ml.ingest.flyover import dataset as flyover_dataset

        flyover_dataset.write(settings, aside, progress.reporter("rendering clips"))

    return stage.make(layout.of(root, params).dataset, key, build)


def _ingest_published(root: Path, params: config.Params) -> bool:
    """Makes the tables of recordings that stay where they are."""
    from vidtag_ml.ingest.published import tables as published

    settings = params.clips
    if settings.folder is None:
        raise ValueError(f"clips.folder is null; it must say where {settings.source} lies")
    recordings = root / settings.folder
    key = {
        "clips": config.as_dict(settings),
        "recordings": published.fingerprint(recordings),
        **code_key.of(f"ingest_{settings.source}"),
    }

    def build(aside: Path) -> None:
        source = importlib.import_module(sources.module_of(settings.source))
        source.write(settings, recordings, aside, progress.reporter("reading recordings"))

    return stage.make(layout.of(root, params).dataset, key, build)


def recordings(
    root: Path,
    params: config.Params,
    asked: Sequence[str],
    dataset: str,
    mode: str | None = None,
    time_offset_s: float = 0.0,
    time_zone: str | None = None,
    *,
    strip_metadata: bool = False,
    veil: tuple[str, ...] = (),
) -> "Outcome":
    """Takes own recordings into `data/<dataset>/`; what cannot be used goes on the report.

    Raises:
        ValueError: nothing was found, there is no such time zone, or the dataset's name is taken or
            no name for a folder.
    """
    from vidtag_ml.ingest.own import inspection, journal
    from vidtag_ml.ingest.own import report as ingest_report
    from vidtag_ml.ingest.own import tables as own

    at, folder = layout.of(root, params), root / "data" / dataset
    taken = (folder / "clips.parquet").exists() and not (folder / journal.FOLDER).exists()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", dataset) or dataset in RESERVED or taken:
        raise ValueError(f"--dataset {dataset}: taken, or no name for a folder; choose another")
    copies = None
    if strip_metadata or veil:
        weights = root / params.features.encoders_dir
        copies = inspection.Copies(str(folder / "media"), veil, str(weights))
    how = inspection.settings(params, mode, time_offset_s, copies, time_zone)
    report = progress.reporter("looking at recordings")
    outcome, whole = own.ingest(asked, folder, how, params.clips, report)
    ingest_report.write(at.quarantine, folder, outcome, whole)
    return outcome


def _merge_recordings(root: Path, params: config.Params) -> bool:
    """Makes `data/recordings/`: the tables of all datasets of own recordings, as one."""
    from vidtag_ml.ingest.own import journal
    from vidtag_ml.ingest.own import tables as own

    journals = sorted(root.glob(f"data/*/{journal.FOLDER}"))
    datasets = [path.parent for path in journals]
    key = {
        "clips": config.as_dict(params.clips),
        "datasets": {path.parent.name: journal.digest(path) for path in journals},
        **code_key.of("ingest_recordings"),
    }

    def build(aside: Path) -> None:
        own.merge(datasets, params.clips, aside)

    return stage.make(layout.of(root, params).dataset, key, build)
