"""ImageStack: several images of one field or series, of which one frame at a time is analysed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .calibration import Calibration
from .micrograph import Micrograph


@dataclass(frozen=True, slots=True, eq=False)
class ImageStack:
    """Images of equal size and calibration, one behind the other.

    Attributes
    ----------
    frames : array-like, shape (n, ny, nx)
        Frames of any real dtype: a numpy array, or an object that reads requested frames by ``frames[i]``.
    calibration : Calibration
        Calibration of every frame.
    name : str
    source : str
        Path of the file, empty for an array that never was in one.
    file_hash : str
        SHA-256 of that file, empty where there is none or the file is too large to be hashed when opened.
    metadata : mapping
    warnings : tuple of str

    Raises
    ------
    ValueError
        If the frames are not a three-dimensional array of real numbers.
    """

    frames: Any
    calibration: Calibration = field(default_factory=Calibration)
    name: str = "stack"
    source: str = ""
    file_hash: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.frames.shape) != 3 or self.frames.dtype.kind not in "buif" or 0 in self.frames.shape:
            raise ValueError(
                f"{self.name}: a stack is a three-dimensional array of real numbers, not"
                f" {self.frames.dtype} of shape {self.frames.shape}"
            )

    def __len__(self) -> int:
        return int(self.frames.shape[0])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames and of pixels (y, x)."""
        n, ny, nx = self.frames.shape
        return int(n), int(ny), int(nx)

    def frame(self, index: int) -> Micrograph:
        """One frame as a micrograph; its metadata include the frame's number, counted from 0.

        Raises
        ------
        ValueError
            If there is no such frame.
        """
        if not 0 <= index < len(self):
            raise ValueError(f"{self.name}: there is no frame {index}; choose one of 0 to {len(self) - 1}")
        return Micrograph(
            pixels=np.asarray(self.frames[index]),
            calibration=self.calibration,
            name=f"{self.name} [frame {index}]",
            source=self.source,
            file_hash=self.file_hash,
            metadata={**self.metadata, "frame": index},
            warnings=self.warnings,
        )
