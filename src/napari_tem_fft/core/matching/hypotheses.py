"""Hypotheses: which pattern could lie under a grain's spots, turned and scaled how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .index import PhaseIndex
from .observed import COLLINEAR, Observed

#: A pair of spots fits a pair of reflections within so many standard deviations.
GATE = 3.3
#: At most so many pairs of a grain's spots are looked up.
MOST_PAIRS = 8
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
        ln |g| and azimuth, measured minus fitted, radians, with the fitted scale and rotation.
    near : ndarray of bool, shape (n, spots)
        Whether the spot is within reach of that point.
    log_scale, scale_error : ndarray, shape (n,)
        ln of the factor on the measured d, and its standard uncertainty from these spots.
    turn_error : ndarray, shape (n,)
        Uncertainty of the rotation, radians.
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
    turn_error: NDArray[np.float64]

    def rows(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Hypotheses:
        """Some of the hypotheses."""
        return Hypotheses(*(getattr(self, name)[chosen] for name in self.__slots__))


def spot_pairs(observed: Observed) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of directions of each grain, strong spots first: grain, first and second spot."""
    width = observed.there.shape[1]
    first, second = np.triu_indices(width, 1)
    order = np.argsort(first + 1.5 * second, kind="stable")
    first, second = first[order], second[order]
    cross = np.abs(np.sin(observed.azimuth[:, first] - observed.azimuth[:, second]))
    usable = observed.there[:, first] & observed.there[:, second] & (cross > np.sin(COLLINEAR))
    rank = np.cumsum(usable, axis=1)
    grain, pair = np.nonzero(usable & (rank <= MOST_PAIRS))
    return grain, first[pair], second[pair]


def propose(observed: Observed, index: PhaseIndex, log_scale: float, scale_error: float) -> Hypotheses:
    """All placements under which two spots of a grain are reflections of a pattern.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    log_scale, scale_error : float
        ln of the image's scale as far as it is known, and its standard uncertainty.
    """
    grain, i, j = spot_pairs(observed)
    swap = observed.log_length[grain, i] > observed.log_length[grain, j]
    i, j = np.where(swap, j, i), np.where(swap, i, j)
    equal = observed.log_length[grain, j] - observed.log_length[grain, i] < GATE * np.hypot(
        observed.length_error[grain, i], observed.length_error[grain, j]
    )
    grain = np.concatenate([grain, grain[equal]])
    i, j = np.concatenate([i, j[equal]]), np.concatenate([j, i[equal]])
    query, row = _look_up(observed, index, (grain, i, j), (log_scale, scale_error))
    return _distinct(_place(observed, index, grain[query], i[query], j[query], row), index)


def _look_up(
    observed: Observed,
    index: PhaseIndex,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]],
    known_scale: tuple[float, float],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number of the query and row of the index for every pair of reflections that fits a pair of spots."""
    grain, i, j = pairs
    length, error = observed.log_length, observed.length_error
    ratio = length[grain, j] - length[grain, i]
    ratio_error = np.hypot(error[grain, i], error[grain, j])
    low = np.searchsorted(index.pair_ratio, ratio - GATE * ratio_error)
    high = np.searchsorted(index.pair_ratio, ratio + GATE * ratio_error)
    query = np.repeat(np.arange(len(grain)), high - low)
    row = np.arange(len(query)) - np.repeat(np.cumsum(high - low) - (high - low), high - low) + low[query]
    angle, angle_error = _folded_angle(observed, grain, i, j)
    off = np.abs(index.pair_angle[row] - angle[query]) / angle_error[query]
    scale = length[grain, i][query] - index.pair_g[row] - known_scale[0]
    reach = GATE * np.hypot(error[grain, i][query], known_scale[1])
    keep = (off < GATE) & (np.abs(scale) < reach)
    return query[keep], row[keep]


def _folded_angle(
    observed: Observed, grain: NDArray[np.intp], i: NDArray[np.intp], j: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angle between two spots, 0 to 90 degrees, and its standard uncertainty."""
    azimuth, error = observed.azimuth, observed.angle_error
    angle = np.degrees(np.abs(azimuth[grain, i] - azimuth[grain, j])) % 180.0
    return np.minimum(angle, 180.0 - angle), np.degrees(np.hypot(error[grain, i], error[grain, j]))


