"""Ring sums of the power inside a mask, which are updated after each brush stroke by its changes only.

A field of 10 nm has a frequency step of 0.1 1/nm, so that a Bragg peak has three points. Zero-padding the
field interpolates the peak to as many points as the rings of the profile need; it adds no information, and
the number of values for a ring's error is that of the native steps.

Power over noise is rounded to multiples of 2^-22, so that its sums are exact in any order: after a hundred
strokes the updated sums equal those over the whole mask to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from scipy import fft, interpolate

from ..fourier.diffractogram import Diffractogram, FrequencyGrid, band_image
from ..fourier.local_spectra import LocalSpectra
from ..fourier.threads import threads

#: Smallest width of a ring in native steps. The means of narrower rings jump with the few bins that fall into
#: each. The steps of a padded field are correlated; for these a width of one step is sufficient.
STEPS_A_RING = 1.5
#: Steps are refined until rings can be this narrow, 1/nm, as long as the plane has at most this many bins per
#: axis.
NARROWEST_RING = 0.01
MOST_BINS = 2300
#: Number of columns beyond g_x = 0 that a spline uses.
MIRRORED = 3


@dataclass(frozen=True, slots=True, eq=False)
class FineSpectrum:
    """Power over noise on half a plane (g_x >= 0), with steps refined by an odd factor.

    Attributes
    ----------
    q_min, q_max : float, 1/nm
        Limits of the search.
    step : tuple of float, (y, x), 1/nm
    half : tuple of int, (y, x)
        Bins on each side of zero frequency; the array has the shape (2 hy + 1, hx + 1).
    snr : ndarray of float32
    finer : tuple of int, (y, x)
        Number of steps per step of the original spectrum.
    """

    q_min: float
    q_max: float
    step: tuple[float, float]
    half: tuple[int, int]
    snr: NDArray[np.float32]
    finer: tuple[int, int]

    @property
    def resolution(self) -> float:
        """Width of the rings for which the native steps suffice, 1/nm."""
        return STEPS_A_RING * max(s * n for s, n in zip(self.step, self.finer, strict=True))

    @property
    def narrowest_ring(self) -> float:
        """Width of the narrowest rings for which these steps suffice, 1/nm."""
        native = (s for s, n in zip(self.step, self.finer, strict=True) if n == 1)
        return max(STEPS_A_RING * max(native, default=0.0), *self.step)


def fine_spectrum(diffractogram: Diffractogram) -> FineSpectrum:
    """Power over noise of the whole image with a Hann window, zero-padded if the field is small.

    Parameters
    ----------
    diffractogram : Diffractogram

    Returns
    -------
    FineSpectrum
        Equals the diffractogram at the frequencies that both contain.
    """
    q_min, q_max, half, step = (getattr(diffractogram, name) for name in ("q_min", "q_max", "half", "step"))
    finer = _refinement(step, half)
    if finer == (1, 1):
        return FineSpectrum(q_min, q_max, step, half, diffractogram.snr(), finer)
    power = _padded_power(diffractogram, finer)
    power /= _interpolate(diffractogram.noise, finer)
    return FineSpectrum(q_min, q_max, *_finer_plane(step, half, finer), power, finer)


def fine_local_maximum(spectra: LocalSpectra, diffractogram: Diffractogram) -> FineSpectrum:
    """Largest SNR over the local windows, interpolated between the windows' coarse frequencies."""
    grid: FrequencyGrid = spectra.grid
    finer = _refinement(grid.step, grid.half)
    log_snr = np.log(np.maximum(spectra.snr_max, 1e-6))
    snr = np.exp(_interpolate(log_snr, finer, order=3)).astype(np.float32)
    limits = diffractogram.q_min, diffractogram.q_max
    return FineSpectrum(*limits, *_finer_plane(grid.step, grid.half, finer), snr, finer)


def _refinement(step: tuple[float, float], half: tuple[int, int]) -> tuple[int, int]:
    """Odd factors by which the steps are divided, (y, x); a painted cell then contains whole bins."""
    finer = []
    for each, bins in zip(step, half, strict=True):
        most = max(MOST_BINS // (2 * bins + 1), 1)
        wanted = int(np.ceil(each / NARROWEST_RING - 1e-9))
        finer.append(max(min(wanted | 1, most if most % 2 else most - 1), 1))
    return finer[0], finer[1]


def _finer_plane(
    step: tuple[float, float], half: tuple[int, int], finer: tuple[int, int]
) -> tuple[tuple[float, float], tuple[int, int]]:
    """Step and half plane after the refinement."""
    return (step[0] / finer[0], step[1] / finer[1]), (half[0] * finer[0], half[1] * finer[1])


def _padded_power(diffractogram: Diffractogram, finer: tuple[int, int]) -> NDArray[np.float32]:
    """Power with the field's Hann window, zero-padded to ``finer`` times the field's width."""
    band = band_image(diffractogram).pixels
    (ny, nx), (hy, hx) = band.shape, (h * n for h, n in zip(diffractogram.half, finer, strict=True))
    for axis, count in enumerate((ny, nx)):
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(count) / count)
        band *= np.expand_dims(hann.astype(np.float32), 1 - axis)
    rows = fft.rfft(band, finer[1] * nx, axis=1, workers=threads())[:, : hx + 1]
    whole = fft.fft(rows, finer[0] * ny, axis=0, workers=threads())
    plane = np.concatenate([whole[-hy:], whole[: hy + 1]])
    power: NDArray[np.float32] = plane.real**2 + plane.imag**2
    power *= np.float32((np.prod(diffractogram.image_shape) / band.size) ** 2)
    return power


