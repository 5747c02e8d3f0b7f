"""The brightness of a grain's spots as evidence between phases whose lattices fit it equally well.

|F| is a poor measure of the brightness of a reflection in a high-resolution image: the thickness, the tilt
and the lens change it by more. If several phases fit the positions of a grain's spots, their diffractograms
are therefore computed by Bloch waves for many thicknesses, small tilts and lenses. The likelihood of the
observed and of the missing reflections, averaged over these, distributes the probability among the phases.
The probability of an unlisted lattice does not change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ..crystal.bloch_waves import Lens, beam_pattern, exit_waves, log_powers
from ..crystal.structure import LatticePlanes, Structure
from .observations import FAINT_SNR, Observed
from .pair_index import PhaseIndex
from .placement import Hypotheses

#: Beams of a pattern: all up to this |g| (1/nm), but at least and at most this many.
BEAMS, BEAMS_REACH = (45, 121), 6.5
#: Numbers of lenses, tilts and thicknesses of the average. Set, as the constants below, on images of
#: `intensities.py` of other seeds than the published ones: 48, 6 and 12 with 61 beams name no more grains;
#: with 16 lenses, more grains are named whose phases cannot be distinguished.
LENSES, TILTS, THICKNESSES = 24, 3, 5
#: Thinnest and thickest crystal, nm, and the standard deviation of the tilt in each direction, rad.
THICKNESS, TILT = (2.0, 30.0), 0.005
#: Uncertainty of ln power beyond these, one standard deviation. With 0.6, more of the grains whose phases
#: cannot be distinguished are named wrongly; with 1.2, a tenth fewer of the others are named.
TOLERANCE = 0.8
#: Probability that the brightness of a spot, or its absence, has another cause. Halving or doubling it
#: changes less than 2 % of the names.
UNKNOWN_REASON = 0.03
#: Range of ln power of spots that have another cause.
ANY_POWER = 5.0
#: Probability that the computed patterns do not apply to the image, so that only |F| counts, as in
#: `evidence`.
ANOTHER_IMAGE = 0.03
#: Correlation of this evidence between grains of one image, which have the lens in common. With 0, a tenth
#: more of the grains whose phases cannot be distinguished are named; with 0.3, 4 % fewer of the others.
OF_THE_LENS = 0.1
#: Compared are the placements whose ln evidence is within this of the best one, of at most this many phases,
#: and at most this many of each phase.
CONTENDS, MOST_PHASES, MOST_PLACEMENTS = 5.0, 5, 2
#: If the ln evidence of an unlisted lattice exceeds that of the best placement by this, no phase is named
#: anyway.
HOPELESS = 4.0
#: The logistic function with this slope is nearly the cumulative normal distribution.
_LIKE_NORMAL = 1.702
#: Combines the two coordinates of a point of a lattice into one number.
_CODE = np.array([4096, 1])


@dataclass(frozen=True, slots=True, eq=False)
class ZonePowers:
    """Powers of the reflections of a zone by Bloch waves.

    Attributes
    ----------
    code : ndarray of int, shape (points,)
        Coordinates of each reflection in the basis of the zone as one number, sorted; one of each pair +g,
        -g.
    g : ndarray, shape (points,), 1/nm
    log_power : ndarray of float32, shape (members, points)
        ln of the power, relative to that of the image's mean, for each lens, tilt and thickness.
    """

    code: NDArray[np.int64]
    g: NDArray[np.float64]
    log_power: NDArray[np.float32]


def zone_powers(structure: Structure, basis_hkl: NDArray[np.int64], basis: NDArray[np.float64]) -> ZonePowers:
    """Compute the powers of a zone's reflections for all lenses, tilts and thicknesses.

    Parameters
    ----------
    structure : Structure
    basis_hkl : ndarray of int, shape (2, 3)
    basis : ndarray, shape (2, 2), 1/nm
    """
    within = int(np.pi * BEAMS_REACH**2 / abs(np.linalg.det(basis)))
    pattern = beam_pattern(structure, basis_hkl, basis, int(np.clip(within, *BEAMS)))
    single = np.complex64 if np.iscomplexobj(pattern.potential) else np.float32
    pattern = replace(pattern, potential=pattern.potential.astype(single))
    share = (np.arange(THICKNESSES) + 0.5) / THICKNESSES
    thickness = THICKNESS[0] * (THICKNESS[1] / THICKNESS[0]) ** share
    rows = []
    for voltage in sorted({lens.voltage for lens in _lenses()}):
        waves = np.concatenate([exit_waves(pattern, voltage, tilt, thickness) for tilt in _tilts()])
        lenses = [lens for lens in _lenses() if lens.voltage == voltage]
        rows += list(log_powers(pattern, waves.astype(np.complex64), lenses))
    code = np.abs(pattern.points @ _CODE)
    order = np.argsort(code)
    g = np.linalg.norm(pattern.points @ basis, axis=1)
    return ZonePowers(code[order], g[order], np.concatenate(rows)[:, order].astype(np.float32))


@cache
def _lenses() -> tuple[Lens, ...]:
    """Lenses of the average, always the same."""
    rng = np.random.default_rng(0)
    return tuple(Lens.drawn(rng) for _ in range(LENSES))


@cache
def _tilts() -> tuple[tuple[float, float], ...]:
    """Tilts of the average, rad: quantiles of a normal distribution in two dimensions."""
    share = (np.arange(TILTS) + 0.5) / TILTS
    radius, turn = TILT * np.sqrt(-2 * np.log(1 - share)), np.pi * (3 - np.sqrt(5)) * np.arange(TILTS)
    return tuple(zip((radius * np.cos(turn)).tolist(), (radius * np.sin(turn)).tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """ln evidence of hypotheses without their brightness.

    Attributes
    ----------
    best, average, position : ndarray, shape (n,)
        At the best scale and stretch; averaged over the prior of these; by the positions of the spots alone,
        at the best scale and stretch.
    unlisted : ndarray, shape (grains,)
        Of an unlisted lattice.
    """

    best: NDArray[np.float64]
    average: NDArray[np.float64]
    position: NDArray[np.float64]
    unlisted: NDArray[np.float64]


def evidence_of_brightness(
    hypotheses: Hypotheses,
    levels: Levels,
    observed: Observed,
    index: PhaseIndex,
    candidates: int,
    powers: Callable[[int], ZonePowers],
) -> NDArray[np.float64]:
    """Compute the change of the ln evidence of hypotheses, shape (n,), by the brightness of the spots.

    It is 0 for grains that a single phase fits.

    Parameters
    ----------
    hypotheses : Hypotheses
    levels : Levels
    observed : Observed
    index : PhaseIndex
    candidates : int
        Number of phases, at the beginning of the index, whose total evidence is kept.
    powers : callable
        Returns the `zone_powers` of a zone of the index.
    """
    result = np.zeros(len(hypotheses.grain))
    phase = index.zone_phase[hypotheses.zone]
    for grain in range(len(levels.unlisted)):
        mine = np.flatnonzero(hypotheses.grain == grain)
        mine = mine[np.argsort(-levels.average[mine])]
        rows = _contenders(mine, phase[mine], levels.average[mine], index, candidates)
        if not len(rows) or levels.unlisted[grain] > levels.average[mine[0]] + HOPELESS:
            continue
        bright = [
            brightness_likelihood(powers(int(hypotheses.zone[row])), hypotheses, int(row), observed)
            for row in rows
        ]
        change = levels.position[rows] + _own_share(observed, grain) * np.array(bright) - levels.best[rows]
        own = phase[rows] < candidates
        own = own if own.any() else ~own
        average = levels.average[rows]
        change += logsumexp(average[own]) - logsumexp((average + change)[own])
        others = mine[np.isin(phase[mine], phase[rows])]
        result[others] = np.log(ANOTHER_IMAGE)
        result[rows] = np.logaddexp(change + np.log1p(-ANOTHER_IMAGE), np.log(ANOTHER_IMAGE))
    return result


def _own_share(observed: Observed, grain: int) -> float:
    """Weight of the brightness of a grain, below 1 if other grains have spots at the same |g|."""
    others = observed.shared[grain, observed.valid[grain]] - 1
    return float((1 / (1 + OF_THE_LENS * others)).mean())


def _contenders(
    rows: NDArray[np.intp],
    phase: NDArray[np.int32],
    fit: NDArray[np.float64],
    index: PhaseIndex,
    candidates: int,
) -> NDArray[np.intp]:
    """Placements of phases that fit a grain about as well as the best; none if that is the only one."""
    close = np.zeros(len(rows), bool)
    for group in (phase < candidates, phase >= 0):
        if group.any():
            close |= group & (fit > fit[group][0] - CONTENDS)
    known = [one for one in dict.fromkeys(phase[close].tolist()) if _has_structure(index, one)][:MOST_PHASES]
    if len(known) < 2:
        return rows[:0]
    return np.concatenate([rows[close & (phase == one)][:MOST_PLACEMENTS] for one in known])


def _has_structure(index: PhaseIndex, phase: int) -> bool:
    return all(isinstance(variant.reflections, LatticePlanes) for variant in index.phases[phase].variants)


def brightness_likelihood(zone: ZonePowers, hypotheses: Hypotheses, row: int, observed: Observed) -> float:
    """ln likelihood of the brightness of a grain's spots and of the missing reflections of a zone.

    It is relative to spots of any brightness.

    Parameters
    ----------
    zone : ZonePowers
    hypotheses : Hypotheses
    row : int
        Number of the hypothesis.
    observed : Observed
    """
    grain = int(hypotheses.grain[row])
    valid = observed.valid[grain]
    code = np.abs(hypotheses.position[row] @ _CODE)
    at = np.minimum(np.searchsorted(zone.code, code), len(zone.code) - 1)
    used = hypotheses.near[row] & valid & (zone.code[at] == code)
    seen = at[used]
    if not len(seen):
        return float(np.log(UNKNOWN_REASON) * valid.sum())
    dark = (zone.g > observed.band[0]) & (zone.g < observed.band[1])
    dark[seen] = False
    limit = np.log(min(FAINT_SNR, observed.snr[grain, valid].min()))
    apart = np.log(observed.snr[grain, used]).astype(np.float32) - zone.log_power[:, seen]
    steps = TOLERANCE * np.array([-1, 0, 1], np.float32)
    level = (apart.mean(axis=1, keepdims=True) + steps)[..., None]
    height = (1 - UNKNOWN_REASON) * ANY_POWER / (np.sqrt(2 * np.pi) * TOLERANCE)
    off = (apart[:, None] - level) / np.float32(TOLERANCE)
    bright = np.log(height * np.exp(-0.5 * off**2) + UNKNOWN_REASON).sum(axis=2)
    over = (zone.log_power[:, None, dark] + level - np.float32(limit)) * np.float32(_LIKE_NORMAL / TOLERANCE)
    unseen = (1 - UNKNOWN_REASON) / (1 + np.exp(np.minimum(over, 30))) + UNKNOWN_REASON
    return float(logsumexp(bright + np.log(unseen).sum(axis=2)) - np.log(bright.size))
