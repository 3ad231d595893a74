"""YAML of which nothing is lost: UTF-8, and no key twice.

Belongs here: how a file becomes plain values. Does not belong here: what they mean (parsing.py),
files on top of each other (params.py). Imported where a file is read, since it imports yaml.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml


def read(path: Path) -> Any:
    """The values in a file.

    Raises:
        ValueError: it is not UTF-8 or not YAML, or a key stands twice; names the line.
        FileNotFoundError: there is no such file.
    """
    text = _decoded(path)
    try:
        return yaml.load(text, _Strict)  # noqa: S506 (it is a SafeLoader)
    except (yaml.YAMLError, _TwiceError) as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise ValueError(
            f"{path}: line {line} has the byte 0x{byte:02x}, which is no UTF-8: save it as UTF-8"
        ) from error


class _TwiceError(ValueError):
    """A key stands twice in one mapping, of which YAML would keep the last, without a word."""


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise _TwiceError(
                    f"key {key.value} stands in line {lines[key.value]} and again in line {line}: "
                    "remove one of them"
                )
            lines[key.value] = line
        return super().construct_mapping(node, deep)
