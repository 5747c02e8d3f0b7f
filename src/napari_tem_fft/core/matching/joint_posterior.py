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
    # what a grain cannot be has no share of it, and none that could be lost
    cells = _Cells.of(most - peak[:, None] > NEVER)
    level = np.empty((len(cells.grain), points))
    listed = cells.kind < phases
    level[listed] = log_evidence.transpose(1, 2, 0)[cells.grain[listed], cells.kind[listed]]
    level[~listed] = null_models[cells.grain[~listed], cells.kind[~listed] - phases, None]
    level -= peak[cells.grain, None]
    level[level <= NEVER] = -np.inf
    likelihood, belief = np.exp(level, out=level), CONCENTRATION * prior
    clear = np.exp((most - peak[:, None])[cells.grain, cells.kind]) * prior[cells.kind]
    order = np.argsort(np.add.reduceat(clear, cells.start[:-1]))
    share, log_total = _sequential(likelihood, cells, belief, order)
    log_posterior = log_total + log_weight
    top = log_posterior.max()
    posterior = np.exp(log_posterior - top)
    total = float(top + np.log(posterior.mean()) + peak.sum())
    counts = posterior > NEGLIGIBLE
    posterior /= posterior.sum()
    share = _mean_field(likelihood[:, counts], cells, belief, share[:, counts])
    phase = np.zeros((grains, len(prior)))
    phase[cells.grain, cells.kind] = share @ posterior[counts]
    return Joint(phase, posterior, total)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """What each grain can be, one after the other.

    `grain` and `kind` are of the shape (cells,), a kind being a phase or a null model; those of a grain begin
    at its `start`, shape (grains + 1,).
    """

    grain: NDArray[np.intp]
    kind: NDArray[np.intp]
    start: NDArray[np.intp]

    @classmethod
    def of(cls, possible: NDArray[np.bool_]) -> _Cells:
        grain, kind = np.nonzero(possible)
        return cls(grain, kind, np.searchsorted(grain, np.arange(len(possible) + 1)))

    def of_grain(self, grain: int) -> slice:
        """Those of a grain."""
        return slice(int(self.start[grain]), int(self.start[grain + 1]))


def _sequential(
    likelihood: NDArray[np.float64], cells: _Cells, before: NDArray[np.float64], order: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grains one after the other, the clearest first: shares, and ln of the total evidence at each point.

    The likelihood and the shares are of the shape (cells, points); `before` is the weight of each kind before
    looking.
    """
    points = likelihood.shape[1]
    share = np.empty_like(likelihood)
    belief = np.tile(before[:, None], (1, points))
    log_total = np.zeros(points)
    for done, grain in enumerate(order.tolist()):
        mine = cells.of_grain(grain)
        joint = np.multiply(belief[cells.kind[mine]], likelihood[mine], out=share[mine])
        total = joint.sum(axis=0)
        log_total += np.log(np.maximum(total / (CONCENTRATION + done), 1e-300))
        joint /= np.maximum(total, 1e-300)
        belief[cells.kind[mine]] += joint
    return share, log_total


def _mean_field(
    likelihood: NDArray[np.float64],
    cells: _Cells,
    before: NDArray[np.float64],
    share: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Every grain again with what all the others say, a few times (collapsed mean field)."""
    grains = len(cells.start) - 1
    if grains == 1:
        return share
    for _ in range(_SWEEPS):
        belief = np.tile(before[:, None], (1, share.shape[1]))
        for grain in range(grains):
            mine = cells.of_grain(grain)
            belief[cells.kind[mine]] += share[mine]
        joint = belief[cells.kind] - share
        joint *= likelihood
        total = np.maximum(np.add.reduceat(joint, cells.start[:-1], axis=0), 1e-300)
        joint /= total[cells.grain]
        share = joint
    return share
