"""How well a placement explains a grain's spots, against "all spurious" and "a lattice not in the table".

Every point of a pattern's lattice is either seen, and then lies within its errors of its place, or not seen;
the odds follow its visibility over a threshold. Other spots are spurious and lie anywhere. What is not known
is averaged over: the threshold, whether the crystal is so thick that double diffraction fills in weak
reflections, whether the errors are smaller than stated, and the rotation. The scale is left as a Gaussian of
known middle and width, for it is shared by the whole image. Likelihoods are relative to "all spurious", whose
evidence is 1.

Intensities are hints only: those of one grain hang together by its thickness and tilt, so that more than a
few spots hardly count as more evidence of that kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .index import PhaseIndex
from .observed import Observed
from .placement import Hypotheses
from .zones import FLOORS, SHARPNESS, THRESHOLDS, VISIBLE_G, fall

#: Area over which visible frequencies spread in the half plane, 1/nm^2: the integral of the fall-off.
VISIBLE_AREA = 0.5 * np.pi * VISIBLE_G**2
#: Expected number of spurious spots in a grain, for each unit of their probability.
SPURIOUS_SPOTS = 7.0
#: The intensities of more spots than this count no more than those of so many.
INTENSITY_SPOTS = 3.0
#: Errors may be this much smaller than stated.
PRECISIONS = np.array([0.4, 1.0])
#: Root of the relative |F| of a lattice of which nothing but its shape is known.
UNKNOWN_F = 0.7
#: Hypotheses of a grain are weighed fully if a quick look leaves them within this of its best, ln.
QUICK_MARGIN = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Log evidence of hypotheses at their best scale.

    Attributes
    ----------
    log_evidence : ndarray, shape (n,)
        Zone's prior and integral over rotation included, prior of the scale not.
    explained, doubled : ndarray of bool, shape (n, spots)
        Spots taken as reflections, and as double diffraction.
    chi2 : ndarray, shape (n, spots)
        Squared distance of each spot from its place over the stated errors.
    """

    log_evidence: NDArray[np.float64]
    explained: NDArray[np.bool_]
    doubled: NDArray[np.bool_]
    chi2: NDArray[np.float64]


def promising(hypotheses: Hypotheses, observed: Observed, index: PhaseIndex) -> NDArray[np.bool_]:
    """Which hypotheses are worth a full weighing: a quick look at positions alone, shape (n,)."""
    grain = hypotheses.grain
    log_density = _log_density(hypotheses, observed)
    odds = np.where(hypotheses.near, np.exp(log_density) / _spurious(observed)[grain], 0.0)
    merit = (np.log1p(0.3 * odds) * observed.weight[grain]).sum(axis=1) - index.zone_silence[
        hypotheses.zone
    ].min(axis=(1, 2))
    best = np.full(len(observed.there), -np.inf)
    np.maximum.at(best, grain, merit)
    result: NDArray[np.bool_] = merit > best[grain] - QUICK_MARGIN
    return result


def weigh(hypotheses: Hypotheses, observed: Observed, index: PhaseIndex) -> Evidence:
    """Evidence of each hypothesis."""
    grain = hypotheses.grain
    allowed, doubled = _reflections(hypotheses)
    explainable = (allowed | doubled)[None]
    root_f: NDArray[np.float64] = explainable * np.maximum(
        np.sqrt(hypotheses.relative_f), np.array(FLOORS)[:, None, None]
    )
    chi2 = _chi2(hypotheses, observed)
    terms = log_odds(root_f, _log_density(hypotheses, observed), chi2, observed, grain)
    quiet = index.zone_silence[hypotheses.zone].transpose(1, 2, 0)
    levels = terms.sum(axis=-1) - quiet[:, :, None] * intensity_weight(observed)[grain]
    prior = log_prior(index)[hypotheses.zone] + hypotheses.log_volume
    member = _at_best(terms, levels) > np.log(2) * observed.weight[grain]
    return Evidence(averaged(levels) + prior, allowed & member, doubled & member, chi2)


