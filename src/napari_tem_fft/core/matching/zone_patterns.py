"""Zone patterns: the two-dimensional patterns of a phase along its low-index directions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal.structure import LatticePlanes, ListedPlanes
from ..grains.plane_cell import reduce_bases, shape_of

#: Smallest d (nm) of the reflections that define a pattern; all allowed reflections belong to it.
#: No record says on what it was set. Sweep: halved, belief 0.73 -> 0.71; doubled, belief 0.73 -> 0.32,
#: right names 4 -> 2.
PATTERN_D = 0.115
#: Zone axes [uvw] have indices up to the first number, or up to the second if [uvw] is short.
INDICES, MORE_INDICES, SHORT = 3, 5, 1.2
#: Number of reflections of a pattern, the most visible ones, from which searches start.
STARTERS = 24
#: Scale of the decrease of visibility with |g|, 1/nm.
#: No record says on what it was set. Sweep: halved, belief 0.73 -> 0.76; doubled, belief 0.73 -> 0.74.
VISIBLE_G = 6.0
#: Thresholds (ln visibility) at which half of the reflections are seen.
#: No record says on what it was set. Sweep: halved, belief 0.73 -> 0.74; doubled, nothing.
THRESHOLDS = np.linspace(-3.5, 0.5, 6)
#: Expectations of a pattern are summed up to each of these |g|, 1/nm, and interpolated for any band.
#: No record says on what it was set. Sweep: halved, belief 0.73 -> 0.32, right names 4 -> 2, wrong names 0
#: -> 1; doubled, nothing.
NODES = np.append(np.arange(1.0, 8.6, 0.5), 1 / PATTERN_D)
#: Smallest root of |F| of a point of the lattice, for thin and for thick crystals, where double diffraction
#: fills in weak and forbidden reflections. From Bloch-wave calculations (`intensities.py`, seeds other than
#: those reported): with 0.1 for thin crystals, silicon in images of eight grains is mistaken for ceria three
#: times as often; with 0.3 for thin ones, or 0.6 for thick ones, fewer grains are named.
FLOORS = (0.2, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class ZonePattern:
    """The reflections of a phase along a zone axis, one of each pair +g, -g.

    Attributes
    ----------
    uvw : ndarray of int, shape (3,)
    multiplicity : int
        Number of symmetry-equivalent directions.
    orientations : int
        Number of ways to map the pattern onto itself by rotation or mirroring, with +g and -g equivalent.
    basis : ndarray, shape (2, 2), 1/nm
        Rows generate every reflection of the pattern, in Cartesian coordinates of its plane.
    basis_hkl : ndarray of int, shape (2, 3)
        hkl of the basis; a position m (two integers) is hkl = m @ basis_hkl.
    position : ndarray of int, shape (n, 2)
    visibility : ndarray, shape (n,)
        Relative weight of each reflection in the probability of being seen.
    family : ndarray of int, shape (n,)
    non_detection_log_prob : ndarray, shape (nodes, floors, thresholds)
        See the function `non_detection_log_prob`.
    """

    uvw: NDArray[np.int64]
    multiplicity: int
    orientations: int
    basis: NDArray[np.float64]
    basis_hkl: NDArray[np.int64]
    position: NDArray[np.int64]
    visibility: NDArray[np.float64]
    family: NDArray[np.intp]
    non_detection_log_prob: NDArray[np.float64]


def non_detection_log_prob(root_f: NDArray[np.float64], g: NDArray[np.float64]) -> NDArray[np.float64]:
    """-ln of the probability that no point up to each node is seen, shape (nodes, floors, thresholds).

    Parameters
    ----------
    root_f : ndarray, shape (n,)
        Root of the relative |F| of every point of the lattice in the half plane, 0 where forbidden.
        At a threshold t a point is seen with the odds visibility / e^t.
    g : ndarray, shape (n,), 1/nm
    """
    visible = np.maximum(root_f, np.array(FLOORS)[:, None]) * damping(g)
    odds = np.exp(np.log(visible)[..., None] - THRESHOLDS)
    total: NDArray[np.float64] = up_to_nodes(np.log1p(odds).transpose(1, 0, 2), g)
    return total


def up_to_nodes(values: NDArray[np.float64], g: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum values, shape (n, ...), with |g| below each of the `NODES`, shape (nodes, ...)."""
    order = np.argsort(g)
    sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values[order], axis=0)])
    return sums[np.searchsorted(g[order], NODES, side="right")]


