"""How the noise of local spectra varies with azimuth (astigmatism)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .map_grid import linear_weights

#: An excess at an azimuth counts beyond this over the root of the number of windows.
AZIMUTHAL_CHANCE = 1.4
#: It is the median over squares that reach so many bins to either side, taken at every third bin.
AZIMUTHAL_REACH = 4
AZIMUTHAL_STRIDE = 3


def azimuthal_factor(mean_log: NDArray[np.float64], windows: int) -> NDArray[np.float32]:
    """How far the noise exceeds its ring's mean at an azimuth (astigmatism), 1 or more.

    From the mean logarithm over all windows, which a few crystals hardly move, smoothed by a median
    over 9 x 9 bins, which a lattice that fills the image does not move either.
    """
    excess = np.exp(mean_log + np.euler_gamma).astype(np.float32)
    reach = AZIMUTHAL_REACH
    left = excess[::-1, reach:0:-1]  # columns of negative g_x, as far as they are looked at
    margin = ((reach, reach), (reach - left.shape[1], reach))
    padded = np.pad(np.concatenate([left, excess], axis=1), margin, mode="edge")
    size = 2 * reach + 1
    smooth = _strided_median(padded, excess.shape, size)
    # Of 40 independent windows the smoothed mean is good to some 6 %: what is within chance is no excess.
    chance = AZIMUTHAL_CHANCE / np.sqrt(windows)
    return np.where(smooth > 1 + chance, smooth, 1.0).astype(np.float32)


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
