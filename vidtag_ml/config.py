"""Configuration: `params.yaml` as frozen dataclasses, parsed strictly.

Belongs here: one class a section, a unit in each name, a range in each number's type, a sentence
under each field. Values live in `params.yaml`, not here, so that one file says everything a run
depends on. Does not belong here: values computed from others.
"""

import dataclasses
import math
import re
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

Source = Literal[
    "flyover",
    "flyover_gama",
    "msls",
    "bdd100k",
    "cityguessr68k",
    "comma2k19",
    "images",
    "recordings",
]


@dataclass(frozen=True)
class Range:
    """Where a number must lie.

    >>> 0 in Range(above=0, most=1), 1 in Range(above=0, most=1), str(Range(above=0, most=1))
    (False, True, 'above 0 and at most 1')
    """

    least: float = -math.inf
    """The smallest number that will do."""
    above: float = -math.inf
    """Larger numbers do."""
    most: float = math.inf
    """The largest number that will do."""
    below: float = math.inf
    """Smaller numbers do."""

    def __contains__(self, value: float) -> bool:
        """Whether the number lies there."""
        return self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        """The ends that there are, in words."""
        ends = {"at least": self.least, "above": self.above}
        ends |= {"at most": self.most, "below": self.below}
        return " and ".join(f"{words} {end:g}" for words, end in ends.items() if math.isfinite(end))


Count = Annotated[int, Range(least=1)]
Whole = Annotated[int, Range(least=0)]
Zoom = Annotated[int, Range(least=0, most=30)]
Positive = Annotated[float, Range(above=0)]
Amount = Annotated[float, Range(least=0)]
Degrees = Annotated[float, Range(least=0, most=180)]
Share = Annotated[float, Range(least=0, most=1)]
Portion = Annotated[float, Range(above=0, most=1)]
Dropout = Annotated[float, Range(least=0, below=1)]


@dataclass(frozen=True)
class Clips:
    """Which recordings there are, and how they are split."""

    source: Source
    """Where clips come from; recordings: what `vidtag ingest PATH` took in, all of it."""
    folder: str | None
    """Where recordings lie, relative to the workspace or absolute; null = they are generated."""
    seed: Whole
    """Seed of flights and weather; also of the split."""
    num_train: Whole
    """Clips in the train split; of recordings the share of groups, in proportion to the others."""
    num_val: Whole
    """Clips in the val split, on which promotion is decided; of recordings as above."""
    num_test: Whole
    """Clips in the test split, which is only reported; of recordings as above."""
    min_frames: Count
    """Frames in the shortest clip; recordings with fewer are no train clips."""
    max_frames: Count
    """Frames in the longest clip; recordings are not cut."""
    max_gap_s: Amount
    """Positions are not interpolated across longer gaps between fixes."""
    min_split_km: Amount
    """Own recordings with fixes nearer to each other than this share a split; 0 = any may part."""

    def __post_init__(self) -> None:
        """Refuses lengths in the wrong order."""
        if self.min_frames > self.max_frames:
            raise ValueError(
                f"min_frames is {self.min_frames}; it must be at most max_frames: {self.max_frames}"
            )


@dataclass(frozen=True)
class Gallery:
    """The coordinates among which a model searches."""

    source: Literal["lattice", "grid", "cities", "file"]
    """lattice: equal-area, over land and coast, blind to splits; grid: boxes around train fixes;
    cities: the centres of the dataset's cities; file: as released with GeoCLIP."""
    file: str | None
    """file: a CSV with columns LAT and LON, relative to the workspace."""
    spacing_km: Positive
    """Distance between neighbouring points."""
    coast_km: Amount
    """lattice: points at sea are kept up to this distance from land."""
    padding_deg: Degrees
    """grid: each region's box is widened by this on every side."""


