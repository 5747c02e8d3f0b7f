"""Peaks of a curve, with their prominence and width.

They are those of `scipy.signal.find_peaks` and `peak_widths`; importing scipy.signal, which brings
scipy.stats, takes longer than the analysis of a small image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def find_peaks(
    curve: NDArray[np.float64], height: float, prominence: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Peaks that are high and prominent enough, and their full widths at half prominence.

    Parameters
    ----------
    curve : ndarray, shape (n,)
    height, prominence : float
        Least value of a peak, and how far it has to stand above the higher of the lowest places between
        it and the next higher values on either side.

    Returns
    -------
    peaks : ndarray of int
        The middles of flat ones.
    widths : ndarray
        Widths in samples, interpolated linearly.
    """
    found = []
    for peak in _maxima(curve):
        if curve[peak] < height:
            continue
        sides = curve[peak::-1], curve[peak:]
        stands_out = float(curve[peak]) - max(float(side[_base(side)]) for side in sides)
        if stands_out >= prominence:
            level = float(curve[peak]) - 0.5 * stands_out
            found.append((peak, sum(_reach(side, level) for side in sides)))
    return np.array([peak for peak, _ in found], np.intp), np.array([width for _, width in found])


def _maxima(curve: NDArray[np.float64]) -> list[int]:
    """Samples, or middles of runs of equal ones, whose neighbours on both sides are lower."""
    edges = np.flatnonzero(np.diff(curve))
    firsts, lasts = np.append(0, edges + 1), np.append(edges, len(curve) - 1)
    heights = curve[firsts]
    inner = np.flatnonzero((heights[1:-1] > heights[:-2]) & (heights[1:-1] > heights[2:])) + 1
    return [int(i) for i in (firsts[inner] + lasts[inner]) // 2]


def _base(side: NDArray[np.float64]) -> int:
    """The lowest sample from a peak, the first of a side, to where the curve is higher than it."""
    higher = side > side[0]
    return int(np.argmin(side[: int(np.argmax(higher)) if higher.any() else None]))


def _reach(side: NDArray[np.float64], level: float) -> float:
    """Samples from a peak to where the curve falls to a level; to its base at most."""
    base = _base(side)
    below = np.flatnonzero(side[1 : base + 1] <= level)
    at = int(below[0]) + 1 if len(below) else base
    if side[at] < level:
        return at - (level - float(side[at])) / (float(side[at - 1]) - float(side[at]))
    return float(at)
