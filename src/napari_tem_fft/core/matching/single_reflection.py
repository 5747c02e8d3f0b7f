"""Grains that show one direction only: every (phase, hkl) that fits, and hardly ever a name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..crystal.phase import Phase, Reflection
from ..crystal.structure import lines_of
from ..spots.spot import Spot
from .params import MatchParams
from .result import Candidate, GrainMatch, IndexedSpot, Outcome

#: A d fits within this many standard deviations.
WITHIN = 2.0
#: ... and no other phase may fit within this many, if a grain is to be called by another grain's phase.
NO_OTHER_WITHIN = 3.0
#: Reflections weaker than this share of the phase's strongest are not offered.
LEAST_F = 0.02
#: Only reflections at least this strong carry a name over from another grain.
CARRYING_F = 0.2


def single_d(
    grain: int,
    spots: Sequence[Spot],
    phases: Sequence[Phase],
    scale: tuple[float, float],
    params: MatchParams,
    companions: frozenset[str] = frozenset(),
) -> GrainMatch:
    """Every (phase, hkl) within tolerance of a grain's strongest spot, nearest first.

    One d never names a phase by itself. Only if a single candidate fits at all, and that one is identified in
    another grain of the image, it is called likely.

    Parameters
    ----------
    grain : int
    spots : sequence of Spot
        The grain's, all in one direction.
    phases : sequence of Phase
    scale : tuple of float
        ln of the image's scale and its standard uncertainty.
    params : MatchParams
    companions : frozenset of str
        Phases identified in other grains of the image.
    """
    ids = tuple(spot.id for spot in spots)
    if not spots:
        return GrainMatch(grain, Outcome.UNKNOWN, reason="the grain has no spot left")
    spot = max(spots, key=lambda s: s.snr)
    error = float(np.sqrt((spot.sigma / spot.length) ** 2 + (params.d_error / 100) ** 2 + scale[1] ** 2))
    fits = _fits(spot.d * np.exp(scale[0]), phases, error)
    within = [fit for fit in fits if fit[0] < WITHIN]
    candidates = tuple(_candidate(spot, phase, reflection) for _, phase, reflection in within)
    if not candidates:
        return GrainMatch(grain, Outcome.UNKNOWN, (), (), f"no candidate has a d of {spot.d:.4f} nm", ids)
    carried = _carried_name(fits, companions)
    if carried:
        reason = (
            f"one direction only; {carried} is identified in another grain and alone fits d {spot.d:.4f} nm"
        )
        return GrainMatch(grain, Outcome.LIKELY, (carried,), candidates, reason, ids)
    names = len({candidate.phase for candidate in candidates})
    count = f"{names} phases" if names > 1 else "one phase"
    reason = f"one direction only, d {spot.d:.4f} nm: fits {count}, but one d never names a phase"
    return GrainMatch(grain, Outcome.SINGLE_D, (), candidates, reason, ids)


_Fit = tuple[float, Phase, Reflection]


def _fits(d: float, phases: Sequence[Phase], error: float) -> list[_Fit]:
    """Reflections within `NO_OTHER_WITHIN` standard deviations, nearest first."""
    fits = []
    for phase in phases:
        spacing, relative_f = lines_of(phase.reflections)
        off = np.abs(np.log(spacing / d)) / error
        for i in np.nonzero((off < NO_OTHER_WITHIN) & ~(relative_f < LEAST_F))[0].tolist():
            fits.append((float(off[i]), phase, phase.reflections[i]))
    return sorted(fits, key=lambda fit: (round(fit[0], 3), fit[1].id))


def _carried_name(fits: Sequence[_Fit], companions: frozenset[str]) -> str:
    """The phase that another grain shows, if it fits and nothing else does."""
    names = {phase.id for _, phase, _ in fits}
    strong = {p.id for off, p, r in fits if off < WITHIN and r.relative_f >= CARRYING_F}
    return next(iter(names)) if len(names) == 1 and names <= companions and names <= strong else ""


def _candidate(spot: Spot, phase: Phase, reflection: Reflection) -> Candidate:
    indexed = IndexedSpot(spot.id, reflection.hkl, reflection.d, 0.0)
    return Candidate(phase.id, 0.0, reflection.d / spot.d, None, (indexed,), 1.0, spot.sigma / spot.length)