@dataclass(frozen=True)
class Features:
    """How frames become cached features."""

    encoders: tuple[str, ...]
    """Encoder names, in the order in which their features are concatenated (CLIP's role first)."""
    encoders_dir: str
    """Folder with NAME.json and NAME.safetensors, relative to the workspace."""
    frames_per_second: Positive
    """Frames sampled from a video, by presentation time."""
    views: Literal["whole", "centre", "ten"]
    """whole: the frame, squeezed to a square; centre: its middle square; ten: five squares and
    their mirror images, whose similarities are averaged."""
    batch_size: Count
    """Pictures a forward pass."""


@dataclass(frozen=True)
class Location:
    """The GPS encoder: Equal Earth projection and random Fourier features, as in GeoCLIP."""

    sigmas: tuple[Positive, ...]
    """Standard deviation of the Fourier frequencies, one branch each."""
    num_frequencies: Count
    """Frequencies a branch; its features are their cosines and sines."""
    hidden: Count
    """Width of the branches' hidden layers."""


@dataclass(frozen=True)
class Model:
    """Sizes of VidTAG; GeoCLIP shares `embed_dim` and `location`."""

    embed_dim: Count
    """Width of the space in which frames and coordinates meet."""
    temporal_layers: Whole
    """TempGeo: Transformer encoder layers."""
    temporal_heads: Count
    """TempGeo: attention heads."""
    temporal_ffn: Count
    """TempGeo: feed-forward width."""
    head_widths: tuple[Count, ...]
    """Hidden widths of the Mish head between TempGeo and the common space."""
    temporal_norm: bool
    """TempGeo: whether a layer norm ends it."""
    positions: Literal["sinusoidal", "learned", "none"]
    """TempGeo: position encoding; sinusoidal is evaluated at continuous frame times."""
    num_positions: Count
    """Entries of a learned table of positions; later frames share the last one."""
    dropout: Dropout
    """Dropout in all Transformers."""
    location: Location
    """The GPS encoder."""
    refiner_encoder_layers: Whole
    """GeoRefiner: layers over the frame embeddings."""
    refiner_decoder_layers: Whole
    """GeoRefiner: layers over the GPS embeddings."""
    refiner_heads: Count
    """GeoRefiner: attention heads."""
    refiner_ffn: Count
    """GeoRefiner: feed-forward width."""
    refiner_width: Count | None
    """GeoRefiner: width, with projections in and out; null = `embed_dim`, without."""
    refiner_positions: Literal["sinusoidal", "learned", "none"]
    """GeoRefiner: position encoding."""


@dataclass(frozen=True)
class Training:
    """What every training has."""

    seed: Whole
    """Seed of initial weights, batches, frame choice and whatever else is drawn."""
    epochs: Count
    """Passes over the train clips."""
    batch_size: Count
    """Clips a step."""
    frames_per_clip: Count
    """Frames drawn from each clip, one from each of as many equal cells."""
    learning_rate: Positive
    """Peak learning rate of Adam."""
    decay: Portion
    """Factor on the learning rate after each epoch."""
    warmup_steps: Whole
    """Steps of linear warm-up."""
    weight_decay: Amount
    """Of Adam."""
    precision: Literal["float32", "bfloat16"]
    """Of matrix products; projection and Fourier phases of coordinates stay in float32. A CPU that
    cannot multiply bfloat16 computes in float32."""
    clip_gradients: Positive | None
    """Largest gradient norm; null = no clipping."""


@dataclass(frozen=True)
class PhaseOne(Training):
    """Contrastive alignment of frames and coordinates."""

    encoders: tuple[str, ...]
    """Encoders whose features the model reads, of those in `features.encoders`."""
    location_start: str | None
    """GPS encoder in features.encoders_dir to start from, as the paper starts from the released
    GeoCLIP; `geoclip` = the GeoCLIP fine-tuned in this workspace; null = random weights."""
    unit: Literal["frame", "clip"]
    """What is aligned: each frame with its coordinate, or clips' means with each other."""
    direction: Literal["frames_to_gps", "symmetric"]
    """Which softmaxes the loss averages."""
    soft_targets_km: Positive | None
    """Targets proportional to exp(-distance / this); null = one-hot, as published."""
    num_random_negatives: Whole
    """Extra coordinates drawn from the gallery in each step."""
    queue_size: Whole
    """Coordinates of earlier steps that serve as further negatives."""
    queue_mask_km: Amount
    """Entries of the queue nearer than this to a frame are no negatives of it."""
    gps_noise_m: Amount
    """Standard deviation of the noise on a batch's coordinates."""
    queue_noise_m: Amount
    """Standard deviation of the noise on the queue's coordinates."""


