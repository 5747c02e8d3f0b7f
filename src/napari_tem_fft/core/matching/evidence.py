"""Evidence for placements of zone patterns on the spots of a grain, and for the null models.

Missing reflections are evidence against a phase only where the image could show them: within its Nyquist
frequency, the limits of the search, and the band of any filter.

Each point of a pattern is either seen, within its errors of its place, or not seen; the odds depend on its
visibility over a threshold. All other spots are spurious and can lie anywhere. Unknown quantities are
averaged over: the threshold, whether double diffraction in a thick crystal fills in weak reflections, whether
the errors are smaller than stated, and the rotation. The scale remains a Gaussian of known mean and width,
because the whole image shares it. Likelihoods are relative to "all spurious", whose evidence is 1.

Intensities are weak evidence, both which spots are seen and how bright they are: those of one grain all
depend on its thickness and tilt, so that additional spots add little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .geometry import ScalePrior
from .observations import ANY_G, Observed
from .pair_index import PhaseIndex
from .placement import Hypotheses
from .zone_patterns import FLOORS, THRESHOLDS, VISIBLE_G, damping, in_band

#: Probability that a crystal of a layered phase lies flat, with the beam along the stacking direction.
LIES_FLAT = 0.8
#: Root of the relative |F| assumed for a lattice of unknown structure.
UNKNOWN_F = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Expectations for every zone of an index.

    Attributes
    ----------
    non_detection_log_prob : ndarray, shape (zones, floors, thresholds)
        -ln of the probability that no point of the pattern is seen.
    log_prior : ndarray, shape (zones,)
        ln of the probability of each zone within its phase, times the number of equivalent placements.
    """

    non_detection_log_prob: NDArray[np.float64]
    log_prior: NDArray[np.float64]


def expected_patterns(index: PhaseIndex, band: tuple[float, float]) -> Expected:
    """Compute the expectations for an index within a band of |g| (1/nm)."""
    return Expected(in_band(index.zone_non_detection, band), _log_prior(index, band))


def _log_prior(index: PhaseIndex, band: tuple[float, float]) -> NDArray[np.float64]:
    """Prior of the zones: proportional to the number of equivalent directions, and larger for rich patterns.

    Crystals of layered phases are plates, which lie flat.
    """
    weight = in_band(index.zone_weight, band)
    rich = weight**2 / (1 + weight**2)
    share = _within_phase(index, index.zone_multiplicity * rich)
    flat = _within_phase(index, index.zone_flat * rich)
    lies_flat = LIES_FLAT * (np.bincount(index.zone_phase, flat)[index.zone_phase] > 1e-6)
    prior = (1 - lies_flat) * share + lies_flat * flat
    return np.log(np.maximum(prior, 1e-30) * index.zone_orientations)


