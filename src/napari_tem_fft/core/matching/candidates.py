"""Turn placements, or a single spacing, into the candidates that are reported, with hkl and residuals."""

from __future__ import annotations

from collections.abc import Sequence
from math import degrees

import numpy as np
from numpy.typing import NDArray

from ..crystal.orientation import CrystalOrientation, along_zone
from ..crystal.phase import Phase, Reflection, as_miller
from ..crystal.structure import lines_of
from ..spots.spot import Spot
from .params import MatchParams
from .result import Candidate, GrainMatch, IndexedSpot, Outcome
from .search import Found

#: At most this many candidates are reported, and only those above this probability.
MOST, LEAST_POSTERIOR = 10, 1e-4


def candidates(found: Found, row: int, phases: Sequence[Phase]) -> tuple[Candidate, ...]:
    """The candidates for one grain (a row of the observations), most probable first."""
    posterior = found.phase[row, : len(phases)]
    ranked = np.argsort(-posterior, kind="stable")[:MOST]
    return tuple(
        candidate(found, hypothesis, float(posterior[p]), phases[p])
        for p in ranked.tolist()
        if posterior[p] > LEAST_POSTERIOR and (hypothesis := found.best(row, p)) is not None
    )


def candidate(found: Found, hypothesis: int, posterior: float, phase: Phase) -> Candidate:
    """Describe one hypothesis as a candidate."""
    h, row = found.hypotheses, int(found.hypotheses.grain[hypothesis])
    zone = int(h.zone[hypothesis])
    reference = phase.variants[int(found.index.zone_variant[zone])]
    indexed = _index_spots(found, hypothesis, reference)
    explained = found.evidence.explained[hypothesis] | found.evidence.double_diffraction[hypothesis]
    weight = np.where(found.observed.valid[row], found.observed.weight[row], 0.0)
    return Candidate(
        phase=phase.id,
        posterior=posterior,
        scale=float(np.exp(h.log_scale[hypothesis])),
        zone_axis=as_miller(found.index.zone_uvw[zone]),
        indexed=indexed,
        explained=float(weight[explained].sum() / max(weight.sum(), 1e-9)),
        scale_sigma=float(h.scale_error[hypothesis]),
        misfit=float(found.evidence.chi2[hypothesis, explained].sum() / max(2 * explained.sum() - 3, 1)),
        orientation=_orient(found, hypothesis, reference),
        distortion=(float(h.distortion[hypothesis, 0]), float(h.distortion[hypothesis, 1])),
        reference=reference.id if phase.references else "",
    )


def _orient(found: Found, hypothesis: int, phase: Phase) -> CrystalOrientation:
    """The orientation of the crystal, from the rotation of the placed pattern.

    If the pattern is mirrored, the zone axis is reversed.
    """
    h, zone = found.hypotheses, found.hypotheses.zone[hypothesis]
    first, second = found.index.zone_hkl[zone].tolist()
    u, v, w = found.index.zone_uvw[zone].tolist()
    # positive angles go from the first basis vector of the pattern to the second
    (a, b, c), (d, e, f) = first, second
    away = (b * f - c * e) * u + (c * d - a * f) * v + (a * e - b * d) * w > 0
    sign = 1 if away != bool(h.mirrored[hypothesis]) else -1
    rotation, sigma = -degrees(h.rotation[hypothesis]), degrees(h.rotation_error[hypothesis])
    return along_zone(phase, (sign * u, sign * v, sign * w), (a, b, c), rotation, sigma)


def _index_spots(found: Found, hypothesis: int, phase: Phase) -> tuple[IndexedSpot, ...]:
    h, row = found.hypotheses, int(found.hypotheses.grain[hypothesis])
    double_diffraction = found.evidence.double_diffraction[hypothesis]
    chosen = np.nonzero(found.evidence.explained[hypothesis] | double_diffraction)[0]
    basis = found.index.zone_hkl[h.zone[hypothesis]].astype(np.int64)
    hkl = h.position[hypothesis, chosen] @ basis
    length, angle = _residuals(found, hypothesis)
    d = 1 / np.linalg.norm(hkl @ phase.reciprocal_basis(), axis=1)
    return tuple(
        IndexedSpot(
            spot=int(found.observed.ids[row, i]),
            hkl=as_miller(index),
            d_reference=float(reference),
            d_residual=float(np.expm1(-length[i])),
            angle_residual=float(-np.degrees(angle[i])),
            kind="double diffraction" if double_diffraction[i] else "reflection",
        )
        for i, index, reference in zip(chosen, hkl, d, strict=True)
    )


def _residuals(found: Found, hypothesis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Residuals of ln |g| and azimuth of all spots; the fitted stretch is not removed."""
    h = found.hypotheses
    twice = 2 * found.observed.azimuth[h.grain[hypothesis]]
    e, f = h.distortion[hypothesis]
    length = h.length_residual[hypothesis] + e * np.cos(twice) + f * np.sin(twice)
    return length, h.angle_residual[hypothesis] - e * np.sin(twice) + f * np.cos(twice)


#: Tolerance of d, in standard deviations.
WITHIN = 2.0
#: A grain takes the phase of another grain only if no other phase fits within this many standard deviations.
NO_OTHER_WITHIN = 3.0
#: Reflections weaker than this share of the phase's strongest are not reported.
LEAST_F = 0.02
#: A grain takes the phase of another grain only by reflections of at least this strength.
CARRYING_F = 0.2


def single_d(
    grain: int,
    spots: Sequence[Spot],
    phases: Sequence[Phase],
    scale: tuple[float, float],
    params: MatchParams,
    companions: frozenset[str] = frozenset(),
) -> GrainMatch:
    """List all (phase, hkl) that fit the strongest spot of a grain, nearest first.

    A single d never identifies a phase. It is "likely" only if it is the only candidate that fits and is
    identified in another grain of the image.

    Parameters
    ----------
    grain : int
    spots : sequence of Spot
        Spots of the grain, all in one direction.
    phases : sequence of Phase
    scale : tuple of float
        ln scale of the image and its standard uncertainty.
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
    """The phase of another grain, if it is the only one that fits."""
    names = {phase.id for _, phase, _ in fits}
    strong = {p.id for off, p, r in fits if off < WITHIN and r.relative_f >= CARRYING_F}
    return next(iter(names)) if len(names) == 1 and names <= companions and names <= strong else ""


def _candidate(spot: Spot, phase: Phase, reflection: Reflection) -> Candidate:
    indexed = IndexedSpot(spot.id, reflection.hkl, reflection.d, 0.0)
    return Candidate(phase.id, 0.0, reflection.d / spot.d, None, (indexed,), 1.0, spot.sigma / spot.length)