@dataclass(frozen=True)
class GeoCLIP(PhaseOne):
    """The image baseline."""

    epochs: Whole
    """Passes over the train clips; 0 = it is used as it starts: zero-shot."""
    sigmas: tuple[Positive, ...]
    """In the place of `model.location.sigmas`."""
    image_start: str | None
    """Image perceptron in features.encoders_dir to start from; null = random weights."""


@dataclass(frozen=True)
class Classifier(Training):
    """The classifiers of the paper's tables: cells of train coordinates, one encoder, no time."""

    cell_km: Positive
    """Cells are as many as squares of this side that hold a train frame."""


@dataclass(frozen=True)
class CityGuessr(Training):
    """Which city, state, country and continent a video is from (cityguessr.md)."""

    backbone: Literal["frames", "videomae"]
    """frames: a Transformer over the cached features of frozen frame encoders; videomae: VideoMAE
    on pixels, trained with the rest."""
    start: str | None
    """Weights in features.encoders_dir that VideoMAE starts from; null = random weights."""
    encoders: tuple[str, ...]
    """frames: encoders whose features are read, of those in `features.encoders`."""
    width: Count
    """frames: width of the Transformer."""
    layers: Whole
    """frames: its layers; 0 = the mean over frames is all that is seen."""
    heads: Count
    """frames: its attention heads."""
    ffn: Count
    """frames: its feed-forward width."""
    dropout: Dropout
    """frames: dropout in the Transformer."""
    frame_stride: Count
    """videomae: every so many-th frame from the start is taken, if the video is long enough."""
    pixels: Literal["imagenet", "unit"]
    """videomae: pixels are normalised by ImageNet's statistics, or scaled to [0, 1] only."""
    attention: bool
    """Self-Cross Attention over the four levels' logits."""
    scenes: Literal["none", "soft", "majority"]
    """Scene labels that are learned as well: none, a distribution a video, or its largest class."""
    text: str | None
    """Text targets: null = none, seeded = stand-ins drawn by label, else a text tower in
    features.encoders_dir."""
    text_levels: Literal["all", "city"]
    """Levels whose names make the text target."""
    scene_weight: Amount
    """Weight of the scene loss."""
    text_weight: Amount
    """Weight of the mean text loss; 12 is the published sum over a batch of 12."""
    optimizer: Literal["adam", "adamw"]
    """adam: L2 weight decay and one rate for all; adamw: decoupled, VideoMAE at its own rate."""
    schedule: Literal["decay", "cosine"]
    """After warm-up: `decay` after each epoch, or a cosine to nothing at the end."""
    backbone_learning_rate: Positive
    """adamw: peak learning rate of a backbone that starts from trained weights."""
    selection: Literal["last", "best"]
    """The weights that are kept: of the last epoch, or of the one with the best val city top-1."""
    inference: Literal["codependent", "independent", "product", "tree"]
    """How four levels' logits become an answer (cityguessr.md section 6; tree is ours)."""
    least_probability: Share
    """An answer goes down to the last level whose calibrated probability is at least this."""


@dataclass(frozen=True)
class Aerial:
    """Which aerial tiles there are."""

    source: Literal["flyover", "published", "slippy", "geotiff"]
    """flyover: cut from the Blue Marble; published: the layout of GAMa; slippy: a folder of
    z/x/y.png (jpg, jpeg, webp); geotiff: cut from all GeoTIFFs of a folder."""
    folder: str | None
    """Where the imagery lies, relative to the workspace or absolute; flyover: null."""
    kind: Literal["centred", "uncentred"]
    """centred: one tile around each fix; uncentred: the tiles of a grid."""
    zoom: Zoom
    """Of the grid; a centred tile is as large as a tile of the grid."""
    ground_km: Positive | None
    """geotiff: width of a tile on the ground, in place of zoom; null = zoom decides."""
    tile_pixels: Count
    """Side of a tile's picture when it is embedded."""
    region_tiles: Count
    """Tiles along a side of a region."""


