"""Proposals: pairs of spots that could be pairs of reflections, looked up in the index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .observations import COLLINEAR, Observed
from .pair_index import PhaseIndex
from .placement import Hypotheses, place

#: A pair of spots fits a pair of reflections within this many standard deviations.
GATE = 3.3
#: Grain, first and second spot of each pair.
_Pairs = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
#: At most this many pairs of a grain's spots are looked up; and if none of them fits anything, up to this
#: many: of a large cell whose reflections are about equally strong the first spots can be none of the
#: `STARTERS`.
MOST_PAIRS, FURTHER_PAIRS = 8, 280


def spot_pairs(observed: Observed, first_pair: int = 0, most: int = MOST_PAIRS) -> _Pairs:
    """Pairs of directions of each grain, strong spots first: grain, first and second spot."""
    width = observed.valid.shape[1]
    first, second = np.triu_indices(width, 1)
    order = np.argsort(first + 1.5 * second, kind="stable")
    first, second = first[order], second[order]
    cross = np.abs(np.sin(observed.azimuth[:, first] - observed.azimuth[:, second]))
    usable = observed.valid[:, first] & observed.valid[:, second] & (cross > np.sin(COLLINEAR))
    rank = np.cumsum(usable, axis=1)
    grain, pair = np.nonzero(usable & (rank > first_pair) & (rank <= most))
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
    known_scale = log_scale, scale_error
    pairs = _both_ways(observed, spot_pairs(observed))
    query, row = _look_up(observed, index, pairs, known_scale)
    without = np.ones(len(observed.valid), bool)
    without[pairs[0][query]] = False
    if without.any():
        grain, i, j = spot_pairs(observed, MOST_PAIRS, FURTHER_PAIRS)
        asked = without[grain]
        further = _both_ways(observed, (grain[asked], i[asked], j[asked]))
        more, row_of_more = _look_up(observed, index, further, known_scale)
        query, row = np.append(query, more + len(pairs[0])), np.append(row, row_of_more)
        grain, i, j = (np.append(some, others) for some, others in zip(pairs, further, strict=True))
    else:
        grain, i, j = pairs
    return place(observed, index, (grain[query], i[query], j[query]), row)


def _both_ways(observed: Observed, pairs: _Pairs) -> _Pairs:
    """The pairs with the shorter vector first; those of equal lengths in both orders."""
    grain, i, j = pairs
    swap = observed.log_length[grain, i] > observed.log_length[grain, j]
    i, j = np.where(swap, j, i), np.where(swap, i, j)
    equal = observed.log_length[grain, j] - observed.log_length[grain, i] < GATE * np.hypot(
        observed.length_error[grain, i], observed.length_error[grain, j]
    )
    grain = np.concatenate([grain, grain[equal]])
    return grain, np.concatenate([i, j[equal]]), np.concatenate([j, i[equal]])


def _look_up(
    observed: Observed,
    index: PhaseIndex,
    pairs: _Pairs,
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
