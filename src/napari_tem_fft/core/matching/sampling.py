"""Points of (scale, stretch) at which an image is looked at: where its grains, together, say that theta is.

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
