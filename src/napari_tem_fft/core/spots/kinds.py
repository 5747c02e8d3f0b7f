"""PlaneLattice: the lattice of the strong spots of a crystal, and the kind of each spot that follows from it.

Where strong spots in two directions determine a grain's plane lattice, a spot is a reflection on the lattice,
a faint spot at a point where the structure factor vanishes, or a spot off the lattice. A spot off the lattice
is a satellite if it is faint and the lattice explains it. Otherwise it is unexplained, because it may belong
to another crystal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .spot import Spot, SpotKind, friedel_representative, separations

#: Spots with at least this fraction of the strongest spot's SNR determine the lattice, at most this many.
STRONG_SHARE, MOST_STRONG = 0.02, 10
#: Two spots count as two directions if the angle between them is larger than this, radians.
COLLINEAR = np.radians(10.0)
#: A spot lies on a lattice point if it is within this many of its sigmas, or within this fraction of the
#: radius of its disc, which is the resolution that the size of its grain allows: surface steps and changes of
#: thickness shift faint spots by more than their sigma. On multislice images of crystals of 8-13 nm nearly
#: all reflections lie within 0.25 radii, faint ones within 0.47.
SIGMAS, RESOLUTION_SHARE = 4.0, 0.5
#: For bent or sheared crystals, this many times the strong spots' residual is added to that in quadrature.
OWN_RESIDUALS = 3.0
#: Two lattices are equal if the total amplitudes of the strong spots on them differ by less than this
#: fraction.
EQUAL = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class PlaneLattice:
    """A two-dimensional lattice of frequencies.

    Attributes
    ----------
    basis : ndarray, shape (..., 2, 2), (y, x), 1/nm
        Two frequencies that span the lattice, one per row. With more axes it stands for several lattices, and
        the results have these axes too.
    residual : float
        Distance of the strong spots from the lattice points, relative to their \\|g\\|, beyond their own
        uncertainty (root mean square); larger in a bent or sheared crystal.
    """

    basis: NDArray[np.float64]
    residual: float = 0.0

    def indices(self, g: NDArray[np.float64], divided: int = 1) -> NDArray[np.float64]:
        """Indices of the lattice point nearest to each frequency, shape (n, 2)."""
        return np.asarray(np.rint(divided * g @ np.linalg.inv(self.basis)) / divided, np.float64)

    def offsets(self, g: NDArray[np.float64], divided: int = 1) -> NDArray[np.float64]:
        """Vectors from the nearest point of the lattice, or of a finer one, to each frequency, 1/nm.

        Parameters
        ----------
        g : ndarray, shape (n, 2), (y, x), 1/nm
        divided : int
            2 includes the half-integer points, 3 the thirds.

        Returns
        -------
        ndarray, shape (n, 2), (y, x)

        Examples
        --------
        >>> import numpy as np
        >>> lattice = PlaneLattice(np.array([[0.0, 4.0], [4.0, 0.0]]))
        >>> lattice.offsets(np.array([[4.0, 4.1], [2.0, 2.0]])).round(2).tolist()
        [[0.0, 0.1], [2.0, 2.0]]
        >>> lattice.offsets(np.array([[4.0, 4.1], [2.0, 2.0]]), divided=2).round(2).tolist()
        [[0.0, 0.1], [0.0, 0.0]]
        """
        return np.asarray(g - self.indices(g, divided) @ self.basis, np.float64)

    def holds(self, spots: Sequence[Spot], divided: int = 1) -> NDArray[np.bool_]:
        """Which spots lie on points of the lattice, or of a finer one, within their uncertainties."""
        off = self.offsets(positions(spots), divided)
        return np.asarray(np.hypot(off[..., 0], off[..., 1]) <= self.reach(spots), bool)

    def reach(self, spots: Sequence[Spot]) -> NDArray[np.float64]:
        """Largest distance from a lattice point at which each spot still counts as lying on it, 1/nm."""
        sigma, radius, length = (
            np.array([getattr(spot, name) for spot in spots], np.float64)
            for name in ("sigma", "radius", "length")
        )
        own = np.maximum(SIGMAS * sigma, RESOLUTION_SHARE * radius)
        return np.asarray(np.hypot(own, OWN_RESIDUALS * self.residual * length), np.float64)


def positions(spots: Sequence[Spot]) -> NDArray[np.float64]:
    """g of spots, shape (n, 2), (y, x), 1/nm."""
    return np.array([spot.g for spot in spots], np.float64).reshape(-1, 2)


def plane_lattice(spots: Sequence[Spot]) -> PlaneLattice | None:
    """The coarsest lattice that holds the strong spots of one grain; None if they lie in one direction.

    Each pair of strong spots spans a lattice. The lattice with the largest total amplitude of strong spots on
    its points is chosen, and among equal ones the one with the largest cell. Its basis is then fitted to all
    strong spots on it.
    """
    strongest = sorted(spots, key=lambda spot: -spot.snr)[:MOST_STRONG]
    strong = [spot for spot in strongest if spot.snr >= STRONG_SHARE * strongest[0].snr]
    weight, g = np.sqrt([spot.snr for spot in strong]), positions(strong)
    first, second = np.triu_indices(len(strong), 1)
    bases, length = np.stack([g[first], g[second]], axis=1), np.hypot(*g.T)
    cell = np.abs(np.linalg.det(bases))
    plane = cell > np.sin(COLLINEAR) * length[first] * length[second]
    if not plane.any():
        return None
    bases, cell = bases[plane], cell[plane]
    amplitude = PlaneLattice(bases).holds(strong) @ weight
    most = amplitude >= (1 - EQUAL) * amplitude.max()
    best = PlaneLattice(bases[np.argmax(np.where(most, cell, 0.0))])
    return _fit(best, [spot for spot, held in zip(strong, best.holds(strong), strict=True) if held])


def _fit(lattice: PlaneLattice, spots: Sequence[Spot]) -> PlaneLattice:
    """Fit the basis by least squares to spots on the lattice, and compute their residual."""
    g, sigma = positions(spots), np.array([spot.sigma for spot in spots], np.float64)
    index = lattice.indices(g)
    if len(spots) < 3 or np.linalg.matrix_rank(index) < 2:
        return lattice
    basis = np.linalg.lstsq(index / sigma[:, None], g / sigma[:, None], rcond=None)[0]
    off = np.sum((g - index @ basis) ** 2, axis=1)
    beyond = np.maximum(off - 2 * sigma**2, 0) / np.sum(g**2, axis=1)
    return PlaneLattice(np.asarray(basis, np.float64), float(np.sqrt(beyond.sum() / (len(spots) - 2))))


#: A spot off the lattice is faint if its SNR is below this fraction of the grain's strongest. On multislice
#: images of strong crystals (SNR 10^3-10^5) nearly all false spots are below it, and reflections that are so
#: faint lie on the lattice.
SATELLITE_SHARE = 0.004
#: Faintness alone does not distinguish a satellite from a reflection of the film: it must also lie within
#: this many radii of a lattice point or half-integer point.
NEAR_RADII = 1.0
#: Within the same distance of a lattice point itself, a spot below this fraction is the flank of a reflection
#: that the lens's transfer function or the shape of the crystal has shifted: its d is wrong by per cents.
FLANK_SHARE = 0.05
#: At a half-integer point, a spot below this fraction is forbidden or belongs to a superlattice; above it, it
#: is a reflection of a lattice with twice the cell.
FORBIDDEN_SHARE = 0.01
#: Spots below this fraction at thirds or sixths of lattice vectors belong to the next Laue zone if at least
#: two of them differ by a lattice vector. The reciprocal rods of a thin slab bring that zone into the image:
#: 1/3 (422) of fcc metals along [111].
ROD_SHARE = 0.08
#: Terraces, decreasing thickness or a zero of the lens's transfer function split a reflection in two. Two
#: spots are its halves if both lie within this many radii of its lattice point, on opposite sides of it, with
#: no other spot on the point, and their mean is away from the point by at most this fraction of their
#: distance.
SPLIT_RADII, SPLIT_MIDDLE = 1.6, 0.25
#: A spot off the lattice is a double reflection of two overlapping crystals if it is the sum or difference of
#: a spot on the lattice and a spot off it, to within this many sigmas or this fraction of its radius. It must
#: be weaker than `DOUBLE_SHARE` times each of them.
DOUBLE_SHARE, DOUBLE_SIGMAS, DOUBLE_RADII = 0.2, 3.0, 0.15
#: Two faint spots off the lattice belong to a second crystal if their lengths agree to within this fraction,
#: or if their sum or difference is a third one.
SAME_LENGTH = 0.004


def classify_spots(spots: Sequence[Spot]) -> tuple[Spot, ...]:
    """Classify the spots of one grain; satellites are disabled.

    The two halves of a split reflection become one spot at their centre and a satellite.

    Examples
    --------
    >>> def spot(number, gy, gx, snr):
    ...     return Spot(number, (gy, gx), 0.002, snr, -50.0, radius=0.1)
    >>> cubic = [spot(1, 0.0, 4.0, 9e3), spot(2, 4.0, 0.0, 8e3), spot(3, 2.0, 2.0, 40.0)]
    >>> for one in classify_spots([*cubic, spot(4, 0.08, 4.0, 20.0)]):
    ...     print(one.id, one.kind, one.enabled)
    1 reflection True
    2 reflection True
    3 forbidden True
    4 satellite False
    """
    lattice = plane_lattice(spots)
    if lattice is None:
        return tuple(spots)
    spots = _join_halves(spots, lattice)
    kinds = lattice_kinds(spots, lattice)
    return tuple(
        replace(spot, kind=kind, enabled=spot.enabled and kind != "satellite")
        for spot, kind in zip(spots, kinds, strict=True)
    )


def lattice_kinds(spots: Sequence[Spot], lattice: PlaneLattice | None) -> tuple[SpotKind, ...]:
    """Kind of each spot relative to the lattice of its grain; satellites remain satellites."""
    if lattice is None:
        return tuple("satellite" if spot.kind == "satellite" else "reflection" for spot in spots)
    snr, radius = (np.array([getattr(spot, name) for spot in spots]) for name in ("snr", "radius"))
    share = snr / snr.max()
    whole, half = lattice.holds(spots), lattice.holds(spots, 2)
    off = ~(whole | half)
    near = np.hypot(*lattice.offsets(positions(spots), 2).T) < NEAR_RADII * radius
    flank = off & (share < FLANK_SHARE)
    flank &= np.hypot(*lattice.offsets(positions(spots)).T) < NEAR_RADII * radius
    rod = _next_zone(spots, off & ~flank & (share < ROD_SHARE), lattice)
    faint = off & near & ~rod & ~flank & (share < SATELLITE_SHARE)
    faint &= ~_second_crystal(spots, faint, lattice)
    double = _double(spots, whole, off)
    other = off & ~faint & ~rod & ~flank & ~double
    if other.any():
        # a second crystal may be present, and these spots may belong to it
        faint[:] = rod[:] = flank[:] = False
    kind = np.where(whole | (share >= FORBIDDEN_SHARE), "reflection", "forbidden")
    kind = np.where(off, "unexplained", kind)
    known = np.array([spot.kind == "satellite" for spot in spots])
    return tuple(np.where(faint | rod | flank | double | known, "satellite", kind).tolist())


def switch_off(spots: Sequence[Spot]) -> tuple[Spot, ...]:
    """Mark all these spots as satellites of a crystal and disable them."""
    return tuple(replace(spot, kind="satellite", enabled=False) for spot in spots)


def _join_halves(spots: Sequence[Spot], lattice: PlaneLattice) -> list[Spot]:
    """Join pairs of halves about an unoccupied lattice point or half-integer point into one spot."""
    joined = list(spots)
    g, held = positions(spots), lattice.holds(spots, 2)
    point, apart = lattice.indices(g, 2), lattice.offsets(g, 2)
    taken = {tuple(sign * point[i]) for i in np.flatnonzero(held) for sign in (1, -1)}
    near = np.hypot(*apart.T) < SPLIT_RADII * np.array([spot.radius for spot in spots])
    free = [i for i in np.flatnonzero(near & ~held).tolist() if tuple(point[i]) not in taken]
    for i, j in combinations(free, 2):
        sign = 1.0 if np.array_equal(point[i], point[j]) else -1.0
        between = float(np.hypot(*(apart[i] - sign * apart[j])))
        middle = float(np.hypot(*(apart[i] + sign * apart[j]))) / 2
        if not np.array_equal(point[i], sign * point[j]) or middle > SPLIT_MIDDLE * between:
            continue
        strong, weak = sorted((i, j), key=lambda n: -spots[n].snr)
        y, x = (g[strong] + sign * g[weak]) / 2
        middle_g = friedel_representative((float(y), float(x)))
        joined[strong] = replace(spots[strong], g=middle_g, sigma=between / 2)
        joined[weak] = replace(spots[weak], kind="satellite")
    return joined


def _next_zone(spots: Sequence[Spot], chosen: NDArray[np.bool_], lattice: PlaneLattice) -> NDArray[np.bool_]:
    """Which of the chosen spots lie at thirds or sixths and differ from another one by a lattice vector."""
    chosen = chosen & lattice.holds(spots, 6)
    rod = np.zeros(len(spots), bool)
    g, reach = positions(spots), lattice.reach(spots)
    for i, j in combinations(np.flatnonzero(chosen).tolist(), 2):
        apart = lattice.offsets(np.stack([g[i] - g[j], g[i] + g[j]]))
        rod[[i, j]] |= bool(np.hypot(*apart.T).min() < max(reach[i], reach[j]))
    return rod


def _double(spots: Sequence[Spot], whole: NDArray[np.bool_], off: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which spots off the lattice are double reflections of this crystal and another one."""
    double = np.zeros(len(spots), bool)
    g, snr = positions(spots), np.array([spot.snr for spot in spots])
    for k in np.flatnonzero(off).tolist():
        strong = snr * DOUBLE_SHARE > snr[k]
        ours, theirs = g[whole & strong], g[off & strong]
        sums = np.concatenate([(ours[:, None] + sign * theirs).reshape(-1, 2) for sign in (1, -1)])
        reach = max(DOUBLE_SIGMAS * spots[k].sigma, DOUBLE_RADII * spots[k].radius)
        double[k] = bool((separations(g[k], sums) < reach).any())
    return double


