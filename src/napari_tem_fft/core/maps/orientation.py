"""Orientation: how each grain lies in the plane, by the azimuth of one family of planes.

Two grains of a component can only be compared by the same planes. For each component it is the family
that most of its crystal area shows; a grain that does not show it has no orientation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal.miller import Style, format_hkl
from ..crystal.phase import Phase
from ..grains.grain import Grain
from ..grains.region import GrainRegion
from ..lengths import LengthUnit, spacing
from ..matching import GrainMatch
from ..matching.attribution import indexed_as, matches_of_spots
from ..spots.spot import Spot
from .component_map import ComponentMap, named_phases
from .strain import Deformation, smooth_field

#: Spots whose d differ by less than this share, or three of their sigmas, are of one family.
SAME_D = 0.01
#: What a spot tells of its d.
D = ("d", "d_sigma")


@dataclass(frozen=True, slots=True)
class Orientation:
    """Azimuth of a grain's planes.

    Attributes
    ----------
    grain : int
        The grain's id.
    component : str
        Name of the component whose family it is.
    azimuth : float, degrees
        Of the normal of the family's planes, counter-clockwise from +x as displayed, in [0, 180): the
        smallest one where the grain shows several planes of the family.
    sigma : float, degrees
    d : float, nm
        Of these planes.
    hkl : tuple of int, optional
        Where the phase is named.
    """

    grain: int
    component: str
    azimuth: float
    sigma: float
    d: float
    hkl: tuple[int, int, int] | None = None


def orientations(
    components: Sequence[ComponentMap],
    grains: Sequence[Grain],
    matches: Sequence[GrainMatch],
    spots: Sequence[Spot],
) -> tuple[Orientation, ...]:
    """Orientation of every grain that shows its component's family of planes."""
    match_of = matches_of_spots(grains, matches)
    by_id = {grain.id: grain for grain in grains}
    grain_of = {spot: grain.id for grain in grains for spot in grain.spots}
    found = []
    for component in components:
        own: dict[int, list[Spot]] = {}
        for spot in spots:
            if spot.enabled and spot.id in match_of and named_phases(match_of[spot.id]) == component.phases:
                own.setdefault(grain_of[spot.id], []).append(spot)
        own = {number: _indexed_spots(members, match_of) for number, members in own.items()}
        family = _shared_d(own, by_id)
        for number, members in own.items():
            d, sigma = (np.array([getattr(spot, what) for spot in members]) for what in D)
            shown = [spot for spot, same in zip(members, _same(d, sigma, family), strict=True) if same]
            if shown:
                found.append(_orientation(number, component.name, shown, match_of))
    return tuple(found)


def _indexed_spots(spots: Sequence[Spot], match_of: Mapping[int, GrainMatch]) -> list[Spot]:
    """The spots that are reflections of the named phase; all where none is."""
    known = [spot for spot in spots if indexed_as(spot.id, match_of[spot.id]) is not None]
    return known or list(spots)


def _shared_d(own: Mapping[int, Sequence[Spot]], grains: Mapping[int, Grain]) -> float:
    """The d that the largest area of grains shows; the largest d of several."""
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
    """Whether spots with these d, known to sigma (nm), are of the same planes as another d."""
    return np.asarray(np.abs(d - other) < np.maximum(SAME_D * other, 3 * sigma), bool)


def _orientation(
    number: int, component: str, shown: Sequence[Spot], match_of: Mapping[int, GrainMatch]
) -> Orientation:
    first = min(shown, key=lambda spot: spot.azimuth)
    indexed = indexed_as(first.id, match_of[first.id])
    hkl = indexed.hkl if indexed is not None else None
    return Orientation(number, component, first.azimuth, first.azimuth_sigma, first.d, hkl)


def orientation_map(
    found: Sequence[Orientation],
    grains: Sequence[Grain],
    regions: Sequence[GrainRegion],
    specimen: NDArray[np.bool_],
    turned: Sequence[Deformation] = (),
    false_share: float = 1e-3,
) -> NDArray[np.float32]:
    """Azimuth at each place in degrees, [0, 180); NaN where no grain has one.

    Parameters
    ----------
    regions : sequence of GrainRegion
        Of the grains; where they overlap, the one of the stronger heat counts.
    specimen : ndarray of bool, shape (y, x)
    turned : sequence of Deformation
        Where they show significant rotations, those are added.
    """
    azimuths = {one.grain: one.azimuth for one in found}
    image = np.full(specimen.shape, np.nan, np.float32)
    best = np.where(specimen, np.float32(0.5), np.float32(np.inf))
    rotations = {one.grain: one for one in turned}
    for grain, region in zip(grains, regions, strict=True):
        if grain.id not in azimuths:
            continue
        box, heat = region.box, region.heat
        own = np.full(heat.shape, azimuths[grain.id], np.float32)
        if grain.id in rotations:
            one = rotations[grain.id]
            whole = smooth_field([one], "rotation", specimen.shape, false_share)
            own += np.nan_to_num(whole[box])
        wins = heat >= best[box]
        best[box] = np.where(wins, heat, best[box])
        image[box] = np.where(wins, own % 180, image[box])
    return image


def families(
    found: Sequence[Orientation], phases: Sequence[Phase], unit: LengthUnit = "nm", style: Style = "overbar"
) -> str:
    """The planes by which each component's grains are compared, in words."""
    planes: dict[str, Orientation] = {}
    for one in found:
        if one.component not in planes or (planes[one.component].hkl is None and one.hkl is not None):
            planes[one.component] = one
    known = {phase.id: phase for phase in phases}
    words = []
    for name, one in list(planes.items())[:4]:
        phase = known.get(name.split(" / ")[0])
        hkl = f" {format_hkl(one.hkl, phase, style)}" if one.hkl else ""
        words.append(f"{name}{hkl} ({spacing(one.d, unit=unit)})")
    return ", ".join(words) or "no planes that grains have in common"