@dataclass(frozen=True)
class Gama(Training):
    """GAMa-Net: clips of ground video and the aerial tiles on which they were filmed (gama.md).

    `batch_size` counts videos, `frames_per_clip` the frames of a clip (published: 8), and `decay`
    is the factor on the learning rate at each of the `milestones`.
    """

    milestones: tuple[Count, ...]
    """Epochs after which the learning rate falls."""
    width: Count
    """Channels of the networks' first stage; each later stage doubles them."""
    blocks: Count
    """Residual blocks a stage."""
    ground: Literal["video", "image"]
    """video: a 3-D network over the clip; image: a 2-D network over its centre frame, the baseline
    Image-CB."""
    stem: Literal["reference", "fast"]
    """Of 2-D networks: stride 1 and no max-pool as released, or torchvision's own."""
    dropout: Dropout
    """After every residual block of the 3-D network."""
    tx: Literal["aerial", "video", "dual", "none"]
    """Which side's map a Transformer reads; elsewhere it is averaged."""
    tx_layers: Whole
    """Layers of the Transformer."""
    tx_heads: Count
    """Its attention heads."""
    tx_dropout: Dropout
    """Its dropout."""
    positions: Literal["none", "sinusoidal"]
    """Its position encoding; the paper has one, the released code none."""
    ground_start: str | None
    """Weights in features.encoders_dir that the ground network starts from; null = random ones."""
    aerial_start: str | None
    """Weights in features.encoders_dir that the aerial network starts from; null = random ones."""
    frames_per_second: Positive
    """Frames of the videos that are read, of which clips are made."""
    stride: Count
    """Each so-manyth frame of a clip's span is taken."""
    frame_size: tuple[Count, Count]
    """Rows and columns to which frames are scaled."""
    pixels: Literal["cached", "read"]
    """cached: all frames and tiles are scaled once, into arrays; read: files are read whenever
    training needs them, as no disk holds the published scale twice."""
    clip_crop: tuple[Count, Count]
    """Rows and columns that are seen of them."""
    tile_crop: Count
    """Rows and columns that are seen of a tile or region of aerial.tile_pixels."""
    augment: bool
    """Random crops, turns and mirror images in training; else the middle is seen."""
    hard_pairs: bool
    """Two clips of each video are learnt in a step, one from each half of the drive."""
    all_data: bool
    """Whether the videos of train.list are learnt, or those of train_day.list alone, if there is
    such a list."""
    loss: Literal["nt_xent", "triplet"]
    """NT-Xent, or the margin loss of the baseline Triplet-B."""
    temperature: Positive
    """nt_xent: what similarities are divided by."""
    margin: Amount
    """triplet: how much nearer than all others the right partner is to be."""
    center_test_clip: bool
    """Evaluation: a fix is in the middle of its clip, not at its beginning."""
    near_km: Positive
    """Evaluation, centred tiles: answers this near are right; published is 0.05 mile."""
    top1_km: dict[str, Positive]
    """Evaluation: distances of first answers, by the name that they have in top1_at_NAME."""
    kept: Literal["top10", "top1pct", "top10pct"]
    """Regions in whose tiles the hierarchical search looks again."""


