"""MapGrid: the common grid of all maps of an image, and linear interpolation onto it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..fourier.threads import one_blas_thread


@dataclass(frozen=True, slots=True)
class MapGrid:
    """Common grid of all maps of an image; it covers the whole image.

    Attributes
    ----------
    shape : tuple of int, (y, x)
    pixel_size : tuple of float, (y, x), nm
    """

    shape: tuple[int, int]
    pixel_size: tuple[float, float]

    @property
    def extent(self) -> tuple[float, float]:
        """Size (y, x) of the grid, nm."""
        return self.shape[0] * self.pixel_size[0], self.shape[1] * self.pixel_size[1]

    @property
    def pixel_area(self) -> float:
        """Area of a pixel, nm^2."""
        return self.pixel_size[0] * self.pixel_size[1]

    @classmethod
    def covering(cls, extent: tuple[float, float], pixel: float, most: int = 1024) -> MapGrid:
        """Grid for a field of `extent` (y, x) nm, with at most `most` pixels of about `pixel` nm per axis."""
        ny, nx = (int(np.clip(fft.next_fast_len(int(np.ceil(e / pixel))), 8, most)) for e in extent)
        return cls((ny, nx), (extent[0] / ny, extent[1] / nx))

    @property
    def whole(self) -> MapGrid:
        """The grid of the whole image, of which this may be a part."""
        return self

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of this grid within the whole grid."""
        return slice(0, self.shape[0]), slice(0, self.shape[1])

    def positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres of the rows, shape (ny, 1), and columns, shape (1, nx), nm."""
        y = (np.arange(self.shape[0], dtype=np.float64) + 0.5) * self.pixel_size[0]
        x = (np.arange(self.shape[1], dtype=np.float64) + 0.5) * self.pixel_size[1]
        return y[:, None], x[None, :]

    def part(self, rows: slice, columns: slice) -> MapPart:
        """The part of the grid with these rows and columns."""
        (top, bottom, _), (left, right, _) = rows.indices(self.shape[0]), columns.indices(self.shape[1])
        return MapPart((bottom - top, right - left), self.pixel_size, (top, left), self)


@dataclass(frozen=True, slots=True)
class MapPart(MapGrid):
    """Rectangular part of a grid.

    Attributes
    ----------
    first : tuple of int, (y, x)
        First pixel of the part, in the whole grid.
    parent : MapGrid
        The whole grid.
    """

    first: tuple[int, int]
    parent: MapGrid

    @property
    def whole(self) -> MapGrid:
        """The grid of the whole image."""
        return self.parent

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of this part within the whole grid."""
        (top, left), (height, width) = self.first, self.shape
        return slice(top, top + height), slice(left, left + width)

    def positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres of the rows and columns in the image, nm."""
        y, x = (
            (np.arange(n, dtype=np.float64) + first + 0.5) * p
            for n, first, p in zip(self.shape, self.first, self.pixel_size, strict=True)
        )
        return y[:, None], x[None, :]


def linear_weights(at: NDArray[np.float64], n: int) -> NDArray[np.float32]:
    """Matrix for linear interpolation of n samples at fractional positions, constant beyond both ends."""
    low = np.clip(np.floor(at).astype(np.intp), 0, max(n - 2, 0))
    share = np.clip(at - low, 0, 1)
    matrix = np.zeros((len(at), n), np.float32)
    matrix[np.arange(len(at)), low] = 1 - share
    matrix[np.arange(len(at)), np.minimum(low + 1, n - 1)] += share
    return matrix


def magnify(image: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Enlarge an image by an integer factor per axis with linear interpolation, constant at its borders.

    Examples
    --------
    >>> magnify(np.array([[0.0, 1.0]]), 2).tolist()
    [[0.0, 0.25, 0.75, 1.0], [0.0, 0.25, 0.75, 1.0]]
    """
    rows, columns = (
        linear_weights((np.arange(n * factor, dtype=np.float64) + 0.5) / factor - 0.5, n) for n in image.shape
    )
    with one_blas_thread():
        return np.asarray(rows @ image.astype(np.float32) @ columns.T, np.float32)


def resample(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Resample a mask of the whole image to another grid by nearest neighbours."""
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * m / n).astype(np.intp), m - 1)
        for n, m in zip(shape, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]
