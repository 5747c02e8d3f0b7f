"""Placement: a pattern laid under a grain's spots, with the scale, rotation and stretch that fit best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import Likelihoods
from .observations import Observed
from .pair_index import PhaseIndex

#: An assignment farther away than this many standard deviations is not made.
FAR = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Hypotheses:
    """Placements of patterns under grains; one row a hypothesis.

    Attributes
    ----------
    grain, zone : ndarray of int, shape (n,)
    position : ndarray of int, shape (n, spots, 2)
        Nearest point of the zone's lattice for each of the grain's spots.
    length_residual, angle_residual : ndarray, shape (n, spots)
        ln |g| and azimuth (radians), measured minus fitted, with the fitted scale, rotation and stretch.
    near : ndarray of bool, shape (n, spots)
        Whether the spot is within reach of that point.
    log_scale, scale_error : ndarray, shape (n,)
        ln of the factor on the measured d, and its standard uncertainty from these spots.
    distortion : ndarray, shape (n, 2)
        Fitted stretch of g along x against y, and along one diagonal against the other.
    information : ndarray, shape (n, 3, 3)
        Minus the second derivatives of ln L in ln scale and the two stretches, the rotation integrated over.
    gradient : ndarray, shape (n, 3)
        First derivatives there: what holds the stretches near what is believed of them.
    log_volume : ndarray, shape (n,)
        ln of the share of all rotations that fit as well as this.
    rotation, rotation_error : ndarray, shape (n,), radians
        By which the pattern's first axis is turned from +x towards +y (which points down), and its standard
        uncertainty, the stretch's included.
    mirrored : ndarray of bool, shape (n,)
        Whether the pattern is mirrored before it is turned: y of its plane changes sign.
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
        """Some of the hypotheses."""
        return Hypotheses(*(getattr(self, name)[chosen] for name in self.__slots__))

    @classmethod
    def joined(cls, parts: Sequence[Hypotheses]) -> Hypotheses:
        """Those of several searches under the same grains."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))

    def likelihoods(self, log_evidence: NDArray[np.float64]) -> Likelihoods:
        """What each says of the image's scale and stretches; `log_evidence` is that at its own."""
        theta = np.concatenate([self.log_scale[:, None], self.distortion], axis=1)
        return Likelihoods.around(theta, log_evidence, self.gradient, self.information).of_image()


def place(
    observed: Observed,
    index: PhaseIndex,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
    row: NDArray[np.intp],
) -> Hypotheses:
    """Fit scale, rotation and mirror on a pair, give every spot its lattice point, fit again on all.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    pairs : tuple of ndarray of int, shape (n,)
        Grain, first and second spot.
    row : ndarray of int, shape (n,)
        The pair of reflections: row of the index's pairs.
    """
    belief = _Belief.of(observed)
    fit, basis = _fit_pair(observed, index, pairs, row, belief)
    grain, zone = pairs[0], index.pair_zone[row]
    assigned = _assign(_Seen.of(observed, grain), basis, fit)
    first = _distinct(grain, zone, assigned.near, assigned.point_square)
    grain, zone, basis, fit = grain[first], zone[first], basis[..., first], fit.rows(first)
    fitted, square = _fitted(_Seen.of(observed, grain), grain, zone, basis, fit, belief)
    return fitted.rows(_distinct(grain, zone, fitted.near.T, square))


def refit(
    observed: Observed,
    index: PhaseIndex,
    hypotheses: Hypotheses,
    stretch: tuple[float, float],
    error: float,
) -> Hypotheses:
    """The same placements with the stretches held near those of the image.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    hypotheses : Hypotheses
    stretch : tuple of float
        The image's.
    error : float
        How well they are known, and how much a grain may differ from them.
    """
    basis = _last(index.zone_basis[hypotheses.zone])
    flip = np.where(hypotheses.mirrored, -1.0, 1.0)
    basis = np.array([[basis[0, 0], flip * basis[0, 1]], [basis[1, 0], flip * basis[1, 1]]])
    fit = _Fit(hypotheses.rotation, hypotheses.log_scale, hypotheses.distortion)
    seen = _Seen.of(observed, hypotheses.grain)
    belief = _Belief(np.array(stretch), error)
    return _fitted(seen, hypotheses.grain, hypotheses.zone, basis, fit, belief)[0]