@dataclass(frozen=True)
class Screening(Training):
    """The screening network: videos, by tiles along them, and the regions that hold these.

    `batch_size` counts videos, `decay` is as in `Gama`. Losses, crops, augmentation and temperature
    are GAMa-Net's, too.
    """

    frames_per_clip: Count
    """Tiles of a sequence; published are 32 and 8."""
    milestones: tuple[Count, ...]
    """Epochs after which the learning rate falls."""
    width: Count
    """Channels of the networks' first stage; each later stage doubles them."""
    blocks: Count
    """Residual blocks a stage."""
    sequence: Literal["2d", "3d"]
    """2d: features of tiles are averaged; 3d: a 3-D network reads the tiles as frames."""
    stem: Literal["reference", "fast"]
    """Of 2-D networks, as in `Gama`."""
    dropout: Dropout
    """After every residual block of the 3-D network."""
    small_start: str | None
    """Weights in features.encoders_dir that the network of tiles starts from; null = random."""
    large_start: str | None
    """Weights in features.encoders_dir that the network of regions starts from; null = random."""
    fine_tune_epochs: Whole
    """Passes over the train videos by the tiles that GAMa-Net finds for them, after `epochs` by the
    true ones; 0 = none."""
    fine_tune_batch_size: Count
    """Videos a step of these."""
    fine_tune_milestones: tuple[Count, ...]
    """Epochs of these after which the learning rate falls."""


@dataclass(frozen=True)
class Heading:
    """Beyond GAMa: tiles are turned to the track's direction, and looked at again.

    A GAMa-Net that has gone on learning on such tiles does it; what is not named here is as in its
    first training.
    """

    seed: Whole
    """As of every training."""
    epochs: Whole
    """Passes over the train videos; 0 = GAMa-Net itself looks at turned tiles."""
    learning_rate: Positive
    """Peak learning rate of Adam."""
    milestones: tuple[Count, ...]
    """Epochs after which the learning rate falls by `gama.decay`."""
    jitter_deg: Degrees
    """Standard deviation of what is added to the true heading in training."""
    num_candidates: Whole
    """Tiles of each clip that are turned; 0 = none."""


@dataclass(frozen=True)
class Fusion:
    """Beyond GAMa: VidTAG's posterior restricts the tiles, and multiplies their odds."""

    bundle: str | None
    """Folder of a VidTAG bundle, relative to the workspace or absolute; null = GAMa alone."""
    mass: Portion
    """Share of VidTAG's posterior in which tiles are looked for."""


@dataclass(frozen=True)
class Noise:
    """Corruption of true tracks in Phase II (vidtag.md section 3.6)."""

    collapse_probability: Share
    """Share of sequences that become one of their points."""
    collapse_after: bool
    """Collapse falls on what jitter and shift have moved, instead of in their place."""
    drift: bool
    """The shift grows along the sequence, from nothing at its start."""
    clean_probability: Share
    """Share of sequences that are left as they are."""
    jitter_deg: tuple[Degrees, Degrees]
    """Range of the magnitude of the per-frame offset."""
    shift_deg: Degrees
    """Largest magnitude of the offset of a whole sequence."""
    predicted_probability: Share
    """Share of sequences whose queries are Phase I's own predictions instead of corrupted truth."""

    def __post_init__(self) -> None:
        """Refuses a range in the wrong order."""
        low, high = self.jitter_deg
        if low > high:
            raise ValueError(f"jitter_deg is [{low:g}, {high:g}]; the first must be the smaller")


@dataclass(frozen=True)
class PhaseTwo(Training):
    """Training of the GeoRefiner on corrupted tracks."""

    loss: Literal["identity", "retrieval"]
    """identity: squared error to the identity, as published; retrieval: Phase I's loss again."""
    off_diagonal_weight: Amount
    """Weight of the off-diagonal terms of the identity loss."""
    diagonal_weight: Amount
    """Weight of the diagonal terms of the identity loss."""
    same_place_km: Amount
    """Off-diagonal pairs closer than this are left out; 0 keeps all, as printed."""
    video_unit: Literal["mean", "concatenation"]
    """What stands for a video in the loss: the mean of its frames' embeddings, or all of them."""
    noise: Noise
    """Corruption of the queries."""


