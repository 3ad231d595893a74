"""The tiny world: real Flyover clips of 8 frames, and params to match.

Belongs here: what tests of several modules share. Does not belong here: fakes of one module's
neighbours. The fixtures of the session are read by many tests: copy before you change them.
"""

import dataclasses
import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import dagster as dg
import pytest
import yaml
from PIL import ExifTags, Image

from orchestration.definitions import build_definitions
from vidtag_assets.lineage import provenance
from vidtag_assets.store import champions, promotions, registry
from vidtag_assets.training.process_group import ProcessGroup
from vidtag_assets.workspace.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.ingest.flyover import dataset as flyover_dataset
from vidtag_ml.media import video
from vidtag_ml.workflow import sums
from vidtag_ml.workflow.stage import RECORD

ROOT = Path(__file__).parents[1]
# Networks of a few weights: threads cost more than they give, most of all beside each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def params() -> config.Params:
    """The repository's params.yaml at a size that trains in seconds."""
    full = config.load(ROOT / "params.yaml")
    sizes = {"epochs": 1, "batch_size": 2, "frames_per_clip": 4, "warmup_steps": 1}
    aligned = {"num_random_negatives": 8, "location_start": None, "image_start": None}
    location = config.Location(sigmas=(1.0, 8.0), num_frequencies=8, hidden=16)
    model = dataclasses.replace(
        full.model,
        embed_dim=16,
        temporal_layers=1,
        temporal_heads=2,
        temporal_ffn=32,
        head_widths=(32, 24),
        location=location,
        refiner_encoder_layers=1,
        refiner_decoder_layers=1,
        refiner_heads=2,
        refiner_ffn=32,
    )
    return dataclasses.replace(
        full,
        clips=dataclasses.replace(
            full.clips, num_train=6, num_val=2, num_test=2, min_frames=8, max_frames=8
        ),
        gallery=dataclasses.replace(full.gallery, spacing_km=1000.0),
        features=dataclasses.replace(full.features, batch_size=8),
        model=model,
        phase_one=dataclasses.replace(full.phase_one, **sizes, **aligned),
        phase_two=dataclasses.replace(full.phase_two, **sizes),
        geoclip=dataclasses.replace(full.geoclip, **sizes, **aligned, sigmas=(1.0, 8.0)),
        classifier=dataclasses.replace(full.classifier, **sizes, cell_km=1000.0),
        cityguessr=dataclasses.replace(
            full.cityguessr, **sizes, width=16, layers=1, heads=2, ffn=32
        ),
        evaluation=dataclasses.replace(full.evaluation, num_candidates=4, bootstrap_draws=20),
        registry=dataclasses.replace(full.registry, least_clips=2),
    )


