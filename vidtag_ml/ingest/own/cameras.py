"""Which camera took a recording, as far as its file says.

Belongs here: make and model. Does not belong here: its clock (clocks.py), its telemetry, whether
photos are of one camera (photos.py).
"""

from collections.abc import Mapping
from pathlib import Path

from PIL import ExifTags, Image

from vidtag_ml.ingest.own import discovery
from vidtag_ml.media import pictures, video

_MADE_BY = (
    ("com.apple.quicktime.make", "com.apple.quicktime.model"),
    ("com.android.manufacturer", "com.android.model"),
    ("make", "model"),
)
"""Tags of a container that hold make and model, the best first."""
_FIRMWARE = "firmware"
"""GoPros tell their model by the first two parts of it: HD9.01.01.70.00."""


def of(path: Path) -> str:
    """Make and model of the camera that took a video or a photo; empty if the file does not say.

    It does not say either if it is gone or cannot be read.
    """
    try:
        if path.suffix.lower() in discovery.VIDEOS:
            return _of_tags(video.head(path).tags)
        with pictures.opened(path) as image:
            main = image.getexif()
        return _joined(main.get(ExifTags.Base.Make), main.get(ExifTags.Base.Model))
    except (OSError, video.VideoError, Image.DecompressionBombError):
        return ""


def _of_tags(tags: Mapping[str, str]) -> str:
    for make, model in _MADE_BY:
        if found := _joined(tags.get(make), tags.get(model)):
            return found
    firmware = tags.get(_FIRMWARE, "")
    return f"GoPro {firmware.partition('.')[0]}" if firmware.startswith("H") else ""


def _joined(make: object, model: object) -> str:
    """Both in one, the make once."""
    first, second = ("".join(filter(str.isprintable, str(v or ""))).strip() for v in (make, model))
    is_in_both = bool(first) and second.lower().startswith(first.lower())
    return second if is_in_both else f"{first} {second}".strip()
