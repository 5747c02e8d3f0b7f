"""Joint posterior of all grains of an image, which share one scale and stretch, and few phases.

Each grain gives the evidence of each phase as a function of the scale and stretch of the image, which are the
same for all grains. A phase that is seen once is more likely to be seen again: the shares of the phases have
a sparse Dirichlet prior.

The posterior of theta has many narrow peaks, because each phase would need a different scale and stretch. Its
points are therefore drawn from a mixture of Gaussians that approximates it: the grains are multiplied into
the mixture one after the other, the clearest first, and only the components with the largest weights are
kept. The same input gives the same points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .geometry import GeometryPrior, Likelihoods

#: Total weight of the Dirichlet prior: the smaller, the fewer phases an image is expected to contain.
CONCENTRATION = 2.0
_SWEEPS = 4
#: Exponentials of lower values count as 0; slightly lower, they would be subnormal numbers, which are slow.
NEVER = -690.0
#: Points less probable than the best one by this factor are ignored.
NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Joint posterior of an image.

    Attributes
    ----------
    phase : ndarray, shape (grains, phases + 2)
        Probability of each phase, followed by those of "unlisted" and "all spurious".
    points : ndarray, shape (points,)
        Posterior of the points of (scale, stretch); sums to 1.
    log_evidence : float
        ln evidence of all observations.
    """

    phase: NDArray[np.float64]
    points: NDArray[np.float64]
    log_evidence: float


@dataclass(frozen=True, slots=True, eq=False)
class PhaseEvidence:
    """ln evidence of phases for grains at points of (scale, stretch), where it is not negligible.

    Attributes
    ----------
    grain, phase : ndarray of int, shape (n,)
        Different pairs.
    level : ndarray, shape (n, points)
    """

    grain: NDArray[np.intp]
    phase: NDArray[np.intp]
    level: NDArray[np.float64]


def combine(
    evidence: PhaseEvidence,
    null_models: NDArray[np.float64],
    prior: NDArray[np.float64],
    log_weight: NDArray[np.float64],
) -> Joint:
    """Compute the posterior of the phases and of the geometry of the image.

    Parameters
    ----------
    evidence : PhaseEvidence
    null_models : ndarray, shape (grains, 2)
        ln evidence of "unlisted" and "all spurious".
    prior : ndarray, shape (phases + 2,)
        Prior probability; sums to 1.
    log_weight : ndarray, shape (points,)
        ln of each point's share of the prior, times the number of points.
    """
    grains, points, phases = len(null_models), len(log_weight), len(prior) - 2
    most = np.full((grains, phases), -np.inf)
    most[evidence.grain, evidence.phase] = evidence.level.max(axis=1)
    most = np.concatenate([most, null_models], axis=1)
    peak = most.max(axis=1)
    # hypotheses with no evidence at any point are left out
    cells = _Cells.of(most - peak[:, None] > NEVER)
    row = np.empty((grains, phases), np.intp)
    row[evidence.grain, evidence.phase] = np.arange(len(evidence.grain))
    level = np.empty((len(cells.grain), points))
    listed = cells.kind < phases
    level[listed] = evidence.level[row[cells.grain[listed], cells.kind[listed]]]
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
    """The possible (grain, kind) pairs, sorted by grain; a kind is a phase or a null model.

    `grain` and `kind` have the shape (cells,). The pairs of a grain begin at its `start`, shape
    (grains + 1,).
    """

    grain: NDArray[np.intp]
    kind: NDArray[np.intp]
    start: NDArray[np.intp]

    @classmethod
    def of(cls, possible: NDArray[np.bool_]) -> _Cells:
        grain, kind = np.nonzero(possible)
        return cls(grain, kind, np.searchsorted(grain, np.arange(len(possible) + 1)))

    def of_grain(self, grain: int) -> slice:
        """The cells of a grain."""
        return slice(int(self.start[grain]), int(self.start[grain + 1]))


