"""Kinds of spots once phases are named: a named phase says itself where its structure factor vanishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..grains.grain import Grain, GrainSet
from ..spots.kinds import lattice_kinds
from ..spots.plane_lattice import plane_lattice
from ..spots.spot import Spot, SpotKind
from .attribution import indexed_as, matches_of_spots
from .result import GrainMatch


def label_kinds(
    spots: Sequence[Spot], start: GrainSet, grains: Sequence[Grain], matches: Sequence[GrainMatch]
) -> tuple[Spot, ...]:
    """The spots with the kinds that their grain's lattice and, where it has a name, its phase say.

    Satellites stay what they are, and no spot becomes one; nothing is switched on or off.

    Parameters
    ----------
    spots : sequence of Spot
    start : GrainSet
        As the run found it: the lattices are those of all its spots, whatever a person switched off since.
    grains, matches
        As they are now.
    """
    kinds = _kinds_of_lattices(start)
    for number, match in matches_of_spots(grains, matches).items():
        if (indexed := indexed_as(number, match)) is not None:
            kinds[number] = "forbidden" if indexed.kind == "double diffraction" else "reflection"
    return tuple(
        spot if spot.kind == "satellite" else replace(spot, kind=kinds.get(spot.id, spot.kind))
        for spot in spots
    )


def _kinds_of_lattices(start: GrainSet) -> dict[int, SpotKind]:
    """What the lattice of each grain says of its spots but the satellites, by the spots' ids."""
    by_id = {spot.id: spot for spot in start.spots if spot.kind != "satellite"}
    groups = [[by_id[n] for n in grain.spots if n in by_id] for grain in start.grains]
    return {
        spot.id: kind
        for own in groups
        for spot, kind in zip(own, lattice_kinds(own, plane_lattice(own)) if own else (), strict=True)
        if kind != "satellite"
    }
