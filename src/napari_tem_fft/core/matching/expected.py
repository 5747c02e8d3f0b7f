"""What is expected of patterns before looking, within the band of |g| that an image can show.

What an image cannot show says nothing by being missing: reflections beyond its Nyquist frequency, beyond
the limits of the search, or where a filter has cut them away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .pair_index import PhaseIndex
from .zone_patterns import SHARPNESS, THRESHOLDS, VISIBLE_G, damping, in_band

#: Probability that a crystal of a layered phase lies flat, so that the beam goes along its stacking.
LIES_FLAT = 0.8
#: Root of the relative |F| of a lattice of which nothing but its shape is known.
UNKNOWN_F = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Expectations of every zone of an index.

    Attributes
    ----------
    non_detection_log_prob : ndarray, shape (zones, floors, thresholds)
        -ln of the probability that nothing of the pattern is seen.
    log_prior : ndarray, shape (zones,)
        ln of the probability of each zone within its phase, times the number of equal placements.
    """

    non_detection_log_prob: NDArray[np.float64]
    log_prior: NDArray[np.float64]


def expected_patterns(index: PhaseIndex, band: tuple[float, float]) -> Expected:
    """The expectations of an index within a band of |g| (1/nm)."""
    return Expected(in_band(index.zone_silence, band), _log_prior(index, band))


def _log_prior(index: PhaseIndex, band: tuple[float, float]) -> NDArray[np.float64]:
    """Directions are as probable as they have equivalents, and rich patterns are seen more often.

    Crystals of layered phases are plates, and plates lie flat.
    """
    weight = in_band(index.zone_weight, band)
    rich = weight**2 / (1 + weight**2)
    share = _within_phase(index, index.zone_multiplicity * rich)
    flat = _within_phase(index, index.zone_flat * rich)
    lies_flat = LIES_FLAT * (np.bincount(index.zone_phase, flat)[index.zone_phase] > 1e-6)
    prior = (1 - lies_flat) * share + lies_flat * flat
    return np.log(np.maximum(prior, 1e-30) * index.zone_orientations)


def _within_phase(index: PhaseIndex, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the zones, summing to 1 within each phase that has any, or to the share of those indexed.

    The references of a phase are as probable as one another.
    """
    total = np.bincount(index.zone_lattice, share)
    _, first = np.unique(index.zone_lattice, return_index=True)
    references = np.bincount(index.zone_phase[first], minlength=int(index.zone_phase.max(initial=-1)) + 1)
    weight = index.zone_share / np.maximum(references, 1)[index.zone_phase]
    part: NDArray[np.float64] = weight * share / np.maximum(total, 1e-30)[index.zone_lattice]
    return part


def visible_area(band: tuple[float, float]) -> float:
    """Area over which visible frequencies of a band spread in the half plane, 1/nm^2."""
    low, high = (float(np.exp(-((g / VISIBLE_G) ** 2))) for g in band)
    return 0.5 * np.pi * VISIBLE_G**2 * (low - high)


@lru_cache(maxsize=64)
def silence_of_a_point(band: tuple[float, float]) -> NDArray[np.float64]:
    """-ln of the probability that a lattice of one point in the whole visible area is not seen.

    All points are as visible, and those outside the band do not count; shape (thresholds,).
    """
    low, high = (min((g / VISIBLE_G) ** 2, 5.0) for g in band)
    g = VISIBLE_G * np.sqrt(np.linspace(low, high, 501))
    odds = np.exp(SHARPNESS * (np.log(UNKNOWN_F * damping(g))[:, None] - THRESHOLDS))
    mean: NDArray[np.float64] = np.log1p(odds).mean(axis=0) * (high - low)
    return mean
