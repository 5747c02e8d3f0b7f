"""The lattice that each low-index zone of a phase shows, as a few numbers by which libraries are searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal.plane_lattice import reduce_bases, shape_of
from ..crystal.structure import LatticePlanes
from .zone_patterns import PATTERN_D, lattice_basis, visibility, zone_axes

#: This many of the shortest reflections of a zone generate its lattice.
SHORTEST = 14
#: A coefficient is whole within this.
WHOLE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class ZoneCells:
    """Zones of one phase.

    Attributes
    ----------
    uvw : ndarray of int8, shape (n, 3)
        One zone axis of each symmetric set that shows two directions or more.
    shape : ndarray, shape (n, 3)
        ln of the three shortest lengths of the zone's reciprocal lattice (1/nm); see `shape_of`.
    share : ndarray, shape (n,)
        How probable each zone is to be seen, before looking; they sum to 1.
    """

    uvw: NDArray[np.int8]
    shape: NDArray[np.float64]
    share: NDArray[np.float64]


def zone_cells(planes: LatticePlanes) -> ZoneCells:
    """The zones of a phase.

    Parameters
    ----------
    planes : LatticePlanes
        Down to `PATTERN_D` at least.

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
    """Zones that show two directions, and a basis of the lattice of each, shape (n, 2, 3)."""
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
