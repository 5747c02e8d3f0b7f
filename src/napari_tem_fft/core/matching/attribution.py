"""Which match speaks for a spot: a grain in which two lattices overlap has two."""

from __future__ import annotations

from collections.abc import Sequence

from ..grains.grain import Grain
from .result import GrainMatch, IndexedSpot


def matches_of_spots(grains: Sequence[Grain], matches: Sequence[GrainMatch]) -> dict[int, GrainMatch]:
    """The match of every spot that belongs to a grain, by the spot's id.

    Of several matches of its grain it is the one whose best candidate explains the spot, else the first.
    """
    of_grain: dict[int, list[GrainMatch]] = {}
    for match in matches:
        of_grain.setdefault(match.grain, []).append(match)
    return {
        spot: next((m for m in of_grain[grain.id] if indexed_as(spot, m)), of_grain[grain.id][0])
        for grain in grains
        if grain.id in of_grain
        for spot in grain.spots
    }


def indexed_as(spot: int, match: GrainMatch) -> IndexedSpot | None:
    """The reflection by which a match's best candidate explains a spot; None if it names no phase."""
    if not match.phases or not match.candidates:
        return None
    return next((indexed for indexed in match.candidates[0].indexed if indexed.spot == spot), None)
