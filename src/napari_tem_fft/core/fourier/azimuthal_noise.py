"""How the noise of local spectra varies with azimuth (astigmatism)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..maps.map_grid import linear_weights
from .noise import CLIFF, Between, few_spectra, guard_from_zero, spread_over_rings

#: An excess at an azimuth counts beyond this over the root of the number of windows.
AZIMUTHAL_CHANCE = 1.4
#: Standard deviation by chance of the smoothed logarithm, times the root of the number of windows.
LOG_CHANCE = 0.36
#: It is the median over squares that reach so many bins to either side, taken at every third bin.
AZIMUTHAL_REACH = 4
AZIMUTHAL_STRIDE = 3


def azimuthal_excess(anisotropy: NDArray[np.float32], windows: int) -> NDArray[np.float32]:
    """By which factor the noise exceeds its ring's mean where that is no chance; 1 elsewhere."""
    # Of 40 independent windows the smoothed mean is good to some 6 %: what is within chance is no excess.
    chance = AZIMUTHAL_CHANCE / np.sqrt(windows)
    return np.where(anisotropy > 1 + chance, anisotropy, 1.0).astype(np.float32)


def likely_noise(
    density: NDArray[np.float32],
    bins: int,
    mean_log: NDArray[np.float64],
    between: Between,
    tested: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noise density of the windows' rings, and its anisotropy, as they are likely to be.

    Parameters
    ----------
    density : ndarray, shape (windows, rings)
    bins : int
        Behind each of its values.
    mean_log : ndarray, shape of a window's spectrum
        Mean logarithm of the windows' spectra over their `guarded` density.
    between : Between
        Where its frequencies lie between the rings.
    tested : ndarray of bool, shape of a window's spectrum
        Where the spectra are searched.

    Returns
    -------
    density, anisotropy : ndarray of float32, shapes (windows, rings) and that of a spectrum
        The latter is drawn towards 1 by the share of its variance that is chance (James and Stein).
    """
    plain = guard_from_zero(density, CLIFF)
    excess = np.log(guard_from_zero(density) / plain).mean(axis=0, keepdims=True)
    logs = np.log(anisotropy_of(mean_log + spread_over_rings(excess, between).reshape(mean_log.shape)))
    whole = float(np.mean(logs[tested] ** 2)) if tested.any() else 0.0
    share = max(1 - LOG_CHANCE**2 / len(density) / whole, 0.0) if whole else 0.0
    return few_spectra(plain, bins), np.exp(np.float32(share) * logs)


def anisotropy_of(mean_log: NDArray[np.float64]) -> NDArray[np.float32]:
    """Noise at each frequency over its ring's mean (astigmatism).

    From the mean logarithm over all windows, which a few crystals hardly move, smoothed by a median
    over 9 x 9 bins, which a lattice that fills the image does not move either.
    """
    excess = np.exp(mean_log + np.euler_gamma).astype(np.float32)
    reach = AZIMUTHAL_REACH
    left = excess[::-1, reach:0:-1]  # columns of negative g_x, as far as they are looked at
    margin = ((reach, reach), (reach - left.shape[1], reach))
    padded = np.pad(np.concatenate([left, excess], axis=1), margin, mode="edge")
    size = 2 * reach + 1
    return _strided_median(padded, excess.shape, size)


def _strided_median(padded: NDArray[np.float32], shape: tuple[int, int], size: int) -> NDArray[np.float32]:
    """Medians over squares of `size` bins, taken at every third bin and interpolated between them."""
    at = [np.unique(np.append(np.arange(0, n, AZIMUTHAL_STRIDE), n - 1)) for n in shape]
    squares = np.lib.stride_tricks.sliding_window_view(padded, (size, size))[np.ix_(*at)]
    medians = np.median(squares.reshape(len(at[0]), len(at[1]), -1), axis=2)
    rows, columns = (
        linear_weights(np.interp(np.arange(n), line, np.arange(len(line))), len(line))
        for n, line in zip(shape, at, strict=True)
    )
    smooth: NDArray[np.float32] = rows @ medians @ columns.T
    return smooth
