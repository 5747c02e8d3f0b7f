"""Search: all placements of all candidate phases under all grains, weighed together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .evidence import Evidence
from .joint_posterior import Joint, ScalePrior, combine
from .observations import Observed
from .pair_index import PhaseIndex
from .params import MatchParams
from .placement import Hypotheses
from .weighing import EvidenceCache, weigh_grains

#: A grain's own scale differs from the image's by this much: strain and local distortion.
GRAIN_SCALE = 0.0015
#: Probability, before looking, that a group of spots is no lattice at all.
ALL_SPURIOUS = 0.02
#: Hypotheses this much worse than the grain's best one are forgotten, in ln.
HOPELESS = 30.0
_IMPOSSIBLE = -1e4


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Hypotheses with their evidence, and the posterior of the image.

    Attributes
    ----------
    observed : Observed
    index : PhaseIndex
    hypotheses : Hypotheses
    evidence : Evidence
    merit : ndarray, shape (hypotheses,)
        ln evidence with the image's scale.
    joint : Joint
    """

    observed: Observed
    index: PhaseIndex
    hypotheses: Hypotheses
    evidence: Evidence
    merit: NDArray[np.float64]
    joint: Joint

    def best(self, row: int, phase: int | None = None) -> int | None:
        """The best hypothesis for a grain (of one phase, if given); None if there is none."""
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
    params: MatchParams,
    cache: EvidenceCache,
    forbidden: Mapping[int, NDArray[np.bool_]] | None = None,
    pool: int = 0,
) -> Found:
    """Weigh all placements, and judge the grains together with the first phases of the index allowed.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    phases : tuple of int
        How many of its phases are candidates, and how many are allowed now: these, or all.
    scale : ScalePrior
    params : MatchParams
    cache : EvidenceCache
    forbidden : mapping of int to ndarray of bool, shape (phases + 2,), optional
        For a grain (row of `observed`): what it cannot be, "not listed" and "all spurious" last.
    pool : int
        How many phases could have been meant, where only those of a library that can fit are in the index.
    """
    candidates, allowed = phases
    found = weigh_grains(observed, index, candidates, scale, cache).of_first(allowed, index)
    hypotheses, evidence = found.hypotheses, found.evidence
    table = _over_scale(hypotheses, evidence, index, (len(observed.valid), allowed), scale)
    null_models = np.stack([found.unlisted, np.zeros(len(observed.valid))], axis=1)
    for row, barred in (forbidden or {}).items():
        table[:, row, barred[:allowed]] = _IMPOSSIBLE
        null_models[row, barred[allowed:]] = _IMPOSSIBLE
    joint = combine(table, null_models, _prior(allowed, params, pool), scale)
    error = np.sqrt(_scale_error(hypotheses) ** 2 + joint.scale_error**2)
    merit = evidence.log_evidence - 0.5 * ((hypotheses.log_scale - joint.mean_scale) / error) ** 2
    return Found(observed, index, hypotheses, evidence, merit, joint)


def _scale_error(hypotheses: Hypotheses) -> NDArray[np.float64]:
    return np.hypot(hypotheses.scale_error, GRAIN_SCALE)


def _prior(phases: int, params: MatchParams, pool: int) -> NDArray[np.float64]:
    """What each phase has before looking: its share of all that could have been meant."""
    listed = 1 - params.not_listed - ALL_SPURIOUS
    return np.append(np.full(phases, listed / max(phases, pool, 1)), [params.not_listed, ALL_SPURIOUS])


def _over_scale(
    hypotheses: Hypotheses,
    evidence: Evidence,
    index: PhaseIndex,
    shape: tuple[int, int],
    scale: ScalePrior,
) -> NDArray[np.float64]:
    """ln evidence of each phase for each grain at each scale, shape (points, grains, phases)."""
    grains, phases = shape
    grid = scale.grid()
    cell = hypotheses.grain * phases + index.zone_phase[hypotheses.zone]
    top = np.full(grains * phases, -np.inf)
    np.maximum.at(top, cell, evidence.log_evidence)
    keep = np.nonzero(evidence.log_evidence > top[cell] - HOPELESS)[0]
    keep = keep[np.argsort(cell[keep], kind="stable")]
    error = _scale_error(hypotheses)[keep]
    exponent = grid[:, None] * (1 / error)
    exponent -= hypotheses.log_scale[keep] / error
    exponent *= exponent
    exponent *= -0.5
    exponent += evidence.log_evidence[keep] - top[cell[keep]] + np.log(hypotheses.scale_error[keep] / error)
    np.maximum(exponent, -600.0, out=exponent)
    total = np.full((len(grid), grains * phases), _IMPOSSIBLE)
    cells, start = np.unique(cell[keep], return_index=True)
    if len(cells):
        summed = np.add.reduceat(np.exp(exponent, out=exponent), start, axis=1)
        total[:, cells] = np.log(summed) + top[cells]
    return total.reshape(len(grid), grains, phases)
