"""Placements of zone patterns on the spots of a grain: proposed from pairs of spots, then fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import Likelihoods
from .observations import COLLINEAR, Observed
from .pair_index import PhaseIndex

#: A spot is assigned to a lattice point only within this many standard deviations.
FAR = 4.0
#: Number of placements that are fitted at once, so that their arrays fit into the processor's cache.
AT_ONCE = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Hypotheses:
    """Placements of patterns on the spots of grains, one row per hypothesis.

    Attributes
    ----------
    grain, zone : ndarray of int, shape (n,)
    position : ndarray of int, shape (n, spots, 2)
        Lattice point of the zone nearest to each spot of the grain.
    length_residual, angle_residual : ndarray, shape (n, spots)
        Measured minus fitted ln |g| and azimuth (radians), at the fitted scale, rotation and stretch.
    near : ndarray of bool, shape (n, spots)
        Whether the spot is close enough to that point to be assigned to it.
    log_scale, scale_error : ndarray, shape (n,)
        ln of the factor on the measured d, and its standard uncertainty from these spots alone.
    distortion : ndarray, shape (n, 2)
        Fitted stretch of g along x against y, and along one diagonal against the other.
    information : ndarray, shape (n, 3, 3)
        Negative second derivatives of ln L in ln scale and the two stretches, marginalised over rotation.
    gradient : ndarray, shape (n, 3)
        First derivatives of ln L at the fit; they balance the prior of the stretches.
    log_volume : ndarray, shape (n,)
        ln of the share of all rotations that fit equally well.
    rotation, rotation_error : ndarray, shape (n,), radians
        Rotation of the first axis of the pattern from +x towards +y (which points down), and its standard
        uncertainty, including that of the stretch.
    mirrored : ndarray of bool, shape (n,)
        Whether the pattern is mirrored (y changes sign) before it is rotated.
    """

    grain: NDArray[np.intp]
    zone: NDArray[np.int32]
    position: NDArray[np.int64]
    length_residual: NDArray[np.float64]
    angle_residual: NDArray[np.float64]
    near: NDArray[np.bool_]
    log_scale: NDArray[np.float64]
    scale_error: NDArray[np.float64]
    distortion: NDArray[np.float64]
    information: NDArray[np.float64]
    gradient: NDArray[np.float64]
    log_volume: NDArray[np.float64]
    rotation: NDArray[np.float64]
    rotation_error: NDArray[np.float64]
    mirrored: NDArray[np.bool_]

    def rows(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Hypotheses:
        """Select some of the hypotheses."""
        rows = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return Hypotheses(*(getattr(self, name).take(rows, axis=0) for name in self.__slots__))

    @classmethod
    def joined(cls, parts: Sequence[Hypotheses]) -> Hypotheses:
        """Concatenate the hypotheses of several searches for the same grains."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))

    def likelihoods(self, log_evidence: NDArray[np.float64]) -> Likelihoods:
        """Likelihoods of the image's scale and stretches; `log_evidence` is that at each one's own fit."""
        theta = np.concatenate([self.log_scale[:, None], self.distortion], axis=1)
        return Likelihoods.around(theta, log_evidence, self.gradient, self.information).of_image()


def place(
    observed: Observed,
    index: PhaseIndex,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
    row: NDArray[np.intp],
) -> Hypotheses:
    """Fit scale, rotation and handedness to a pair, assign every spot a lattice point, and fit to all spots.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    pairs : tuple of ndarray of int, shape (n,)
        Grain, first and second spot.
    row : ndarray of int, shape (n,)
        Row of the pair of reflections among the index's pairs.
    """
    belief = _Belief.of(observed)
    grain, zone = pairs[0], index.pair_zone[row]
    fits, keys, table = [], [], _spot_table(observed)
    for few in _few_at_once(len(row)):
        fit, basis = _fit_pair(table, index, (grain[few], pairs[1][few], pairs[2][few]), row[few], belief)
        assigned = _assign(_Seen.of(table, grain[few]), basis, fit)
        fits.append((fit, basis))
        keys.append(_same(grain[few], zone[few], assigned.near, assigned.point_square))
    first = _distinct(keys)
    fit = _Fit(*(np.concatenate([getattr(one, n) for one, _ in fits])[first] for n in _Fit.__slots__))
    basis = np.concatenate([basis for _, basis in fits], axis=2)[..., first]
    fitted, keys = _fitted(table, grain[first], zone[first], basis, fit, belief)
    return fitted.rows(_distinct(keys))


