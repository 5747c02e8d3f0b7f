"""Ring sums of the power inside a mask, which follow each stroke of the brush by what it has changed.

Power over noise is rounded to 2^-22, so that sums of it are exact in any order: what a hundred strokes have
added and taken away is, to the last bit, what a sum over the whole mask gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..fourier.diffractogram import Diffractogram
from ..fourier.frequency_grid import FrequencyGrid
from .fine_spectrum import FineSpectrum, fine_spectrum

#: Power over noise is counted in multiples of this.
QUANTUM = 2.0**-22
#: Cells whose bins are looked up together.
MOST_CELLS = 1 << 14


@dataclass(slots=True, eq=False)
class _MaskSums:
    """The sums of a mask as it was last.

    Attributes
    ----------
    grid : FrequencyGrid
        Grid of the mask.
    edges : ndarray, 1/nm
        Edges of the rings.
    mask : ndarray of uint8, shape ``grid.shape``
    inside : ndarray of bool
        The half g_x >= 0 of the mask and of its mirror image.
    sums : ndarray of float64
        Sums of power over noise on each ring.
    bins : ndarray of int
        Number of bins of each ring inside the mask.
    """

    grid: FrequencyGrid
    edges: NDArray[np.float64]
    mask: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    sums: NDArray[np.float64]
    bins: NDArray[np.intp]

    @classmethod
    def empty(cls, grid: FrequencyGrid, edges: NDArray[np.float64]) -> _MaskSums:
        """Those of a mask in which nothing is."""
        height, rings = grid.shape[0], len(edges) - 1
        inside = np.zeros((height, grid.half[1] + 1), bool)
        return cls(
            grid, edges, np.zeros(grid.shape, np.uint8), inside, np.zeros(rings), np.zeros(rings, np.intp)
        )

    def is_of(self, grid: FrequencyGrid, edges: NDArray[np.float64]) -> bool:
        """Whether these are sums on such a grid and such rings."""
        return self.grid == grid and np.array_equal(self.edges, edges)

    @classmethod
    def of(
        cls,
        spectrum: FineSpectrum,
        mask: NDArray[np.uint8] | NDArray[np.bool_],
        grid: FrequencyGrid,
        edges: NDArray[np.float64],
    ) -> _MaskSums:
        """Those of a whole mask."""
        known = cls.empty(grid, edges)
        known.mask[...] = mask
        known.inside |= mask[:, grid.half[1] :] != 0
        known.inside |= mask[::-1, grid.half[1] :: -1] != 0
        row, column = np.nonzero(known.inside)
        known._add(spectrum, row, column, np.ones(len(row)))
        return known

    def take(self, spectrum: FineSpectrum, mask: NDArray[np.uint8] | NDArray[np.bool_]) -> None:
        """Let the sums follow the mask."""
        changed = np.flatnonzero(self.mask != mask)
        self.mask.flat[changed] = mask.flat[changed]
        half = self.grid.half[1]
        both = np.unique(np.concatenate([changed, mask.size - 1 - changed]))
        row, column = np.divmod(both[both % mask.shape[1] >= half], mask.shape[1])
        now = (mask[row, column] != 0) | (mask[-1 - row, -1 - column] != 0)
        turned = np.flatnonzero(now != self.inside[row, column - half])
        self.inside[row, column - half] = now
        row, column, sign = row[turned], column[turned] - half, np.where(now[turned], 1.0, -1.0)
        self._add(spectrum, row, column, sign)

    def _add(
        self,
        spectrum: FineSpectrum,
        row: NDArray[np.intp],
        column: NDArray[np.intp],
        sign: NDArray[np.float64],
    ) -> None:
        """Add the bins of cells of the half plane, or take them away, some cells after the other."""
        step, (hy, hx) = spectrum.step, spectrum.half
        for first in range(0, len(row), MOST_CELLS):
            some = slice(first, first + MOST_CELLS)
            rows = _bins_of(row[some] - self.grid.half[0], self.grid.step[0], step[0])
            columns = _bins_of(column[some], self.grid.step[1], step[1])
            y, x, signs = np.broadcast_arrays(rows[:, :, None], columns[:, None, :], sign[some, None, None])
            kept = (abs(y) <= hy) & (x >= 0) & (x <= hx)
            self._add_bins(spectrum, y[kept], x[kept], signs[kept])

    def _add_bins(
        self,
        spectrum: FineSpectrum,
        y: NDArray[np.intp],
        x: NDArray[np.intp],
        sign: NDArray[np.float64],
    ) -> None:
        """Add bins, counted from the zero frequency, or take them away."""
        step, hy = spectrum.step, spectrum.half[0]
        low, high = self.edges[0], self.edges[-1]
        radius = np.hypot(y * step[0], x * step[1])
        kept = (radius >= low) & (radius < high)
        y, x, sign = y[kept], x[kept], sign[kept]
        rings = len(self.bins)
        ring = np.minimum(((radius[kept] - low) * (rings / (high - low))).astype(np.intp), rings - 1)
        snr = spectrum.snr[y + hy, x]
        exact = np.rint(snr.astype(np.float64) / QUANTUM) * QUANTUM
        self.sums += np.bincount(ring, sign * exact, rings)
        self.bins += np.bincount(ring, sign, rings).astype(np.intp)


def _bins_of(cells: NDArray[np.intp], wide: float, narrow: float) -> NDArray[np.intp]:
    """The bins of the cells along an axis, an odd number per cell, shape (cells, bins)."""
    factor = round(wide / narrow)
    return np.asarray(cells[:, None] * factor + np.arange(-(factor // 2), factor // 2 + 1), np.intp)


class RingSums:
    """Ring sums of one diffractogram that follow the strokes of a brush; whoever lets somebody paint owns it.

    Parameters
    ----------
    diffractogram : Diffractogram
    """

    def __init__(self, diffractogram: Diffractogram) -> None:
        self._diffractogram = diffractogram
        self._spectrum: FineSpectrum | None = None
        self._last: _MaskSums | None = None
        self._lock = Lock()  # a stroke may come while another is summed

    @property
    def spectrum(self) -> FineSpectrum:
        """The spectrum that is summed; made when it is first asked for."""
        with self._lock:
            if self._spectrum is None:
                self._spectrum = fine_spectrum(self._diffractogram)
            return self._spectrum

    def of(
        self,
        mask: NDArray[np.uint8] | NDArray[np.bool_],
        grid: FrequencyGrid,
        edges: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The same as `masked_sums`, by what differs from the last mask."""
        spectrum = self.spectrum
        with self._lock:
            if self._last is None or not self._last.is_of(grid, edges):
                self._last = _MaskSums.of(spectrum, mask, grid, edges)
            else:
                self._last.take(spectrum, mask)
            return self._last.sums.copy(), self._last.bins.copy()


def masked_sums(
    spectrum: FineSpectrum,
    mask: NDArray[np.uint8] | NDArray[np.bool_],
    grid: FrequencyGrid,
    edges: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Power over noise inside a mask or its mirror image, ring by ring, and the bins that it is summed over.

    Parameters
    ----------
    spectrum : FineSpectrum
    mask : ndarray, shape ``grid.shape``
        Non-zero cells count.
    grid : FrequencyGrid
        ``display_grid(diffractogram)``.
    edges : ndarray, shape (rings + 1,), 1/nm
        Edges of the rings, which have equal widths.
    """
    found = _MaskSums.of(spectrum, mask, grid, edges)
    return found.sums, found.bins
