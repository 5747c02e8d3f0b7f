"""Mean noise power of a spectrum from medians over rings or ring sectors, and the tail of the SNR.

The ratio of noise power to its **mean** is exponentially distributed; its median is ln 2 times the mean.
If the mean itself is estimated from n independent values, the tail is heavier: (1 + t/n)^-n.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..maps.map_grid import linear_weights

#: A Hann window correlates neighbouring bins: its noise bandwidth is 1.5 bins per axis.
#: Follows from the window, not tuned. Sweep: halved, F1 0.82 -> 0.84, area 0.89 -> 0.90, right names 4 ->
#: 5; doubled, area 0.89 -> 0.91.
HANN_BANDWIDTH = 1.5**2
#: Ratio of the variance of a median to the variance of a mean, for exponential values: 1 / ln(2)^2.
#: Follows from the statistics, not tuned. Sweep: halved, F1 0.82 -> 0.84, area 0.89 -> 0.90, right names 4
#: -> 5; doubled, area 0.89 -> 0.91.
MEDIAN_LOSS = 1.0 / np.log(2.0) ** 2
#: Detectors record noise at all frequencies. Where a spectrum falls below this fraction of its largest ring,
#: the image was filtered, and what is left there (rounding, leakage) does not measure the noise.
FLOOR = 1e-4
#: Where adjacent rings differ by more than this factor, as at the edge of a filter, the noise changes within
#: a ring, and the larger neighbour is used.
STEEP = 1.7
#: The same limit for the most likely noise instead of the largest, so that Thon rings are preserved.
CLIFF = 6.0
#: Of half-plane spectra with more bins only every second row is sampled.
THINNED = 500_000
#: Number of rows processed together.
STRIP = 64
#: Smallest noise of a ring in a window, relative to the usual value for this window and ring.
LEAST_SHARE = 0.1
#: Sectors with less than this fraction of the usual number of bins (at the grid's corners) use the median of
#: all sectors.
LEAST_FILLED = 0.2
#: An azimuthal excess is significant if it exceeds this divided by the square root of the number of windows.
#: No record says on what it was set. Sweep: halved, nothing; doubled, area 0.89 -> 0.91, error of d 0.107
#: -> 0.114 %.
AZIMUTHAL_CHANCE = 1.4
#: Standard deviation of the smoothed logarithm by chance, times the square root of the number of windows.
#: Follows from the two below. Sweep: halved, area 0.89 -> 0.91, grains 12 -> 13; doubled, area 0.89 ->
#: 0.91.
LOG_CHANCE = 0.36
#: The smoothed logarithm is the median over squares that extend this many bins to each side, computed at
#: every third bin. No record says on what it was set. Sweep: halved, F1 0.82 -> 0.81, area 0.89 -> 0.88,
#: error of d 0.107 -> 0.077 %; doubled, area 0.89 -> 0.91.
AZIMUTHAL_REACH = 4
#: No record says on what it was set. Sweep of AZIMUTHAL_STRIDE: halved, nothing; doubled, area 0.89 ->
#: 0.91.
AZIMUTHAL_STRIDE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Pools of bins with similar |g|, each with at least a given number of bins.

    Attributes
    ----------
    bins : ndarray of int, shape (n, most)
        Flat indices of each ring's bins; only the first `counts` entries of a row are valid.
    counts : ndarray of int, shape (n,)
        Number of bins in each ring.
    middle : ndarray, shape (n,), 1/nm
        Mean |g| of each ring.
    """

    bins: NDArray[np.intp]
    counts: NDArray[np.intp]
    middle: NDArray[np.float64]

    def effective_counts(self) -> NDArray[np.float64]:
        """Number of independent values whose mean is as precise as the estimate from a ring's median."""
        return np.asarray(self.counts / (HANN_BANDWIDTH * MEDIAN_LOSS), np.float64)


