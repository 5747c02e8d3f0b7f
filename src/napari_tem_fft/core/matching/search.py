"""Search all placements of all candidate phases for all grains, and compute their joint posterior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .evidence import Evidence, weigh
from .geometry import GRAIN_SCALE, Distortions, GeometryPrior, ImageGeometry, Likelihoods, ScalePrior
from .joint_posterior import GeometrySample, Joint, PhaseEvidence, combine, sample_geometry
from .observations import Observed
from .pair_index import PhaseIndex
from .params import MatchParams
from .placement import Hypotheses, refit
from .weighing import EvidenceCache, weigh_grains

#: Prior probability that a group of spots is not a lattice.
ALL_SPURIOUS = 0.02
#: Hypotheses whose ln evidence is lower than the grain's best by more than this are dropped. The joint
#: evidence of all grains on scale and stretch changes the difference by at most 10.
HOPELESS = 20.0
#: Number of placements per grain that are evaluated at every point of the shared geometry. A grain with more
#: placements of similar evidence cannot be named anyway.
MOST_SHARED = 300
_IMPOSSIBLE = -1e4


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The best hypothesis of each phase for each grain with its evidence, and the joint posterior.

    Attributes
    ----------
    observed : Observed
    index : PhaseIndex
    hypotheses : Hypotheses
        Fitted with the stretches of the image.
    evidence : Evidence
    merit : ndarray, shape (hypotheses,)
        ln evidence given the scale and stretches of the image.
    phase : ndarray, shape (grains, phases + 2)
        See `Joint.phase`.
    geometry : ImageGeometry
    distortions : Distortions
        The components of the prior of the stretches, with their posterior probabilities.
    """

    observed: Observed
    index: PhaseIndex
    hypotheses: Hypotheses
    evidence: Evidence
    merit: NDArray[np.float64]
    phase: NDArray[np.float64]
    geometry: ImageGeometry
    distortions: Distortions

    def best(self, row: int, phase: int | None = None) -> int | None:
        """The best hypothesis for a grain, optionally of one phase; None if there is none."""
        mine = self.hypotheses.grain == row
        if phase is not None:
            mine = mine & (self.index.zone_phase[self.hypotheses.zone] == phase)
        rows = np.nonzero(mine)[0]
        return int(rows[np.argmax(self.merit[rows])]) if len(rows) else None