def weigh_shape(hypotheses: Hypotheses, observed: Observed, index: PhaseIndex) -> NDArray[np.float64]:
    """ln evidence of each hypothesis as if all points of its lattice were as visible, shape (n,)."""
    allowed, doubled = _reflections(hypotheses)
    basis = index.zone_basis[hypotheses.zone] * np.exp(hypotheses.log_scale)[:, None, None]
    chi2, log_density = _chi2(hypotheses, observed), _log_density(hypotheses, observed)
    shape = flat_evidence(allowed | doubled, log_density, chi2, observed, hypotheses.grain, basis)
    total: NDArray[np.float64] = shape + log_prior(index)[hypotheses.zone] + hypotheses.log_volume
    return total


def _reflections(hypotheses: Hypotheses) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which spots may be reflections, and which double diffraction, shapes (n, spots)."""
    allowed = hypotheses.near & (hypotheses.relative_f > 0)
    return allowed, hypotheses.near & ~allowed & _sums_of_others(hypotheses.position, allowed)


def flat_evidence(
    explainable: NDArray[np.bool_],
    log_density: NDArray[np.float64],
    chi2: NDArray[np.float64],
    observed: Observed,
    grain: NDArray[np.intp],
    basis: NDArray[np.float64],
) -> NDArray[np.float64]:
    """ln evidence of lattices all of whose points are as visible, shape (n,): of shape alone.

    No prior and no integral over rotation is in it; see `log_odds`.

    Parameters
    ----------
    explainable : ndarray of bool, shape (n, spots)
        Whether a spot may be a point of the lattice.
    log_density, chi2, observed, grain
        As in `log_odds`.
    basis : ndarray, shape (n, 2, 2), 1/nm
    """
    root_f = np.where(explainable[None], UNKNOWN_F, 0.0)
    odds = log_odds(root_f, log_density, chi2, observed, grain).sum(axis=-1)
    points = np.maximum(VISIBLE_AREA / np.maximum(np.abs(np.linalg.det(basis)), 1e-6) - 0.5, 1.0)
    quiet = _silence_of_a_point()[None, :, None, None] * points * intensity_weight(observed)[grain]
    return averaged(odds - quiet)


@cache
def _silence_of_a_point() -> NDArray[np.float64]:
    """-ln of the probability that one point of such a lattice is not seen, shape (thresholds,)."""
    g = VISIBLE_G * np.sqrt(np.linspace(0.0, 5.0, 501))
    odds = np.exp(SHARPNESS * (np.log(UNKNOWN_F * fall(g))[:, None] - THRESHOLDS))
    mean: NDArray[np.float64] = np.log1p(odds).mean(axis=0) * 5.0
    return mean


def log_odds(
    root_f: NDArray[np.float64],
    log_density: NDArray[np.float64],
    chi2: NDArray[np.float64],
    observed: Observed,
    grain: NDArray[np.intp],
) -> NDArray[np.float64]:
    """ln of (reflection or spurious) over (spurious), as far as each spot counts.

    The shape is (floors, thresholds, precisions, n, spots).

    Parameters
    ----------
    root_f : ndarray, shape (floors, n, spots)
        Root of the relative |F| at each spot, 0 where the lattice has no point.
    log_density : ndarray, shape (n, spots)
        ln of the probability density (nm^2) of the spot around its place, with the errors as stated.
    chi2 : ndarray, shape (n, spots)
        Squared distance from that place over the errors as stated.
    observed : Observed
    grain : ndarray of int, shape (n,)
    """
    trust = SHARPNESS * intensity_weight(observed)[grain][:, None]
    visible = trust * np.log(np.maximum(root_f * fall(np.exp(observed.log_length))[grain], 1e-12))
    there = (root_f > 0) & observed.there[grain]
    place = _at_precisions(log_density, chi2) - np.log(_spurious(observed)[grain])
    exponent = visible[:, None, None] - trust * THRESHOLDS[:, None, None, None] + place[None, None]
    terms: NDArray[np.float64] = np.where(there[:, None, None], np.logaddexp(0.0, exponent), 0.0)
    return terms * observed.weight[grain]


def intensity_weight(observed: Observed) -> NDArray[np.float64]:
    """How much intensities of each grain count, shape (grains,)."""
    weight: NDArray[np.float64] = np.sqrt(np.minimum(1.0, INTENSITY_SPOTS / np.maximum(observed.count, 1)))
    return weight


def averaged(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of the mean of exp(levels) over all axes but the last."""
    flat = levels.reshape(int(np.prod(levels.shape[:-1])), levels.shape[-1])
    top = flat.max(axis=0, initial=-1e9)
    mean: NDArray[np.float64] = top + np.log(np.exp(flat - top).mean(axis=0))
    return mean


