"""All grains of an image together: one scale, few phases.

Every grain tells how probable each phase would be at each scale of the image. The scale is one for all of
them and has the calibration as its prior, and phases that are seen once are more probable to be seen again:
the shares of the phases have a Dirichlet prior with few phases in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Points of the scale's grid, and its reach in standard deviations.
GRID_POINTS, GRID_REACH = 81, 3.7
#: Strength of the belief that an image holds few phases: the weight of all of them before looking.
CONCENTRATION = 2.0
_SWEEPS = 4
#: The exponential of less counts as 0; a little lower it would be a subnormal number, which is slow.
NEVER = -690.0
#: Scales that are less probable than the best one by this factor count for nothing.
NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class ScalePrior:
    """What is known, before looking, of the factor on the measured d.

    Attributes
    ----------
    middle, error : float
        Mean and standard deviation of its logarithm.
    """

    middle: float
    error: float

    def grid(self) -> NDArray[np.float64]:
        """Values of ln scale at which the image is looked at, shape (points,)."""
        return self.middle + np.linspace(-GRID_REACH, GRID_REACH, GRID_POINTS) * self.error


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Posterior of an image.

    Attributes
    ----------
    phase : ndarray, shape (grains, phases + 2)
        Probability of each phase; then of "not in the table" and of "all spurious".
    scale : ndarray, shape (points,)
        The grid, ln of the factor on the measured d.
    scale_posterior : ndarray, shape (points,)
        Sums to 1.
    """

    phase: NDArray[np.float64]
    scale: NDArray[np.float64]
    scale_posterior: NDArray[np.float64]

    @property
    def mean_scale(self) -> float:
        """Posterior mean of ln scale."""
        return float(self.scale @ self.scale_posterior)

    @property
    def scale_error(self) -> float:
        """Posterior standard deviation of ln scale."""
        return float(np.sqrt((self.scale - self.mean_scale) ** 2 @ self.scale_posterior))


def combine(
    log_evidence: NDArray[np.float64],
    null_models: NDArray[np.float64],
    prior: NDArray[np.float64],
    scale: ScalePrior,
) -> Joint:
    """Posterior of phases and scale.

    Parameters
    ----------
    log_evidence : ndarray, shape (points, grains, phases)
        ln evidence of each phase for each grain at each scale of the grid.
    null_models : ndarray, shape (grains, 2)
        ln evidence of "not in the table" and "all spurious".
    prior : ndarray, shape (phases + 2,)
        Probability before looking; sums to 1.
    scale : ScalePrior
    """
    grid = scale.grid()
    points, grains, phases = log_evidence.shape
    most = np.concatenate([log_evidence.max(axis=0), null_models], axis=1)
    peak = most.max(axis=1)
    # what no grain can be has no share, and none that could be lost
    possible = np.flatnonzero((most - peak[:, None]).max(axis=0, initial=-np.inf) > NEVER)
    listed = possible[possible < phases]
    likelihood = np.empty((grains, points, len(possible)))
    likelihood[:, :, : len(listed)] = log_evidence[:, :, listed].swapaxes(0, 1)
    likelihood[:, :, len(listed) :] = null_models[:, None, possible[len(listed) :] - phases]
    likelihood -= peak[:, None, None]
    np.maximum(likelihood, NEVER, out=likelihood)
    np.exp(likelihood, out=likelihood)
    likelihood[likelihood <= 1.001 * np.exp(NEVER)] = 0
    share, log_total = _sequential(likelihood, prior[possible])
    log_posterior = log_total - 0.5 * ((grid - scale.middle) / scale.error) ** 2
    posterior = np.exp(log_posterior - log_posterior.max())
    counts = posterior > NEGLIGIBLE
    posterior /= posterior.sum()
    share = _mean_field(likelihood[:, counts], prior[possible], share[:, counts])
    phase = np.zeros((grains, len(prior)))
    phase[:, possible] = np.einsum("s,gsp->gp", posterior[counts], share)
    return Joint(phase, grid, posterior)


def _sequential(
    likelihood: NDArray[np.float64], prior: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grains one after the other, the clearest first: shares, and ln of the total evidence at each scale.

    The likelihood and the shares are of the shape (grains, points, classes).
    """
    points = likelihood.shape[1]
    share = np.empty_like(likelihood)
    belief = np.tile(CONCENTRATION * prior, (points, 1))
    log_total = np.zeros(points)
    clear = likelihood.max(axis=1) @ prior
    for done, grain in enumerate(np.argsort(clear)):
        joint = np.multiply(belief, likelihood[grain], out=share[grain])
        total = joint.sum(axis=1, keepdims=True)
        log_total += np.log(np.maximum(total[:, 0] / (CONCENTRATION + done), 1e-300))
        joint /= np.maximum(total, 1e-300)
        belief += joint
    return share, log_total


def _mean_field(
    likelihood: NDArray[np.float64], prior: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Every grain again with what all the others say, a few times (collapsed mean field)."""
    grains = len(share)
    if grains == 1:
        return share
    for _ in range(_SWEEPS):
        joint = share.sum(axis=0) + CONCENTRATION * prior - share
        joint *= likelihood
        joint /= np.maximum(joint.sum(axis=2, keepdims=True), 1e-300)
        share = joint
    return share
