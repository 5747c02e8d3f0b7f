"""match_grains: the phases of an image's grains, matched together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..grains import Grain
from ..phases import Miller, Phase
from ..spots import Spot
from .evidence import Evidence, weigh
from .hypotheses import COLLINEAR, Hypotheses, propose
from .index import PhaseIndex, index_of
from .joint import Joint, combine, scale_grid
from .observed import Observed, observe
from .params import MatchParams
from .result import Candidate, GrainMatch, IndexedSpot
from .rivals import unlisted
from .single import single_d
from .verdict import judge

#: A grain's own scale differs from the image's by this much: strain and local distortion.
GRAIN_SCALE = 0.0015
#: Probability, before looking, that a group of spots is no lattice at all.
ALL_SPURIOUS = 0.02
#: Hypotheses this much worse than the grain's best one are forgotten, in ln.
HOPELESS = 30.0
#: Candidates that are reported: at most so many, and more probable than this.
MOST_CANDIDATES, LEAST_POSTERIOR = 10, 1e-4


def match_grains(
    grains: Sequence[Grain],
    spots: Sequence[Spot],
    phases: Sequence[Phase],
    calibration_uncertainty: float,
    params: MatchParams | None = None,
) -> tuple[GrainMatch, ...]:
    """What each grain's phase is, judged by d and angles of all its spots and by the image's one scale.

    Parameters
    ----------
    grains : sequence of Grain
    spots : sequence of Spot
        Only the enabled ones of a grain count.
    phases : sequence of Phase
        The candidates.
    calibration_uncertainty : float
        Relative standard uncertainty of the image's scale (0.02 is 2 %).
    params : MatchParams, optional

    Returns
    -------
    tuple of GrainMatch
        In the order of the grains. A grain in which two lattices overlap has two entries.
    """
    params = params or MatchParams()
    observed = observe(grains, spots, params)
    plane = _has_two_directions(observed)
    found = _search(observed, index_of(phases), calibration_uncertainty, params, len(phases))
    matches = []
    for row, grain in enumerate(grains):
        if plane[row]:
            matches.append(_judged(row, grain.id, found, observed, phases, calibration_uncertainty, params))
        else:
            matches.append(single_d(grain.id, _spots_of(grain, spots), phases, calibration_uncertainty, params))
    return tuple(matches)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    index: PhaseIndex
    hypotheses: Hypotheses
    evidence: Evidence
    joint: Joint
    merit: NDArray[np.float64]


def _search(
    observed: Observed, index: PhaseIndex, uncertainty: float, params: MatchParams, phases: int
) -> _Found:
    hypotheses = propose(observed, index, uncertainty)
    evidence = weigh(hypotheses, observed, index)
    merit = evidence.log_evidence - 0.5 * (hypotheses.log_scale / _scale_error(hypotheses, uncertainty)) ** 2
    best = np.full(len(observed.there), -np.inf)
    np.maximum.at(best, hypotheses.grain, merit)
    keep = merit > best[hypotheses.grain] - HOPELESS
    hypotheses, merit = hypotheses.rows(keep), merit[keep]
    evidence = Evidence(evidence.log_evidence[keep], evidence.explained[keep], evidence.doubled[keep])
    table = _over_scale(hypotheses, evidence, index, (len(observed.there), phases), uncertainty)
    rivals = np.stack([unlisted(observed), np.zeros(len(observed.there))], axis=1)
    joint = combine(table, rivals, _prior(phases, params), uncertainty)
    return _Found(index, hypotheses, evidence, joint, merit)


def _scale_error(hypotheses: Hypotheses, uncertainty: float) -> NDArray[np.float64]:
    return np.sqrt(hypotheses.scale_error**2 + GRAIN_SCALE**2 + uncertainty**2)


def _prior(phases: int, params: MatchParams) -> NDArray[np.float64]:
    listed = 1 - params.not_listed - ALL_SPURIOUS
    return np.append(np.full(phases, listed / max(phases, 1)), [params.not_listed, ALL_SPURIOUS])


def _over_scale(
    hypotheses: Hypotheses,
    evidence: Evidence,
    index: PhaseIndex,
    shape: tuple[int, int],
    uncertainty: float,
) -> NDArray[np.float64]:
    """ln evidence of each phase for each grain at each scale, shape (points, grains, phases)."""
    grains, phases = shape
    scale = scale_grid(uncertainty)
    cell = hypotheses.grain * phases + index.zone_phase[hypotheses.zone]
    top = np.full(grains * phases, -np.inf)
    np.maximum.at(top, cell, evidence.log_evidence)
    error = np.hypot(hypotheses.scale_error, GRAIN_SCALE)
    shrink = np.log(hypotheses.scale_error / error)
    exponent = -0.5 * ((scale[:, None] - hypotheses.log_scale) / error) ** 2
    exponent += evidence.log_evidence - top[cell] + shrink
    order = np.argsort(cell, kind="stable")
    total = np.full((len(scale), grains * phases), -1e4)
    cells, start = np.unique(cell[order], return_index=True)
    if len(cells):
        summed = np.add.reduceat(np.exp(np.maximum(exponent[:, order], -600.0)), start, axis=1)
        total[:, cells] = np.log(summed) + top[cells]
    return total.reshape(len(scale), grains, phases)


def _has_two_directions(observed: Observed) -> NDArray[np.bool_]:
    azimuth = np.where(observed.there, observed.azimuth, np.nan)
    turned = np.abs(np.sin(azimuth[:, :, None] - azimuth[:, None, :]))
    result: NDArray[np.bool_] = (turned > np.sin(COLLINEAR)).any(axis=(1, 2))
    return result


def _spots_of(grain: Grain, spots: Sequence[Spot]) -> list[Spot]:
    return [spot for spot in spots if spot.enabled and spot.id in grain.spots]


def _judged(
    row: int,
    grain: int,
    found: _Found,
    observed: Observed,
    phases: Sequence[Phase],
    uncertainty: float,
    params: MatchParams,
) -> GrainMatch:
    posterior = found.joint.phase[row]
    ranked = [int(p) for p in np.argsort(-posterior[: len(phases)], kind="stable")[:MOST_CANDIDATES]]
    candidates = [
        _candidate(hypothesis, float(posterior[p]), phases[p], found, observed)
        for p in ranked
        if posterior[p] > LEAST_POSTERIOR and (hypothesis := _best_of(found, row, p)) is not None
    ]
    ids = tuple(int(i) for i in observed.ids[row][observed.there[row]])
    return judge(grain, ids, candidates, float(posterior[len(phases) :].sum()), uncertainty, params)


def _best_of(found: _Found, row: int, phase: int) -> int | None:
    """The best hypothesis of a phase for a grain, at the image's scale."""
    mine = np.nonzero(
        (found.hypotheses.grain == row) & (found.index.zone_phase[found.hypotheses.zone] == phase)
    )[0]
    return int(mine[np.argmax(found.merit[mine])]) if len(mine) else None


