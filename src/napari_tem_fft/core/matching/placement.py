"""Placement: a pattern laid under a grain's spots, with the scale, rotation and stretch that fit best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .index import PhaseIndex
from .observed import Observed

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
    relative_f : ndarray, shape (n, spots)
        0 where the point is forbidden.
    family : ndarray of int, shape (n, spots)
        -1 where the point is forbidden.
    length_residual, angle_residual : ndarray, shape (n, spots)
        ln |g| and azimuth (radians), measured minus fitted, with the fitted scale, rotation and stretch.
    near : ndarray of bool, shape (n, spots)
        Whether the spot is within reach of that point.
    log_scale, scale_error : ndarray, shape (n,)
        ln of the factor on the measured d, and its standard uncertainty from these spots.
    stretch : ndarray, shape (n, 2)
        Fitted stretch of g along x against y, and along one diagonal against the other.
    log_volume : ndarray, shape (n,)
        ln of the share of all rotations and stretches that fit as well as this.
    """

    grain: NDArray[np.intp]
    zone: NDArray[np.int32]
    position: NDArray[np.int64]
    relative_f: NDArray[np.float32]
    family: NDArray[np.int32]
    length_residual: NDArray[np.float64]
    angle_residual: NDArray[np.float64]
    near: NDArray[np.bool_]
    log_scale: NDArray[np.float64]
    scale_error: NDArray[np.float64]
    stretch: NDArray[np.float64]
    log_volume: NDArray[np.float64]

    def rows(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Hypotheses:
        """Some of the hypotheses."""
        return Hypotheses(*(getattr(self, name)[chosen] for name in self.__slots__))


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
    fit, basis = _fit_pair(observed, index, pairs, row)
    grain, zone = pairs[0], index.pair_zone[row]
    first = _distinct(grain, zone, _assign(observed, grain, basis, fit))
    grain, zone, basis, fit = grain[first], zone[first], basis[first], fit.rows(first)
    for _ in range(2):
        assigned = _assign(observed, grain, basis, fit)
        fit, covariance = _refit(observed, grain, fit, assigned)
    assigned = _assign(observed, grain, basis, fit)
    hkl = assigned.position @ index.zone_hkl[zone].astype(np.int64)
    phase = np.broadcast_to(index.zone_phase[zone][:, None], assigned.near.shape)
    relative_f, family = index.planes(phase, hkl)
    placed = Hypotheses(
        grain=grain,
        zone=zone,
        position=assigned.position,
        relative_f=relative_f,
        family=family,
        length_residual=assigned.length,
        angle_residual=assigned.angle,
        near=assigned.near,
        log_scale=fit.scale,
        scale_error=np.sqrt(covariance[:, 0, 0]),
        stretch=fit.stretch,
        log_volume=_log_volume(covariance, fit.stretch, observed.stretch),
    )
    return placed.rows(_distinct(grain, zone, assigned))


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    turn: NDArray[np.float64]
    scale: NDArray[np.float64]
    stretch: NDArray[np.float64]

    def rows(self, chosen: NDArray[np.intp]) -> _Fit:
        return _Fit(self.turn[chosen], self.scale[chosen], self.stretch[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class _Assigned:
    position: NDArray[np.int64]
    point_length: NDArray[np.float64]
    length: NDArray[np.float64]
    angle: NDArray[np.float64]
    near: NDArray[np.bool_]


def _fit_pair(
    observed: Observed,
    index: PhaseIndex,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
    row: NDArray[np.intp],
) -> tuple[_Fit, NDArray[np.float64]]:
    """Rotation and scale from a pair of spots; the zone's basis, mirrored where the pair asks for it."""
    grain, i, j = pairs
    basis = index.zone_basis[index.pair_zone[row]]
    pair = index.pair_positions[row] @ basis
    first, second = observed.g[grain, i], observed.g[grain, j]
    second = second * np.where((first * second).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    mirrored = _cross(first, second) * _cross(pair[:, 0], pair[:, 1]) < 0
    flip = np.where(mirrored, -1.0, 1.0)
    basis, pair = _mirrored(basis, flip), _mirrored(pair, flip)
    turn = _angle(pair[:, 0], first)
    turn = 0.5 * (turn + _unwrapped(_angle(pair[:, 1], second), turn))
    scale = 0.5 * (_log_ratio(first, pair[:, 0]) + _log_ratio(second, pair[:, 1]))
    return _Fit(turn, scale, np.zeros((len(row), 2))), basis


def _assign(observed: Observed, grain: NDArray[np.intp], basis: NDArray[np.float64], fit: _Fit) -> _Assigned:
    """Nearest lattice point of each spot, residuals of ln |g| and azimuth, and whether it is near."""
    x, y = _laid_back(observed.g[grain], fit)
    column, row = _on_basis(x, y, inverse(basis))
    column, row = np.rint(column), np.rint(row)
    point_x, point_y = _on_basis(column, row, basis)
    square = np.maximum(point_x**2 + point_y**2, 1e-18)
    length = 0.5 * np.log(np.maximum(x**2 + y**2, 1e-18) / square)
    angle = np.arctan2(point_x * y - point_y * x, point_x * x + point_y * y)
    off = (length / observed.length_error[grain]) ** 2 + (angle / observed.angle_error[grain]) ** 2
    near = (off < FAR**2) & observed.there[grain] & ((column != 0) | (row != 0))
    position = np.stack([column, row], axis=-1).astype(np.int64)
    return _Assigned(position, np.sqrt(square), length, angle, near)


def _laid_back(g: NDArray[np.float64], fit: _Fit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The spots' x and y as they would be in the pattern: stretch, rotation and scale undone."""
    shrink = np.exp(-fit.scale)
    cosine, sine = shrink * np.cos(fit.turn), shrink * np.sin(fit.turn)
    e, f = fit.stretch.T
    matrix = np.empty((len(e), 2, 2))
    matrix[:, 0, 0], matrix[:, 1, 0] = cosine * (1 - e) - sine * f, sine * (1 + e) - cosine * f
    matrix[:, 0, 1], matrix[:, 1, 1] = -sine * (1 - e) - cosine * f, cosine * (1 + e) + sine * f
    return _on_basis(g[..., 0], g[..., 1], matrix)


def _on_basis(
    first: NDArray[np.float64], second: NDArray[np.float64], basis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row vectors of shape (n, spots), by their components, times matrices of shape (n, 2, 2)."""
    (a, b), (c, d) = basis.transpose(1, 2, 0)[..., None]
    return first * a + second * c, first * b + second * d


def inverse(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverses of matrices of shape (n, 2, 2); faster than those of any size."""
    (a, b), (c, d) = basis.transpose(1, 2, 0)
    adjoint = np.stack([np.stack([d, -b], axis=-1), np.stack([-c, a], axis=-1)], axis=-2)
    result: NDArray[np.float64] = adjoint / (a * d - b * c)[:, None, None]
    return result


def _distinct(grain: NDArray[np.intp], zone: NDArray[np.int32], assigned: _Assigned) -> NDArray[np.intp]:
    """One row of each set that gives all spots of a grain points of the same length in the same zone."""
    label = np.where(assigned.near, np.rint(2000 * assigned.point_length), 0).astype(np.int64)
    key = np.column_stack([grain, zone, label])
    mixers = np.random.default_rng(1).integers(1, 2**62, key.shape[1]) | 1
    return np.unique((key * mixers).sum(axis=1), return_index=True)[1]


def _refit(
    observed: Observed, grain: NDArray[np.intp], fit: _Fit, assigned: _Assigned
) -> tuple[_Fit, NDArray[np.float64]]:
    """Scale, rotation and stretch by least squares over the near spots, and their covariance.

    The stretch is held near zero by what is believed of it.
    """
    twice = 2 * observed.azimuth
    c, s = np.cos(twice)[grain], np.sin(twice)[grain]
    e, f = fit.stretch[:, :1], fit.stretch[:, 1:]
    by_length = assigned.near / observed.length_error[grain] ** 2
    by_angle = assigned.near / observed.angle_error[grain] ** 2
    length = by_length * (assigned.length + e * c + f * s)
    angle = by_angle * (assigned.angle - e * s + f * c)
    covariance: NDArray[Any] = np.linalg.inv(_precision(by_length, by_angle, c, s, observed.stretch))
    right = (length, angle, length * c - angle * s, length * s + angle * c)
    step = np.einsum("nab,bn->na", covariance, np.array([part.sum(axis=1) for part in right]))
    return _Fit(fit.turn + step[:, 1], fit.scale + step[:, 0], step[:, 2:]), covariance


def _precision(
    by_length: NDArray[np.float64],
    by_angle: NDArray[np.float64],
    c: NDArray[np.float64],
    s: NDArray[np.float64],
    stretch: float,
) -> NDArray[np.float64]:
    """Inverse covariance of ln scale, rotation and the two stretches, shape (n, 4, 4).

    A residual of ln |g| changes with them by (1, 0, c, s), one of the azimuth by (0, 1, -s, c), where c and
    s are cosine and sine of twice the azimuth.
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
    precision = np.zeros((len(c), 4, 4))
    for (row, column), term in terms.items():
        precision[:, row, column] = precision[:, column, row] = term.sum(axis=1)
    precision += np.diag([1.0, 1.0, stretch**-2, stretch**-2])
    return precision


def _log_volume(
    covariance: NDArray[np.float64], stretch: NDArray[np.float64], believed: float
) -> NDArray[np.float64]:
    """ln of the integral over rotation (any is as likely) and stretch (Gaussian), scale held at its best."""
    determinant = np.linalg.det(covariance) / covariance[:, 0, 0]
    volume: NDArray[np.float64] = 0.5 * np.log(np.maximum(determinant, 1e-300) * (2 * np.pi) ** 3)
    volume -= np.log(2 * np.pi) + np.log(2 * np.pi * believed**2)
    volume -= 0.5 * (stretch**2).sum(axis=1) / believed**2
    return volume


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _mirrored(vectors: NDArray[np.float64], flip: NDArray[np.float64]) -> NDArray[np.float64]:
    mirrored: NDArray[np.float64] = np.stack([vectors[..., 0], vectors[..., 1] * flip[:, None]], axis=-1)
    return mirrored


def _angle(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    angle: NDArray[np.float64] = np.arctan2(_cross(a, b), (a * b).sum(axis=-1))
    return angle


def _unwrapped(angle: NDArray[np.float64], near: NDArray[np.float64]) -> NDArray[np.float64]:
    turned: NDArray[np.float64] = near + (angle - near + np.pi) % (2 * np.pi) - np.pi
    return turned


def _log_ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.log(np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1))
    return ratio