def _second_crystal(
    spots: Sequence[Spot], faint: NDArray[np.bool_], lattice: PlaneLattice
) -> NDArray[np.bool_]:
    """Which faint spots may belong to a second crystal: two of equal length, or two and their sum.

    Spots that differ by a vector of the first lattice, or by half of one, belong to that lattice: they lie in
    the next Laue zone, or are double reflections.
    """
    own = np.zeros(len(spots), bool)
    g, reach = positions(spots), lattice.reach(spots)
    length = np.hypot(*g.T)
    for i, j in combinations(np.flatnonzero(faint).tolist(), 2):
        both = np.stack([g[i] - g[j], g[i] + g[j]])
        apart = max(reach[i], reach[j])
        if (np.hypot(*lattice.offsets(both, 2).T) < apart).any():
            continue
        tolerance = max(SAME_LENGTH * length[i], 3 * np.hypot(spots[i].sigma, spots[j].sigma))
        if abs(length[i] - length[j]) < tolerance and np.hypot(*both.T).min() > apart:
            own[[i, j]] = True
        for k in np.flatnonzero(faint).tolist():
            sums = np.hypot(*np.concatenate([both - g[k], both + g[k]]).T)
            if k not in (i, j) and sums.min() < max(tolerance, 3 * spots[k].sigma):
                own[[i, j, k]] = True
    return own
