"""All grains of an image together: one scale and stretch, few phases.

Every grain tells how probable each phase would be at each scale and stretch of the image. These are one for
all of them, and phases that are seen once are more probable to be seen again: the shares of the phases have a
Dirichlet prior with few phases in it.

The posterior of theta has many narrow peaks, for each phase would have another scale and stretch. So the
points are drawn from a sum of Gaussians that follows it: grains one after the other, the clearest first, each
multiplied with the sum so far, of which the largest members are kept. Points are the same for the same input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .geometry import GeometryPrior, Likelihoods

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


#: Points, members of the sum that are kept, and placements of a grain that take part. With half of them the
#: probabilities of phases of images of five grains scatter by 0.1 to 0.2, with twice as many by half of that.
POINTS, MEMBERS, PLACEMENTS = 400, 96, 60
#: Members nearer than this are one: half of the smallest error of a grain's scale.
SAME = 0.0007
#: Errors are wider by this than the sum's, so that no part of the posterior is missed; by little, for a
#: point's weight then hardly depends on where it lies. Members are drawn by this power of their weights.
WIDER, TEMPERED = 1.15, 0.8


@dataclass(frozen=True, slots=True, eq=False)
class _Sum:
    """Gaussians: ln weights (k,), means (k, 3), precisions (k, 3, 3)."""

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]

    def rows(self, chosen: NDArray[np.intp]) -> _Sum:
        return _Sum(self.weight[chosen], self.mean[chosen], self.precision[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class GeometrySample:
    """Points of theta with what they were drawn from.

    Attributes
    ----------
    points : ndarray, shape (points, 3)
    log_weight : ndarray, shape (points,)
        ln of the prior over the density that the points were drawn from.
    """

    points: NDArray[np.float64]
    log_weight: NDArray[np.float64]


def sample_geometry(
    grains: list[Likelihoods], nothing: NDArray[np.float64], prior: GeometryPrior
) -> GeometrySample:
    """Points where the grains, together, say that theta is.

    Parameters
    ----------
    grains : list of Likelihoods
        Of each grain's placements, the probabilities of their phases included.
    nothing : ndarray, shape (grains,)
        ln evidence of none of them.
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
    """The sum times a grain's: each member with each placement, or with none."""
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
    """Where the largest values are, these first."""
    some = np.argpartition(-values, number)[:number] if number < len(values) else np.arange(len(values))
    return some[np.argsort(-values[some])]


def _merged(total: _Sum) -> _Sum:
    """The largest members, those in one place as one; the largest weights come first."""
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
    """Points of the sum, widened, one in twenty of them of the prior."""
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
    """ln density of each point by each of some Gaussians, shape (Gaussians, points)."""
    apart = theta - means[:, None]
    distance = ((apart @ precisions) * apart).sum(axis=2)
    norm = np.log(np.linalg.det(precisions)) - 3 * np.log(2 * np.pi)
    value: NDArray[np.float64] = 0.5 * (norm[:, None] - distance)
    return value


@lru_cache(maxsize=1)
def _normal_points() -> NDArray[np.float64]:
    """Evenly spread normal deviates, shape (points, 3): of Halton's sequence.

    It is `scipy.stats.qmc.Halton(3, scramble=False)`; importing scipy.stats would take as long as all else
    that an analysis imports.
    """
    even = np.stack([_radical_inverse(np.arange(1, POINTS + 1), base) for base in (2, 3, 5)], axis=1)
    points: NDArray[np.float64] = special.ndtri(np.clip(even, 1e-6, 1 - 1e-6))
    return points


def _radical_inverse(numbers: NDArray[np.intp], base: int) -> NDArray[np.float64]:
    """Numbers with their digits in a base mirrored at the point, in [0, 1)."""
    value, scale = np.zeros(len(numbers)), 1.0
    while numbers.any():
        numbers, digit = np.divmod(numbers, base)
        scale /= base
        value += digit * scale
    return value