def _fitted(
    seen: _Seen,
    grain: NDArray[np.intp],
    zone: NDArray[np.int32],
    basis: NDArray[np.float64],
    fit: _Fit,
    belief: _Belief,
) -> tuple[Hypotheses, NDArray[np.float64]]:
    """Every spot is given its lattice point, and all are fitted, twice; and |g|^2 of the points."""
    for _ in range(2):
        fit, normal = _refit(seen, fit, _assign(seen, basis, fit), belief)
    assigned = _assign(seen, basis, fit)
    position = np.stack([assigned.column, assigned.row], axis=-1)
    held = (belief.stretch - fit.distortion) / belief.error**2
    fitted = Hypotheses(
        grain=grain,
        zone=zone,
        position=position.astype(np.int64).swapaxes(0, 1),
        length_residual=assigned.length.T,
        angle_residual=assigned.angle.T,
        near=assigned.near.T,
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

    def rows(self, chosen: NDArray[np.intp]) -> _Fit:
        return _Fit(self.turn[chosen], self.scale[chosen], self.distortion[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class _Belief:
    """Where the two stretches are held, shape (2,), and how closely."""

    stretch: NDArray[np.float64]
    error: float

    @classmethod
    def of(cls, observed: Observed) -> _Belief:
        return cls(np.zeros(2), observed.distortion)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The spots that each placement has to explain, shape (spots, n): sums over spots are fast that way.

    `by_length` and `by_angle` are the inverse variances of ln |g| and azimuth, `c` and `s` cosine and sine of
    twice the azimuth.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    by_length: NDArray[np.float64]
    by_angle: NDArray[np.float64]
    valid: NDArray[np.bool_]
    c: NDArray[np.float64]
    s: NDArray[np.float64]

    @classmethod
    def of_pair(
        cls, observed: Observed, pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
    ) -> _Seen:
        """Two spots of each grain."""
        grain, *two = pairs
        x, y = observed.g[grain, two].transpose(2, 0, 1)
        by_length, by_angle = (
            error[grain, two] ** -2 for error in (observed.length_error, observed.angle_error)
        )
        twice = 2 * np.arctan2(y, x)
        return cls(x, y, by_length, by_angle, np.ones(x.shape, bool), np.cos(twice), np.sin(twice))

    @classmethod
    def of(cls, observed: Observed, grain: NDArray[np.intp]) -> _Seen:
        """The spots of these grains."""
        twice = 2 * observed.azimuth
        by_length, by_angle = observed.length_error**-2, observed.angle_error**-2
        table = (
            *observed.g.transpose(2, 0, 1),
            by_length,
            by_angle,
            observed.valid,
            np.cos(twice),
            np.sin(twice),
        )
        return cls(*(np.ascontiguousarray(values.T).take(grain, axis=1) for values in table))


@dataclass(frozen=True, slots=True, eq=False)
class _Assigned:
    """Lattice points of the spots, shape (spots, n): place, |g|^2, residuals, and whether it is near."""

    column: NDArray[np.float64]
    row: NDArray[np.float64]
    point_square: NDArray[np.float64]
    length: NDArray[np.float64]
    angle: NDArray[np.float64]
    near: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Normal:
    """Of the least-squares fits.

    Variances of ln scale and of the rotation, that of the rotation with all else held, and what the spots say
    of ln scale and the stretches, shape (n, 3, 3).
    """

    scale_variance: NDArray[np.float64]
    turn_variance: NDArray[np.float64]
    turn_share: NDArray[np.float64]
    information: NDArray[np.float64]


def _fit_pair(
    observed: Observed,
    index: PhaseIndex,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
    row: NDArray[np.intp],
    belief: _Belief,
) -> tuple[_Fit, NDArray[np.float64]]:
    """Geometry from a pair of spots; the zone's basis, (2, 2, n), mirrored where the pair is."""
    grain, i, j = pairs
    (ax, ay), (bx, by) = _last(index.zone_basis[index.pair_zone[row]])
    (h, k), (m, n) = _last(index.pair_positions[row]).astype(np.float64)
    pair_x, pair_y, other_x, other_y = h * ax + k * bx, h * ay + k * by, m * ax + n * bx, m * ay + n * by
    (x, y), (second_x, second_y) = observed.g[grain, i].T, observed.g[grain, j].T
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
    # in a stretched image the other spots are near their points only if the pair's own stretch is known
    seen = _Seen.of_pair(observed, pairs)
    points = np.array([h, sign * m]), np.array([k, sign * n])
    for _ in range(2):
        assigned = _assign_points(seen, _laid_back(seen, fit), basis, points)
        fit = _refit(seen, fit, replace(assigned, near=seen.valid), belief)[0]
    return fit, basis


def _last(matrices: NDArray[Any]) -> NDArray[Any]:
    """Matrices of shape (n, 2, 2) as one of shape (2, 2, n), whose entries are arrays."""
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
    """The spots, at x and y in the pattern, as given points of the lattice."""
    (x, y), (column, row) = place, points
    point_x, point_y = _on_basis(column, row, basis)
    square = np.maximum(point_x**2 + point_y**2, 1e-18)
    length = 0.5 * np.log(np.maximum(x**2 + y**2, 1e-18) / square)
    angle = np.arctan2(point_x * y - point_y * x, point_x * x + point_y * y)
    near = length**2 * seen.by_length + angle**2 * seen.by_angle < FAR**2
    near &= seen.valid & ((column != 0) | (row != 0))
    return _Assigned(column, row, square, length, angle, near)


def _laid_back(seen: _Seen, fit: _Fit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The spots' x and y as they would be in the pattern: stretch, rotation and scale undone."""
    shrink = np.exp(-fit.scale)
    cosine, sine = shrink * np.cos(fit.turn), shrink * np.sin(fit.turn)
    e, f = fit.distortion.T
    first = cosine * (1 - e) - sine * f, -sine * (1 - e) - cosine * f
    second = sine * (1 + e) - cosine * f, cosine * (1 + e) + sine * f
    return _on_basis(seen.x, seen.y, np.array([first, second]))


def _on_basis(
    first: NDArray[np.float64], second: NDArray[np.float64], basis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row vectors of shape (spots, n), by their components, times matrices of shape (2, 2, n)."""
    (a, b), (c, d) = basis
    return first * a + second * c, first * b + second * d


def inverse(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverses of matrices of shape (n, 2, 2); faster than those of any size."""
    return _inverse(basis.transpose(1, 2, 0)).transpose(2, 0, 1)


def _inverse(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverses of matrices of shape (2, 2, n)."""
    (a, b), (c, d) = basis
    result: NDArray[np.float64] = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    return result


def _distinct(
    grain: NDArray[np.intp],
    zone: NDArray[np.int32],
    near: NDArray[np.bool_],
    point_square: NDArray[np.float64],
) -> NDArray[np.intp]:
    """One row of each set that gives all spots of a grain points of the same length in the same zone."""
    label = np.where(near, np.rint(2000 * np.sqrt(point_square)), 0).astype(np.int64)
    mixers = np.random.default_rng(1).integers(1, 2**62, len(label) + 2) | 1
    key = grain * mixers[0] + zone * mixers[1] + (label * mixers[2:, None]).sum(axis=0)
    return np.unique(key, return_index=True)[1]


def _refit(seen: _Seen, fit: _Fit, assigned: _Assigned, belief: _Belief) -> tuple[_Fit, _Normal]:
    """Scale, rotation and stretch by least squares over the near spots.

    The stretch is held near what is believed of it. A residual of ln |g| changes with these four by
    (1, 0, c, s), one of the azimuth by (0, 1, -s, c); so the matrix of the normal equations is diagonal in
    scale and rotation, which are eliminated first (Schur complement).
    """
    e, f = fit.distortion.T
    c, s = seen.c, seen.s
    by_length, by_angle = assigned.near * seen.by_length, assigned.near * seen.by_angle
    length = by_length * (assigned.length + e * c + f * s)
    angle = by_angle * (assigned.angle - e * s + f * c)
    right = [part.sum(axis=0) for part in (length, angle, length * c - angle * s, length * s + angle * c)]
    for part, known in zip(right[2:], belief.stretch, strict=True):
        part += known / belief.error**2
    precision = _precision(by_length, by_angle, c, s, belief.error)
    (scale, _, *scale_with), (_, turn, *turn_with) = precision[:2]
    (ee, ef), (_, ff) = (
        [
            precision[i + 2, j + 2]
            - scale_with[i] * scale_with[j] / scale
            - turn_with[i] * turn_with[j] / turn
            for j in (0, 1)
        ]
        for i in (0, 1)
    )
    determinant = ee * ff - ef**2
    rest = [right[i + 2] - scale_with[i] / scale * right[0] - turn_with[i] / turn * right[1] for i in (0, 1)]
    new_e, new_f = (ff * rest[0] - ef * rest[1]) / determinant, (ee * rest[1] - ef * rest[0]) / determinant
    by_scale = (right[0] - scale_with[0] * new_e - scale_with[1] * new_f) / scale
    by_turn = (right[1] - turn_with[0] * new_e - turn_with[1] * new_f) / turn
    variance, turn_variance = (
        1 / own + (ff * p**2 - 2 * ef * p * q + ee * q**2) / determinant
        for own, (p, q) in (
            (scale, (part / scale for part in scale_with)),
            (turn, (part / turn for part in turn_with)),
        )
    )
    fitted = _Fit(fit.turn + by_turn, fit.scale + by_scale, np.stack([new_e, new_f], axis=1))
    return fitted, _Normal(variance, turn_variance, 1 / turn, _information(precision, belief.error))


def _information(precision: NDArray[np.float64], distortion: float) -> NDArray[np.float64]:
    """What the spots alone say of ln scale and the stretches, the rotation left free, shape (n, 3, 3)."""
    kept = [0, 2, 3]
    rest = precision[np.ix_(kept, kept)] - precision[kept, 1][:, None] * precision[1, kept] / precision[1, 1]
    rest[range(3), range(3)] -= np.array([1.0, distortion**-2, distortion**-2])[:, None]
    information: NDArray[np.float64] = np.ascontiguousarray(rest.transpose(2, 0, 1))
    return information


def _precision(
    by_length: NDArray[np.float64],
    by_angle: NDArray[np.float64],
    c: NDArray[np.float64],
    s: NDArray[np.float64],
    distortion: float,
) -> NDArray[np.float64]:
    """Inverse covariance of ln scale, rotation and the two stretches, shape (4, 4, n).

    All arrays are of shape (spots, n); see `_refit`.
    """
    length_c, length_s, angle_c, angle_s = by_length * c, by_length * s, by_angle * c, by_angle * s
    terms = {
        (0, 0): by_length,
        (0, 2): length_c,
        (0, 3): length_s,
        (1, 1): by_angle,
        (1, 2): -angle_s,
        (1, 3): angle_c,
        (2, 2): length_c * c + angle_s * s,
        (2, 3): (length_c - angle_c) * s,
        (3, 3): length_s * s + angle_c * c,
    }
    precision = np.zeros((4, 4, c.shape[1]))
    for (row, column), term in terms.items():
        precision[row, column] = precision[column, row] = term.sum(axis=0)
    precision[range(4), range(4)] += np.array([1.0, 1.0, distortion**-2, distortion**-2])[:, None]
    return precision