@dataclass(frozen=True)
class Search:
    """How the points most similar to a frame are found."""

    method: Literal["exact", "coarse_to_fine", "faiss_flat", "faiss_ivf"]
    """exact: all of the gallery; coarse_to_fine: then finer points around the best, without end;
    faiss_...: the gallery through FAISS, with or without inverted lists."""
    finest_km: Positive
    """coarse_to_fine: spacing is halved until it is at most this."""
    beam: Count
    """coarse_to_fine: points a frame that are followed to the next level."""
    num_lists: Count
    """faiss_ivf: lists that the gallery is divided into."""
    num_probes: Count
    """faiss_ivf: lists that are looked through."""


@dataclass(frozen=True)
class Evaluation:
    """How predictions become tracks, and tracks become figures."""

    search: Search
    """How gallery points are found."""
    windows: Literal["whole", "interleaved"]
    """whole: a clip is seen at its natural length; interleaved: as every n-th frame, from each
    start, so that no more frames are seen at once than in training."""
    decoding: Literal["initial", "refined", "viterbi", "refined_viterbi"]
    """What `locate` and the gate use: Phase I's best, GeoRefiner's, or Viterbi over candidates."""
    num_candidates: Count
    """Gallery points a frame that Viterbi chooses from."""
    max_speed_kmh: dict[str, Positive]
    """Speed prior of each mode."""
    accuracy_km: tuple[Positive, ...]
    """Thresholds of the accuracies."""
    bootstrap_draws: Count
    """Draws over clips for the intervals."""


@dataclass(frozen=True)
class Registry:
    """Under which names models are registered, and when the gate may promote one."""

    domain: str | None
    """Models are registered as vidtag-DOMAIN, cityguessr-DOMAIN and gama-DOMAIN, and champions are
    compared within a domain; null = `clips.source`, but the plain names on Flyover Earth."""
    least_clips: Annotated[int, Range(least=2)]
    """Val clips, of GAMa videos, that a challenger needs: fewer decide by chance (decision 25)."""

    def __post_init__(self) -> None:
        """Refuses what MLflow could not name."""
        if self.domain is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.domain):
            raise ValueError(
                f"registry.domain is {self.domain!r}; use letters, digits, _ and -, or null"
            )


@dataclass(frozen=True)
class Params:
    """All sections of a params file."""

    clips: Clips
    gallery: Gallery
    features: Features
    model: Model
    phase_one: PhaseOne
    phase_two: PhaseTwo
    geoclip: GeoCLIP
    classifier: Classifier
    cityguessr: CityGuessr
    aerial: Aerial
    gama: Gama
    screening: Screening
    heading: Heading
    fusion: Fusion
    evaluation: Evaluation
    registry: Registry


PRESETS = Path(__file__).parent / "presets"
"""Readings of the paper that differ from ours (vidtag.md section 13): keys to change, as YAML."""


def load(path: Path) -> Params:
    """The configuration in a YAML file.

    A file with a key `base` holds changes to the file that it names, relative to its own folder; a
    key `preset` names changes to that base which come first: those in `PRESETS`.

    Raises:
        ValueError: a key is unknown or missing, or a value has the wrong type or lies outside its
            range; names the key.
        FileNotFoundError: there is no such file.
    """
    parsed = _parse(Params, _resolved(path), "", str(path))
    assert isinstance(parsed, Params)
    return parsed


def _resolved(path: Path) -> Any:
    """The values of a file on top of its preset and base."""
    values = _yaml(path)
    if not isinstance(values, dict) or not {"base", "preset"} & set(values):
        return values
    own = {k: v for k, v in values.items() if k not in ("base", "preset")}
    if "base" not in values:
        raise ValueError(f"{path}: a preset changes another file: name that one as `base`")
    below = _resolved(path.parent / str(values["base"]))
    if "preset" in values:
        preset = PRESETS / f"{values['preset']}.yaml"
        if not preset.is_file():
            known = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
            raise ValueError(f"{path}: no preset is called {values['preset']!r}; known: {known}")
        below = _changed(below, _yaml(preset))
    return _changed(below, own)


