"""Convert dataclasses to plain values (JSON) and back by their type hints; read JSON and .npy safely."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache, partial
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

T = TypeVar("T")
#: Largest file that is read, bytes; the largest ones belong to runs of 100 000 images.
LONGEST = 2**28


def to_plain(value: Any) -> Any:
    """Convert a value to dictionaries, lists, numbers and strings; NaN and infinity become None.

    Raises
    ------
    TypeError
        For an array or any other value that JSON cannot represent.
    """
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) in (str, int, bool, NoneType):
        return value
    if type(value) in (tuple, list):
        return [to_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {key: to_plain(getattr(value, name)) for name, key in _keys(type(value))}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [to_plain(item) for item in value]
    return _plain_scalar(value)


@cache
def _keys(kind: type) -> tuple[tuple[str, str], ...]:
    """Names of a dataclass's fields with their keys in files; a renamed field has its old key as metadata."""
    return tuple((field.name, field.metadata.get("key", field.name)) for field in fields(kind))


def json_text(values: Mapping[str, Any]) -> str:
    """JSON with one line per entry, and one per item of a list of objects: readable, and fast to write.

    Raises
    ------
    ValueError
        For NaN and infinity.
    """
    return "{\n" + ",\n".join(f" {_json(name)}: {_to_list(item)}" for name, item in values.items()) + "\n}"


def _to_list(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n  " + ",\n  ".join(map(_json, value)) + "\n ]"
    return _json(value)


def json_line(value: Any, **options: Any) -> str:
    r"""JSON that can be written as UTF-8: characters are kept, except in texts with an unpaired surrogate.

    Parameters
    ----------
    options
        Options of `json.dumps`.

    Examples
    --------
    >>> json_line("\u00e9"), json_line("film\udcff")
    ('"é"', '"film\\udcff"')
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, **options)
    return text


def _json(value: Any) -> str:
    return json_line(value, allow_nan=False)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be represented in JSON")


def from_plain(kind: type[T], value: Any) -> T:
    """Create a value of the given type from the result of `to_plain`; unknown names are ignored.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the value does not fit the type.
    """
    hint: Any = kind
    return cast(T, _restorer(hint)(value))


@cache
def _restorer(hint: Any) -> Callable[[Any], Any]:
    """A function that restores a value of this type; the type is examined once, not for each value."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        kept = _restorer(next(kind for kind in get_args(hint) if kind is not NoneType))
        return lambda value: None if value is None else kept(value)
    if origin in (tuple, frozenset, Sequence):
        return _items_restorer(origin, get_args(hint))
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value: hint(
            **{name: _restorer(kind)(value[key]) for name, key, kind in _typed_keys(hint) if key in value}
        )
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if hint is float:
        return lambda value: math.nan if value is None else float(value)
    return partial(_check_type, hint) if hint in (int, str, bool) else lambda value: value


@cache
def _typed_keys(kind: type) -> tuple[tuple[str, str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((name, key, hints[name]) for name, key in _keys(kind))


def _items_restorer(origin: Any, hints: Sequence[Any]) -> Callable[[Any], Any]:
    items = [_restorer(hint) for hint in hints if hint is not Ellipsis]
    if origin is tuple and hints[-1] is not Ellipsis:
        return lambda value: tuple(item(one) for item, one in zip(items, value, strict=True))
    made: type[Any] = frozenset if origin is frozenset else tuple
    return lambda value: made(map(items[0], value))


def _check_type(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, got {value!r:.80}")
    return value


def read_json(path: str | PathLike[str], longest: int = LONGEST) -> Any:
    """Read a JSON file in UTF-8.

    Parameters
    ----------
    path : path
    longest : int
        Largest size of the file, bytes.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a regular file, is too long or too deeply nested, is not JSON, or contains NaN or
        infinity.
    """
    path = Path(path)
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError("not a regular file")
    if size > longest:
        raise ValueError(f"{size} bytes; at most {longest} are read")
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield another path to write to, which is renamed at the end, so that the file is never incomplete."""
    temporary = path.with_name(f".{path.name}.new")
    yield temporary
    os.replace(temporary, path)


class ReadError(ValueError):
    """A file cannot be used; the message names it, gives the reason and a remedy.

    Parameters
    ----------
    path : path
        The file.
    what : str
        The problem, in the user's terms.
    advice : str
        What the user can do.
    """

    def __init__(self, path: str | PathLike[str], what: str, advice: str = "") -> None:
        super().__init__(str(path), what, advice)  # plain arguments, so that it can be pickled
        self.path, self.what, self.advice = Path(path), what, advice

    def __str__(self) -> str:
        return f"{self.path.name}: {self.what}" + (f"; {self.advice}" if self.advice else "")


_DAMAGED = "the copy or transfer was interrupted: copy it again"


def write_array(path: Path, array: Any) -> None:
    """Write an array, or an object with a shape, a dtype and frames ``array[i]``."""
    dtype = np.dtype(array.dtype)
    head = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(map(int, array.shape))}
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, head)
        for part in _parts(array):
            file.write(np.ascontiguousarray(part, dtype).data)


def _parts(array: Any) -> Iterator[Any]:
    if isinstance(array, np.ndarray) or len(array.shape) < 3:
        yield np.asarray(array)
    else:
        yield from (np.asarray(array[i]) for i in range(array.shape[0]))


def read_array(path: Path) -> NDArray[Any]:
    """Read an array of numbers.

    Raises
    ------
    ReadError
        If the file is not such an array, or its header claims more data than the file contains.
    """
    try:
        with path.open("rb") as file:
            if npy.read_magic(file) != (1, 0):
                raise ValueError("another version of the format")
            shape, fortran, dtype = npy.read_array_header_1_0(file)
            values = math.prod(shape)
            left = path.stat().st_size - file.tell()
            if fortran or dtype.kind not in "buif" or values * dtype.itemsize != left:
                raise ValueError(f"{left} bytes for an array of {dtype} of shape {shape}")
            return np.fromfile(file, dtype, values).reshape(shape)
    except (OSError, ValueError, TypeError, SyntaxError, OverflowError) as error:
        raise ReadError(path, f"not a valid array ({error})", _DAMAGED) from error
