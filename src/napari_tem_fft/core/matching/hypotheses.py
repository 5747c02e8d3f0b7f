"""Proposals: pairs of spots that could be pairs of reflections, looked up in the index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .observations import COLLINEAR, Observed
from .pair_index import PhaseIndex
from .placement import Hypotheses, place

#: A pair of spots fits a pair of reflections within so many standard deviations.
GATE = 3.3
#: At most so many pairs of a grain's spots are looked up.
MOST_PAIRS = 8


def spot_pairs(observed: Observed) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of directions of each grain, strong spots first: grain, first and second spot."""
    width = observed.valid.shape[1]
    first, second = np.triu_indices(width, 1)
    order = np.argsort(first + 1.5 * second, kind="stable")
    first, second = first[order], second[order]
    cross = np.abs(np.sin(observed.azimuth[:, first] - observed.azimuth[:, second]))
    usable = observed.valid[:, first] & observed.valid[:, second] & (cross > np.sin(COLLINEAR))
    rank = np.cumsum(usable, axis=1)
    grain, pair = np.nonzero(usable & (rank <= MOST_PAIRS))
    return grain, first[pair], second[pair]


def propose(observed: Observed, index: PhaseIndex, log_scale: float, scale_error: float) -> Hypotheses:
    """All placements under which two spots of a grain are reflections of a pattern.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    log_scale, scale_error : float
        ln of the image's scale as far as it is known, and its standard uncertainty.
    """
    grain, i, j = spot_pairs(observed)
    swap = observed.log_length[grain, i] > observed.log_length[grain, j]
    i, j = np.where(swap, j, i), np.where(swap, i, j)
    equal = observed.log_length[grain, j] - observed.log_length[grain, i] < GATE * np.hypot(
        observed.length_error[grain, i], observed.length_error[grain, j]
    )
    grain = np.concatenate([grain, grain[equal]])
    i, j = np.concatenate([i, j[equal]]), np.concatenate([j, i[equal]])
    query, row = _look_up(observed, index, (grain, i, j), (log_scale, scale_error))
    return place(observed, index, (grain[query], i[query], j[query]), row)


def _look_up(
    observed: Observed,
    index: PhaseIndex,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
    known_scale: tuple[float, float],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number of the query and row of the index for every pair of reflections that fits a pair of spots."""
    grain, i, j = pairs
    length, error = observed.log_length, observed.length_error
    ratio = length[grain, j] - length[grain, i]
    ratio_error = np.sqrt(error[grain, i] ** 2 + error[grain, j] ** 2 + 2 * observed.distortion**2)
    low = np.searchsorted(index.pair_ratio, ratio - GATE * ratio_error)
    high = np.searchsorted(index.pair_ratio, ratio + GATE * ratio_error)
    angle, angle_error = _folded_angle(observed, grain, i, j)
    g = length[grain, i] - known_scale[0]
    reach = GATE * np.sqrt(error[grain, i] ** 2 + known_scale[1] ** 2 + observed.distortion**2)
    found = []
    for n, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        fits = np.abs(index.pair_angle[first:last] - angle[n]) < GATE * angle_error[n]
        fits &= np.abs(g[n] - index.pair_g[first:last]) < reach[n]
        found.append(np.flatnonzero(fits) + first)
    query = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
    return query, np.concatenate(found) if found else np.zeros(0, np.intp)


def _folded_angle(
    observed: Observed, grain: NDArray[np.intp], i: NDArray[np.intp], j: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angle between two spots, 0 to 90 degrees, and its standard uncertainty."""
    azimuth, error = observed.azimuth, observed.angle_error
    total = np.sqrt(error[grain, i] ** 2 + error[grain, j] ** 2 + 2 * observed.distortion**2)
    angle = np.degrees(np.abs(azimuth[grain, i] - azimuth[grain, j])) % 180.0
    return np.minimum(angle, 180.0 - angle), np.degrees(total)
