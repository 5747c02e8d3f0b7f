"""FrequencyGrid: the one stated grid in reciprocal space on which people look and paint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FrequencyGrid:
    """Cells of equal size with the zero frequency in the middle of the middle cell.

    Attributes
    ----------
    step : tuple of float, (y, x), 1/nm
        Size of a cell.
    half : tuple of int, (y, x)
        Cells on either side of the middle one; the grid's shape is ``2 * half + 1``.
    """

    step: tuple[float, float]
    half: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells (y, x), always odd."""
        return 2 * self.half[0] + 1, 2 * self.half[1] + 1

    @property
    def origin(self) -> tuple[float, float]:
        """Frequency (y, x) of cell (0, 0), 1/nm."""
        return -self.step[0] * self.half[0], -self.step[1] * self.half[1]

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Frequencies of the rows, shape (ny, 1), and of the columns, shape (1, nx), 1/nm."""
        y = np.arange(-self.half[0], self.half[0] + 1, dtype=np.float64) * self.step[0]
        x = np.arange(-self.half[1], self.half[1] + 1, dtype=np.float64) * self.step[1]
        return y[:, None], x[None, :]

    def radius(self) -> NDArray[np.float64]:
        """|g| of every cell, shape (ny, nx), 1/nm."""
        y, x = self.axes()
        return np.hypot(y, x)

    def cell(self, g: tuple[float, float]) -> tuple[int, int]:
        """Row and column of the cell that holds the frequency g = (y, x); may lie outside the grid."""
        return tuple(  # type: ignore[return-value]
            round(value / step) + half for value, step, half in zip(g, self.step, self.half, strict=True)
        )

    def frequency(self, cell: tuple[float, float]) -> tuple[float, float]:
        """Frequency (y, x) in 1/nm at a position (row, column), fractions allowed."""
        return (cell[0] - self.half[0]) * self.step[0], (cell[1] - self.half[1]) * self.step[1]