def search(
    observed: Observed,
    index: PhaseIndex,
    phases: tuple[int, int],
    scale: ScalePrior,
    distortions: Distortions,
    params: MatchParams,
    cache: EvidenceCache,
    forbidden: Mapping[int, NDArray[np.bool_]] | None = None,
    pool: int = 0,
) -> Found:
    """Compute the evidence of all placements, and the joint posterior with the allowed phases of the index.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    phases : tuple of int
        Number of phases of the index that are candidates, and number that are allowed: these, or all.
    scale : ScalePrior
    distortions : Distortions
        Prior of the image's stretches. Its components are searched separately, because a placement that fits
        a sheared image does not fit an undistorted one.
    params : MatchParams
    cache : EvidenceCache
    forbidden : mapping of int to ndarray of bool, shape (phases + 2,), optional
        Excluded hypotheses of grains (rows of `observed`); the last two are "unlisted" and "all spurious".
    pool : int
        Number of phases that could have been candidates, if the index contains only the fitting entries of a
        library.
    """
    priors = [GeometryPrior(scale, distortion) for _, distortion in distortions]
    how = params, cache, forbidden or {}, pool
    parts = [_search(observed, index, phases, prior, *how) for prior in priors]
    level = np.log([weight for weight, _ in distortions]) + [part.joint.log_evidence for part in parts]
    share = np.exp(level - logsumexp(level))
    return _mixed(parts, share, observed, index, [distortion for _, distortion in distortions], cache)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The search with one prior of the stretches: the best placement of each phase for each grain."""

    hypotheses: Hypotheses
    merit: NDArray[np.float64]
    joint: Joint
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def _search(
    observed: Observed,
    index: PhaseIndex,
    phases: tuple[int, int],
    prior: GeometryPrior,
    params: MatchParams,
    cache: EvidenceCache,
    forbidden: Mapping[int, NDArray[np.bool_]],
    pool: int,
) -> _Part:
    candidates, allowed = phases
    observed = replace(observed, distortion=prior.distortion)
    found = weigh_grains(observed, index, candidates, prior.scale, cache).of_first(allowed, index)
    hypotheses, grains = found.hypotheses, len(observed.valid)
    log_evidence = found.evidence.log_evidence + found.brightness
    null_models = np.stack([found.unlisted, np.zeros(grains)], axis=1)
    for row, barred in forbidden.items():
        phase = index.zone_phase[hypotheses.zone]
        mine = hypotheses.grain == row
        # the brightness compares a phase with others, which may be barred
        log_evidence = np.where(mine, found.evidence.log_evidence, log_evidence)
        log_evidence[mine & barred[np.minimum(phase, allowed - 1)]] = _IMPOSSIBLE
        null_models[row, barred[allowed:]] = _IMPOSSIBLE
    placed = _Placed.of(hypotheses, log_evidence, index, (grains, allowed), prior)
    before = _prior(allowed, params, pool)
    sample = placed.sample(null_models, before, prior)
    joint = placed.joint(sample, null_models, before)
    points = sample.points
    if grains == 1:  # nothing is shared, and the integral over the geometry is analytic
        exact = combine(placed.table(placed.marginal[None]), null_models, before, np.zeros(1))
        joint = replace(joint, phase=exact.phase, log_evidence=exact.log_evidence)
    mean: NDArray[np.float64] = joint.points @ points
    apart = points - mean
    covariance: NDArray[np.float64] = (apart * joint.points[:, None]).T @ apart + 1e-10 * np.eye(3)
    merit = placed.likelihoods.marginal(mean, np.linalg.inv(covariance).astype(np.float64))
    best = _best_of_cells(placed.cell, merit)
    return _Part(hypotheses.rows(placed.kept[best]), merit[best], joint, mean, covariance)


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Placements sorted by grain and phase, with their likelihoods of the image's geometry.

    `kept` are the rows of the hypotheses that were not dropped, `cell` encodes their grain and phase,
    `marginal` is their ln evidence with the prior of the geometry.
    """

    kept: NDArray[np.intp]
    cell: NDArray[np.intp]
    likelihoods: Likelihoods
    marginal: NDArray[np.float64]
    shape: tuple[int, int]

    @classmethod
    def of(
        cls,
        hypotheses: Hypotheses,
        log_evidence: NDArray[np.float64],
        index: PhaseIndex,
        shape: tuple[int, int],
        prior: GeometryPrior,
    ) -> _Placed:
        grains, phases = shape
        likelihoods = hypotheses.likelihoods(log_evidence)
        marginal = likelihoods.marginal(prior.mean, prior.precision)
        cell = hypotheses.grain * phases + index.zone_phase[hypotheses.zone]
        top = np.full(grains, 0.5 * _IMPOSSIBLE)
        np.maximum.at(top, hypotheses.grain, marginal)
        kept = np.nonzero(marginal > top[hypotheses.grain] - HOPELESS)[0]
        if grains > 1:
            kept = _first_of_grains(kept, hypotheses.grain, marginal)
        kept = kept[np.argsort(cell[kept], kind="stable")]
        return cls(kept, cell[kept], likelihoods.rows(kept), marginal[kept], shape)

    def table(self, level: NDArray[np.float64]) -> PhaseEvidence:
        """Sum the evidence of placements, shape (points, placements), to that of phases."""
        rows = np.ascontiguousarray(level.T)
        cells, start = np.unique(self.cell, return_index=True)
        if len(cells):
            top = np.maximum.reduceat(rows, start, axis=0)
            rows -= np.repeat(top, np.diff(np.append(start, len(rows))), axis=0)
            np.maximum(rows, -600.0, out=rows)
            rows = np.log(np.add.reduceat(np.exp(rows, out=rows), start, axis=0)) + top
        grain, phase = np.divmod(cells, max(self.shape[1], 1))
        return PhaseEvidence(grain, phase, rows)

    def joint(
        self, sample: GeometrySample, null_models: NDArray[np.float64], before: NDArray[np.float64]
    ) -> Joint:
        """Compute the joint posterior on the points of a sample."""
        table = self.table(self.likelihoods.at(sample.points))
        return combine(table, null_models, before, sample.log_weight)

    def sample(
        self, null_models: NDArray[np.float64], before: NDArray[np.float64], prior: GeometryPrior
    ) -> GeometrySample:
        """Sample the geometry of the image; see `sample_geometry`."""
        grains, phases = self.shape
        log_before = np.log(before)
        offered = replace(
            self.likelihoods, constant=self.likelihoods.constant + log_before[self.cell % max(phases, 1)]
        )
        ends = np.searchsorted(self.cell, np.arange(grains + 1) * phases)
        mine = [offered.rows(np.arange(a, b)) for a, b in pairwise(ends.tolist())]
        nothing = logsumexp(null_models + log_before[phases:], axis=1)
        return sample_geometry(mine, nothing, prior)