def _at_precisions(log_density: NDArray[np.float64], chi2: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln density with all errors smaller by each factor, shape (precisions, n, spots)."""
    factor = PRECISIONS[:, None, None]
    scaled: NDArray[np.float64] = log_density + 0.5 * chi2 * (1 - factor**-2.0) - 2 * np.log(factor)
    return scaled


def _at_best(terms: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Terms of each spot at the most probable level, shape (n, spots)."""
    count = int(np.prod(levels.shape[:-1]))
    best = levels.reshape(count, levels.shape[-1]).argmax(axis=0)
    chosen: NDArray[np.float64] = terms.reshape(count, *terms.shape[-2:])[best, np.arange(levels.shape[-1])]
    return chosen


def _spurious(observed: Observed) -> NDArray[np.float64]:
    """Expected density of spurious spots where each spot lies, nm^2, shape (grains, spots)."""
    density: NDArray[np.float64] = (
        SPURIOUS_SPOTS * observed.spurious * fall(np.exp(observed.log_length)) / VISIBLE_AREA
    )
    return density


def _chi2(hypotheses: Hypotheses, observed: Observed) -> NDArray[np.float64]:
    by_length = hypotheses.length_residual / observed.length_error[hypotheses.grain]
    by_angle = hypotheses.angle_residual / observed.angle_error[hypotheses.grain]
    total: NDArray[np.float64] = by_length**2 + by_angle**2
    return total


def _log_density(hypotheses: Hypotheses, observed: Observed) -> NDArray[np.float64]:
    """ln of the probability density of each spot around its reflection, nm^2."""
    errors = np.log(observed.length_error * observed.angle_error) + 2 * observed.log_length
    density: NDArray[np.float64] = (
        -0.5 * _chi2(hypotheses, observed) - errors[hypotheses.grain] - np.log(2 * np.pi)
    )
    return density


def log_prior(index: PhaseIndex) -> NDArray[np.float64]:
    """ln of the probability of each zone within its phase, times the number of equal placements.

    Directions are as probable as they have equivalents, and rich patterns are seen more often.
    """
    rich = index.zone_weight**2 / (1 + index.zone_weight**2)
    share = index.zone_multiplicity * rich
    total = np.bincount(index.zone_phase, share, minlength=int(index.zone_phase.max(initial=0)) + 1)
    return np.log(share / total[index.zone_phase] * index.zone_orientations)


def _sums_of_others(position: NDArray[np.int64], allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each spot's lattice point is the sum or difference of two observed allowed reflections."""
    result = np.zeros(allowed.shape, bool)
    rows = np.nonzero((~allowed & position.any(axis=-1)).any(axis=1) & (allowed.sum(axis=1) >= 2))[0]
    if not len(rows):
        return result
    code = position[rows, :, 0] * 256 + position[rows, :, 1]
    both = allowed[rows][:, :, None] & allowed[rows][:, None, :]
    both &= ~np.eye(allowed.shape[1], dtype=bool)
    plus = np.where(both, code[:, :, None] + code[:, None, :], 10**7)
    minus = np.where(both, code[:, :, None] - code[:, None, :], 10**7)
    sums = np.concatenate([plus.reshape(len(rows), -1), minus.reshape(len(rows), -1)], axis=1)
    for spot in range(allowed.shape[1]):
        wanted = code[:, spot, None]
        result[rows, spot] = ((sums == wanted) | (sums == -wanted)).any(axis=1)
    return result
