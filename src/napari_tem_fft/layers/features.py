"""The table of spots that stands beside their layer: what is measured of each, and what it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.grains.grain import Grain
from ..core.maps.component_map import component_name
from ..core.matching import GrainMatch
from ..core.matching.attribution import indexed_as, matches_of_spots
from ..core.spots.spot import Spot

NOT_INDEXED = "not indexed"


def spot_features(
    spots: Sequence[Spot], grains: Sequence[Grain] = (), matches: Sequence[GrainMatch] = ()
) -> dict[str, list[Any]]:
    """Columns of the table of spots; units stand in the names."""
    grain_of = {spot: grain.id for grain in grains for spot in grain.spots}
    match_of = matches_of_spots(grains, matches)
    return {
        "spot": [spot.id for spot in spots],
        "d (nm)": [round(spot.d, 5) for spot in spots],
        "d fit sigma (nm)": [round(spot.d_sigma, 6) for spot in spots],
        "angle (deg)": [round(spot.azimuth, 2) for spot in spots],
        "SNR": [round(spot.snr, 1) for spot in spots],
        "grain": [grain_of.get(spot.id, 0) for spot in spots],
        "phase": [_phase(spot.id, match_of.get(spot.id)) for spot in spots],
        "hkl": [_hkl(spot.id, match_of.get(spot.id)) for spot in spots],
        "origin": [spot.origin for spot in spots],
        "kind": [spot.kind for spot in spots],
    }


def _phase(spot: int, match: GrainMatch | None) -> str:
    """Component that a spot belongs to; "not indexed" if its grain has a name that does not explain it."""
    if match is None:
        return ""
    return component_name(match) if not match.phases or indexed_as(spot, match) else NOT_INDEXED


def _hkl(spot: int, match: GrainMatch | None) -> str:
    indexed = indexed_as(spot, match) if match is not None else None
    return " ".join(map(str, indexed.hkl)) if indexed is not None else ""
