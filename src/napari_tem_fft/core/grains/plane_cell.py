"""Two-dimensional reciprocal cells: reduce and compare them, and find those of a grain's spots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..spots.spot import Spot
from .grain import Grain

#: Largest index of sublattices and superlattices.
MOST_INDEX = 4


def reduce_bases(bases: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reduce bases of lattices to the shortest ones, a <= b, with an angle between 60 and 90 degrees.

    Parameters
    ----------
    bases : ndarray, shape (n, 2, 2) or (n, 2, 3)
        Rows are the two vectors.

    Returns
    -------
    ndarray, of the same shape

    Examples
    --------
    >>> reduce_bases(np.array([[[1.0, 0.0], [3.0, 2.0]]])).tolist()
    [[[1.0, 0.0], [0.0, 2.0]]]
    """
    a, b = bases[:, 0].copy(), bases[:, 1].copy()
    for _ in range(64):
        swap = (b * b).sum(axis=1) < (a * a).sum(axis=1)
        a[swap], b[swap] = b[swap], a[swap].copy()
        turns = np.rint((a * b).sum(axis=1) / (a * a).sum(axis=1))
        b -= turns[:, None] * a
        if not turns.any() and not swap.any():
            break
    b *= np.where((a * b).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    return np.stack([a, b], axis=1)


def shape_of(bases: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of the three shortest lengths of each lattice, which are the same for all bases and mirror images.

    They are continuous where the reduced basis changes abruptly, which makes them suitable for a search.

    Parameters
    ----------
    bases : ndarray, shape (n, 2, 2) or (n, 2, 3), 1/nm

    Returns
    -------
    ndarray, shape (n, 3)

    Examples
    --------
    >>> np.exp(shape_of(np.array([[[3.0, 0.0], [0.0, 4.0]]]))).round(6).tolist()
    [[3.0, 4.0, 5.0]]
    """
    reduced = reduce_bases(bases)
    a, b = reduced[:, 0], reduced[:, 1]
    lengths = np.stack([np.linalg.norm(v, axis=1) for v in (a, b, b - a)], axis=1)
    shape: NDArray[np.float64] = np.log(lengths)
    return shape


@cache
def sublattices(index: int) -> NDArray[np.int64]:
    """Matrices that transform a basis into bases of all its sublattices of an index, shape (n, 2, 2).

    Examples
    --------
    >>> len(sublattices(1)), len(sublattices(2)), len(sublattices(3)), len(sublattices(4))
    (1, 3, 4, 7)
    """
    matrices = [
        ((a, shift), (0, index // a))
        for a in range(1, index + 1)
        if index % a == 0
        for shift in range(index // a)
    ]
    found = np.array(matrices, np.int64)
    found.flags.writeable = False
    return found


#: Number of strongest spots that generate lattices, and number that are used.
STARTERS, MOST_SPOTS = 8, 32
#: Tolerance for spots of a lattice, in standard deviations; and their relative error, in addition to that of
#: the fit, from bending, lens and tilt. On simulated grains 0.3 % loses spots, 1.2 % finds finer lattices.
REACH, BENT = 3.5, 0.006
#: Two spots have different directions above this sine of their angle.
COLLINEAR = 0.07
#: Lattices whose ln evidence is within this of the best one are returned as well.
NEARLY_AS_GOOD = 4.0
#: Largest number of likely cells of one lattice.
MOST_CELLS = 4
_CENTRINGS = np.array([((1, 0), (0, 1)), ((2, 0), (0, 1)), ((1, 0), (0, 2)), ((1, 1), (1, -1))], float)


@dataclass(frozen=True, slots=True)
class PlaneCell:
    """The reduced reciprocal cell of a grain's spots, without the uncertainty of the calibration.

    Attributes
    ----------
    a, b : float, 1/nm
        Lengths of the two shortest vectors, a <= b.
    angle : float, degrees
        Angle between them, 60 to 90.
    a_sigma, b_sigma, angle_sigma : float
        Standard uncertainties of the fit.
    spots : tuple of int
        Ids of the spots that belong to the lattice.
    basis : tuple of 4 float, 1/nm
        a and b as (y, x).
    covariance : tuple of 16 float, (1/nm)^2
        Covariance of `basis`, row by row.
    """

    a: float
    b: float
    angle: float
    a_sigma: float
    b_sigma: float
    angle_sigma: float
    spots: tuple[int, ...]
    basis: tuple[float, ...]
    covariance: tuple[float, ...]

    @property
    def d(self) -> tuple[float, float]:
        """Lattice spacings 1 / a and 1 / b, nm."""
        return 1 / self.a, 1 / self.b

    def vectors(self) -> NDArray[np.float64]:
        """a and b as rows (y, x), shape (2, 2), 1/nm."""
        return np.array(self.basis).reshape(2, 2)

    def errors(self) -> NDArray[np.float64]:
        """The covariance of a_y, a_x, b_y, b_x, shape (4, 4)."""
        return np.array(self.covariance).reshape(4, 4)


def plane_cell(grain: Grain, spots: Sequence[Spot]) -> PlaneCell | None:
    """Find the cell of the enabled spots of a grain; None if they have a single direction.

    Examples
    --------
    >>> square = [Spot(1, (4.0, 0.0), 0.01, 50.0, -50.0), Spot(2, (0.0, 4.0), 0.01, 40.0, -40.0),
    ...           Spot(3, (4.0, 4.0), 0.01, 30.0, -30.0)]
    >>> cell = plane_cell(Grain(1, (1, 2, 3), (0.0, 0.0), 20.0, 5.0), square)
    >>> round(cell.a, 3), round(cell.b, 3), round(cell.angle, 3), [round(d, 3) for d in cell.d]
    (4.0, 4.0, 90.0, [0.25, 0.25])
    """
    cells = _cells_of(_spots_of(grain, spots), 1)
    return cells[0] if cells else None


def plane_cells(grain: Grain, spots: Sequence[Spot]) -> list[PlaneCell]:
    """Find the likely cells of a grain's spots, best first, and those of a second lattice of other spots."""
    mine = _spots_of(grain, spots)
    found: list[PlaneCell] = []
    for _ in range(2):
        cells = _cells_of(mine, MOST_CELLS)
        if not cells:
            break
        found += cells
        used = set(cells[0].spots)
        mine = [spot for spot in mine if spot.id not in used]
        if len(mine) < 3:
            break
    return found


def _spots_of(grain: Grain, spots: Sequence[Spot]) -> list[Spot]:
    """The strongest enabled spots of a grain."""
    members = set(grain.spots)
    return sorted((s for s in spots if s.enabled and s.id in members), key=lambda s: -s.snr)[:MOST_SPOTS]


def _cells_of(spots: Sequence[Spot], most: int) -> list[PlaneCell]:
    """Find at most `most` likely cells of one lattice through the spots."""
    if len(spots) < 2:
        return []
    g = np.array([spot.g for spot in spots])
    length = np.linalg.norm(g, axis=1)
    fit = np.array([max(spot.sigma, 1e-6) for spot in spots])
    sigma = np.hypot(fit, BENT * length)
    first, second = np.triu_indices(min(len(spots), STARTERS), 1)
    cross = g[first, 0] * g[second, 1] - g[first, 1] * g[second, 0]
    plane = np.abs(cross) > COLLINEAR * length[first] * length[second]
    if not plane.any():
        return []
    pairs = np.stack([g[first[plane]], g[second[plane]]], axis=1)
    bases = (np.linalg.inv(_CENTRINGS)[:, None] @ pairs).reshape(-1, 2, 2)
    for _ in range(2):
        bases = reduce_bases(_refined(bases, g, sigma))
    evidence, _ = _evidence(bases, g, sigma)
    cells: list[PlaneCell] = []
    lengths: list[NDArray[np.float64]] = []
    for n in np.argsort(-evidence, kind="stable").tolist():
        if evidence[n] < evidence.max() - NEARLY_AS_GOOD or len(cells) >= most:
            break
        size = np.append(np.linalg.norm(bases[n], axis=1), np.linalg.norm(bases[n, 1] - bases[n, 0]))
        if any(np.abs(size / other - 1).max() < 2 * BENT for other in lengths):
            continue
        lengths.append(size)
        cells.append(_measured(bases[n], spots, g, fit, sigma))
    return cells


def _positions(
    bases: NDArray[np.float64], g: NDArray[np.float64], sigma: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Integer positions of the spots on each lattice, and squared distances in units of their errors."""
    position = np.rint(g @ np.linalg.inv(bases))
    apart = ((g - position @ bases) ** 2).sum(axis=2) / sigma**2
    apart[~position.any(axis=2)] = np.inf
    return position, apart


def _refined(
    bases: NDArray[np.float64], g: NDArray[np.float64], sigma: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit the bases to the spots near their lattices by least squares."""
    position, apart = _positions(bases, g, sigma)
    weighted = position * ((apart < REACH**2) / sigma**2)[..., None]
    normal = np.einsum("nia,nib->nab", weighted, position)
    solvable = np.linalg.det(normal) > 1e-9 * np.maximum(np.trace(normal, axis1=1, axis2=2), 1e-9) ** 2
    refined = bases.copy()
    right = np.einsum("nia,ib->nab", weighted[solvable], g)
    refined[solvable] = np.linalg.solve(normal[solvable], right)
    usable = np.abs(np.linalg.det(refined)) > 1e-6
    return np.where(usable[:, None, None], refined, bases)


def _evidence(
    bases: NDArray[np.float64], g: NDArray[np.float64], sigma: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ln evidence of lattices relative to chance, and the distances of the spots.

    A random spot is likely to fit a fine lattice, so the area of the cell is taken into account.
    """
    _, apart = _positions(bases, g, sigma)
    area = np.abs(np.linalg.det(bases))[:, None]
    gain = np.log(area / (2 * np.pi * sigma**2)) - 0.5 * apart
    return np.maximum(np.where(apart < REACH**2, gain, 0.0), 0.0).sum(axis=1), apart


def _measured(
    basis: NDArray[np.float64],
    spots: Sequence[Spot],
    g: NDArray[np.float64],
    fit: NDArray[np.float64],
    sigma: NDArray[np.float64],
) -> PlaneCell:
    """The cell with its uncertainties: those of the fits of the spots, or their scatter if it is larger."""
    position, apart = _positions(basis[None], g, sigma)
    near = apart[0] < REACH**2
    m, weight = position[0][near], fit[near] ** -2.0
    normal = np.einsum("ia,ib,i->ab", m, m, weight)
    inverse = np.linalg.pinv(normal)
    basis = inverse @ np.einsum("ia,ib,i->ab", m, g[near], weight)
    basis = reduce_bases(basis[None])[0]
    m = np.rint(g[near] @ np.linalg.inv(basis))
    inverse = np.linalg.pinv(np.einsum("ia,ib,i->ab", m, m, weight))
    freedom = 2 * int(near.sum()) - 4
    scatter = float((((g[near] - m @ basis) ** 2).sum(axis=1) * weight).sum())
    covariance = np.kron(inverse, np.eye(2)) * max(1.0, scatter / freedom if freedom > 0 else 1.0)
    values, jacobian = _described(basis)
    errors = np.sqrt(np.maximum(np.diag(jacobian @ covariance @ jacobian.T), 0.0))
    return PlaneCell(
        *values,
        float(errors[0]),
        float(errors[1]),
        float(errors[2]),
        tuple(spot.id for spot, inside in zip(spots, near, strict=True) if inside),
        tuple(basis.ravel().tolist()),
        tuple(covariance.ravel().tolist()),
    )


def _described(basis: NDArray[np.float64]) -> tuple[tuple[float, float, float], NDArray[np.float64]]:
    """a, b and the angle in degrees, and their gradients along a_y, a_x, b_y, b_x, shape (3, 4)."""
    (ay, ax), (by, bx) = basis
    a, b = float(np.hypot(ay, ax)), float(np.hypot(by, bx))
    dot, cross = ay * by + ax * bx, ay * bx - ax * by
    angle = float(np.degrees(np.arctan2(abs(cross), dot)))
    turn = np.degrees(1.0) * np.sign(cross)
    jacobian = np.array(
        [
            [ay / a, ax / a, 0, 0],
            [0, 0, by / b, bx / b],
            [turn * ax / a**2, -turn * ay / a**2, -turn * bx / b**2, turn * by / b**2],
        ]
    )
    return (a, b, angle), jacobian
