"""Match the rings of polycrystalline material: peaks of a profile against the d-spacings of phases.

Distances alone are weaker evidence than distances and angles, so fewer phases are named by the same rules.
All lines of a phase share a scale within the uncertainty of the calibration. Each phase competes with an
unlisted one, whose lines lie anywhere or are those of a common kind of lattice of any size. Rings that the
best phase does not explain are matched to another phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..crystal.phase import Miller, Phase
from ..crystal.structure import lines_of
from ..profile.radial_profile import ProfilePeak
from .geometry import ScalePrior
from .null_models import COMMON, SIZE_RANGE, common_phases
from .observations import ANY_G
from .params import MatchParams
from .result import Outcome
from .zone_patterns import THRESHOLDS, damping

#: Number of rings that a phase must explain to be identified or likely, and to be named at all.
NAMED_RINGS, LEAST_RINGS = 5, 3
#: A profile does not resolve more rings of a powder than this. Sharp edges of holes and bars cause more: a
#: black square of 12 nm in a film gives 78.
MOST_RINGS = 25
#: Weight of the hypothesis that all rings are spurious, caused by edges or the contrast transfer.
ALL_SPURIOUS = 0.05
#: Expected number of spurious rings, and the range of ln g over which they lie.
SPURIOUS_RINGS, RANGE = 0.7, 1.8
#: Largest number of phases per profile; larger ambiguous sets than the second value are reported as unknown.
MOST_PHASES, LARGEST_SET = 3, 4
#: Tolerance for matching a ring to a line, in standard deviations.
WITHIN = 2.5


@dataclass(frozen=True, slots=True)
class IndexedRing:
    """A peak explained by a line: number of the peak, hkl, reference d (nm), relative residual."""

    peak: int
    hkl: Miller
    d_reference: float
    d_residual: float


@dataclass(frozen=True, slots=True)
class RingCandidate:
    """A phase that the rings could be from; `scale` is the factor on the measured d that fits best."""

    phase: str
    posterior: float
    scale: float
    indexed: tuple[IndexedRing, ...]
    explained: float


@dataclass(frozen=True, slots=True)
class RingMatch:
    """Match of some of the rings to phases.

    Attributes
    ----------
    outcome : Outcome
    phases : tuple of str
        Ids of the named phase, or of the ambiguous set.
    candidates : tuple of RingCandidate
        Best first.
    peaks : tuple of int
        Numbers of the matched peaks.
    unlisted : float
        Probability that the phase is none of the candidates.
    reason : str
    """

    outcome: Outcome
    phases: tuple[str, ...]
    candidates: tuple[RingCandidate, ...]
    peaks: tuple[int, ...]
    unlisted: float
    reason: str


def match_rings(
    peaks: Sequence[ProfilePeak],
    phases: Sequence[Phase],
    scale: ScalePrior,
    params: MatchParams | None = None,
    band: tuple[float, float] = ANY_G,
) -> tuple[RingMatch, ...]:
    """Match the rings of one profile to phases, strongest evidence first.

    Parameters
    ----------
    peaks : sequence of ProfilePeak
        Peaks of one curve.
    phases : sequence of Phase
        The candidates, including those that are only a list of d-spacings.
    scale : ScalePrior
        Prior of the scale of the image.
    params : MatchParams, optional
    band : tuple of float, 1/nm, optional
        Smallest and largest |g| at which the image could show a ring.

    Returns
    -------
    tuple of RingMatch
        One per phase found; if rings are left over, the last one describes these.
    """
    params = params or MatchParams()
    prior = scale
    left = list(range(len(peaks)))
    matches: list[RingMatch] = []
    while left and len(matches) < MOST_PHASES:
        match = _match([peaks[number] for number in left], left, phases, prior, params, band)
        matches.append(match)
        if match.outcome not in (Outcome.IDENTIFIED, Outcome.LIKELY):
            break
        best = match.candidates[0]
        explained = {ring.peak for ring in best.indexed}
        matches[-1] = replace(match, peaks=tuple(sorted(explained)))
        left = [number for number in left if number not in explained]
        prior = ScalePrior(float(np.log(best.scale)), max(params.d_error / 100, 1e-4))
    return tuple(matches)


@dataclass(frozen=True, slots=True, eq=False)
class _Rings:
    log_g: NDArray[np.float64]
    error: NDArray[np.float64]
    band: tuple[float, float] = ANY_G


def _match(
    peaks: Sequence[ProfilePeak],
    chosen: Sequence[int],
    phases: Sequence[Phase],
    prior: ScalePrior,
    params: MatchParams,
    band: tuple[float, float],
) -> RingMatch:
    if len(peaks) > MOST_RINGS:
        reason = (
            f"{len(peaks)} rings are more than a powder shows: the image has edges or lines that make rings"
        )
        return RingMatch(Outcome.UNKNOWN, (), (), tuple(chosen), 1.0, reason)
    error = np.hypot([peak.sigma / peak.g for peak in peaks], params.d_error / 100)
    rings = _Rings(np.log([peak.g for peak in peaks]), error, band)
    if len(peaks) < 2:
        return _single_ring(rings, chosen, phases, prior)
    grid, belief = prior.grid(), np.exp(-0.5 * ((prior.grid() - prior.middle) / prior.error) ** 2)
    belief /= belief.sum()
    levels = np.array([_over_scale(rings, phase, grid) for phase in phases]).reshape(len(phases), len(grid))
    weights = np.exp(levels) * belief * (1 - params.not_listed) / max(len(phases), 1)
    rival = params.not_listed * ((1 - COMMON) + COMMON * _common_kinds(rings))
    rival += ALL_SPURIOUS * np.exp(
        len(peaks) * np.log(len(peaks) / SPURIOUS_RINGS) - len(peaks) + SPURIOUS_RINGS
    )
    posterior = weights.sum(axis=1) / (weights.sum() + rival)
    order = np.argsort(-posterior, kind="stable")[:10].tolist()
    candidates = tuple(
        _candidate(rings, chosen, phases[p], float(posterior[p]), float(grid[weights[p].argmax()]))
        for p in order
        if posterior[p] > 1e-3
    )
    unlisted = float(1 - posterior.sum())
    return RingMatch(
        *_verdict(candidates, unlisted, params), candidates, tuple(chosen), unlisted, _reason(candidates)
    )


def _over_scale(rings: _Rings, phase: Phase, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln evidence of a phase for the rings at each scale, shape (points,), against "all spurious"."""
    log_g, root_f = _lines(phase)
    if not len(log_g):
        return np.full(len(grid), -100.0)
    g = np.exp(log_g + grid[:, None])
    inside = (g > rings.band[0]) & (g < rings.band[1])
    visible = np.where(inside, root_f * damping(g), 1e-9)[:, None]
    apart = (rings.log_g - grid[:, None])[:, :, None] - log_g
    error = rings.error[:, None]
    density = np.exp(-0.5 * (apart / error) ** 2) / (np.sqrt(2 * np.pi) * error)
    odds = visible * density / (SPURIOUS_RINGS / RANGE)
    levels = np.exp(-THRESHOLDS)[:, None, None]
    terms = np.log1p(levels * odds.sum(axis=2)).sum(axis=2)
    quiet = np.log1p(levels * visible[:, 0]).sum(axis=2)
    total = terms - quiet
    top = total.max(axis=0)
    evidence: NDArray[np.float64] = top + np.log(np.exp(total - top).mean(axis=0))
    return evidence


