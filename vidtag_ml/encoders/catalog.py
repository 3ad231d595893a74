"""Weights of encoders and of GeoCLIP: which are known, which are here, how to get the others.

Belongs here: the papers' weights by name, checking weights on disk, and the only download in
vidtag, which happens when a person asks for it. Does not belong here: architectures
(frames.py), layouts of published checkpoints (checkpoints.py), training of the small Flyover
encoders (pretraining/frames.py).
"""

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vidtag_ml.workflow import stage

if TYPE_CHECKING:
    from torch import nn

    from vidtag_ml.encoders.frames import EncoderSpec


OURS = ("flyover_clip", "flyover_dino")
"""Encoders that `vidtag train-encoders` makes; they come with the repository."""
PRETRAINED = {
    "clip_vit_l14": "openai",
    "dinov2_vit_l14": "lvd142m",
    "dinov2_reg_vit_l14": "lvd142m",
}
"""The papers' encoders, and the tag under which open_clip and timm know their weights."""
VIDEO = {"videomae_small": "MCG-NJU/videomae-small-finetuned-kinetics"}
"""CityGuessr's video encoder, and its repository on Hugging Face."""
TEXT = {"clip_vit_b32_text": ("ViT-B-32-quickgelu", "openai")}
"""CityGuessr's text tower, and under which names open_clip knows it."""
LITE = "efficientnet_lite0"
"""The encoder whose weights a package carries: the extra `pretrained`, nothing is downloaded."""
GEOCLIP = "geoclip"
"""GeoCLIP's released heads and gallery."""
GEOCLIP_FILES = ("geoclip_location.safetensors", "geoclip_image.safetensors", "geoclip_gallery.csv")
"""GPS encoder with temperature, image perceptron, gallery: float32, as parity is promised."""
_VIDEO, _TEXT = "transformers VideoMAE", "CLIP text tower"


@dataclass(frozen=True)
class Status:
    """What a folder holds of one encoder, or of GeoCLIP."""

    name: str
    """Name of the encoder, as in `features.encoders`, or geoclip."""
    state: str
    """ok, absent, or what is wrong."""
    model: str
    """Library and architecture; empty if absent."""
    size_mb: float
    """Size of the weights in millions of bytes."""
    md5: str
    """md5 of the weights, for GeoCLIP of the md5s of its files; empty if absent."""


def known(configured: Iterable[str]) -> list[str]:
    """Names worth listing: those configured, ours, and the papers', each once."""
    return list(dict.fromkeys([*configured, *OURS, LITE, *PRETRAINED, *VIDEO, *TEXT, GEOCLIP]))


def status(folder: Path, name: str) -> Status:
    """What `folder` holds of the encoder `name`, or of GeoCLIP; looks at files only."""
    spec, weights = folder / f"{name}.json", folder / f"{name}.safetensors"
    needed = [folder / file for file in GEOCLIP_FILES] if name == GEOCLIP else [spec, weights]
    if not all(file.is_file() for file in needed):
        how = "vidtag train-encoders" if name in OURS else "vidtag weights fetch"
        return Status(name, f"absent: `{how} {name}` gets them", "", 0.0, "")
    if name == GEOCLIP:
        size = sum(file.stat().st_size for file in needed)
        whole = "".join(stage.digest(file) for file in needed).encode()
        md5 = hashlib.md5(whole, usedforsecurity=False).hexdigest()
        return Status(name, "ok", "GPS and image heads, gallery", size / 1e6, md5)
    card = json.loads(spec.read_text())
    return Status(name, "ok", _network(card), weights.stat().st_size / 1e6, stage.digest(weights))


def _network(card: Mapping[str, Any]) -> str:
    """What a specification is of: a frame encoder names its library, the others do not."""
    if "library" in card:
        return f"{card['library']} {card['model']}"
    return _VIDEO if "tubelet" in card else _TEXT