def _changed(values: Any, changes: Any) -> Any:
    """`values` with `changes` laid over them, section by section."""
    if not (isinstance(values, dict) and isinstance(changes, dict)):
        return changes
    return {**values, **{k: _changed(values.get(k), v) for k, v in changes.items()}}


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error


def as_dict(section: Any) -> dict[str, Any]:
    """A section as plain dicts, lists and scalars, ready for JSON."""
    values: dict[str, Any] = _plain(dataclasses.asdict(section))
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (tuple, list)) else value


def parse(section: type[Any], values: Any, name: str) -> Any:
    """An instance of the dataclass `section` from plain values; `name` stands in errors.

    Raises:
        ValueError: a key is unknown or missing, or a value has the wrong type or lies outside its
            range; names the key.
    """
    return _parse(section, values, "", name)


def _parse(wanted: Any, value: Any, key: str, where: str) -> Any:
    origin, choices = typing.get_origin(wanted), typing.get_args(wanted)
    if dataclasses.is_dataclass(wanted):
        return _parse_section(wanted, value, key, where)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _parse(choices[0], value, key, where)
    if origin is Literal:
        if value not in choices:
            raise ValueError(f"{where}: {key} is {value!r}; it must be one of {', '.join(choices)}")
        return value
    if origin in (tuple, dict):
        return _parse_many(wanted, value, key, where)
    if origin is Annotated:
        return _parse_within(choices[0], choices[1], value, key, where)
    return _parse_scalar(wanted, value, key, where)


def _parse_within(wanted: Any, limits: Range, value: Any, key: str, where: str) -> Any:
    number = _parse_scalar(wanted, value, key, where)
    if number not in limits:
        raise ValueError(f"{where}: {key} is {value!r}; it must be {limits}")
    return number


def _parse_scalar(wanted: Any, value: Any, key: str, where: str) -> Any:
    found = _as_float(value) if wanted is float else value
    if not isinstance(found, wanted) or (isinstance(found, bool) and wanted is not bool):
        raise ValueError(f"{where}: {key} is {value!r}; it must be of type {wanted.__name__}")
    if isinstance(found, float) and not math.isfinite(found):
        raise ValueError(f"{where}: {key} is {value!r}; it must be a finite number")
    return found


def _as_float(value: Any) -> Any:
    """Whole numbers are floats, too, and so is 1e-3, which YAML 1.1 reads as text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    try:
        return float(value)
    except (ValueError, OverflowError):
        return value


def _parse_many(wanted: Any, value: Any, key: str, where: str) -> Any:
    choices = typing.get_args(wanted)
    if typing.get_origin(wanted) is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where}: {key} is {value!r}; it must be a mapping")
        return {str(k): _parse(choices[1], v, f"{key}.{k}", where) for k, v in value.items()}
    fixed = None if choices[-1] is Ellipsis else len(choices)
    if not isinstance(value, list) or (fixed and len(value) != fixed):
        count = f" of {fixed}" if fixed else ""
        raise ValueError(f"{where}: {key} is {value!r}; it must be a list{count}")
    return tuple(_parse(choices[0], item, key, where) for item in value)


def _parse_section(section: Any, value: Any, key: str, where: str) -> Any:
    name = key or "the file"
    if not isinstance(value, dict):
        raise ValueError(f"{where}: {name} must be a mapping of keys to values")
    hints = typing.get_type_hints(section, include_extras=True)
    prefix = f"{key}." if key else ""
    unknown = [k for k in value if k not in hints]
    if unknown:
        raise ValueError(f"{where}: unknown key {prefix}{unknown[0]}; known: {', '.join(hints)}")
    missing = [k for k in hints if k not in value]
    if missing:
        raise ValueError(f"{where}: missing key {prefix}{missing[0]}")
    parsed = {k: _parse(hints[k], v, f"{prefix}{k}", where) for k, v in value.items()}
    try:
        return section(**parsed)
    except ValueError as error:
        raise ValueError(f"{where}: {prefix}{error}") from error
