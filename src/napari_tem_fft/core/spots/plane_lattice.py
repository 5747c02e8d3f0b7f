"""PlaneLattice: the two-dimensional lattice that the strong spots of one crystal span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .spot import Spot

#: Spots of this share of the strongest one's SNR or more decide on the lattice, this many of them at most.
STRONG_SHARE, MOST_STRONG = 0.02, 10
#: Two spots are two directions if the angle between them is larger than this, radians.
COLLINEAR = np.radians(10.0)
#: A spot lies on a point of the lattice within this many of its sigmas, or within this share of the radius of
#: its disc, the resolution that the size of its grain allows: steps of the surface and changes of thickness
#: move faint spots by more than their sigma. On multislice images of crystals of 8-13 nm nearly all
#: reflections lie within 0.25 radii, faint ones within 0.47.
SIGMAS, RESOLUTION_SHARE = 4.0, 0.5
#: Nor need it lie nearer than this many times the residuals of the strong spots: a bent or sheared crystal.
OWN_RESIDUALS = 3.0
#: Two lattices hold the same if the amplitudes of the strong spots on them differ by less than this share.
EQUAL = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class PlaneLattice:
    """A two-dimensional lattice of frequencies.

    Attributes
    ----------
    basis : ndarray, shape (2, 2), (y, x), 1/nm
        Two frequencies that span it, a row each.
    residual : float
        How far the strong spots lie off its points, relative to their \\|g\\|, beyond their own uncertainty
        (root mean square): more in a bent or sheared crystal.
    """

    basis: NDArray[np.float64]
    residual: float = 0.0

    def indices(self, g: NDArray[np.float64], divided: int = 1) -> NDArray[np.float64]:
        """Nearest point of each frequency, in parts of the basis; shape (n, 2)."""
        return np.asarray(np.rint(divided * g @ np.linalg.inv(self.basis)) / divided, np.float64)

    def offsets(self, g: NDArray[np.float64], divided: int = 1) -> NDArray[np.float64]:
        """From the nearest point of the lattice, or of a finer one, to each frequency; 1/nm.

        Parameters
        ----------
        g : ndarray, shape (n, 2), (y, x), 1/nm
        divided : int
            2 takes the half-integer points in, 3 the thirds.

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
        """Which spots lie on points of the lattice, or of a finer one, as far as they are known."""
        apart = np.hypot(*self.offsets(positions(spots), divided).T)
        return np.asarray(apart <= self.reach(spots), bool)

    def reach(self, spots: Sequence[Spot]) -> NDArray[np.float64]:
        """How far from a point each spot may lie and still be on it, 1/nm."""
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
    """The coarsest lattice on which the strong spots of one grain lie; None where these are one direction.

    Of all pairs of strong spots that one is taken whose lattice holds most of the strong spots' amplitude,
    and of several that hold the same the one with the largest cell. Its basis is then fitted to all the
    strong spots that it holds.
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
    apart = g - np.rint(g @ np.linalg.inv(bases)) @ bases
    amplitude = (np.hypot(apart[..., 0], apart[..., 1]) <= PlaneLattice(bases[0]).reach(strong)) @ weight
    most = amplitude >= (1 - EQUAL) * amplitude.max()
    best = PlaneLattice(bases[np.argmax(np.where(most, cell, 0.0))])
    return _fit(best, [spot for spot, held in zip(strong, best.holds(strong), strict=True) if held])


def _fit(lattice: PlaneLattice, spots: Sequence[Spot]) -> PlaneLattice:
    """The basis by least squares over spots on the lattice, and their residual."""
    g, sigma = positions(spots), np.array([spot.sigma for spot in spots], np.float64)
    index = lattice.indices(g)
    if len(spots) < 3 or np.linalg.matrix_rank(index) < 2:
        return lattice
    basis = np.linalg.lstsq(index / sigma[:, None], g / sigma[:, None], rcond=None)[0]
    off = np.sum((g - index @ basis) ** 2, axis=1)
    beyond = np.maximum(off - 2 * sigma**2, 0) / np.sum(g**2, axis=1)
    return PlaneLattice(np.asarray(basis, np.float64), float(np.sqrt(beyond.sum() / (len(spots) - 2))))
