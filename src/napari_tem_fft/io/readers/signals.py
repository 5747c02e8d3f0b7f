"""Data sets of a file of any format, and the frames of large stacks, read when they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .formats import read_other
from .gatan import Signal, read_gatan
from .signature import recognise


def read_signals(path: Path, lazy: bool = False) -> list[Signal]:
    """All data sets of a file, by its content.

    Parameters
    ----------
    path : Path
    lazy : bool
        Give dask arrays where the format allows it. Large files give them anyway.

    Raises
    ------
    ReadError
        If the file cannot be read.
    """
    kind = recognise(path)
    return read_gatan(path, lazy) if kind == "dm" else read_other(path, kind, lazy)


def is_lazy(signal: Signal) -> bool:
    """Whether the data of a data set have not been read yet."""
    data = signal["data"]
    return not isinstance(data, np.ndarray) or isinstance(data, np.memmap)


@dataclass(frozen=True, slots=True, eq=False)
class FramesOnDisk:
    """Frames of a stack that stay in their file, which is open only while frames are read from it.

    Attributes
    ----------
    path : Path
    index : int
        Index of the data set in the file.
    shape : tuple of int, (n, ny, nx)
    dtype : dtype
    """

    path: Path
    index: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 3

    @property
    def size(self) -> int:
        """Number of pixels of all frames."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        data = read_signals(self.path, lazy=True)[self.index]["data"]
        # a copy: a view would keep the file open
        return np.array(data.reshape(self.shape)[key], dtype=self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)


def frames_of(signal: Signal, path: Path, index: int) -> NDArray[Any] | FramesOnDisk:
    """Pixels of a stack, shape (n, ny, nx); further axes than one before the image are made one."""
    *before, ny, nx = signal["data"].shape
    shape = (math.prod(before), ny, nx)
    if is_lazy(signal):
        return FramesOnDisk(path, index, shape, np.dtype(signal["data"].dtype).newbyteorder("="))
    frames: NDArray[Any] = signal["data"].reshape(shape)
    return frames