def in_band(sums: NDArray[Any], band: tuple[float, float]) -> NDArray[np.float64]:
    """Interpolate sums from `up_to_nodes`, shape (n, nodes, ...), to a band of |g|, shape (n, ...)."""
    low, high = (_share_of_nodes(g) for g in band)
    part: NDArray[np.float64] = np.tensordot(high - low, sums, axes=(0, 1))
    return part


def _share_of_nodes(g: float) -> NDArray[np.float64]:
    """Weights of the nodes for interpolating a sum up to |g|, shape (nodes,)."""
    at = np.interp(g, NODES, np.arange(len(NODES)), left=-1.0)
    weights: NDArray[np.float64] = np.maximum(1 - np.abs(np.arange(len(NODES)) - at), 0.0)
    return weights


def damping(g: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decrease of visibility with |g|."""
    factor: NDArray[np.float64] = np.exp(-((g / VISIBLE_G) ** 2))
    return factor


def visibility(relative_f: NDArray[np.float64], g: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of a reflection in the probability of being seen: the root of its |F|, damped at large |g|.

    The dependence on |F| is deliberately weak: multiple scattering and the lens change intensities far more.
    """
    weight: NDArray[np.float64] = np.sqrt(relative_f) * damping(g)
    return weight


def zone_patterns(planes: LatticePlanes | ListedPlanes) -> list[ZonePattern]:
    """Patterns of all low-index zone axes with reflections in two directions, one per symmetric set."""
    arrays, basis = planes.arrays, planes.basis
    usable = arrays.d >= PATTERN_D
    hkl, family = arrays.hkl[usable], arrays.family[usable]
    weight = visibility(arrays.relative_f[usable], 1.0 / arrays.d[usable])
    axes, multiplicity = zone_axes(planes)
    if planes.zones is not None:
        wanted = [tuple(uvw) in planes.zones for uvw in axes.tolist()]
        axes, multiplicity = axes[wanted], multiplicity[wanted]
    patterns = []
    for uvw, count in zip(axes, multiplicity, strict=True):
        inside = np.nonzero(hkl @ uvw == 0)[0]
        turns = _orientations(uvw, planes.rotations)
        pattern = _pattern((uvw, int(count), turns), hkl[inside], weight[inside], family[inside], basis)
        if pattern is not None:
            patterns.append(pattern)
    return patterns


def zone_axes(planes: LatticePlanes | ListedPlanes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One low-index direction per symmetric set, shape (n, 3), and the number of its equivalents."""
    direct, rotations = planes.direct, planes.rotations
    candidates = _primitive_directions(MORE_INDICES)
    low = np.abs(candidates).max(axis=1) <= INDICES
    candidates = candidates[low | (np.linalg.norm(candidates @ direct, axis=1) <= SHORT)]
    images = np.einsum("mij,nj->nmi", rotations, candidates)
    codes = (images[..., 0] * 64 + images[..., 1]) * 64 + images[..., 2]
    representative = np.abs(codes).max(axis=1)
    _, first = np.unique(representative, return_index=True)
    both = np.concatenate([codes[first], -codes[first]], axis=1)
    count = np.array([len(np.unique(row)) for row in both], np.int64)
    return candidates[first], count


def _orientations(uvw: NDArray[np.int64], rotations: NDArray[np.int64]) -> int:
    """Number of proper rotations that keep the axis, without the half-turn about it (g becomes -g)."""
    image = rotations @ uvw
    same, opposite = (image == uvw).all(axis=1), (image == -uvw).all(axis=1)
    half_turn = same & (np.trace(rotations, axis1=1, axis2=2) == -1)
    return int((same | opposite).sum()) // (2 if half_turn.any() else 1)


@cache
def _primitive_directions(limit: int) -> NDArray[np.int64]:
    grid = np.stack(np.meshgrid(*3 * [np.arange(-limit, limit + 1)], indexing="ij"), -1).reshape(-1, 3)
    grid = grid[np.gcd.reduce(grid, axis=1) == 1]
    upper: NDArray[np.int64] = grid[(grid[:, 0] * 64 + grid[:, 1]) * 64 + grid[:, 2] > 0]
    return upper


def _pattern(
    axis: tuple[NDArray[np.int64], int, int],
    hkl: NDArray[np.int64],
    weight: NDArray[np.float64],
    family: NDArray[np.intp],
    basis: NDArray[np.float64],
) -> ZonePattern | None:
    half = (hkl[:, 0] * 512 + hkl[:, 1]) * 512 + hkl[:, 2] > 0
    hkl, weight, family = hkl[half], weight[half], family[half]
    g = hkl @ basis
    generators = lattice_basis(hkl, axis[0])
    if generators is None:
        return None
    generators = _shortest(generators @ basis) @ generators
    plane = generators @ basis
    e1 = plane[0] / np.linalg.norm(plane[0])
    e2 = plane[1] - (plane[1] @ e1) * e1
    axes = np.stack([e1, e2 / np.linalg.norm(e2)])
    flat = plane @ axes.T
    position = np.rint(g @ axes.T @ np.linalg.inv(flat)).astype(np.int64)
    quiet = non_detection_log_prob(*_lattice_points(flat, position, weight))
    return ZonePattern(*axis, flat, generators, position, weight, family, quiet)


def _lattice_points(
    basis: NDArray[np.float64], position: NDArray[np.int64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Root of |F| (0 where forbidden) and |g| of all points of a lattice in the half plane."""
    reach = int(np.abs(position).max()) + 1
    table = np.zeros((2 * reach + 1, reach + 1))
    m = (
        np.where((position[:, 1] < 0) | ((position[:, 1] == 0) & (position[:, 0] < 0)), -1, 1)[:, None]
        * position
    )
    table[m[:, 0] + reach, m[:, 1]] = weight
    i, j = np.indices(table.shape)
    i -= reach
    g = np.linalg.norm(np.stack([i, j], axis=-1) @ basis, axis=-1)
    inside = (g <= 1 / PATTERN_D) & ((j > 0) | (i > 0))
    return table[inside] / damping(g[inside]), g[inside]


def lattice_basis(vectors: NDArray[np.int64], uvw: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Find two vectors that generate all given integer vectors of a plane; None if these are collinear.

    Parameters
    ----------
    vectors : ndarray of int, shape (n, 3)
        Vectors perpendicular to `uvw`.
    uvw : ndarray of int, shape (3,)
        Indices without a common divisor.
    """
    plane = _plane_basis(*(int(i) for i in uvw))
    first, second = plane
    column = 0 if first[0] else 1
    n2 = vectors[:, 2] // second[2] if second[2] else vectors[:, 1]
    n1 = (vectors[:, column] - n2 * second[column]) // first[column]
    a, b, c = 0, 0, 0  # rows (a, b) and (0, c) generate what was seen so far
    for x, y in zip(n1.tolist(), n2.tolist(), strict=True):
        a, b, c = _with_row(a, b, c, x, y)
    if not a or not c:
        return None
    basis: NDArray[np.int64] = np.array([[a, b], [0, c]]) @ np.array([first, second])
    return basis


def _plane_basis(u: int, v: int, w: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Two vectors that generate all integer vectors perpendicular to [uvw]."""
    if u == 0 and v == 0:
        return (1, 0, 0), (0, 1, 0)
    g, p, q = _extended_gcd(u, v)
    return (v // g, -u // g, 0), (-p * w, -q * w, g)


def _extended_gcd(a: int, b: int) -> tuple[int, int, int]:
    """gcd(a, b) > 0 with p a + q b = gcd."""
    p, q, r, s = 1, 0, 0, 1
    while b:
        n = a // b
        a, b, p, q, r, s = b, a - n * b, r, s, p - n * r, q - n * s
    return (a, p, q) if a > 0 else (-a, -p, -q)


def _with_row(a: int, b: int, c: int, x: int, y: int) -> tuple[int, int, int]:
    """Add (x, y) to rows (a, b), (0, c), by Euclid's algorithm on the first column."""
    while x:
        n = a // x
        a, b, x, y = x, y, a - n * x, b - n * y
    return a, b % c if c and a else b, gcd(c, y)


def _shortest(basis: NDArray[np.float64]) -> NDArray[np.int64]:
    """Integer matrix that turns a two-dimensional basis into its shortest one (Gauss)."""
    turn = np.eye(2, dtype=np.int64)
    while True:
        a, b = turn @ basis
        if b @ b < a @ a:
            turn, a, b = turn[::-1], b, a
        overlap = float(a @ b) / float(a @ a)
        if abs(overlap) < 0.5 + 1e-6:
            return turn
        turn = np.array([turn[0], turn[1] - round(overlap) * turn[0]])


#: Number of the shortest reflections of a zone that generate its lattice.
SHORTEST = 14
#: Tolerance for integer coefficients.
WHOLE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class ZoneCells:
    """Zones of a phase.

    Attributes
    ----------
    uvw : ndarray of int8, shape (n, 3)
        One zone axis per symmetric set with reflections in at least two directions.
    shape : ndarray, shape (n, 3)
        ln of the three shortest lengths of the zone's reciprocal lattice (1/nm); see `shape_of`.
    share : ndarray, shape (n,)
        Prior probability of each zone; they sum to 1.
    """

    uvw: NDArray[np.int8]
    shape: NDArray[np.float64]
    share: NDArray[np.float64]


def zone_cells(planes: LatticePlanes) -> ZoneCells:
    """Compute the zones of a phase.

    Parameters
    ----------
    planes : LatticePlanes
        Planes down to at least `PATTERN_D`.

    Examples
    --------
    >>> from napari_tem_fft.io.phases.table import load_table
    >>> gold = next(phase for phase in load_table() if phase.id == "Au")
    >>> cells = zone_cells(gold.reflections)
    >>> [cube] = [n for n, uvw in enumerate(cells.uvw.tolist()) if sorted(map(abs, uvw)) == [0, 0, 1]]
    >>> np.exp(cells.shape[cube]).round(2).tolist()
    [4.9, 4.9, 6.93]
    """
    arrays, basis = planes.arrays, planes.basis
    usable = arrays.d >= PATTERN_D
    hkl, d, weight = arrays.hkl[usable], arrays.d[usable], arrays.relative_f[usable]
    half = (hkl[:, 0] * 512 + hkl[:, 1]) * 512 + hkl[:, 2] > 0
    order = np.flatnonzero(half)[np.argsort(-d[half], kind="stable")]
    hkl, d, weight = hkl[order], d[order], weight[order]
    axes, multiplicity = zone_axes(planes)
    inside = hkl @ axes.T == 0
    rich = visibility(weight, 1 / d) @ inside
    kept, cells = _cells(hkl, hkl @ basis, inside, axes, basis)
    share = (multiplicity * rich**2 / (1 + rich**2))[kept]
    return ZoneCells(axes[kept].astype(np.int8), shape_of(cells), share / max(float(share.sum()), 1e-30))


def _cells(
    hkl: NDArray[np.int64],
    g: NDArray[np.float64],
    inside: NDArray[np.bool_],
    axes: NDArray[np.int64],
    basis: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Zones with reflections in two directions, and a basis of the lattice of each, shape (n, 2, 3)."""
    rank = np.cumsum(inside, axis=0)
    row, zone = np.nonzero(inside & (rank <= SHORTEST))
    table = np.zeros((len(axes), SHORTEST), np.intp)
    table[zone, rank[row, zone] - 1] = row
    count = np.minimum(rank[-1], SHORTEST) if len(rank) else np.zeros(len(axes), np.int64)
    valid = np.arange(SHORTEST) < count[:, None]
    vectors = np.where(valid[..., None], g[table] if len(g) else np.zeros((len(axes), SHORTEST, 3)), 0.0)
    first = vectors[:, 0]
    crossed = np.linalg.norm(np.cross(first[:, None], vectors), axis=2)
    turned = crossed > 1e-6 * np.maximum((vectors * vectors).sum(axis=2), 1e-12)
    kept = np.flatnonzero(turned.any(axis=1))
    vectors, valid, table = vectors[kept], valid[kept], table[kept]
    second = vectors[np.arange(len(kept)), turned[kept].argmax(axis=1)]
    pair = reduce_bases(np.stack([vectors[:, 0], second], axis=1)) if len(kept) else np.zeros((0, 2, 3))
    gram = np.einsum("nij,nkj->nik", pair, pair)
    whole = np.einsum("nki,nmi->nkm", vectors, pair) @ np.linalg.inv(gram)
    partial = (np.abs(whole - np.rint(whole)).max(axis=2) > WHOLE) & valid
    for n in np.flatnonzero(partial.any(axis=1)).tolist():  # the two shortest do not generate the others
        generators: Any = lattice_basis(hkl[table[n][valid[n]]], axes[kept[n]])
        pair[n] = generators @ basis
    return kept, pair
