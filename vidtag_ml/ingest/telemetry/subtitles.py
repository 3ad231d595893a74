"""Drones' subtitles inside their videos: a track of text in the styles of the files beside them.

Belongs here: the text of such a track. Does not belong here: the styles (srt.py), other text in
videos (exiftool.py).
"""

from collections.abc import Sequence
from dataclasses import replace

from vidtag_ml.ingest.telemetry import srt
from vidtag_ml.ingest.telemetry.readers import InTrack, Reading
from vidtag_ml.media.video import Packet

_LOOKED_AT = 100
"""Packets within which a track of positions has one."""
_LONGEST = 65536
"""Bytes of a text."""


def tells(track: Sequence[Packet]) -> bool:
    """Whether a track is text with positions."""
    return any(srt.tells(_text(packet.data)) for packet in track[:_LOOKED_AT])


def read(track: Sequence[Packet]) -> Reading:
    """Positions of a track, each at the time of its packet; none before the first frame.

    Raises:
        ValueError: the order of their numbers is unknown.
    """
    shown = [packet for packet in track if packet.time_s >= 0]
    content = "\n\n".join(f"{_arrow(packet.time_s)}\n{_text(packet.data)}" for packet in shown)
    early = sum(srt.tells(_text(packet.data)) for packet in track if packet.time_s < 0)
    left_out = {"positions are before the first frame: left out": early} if early else {}
    told = tuple(f"{num} {what}" for what, num in left_out.items())
    found = srt.reading(content)
    left_out |= found.left_out
    return replace(found, repairs=(*told, *found.repairs), left_out=left_out)


def _text(data: bytes) -> str:
    """Lines of a packet, which may begin with their length, as in QuickTime files.

    Its time is that of the packet, and none that it writes itself.
    """
    if len(data) > _LONGEST:
        return ""
    size = int.from_bytes(data[:2])
    if data[:1] < b" " and size <= len(data) - 2:
        data = data[2 : 2 + size]
    lines = data.decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if line.strip() and "-->" not in line)


def _arrow(time_s: float) -> str:
    """The line of a file of subtitles that says when a block is shown."""
    seconds, millis = divmod(round(1000 * time_s), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d},{millis:03d} -->"


READER = InTrack(tells, read, trust=40)