def pool_rings(radius: NDArray[np.float64], low: float, high: float, fewest: int) -> Rings:
    """Divide the bins with low <= |g| <= high into rings of at least `fewest` bins.

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
    counts = np.diff(starts)
    places = starts[:-1, None] + np.arange(counts.max())
    bins = order[np.minimum(places, len(order) - 1)] if len(order) else np.zeros((1, 0), np.intp)
    return Rings(bins, counts, sums / np.maximum(counts, 1))


def ring_means(power: NDArray[np.float32], rings: Rings) -> NDArray[np.float32]:
    """Robust mean noise power in each ring of each spectrum.

    Parameters
    ----------
    power : ndarray, shape (n_spectra, n_bins)

    Returns
    -------
    ndarray, shape (n_spectra, n_rings)
        median / ln 2. Apply `guard_from_zero` before dividing by it.
    """
    pooled = power.take(rings.bins, axis=1, mode="clip")  # "clip" avoids checking each index
    short, beyond = np.nonzero(np.arange(rings.bins.shape[1]) >= rings.counts[:, None])
    pooled[:, short, beyond] = np.inf
    pooled.sort(axis=2)
    medians = pooled[:, np.arange(len(rings.counts)), rings.counts // 2]
    return np.asarray(medians / np.float32(np.log(2.0)), np.float32)


def guard_from_zero(means: NDArray[np.float32], steep: float = STEEP) -> NDArray[np.float32]:
    """Ring means without zeros; a mean far below a neighbouring ring's is replaced by the neighbour's."""
    floor = np.maximum(FLOOR * means.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    highest = ndimage.maximum_filter1d(means, 3, axis=1, mode="nearest")
    safe = np.where(highest > steep * means, highest, means)
    return np.asarray(np.maximum(safe, floor), np.float32)


def few_spectra(density: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    """Approximate the noise of the windows by sums of the few spectra whose differences exceed chance.

    Film, vacuum and changes in thickness give two or three; the rings of each window also vary by chance.

    Parameters
    ----------
    density : ndarray, shape (windows, rings)
    bins : int
        Number of bins from which each value was estimated by a median.
    """
    logs = np.log(np.maximum(density.astype(np.float64), np.finfo(np.float32).tiny))
    usual = np.exp(logs.mean(axis=0) + (logs - logs.mean(axis=0)).mean(axis=1, keepdims=True))
    left, strength, right = np.linalg.svd(density / usual, full_matrices=False)
    chance = np.sqrt(HANN_BANDWIDTH * MEDIAN_LOSS / bins) * np.sum(np.sqrt(density.shape))
    kept = max(int(np.count_nonzero(strength > chance)), 1)
    shared = (left[:, :kept] * strength[:kept]) @ right[:kept]
    return np.asarray(usual * np.maximum(shared, LEAST_SHARE), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """Position of each bin between the mean |g| of two rings, for linear interpolation.

    Attributes
    ----------
    low, high : ndarray of int, shape (n_bins,)
        The two rings around the bin.
    share : ndarray of float32
        Weight of the second ring, 0 to 1.
    """

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    share: NDArray[np.float32]

    def beyond(self, first: int) -> Between:
        """The positions of the bins from `first` on."""
        return Between(self.low[first:], self.high[first:], self.share[first:])


def between_rings(rings: Rings, radius: NDArray[np.float64]) -> Between:
    """Positions of bins with these |g| (1/nm, any shape) between the rings."""
    position = np.interp(radius.ravel(), rings.middle, np.arange(len(rings.middle)))
    low = np.minimum(position.astype(np.intp), max(len(rings.middle) - 2, 0))
    high = np.minimum(low + 1, len(rings.middle) - 1)
    return Between(low, high, (position - low).astype(np.float32))


def spread_over_rings(means: NDArray[np.float32], between: Between) -> NDArray[np.float32]:
    """Ring means, linearly interpolated to every bin's |g|; shape (n_spectra, n_bins)."""
    low = means.take(between.low, axis=1, mode="clip")
    high = means.take(between.high, axis=1, mode="clip")
    high -= low
    high *= between.share
    low += high
    return low


@dataclass(frozen=True, slots=True, eq=False)
class _Sectors:
    """Cells of a half plane (intersections of rings and sectors) and the position of each bin between them.

    Attributes
    ----------
    shape : tuple of int, (rings, sectors)
    samples : ndarray of int32, shape (rings * sectors, n)
        Flat indices of n bins of each cell; in cells with fewer bins, some are repeated.
    empty : ndarray of bool, shape (rings * sectors,)
        Cells with too few bins.
    corner : ndarray of int32, shape of the spectrum
        Flat index, in a table of shape (rings, sectors + 2), of the first of the four cells around a bin.
    ring_share, sector_share : ndarray of float32
        Weights of the next ring and of the next sector in the interpolation at a bin, 0 to 1.
    """

    shape: tuple[int, int]
    samples: NDArray[np.int32]
    empty: NDArray[np.bool_]
    corner: NDArray[np.int32]
    ring_share: NDArray[np.float32]
    sector_share: NDArray[np.float32]


