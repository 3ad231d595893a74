"""Plain values become dataclasses, strictly, and dataclasses plain values.

Belongs here: types and keys are checked, the key is named. Does not belong here: sections (the
modules beside this one), files (params.py).
"""

import dataclasses
import math
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from vidtag_ml.config.ranges import Filled, Range

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Part = TypeVar("Part", bound="DataclassInstance")


def as_dict(section: Any) -> dict[str, Any]:
    """A section as plain dicts, lists and scalars, ready for JSON."""
    values: dict[str, Any] = _plain(dataclasses.asdict(section))
    return values


def part(section: Part, kind: type[Part]) -> Part:
    """A section's fields that it has from its base class `kind`, as an instance of that.

    >>> from vidtag_ml.config.ranges import Range
    >>> part(Range(0, most=1), Range) == Range(0, most=1)
    True
    """
    names = (field.name for field in dataclasses.fields(kind))
    return kind(**{name: getattr(section, name) for name in names})


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


def _parse_within(wanted: Any, limits: Range | Filled, value: Any, key: str, where: str) -> Any:
    found = _parse(wanted, value, key, where)
    if found not in limits:
        raise ValueError(f"{where}: {key} is {value!r}; it must be {limits}")
    return found


def _parse_scalar(wanted: Any, value: Any, key: str, where: str) -> Any:
    found = _as_float(value) if wanted is float else value
    if not isinstance(found, wanted) or (isinstance(found, bool) and wanted is not bool):
        wrong = f"{where}: {key} is {value!r}; it must be of type {wanted.__name__}"
        raise ValueError(wrong + _instead(wanted, value))
    if isinstance(found, float) and not math.isfinite(found):
        raise ValueError(f"{where}: {key} is {value!r}; it must be a finite number")
    return found


def _instead(wanted: Any, value: Any) -> str:
    """What to write for a whole number that is written as another, as 1e3 or 1000.0."""
    number = _as_float(value)
    whole = wanted is int and isinstance(number, float) and number.is_integer()
    return f": write {int(number)}" if whole else ""


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
