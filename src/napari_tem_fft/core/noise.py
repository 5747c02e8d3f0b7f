"""Mean noise power of a spectrum: medians of rings or of ring sectors, and the tail they allow.

For noise, power over its **mean** is exponential; a median is 1 / ln 2 times smaller than the mean.
A mean that is itself estimated from n independent values has the heavier tail (1 + t/n)^-n.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: A Hann window correlates neighbouring bins: its noise bandwidth is 1.5 bins an axis.
HANN_BANDWIDTH = 1.5**2
#: Variance of a median over that of a mean, for exponential values: 1 / ln(2)^2.
MEDIAN_LOSS = 1.0 / np.log(2.0) ** 2
#: Detectors record noise at all frequencies. Where a spectrum falls below this share of its largest ring,
#: the image was filtered, and what is left there (rounding, leakage) is no measure of noise.
FLOOR = 1e-4
#: Where rings differ by more than this factor from the next, as at the edge of a filter, the noise changes
#: within a ring, and the larger of the neighbours is taken.
STEEP = 1.7
#: Sectors with fewer bins than this share of the usual (at the grid's corners) take the median of all.
MOST_EMPTY = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Pools of frequencies of like |g|, each with at least a given number of bins.

    Attributes
    ----------
    order : ndarray of int
        Flat indices of the bins inside all rings, sorted by ring.
    starts : ndarray of int, shape (n + 1,)
        Where each ring begins in `order`.
    middle : ndarray, shape (n,), 1/nm
        Mean |g| of each ring.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    middle: NDArray[np.float64]

    def effective_counts(self) -> NDArray[np.float64]:
        """Independent values that a ring's median is worth as an estimate of the mean."""
        return np.asarray(np.diff(self.starts) / (HANN_BANDWIDTH * MEDIAN_LOSS), np.float64)


def pool_rings(radius: NDArray[np.float64], low: float, high: float, fewest: int) -> Rings:
    """Cut the bins with low <= |g| <= high into rings of at least `fewest` bins.

    Parameters
    ----------
    radius : ndarray, 1/nm
        |g| of every bin, of any shape.
    low, high : float, 1/nm
    fewest : int
    """
    flat = radius.ravel()
    inside = np.flatnonzero((flat >= low) & (flat <= high))
    order = inside[np.argsort(flat[inside], kind="stable")]
    count = max(1, len(order) // fewest)
    starts = np.linspace(0, len(order), count + 1).astype(np.intp)
    sums = np.add.reduceat(flat[order], starts[:-1]) if len(order) else np.zeros(1)
    return Rings(order, starts, sums / np.maximum(np.diff(starts), 1))


def ring_means(power: NDArray[np.float32], rings: Rings) -> NDArray[np.float32]:
    """Robust mean noise power in each ring of each spectrum.

    Parameters
    ----------
    power : ndarray, shape (n_spectra, n_bins)

    Returns
    -------
    ndarray, shape (n_spectra, n_rings)
        median / ln 2.
    """
    means = np.empty((len(power), len(rings.middle)), np.float32)
    pooled = power[:, rings.order]
    for i, (start, stop) in enumerate(pairwise(rings.starts)):
        middle = (stop - start) // 2
        means[:, i] = np.partition(pooled[:, start:stop], middle, axis=1)[:, middle]
    means /= np.float32(np.log(2.0))
    floor = np.maximum(FLOOR * means.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    highest = ndimage.maximum_filter1d(means, 3, axis=1, mode="nearest")
    safe = np.where(highest > STEEP * means, highest, means)
    return np.asarray(np.maximum(safe, floor), np.float32)


def spread(means: NDArray[np.float32], rings: Rings, radius: NDArray[np.float64]) -> NDArray[np.float32]:
    """Ring means, linearly interpolated to every bin's |g|; shape (n_spectra, n_bins)."""
    position = np.interp(radius.ravel(), rings.middle, np.arange(len(rings.middle)))
    low = np.minimum(position.astype(np.intp), max(len(rings.middle) - 2, 0))
    share = (position - low).astype(np.float32)
    high = np.minimum(low + 1, len(rings.middle) - 1)
    spread_means: NDArray[np.float32] = means[:, low] * (1 - share) + means[:, high] * share
    return spread_means


def sector_noise(
    power: NDArray[np.float32],
    gy: NDArray[np.float64],
    gx: NDArray[np.float64],
    low: float,
    sectors: int = 8,
    fewest: int = 256,
) -> tuple[NDArray[np.float32], float]:
    """Mean noise power of one half-plane spectrum, free to vary with azimuth (astigmatism).

    Parameters
    ----------
    power : ndarray, shape (ny, nx)
    gy, gx : ndarray, shape (ny, 1) and (1, nx), 1/nm
    low : float, 1/nm
        Frequencies below it are not used.

    Returns
    -------
    noise : ndarray, shape (ny, nx)
    counts : float
        Effective number of values behind each estimate.
    """
    squared = gy**2 + gx**2
    position = (np.arctan2(gy, gx) / np.pi + 0.5) * sectors
    sector = position.astype(np.intp) % sectors
    inside, highest = int(np.count_nonzero(squared >= low**2)), float(squared.max())
    rings = max(1, inside // (fewest * sectors))
    # rings of equal area hold equally many bins
    ring_of = np.clip((squared - low**2) * (rings / (highest - low**2)), 0, rings - 1e-6)
    medians, counts = _sector_medians(power, ring_of.astype(np.intp) * sectors + sector, rings, sectors)
    padded = np.log(np.concatenate([medians[:, -1:], medians, medians[:, :1]], axis=1))
    at = np.stack([ring_of - 0.5, position + 0.5])
    noise = np.exp(ndimage.map_coordinates(padded, at, order=1, mode="nearest", output=np.float32))
    return noise, counts


def _sector_medians(
    power: NDArray[np.float32], cell: NDArray[np.intp], rings: int, sectors: int
) -> tuple[NDArray[np.float64], float]:
    """Medians of the bins of each cell, as means, and the effective number of values behind one."""
    cells = rings * sectors
    flat = cell.ravel().astype(np.uint16 if cells < 2**16 else np.int64)
    order = np.argsort(flat, kind="stable")
    counts = np.bincount(flat, minlength=cells)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    table = np.full((cells, max(int(counts.max()), 1)), np.inf, np.float32)
    table[flat[order], np.arange(flat.size) - np.repeat(starts, counts)] = power.ravel()[order]
    table.sort(axis=1)
    medians = table[np.arange(cells), np.maximum(counts - 1, 0) // 2].astype(np.float64)
    medians[counts < MOST_EMPTY * np.median(counts)] = np.nan
    medians = np.where(np.isfinite(medians), medians, np.nanmedian(medians))
    floor = max(FLOOR * float(medians.max()), float(np.finfo(np.float32).tiny))
    effective = float(np.median(counts)) / (HANN_BANDWIDTH * MEDIAN_LOSS)
    return np.maximum(medians, floor).reshape(rings, sectors) / np.log(2.0), max(effective, 1.0)


def log_tail(snr: NDArray[np.float32] | float, counts: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """ln P(SNR > snr) under noise when the mean is estimated from `counts` independent values."""
    n = np.asarray(counts, np.float64)
    return np.asarray(-n * np.log1p(np.asarray(snr, np.float64) / n))


def threshold(tests: float, false_alarms: float, counts: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """SNR above which noise passes `false_alarms` times in `tests` trials."""
    n = np.asarray(counts, np.float64)
    return np.asarray(n * np.expm1(np.log(tests / false_alarms) / n))
