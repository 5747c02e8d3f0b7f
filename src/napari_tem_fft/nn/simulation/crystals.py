"""Simulation of finite crystals: lattices in random orientations, faceted shapes, lattice fringes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...core.crystal.phase import Phase

Image = NDArray[np.float32]
#: Largest index of the lattice points along each basis vector, in both directions.
ORDER = 8
_M = np.arange(-ORDER, ORDER + 1)
#: Lattice points of a half plane: one of each pair +g, -g.
FIRST_HALF = (_M[:, None] > 0) | ((_M[:, None] == 0) & (_M[None, :] > 0))
#: Largest |g| of a fringe, 1/nm.
LARGEST_G = 10.6
#: Largest index of the zone axes along which crystals are viewed.
ZONE_ORDER = 3


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """A zone of a crystal: a plane lattice of frequencies with their amplitudes.

    Attributes
    ----------
    basis : ndarray, shape (2, 2)
        Two basis frequencies (y, x), 1/nm.
    strength : ndarray of complex, shape (2 ORDER + 1, 2 ORDER + 1)
        Fourier coefficient of the potential at m b1 + n b2, in arbitrary units; Hermitian.
    """

    basis: NDArray[np.float64]
    strength: NDArray[np.complex128]

    def frequencies(self) -> NDArray[np.float64]:
        """g of all coefficients, shape (2 ORDER + 1, 2 ORDER + 1, 2), (y, x), 1/nm."""
        order = np.arange(-ORDER, ORDER + 1)
        index = np.stack(np.meshgrid(order, order, indexing="ij"), axis=-1)
        return np.asarray(index @ self.basis)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A convex crystal: signed distance from its facets in a box of the image.

    Attributes
    ----------
    rows, columns : slice
        The box, relative to the image's first pixel; may be negative.
    depth : ndarray of float32, nm
        Distance from the nearest facet, negative outside the crystal.
    """

    rows: slice
    columns: slice
    depth: Image

    def within(self, shape: tuple[int, ...]) -> Shape:
        """The part inside an image of shape (y, x)."""
        box = [
            slice(max(side.start, 0), min(side.stop, n))
            for side, n in zip((self.rows, self.columns), shape, strict=True)
        ]
        return Shape(box[0], box[1], self.depth[self.inside(box[0], box[1])])

    def inside(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Convert rows and columns of the image to those of arrays on the box."""
        top, left = self.rows.start, self.columns.start
        return (
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )


def random_lattice(rng: np.random.Generator) -> Lattice:
    """Generate a plane lattice with random lengths, angle, absences and amplitudes."""
    first = rng.uniform(1.7, 6.0)
    second = first * rng.uniform(1.0, 2.0)
    angle = np.radians(rng.choice([90.0, 60.0, 54.74, 70.53, rng.uniform(50, 90)]))
    basis = np.array([[0.0, first], [second * np.sin(angle), second * np.cos(angle)]])
    strength = np.exp(rng.normal(0.0, rng.uniform(0.2, 1.0), (2 * ORDER + 1,) * 2)).astype(complex)
    m = np.arange(-ORDER, ORDER + 1)
    if rng.random() < 0.3:  # a centred lattice
        strength[(m[:, None] + m) % 2 != 0] = 0.0
    phase = np.exp(2j * np.pi * rng.random(strength.shape) * (rng.random() < 0.7))
    lattice = Lattice(basis, _hermitian(strength * phase))
    return _weaken(lattice, rng)


def zone_lattice(phase: Phase, rng: np.random.Generator) -> Lattice | None:
    """A zone of a phase along a random low-index axis; None if it has fewer than two directions."""
    axis = _AXES[rng.integers(len(_AXES))]
    found = _zone(phase, axis)
    if found is None:
        return None
    basis, strength = found
    phases = np.exp(2j * np.pi * rng.random(strength.shape) * (rng.random() < 0.5))
    return _weaken(Lattice(basis, _hermitian(strength * phases)), rng)


def one_row(lattice: Lattice) -> Lattice:
    """Tilt the lattice so that only the row along its first basis vector is excited."""
    kept = np.zeros_like(lattice.strength)
    kept[:, ORDER] = lattice.strength[:, ORDER]
    return Lattice(lattice.basis, kept)


def tilt(lattice: Lattice, rng: np.random.Generator) -> Lattice:
    """Tilt the lattice slightly off the zone axis: reflections far along one direction are weakened."""
    direction = rng.uniform(0, 2 * np.pi)
    along = lattice.frequencies() @ np.array([np.sin(direction), np.cos(direction)])
    reach = rng.uniform(2.0, 12.0)
    return Lattice(lattice.basis, lattice.strength * np.exp(-0.5 * (along / reach) ** 2))


def rotate_in_plane(lattice: Lattice, angle: float) -> Lattice:
    """Rotate the lattice in the image plane by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return Lattice(lattice.basis @ np.array([[c, -s], [s, c]]), lattice.strength)


def facet_shape(
    shape: tuple[int, int],
    pixel_size: tuple[float, float],
    centre: tuple[float, float],
    diameter: float,
    lattice: Lattice,
    rng: np.random.Generator,
    around: tuple[tuple[int, int], ...] = ((0, 0), (0, 0)),
) -> Shape | None:
    """Generate a convex crystal with most facets along lattice planes; None if it misses the image.

    It may extend by `around` pixels before and after each axis of the image.
    """
    box = [
        (int(np.floor((c - diameter) / p)), int((c + diameter) / p) + 1)
        for c, p in zip(centre, pixel_size, strict=True)
    ]
    if any(min(stop, n) - max(start, 0) < 2 for (start, stop), n in zip(box, shape, strict=True)):
        return None
    ny, nx = (
        slice(max(start, -before), min(stop, n + after))
        for (start, stop), (before, after), n in zip(box, around, shape, strict=True)
    )
    y = ((np.arange(ny.start, ny.stop) + 0.5) * pixel_size[0] - centre[0]).astype(np.float32)[:, None]
    x = ((np.arange(nx.start, nx.stop) + 0.5) * pixel_size[1] - centre[1]).astype(np.float32)[None, :]
    depth = np.full((y.size, x.size), diameter, np.float32)
    for azimuth in _facet_normals(lattice, rng):
        distance = np.float32(0.5 * diameter * rng.uniform(0.75, 1.1))
        across = distance - np.float32(np.sin(azimuth)) * y
        np.minimum(depth, across - np.float32(np.cos(azimuth)) * x, out=depth)
    if rng.random() < 0.25:  # a rounded particle
        np.minimum(depth, np.float32(0.5 * diameter) - np.hypot(y, x), out=depth)
    return Shape(ny, nx, depth)


def thickness(shape: Shape, edge: float, slope: float) -> Image:
    """Relative thickness 0..1: an edge of width `edge` nm, then an increase over `slope` nm."""
    rise: Image = 0.7 + 0.3 * np.clip(shape.depth / np.float32(slope), 0, 1)
    soft: Image = np.clip(shape.depth / np.float32(edge) + np.float32(0.5), 0, 1)
    return rise * soft


def fringes(
    shape: Shape,
    pixel_size: tuple[float, float],
    g: NDArray[np.float64],
    coefficients: NDArray[np.complex128],
    bend: NDArray[np.float64] | None = None,
) -> Image:
    """Sum of 2 Re(c exp(2 pi i g x)) over the box, for one g of each pair.

    Parameters
    ----------
    bend : ndarray, shape (2, 2), 1/nm, optional
        Displacement by half of bend[i, j] x_j^2 along i, from the centre of the box: a strain gradient
        along y and x on the diagonal, bending of planes off it, 1 / radius of curvature per nanometre.
    """
    chirp = g @ bend if bend is not None else np.zeros_like(g)
    y, x = (
        (np.arange(part.start, part.stop) - 0.5 * (part.start + part.stop)) * p
        for part, p in zip((shape.rows, shape.columns), pixel_size, strict=True)
    )
    py = 2 * np.pi * (g[:, :1] * y + 0.5 * chirp[:, :1] * y**2)
    px = 2 * np.pi * (g[:, 1:] * x + 0.5 * chirp[:, 1:] * x**2)
    along = 2 * coefficients[:, None] * np.exp(1j * py)
    left = np.concatenate([along.real, -along.imag]).astype(np.float32)
    right = np.concatenate([np.cos(px), np.sin(px)]).astype(np.float32)
    return np.asarray(left.T @ right)


def _hermitian(strength: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Make the coefficients those of a real potential: c(-g) = conj c(g), and 0 at g = 0."""
    half = np.where(FIRST_HALF, strength, 0)
    return half + np.conj(half[::-1, ::-1])


def _weaken(lattice: Lattice, rng: np.random.Generator) -> Lattice:
    """Weaken large g by scattering factors and thermal motion; vary all by random dynamical factors."""
    g2 = np.sum(lattice.frequencies() ** 2, axis=-1)
    fall = np.exp(-rng.uniform(0.004, 0.02) * g2 / 4) / (1 + g2 / rng.uniform(4.0, 9.0) ** 2)
    strength = np.where(g2 <= LARGEST_G**2, lattice.strength * fall, 0)
    return Lattice(lattice.basis, strength)


def _facet_normals(lattice: Lattice, rng: np.random.Generator) -> NDArray[np.float64]:
    """Azimuths (radians, from +x towards +y) of facets that enclose a shape."""
    (ay, ax), (by, bx) = lattice.basis
    planes = [(ay, ax), (by, bx), (ay + by, ax + bx), (ay - by, ax - bx)]
    azimuth = np.array([np.arctan2(y, x) for y, x in planes[: rng.integers(2, 5)]])
    both = np.concatenate([azimuth, azimuth + np.pi])
    free = rng.uniform(0, 2 * np.pi, rng.integers(0, 4))
    return np.concatenate([both, free])


def _axes() -> tuple[tuple[int, int, int], ...]:
    span = range(-ZONE_ORDER, ZONE_ORDER + 1)
    found = [(u, v, w) for u in span for v in span for w in span if (u, v, w) > (0, 0, 0)]
    return tuple(a for a in found if np.gcd.reduce(a) == 1 and sum(map(abs, a)) <= 4)


_AXES = _axes()


@lru_cache(maxsize=4096)
def _zone(
    phase: Phase, axis: tuple[int, int, int]
) -> tuple[NDArray[np.float64], NDArray[np.complex128]] | None:
    """Basis and |F| of the zone [uvw] of a phase."""
    if phase.d_only:
        return None
    reciprocal = phase.reciprocal_basis()
    hkl, size = _members(phase, axis)
    if len(hkl) < 2:
        return None
    g = np.array(hkl) @ reciprocal
    order = np.argsort(np.linalg.norm(g, axis=1))
    first = g[order[0]]
    others = [g[i] for i in order[1:] if np.linalg.norm(np.cross(first, g[i])) > 1e-3]
    if not others:
        return None
    return _on_plane(first, others[0], g, np.array(size))


def _members(phase: Phase, axis: tuple[int, int, int]) -> tuple[list[tuple[int, int, int]], list[float]]:
    hkl, size = [], []
    for reflection in phase.reflections:
        if reflection.d < 1 / LARGEST_G:
            break
        for index in reflection.members:
            if np.dot(index, axis) == 0 and np.isfinite(reflection.relative_f):
                hkl.append(index)
                size.append(float(reflection.relative_f))
    return hkl, size


def _on_plane(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    g: NDArray[np.float64],
    size: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.complex128]] | None:
    """The zone's basis in its own plane, and |F| at the lattice points; None if it is too wide."""
    x = first / np.linalg.norm(first)
    y = second - (second @ x) * x
    y /= np.linalg.norm(y)
    basis = np.array([[first @ y, first @ x], [second @ y, second @ x]])
    index = np.stack([g @ y, g @ x], axis=1) @ np.linalg.inv(basis)
    whole = np.rint(index).astype(int)
    if np.abs(index - whole).max() > 0.05:  # the two shortest do not span the others: use half of them
        basis, whole = basis / 2, np.rint(2 * index).astype(int)
    inside = np.abs(whole).max(axis=1) <= ORDER
    strength = np.zeros((2 * ORDER + 1, 2 * ORDER + 1), complex)
    strength[whole[inside, 0] + ORDER, whole[inside, 1] + ORDER] = size[inside]
    return basis, strength


def usable(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """The phases whose reflections have indices."""
    return tuple(phase for phase in phases if not phase.d_only)