def _interpolate(values: NDArray[np.float32], finer: tuple[int, int], order: int = 1) -> NDArray[np.float32]:
    """Interpolate a half plane between its bins; bins beyond g_x = 0 are mirrored for the spline."""
    both = np.concatenate([values[::-1, MIRRORED:0:-1], values], axis=1)
    rows, columns = (_between(n, f, order) for n, f in zip(both.shape, finer, strict=True))
    fine: NDArray[np.float32] = rows @ both @ columns[MIRRORED * finer[1] :].T
    return fine


def _between(count: int, finer: int, order: int) -> NDArray[np.float32]:
    """Weights of `count` values at the positions between them, shape ((count - 1) * finer + 1, count).

    A spline is linear in the values, so its weights follow from interpolating each unit vector.
    """
    places = np.arange((count - 1) * finer + 1) / finer
    spline = interpolate.make_interp_spline(np.arange(count), np.eye(count, dtype=np.float32), k=order)
    return np.asarray(spline(places), np.float32)


#: Power over noise is rounded to multiples of this.
QUANTUM = 2.0**-22
#: Number of cells whose bins are looked up together.
MOST_CELLS = 1 << 14


@dataclass(slots=True, eq=False)
class _MaskSums:
    """Ring sums of the most recent mask.

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
        """Sums of an empty mask."""
        height, rings = grid.shape[0], len(edges) - 1
        inside = np.zeros((height, grid.half[1] + 1), bool)
        return cls(
            grid, edges, np.zeros(grid.shape, np.uint8), inside, np.zeros(rings), np.zeros(rings, np.intp)
        )

    def is_of(self, grid: FrequencyGrid, edges: NDArray[np.float64]) -> bool:
        """Whether the sums belong to this grid and these rings."""
        return self.grid == grid and np.array_equal(self.edges, edges)

    @classmethod
    def of(
        cls,
        spectrum: FineSpectrum,
        mask: NDArray[np.uint8] | NDArray[np.bool_],
        grid: FrequencyGrid,
        edges: NDArray[np.float64],
    ) -> _MaskSums:
        """Sums of a whole mask."""
        known = cls.empty(grid, edges)
        known.mask[...] = mask
        known.inside |= mask[:, grid.half[1] :] != 0
        known.inside |= mask[::-1, grid.half[1] :: -1] != 0
        row, column = np.nonzero(known.inside)
        known._add(spectrum, row, column, np.ones(len(row)))
        return known

    def take(self, spectrum: FineSpectrum, mask: NDArray[np.uint8] | NDArray[np.bool_]) -> None:
        """Update the sums to a new mask."""
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
        """Add or subtract the bins of cells of the half plane, in groups of cells."""
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
        """Add or subtract bins, counted from zero frequency."""
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
    """Ring sums of one diffractogram, updated after each brush stroke; owned by the editing session.

    Parameters
    ----------
    diffractogram : Diffractogram
    """

    def __init__(self, diffractogram: Diffractogram) -> None:
        self._diffractogram = diffractogram
        self._spectrum: FineSpectrum | None = None
        self._last: _MaskSums | None = None
        self._lock = Lock()  # a stroke may arrive while another is being processed

    @property
    def spectrum(self) -> FineSpectrum:
        """The spectrum that is summed; computed when it is first needed."""
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
        """The same as `masked_sums`, computed from the difference to the previous mask."""
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
    """Power over noise inside a mask or its mirror image, by ring, and the number of bins summed.

    Parameters
    ----------
    spectrum : FineSpectrum
    mask : ndarray, shape ``grid.shape``
        Nonzero cells are inside.
    grid : FrequencyGrid
        ``display_grid(diffractogram)``.
    edges : ndarray, shape (rings + 1,), 1/nm
        Edges of the rings, which have equal widths.
    """
    found = _MaskSums.of(spectrum, mask, grid, edges)
    return found.sums, found.bins
