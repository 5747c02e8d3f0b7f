"""All grains of an image together: one scale and stretch, few phases.

Every grain tells how probable each phase would be at each scale and stretch of the image. These are one for
all of them, and phases that are seen once are more probable to be seen again: the shares of the phases have a
Dirichlet prior with few phases in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Strength of the belief that an image holds few phases: the weight of all of them before looking.
CONCENTRATION = 2.0
_SWEEPS = 4
#: The exponential of less counts as 0; a little lower it would be a subnormal number, which is slow.
NEVER = -690.0
#: Points that are less probable than the best one by this factor count for nothing.
NEGLIGIBLE = 1e-12
#: Numbers that are worked on at once.
AT_ONCE = 60_000


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Posterior of an image.

    Attributes
    ----------
    phase : ndarray, shape (grains, phases + 2)
        Probability of each phase; then of "not in the table" and of "all spurious".
    points : ndarray, shape (points,)
        Posterior of the points of (scale, stretch); sums to 1.
    log_evidence : float
        ln of the probability of all that was seen.
    """

    phase: NDArray[np.float64]
    points: NDArray[np.float64]
    log_evidence: float


def combine(
    log_evidence: NDArray[np.float64],
    null_models: NDArray[np.float64],
    prior: NDArray[np.float64],
    log_weight: NDArray[np.float64],
) -> Joint:
    """Posterior of phases and of the image's geometry.

    Parameters
    ----------
    log_evidence : ndarray, shape (points, grains, phases)
        ln evidence of each phase for each grain at each point of (scale, stretch).
    null_models : ndarray, shape (grains, 2)
        ln evidence of "not in the table" and "all spurious".
    prior : ndarray, shape (phases + 2,)
        Probability before looking; sums to 1.
    log_weight : ndarray, shape (points,)
        ln of each point's share of the prior, up to their number.
    """
    points, grains, phases = log_evidence.shape
    most = np.concatenate([log_evidence.max(axis=0), null_models], axis=1)
    peak = most.max(axis=1)
    # what no grain can be has no share, and none that could be lost
    possible = np.flatnonzero((most - peak[:, None]).max(axis=0, initial=-np.inf) > NEVER)
    listed, null = possible[possible < phases], possible[possible >= phases] - phases
    belief = CONCENTRATION * prior[possible]
    order = np.argsort(_likelihood(most[:, possible] - peak[:, None]) @ prior[possible])
    # few points at once, so that all that is known of them fits into a processor's cache
    width = max(AT_ONCE // max(grains * len(possible), 1), 8)
    log_total = np.zeros(points)
    parts = []
    for start in range(0, points, width):
        few = slice(start, min(start + width, points))
        level = np.empty((grains, len(possible), few.stop - start))
        level[:, : len(listed)] = log_evidence[few, :, listed].transpose(1, 2, 0)
        level[:, len(listed) :] = null_models[:, null, None]
        level -= peak[:, None, None]
        likelihood = _likelihood(level)
        share, log_total[few] = _sequential(likelihood, belief, order)
        parts.append((few, likelihood, share))
    log_posterior = log_total + log_weight
    top = log_posterior.max()
    posterior = np.exp(log_posterior - top)
    total = float(top + np.log(posterior.mean()) + peak.sum())
    counts = posterior > NEGLIGIBLE
    posterior /= posterior.sum()
    phase = np.zeros((grains, len(prior)))
    for few, likelihood, share in parts:
        kept = counts[few]
        found = _mean_field(likelihood[..., kept], belief, share[..., kept])
        phase[:, possible] += found @ posterior[few][kept]
    return Joint(phase, posterior, total)


def _likelihood(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponentials of levels up to 0, in their place; of `NEVER` and less it is 0."""
    never = level <= NEVER
    np.maximum(level, NEVER, out=level)
    np.exp(level, out=level)
    level[never] = 0
    return level


def _sequential(
    likelihood: NDArray[np.float64], before: NDArray[np.float64], order: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grains one after the other, the clearest first: shares, and ln of the total evidence at each point.

    The likelihood and the shares are of the shape (grains, classes, points); `before` is the weight of each
    class before looking.
    """
    share = np.empty_like(likelihood)
    belief = np.tile(before[:, None], (1, likelihood.shape[2]))
    log_total = np.zeros(likelihood.shape[2])
    for done, grain in enumerate(order):
        joint = np.multiply(belief, likelihood[grain], out=share[grain])
        total = joint.sum(axis=0)
        log_total += np.log(np.maximum(total / (CONCENTRATION + done), 1e-300))
        joint /= np.maximum(total, 1e-300)
        belief += joint
    return share, log_total


def _mean_field(
    likelihood: NDArray[np.float64], before: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Every grain again with what all the others say, a few times (collapsed mean field)."""
    grains = len(share)
    if grains == 1:
        return share
    for _ in range(_SWEEPS):
        joint = share.sum(axis=0) + before[:, None] - share
        joint *= likelihood
        joint /= np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
        share = joint
    return share