def sector_noise(
    power: NDArray[np.float32],
    step: tuple[float, float],
    low: float,
    sectors: int = 8,
    fewest: int = 256,
) -> tuple[NDArray[np.float32], float]:
    """Estimate the mean noise power of a half-plane spectrum, which may vary with azimuth (astigmatism).

    Parameters
    ----------
    power : ndarray, shape (2 hy + 1, hx + 1)
        Row hy is g_y = 0, column 0 is g_x = 0.
    step : tuple of float, (y, x), 1/nm
    low : float, 1/nm
        Frequencies below it are not used.

    Returns
    -------
    noise : ndarray, shape of `power`
        Effective number of values from which each estimate was made.
        Effective number of values behind each estimate.
    """
    cells = _sectors(power.shape, step, low, sectors, fewest)
    values = power.ravel().take(cells.samples, mode="clip")
    values.sort(axis=1)  # faster than a partition
    medians = values[:, values.shape[1] // 2].astype(np.float64)
    usual = np.median(medians[~cells.empty])
    medians = np.where(cells.empty, usual, medians)
    floor = max(FLOOR * float(medians.max()), float(np.finfo(np.float32).tiny))
    means = np.maximum(medians, floor).reshape(cells.shape) / np.log(2.0)
    table = np.concatenate([means[:, -1:], means, means[:, :1]], axis=1).astype(np.float32)
    correlated = HANN_BANDWIDTH if power.size < THINNED else np.sqrt(HANN_BANDWIDTH)
    return _interpolate_cells(table, cells), max(values.shape[1] / (correlated * MEDIAN_LOSS), 1.0)


def _interpolate_cells(table: NDArray[np.float32], cells: _Sectors) -> NDArray[np.float32]:
    """Bilinear interpolation of the cells' values at each bin, strip by strip."""
    width = table.shape[1]
    flat = np.concatenate([table.ravel(), table[-1], table[-1, -1:]])  # there is no ring beyond the last one
    count = len(flat) - width - 1
    inner, next_inner, outer, next_outer = (flat[i : i + count] for i in (0, 1, width, width + 1))
    # the four values of a bin are adjacent, so that one look-up finds them
    four = np.stack([inner, next_inner - inner, outer, next_outer - outer], axis=1)
    packed = four.view(np.complex128).ravel()
    noise = np.empty(cells.corner.shape, np.float32)
    for first in range(0, len(noise), STRIP):
        part = slice(first, first + STRIP)
        found = packed.take(cells.corner[part], mode="clip").view(np.float32)
        found = found.reshape(*noise[part].shape, 4)
        low, high = (found[..., i + 1] * cells.sector_share[part] + found[..., i] for i in (0, 2))
        high -= low
        high *= cells.ring_share[part]
        np.add(low, high, out=noise[part])
    return noise


@lru_cache(maxsize=2)
def _sectors(
    shape: tuple[int, int], step: tuple[float, float], low: float, sectors: int, fewest: int
) -> _Sectors:
    """The cells; shared by images of the same shape."""
    gy = ((np.arange(shape[0]) - shape[0] // 2) * step[0])[:, None]
    gx = (np.arange(shape[1]) * step[1])[None, :]
    # with many bins, every second row is sufficient, because the window correlates neighbours
    thin = 2 if gy.size * gx.size >= THINNED else 1
    inside = sum(int(np.count_nonzero(y**2 + gx**2 >= low**2)) for y in gy[::thin])
    highest = float((gy**2).max() + (gx**2).max())
    rings = max(1, inside // (fewest * sectors))
    corner, cell = np.empty(shape, np.int32), np.empty((-(-shape[0] // thin), shape[1]), np.int32)
    ring_share, sector_share = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for first in range(0, shape[0], STRIP):
        part, thinned = slice(first, first + STRIP), slice(first // thin, (first + STRIP) // thin)
        position = (np.arctan2(gy[part], gx) / np.pi + 0.5) * sectors
        # rings of equal area contain equal numbers of bins
        ring_of = (gy[part] ** 2 + gx**2 - low**2) * (rings / (highest - low**2))
        ring_of = np.clip(ring_of, 0, rings - 1e-6)
        cell[thinned] = ring_of[::thin].astype(np.intp) * sectors + position[::thin].astype(np.intp) % sectors
        ring = np.clip(ring_of - 0.5, 0, rings - 1)
        sector = np.clip(position + 0.5, 0, sectors + 1 - 1e-6)
        corner[part] = ring.astype(np.int32) * np.int32(sectors + 2) + sector.astype(np.int32)
        ring_share[part], sector_share[part] = ring % 1.0, sector % 1.0
    samples, empty = _samples(cell, rings * sectors)
    rows = (np.arange(0, shape[0], thin) * shape[1]).astype(np.int32)
    samples = rows[samples // shape[1]] + samples % np.int32(shape[1])
    return _Sectors((rings, sectors), samples, empty, corner, ring_share, sector_share)


def _samples(cell: NDArray[np.int32], cells: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The same odd number of flat indices for each cell, and which cells have too few bins."""
    order = np.argsort(cell.ravel(), kind="stable").astype(np.int32)
    counts = np.bincount(cell.ravel(), minlength=cells)
    starts = np.cumsum(counts) - counts
    usual = int(np.median(counts))
    taken = np.arange(max(usual - 1 + usual % 2, 1))
    within = (taken * np.maximum(counts, 1)[:, None]) // max(len(taken), 1)
    samples = order[np.minimum(starts[:, None] + within, len(order) - 1)]
    return samples, counts < max(LEAST_FILLED * usual, 1)


def robust_sigma(values: NDArray[Any]) -> float:
    """Standard deviation of normally distributed values from their median deviation, robust to outliers.

    `scipy.stats.median_abs_deviation` is equivalent, but ``scipy.stats`` is slow to import.

    Examples
    --------
    >>> round(robust_sigma(np.array([1.0, 2.0, 3.0, 4.0, 100.0])), 4)
    1.4826
    """
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def azimuthal_excess(anisotropy: NDArray[np.float32], windows: int) -> NDArray[np.float32]:
    """Factor by which the noise exceeds its ring's mean where the excess is significant; 1 elsewhere."""
    # With 40 independent windows the smoothed mean is accurate to about 6 %.
    chance = AZIMUTHAL_CHANCE / np.sqrt(windows)
    return np.where(anisotropy > 1 + chance, anisotropy, 1.0).astype(np.float32)


def likely_noise(
    density: NDArray[np.float32],
    bins: int,
    mean_log: NDArray[np.float64],
    between: Between,
    tested: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The most likely noise density of the windows' rings, and its most likely anisotropy.

    Parameters
    ----------
    density : ndarray, shape (windows, rings)
    bins : int
        Number of bins from which each value of `density` was estimated.
    mean_log : ndarray, shape of a window's spectrum
        Mean logarithm of the ratio of the windows' spectra to their density after `guard_from_zero`.
    between : Between
        Positions of the spectrum's frequencies between the rings.
    tested : ndarray of bool, shape of a spectrum
        Where the spectra are searched.

    Returns
    -------
    density, anisotropy : ndarray of float32, shapes (windows, rings) and shape of a spectrum
        The anisotropy is shrunk towards 1 by the fraction of its variance that is due to chance
        (James-Stein).
    """
    plain = guard_from_zero(density, CLIFF)
    excess = np.log(guard_from_zero(density) / plain).mean(axis=0, keepdims=True)
    logs = np.log(anisotropy_of(mean_log + spread_over_rings(excess, between).reshape(mean_log.shape)))
    whole = float(np.mean(logs[tested] ** 2)) if tested.any() else 0.0
    share = max(1 - LOG_CHANCE**2 / len(density) / whole, 0.0) if whole else 0.0
    return few_spectra(plain, bins), np.exp(np.float32(share) * logs)


def anisotropy_of(mean_log: NDArray[np.float64]) -> NDArray[np.float32]:
    """Ratio of the noise at each frequency to its ring's mean (astigmatism).

    It is computed from the mean logarithm over all windows, which a few crystals hardly change, smoothed by a
    median over 9 x 9 bins, which is insensitive even to a lattice that fills the image.
    """
    excess = np.exp(mean_log + np.euler_gamma).astype(np.float32)
    reach = AZIMUTHAL_REACH
    left = excess[::-1, reach:0:-1]  # the columns of negative g_x that are needed
    margin = ((reach, reach), (reach - left.shape[1], reach))
    padded = np.pad(np.concatenate([left, excess], axis=1), margin, mode="edge")
    size = 2 * reach + 1
    return _strided_median(padded, excess.shape, size)


def _strided_median(padded: NDArray[np.float32], shape: tuple[int, int], size: int) -> NDArray[np.float32]:
    """Medians over squares of `size` bins, computed at every third bin and interpolated in between."""
    at = [np.unique(np.append(np.arange(0, n, AZIMUTHAL_STRIDE), n - 1)) for n in shape]
    squares = np.lib.stride_tricks.sliding_window_view(padded, (size, size))[np.ix_(*at)]
    medians = np.median(squares.reshape(len(at[0]), len(at[1]), -1), axis=2)
    rows, columns = (
        linear_weights(np.interp(np.arange(n), line, np.arange(len(line))), len(line))
        for n, line in zip(shape, at, strict=True)
    )
    smooth: NDArray[np.float32] = rows @ medians @ columns.T
    return smooth