@pytest.fixture(scope="session")
def tiny_world(params: config.Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset's folder with ten clips of eight frames: videos, GPX sidecars and tables."""
    folder = tmp_path_factory.mktemp("tiny_world") / "flyover"
    flyover_dataset.write(params.clips, folder)
    return folder


@pytest.fixture(scope="session")
def tables(tiny_world: Path) -> clip_tables.Tables:
    """The tables of the tiny world."""
    return clip_tables.read(tiny_world)


@pytest.fixture(scope="session")
def photographed() -> Callable[..., Path]:
    """Saves a video's frames, one a second, as photos with EXIF; names go back as time goes on."""

    def save(video_path: Path, folder: Path, began: dt.datetime | None = None) -> Path:
        folder.mkdir(parents=True)
        frames, _ = video.frames_at(video_path, video.sample_times(video_path, 1.0))
        for k, frame in enumerate(frames):
            exif = Image.Exif()
            exif[ExifTags.Base.Make] = "Maker"
            if began is not None:
                moment = began + dt.timedelta(seconds=k)
                detail = exif.get_ifd(ExifTags.IFD.Exif)
                detail[ExifTags.Base.DateTimeOriginal] = moment.strftime("%Y:%m:%d %H:%M:%S")
                if moment.tzinfo is not None:
                    detail[ExifTags.Base.OffsetTimeOriginal] = "+00:00"
            Image.fromarray(frame).save(folder / f"{99 - k}.png", exif=exif)
        return folder

    return save


@pytest.fixture(scope="session")
def tagged() -> Callable[..., Path]:
    """Copies a video, with tags of its container such as creation_time and location."""

    def copy(video_path: Path, path: Path, **tags: str) -> Path:
        whole = {"movflags": "use_metadata_tags"}  # else an mp4 keeps only tags that FFmpeg knows
        with (
            av.open(str(video_path)) as source,
            av.open(str(path), "w", options=whole) as target,
        ):
            target.metadata.update(tags)
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
        return path

    return copy


@pytest.fixture(scope="session")
def tiny_encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two random frame encoders under the names of the real ones."""
    folder = tmp_path_factory.mktemp("encoders")
    write_encoder(folder, "flyover_clip", "test_convnext", 64)
    write_encoder(folder, "flyover_dino", "test_resnet", 96)
    return folder


def write_encoder(folder: Path, name: str, model: str, dim: int) -> None:
    """A frame encoder of a small timm architecture with random weights, as NAME in `folder`."""
    import torch
    from safetensors.torch import save_file

    from vidtag_ml.encoders.frames import EncoderSpec, FrameEncoder

    half = (0.5, 0.5, 0.5)
    torch.manual_seed(dim)
    spec = EncoderSpec("timm", model, dim, image_size=32, mean=half, std=half)
    spec.write(folder / f"{name}.json")
    state = FrameEncoder(spec).state_dict()
    weights = {k: v.half() for k, v in state.items() if v.is_floating_point()}
    save_file(weights, folder / f"{name}.safetensors")


@pytest.fixture
def workspace(params: config.Params, tiny_encoders: Path, tmp_path: Path) -> Path:
    """A workspace of the tiny world in which nothing has run yet; DVC works in it, without Git."""
    return lay_out(tmp_path / "tiny world", params, tiny_encoders)


def lay_out(root: Path, params: config.Params, encoders: Path) -> Path:
    """A workspace with params, encoders and DVC's stages."""
    _workspace(root, params, encoders)
    shutil.copy(ROOT / "dvc.yaml", root)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (root / "vidtag_ml").symlink_to(ROOT / "vidtag_ml")  # the stages of dvc.yaml read code.json
    return root


@pytest.fixture(scope="session")
def made(
    params: config.Params, tiny_encoders: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A workspace of the tiny world in which every stage has run."""
    from vidtag_ml.models.registry import RANKED, SYSTEMS
    from vidtag_ml.models.stages import STAGES
    from vidtag_ml.models.vidtag import stages as vidtag_stages

    root = _workspace(tmp_path_factory.mktemp("made") / "tiny world", params, tiny_encoders)
    trained = ("phase_one", "phase_two", "geoclip", "classifier")
    for name in ("ingest", "hierarchy", "gallery", "features", *trained):
        assert STAGES[name](root, params)
    for name in RANKED:
        assert SYSTEMS[name].evaluate(root, params)
    assert vidtag_stages.bundle_vidtag(root, params)
    for name in ("cityguessr", "evaluate_cityguessr", "bundle_cityguessr"):
        assert STAGES[name](root, params)
    return root


@pytest.fixture
def knowing(tmp_path: Path) -> Callable[[Path, float], Path]:
    """Makes a copy of a bundle that takes for foreign what is stranger than a limit."""

    def changed(bundle: Path, limit: float) -> Path:
        from vidtag_ml.models.familiarity import FOLDER, Familiarity, Usual
        from vidtag_ml.workflow import sums

        copy = shutil.copytree(bundle, tmp_path / f"knows {limit}")
        found = Familiarity.read(copy / FOLDER)
        assert found is not None
        usual = (Usual(1, (0.0, 0.0), (1.0, 1.0), limit),)
        dataclasses.replace(found, usual=usual).write(copy / FOLDER)
        sums.write(copy)
        return copy

    return changed


@pytest.fixture(scope="session")
def gama_params(params: config.Params) -> config.Params:
    """Flights that GAMa is learnt on, four seconds each, and networks that train in seconds."""
    small = {"epochs": 1, "batch_size": 4, "width": 4, "blocks": 1, "stem": "fast"}
    clips_of = {"source": "flyover_gama", "num_train": 4, "num_val": 2, "num_test": 2}
    return dataclasses.replace(
        params,
        clips=dataclasses.replace(params.clips, **clips_of, min_frames=32, max_frames=32),
        aerial=dataclasses.replace(params.aerial, tile_pixels=28),
        gama=dataclasses.replace(
            params.gama, **small, frame_size=(28, 28), clip_crop=(24, 24), tile_crop=24
        ),
        screening=dataclasses.replace(
            params.screening, **small, frames_per_clip=4, fine_tune_epochs=1
        ),
        heading=dataclasses.replace(params.heading, epochs=1, num_candidates=3),
    )


@pytest.fixture(scope="session")
def made_gama(
    gama_params: config.Params, tiny_encoders: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, config.Params]:
    """A workspace in which every stage of GAMa has run, and its params."""
    from vidtag_ml.ingest import stages as ingest_stages
    from vidtag_ml.models.stages import STAGES

    root = tmp_path_factory.mktemp("made_gama") / "tiny world"
    _workspace(root, gama_params, tiny_encoders)
    assert ingest_stages.ingest(root, gama_params)
    made = ("aerial_gallery", "aerial_pixels", "gama", "screening", "heading", "evaluate_gama")
    for name in (*made, "bundle_gama"):
        assert STAGES[name](root, gama_params)
    return root, gama_params


def _workspace(root: Path, params: config.Params, encoders: Path) -> Path:
    shutil.copytree(encoders, root / "data" / "encoders")
    (root / "params.yaml").write_text(yaml.safe_dump(config.as_dict(params), sort_keys=False))
    return root


class FakeDvc(Dvc):
    """`Dvc` without the command: identities and a cache as DVC has them, a lock of little else."""

    def require(self, stages: Sequence[str]) -> None:
        """Knows every stage."""

    def commit(self, stage: str) -> str:
        """Records the stage's output."""
        root = Path(self.root)
        source = config.load(root / "params.yaml").clips.source
        name = {"clips": source, "hierarchy": "hierarchy.csv", "gallery": "gallery"}[stage]
        lock = root / "dvc.lock"
        empty = {"schema": "2.0", "stages": {}}
        recorded = yaml.safe_load(lock.read_text()) if lock.exists() else empty
        outs = [self._out(root / f, f) for f in (f"data/{name}", f"data/{name}{RECORD}")]
        recorded["stages"][stage] = {"cmd": f"vidtag {stage}", "outs": outs}
        lock.write_text(yaml.safe_dump(recorded))
        return outs[0]["md5"]

    def add(self, name: str) -> str:
        """Records `data/NAME`."""
        path = Path(self.root) / "data" / name
        outs = [self._out(path.with_name(f"{name}{end}"), f"{name}{end}") for end in ("", RECORD)]
        path.with_name(f"{name}.dvc").write_text(yaml.safe_dump({"outs": outs}))
        return outs[0]["md5"]

    def _out(self, path: Path, name: str) -> dict[str, str]:
        """An output as DVC records it."""
        return {"path": name, "hash": "md5", "md5": self._keep(path)}

    def _keep(self, path: Path) -> str:
        """Copies a file or folder into the cache; its identity."""
        if path.is_file():
            return self._keep_bytes(path.read_bytes())
        found = sums.take(path)
        for name in found:
            self._keep_bytes((path / name).read_bytes())
        entries = [{"md5": md5, "relpath": name} for name, md5 in found.items()]
        return self._keep_bytes(json.dumps(entries, sort_keys=True).encode(), ".dir")

    def _keep_bytes(self, content: bytes, suffix: str = "") -> str:
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        path = Path(self.root) / ".dvc" / "cache" / "files" / "md5" / md5[:2] / f"{md5[2:]}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"{md5}{suffix}"


@dataclasses.dataclass(frozen=True)
class World:
    """A workspace with its definitions, and the runs that materialized all of them."""

    root: Path
    resources: dict[str, Any]
    defs: dg.Definitions
    instance: dg.DagsterInstance
    result: dg.ExecuteInProcessResult
    """Of the main job."""
    places: dg.ExecuteInProcessResult
    """Of the job that names places."""

    @property
    def materializations(self) -> list[dg.AssetMaterialization]:
        """What both runs made, in order."""
        runs = (self.result, self.places)
        events = (event for run in runs for event in run.get_asset_materialization_events())
        return [event.step_materialization_data.materialization for event in events]

    def materialization(self, asset: str) -> dg.AssetMaterialization:
        """What was told when the asset was materialized."""
        (found,) = (m for m in self.materializations if m.asset_key.to_user_string() == asset)
        return found

    def metadata(self, asset: str) -> dict[str, Any]:
        """What the asset showed when it was materialized."""
        return {key: value.value for key, value in self.materialization(asset).metadata.items()}


@pytest.fixture(scope="session")
def world(
    params: config.Params, tiny_encoders: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The whole graph, materialized once in the tiny world: real MLflow, no DVC."""
    root = _workspace(tmp_path_factory.mktemp("world") / "a workspace", params, tiny_encoders)
    with dg.DagsterInstance.ephemeral() as instance:
        resources = resources_of(root)
        defs = build_definitions(**resources)
        runs = [
            defs.resolve_job_def(name).execute_in_process(instance=instance)
            for name in ("everything", "name_places")
        ]
        yield World(root, resources, defs, instance, *runs)


def resources_of(root: Path) -> dict[str, Any]:
    """The resources of a workspace, with DVC faked."""
    return {
        "workspace": Workspace(root=str(root)),
        "params_file": ParamsFile(path=str(root / "params.yaml")),
        "dvc": FakeDvc(root=str(root)),
        "tracking": Tracking(root=str(root)),
        "process_group": ProcessGroup(),
    }


def lineage_of(root: Path) -> provenance.Lineage:
    """What is made in a workspace is made from its data, as DVC has recorded them."""
    dvc = Dvc(root=str(root))
    return provenance.Lineage("commit", dvc.md5("clips"), dvc.md5("gallery"), "params", "run")


def forget_decisions(tracking: Tracking, name: str) -> None:
    """Makes a store that of a workspace in which nothing was decided; `name` has no champion."""
    promotions.log_path(Path(tracking.root)).unlink(missing_ok=True)
    client = tracking.client()
    for model in registry.names(tracking):
        for version in registry.versions(tracking, model):
            for tag in version.tags:
                if tag.startswith(champions.DECISION):
                    client.delete_model_version_tag(model, version.version, tag)
                    client.set_registered_model_tag(model, champions.DECIDED, "0")
    for alias in {"champion", "previous"} & set(registry.aliases(tracking, name)):
        client.delete_registered_model_alias(name, alias)
