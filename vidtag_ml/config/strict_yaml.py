"""YAML of which nothing is lost: UTF-8, and no key twice.

Belongs here: how a file becomes plain values. Does not belong here: what they mean (parsing.py),
files on top of each other (params.py). Imported where a file is read, since it imports yaml.
"""

import contextlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor


def read(path: Path) -> Any:
    """The values in a file.

    Raises:
        ValueError: it is not UTF-8 or not YAML, or a key stands twice; names the line.
        FileNotFoundError: there is no such file.
    """
    text = _decoded(path)
    try:
        return _values(text)
    except (yaml.YAMLError, _TwiceError) as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error


def _values(text: str) -> Any:
    """The values in a text, by libyaml where it is there: six times as quick, and asked each step.

    It does not show the line that it refuses; PyYAML's own parser does.
    """
    if yaml.__with_libyaml__:
        with contextlib.suppress(yaml.YAMLError):
            return yaml.load(text, _Quick)  # noqa: S506 (it is a SafeLoader)
    return yaml.load(text, _Strict)  # noqa: S506 (it is a SafeLoader)


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


class _KeysOnce(SafeConstructor):
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


class _Strict(_KeysOnce, yaml.SafeLoader):
    """PyYAML's own."""


if yaml.__with_libyaml__:

    class _Quick(_KeysOnce, yaml.CSafeLoader):
        """That of libyaml."""