def _few_at_once(number: int) -> list[slice]:
    """Slices that cover a number of rows; a single slice if there are no rows."""
    return [slice(start, start + AT_ONCE) for start in range(0, max(number, 1), AT_ONCE)]


def refit(
    observed: Observed,
    index: PhaseIndex,
    hypotheses: Hypotheses,
    distortion: tuple[float, float],
    error: float,
) -> Hypotheses:
    """Fit the same placements with the stretches constrained to be near those of the image.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    hypotheses : Hypotheses
    distortion : tuple of float
        Stretches of the image.
    error : float
        Standard deviation of the grains' stretches from these, including their own uncertainty.
    """
    basis = _last(index.zone_basis[hypotheses.zone])
    flip = np.where(hypotheses.mirrored, -1.0, 1.0)
    basis = np.array([[basis[0, 0], flip * basis[0, 1]], [basis[1, 0], flip * basis[1, 1]]])
    fit = _Fit(hypotheses.rotation, hypotheses.log_scale, hypotheses.distortion)
    belief = _Belief(np.array(distortion), error)
    return _fitted(_spot_table(observed), hypotheses.grain, hypotheses.zone, basis, fit, belief)[0]


def _fitted(
    table: NDArray[np.float64],
    grain: NDArray[np.intp],
    zone: NDArray[np.int32],
    basis: NDArray[np.float64],
    fit: _Fit,
    belief: _Belief,
) -> tuple[Hypotheses, list[NDArray[np.int64]]]:
    """Assign all spots to lattice points and fit, twice; also identify equal placements (`_same`)."""
    parts, keys = [], []
    for few in _few_at_once(len(grain)):
        seen = _Seen.of(table, grain[few])
        part, square = _fitted_at_once(seen, grain[few], zone[few], basis[..., few], fit.rows(few), belief)
        parts.append(part)
        keys.append(_same(part.grain, part.zone, part.near.T, square))
    return Hypotheses.joined(parts), keys