def _first_of_grains(
    kept: NDArray[np.intp], grain: NDArray[np.intp], marginal: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Select the best `MOST_SHARED` placements of each grain."""
    order = kept[np.lexsort((-marginal[kept], grain[kept]))]
    first = np.searchsorted(grain[order], grain[order])
    return order[np.arange(len(order)) - first < MOST_SHARED]


def _best_of_cells(cell: NDArray[np.intp], merit: NDArray[np.float64]) -> NDArray[np.intp]:
    """The row with the largest merit in each cell."""
    order = np.lexsort((-merit, cell))
    return order[np.unique(cell[order], return_index=True)[1]]


def _mixed(
    parts: Sequence[_Part],
    share: NDArray[np.float64],
    observed: Observed,
    index: PhaseIndex,
    distortions: Sequence[float],
    cache: EvidenceCache,
) -> Found:
    """Combine the parts, weighted by their shares; of each phase, keep the most probable placement."""
    before = cache.expected(index, observed.band)
    hypotheses, evidence, merit, level = [], [], [], []
    for part, probability in zip(parts, share, strict=True):
        error = float(np.sqrt(0.5 * (part.covariance[1, 1] + part.covariance[2, 2]) + GRAIN_SCALE**2))
        fitted = refit(observed, index, part.hypotheses, (part.mean[1], part.mean[2]), error)
        hypotheses.append(fitted)
        evidence.append(weigh(fitted, observed, index, before))
        merit.append(part.merit)
        phase = index.zone_phase[fitted.zone]
        with np.errstate(divide="ignore"):
            level.append(np.log(probability * part.joint.phase[fitted.grain, phase]))
    joined = Hypotheses.joined(hypotheses)
    cell = joined.grain * (int(index.zone_phase.max(initial=0)) + 1) + index.zone_phase[joined.zone]
    chosen = _best_of_cells(cell, np.concatenate(level))
    mean = np.array([part.mean for part in parts])
    middle = share @ mean
    spread = sum(
        s * (part.covariance + np.outer(part.mean - middle, part.mean - middle))
        for s, part in zip(share, parts, strict=True)
    )
    geometry = ImageGeometry(
        (float(middle[0]), float(middle[1]), float(middle[2])),
        tuple(tuple(map(float, row)) for row in np.asarray(spread)),
    )
    return Found(
        observed,
        index,
        joined.rows(chosen),
        Evidence.joined(evidence).rows(chosen),
        np.concatenate(merit)[chosen],
        np.asarray(sum(s * part.joint.phase for s, part in zip(share, parts, strict=True))),
        geometry,
        tuple(zip(share.tolist(), distortions, strict=True)),
    )


def _prior(phases: int, params: MatchParams, pool: int) -> NDArray[np.float64]:
    """Prior of the phases: equal shares of all phases that could have been candidates."""
    listed = 1 - params.not_listed - ALL_SPURIOUS
    return np.append(np.full(phases, listed / max(phases, pool, 1)), [params.not_listed, ALL_SPURIOUS])