def _within_phase(index: PhaseIndex, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalise the shares of the zones to 1 within each phase, or to the share of its indexed zones.

    All references of a phase have the same probability.
    """
    total = np.bincount(index.zone_lattice, share)
    _, first = np.unique(index.zone_lattice, return_index=True)
    references = np.bincount(index.zone_phase[first], minlength=int(index.zone_phase.max(initial=-1)) + 1)
    weight = index.zone_share / np.maximum(references, 1)[index.zone_phase]
    part: NDArray[np.float64] = weight * share / np.maximum(total, 1e-30)[index.zone_lattice]
    return part


def visible_area(band: tuple[float, float]) -> float:
    """Area of the half plane that the visible frequencies of a band cover, 1/nm^2."""
    low, high = (float(np.exp(-((g / VISIBLE_G) ** 2))) for g in band)
    return 0.5 * np.pi * VISIBLE_G**2 * (low - high)


@lru_cache(maxsize=64)
def point_non_detection(band: tuple[float, float]) -> NDArray[np.float64]:
    """-ln of the probability that a lattice with one point in the whole visible area is not seen.

    All points are equally visible, and those outside the band do not count; shape (thresholds,).
    """
    low, high = (min((g / VISIBLE_G) ** 2, 5.0) for g in band)
    g = VISIBLE_G * np.sqrt(np.linspace(low, high, 501))
    odds = np.exp(np.log(UNKNOWN_F * damping(g))[:, None] - THRESHOLDS)
    mean: NDArray[np.float64] = np.log1p(odds).mean(axis=0) * (high - low)
    return mean


#: Expected number of spurious spots in a grain, per unit of their probability.
SPURIOUS_SPOTS = 7.0
#: The intensities of a grain count at most as much as those of this many spots.
INTENSITY_SPOTS = 3.0
#: Share of the scatter of a reflection's intensity that the lens causes, which grains of one image have in
#: common: n grains with the same reflections count as n / (1 + share (n - 1)) independent ones. In images of
#: `intensities.py` (seeds other than those reported), 0 names up to 5 % more of the distinguishable grains
#: and a tenth more of the others; 0.8 names a tenth fewer of both.
OF_THE_LENS = 0.3
#: ln of a spot's power follows ln(|F| x damping) with this slope and scatter; for unknown reflections the
#: scatter is larger. Fitted to Bloch-wave calculations over thickness, tilt and lens
#: (`tests/benchmarks/intensities.py`, other seeds): 68 % of the spots lie within the scatter; a slope of 0.6
#: or 1.0, or a scatter of 0.9 or 1.1, loses 2 to 15 % of the information. Powers below the last share of the
#: grain's strongest are set to that share, because near zeros of the transfer they carry no information.
POWER_SLOPE, POWER_SCATTER, ANY_SCATTER, LEAST_POWER = 0.8, 1.0, 1.18, 0.01
#: Factors by which errors may be smaller than stated.
PRECISIONS = np.array([0.4, 1.0])
#: The evidence of a hypothesis is computed if its quick estimate is within this of the grain's best, ln. In
#: real and simulated images, hypotheses that ended within 10 of the best had estimates within 15.1 of it.
QUICK_MARGIN = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Log evidence of hypotheses, each at its best scale.

    Attributes
    ----------
    log_evidence : ndarray, shape (n,)
        Includes the prior of the zone and the integral over rotation, but not the prior of the scale.
    explained, double_diffraction : ndarray of bool, shape (n, spots)
        Spots explained as reflections, and as double diffraction.
    chi2 : ndarray, shape (n, spots)
        Squared distance of each spot from its place, in units of the stated errors.
    """

    log_evidence: NDArray[np.float64]
    explained: NDArray[np.bool_]
    double_diffraction: NDArray[np.bool_]
    chi2: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """Concatenate the evidence of several searches."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))

    def rows(self, chosen: NDArray[np.intp]) -> Evidence:
        """Select some of the hypotheses."""
        return Evidence(*(getattr(self, name)[chosen] for name in self.__slots__))


def promising(
    hypotheses: Hypotheses, observed: Observed, before: Expected, scale: ScalePrior
) -> NDArray[np.bool_]:
    """Select hypotheses by a quick estimate of their evidence (`quick_merit`), shape (n,)."""
    merit = quick_merit(hypotheses, observed, before, scale)
    return near_best(merit, hypotheses.grain, len(observed.valid))


def quick_merit(
    hypotheses: Hypotheses, observed: Observed, before: Expected, scale: ScalePrior
) -> NDArray[np.float64]:
    """Estimate ln evidence of each hypothesis from positions, scale and stretch only, shape (n,).

    Parameters
    ----------
    hypotheses : Hypotheses
    observed : Observed
    before : Expected
        Expectations for the index of the hypotheses within the observed band.
    scale : ScalePrior
    """
    grain = hypotheses.grain
    log_density = _log_density(hypotheses, observed)
    odds = np.where(hypotheses.near, np.exp(log_density) / _spurious(observed)[grain], 0.0)
    least = before.non_detection_log_prob[:, 0, -1]
    seen = (np.log1p(0.3 * odds) * observed.weight[grain]).sum(axis=1)
    off = (hypotheses.log_scale - scale.middle) ** 2 / (scale.error**2 + hypotheses.scale_error**2)
    stretched = (hypotheses.distortion**2).sum(axis=1) / observed.distortion**2
    prior = (before.log_prior - least)[hypotheses.zone] + hypotheses.log_volume
    merit: NDArray[np.float64] = seen + prior - 0.5 * (off + stretched)
    return merit


def evidence_of_position(hypotheses: Hypotheses, observed: Observed, before: Expected) -> NDArray[np.float64]:
    """Compute the ln evidence of each hypothesis by the positions of the spots alone, shape (n,)."""
    odds = np.exp(_log_density(hypotheses, observed)) / _spurious(observed)[hypotheses.grain]
    seen = np.log1p(np.where(hypotheses.near, odds, 0.0)) * observed.weight[hypotheses.grain]
    total: NDArray[np.float64] = seen.sum(axis=1) + before.log_prior[hypotheses.zone] + hypotheses.log_volume
    return total


def near_best(
    merit: NDArray[np.float64],
    grain: NDArray[np.intp],
    grains: int,
    among: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Select hypotheses near the best one of their grain, optionally only `among` some, shape (n,)."""
    counted = merit if among is None else np.where(among, merit, -np.inf)
    best = np.full(grains, -np.inf)
    np.maximum.at(best, grain, counted)
    result: NDArray[np.bool_] = counted > best[grain] - QUICK_MARGIN
    return result


def weigh(hypotheses: Hypotheses, observed: Observed, index: PhaseIndex, before: Expected) -> Evidence:
    """Compute the evidence of each hypothesis; `before` as in `quick_merit`."""
    grain = hypotheses.grain
    relative_f = index.relative_f(hypotheses.zone, hypotheses.position)
    allowed, double_diffraction = _reflections(hypotheses, relative_f)
    explainable = (allowed | double_diffraction)[None]
    root_f: NDArray[np.float64] = explainable * np.maximum(
        np.sqrt(relative_f), np.array(FLOORS)[:, None, None]
    )
    chi2 = _chi2(hypotheses, observed)
    odds = spot_odds(root_f, _log_density(hypotheses, observed), chi2, observed, grain)
    quiet = before.non_detection_log_prob[hypotheses.zone].transpose(1, 2, 0)
    levels = odds.sum_log() - quiet[:, :, None] * intensity_weight(observed)[grain]
    levels += power_evidence(root_f, observed, grain)[:, None, None]
    prior = before.log_prior[hypotheses.zone] + hypotheses.log_volume
    member = odds.at_best(levels) > 1.0
    return Evidence(average_over(levels) + prior, allowed & member, double_diffraction & member, chi2)


def weigh_shape(
    hypotheses: Hypotheses, observed: Observed, index: PhaseIndex, before: Expected
) -> NDArray[np.float64]:
    """ln evidence of each hypothesis if all points of its lattice were equally visible, shape (n,)."""
    allowed, double_diffraction = _reflections(
        hypotheses, index.relative_f(hypotheses.zone, hypotheses.position)
    )
    basis = index.zone_basis[hypotheses.zone] * np.exp(hypotheses.log_scale)[:, None, None]
    chi2, log_density = _chi2(hypotheses, observed), _log_density(hypotheses, observed)
    shape = flat_evidence(allowed | double_diffraction, log_density, chi2, observed, hypotheses.grain, basis)
    prior = before.log_prior[hypotheses.zone]
    total: NDArray[np.float64] = shape + prior + hypotheses.log_volume
    return total


def _reflections(
    hypotheses: Hypotheses, relative_f: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which spots can be reflections, and which double diffraction, shapes (n, spots)."""
    allowed = hypotheses.near & (relative_f > 0)
    return allowed, _sums_of_others(hypotheses.position, allowed, hypotheses.near & ~allowed)


def flat_evidence(
    explainable: NDArray[np.bool_],
    log_density: NDArray[np.float64],
    chi2: NDArray[np.float64],
    observed: Observed,
    grain: NDArray[np.intp],
    basis: NDArray[np.float64],
) -> NDArray[np.float64]:
    """ln evidence of lattices whose points are all equally visible, from their shape alone, shape (n,).

    It includes neither a prior nor the integral over rotation; see `spot_odds`.

    Parameters
    ----------
    explainable : ndarray of bool, shape (n, spots)
        Whether a spot can be a point of the lattice.
    log_density, chi2, observed, grain
        As in `spot_odds`.
    basis : ndarray, shape (n, 2, 2), 1/nm
    """
    root_f = np.where(explainable[None], UNKNOWN_F, 0.0)
    odds = spot_odds(root_f, log_density, chi2, observed, grain).sum_log()
    points = np.maximum(visible_area(ANY_G) / np.maximum(np.abs(np.linalg.det(basis)), 1e-6) - 0.5, 1.0)
    quiet = point_non_detection(observed.band)[None, :, None, None] * points
    return average_over(odds - quiet * intensity_weight(observed)[grain])


@dataclass(frozen=True, slots=True, eq=False)
class SpotOdds:
    """Odds of (reflection or spurious) over (spurious) for each spot, stored as separate factors.

    Attributes
    ----------
    visible : ndarray of float32, shape (floors, n, spots)
        0 where the lattice has no point, or there is no spot.
    level : ndarray of float32, shape (thresholds, n)
    place : ndarray of float32, shape (precisions, n, spots)
    weight : ndarray of float32, shape (n, spots)
        Weight of each spot.
    """

    visible: NDArray[np.float32]
    level: NDArray[np.float32]
    place: NDArray[np.float32]
    weight: NDArray[np.float32]

    def sum_log(self) -> NDArray[np.float64]:
        """Weighted sum of ln odds of all spots, shape (floors, thresholds, precisions, n)."""
        shape = len(self.visible), len(self.level), len(self.place), len(self.weight)
        total = np.empty(shape)
        for floor, visible in enumerate(self.visible):
            for precision, place in enumerate(self.place):
                both = visible * place
                for threshold, level in enumerate(self.level):
                    odds = np.log(1 + both * level[:, None])
                    total[floor, threshold, precision] = np.einsum("ns,ns->n", odds, self.weight)
        return total

    def at_best(self, levels: NDArray[np.float64]) -> NDArray[np.float32]:
        """Odds of each spot at the maximum of `levels` (shaped as by `sum_log`), shape (n, spots)."""
        flat = levels.reshape(int(np.prod(levels.shape[:-1])), levels.shape[-1])
        floor, threshold, precision = np.unravel_index(flat.argmax(axis=0), levels.shape[:-1])
        n = np.arange(levels.shape[-1])
        odds: NDArray[np.float32] = (
            self.visible[floor, n] * self.place[precision, n] * self.level[threshold, n][:, None]
        )
        return odds


def spot_odds(
    root_f: NDArray[np.float64],
    log_density: NDArray[np.float64],
    chi2: NDArray[np.float64],
    observed: Observed,
    grain: NDArray[np.intp],
) -> SpotOdds:
    """Compute the odds of (reflection or spurious) over (spurious) for each spot.

    Parameters
    ----------
    root_f : ndarray, shape (floors, n, spots)
        Root of the relative |F| at each spot, 0 where the lattice has no point.
    log_density : ndarray, shape (n, spots)
        ln of the probability density (nm^2) of the spot around its place, for the stated errors.
    chi2 : ndarray, shape (n, spots)
        Squared distance from that place, in units of the stated errors.
    observed : Observed
    grain : ndarray of int, shape (n,)
    """
    trust = intensity_weight(observed)[grain][:, None]
    valid = (root_f > 0) & observed.valid[grain]
    bright = np.maximum(root_f * damping(np.exp(observed.log_length))[grain], 1e-12)
    visible = np.where(valid, np.exp(trust * np.log(bright)), 0.0)
    level = np.exp(-trust * THRESHOLDS).T
    place = np.exp(_at_precisions(log_density, chi2) - np.log(_spurious(observed)[grain]))
    parts = (visible, level, place, observed.weight[grain])
    return SpotOdds(*(part.astype(np.float32) for part in parts))


def intensity_weight(observed: Observed) -> NDArray[np.float64]:
    """Weight of the intensities of each grain, shape (grains,).

    It is lower for grains with spots at the same |g| as others; see `OF_THE_LENS`.
    """
    number = np.maximum(observed.count, 1)
    own = np.where(observed.valid, 1 / (1 + OF_THE_LENS * (observed.shared - 1)), 0.0).sum(axis=1)
    weight: NDArray[np.float64] = np.sqrt(np.minimum(1.0, INTENSITY_SPOTS / number)) * own / number
    return weight


def power_evidence(
    root_f: NDArray[np.float64], observed: Observed, grain: NDArray[np.intp]
) -> NDArray[np.float64]:
    """ln likelihood of the powers of the spots relative to unknown reflections, shape (floors, n).

    Only ratios count, because the overall intensity of a grain is unknown.

    Parameters
    ----------
    root_f : ndarray, shape (floors, n, spots)
        Root of the relative |F| at each spot, 0 where the lattice has no point.
    observed : Observed
    grain : ndarray of int, shape (n,)
    """
    strongest = observed.snr.max(axis=1, keepdims=True, initial=1e-9)
    power = np.log(np.maximum(observed.snr, LEAST_POWER * strongest))
    expected = 2 * np.log(np.maximum(root_f, 1e-6)) + np.log(damping(np.exp(observed.log_length)))[grain]
    used = ((root_f > 0) & observed.valid[grain]).astype(np.float64)
    left = _scatter(power[grain] - POWER_SLOPE * expected, used) / POWER_SCATTER**2
    free = _scatter(np.broadcast_to(power[grain], used.shape), used) / ANY_SCATTER**2
    degrees = np.maximum(used.sum(axis=-1) - 1, 0.0)
    weight = intensity_weight(observed)[grain]
    gain: NDArray[np.float64] = degrees * np.log(ANY_SCATTER / POWER_SCATTER) - 0.5 * (left - free)
    return gain * weight


def _scatter(values: NDArray[np.float64], used: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squared deviations of the used values from their mean, over the last axis."""
    number = np.maximum(used.sum(axis=-1), 1.0)
    mean = (values * used).sum(axis=-1) / number
    square: NDArray[np.float64] = (values**2 * used).sum(axis=-1) - number * mean**2
    return square


def average_over(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of the mean of exp(levels) over all axes but the last."""
    flat = levels.reshape(int(np.prod(levels.shape[:-1])), levels.shape[-1])
    top = flat.max(axis=0, initial=-1e9)
    mean: NDArray[np.float64] = top + np.log(np.exp(flat - top).mean(axis=0))
    return mean


def _at_precisions(log_density: NDArray[np.float64], chi2: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln density if all errors are smaller by each factor, shape (precisions, n, spots)."""
    factor = PRECISIONS[:, None, None]
    scaled: NDArray[np.float64] = log_density + 0.5 * chi2 * (1 - factor**-2.0) - 2 * np.log(factor)
    return scaled


def _spurious(observed: Observed) -> NDArray[np.float64]:
    """Expected density of spurious spots at each spot, nm^2, shape (grains, spots)."""
    density: NDArray[np.float64] = (
        SPURIOUS_SPOTS
        * observed.spurious
        * damping(np.exp(observed.log_length))
        / visible_area(observed.band)
    )
    return density


def _chi2(hypotheses: Hypotheses, observed: Observed) -> NDArray[np.float64]:
    by_length = hypotheses.length_residual / observed.length_error[hypotheses.grain]
    by_angle = hypotheses.angle_residual / observed.angle_error[hypotheses.grain]
    total: NDArray[np.float64] = by_length**2 + by_angle**2
    return total


def _log_density(hypotheses: Hypotheses, observed: Observed) -> NDArray[np.float64]:
    """ln of the probability density of each spot around its reflection, nm^2."""
    errors = np.log(observed.length_error * observed.angle_error) + 2 * observed.log_length
    density: NDArray[np.float64] = (
        -0.5 * _chi2(hypotheses, observed) - errors[hypotheses.grain] - np.log(2 * np.pi)
    )
    return density


def _sums_of_others(
    position: NDArray[np.int64], allowed: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which of the `asked` spots multiple scattering explains, shape (n, spots).

    These lie at the sum or difference of two allowed reflections, or of one reflection and such a spot. Twice
    a reflection counts as well, because the beams of +g and -g interfere in the image.
    """
    once = _sums_of(position, allowed, asked)
    twice: NDArray[np.bool_] = _sums_of(position, allowed | once, asked & ~once)
    return np.logical_or(once, twice)


def _sums_of(
    position: NDArray[np.int64], seen: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which of the `asked` spots lie at the sum or difference of two observed ones, shape (n, spots)."""
    result = np.zeros(seen.shape, bool)
    row, spot = np.nonzero(asked & position.any(axis=-1) & (seen.sum(axis=1) > 0)[:, None])
    code = position[..., 0] * 256 + position[..., 1]
    own, others, valid = code[row, spot, None], code[row], seen[row]
    both = valid[:, :, None] & valid[:, None, :]
    summed = np.abs(own - others)[:, :, None] == np.abs(others)[:, None, :]
    summed |= np.abs(own + others)[:, :, None] == np.abs(others)[:, None, :]
    result[row, spot] = (summed & both).any(axis=(1, 2))
    return result
