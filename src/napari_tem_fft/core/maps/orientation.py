"""Orientation: in-plane orientation of grains, and misorientation between neighbours.

A named grain has the rotation with which the pattern of its phase was fitted: the azimuth of one set of
planes, the same for all grains of a phase and zone axis, up to the symmetry of the pattern. Grains without a
name can only be compared by planes of the same d: those that the largest area of grains shows; grains that do
not show them have no orientation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..crystal.orientation import CrystalOrientation, Misorientation, misorientation, symmetry_rotations
from ..crystal.phase import Miller, Phase, Style, format_hkl, format_zone
from ..grains.grain import Grain
from ..grains.regions import Box, GrainRegion
from ..matching import GrainMatch
from ..matching.result import indexed_as, matches_of_spots
from ..spots.spot import Spot
from ..text import LengthUnit, spacing
from .component_map import ComponentMap, component_name, named_phases
from .map_grid import MapGrid, magnify
from .strain import Deformation, deformation_map

#: Spots belong to one family if their d differ by less than this fraction, or by three standard
#: uncertainties.
SAME_D = 0.01
#: Approximate number of pixels per axis of a displayed map, and the largest factor by which it is refined.
DRAWN, MOST_FINER = 1024, 6
#: Attributes of a spot with its d.
D = ("d", "d_sigma")


@dataclass(frozen=True, slots=True)
class Orientation:
    """Azimuth of planes in a grain.

    Attributes
    ----------
    grain : int
        Id of the grain.
    component : str
        Name of the component whose planes are used.
    azimuth : float, degrees
        Azimuth of the normal of the planes, counter-clockwise from +x as displayed, in [0, period). Without a
        fitted rotation, the smallest one if the grain shows several planes of the family.
    sigma : float, degrees
    d : float, nm
        Spacing of these planes: from the phase's tabulated cell with a fitted rotation, otherwise as
        measured.
    hkl : tuple of int, optional
        Indices of the planes, if the phase is named.
    zone_axis : tuple of int, optional
        [uvw] away from the viewer, if the rotation of a whole pattern was fitted.
    period : float, degrees
        Rotation after which the pattern looks the same.
    match : int, optional
        Index of its match among the analysis' matches, if the rotation was fitted.
    phase : str
        Id of the phase with which it was fitted.
    """

    grain: int
    component: str
    azimuth: float
    sigma: float
    d: float
    hkl: Miller | None = None
    zone_axis: Miller | None = None
    period: float = 180.0
    match: int | None = None
    phase: str = ""


def orientations(
    components: Sequence[ComponentMap],
    grains: Sequence[Grain],
    matches: Sequence[GrainMatch],
    spots: Sequence[Spot],
) -> tuple[Orientation, ...]:
    """Orientations of all grains that have a fitted rotation or show their component's family of planes.

    Parameters
    ----------
    components : sequence of ComponentMap
    grains : sequence of Grain
    matches : sequence of GrainMatch
    spots : sequence of Spot
        Spots of the grains; only enabled ones are used.

    Returns
    -------
    tuple of Orientation
        Ordered by component. A grain in which two lattices overlap may have several.
    """
    match_of = matches_of_spots(grains, matches)
    by_id = {grain.id: grain for grain in grains}
    grain_of = {spot: grain.id for grain in grains for spot in grain.spots}
    found = []
    for component in components:
        fitted = _fitted(component, matches)
        found += fitted
        done = {one.grain for one in fitted}
        own: dict[int, list[Spot]] = {}
        for spot in spots:
            if spot.enabled and spot.id in match_of and component_name(match_of[spot.id]) == component.name:
                own.setdefault(grain_of[spot.id], []).append(spot)
        own = {
            number: _indexed_spots(members, match_of) for number, members in own.items() if number not in done
        }
        family = _shared_d(own, by_id)
        for number, members in own.items():
            d, sigma = (np.array([getattr(spot, what) for spot in members]) for what in D)
            shown = [spot for spot, same in zip(members, _same(d, sigma, family), strict=True) if same]
            if shown:
                first = min(shown, key=lambda spot: spot.azimuth)
                indexed = indexed_as(first.id, match_of[first.id])
                hkl = indexed.hkl if indexed is not None else None
                azimuth = first.azimuth, first.azimuth_sigma
                found.append(Orientation(number, component.name, *azimuth, first.d, hkl))
    return tuple(found)


def fitted_orientation(match: GrainMatch, phase: str) -> CrystalOrientation | None:
    """Orientation of a match with one of the phases that it names; None if none was fitted."""
    if phase not in named_phases(match):
        return None
    return next((one.orientation for one in match.candidates if one.phase == phase), None)


def _fitted(component: ComponentMap, matches: Sequence[GrainMatch]) -> list[Orientation]:
    """Orientations of the matches of a component with the phase that was fitted to most of them."""
    own = [(n, match) for n, match in enumerate(matches) if named_phases(match) == component.phases]
    ways = [
        [
            Orientation(
                match.grain, component.name, one.rotation, one.sigma, one.d, one.hkl, one.zone_axis,
                one.period, n, phase,
            )
            for n, match in own
            if (one := fitted_orientation(match, phase)) is not None
        ]
        for phase in component.phases
    ]  # fmt: skip
    return max(ways, key=len, default=[])


def _indexed_spots(spots: Sequence[Spot], match_of: Mapping[int, GrainMatch]) -> list[Spot]:
    """Spots that are reflections of the named phase; all spots if none is named."""
    known = [spot for spot in spots if indexed_as(spot.id, match_of[spot.id]) is not None]
    return known or list(spots)


def _shared_d(own: Mapping[int, Sequence[Spot]], grains: Mapping[int, Grain]) -> float:
    """The d shown by the largest total area of grains; of several the largest."""
    d, sigma = (np.array([getattr(s, what) for spots in own.values() for s in spots]) for what in D)
    if not d.size:
        return 0.0
    order = np.argsort(-d, kind="stable")
    same = _same(d[:, None], sigma[:, None], d[order])
    firsts = np.cumsum([0, *(len(spots) for spots in own.values())])[:-1]
    shows = np.logical_or.reduceat(same, firsts, axis=0)
    areas = np.array([grains[number].area for number in own]) @ shows
    best, largest = 0.0, 0.0
    for value, area in zip(d[order].tolist(), areas.tolist(), strict=True):
        if area > 1.0001 * largest:
            best, largest = value, area
    return best


def _same(d: NDArray[np.float64], sigma: NDArray[np.float64], other: Any) -> NDArray[np.bool_]:
    """Whether spots with these d and standard uncertainties (nm) belong to the same planes as another d."""
    return np.asarray(np.abs(d - other) < np.maximum(SAME_D * other, 3 * sigma), bool)


def orientation_map(
    found: Sequence[Orientation],
    grains: Sequence[Grain],
    regions: Sequence[GrainRegion],
    specimen: NDArray[np.bool_],
    turned: Sequence[Deformation] = (),
    false_share: float = 1e-3,
    colours: bool = False,
    finer: int = 1,
) -> NDArray[np.float32]:
    """Map of the azimuth in degrees, [0, 180); NaN where there is no orientation.

    Parameters
    ----------
    found : sequence of Orientation
        Orientations. Of several in a grain, the first one of the smallest component is used.
    regions : sequence of GrainRegion
        Regions of the grains. Where they overlap, the grain with the larger heat is used.
    specimen : ndarray of bool, shape (y, x)
    turned : sequence of Deformation
        Deformations, whose significant rotations are added.
    colours : bool
        Return azimuths times 180 / period, for a circular colour map of 180 degrees: equivalent orientations
        have the same colour, without steps where a four-fold or six-fold pattern repeats.
    finer : int
        Number of pixels per pixel of the map along each axis, for display: the borders of grains follow their
        heat between the map's pixels. Azimuths are not interpolated, because the mean of 179 and 1 is not 90.
    """
    if finer > 1:
        regions = [region.magnified(finer, specimen.shape) for region in regions]
    coarse, specimen = specimen.shape, magnify(specimen, finer) >= 0.5 if finer > 1 else specimen
    shown: dict[int, Orientation] = {}
    for one in found:
        if one.grain not in shown or shown[one.grain].component != one.component:
            shown[one.grain] = one
    image = np.full(specimen.shape, np.nan, np.float32)
    best = np.where(specimen, np.float32(0.5), np.float32(np.inf))
    rotations = {one.grain: one for one in turned}
    for grain, region in zip(grains, regions, strict=True):
        if grain.id not in shown:
            continue
        box, heat, period = region.box, region.heat, shown[grain.id].period
        own = np.full(heat.shape, shown[grain.id].azimuth, np.float32)
        if grain.id in rotations:
            whole = np.nan_to_num(deformation_map([rotations[grain.id]], "rotation", coarse, false_share))
            own += (magnify(whole, finer) if finer > 1 else whole)[box]
        own = own % period * np.float32(180 / period if colours else 1)
        wins = heat >= best[box]
        best[box] = np.where(wins, heat, best[box])
        image[box] = np.where(wins, own, image[box])
    return image


def finer_factor(shape: tuple[int, int]) -> int:
    """Factor by which a map of this shape is refined for display, so that its pixels are not visible.

    Examples
    --------
    >>> finer_factor((96, 120)), finer_factor((768, 700))
    (6, 2)
    """
    return int(np.clip(-(-DRAWN // max(shape)), 1, MOST_FINER))


def families(
    found: Sequence[Orientation],
    phases: Sequence[Phase],
    unit: LengthUnit = "nm",
    between: str = ", ",
    style: Style = "plain",
) -> str:
    """Text with the planes by which each component's grains of one zone axis are compared."""
    planes: dict[tuple[str, Miller | None], Orientation] = {}
    for one in found:
        key = one.component, one.zone_axis
        if key not in planes or (planes[key].hkl is None and one.hkl is not None):
            planes[key] = one
    known = {phase.id: phase for phase in phases}
    words = []
    for (name, zone_axis), one in list(planes.items())[:4]:
        phase = known.get(one.phase or name.split(" / ")[0])
        hkl = f" {format_hkl(one.hkl, phase, style)}" if one.hkl else ""
        zone = f" along {format_zone(zone_axis, phase, style)}" if zone_axis else ""
        words.append(f"{name}{hkl}{zone} ({spacing(one.d, unit=unit)})")
    return between.join(words) or "no planes shared by the grains"


