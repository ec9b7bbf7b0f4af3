"""Between JSON and the dataclasses of the API."""

import base64
import keyword
import types
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from urllib.parse import quote

Photo = str | PathLike[str] | bytes | BinaryIO
"""A photo: the path of a file, its content, or an open file."""

ATTRIBUTE = "attr."
"""Prefix of the query parameters of attributes."""

SCALARS: Mapping[Any, tuple[type[Any], ...]] = {str: (str,), bool: (bool,), int: (int,), float: (float, int)}
"""Types of fields -> types in JSON. Strings of a fixed set are not checked, since others may be added to it."""

T = TypeVar("T")


def read_photo(photo: Photo) -> bytes:
    """Return the content of a photo.

    Raises:
        OSError: the file cannot be read.
        TypeError: it is a file that is open in text mode.
    """
    if isinstance(photo, (str, PathLike)):
        return Path(photo).read_bytes()
    content: object = photo if isinstance(photo, bytes) else photo.read()
    if not isinstance(content, bytes):
        raise TypeError("A photo is a path, bytes, or a file that is open in binary mode.")
    return content


def segment(value: str | int) -> str:
    """Return a value as part of a path."""
    return quote(str(value), safe="")


def to_query(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return query parameters; None is left out, lists are repeated, and attributes get their prefix."""
    found: list[tuple[str, str]] = []
    for argument, value in values.items():
        name = argument.removesuffix("_name") if keyword.iskeyword(argument.removesuffix("_name")) else argument
        if name == "attributes" and isinstance(value, Mapping):
            found += [(f"{ATTRIBUTE}{key}", each) for key, given in value.items() for each in _texts(given)]
        elif value is not None:
            found += [(name, each) for each in _texts(value)]
    return found


def _texts(value: object) -> list[str]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(each) for each in value]
    return [value.isoformat() if isinstance(value, datetime) else str(value)]


def to_json(value: Any) -> Any:
    """Return dataclasses as plain data; what is None is left out."""
    if is_dataclass(value):
        items = (_item(field, value) for field in fields(value))
        return {name: found for name, found in items if found is not None}
    if isinstance(value, Mapping):
        return {name: to_json(each) for name, each in value.items() if each is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_json(each) for each in value]
    return value


def _item(field: Any, owner: Any) -> tuple[str, Any]:
    value = getattr(owner, field.name)
    if value is not None and field.metadata.get("encoding") == "base64":
        value = base64.b64encode(read_photo(value)).decode()
    return field.metadata.get("name", field.name), to_json(value)


def from_json(kind: type[T], data: Any) -> T:
    """Return plain data as a type of the API; what the type does not have is left out.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the data do not have the form of the type.
    """
    return cast(T, _converted(kind, data))


def _converted(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if data is None:
            return None
        (kind,) = (each for each in get_args(kind) if each is not types.NoneType)
        return _converted(kind, data)
    if is_dataclass(kind):
        return _dataclass(cast(type[Any], kind), data)
    if origin is tuple:
        _check(data, list)
        return tuple(_converted(get_args(kind)[0], each) for each in data)
    if origin is Mapping:
        return {name: _converted(get_args(kind)[1], each) for name, each in data.items()}
    if kind in SCALARS:
        _check(data, *SCALARS[kind])
    return datetime.fromisoformat(data) if kind is datetime else data


def _check(data: Any, *kinds: type[Any]) -> None:
    if type(data) not in kinds:
        raise TypeError(f"{data!r} is not of type {kinds[0].__name__}")


def _dataclass(kind: type[Any], data: Any) -> Any:
    values = {}
    for name, key, hint, optional in _hints(cast(Hashable, kind)):
        if key in data or not optional:
            values[name] = _converted(hint, data[key])
    return kind(**values)


@cache
def _hints(kind: Any) -> tuple[tuple[str, str, Any, bool], ...]:
    """Return name, key in JSON, type and whether it may be missing, for each field."""
    hints = get_type_hints(kind)
    return tuple(
        (field.name, field.metadata.get("name", field.name), hints[field.name], field.default is None)
        for field in fields(kind)
    )