def verify(folder: Path, name: str) -> Status:
    """Like `status`, after trying the weights: on a grey picture, or GeoCLIP's on its gallery."""
    import dataclasses

    found = status(folder, name)
    if found.state != "ok":
        return found
    if found.model in (_VIDEO, _TEXT):
        problem = _place_problem(folder, name, found.model)
    else:
        problem = _geoclip_problem(folder) if name == GEOCLIP else _problem(folder, name)
    return dataclasses.replace(found, state=problem) if problem else found


def _problem(folder: Path, name: str) -> str:
    import torch
    from safetensors import SafetensorError

    from vidtag_ml.encoders import frames

    try:
        encoder = frames.load(folder, name)
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError) as error:
        return f"unusable: {' '.join(str(error).split())[:200]}"
    size = encoder.spec.image_size
    grey = torch.full((1, size, size, 3), 128, dtype=torch.uint8)
    with torch.inference_mode():
        features = encoder(encoder.preprocess(grey))
    if features.shape != (1, encoder.spec.dim) or not features.isfinite().all():
        return f"unusable: features have shape {tuple(features.shape)} or are not finite"
    return ""


def _place_problem(folder: Path, name: str, model: str) -> str:
    import torch
    from safetensors import SafetensorError

    from vidtag_ml.encoders import text, videomae

    try:
        if model == _TEXT:
            features = torch.from_numpy(text.load(folder, name).embed(["Lyon"]))
        else:
            network = videomae.load(folder, name)
            size = network.spec.image_size
            grey = torch.full((1, network.spec.num_frames, 3, size, size), 128, dtype=torch.uint8)
            with torch.inference_mode():
                features = network(grey)
    except (SafetensorError, ValueError) as error:
        return f"unusable: {' '.join(str(error).split())[:200]}"
    return "" if features.isfinite().all() else "unusable: features are not finite"


def _geoclip_problem(folder: Path) -> str:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from vidtag_ml.encoders import geoclip_release
    from vidtag_ml.encoders.location import GEOCLIP_SIGMAS, load_location

    location_file, image_file, gallery = (folder / file for file in GEOCLIP_FILES)
    try:
        location, scale = load_location(location_file, GEOCLIP_SIGMAS)
        heads = geoclip_release.Heads(
            location, GEOCLIP_SIGMAS, load_file(image_file), scale, gallery
        )
        locate, see = geoclip_release.load_heads(heads)
        points = torch.from_numpy(geoclip_release.read_gallery(gallery)[:100])
    except (SafetensorError, RuntimeError, ValueError) as error:
        return f"unusable: {' '.join(str(error).split())[:200]}"
    with torch.inference_mode():
        features = torch.cat([locate(points), see(torch.ones(1, 768))])
    return "" if features.isfinite().all() else "unusable: features are not finite"


def fetch(name: str, folder: Path, source: Path | None = None) -> Path:
    """Puts published weights into `folder`; returns the file of the weights.

    An encoder becomes NAME.json and NAME.safetensors, float16; GeoCLIP becomes `GEOCLIP_FILES`;
    `LITE` has a card beside it, which says where it is from.

    Args:
        name: a key of `PRETRAINED`, `VIDEO` or `TEXT`, `LITE` or `GEOCLIP`.
        folder: where encoders live.
        source: a checkpoint or a folder (see `frame_checkpoints.encoder`,
            `efficientnet_lite.published`, `geoclip_release.geoclip`); None = download through
            open_clip and timm, for LITE and GEOCLIP take the installed package's.

    Raises:
        ValueError: the name is unknown, or the weights cannot be had.
    """
    if name in OURS:
        raise ValueError(
            f"{name} comes with the repository; `vidtag train-encoders {name}` makes it anew"
        )
    if name == GEOCLIP:
        return _fetch_geoclip(folder, source)
    if name in VIDEO or name in TEXT:
        return _fetch_place(name, folder, source)
    if name == LITE:
        return _fetch_lite(folder, source)
    if name not in PRETRAINED:
        known = ", ".join([LITE, *PRETRAINED, *VIDEO, *TEXT, GEOCLIP])
        raise ValueError(f"no pretrained encoder is called {name!r}; known: {known}")
    from vidtag_ml.encoders import frame_checkpoints
    from vidtag_ml.encoders.frames import PAPER_SPECS

    spec = PAPER_SPECS[name]
    network = frame_checkpoints.encoder(spec, source).network if source else _download(name, spec)
    return store(folder, name, spec, network)