def _fitted_at_once(
    seen: _Seen,
    grain: NDArray[np.intp],
    zone: NDArray[np.int32],
    basis: NDArray[np.float64],
    fit: _Fit,
    belief: _Belief,
) -> tuple[Hypotheses, NDArray[np.float64]]:
    """`_fitted` for one block of placements, and |g|^2 of the lattice points."""
    for _ in range(2):
        fit, equations = _refit(seen, fit, _assign(seen, basis, fit), belief)
    normal = equations.normal()
    assigned = _assign(seen, basis, fit)
    position = np.stack([assigned.column.T, assigned.row.T], axis=-1)
    held = (belief.distortion - fit.distortion) / belief.error**2
    fitted = Hypotheses(
        grain=grain,
        zone=zone,
        position=position.astype(np.int64),
        length_residual=np.ascontiguousarray(assigned.length.T),
        angle_residual=np.ascontiguousarray(assigned.angle.T),
        near=np.ascontiguousarray(assigned.near.T),
        log_scale=fit.scale,
        scale_error=np.sqrt(normal.scale_variance),
        distortion=fit.distortion,
        information=normal.information,
        gradient=np.concatenate([np.zeros((len(grain), 1)), -held], axis=1),
        log_volume=0.5 * np.log(normal.turn_share / (2 * np.pi)),
        rotation=fit.turn,
        rotation_error=np.sqrt(normal.turn_variance),
        mirrored=basis[0, 0] * basis[1, 1] - basis[0, 1] * basis[1, 0] < 0,
    )
    return fitted, assigned.point_square


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    turn: NDArray[np.float64]
    scale: NDArray[np.float64]
    distortion: NDArray[np.float64]

    def rows(self, chosen: NDArray[np.intp] | slice) -> _Fit:
        return _Fit(self.turn[chosen], self.scale[chosen], self.distortion[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class _Belief:
    """Prior of the two stretches: mean, shape (2,), and standard deviation."""

    distortion: NDArray[np.float64]
    error: float

    @classmethod
    def of(cls, observed: Observed) -> _Belief:
        return cls(np.zeros(2), observed.distortion)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The spots that each placement has to explain, shape (spots, n), which makes sums over spots fast.

    `terms` are the contributions to the normal equations, shape (9, spots, n); see `_terms`.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    terms: NDArray[np.float64]
    valid: NDArray[np.bool_]

    @classmethod
    def of_pair(
        cls, table: NDArray[np.float64], pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
    ) -> _Seen:
        """Select two spots of each grain."""
        first, second = pairs[1] * table.shape[2] + pairs[0], pairs[2] * table.shape[2] + pairs[0]
        two = table.reshape(len(table), -1).take(np.stack([first, second]), axis=1)
        return cls(two[0], two[1], two[3:], np.ones(two.shape[1:], bool))

    @classmethod
    def of(cls, table: NDArray[np.float64], grain: NDArray[np.intp]) -> _Seen:
        """Select the spots of these grains."""
        mine = table.take(grain, axis=2)
        return cls(mine[0], mine[1], mine[3:], mine[2] > 0)


def _spot_table(observed: Observed) -> NDArray[np.float64]:
    """x, y, validity and `_terms` of the spots of all grains, shape (12, spots, grains)."""
    twice = 2 * observed.azimuth
    terms = _terms(observed.length_error**-2, observed.angle_error**-2, np.cos(twice), np.sin(twice))
    table = np.concatenate([observed.g.transpose(2, 0, 1), observed.valid[None], terms])
    return np.ascontiguousarray(table.transpose(0, 2, 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Assigned:
    """Lattice points of the spots, shape (spots, n): position, |g|^2, residuals, and whether it is near."""

    column: NDArray[np.float64]
    row: NDArray[np.float64]
    point_square: NDArray[np.float64]
    length: NDArray[np.float64]
    angle: NDArray[np.float64]
    near: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Normal:
    """Uncertainties of the least-squares fits.

    These are the variances of ln scale and of the rotation, the variance of the rotation with all else fixed,
    and the information of the spots alone on ln scale and the stretches with free rotation, shape (n, 3, 3).
    """

    scale_variance: NDArray[np.float64]
    turn_variance: NDArray[np.float64]
    turn_share: NDArray[np.float64]
    information: NDArray[np.float64]


def _fit_pair(
    table: NDArray[np.float64],
    index: PhaseIndex,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
    row: NDArray[np.intp],
    belief: _Belief,
) -> tuple[_Fit, NDArray[np.float64]]:
    """Fit the geometry to a pair of spots; also the basis of the zone, (2, 2, n), mirrored if the pair is."""
    seen = _Seen.of_pair(table, pairs)
    (ax, ay), (bx, by) = _last(index.zone_basis[index.pair_zone[row]])
    (h, k), (m, n) = _last(index.pair_positions[row]).astype(np.float64)
    pair_x, pair_y, other_x, other_y = h * ax + k * bx, h * ay + k * by, m * ax + n * bx, m * ay + n * by
    (x, second_x), (y, second_y) = seen.x, seen.y
    sign = np.where(x * second_x + y * second_y < 0, -1.0, 1.0)
    second_x, second_y = sign * second_x, sign * second_y
    mirrored = (x * second_y - y * second_x) * (pair_x * other_y - pair_y * other_x) < 0
    flip = np.where(mirrored, -1.0, 1.0)
    pair_y, other_y = flip * pair_y, flip * other_y
    turn = np.arctan2(pair_x * y - pair_y * x, pair_x * x + pair_y * y)
    other = np.arctan2(other_x * second_y - other_y * second_x, other_x * second_x + other_y * second_y)
    turn = turn + 0.5 * ((other - turn + np.pi) % (2 * np.pi) - np.pi)
    lengths = (x**2 + y**2) * (second_x**2 + second_y**2)
    scale = 0.25 * np.log(lengths / ((pair_x**2 + pair_y**2) * (other_x**2 + other_y**2)))
    basis = np.array([[ax, flip * ay], [bx, flip * by]])
    fit = _Fit(turn, scale, np.zeros((len(row), 2)))
    # in a stretched image the other spots are near their points only after the stretch of the pair is fitted
    points = np.array([h, sign * m]), np.array([k, sign * n])
    for _ in range(2):
        assigned = _assign_points(seen, _laid_back(seen, fit), basis, points)
        fit = _refit(seen, fit, replace(assigned, near=seen.valid), belief)[0]
    return fit, basis


def _last(matrices: NDArray[Any]) -> NDArray[Any]:
    """Move the first axis of matrices of shape (n, 2, 2) to the end, so that each entry is an array."""
    return np.ascontiguousarray(matrices.transpose(1, 2, 0))


def _assign(seen: _Seen, basis: NDArray[np.float64], fit: _Fit) -> _Assigned:
    """Nearest lattice point of each spot, residuals of ln |g| and azimuth, and whether it is near."""
    x, y = _laid_back(seen, fit)
    column, row = (np.rint(part, out=part) for part in _on_basis(x, y, _inverse(basis)))
    return _assign_points(seen, (x, y), basis, (column, row))


def _assign_points(
    seen: _Seen,
    place: tuple[NDArray[np.float64], NDArray[np.float64]],
    basis: NDArray[np.float64],
    points: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> _Assigned:
    """Assign spots, at x and y in the pattern, to given lattice points."""
    (x, y), (column, row) = place, points
    point_x, point_y = _on_basis(column, row, basis)
    square = np.maximum(point_x**2 + point_y**2, 1e-18)
    length = 0.5 * np.log(np.maximum(x**2 + y**2, 1e-18) / square)
    angle = np.arctan2(point_x * y - point_y * x, point_x * x + point_y * y)
    near = length**2 * seen.terms[0] + angle**2 * seen.terms[3] < FAR**2
    near &= seen.valid & ((column != 0) | (row != 0))
    return _Assigned(column, row, square, length, angle, near)


def _laid_back(seen: _Seen, fit: _Fit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Transform the spots into the pattern: x and y with stretch, rotation and scale undone."""
    shrink = np.exp(-fit.scale)
    cosine, sine = shrink * np.cos(fit.turn), shrink * np.sin(fit.turn)
    e, f = fit.distortion.T
    first = cosine * (1 - e) - sine * f, -sine * (1 - e) - cosine * f
    second = sine * (1 + e) - cosine * f, cosine * (1 + e) + sine * f
    return _on_basis(seen.x, seen.y, np.array([first, second]))


def _on_basis(
    first: NDArray[np.float64], second: NDArray[np.float64], basis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multiply row vectors, given by components of shape (spots, n), with matrices of shape (2, 2, n)."""
    (a, b), (c, d) = basis
    return first * a + second * c, first * b + second * d


def inverse(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverses of matrices of shape (n, 2, 2); faster than the routine for any size."""
    return _inverse(basis.transpose(1, 2, 0)).transpose(2, 0, 1)


def _inverse(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverses of matrices of shape (2, 2, n)."""
    (a, b), (c, d) = basis
    result: NDArray[np.float64] = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    return result


def _same(
    grain: NDArray[np.intp],
    zone: NDArray[np.int32],
    near: NDArray[np.bool_],
    point_square: NDArray[np.float64],
) -> NDArray[np.int64]:
    """A number for each row, equal for rows with lattice points of the same lengths in the same zone."""
    label = np.where(near, np.rint(2000 * np.sqrt(point_square)), 0).astype(np.int64)
    mixers = np.random.default_rng(1).integers(1, 2**62, len(label) + 2) | 1
    key: NDArray[np.int64] = grain * mixers[0] + zone * mixers[1] + (label * mixers[2:, None]).sum(axis=0)
    return key


def _distinct(keys: list[NDArray[np.int64]]) -> NDArray[np.intp]:
    """Indices of one row of each set of equal rows."""
    return np.unique(np.concatenate(keys), return_index=True)[1]


def _refit(seen: _Seen, fit: _Fit, assigned: _Assigned, belief: _Belief) -> tuple[_Fit, _Equations]:
    """Fit scale, rotation and stretch to the near spots by least squares, with a prior on the stretch."""
    near = assigned.near.astype(np.float64)
    data = np.einsum("ksn,sn->kn", seen.terms, near)
    by_length = np.einsum("ksn,sn->kn", seen.terms[:3], assigned.length * near)
    by_angle = np.einsum("ksn,sn->kn", seen.terms[3:6], assigned.angle * near)
    # the residuals are those without stretch, so the whole stretch is fitted, not a correction
    (e, f), held = fit.distortion.T, belief.error**-2
    right = (
        by_length[0] + data[1] * e + data[2] * f,
        by_angle[0] + data[4] * e + data[5] * f,
        by_length[1] + by_angle[1] + data[6] * e + data[7] * f + held * belief.distortion[0],
        by_length[2] + by_angle[2] + data[7] * e + data[8] * f + held * belief.distortion[1],
    )
    equations = _Equations(data, belief.error)
    by_scale, by_turn, *distortion = equations.solve(right)
    return _Fit(fit.turn + by_turn, fit.scale + by_scale, np.stack(distortion, axis=1)), equations


def _terms(
    by_length: NDArray[np.float64],
    by_angle: NDArray[np.float64],
    c: NDArray[np.float64],
    s: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Contributions of a spot to the normal equations, shape (9, ...).

    The derivatives of a residual of ln |g| by ln scale, rotation and the two stretches are (1, 0, c, s);
    those of a residual of the azimuth are (0, 1, -s, c). c and s are cosine and sine of twice the azimuth.
    The entries are (0, 0), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3) and (3, 3); (0, 1) is 0.
    """
    length_c, length_s, angle_c, angle_s = by_length * c, by_length * s, by_angle * c, by_angle * s
    return np.stack(
        [
            by_length,
            length_c,
            length_s,
            by_angle,
            -angle_s,
            angle_c,
            length_c * c + angle_s * s,
            (length_c - angle_c) * s,
            length_s * s + angle_c * c,
        ]
    )


class _Equations:
    """Normal equations of ln scale, rotation and the two stretches.

    The block of scale and rotation is diagonal and is eliminated first (Schur complement).

    Parameters
    ----------
    data : ndarray, shape (9, n)
        Sums of `_terms`.
    error : float
        Standard deviation of the prior of the stretches.
    """

    def __init__(self, data: NDArray[np.float64], error: float) -> None:
        self.data = data
        scale, e, f, turn, p, q, *rest = data
        self.scale, self.turn = scale + 1.0, turn + 1.0
        self.by_scale, self.by_turn = (e / self.scale, f / self.scale), (p / self.turn, q / self.turn)
        self.ee = rest[0] + error**-2 - e * self.by_scale[0] - p * self.by_turn[0]
        self.ef = rest[1] - e * self.by_scale[1] - p * self.by_turn[1]
        self.ff = rest[2] + error**-2 - f * self.by_scale[1] - q * self.by_turn[1]
        self.determinant = self.ee * self.ff - self.ef**2

    def solve(self, right: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], ...]:
        """Solve for the four unknowns."""
        (e, f), (p, q) = self.by_scale, self.by_turn
        along = right[2] - e * right[0] - p * right[1]
        across = right[3] - f * right[0] - q * right[1]
        new_e = (self.ff * along - self.ef * across) / self.determinant
        new_f = (self.ee * across - self.ef * along) / self.determinant
        scale, turn = (
            right[0] / self.scale - e * new_e - f * new_f,
            right[1] / self.turn - p * new_e - q * new_f,
        )
        return scale, turn, new_e, new_f

    def normal(self) -> _Normal:
        """Variances, and the information of the spots."""
        variance, turn_variance = (
            1 / own + (self.ff * p**2 - 2 * self.ef * p * q + self.ee * q**2) / self.determinant
            for own, (p, q) in ((self.scale, self.by_scale), (self.turn, self.by_turn))
        )
        return _Normal(variance, turn_variance, 1 / self.turn, self.information())

    def information(self) -> NDArray[np.float64]:
        """Information of the spots on ln scale and the stretches, with free rotation, shape (n, 3, 3)."""
        scale, e, f, _, p, q, ee, ef, ff = self.data
        with_turn = p * self.by_turn[0], p * self.by_turn[1], q * self.by_turn[1]
        ee, ef, ff = ee - with_turn[0], ef - with_turn[1], ff - with_turn[2]
        return np.stack([scale, e, f, e, ee, ef, f, ef, ff], axis=1).reshape(-1, 3, 3)


#: Tolerance for matching a pair of spots to a pair of reflections, in standard deviations.
GATE = 3.3
#: Grain, first and second spot of each pair.
_Pairs = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
#: Number of pairs of a grain's spots that are looked up, and the number if none of these fits anything. In
#: large cells with many reflections of similar strength, the strongest spots may not be among the `STARTERS`.
MOST_PAIRS, FURTHER_PAIRS = 8, 280


def spot_pairs(observed: Observed, first_pair: int = 0, most: int = MOST_PAIRS) -> _Pairs:
    """Pairs of spots in different directions, strongest first: grain, first and second spot."""
    width = observed.valid.shape[1]
    first, second = np.triu_indices(width, 1)
    order = np.argsort(first + 1.5 * second, kind="stable")
    first, second = first[order], second[order]
    cross = np.abs(np.sin(observed.azimuth[:, first] - observed.azimuth[:, second]))
    usable = observed.valid[:, first] & observed.valid[:, second] & (cross > np.sin(COLLINEAR))
    rank = np.cumsum(usable, axis=1)
    grain, pair = np.nonzero(usable & (rank > first_pair) & (rank <= most))
    return grain, first[pair], second[pair]


def propose(observed: Observed, index: PhaseIndex, log_scale: float, scale_error: float) -> Hypotheses:
    """Find all placements in which two spots of a grain are reflections of a pattern.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    log_scale, scale_error : float
        Prior mean and standard uncertainty of ln scale of the image.
    """
    known_scale = log_scale, scale_error
    pairs = _both_ways(observed, spot_pairs(observed))
    query, row = _look_up(observed, index, pairs, known_scale)
    without = np.ones(len(observed.valid), bool)
    without[pairs[0][query]] = False
    if without.any():
        grain, i, j = spot_pairs(observed, MOST_PAIRS, FURTHER_PAIRS)
        asked = without[grain]
        further = _both_ways(observed, (grain[asked], i[asked], j[asked]))
        more, row_of_more = _look_up(observed, index, further, known_scale)
        query, row = np.append(query, more + len(pairs[0])), np.append(row, row_of_more)
        grain, i, j = (np.append(some, others) for some, others in zip(pairs, further, strict=True))
    else:
        grain, i, j = pairs
    return place(observed, index, (grain[query], i[query], j[query]), row)


def _both_ways(observed: Observed, pairs: _Pairs) -> _Pairs:
    """Sort pairs so that the shorter vector comes first; pairs of equal lengths appear in both orders."""
    grain, i, j = pairs
    swap = observed.log_length[grain, i] > observed.log_length[grain, j]
    i, j = np.where(swap, j, i), np.where(swap, i, j)
    equal = observed.log_length[grain, j] - observed.log_length[grain, i] < GATE * np.hypot(
        observed.length_error[grain, i], observed.length_error[grain, j]
    )
    grain = np.concatenate([grain, grain[equal]])
    return grain, np.concatenate([i, j[equal]]), np.concatenate([j, i[equal]])


def _look_up(
    observed: Observed,
    index: PhaseIndex,
    pairs: _Pairs,
    known_scale: tuple[float, float],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Query number and index row of every pair of reflections that fits a pair of spots."""
    grain, i, j = pairs
    length, error = observed.log_length, observed.length_error
    ratio = length[grain, j] - length[grain, i]
    ratio_error = np.sqrt(error[grain, i] ** 2 + error[grain, j] ** 2 + 2 * observed.distortion**2)
    low = np.searchsorted(index.pair_ratio, ratio - GATE * ratio_error)
    high = np.searchsorted(index.pair_ratio, ratio + GATE * ratio_error)
    angle, angle_error = _folded_angle(observed, grain, i, j)
    g = length[grain, i] - known_scale[0]
    reach = GATE * np.sqrt(error[grain, i] ** 2 + known_scale[1] ** 2 + observed.distortion**2)
    found = []
    for n, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        fits = np.abs(index.pair_angle[first:last] - angle[n]) < GATE * angle_error[n]
        fits &= np.abs(g[n] - index.pair_g[first:last]) < reach[n]
        found.append(np.flatnonzero(fits) + first)
    query = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
    return query, np.concatenate(found) if found else np.zeros(0, np.intp)


def _folded_angle(
    observed: Observed, grain: NDArray[np.intp], i: NDArray[np.intp], j: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angle between two spots, folded to 0 to 90 degrees, and its standard uncertainty."""
    azimuth, error = observed.azimuth, observed.angle_error
    total = np.sqrt(error[grain, i] ** 2 + error[grain, j] ** 2 + 2 * observed.distortion**2)
    angle = np.degrees(np.abs(azimuth[grain, i] - azimuth[grain, j])) % 180.0
    return np.minimum(angle, 180.0 - angle), np.degrees(total)
