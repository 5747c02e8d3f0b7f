"""Arrays in .npy files: written frame by frame where they lie on disk, read without trust in the header."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..errors import ReadError

_DAMAGED = "the copy or transfer broke: copy it again"


def write_array(path: Path, array: Any) -> None:
    """Write an array, or an object with shape, dtype and frames ``array[i]``."""
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
        If the file is no such array, or its header claims more than the file holds.
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
        raise ReadError(path, f"not an array as it should be ({error})", _DAMAGED) from error