class Spec(Protocol):
    """What it takes to build a network: EncoderSpec, VideoSpec or TextSpec."""

    def write(self, path: Path) -> None:
        """Stores the specification as JSON."""


def store(folder: Path, name: str, spec: Spec, network: "nn.Module") -> Path:
    """Writes a network, in float16, as its module's `load` reads it; returns the weights' file."""
    from safetensors.torch import save_file

    state = {f"network.{k}": v.half().contiguous() for k, v in network.state_dict().items()}
    weights = folder / f"{name}.safetensors"
    with stage.replacing(weights) as aside:
        save_file(state, aside)
    with stage.replacing(folder / f"{name}.json") as aside:
        spec.write(aside)
    return weights


def _fetch_lite(folder: Path, source: Path | None) -> Path:
    from vidtag_ml.encoders import efficientnet_lite

    encoder = efficientnet_lite.published(source)
    weights = store(folder, LITE, encoder.spec, encoder.network)
    stage.write_text(folder / f"{LITE}.md", efficientnet_lite.CARD)
    return weights


def _download(name: str, spec: "EncoderSpec") -> "nn.Module":
    try:
        with _quiet():
            if spec.library == "open_clip":
                import open_clip

                clip = open_clip.create_model(spec.model, pretrained=PRETRAINED[name])
                visual: nn.Module = clip.visual
                return visual
            import timm

            network: nn.Module = timm.create_model(
                f"{spec.model}.{PRETRAINED[name]}", pretrained=True, num_classes=0, **spec.options
            )
    # Whatever their clients raise without a network is of no common class.
    except Exception as error:
        raise _absent(name, error) from error
    return network


def _fetch_place(name: str, folder: Path, source: Path | None) -> Path:
    """Takes VideoMAE or a text tower from a file or folder, or from the network."""
    from vidtag_ml.encoders import text, videomae

    if name in VIDEO:
        video = videomae.published(source or _downloaded(name))
        return store(folder, name, video.spec, video.network)
    tower = text.published(source or _downloaded(name))
    return store(folder, name, tower.spec, tower.network)


def _downloaded(name: str) -> Path:
    """Where a hub's client puts a checkpoint: for VideoMAE a folder, for a text tower a file."""
    try:
        with _quiet():
            if name in VIDEO:
                import huggingface_hub

                files = ["config.json", "model.safetensors"]
                return Path(huggingface_hub.snapshot_download(VIDEO[name], allow_patterns=files))
            from open_clip import pretrained

            return Path(pretrained.download_pretrained(pretrained.get_pretrained_cfg(*TEXT[name])))
    # Whatever their clients raise without a network is of no common class.
    except Exception as error:
        raise _absent(name, error) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what clients of hubs log of each attempt: the error in which all end is told."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _absent(name: str, error: BaseException) -> ValueError:
    """What is said when nothing comes from the network: the first cause, and what to do."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    advice = f"get its checkpoint elsewhere: vidtag weights fetch {name} --from FOLDER"
    return ValueError(f"{name}: nothing came from the network ({reason}); {advice}")


def _fetch_geoclip(folder: Path, source: Path | None) -> Path:
    from safetensors.torch import save_file

    from vidtag_ml.encoders import geoclip_release

    heads = geoclip_release.geoclip(source)
    location, image, gallery = (folder / file for file in GEOCLIP_FILES)
    with stage.replacing(image) as aside:
        save_file(heads.image, aside)
    with stage.replacing(gallery) as aside:
        shutil.copyfile(heads.gallery_csv, aside)
    with stage.replacing(location) as aside:
        save_file(
            {**heads.location, "logit_scale": heads.logit_scale},
            aside,
            metadata={"sigmas": json.dumps(heads.sigmas)},
        )
    return location