def _lines(phase: Phase) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ln g of the lines of a phase and the roots of their |F|; coinciding lines are merged."""
    d, relative_f = lines_of(phase.reflections)
    root_f = np.sqrt(np.where(np.isnan(relative_f), 0.5, relative_f))
    keep = (d > 0.1) & (root_f > 0.2)
    log_g, root_f = -np.log(d[keep]), root_f[keep]
    if not len(log_g):
        return log_g, root_f
    group = np.cumsum(np.r_[0, np.diff(log_g) > 0.004])
    power = np.bincount(group, root_f**2)
    middle: NDArray[np.float64] = np.bincount(group, log_g * root_f**2) / power
    return middle, np.sqrt(power)


def _common_kinds(rings: _Rings) -> float:
    """Evidence of a common kind of lattice of any size, relative to "all spurious"."""
    kinds = common_phases()
    grid = np.linspace(-SIZE_RANGE / 2, SIZE_RANGE / 2, 601)
    return float(np.mean([np.exp(_over_scale(rings, kind, grid)).mean() for kind in kinds]))


def _candidate(
    rings: _Rings, chosen: Sequence[int], phase: Phase, posterior: float, log_scale: float
) -> RingCandidate:
    d, relative_f = lines_of(phase.reflections)
    log_g = -np.log(d)
    indexed = []
    for number, value, error in zip(chosen, rings.log_g, rings.error, strict=True):
        off = np.abs(value - log_scale - log_g) / error + 2.0 * (relative_f < 0.04)
        nearest = int(off.argmin())
        if off[nearest] < WITHIN:
            residual = float(np.expm1(log_g[nearest] - value + log_scale))
            line = phase.reflections[nearest]
            indexed.append(IndexedRing(number, line.hkl, line.d, residual))
    return RingCandidate(
        phase.id, posterior, float(np.exp(log_scale)), tuple(indexed), len(indexed) / len(chosen)
    )


def _verdict(
    candidates: Sequence[RingCandidate], unlisted: float, params: MatchParams
) -> tuple[Outcome, tuple[str, ...]]:
    if not candidates or unlisted > 0.5 or len(candidates[0].indexed) < LEAST_RINGS:
        return Outcome.UNKNOWN, ()
    best = candidates[0]
    if best.posterior >= params.identify_at and len(best.indexed) >= NAMED_RINGS:
        sure = best.explained >= 0.75
        return (Outcome.IDENTIFIED if sure else Outcome.LIKELY), (best.phase,)
    total, members = 0.0, []
    for candidate in candidates:
        members.append(candidate.phase)
        total += candidate.posterior
        if total >= 0.95 * (1 - unlisted):
            break
    return (
        (Outcome.AMBIGUOUS, tuple(sorted(members))) if len(members) <= LARGEST_SET else (Outcome.UNKNOWN, ())
    )


def _reason(candidates: Sequence[RingCandidate]) -> str:
    if not candidates:
        return "no candidate has these d-spacings"
    best = candidates[0]
    fit = "1 ring fits" if len(best.indexed) == 1 else f"{len(best.indexed)} rings fit"
    return f"{fit} {best.phase}, which needs {100 * (best.scale - 1):+.1f} % calibration"


def _single_ring(
    rings: _Rings, chosen: Sequence[int], phases: Sequence[Phase], prior: ScalePrior
) -> RingMatch:
    """The match of a single ring: all phases with a line there, but no name."""
    error = float(np.hypot(rings.error[0], prior.error))
    wide = _Rings(rings.log_g, np.array([error]))
    fits = [_candidate(wide, chosen, phase, 0.0, prior.middle) for phase in phases]
    fits = sorted((fit for fit in fits if fit.indexed), key=lambda fit: abs(fit.indexed[0].d_residual))
    d = float(np.exp(-rings.log_g[0]))
    if not fits:
        return RingMatch(Outcome.UNKNOWN, (), (), tuple(chosen), 0.0, f"no candidate has a d of {d:.4f} nm")
    count = f"{len(fits)} phases" if len(fits) > 1 else "one phase"
    reason = f"one ring, d {d:.4f} nm: fits {count}, but one d never names a phase"
    return RingMatch(Outcome.SINGLE_D, (), tuple(fits), tuple(chosen), 0.0, reason)