def _sequential(
    likelihood: NDArray[np.float64], cells: _Cells, before: NDArray[np.float64], order: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add grains one after the other, the clearest first: shares, and ln of the total evidence at each point.

    The likelihood and the shares have the shape (cells, points); `before` is the prior weight of each kind.
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
    """Update each grain given all the others, a few times (collapsed mean field)."""
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


#: Number of points, of components kept in the mixture, and of placements used per grain. With half as many,
#: the probabilities of phases in images of five grains scatter by 0.1 to 0.2; with twice as many, half of it.
POINTS, MEMBERS, PLACEMENTS = 400, 96, 60
#: Components closer than this are merged: half of the smallest error of a grain's scale.
SAME = 0.0007
#: Points are drawn from components widened by the first factor, so that no part of the posterior is missed;
#: it is close to 1 to keep the weights of the points similar. The weight of a component is raised to the
#: power of the second value before it is drawn.
WIDER, TEMPERED = 1.15, 0.8


@dataclass(frozen=True, slots=True, eq=False)
class _Sum:
    """Mixture of Gaussians: ln weights (k,), means (k, 3), precisions (k, 3, 3)."""

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]

    def rows(self, chosen: NDArray[np.intp]) -> _Sum:
        return _Sum(self.weight[chosen], self.mean[chosen], self.precision[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class GeometrySample:
    """Points of theta and their importance weights.

    Attributes
    ----------
    points : ndarray, shape (points, 3)
    log_weight : ndarray, shape (points,)
        ln of the ratio of the prior to the density from which the points were drawn.
    """

    points: NDArray[np.float64]
    log_weight: NDArray[np.float64]


def sample_geometry(
    grains: list[Likelihoods], nothing: NDArray[np.float64], prior: GeometryPrior
) -> GeometrySample:
    """Draw points from an approximation of the posterior of theta given all grains.

    Parameters
    ----------
    grains : list of Likelihoods
        One per grain, of its placements; including the probabilities of their phases.
    nothing : ndarray, shape (grains,)
        ln evidence that a grain is none of them.
    prior : GeometryPrior
    """
    mean, precision = prior.mean, prior.precision
    total = _Sum(np.zeros(1), mean[None], precision[None])
    best = [grain.marginal(mean, precision) for grain in grains]
    clear = np.array([values.max(initial=-np.inf) for values in best]) - nothing
    for number in np.argsort(-clear):
        if clear[number] < 0:
            break
        top = np.argsort(-best[number])[:PLACEMENTS]
        total = _multiplied(total, grains[number].rows(top), float(nothing[number]))
    return _draw(total, prior)


def _multiplied(total: _Sum, grain: Likelihoods, nothing: float) -> _Sum:
    """Multiply the mixture by that of a grain: each component with each placement, or with none."""
    weight = total.weight[:, None] + grain.marginal(total.mean[:, None], total.precision[:, None])
    both = np.concatenate([weight.ravel(), total.weight + nothing])
    largest = _largest(both, 8 * MEMBERS)
    joined = largest < weight.size
    member = np.where(joined, largest // max(weight.shape[1], 1), largest - weight.size)
    result = total.rows(member)
    placement = largest[joined] % max(weight.shape[1], 1)
    result.mean[joined], result.precision[joined] = grain.rows(placement).product(
        result.mean[joined], result.precision[joined]
    )
    return _merged(replace(result, weight=both[largest]))


def _largest(values: NDArray[np.float64], number: int) -> NDArray[np.intp]:
    """Indices of the largest values, largest first."""
    some = np.argpartition(-values, number)[:number] if number < len(values) else np.arange(len(values))
    return some[np.argsort(-values[some])]


def _merged(total: _Sum) -> _Sum:
    """Keep the components with the largest weights, merging those at the same place; largest first."""
    cell = np.rint(total.mean / SAME).astype(np.int64)
    cell -= cell.min(axis=0)
    across = cell.max(axis=0) + 1
    place = (cell[:, 0] * across[1] + cell[:, 1]) * across[2] + cell[:, 2]
    _, first, member = np.unique(place, return_index=True, return_inverse=True)
    summed = np.full(len(first), -np.inf)
    np.logaddexp.at(summed, member, total.weight)
    kept = np.argsort(-summed)[:MEMBERS]
    merged = total.rows(first[kept])
    return _Sum(summed[kept], merged.mean, merged.precision)


def _draw(total: _Sum, prior: GeometryPrior) -> GeometrySample:
    """Draw points from the widened mixture; one in twenty is drawn from the prior."""
    share = np.exp(TEMPERED * (total.weight - total.weight.max()))
    share = np.append(0.95 * share / share.sum(), 0.05)
    means = np.concatenate([total.mean, prior.mean[None]])
    precisions = np.concatenate([WIDER**-2 * total.precision, prior.precision[None]])
    covariances = np.linalg.inv(precisions)
    member = np.searchsorted(np.cumsum(share)[:-1], (np.arange(POINTS) + 0.5) / POINTS)
    roots = np.linalg.cholesky(covariances)
    theta = means[member] + np.einsum("nij,nj->ni", roots[member], _normal_points())
    density = _log_normal(theta, means, precisions)
    drawn = special.logsumexp(density + np.log(np.maximum(share, 1e-300))[:, None], axis=0)
    return GeometrySample(theta, density[-1] - drawn)


def _log_normal(
    theta: NDArray[np.float64], means: NDArray[np.float64], precisions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """ln density of each Gaussian at each point, shape (Gaussians, points)."""
    apart = theta - means[:, None]
    distance = ((apart @ precisions) * apart).sum(axis=2)
    norm = np.log(np.linalg.det(precisions)) - 3 * np.log(2 * np.pi)
    value: NDArray[np.float64] = 0.5 * (norm[:, None] - distance)
    return value


@lru_cache(maxsize=1)
def _normal_points() -> NDArray[np.float64]:
    """Quasi-random normal deviates from a Halton sequence, shape (points, 3).

    They equal those of `scipy.stats.qmc.Halton(3, scramble=False)`. Importing scipy.stats would take as long
    as all other imports of an analysis together.
    """
    even = np.stack([_radical_inverse(np.arange(1, POINTS + 1), base) for base in (2, 3, 5)], axis=1)
    points: NDArray[np.float64] = special.ndtri(np.clip(even, 1e-6, 1 - 1e-6))
    return points


def _radical_inverse(numbers: NDArray[np.intp], base: int) -> NDArray[np.float64]:
    """Radical inverse: the digits of numbers in a base, mirrored at the radix point, in [0, 1)."""
    value, scale = np.zeros(len(numbers)), 1.0
    while numbers.any():
        numbers, digit = np.divmod(numbers, base)
        scale /= base
        value += digit * scale
    return value
