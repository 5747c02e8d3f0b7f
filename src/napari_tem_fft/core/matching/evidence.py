"""How well a placement explains a grain's spots, against "all spurious" and "a lattice not in the table".

A spot either belongs to the lattice, and then lies within its errors of one of the pattern's reflections
(chosen with a probability that follows the root of \\|F\\|), or it is spurious and lies anywhere. Likelihoods
are given relative to "anywhere", so that the evidence of "all spurious" is 1. Rotation is integrated out; the
scale is left as a Gaussian of known middle and width, for it is shared by the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .hypotheses import Hypotheses
from .index import PhaseIndex
from .observed import Observed
from .zones import VISIBLE_G

#: Area over which visible frequencies spread in the half plane, 1/nm^2: the integral of exp(-(g / VISIBLE_G)^2).
VISIBLE_AREA = 0.5 * np.pi * VISIBLE_G**2
#: Share of a grain's spots that appear at forbidden positions by double diffraction.
DOUBLE = 0.04


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Log evidence of hypotheses at their best scale.

    Attributes
    ----------
    log_evidence : ndarray, shape (n,)
        Zone's prior and integral over rotation included, prior of the scale not.
    explained, doubled : ndarray of bool, shape (n, spots)
        Spots taken as reflections, and as double diffraction.
    """

    log_evidence: NDArray[np.float64]
    explained: NDArray[np.bool_]
    doubled: NDArray[np.bool_]


def weigh(hypotheses: Hypotheses, observed: Observed, index: PhaseIndex) -> Evidence:
    """Evidence of each hypothesis."""
    grain = hypotheses.grain
    allowed = hypotheses.near & (hypotheses.relative_f > 0)
    doubled = hypotheses.near & ~allowed
    doubled &= _sums_of_others(hypotheses.position, allowed)
    share = np.sqrt(hypotheses.relative_f) / index.zone_weight[hypotheses.zone][:, None]
    weight = np.where(allowed, (1 - DOUBLE) * share, np.where(doubled, DOUBLE * 0.2, 0.0))
    ratio = weight * VISIBLE_AREA * _density(hypotheses, observed)
    spurious = observed.spurious[grain]
    terms = np.where(observed.there[grain], np.log((1 - spurious) * ratio + spurious), 0.0)
    member = (1 - spurious) * ratio > spurious
    log_evidence = terms.sum(axis=1) + _log_prior(index)[hypotheses.zone]
    log_evidence += np.log(np.sqrt(2 * np.pi) * hypotheses.turn_error / (2 * np.pi))
    return Evidence(log_evidence, allowed & member, doubled & member)


def _density(hypotheses: Hypotheses, observed: Observed) -> NDArray[np.float64]:
    """Probability density of each spot around its reflection, nm^2."""
    length_error = observed.length_error[hypotheses.grain]
    angle_error = observed.angle_error[hypotheses.grain]
    chi2 = (hypotheses.length_residual / length_error) ** 2 + (hypotheses.angle_residual / angle_error) ** 2
    g2 = np.exp(2 * observed.log_length[hypotheses.grain])
    density: NDArray[np.float64] = np.exp(-0.5 * chi2) / (2 * np.pi * g2 * length_error * angle_error)
    return density


def _log_prior(index: PhaseIndex) -> NDArray[np.float64]:
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
