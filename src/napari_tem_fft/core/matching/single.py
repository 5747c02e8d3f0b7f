"""Grains that show one direction only: every (phase, hkl) that fits, and never a name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..phases import Phase, Reflection
from ..spots import Spot
from .params import MatchParams
from .result import Candidate, GrainMatch, IndexedSpot, Outcome

#: A d fits within so many standard deviations, the calibration's included.
WITHIN = 2.0
#: Reflections weaker than this share of the phase's strongest are not offered.
LEAST_F = 0.02


def single_d(
    grain: int,
    spots: Sequence[Spot],
    phases: Sequence[Phase],
    uncertainty: float,
    params: MatchParams,
) -> GrainMatch:
    """Every (phase, hkl) within tolerance of a grain's strongest spot, nearest first.

    Parameters
    ----------
    grain : int
    spots : sequence of Spot
        The grain's, all in one direction.
    phases : sequence of Phase
    uncertainty : float
        Relative standard uncertainty of the calibration.
    params : MatchParams
    """
    ids = tuple(spot.id for spot in spots)
    if not spots:
        return GrainMatch(grain, Outcome.UNKNOWN, reason="the grain has no spot left")
    spot = max(spots, key=lambda s: s.snr)
    error = float(np.sqrt((spot.sigma / spot.length) ** 2 + (params.d_error / 100) ** 2 + uncertainty**2))
    fits = [
        (abs(np.log(reflection.d / spot.d)) / error, phase, reflection)
        for phase in phases
        for reflection in phase.reflections
        if abs(reflection.d / spot.d - 1) < WITHIN * error and not reflection.relative_f < LEAST_F
    ]
    fits.sort(key=lambda fit: (round(fit[0], 3), fit[1].id))
    candidates = tuple(_candidate(spot, phase, reflection) for _, phase, reflection in fits)
    if not candidates:
        return GrainMatch(grain, Outcome.UNKNOWN, reason=f"no candidate has a d of {spot.d:.4f} nm", spots=ids)
    names = len({candidate.phase for candidate in candidates})
    reason = f"one direction only, d {spot.d:.4f} nm: fits {names} phases, and one d never names a phase"
    return GrainMatch(grain, Outcome.SINGLE_D, (), candidates, reason, ids)


def _candidate(spot: Spot, phase: Phase, reflection: Reflection) -> Candidate:
    indexed = IndexedSpot(spot.id, reflection.hkl, reflection.d, 0.0)
    return Candidate(phase.id, 0.0, reflection.d / spot.d, None, (indexed,), 1.0)