def colour_factors(found: Sequence[Orientation]) -> str:
    """Text with the factors of the colours of four-fold and six-fold patterns; empty without any."""
    factors = sorted({round(180 / one.period) for one in found} - {1})
    return ", ".join(f"\u00d7 {n} for {2 * n}-fold patterns" for n in factors)


@dataclass(frozen=True, slots=True)
class GrainBoundary:
    """Boundary between two lattices of one phase.

    Attributes
    ----------
    grains : tuple of 2 int
        Ids of the grains; the same id twice if two lattices overlap in one grain.
    phase : str
        Id of the phase with which both were fitted.
    misorientation : Misorientation
        Misorientation from the first grain to the second.
    sigma : float, degrees
        Standard uncertainty of the angle between the two in-plane rotations. Tilts of the zone axes, which
        may be a degree or two without being visible, are not included.
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
    """Misorientations of all neighbouring grains that are named as the same phase.

    Parameters
    ----------
    matches : sequence of GrainMatch
    grains : sequence of Grain
    regions : sequence of GrainRegion
        Regions of the grains.
    grid : MapGrid
    reach : float, nm
        Regions within this distance are neighbours; touching ones always are.
    phases : sequence of Phase
        Phases, including all that the matches name.

    Returns
    -------
    tuple of GrainBoundary
        Boundaries, sorted by the grains' ids.
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
            phase, (one, other) = known[common[0]], common[1:]
            turned = misorientation(one.matrix(phase), other.matrix(phase), symmetry_rotations(phase))
            sigma = float(np.hypot(one.sigma, other.sigma))
            found.append(GrainBoundary((a.grain, b.grain), phase.id, turned, sigma))
    return tuple(found)


def _neighbours(regions: Sequence[GrainRegion], grid: MapGrid, reach: float) -> Iterator[tuple[int, int]]:
    """Yield pairs of indices, first < second, of regions whose masks are within reach of each other."""
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
    """The most probable phase that two matches name and with which both have an orientation."""
    for candidate in a.candidates:
        if candidate.phase in named_phases(a):
            one, other = (fitted_orientation(match, candidate.phase) for match in (a, b))
            if one is not None and other is not None:
                return candidate.phase, one, other
    return None