def _candidate(
    hypothesis: int, posterior: float, phase: Phase, found: _Found, observed: Observed
) -> Candidate:
    h, row = found.hypotheses, int(found.hypotheses.grain[hypothesis])
    zone = int(h.zone[hypothesis])
    explained, doubled = found.evidence.explained[hypothesis], found.evidence.doubled[hypothesis]
    hkl = h.position[hypothesis] @ found.index.zone_hkl[zone].astype(np.int64)
    d = 1 / np.linalg.norm(hkl[explained | doubled] @ phase.reciprocal_basis(), axis=1)
    indexed = tuple(
        IndexedSpot(
            spot=int(observed.ids[row, i]),
            hkl=_miller(hkl[i]),
            d_reference=float(reference),
            d_residual=float(np.expm1(-h.length_residual[hypothesis, i])),
            angle_residual=float(np.degrees(h.angle_residual[hypothesis, i])),
            kind="double diffraction" if doubled[i] else "reflection",
        )
        for i, reference in zip(np.nonzero(explained | doubled)[0], d, strict=True)
    )
    return Candidate(
        phase=phase.id,
        posterior=posterior,
        scale=float(np.exp(h.log_scale[hypothesis])),
        zone_axis=_miller(found.index.zone_uvw[zone]),
        indexed=indexed,
        explained=len(indexed) / max(int(observed.count[row]), 1),
    )


def _miller(values: NDArray[np.integer]) -> Miller:
    return int(values[0]), int(values[1]), int(values[2])
