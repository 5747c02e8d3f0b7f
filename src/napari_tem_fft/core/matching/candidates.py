"""From hypotheses to the candidates that a person sees, with every spot's hkl and residual."""

from __future__ import annotations

from collections.abc import Sequence
from math import degrees

import numpy as np
from numpy.typing import NDArray

from ..crystal.orientation import CrystalOrientation
from ..crystal.phase import Miller, Phase
from ..crystal.symmetry import along_zone
from .result import Candidate, IndexedSpot
from .search import Found

#: Candidates that are reported: at most this many, and more probable than this.
MOST, LEAST_POSTERIOR = 10, 1e-4


def candidates(found: Found, row: int, phases: Sequence[Phase]) -> tuple[Candidate, ...]:
    """The candidates for one grain (row of the observed ones), most probable first."""
    posterior = found.phase[row, : len(phases)]
    ranked = np.argsort(-posterior, kind="stable")[:MOST]
    return tuple(
        candidate(found, hypothesis, float(posterior[p]), phases[p])
        for p in ranked.tolist()
        if posterior[p] > LEAST_POSTERIOR and (hypothesis := found.best(row, p)) is not None
    )


def candidate(found: Found, hypothesis: int, posterior: float, phase: Phase) -> Candidate:
    """One hypothesis as a candidate."""
    h, row = found.hypotheses, int(found.hypotheses.grain[hypothesis])
    zone = int(h.zone[hypothesis])
    reference = phase.variants[int(found.index.zone_variant[zone])]
    indexed = _index_spots(found, hypothesis, reference)
    explained = found.evidence.explained[hypothesis] | found.evidence.double_diffraction[hypothesis]
    weight = np.where(found.observed.valid[row], found.observed.weight[row], 0.0)
    return Candidate(
        phase=phase.id,
        posterior=posterior,
        scale=float(np.exp(h.log_scale[hypothesis])),
        zone_axis=_miller(found.index.zone_uvw[zone]),
        indexed=indexed,
        explained=float(weight[explained].sum() / max(weight.sum(), 1e-9)),
        scale_sigma=float(h.scale_error[hypothesis]),
        misfit=float(found.evidence.chi2[hypothesis, explained].sum() / max(2 * explained.sum() - 3, 1)),
        orientation=_orient(found, hypothesis, reference),
        distortion=(float(h.distortion[hypothesis, 0]), float(h.distortion[hypothesis, 1])),
        reference=reference.id if phase.references else "",
    )


def _orient(found: Found, hypothesis: int, phase: Phase) -> CrystalOrientation:
    """The crystal's orientation by the rotation of the placed pattern.

    Of a mirrored pattern the zone axis points the other way.
    """
    h, zone = found.hypotheses, found.hypotheses.zone[hypothesis]
    first, second = found.index.zone_hkl[zone].tolist()
    u, v, w = found.index.zone_uvw[zone].tolist()
    # the pattern's plane turns from its first vector to its second
    (a, b, c), (d, e, f) = first, second
    away = (b * f - c * e) * u + (c * d - a * f) * v + (a * e - b * d) * w > 0
    sign = 1 if away != bool(h.mirrored[hypothesis]) else -1
    rotation, sigma = -degrees(h.rotation[hypothesis]), degrees(h.rotation_error[hypothesis])
    return along_zone(phase, (sign * u, sign * v, sign * w), (a, b, c), rotation, sigma)


def _index_spots(found: Found, hypothesis: int, phase: Phase) -> tuple[IndexedSpot, ...]:
    h, row = found.hypotheses, int(found.hypotheses.grain[hypothesis])
    double_diffraction = found.evidence.double_diffraction[hypothesis]
    chosen = np.nonzero(found.evidence.explained[hypothesis] | double_diffraction)[0]
    basis = found.index.zone_hkl[h.zone[hypothesis]].astype(np.int64)
    hkl = h.position[hypothesis, chosen] @ basis
    length, angle = _residuals(found, hypothesis)
    d = 1 / np.linalg.norm(hkl @ phase.reciprocal_basis(), axis=1)
    return tuple(
        IndexedSpot(
            spot=int(found.observed.ids[row, i]),
            hkl=_miller(index),
            d_reference=float(reference),
            d_residual=float(np.expm1(-length[i])),
            angle_residual=float(-np.degrees(angle[i])),
            kind="double diffraction" if double_diffraction[i] else "reflection",
        )
        for i, index, reference in zip(chosen, hkl, d, strict=True)
    )


def _residuals(found: Found, hypothesis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Residuals of ln |g| and azimuth of all spots, the fitted stretch not taken out."""
    h = found.hypotheses
    twice = 2 * found.observed.azimuth[h.grain[hypothesis]]
    e, f = h.distortion[hypothesis]
    length = h.length_residual[hypothesis] + e * np.cos(twice) + f * np.sin(twice)
    return length, h.angle_residual[hypothesis] - e * np.sin(twice) + f * np.cos(twice)


def _miller(values: NDArray[np.integer]) -> Miller:
    return int(values[0]), int(values[1]), int(values[2])