def _place(
    observed: Observed,
    index: PhaseIndex,
    grain: NDArray[np.intp],
    i: NDArray[np.intp],
    j: NDArray[np.intp],
    row: NDArray[np.intp],
) -> Hypotheses:
    """Fit rotation, mirror and scale on the pair, give every spot its lattice point, fit again on all."""
    zone = index.pair_zone[row]
    basis = index.zone_basis[zone]
    pair = index.pair_positions[row] @ basis
    first, second = observed.g[grain, i], observed.g[grain, j]
    second = second * np.where((first * second).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    mirrored = _cross(first, second) * _cross(pair[:, 0], pair[:, 1]) < 0
    flip = np.where(mirrored, -1.0, 1.0)
    basis, pair = _mirrored(basis, flip), _mirrored(pair, flip)
    turn = 0.5 * (
        _angle(pair[:, 0], first) + _unwrapped(_angle(pair[:, 1], second), _angle(pair[:, 0], first))
    )
    scale = 0.5 * (_log_ratio(first, pair[:, 0]) + _log_ratio(second, pair[:, 1]))
    fit = _Fit(turn, scale)
    for _ in range(2):
        position, length, angle, near = _assign(observed, grain, basis, fit)
        fit, scale_error, turn_error = _refit(observed, grain, fit, length, angle, near)
    position, length, angle, near = _assign(observed, grain, basis, fit)
    hkl = position @ index.zone_hkl[zone].astype(np.int64)
    relative_f, family = index.planes(np.broadcast_to(index.zone_phase[zone][:, None], near.shape), hkl)
    near &= position.any(axis=-1)
    return Hypotheses(
        grain, zone, position, relative_f, family, length, angle, near, fit.scale, scale_error, turn_error
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    turn: NDArray[np.float64]
    scale: NDArray[np.float64]


def _assign(
    observed: Observed, grain: NDArray[np.intp], basis: NDArray[np.float64], fit: _Fit
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Nearest lattice point of each spot, residuals of ln |g| and azimuth, and whether it is near."""
    cosine, sine = np.cos(fit.turn)[:, None], np.sin(fit.turn)[:, None]
    x, y = observed.g[grain, :, 0], observed.g[grain, :, 1]
    shrink = np.exp(-fit.scale)[:, None, None]
    back = np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=-1) * shrink
    position = np.rint(back @ np.linalg.inv(basis))
    point = position @ basis
    norm = np.maximum(np.hypot(point[..., 0], point[..., 1]), 1e-9)
    length = np.log(np.maximum(np.hypot(back[..., 0], back[..., 1]), 1e-9) / norm)
    angle = np.arctan2(_cross(point, back), (point * back).sum(axis=-1))
    off = (length / observed.length_error[grain]) ** 2 + (angle / observed.angle_error[grain]) ** 2
    near = (off < FAR**2) & observed.there[grain] & position.any(axis=-1)
    return position.astype(np.int64), length, angle, near


def _refit(
    observed: Observed,
    grain: NDArray[np.intp],
    fit: _Fit,
    length: NDArray[np.float64],
    angle: NDArray[np.float64],
    near: NDArray[np.bool_],
) -> tuple[_Fit, NDArray[np.float64], NDArray[np.float64]]:
    """Scale and rotation by least squares over the near spots, with their uncertainties."""
    by_length = near / observed.length_error[grain] ** 2
    by_angle = near / observed.angle_error[grain] ** 2
    total_length = np.maximum(by_length.sum(axis=1), 1.0)
    total_angle = np.maximum(by_angle.sum(axis=1), 1.0)
    scale = fit.scale + (by_length * length).sum(axis=1) / total_length
    turn = fit.turn + (by_angle * angle).sum(axis=1) / total_angle
    return _Fit(turn, scale), total_length**-0.5, total_angle**-0.5


def _distinct(hypotheses: Hypotheses, index: PhaseIndex) -> Hypotheses:
    """One of those that give every spot of a grain the same family in the same zone."""
    label = np.where(hypotheses.near, hypotheses.family * 3 + 2, 0)
    key = np.column_stack([hypotheses.grain, hypotheses.zone, label])
    mixed = (key * _mixers(key.shape[1])).sum(axis=1)
    first = np.unique(mixed, return_index=True)[1]
    return hypotheses.rows(first)


def _mixers(n: int) -> NDArray[np.int64]:
    """Odd 64-bit numbers for hashing rows (products wrap around)."""
    return np.random.default_rng(1).integers(1, 2**62, n) | 1


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
