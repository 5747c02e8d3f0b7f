"""Which phases of a large library a grain can be: those with a zone of the grain's own plane cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..crystal.library import PhaseLibrary
from ..crystal.phase import Miller
from ..crystal.plane_lattice import MOST_INDEX, reduce_bases, sublattices
from ..grains.plane_cell import PlaneCell
from .params import MatchParams

#: Phases that are weighed for one grain, and for an image; see tests/benchmarks/library_bench.py.
MOST_A_GRAIN, MOST_AN_IMAGE = 120, 240
#: Squared distance of a zone from a grain's cell over its errors, three numbers: 99.7 %.
GATE = 14.0
#: Stretch of an image, as a standard deviation, for which the first look allows where none is stated.
STRETCH = 0.01
#: What is left of the errors of single spots in a cell that many of them make (share of `d_error`).
OF_MANY = 0.7
#: -ln of how probable it is that a crystal shows a coarser lattice than its own (its other spots are weak),
#: and a finer one, by double diffraction.
WEAK_HALF, FORBIDDEN_SEEN = 3.0, 3.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Entries of a library that are worth a full matching.

    Attributes
    ----------
    references : tuple of int
        Numbers of the phases' reference entries, the most promising first.
    zones : mapping of int to frozenset of tuple of int
        For each entry of these phases (not the reference alone) the zone axes that can be meant.
    """

    references: tuple[int, ...]
    zones: dict[int, frozenset[Miller]]


def select_entries(
    library: PhaseLibrary,
    cells: Sequence[Sequence[PlaneCell]],
    params: MatchParams,
    scale_uncertainty: float,
) -> Selection:
    """The entries that grains can be by the shape and size of their cells.

    Parameters
    ----------
    library : PhaseLibrary
    cells : sequence of sequence of PlaneCell
        For each grain the likely cells of its spots.
    params : MatchParams
    scale_uncertainty : float
        Relative standard uncertainty of the image's scale.
    """
    best: dict[int, float] = {}
    axes: dict[int, set[Miller]] = {}
    for of_grain in cells:
        zones, merit = _fitting_zones(library, of_grain, params, scale_uncertainty)
        references = library.references[library.zone_entry[zones]]
        order = np.argsort(-merit, kind="stable")
        firsts = order[np.sort(np.unique(references[order], return_index=True)[1])][:MOST_A_GRAIN]
        chosen = np.isin(references, references[firsts])
        for place, row in enumerate(firsts.tolist()):
            number = int(references[row])
            # by place, so that every grain has its first ones in what an image may have
            best[number] = max(best.get(number, -np.inf), -float(place))
        for zone in zones[chosen].tolist():
            u, v, w = library.zone_uvw[zone].tolist()
            axes.setdefault(int(library.zone_entry[zone]), set()).add((u, v, w))
    kept = sorted(best, key=lambda number: (-best[number], number))[:MOST_AN_IMAGE]
    wanted = set(kept)
    found = {
        entry: frozenset(uvw)
        for entry, uvw in sorted(axes.items())
        if int(library.references[entry]) in wanted
    }
    return Selection(tuple(kept), found)


def _fitting_zones(
    library: PhaseLibrary, cells: Sequence[PlaneCell], params: MatchParams, scale_uncertainty: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Zones that one grain's cells can be, each once, and how promising each is, ln."""
    found: list[NDArray[np.intp]] = []
    merits: list[NDArray[np.float64]] = []
    for cell in cells if len(library.zone_entry) else ():
        shapes, covariances, priors = _lattices_of(cell, params, scale_uncertainty)
        reach = np.sqrt(GATE * np.linalg.eigvalsh(covariances)[:, -1])
        near = library.tree.query_ball_point(shapes, reach)
        inverse = np.linalg.inv(covariances)
        for shape, metric, prior, rows in zip(shapes, inverse, priors, near, strict=True):
            zones = np.array(rows, np.intp)
            apart = library.zone_shape[zones].astype(float) - shape
            misfit = np.einsum("ni,ij,nj->n", apart, metric, apart)
            fits = misfit < GATE
            found.append(zones[fits])
            share = np.maximum(library.zone_share[zones[fits]], 1e-5)
            merits.append(prior - 0.5 * misfit[fits] + np.log(share))
    if not found:
        return np.zeros(0, np.intp), np.zeros(0)
    zones, merit = np.concatenate(found), np.concatenate(merits)
    order = np.lexsort((-merit, zones))
    zones, first = np.unique(zones[order], return_index=True)
    return zones, merit[order][first]


def _lattices_of(
    cell: PlaneCell, params: MatchParams, scale_uncertainty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Lattices that a crystal can have whose spots make this cell: shape, its covariance, ln of the prior.

    It is the cell itself; finer ones, of which the spots show a part; coarser ones, where spots that are
    forbidden are seen.
    """
    basis, count = cell.vectors(), len(cell.spots)
    turns, priors = [np.eye(2)], [0.0]
    for index in range(2, MOST_INDEX + 1):
        for matrix in sublattices(index):
            turns.append(np.linalg.inv(matrix))
            priors.append(-min((count - 2) * np.log(index), WEAK_HALF + np.log(index)))
    for matrix in sublattices(2):
        turns.append(matrix.astype(float))
        priors.append(-FORBIDDEN_SEEN)
    reduced = reduce_bases(np.array(turns) @ basis)
    vectors = np.concatenate([reduced, (reduced[:, 1] - reduced[:, 0])[:, None]], axis=1)
    length = np.linalg.norm(vectors, axis=2)
    # ln of a length changes by (vector / length^2) . d(vector), and a vector is a sum of those measured
    sums = vectors @ np.linalg.inv(basis)
    jacobian = (sums[..., None] * (vectors / length[..., None] ** 2)[:, :, None]).reshape(len(turns), 3, 4)
    covariance = jacobian @ cell.errors() @ jacobian.transpose(0, 2, 1)
    twice = 2 * np.arctan2(vectors[..., 0], vectors[..., 1])
    believed = STRETCH if params.stretch is None else params.stretch / 100
    for stretched in (np.cos(twice), np.sin(twice)):
        covariance += believed**2 * stretched[:, :, None] * stretched[:, None]
    covariance += scale_uncertainty**2 + (OF_MANY * params.d_error / 100) ** 2 * np.eye(3)
    return np.log(length), covariance, np.array(priors)
