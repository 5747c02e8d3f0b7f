"""Misorientations of neighbours: the rotation between grains of one phase that touch or overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..crystal.orientation import CrystalOrientation
from ..crystal.phase import Phase
from ..crystal.symmetry import Misorientation, misorientation, symmetry_rotations
from ..grains.grain import Grain
from ..grains.region import Box, GrainRegion
from ..matching import GrainMatch
from .component_map import named_phases
from .map_grid import MapGrid
from .orientation import fitted_orientation


@dataclass(frozen=True, slots=True)
class GrainBoundary:
    """Two lattices of one phase that meet.

    Attributes
    ----------
    grains : tuple of 2 int
        Ids; the same one twice where two lattices overlap in one grain.
    phase : str
        Id of the phase as which both were fitted.
    misorientation : Misorientation
        Misorientation from the first grain to the second.
    sigma : float, degrees
        Standard uncertainty of the angle between the two rotations in the plane. That their zone axes may be
        tilted by a degree or two while they are still seen is not in it.
    """

    grains: tuple[int, int]
    phase: str
    misorientation: Misorientation
    sigma: float


def grain_boundaries(
    matches: Sequence[GrainMatch],
    grains: Sequence[Grain],
    regions: Sequence[GrainRegion],
    grid: MapGrid,
    reach: float,
    phases: Sequence[Phase],
) -> tuple[GrainBoundary, ...]:
    """Misorientations of all neighbours that are named as the same phase.

    Parameters
    ----------
    matches : sequence of GrainMatch
    grains : sequence of Grain
    regions : sequence of GrainRegion
        Regions of the grains.
    grid : MapGrid
    reach : float, nm
        Regions that come this close are neighbours, and such that touch in any case.
    phases : sequence of Phase
        Phases, including all that the matches name.

    Returns
    -------
    tuple of GrainBoundary
        Boundaries in the order of the grains' ids.
    """
    known = {phase.id: phase for phase in phases if not phase.d_only}
    named: dict[int, list[GrainMatch]] = {}
    for match in matches:
        if any(fitted_orientation(match, phase) for phase in match.phases):
            named.setdefault(match.grain, []).append(match)
    where = {grain.id: region for grain, region in zip(grains, regions, strict=True)}
    own = sorted(named)
    near = [(own[n], own[m]) for n, m in _neighbours([where[number] for number in own], grid, reach)]
    meeting = [pair for number in own for pair in combinations(named[number], 2)]
    meeting += [pair for one, other in near for pair in product(named[one], named[other])]
    found = []
    for a, b in sorted(meeting, key=lambda pair: (pair[0].grain, pair[1].grain)):
        if (common := _common_phase(a, b)) is not None and common[0] in known:
            found.append(_boundary((a.grain, b.grain), known[common[0]], *common[1:]))
    return tuple(found)


def _neighbours(regions: Sequence[GrainRegion], grid: MapGrid, reach: float) -> Iterator[tuple[int, int]]:
    """Places of the regions, first < second, whose masks are within reach of each other."""
    reach = max(reach, 1.001 * float(np.hypot(*grid.pixel_size)))
    margin = [int(np.ceil(reach / pixel)) for pixel in grid.pixel_size]
    for n, region in enumerate(regions[:-1]):
        box = _widened(region.box, margin, grid.shape)
        close: NDArray[np.bool_] | None = None
        for m in range(n + 1, len(regions)):
            if not regions[m].touches(box):
                continue
            if close is None:
                away = ndimage.distance_transform_edt(~region.mask_on(box), sampling=grid.pixel_size)
                close = np.asarray(away <= reach)
            if (regions[m].mask_on(box) & close).any():
                yield n, m


def _widened(box: Box, margin: Sequence[int], shape: tuple[int, int]) -> Box:
    rows, columns = (
        slice(max(side.start - more, 0), min(side.stop + more, n))
        for side, more, n in zip(box, margin, shape, strict=True)
    )
    return rows, columns


def _common_phase(a: GrainMatch, b: GrainMatch) -> tuple[str, CrystalOrientation, CrystalOrientation] | None:
    """The most probable phase that two matches name and as which both have an orientation."""
    for candidate in a.candidates:
        if candidate.phase in named_phases(a):
            one, other = (fitted_orientation(match, candidate.phase) for match in (a, b))
            if one is not None and other is not None:
                return candidate.phase, one, other
    return None


def _boundary(
    grains: tuple[int, int], phase: Phase, a: CrystalOrientation, b: CrystalOrientation
) -> GrainBoundary:
    found = misorientation(a.matrix(phase), b.matrix(phase), symmetry_rotations(phase))
    return GrainBoundary(grains, phase.id, found, float(np.hypot(a.sigma, b.sigma)))
