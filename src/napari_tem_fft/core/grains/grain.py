"""Grain: the spots that live in one place of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from ..maps.map_grid import MapGrid
from ..parameters import Field, check_limits
from ..spots.spot import Spot
from .region import GrainRegion
from .regions import Outline


@dataclass(frozen=True, slots=True)
class GrainParams:
    """How finely grains are outlined."""

    resolution: Annotated[
        float,
        Field(
            "map resolution",
            unit="nm",
            low=0.2,
            high=20.0,
            help="Width of the filter of the maps: smaller shows finer detail, larger weaker fringes.",
        ),
    ] = 1.0
    false_share: Annotated[
        float,
        Field(
            "false share of area",
            low=1e-6,
            high=0.05,
            help="Share of the area that noise alone marks, before the cut at half of a grain's amplitude.",
        ),
    ] = 1e-3

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, slots=True)
class Grain:
    """A crystal: spots whose amplitude maps coincide.

    Attributes
    ----------
    id : int
        1, 2, ... within an analysis.
    spots : tuple of int
        Ids of its spots, strongest first.
    centre : tuple of float, (y, x), nm
        Centroid of its region.
    area : float, nm^2
    diameter : float, nm
        Of the circle of the same area.
    area_sigma : float, nm^2
        Area of the boundary, blurred as it is by the filter.

    Examples
    --------
    >>> grain = Grain(1, spots=(1, 2), centre=(7.0, 8.5), area=42.0, diameter=7.3)
    >>> len(grain.spots)
    2
    """

    id: int
    spots: tuple[int, ...]
    centre: tuple[float, float]
    area: float
    diameter: float
    area_sigma: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class GrainSet:
    """All grains of an image with what belongs to them.

    Attributes
    ----------
    spots : tuple of Spot
        Of all grains, and such as belong to none.
    grains : tuple of Grain
        Largest first.
    regions : tuple of GrainRegion
        Where each grain is, in the same order.
    """

    spots: tuple[Spot, ...]
    grains: tuple[Grain, ...]
    regions: tuple[GrainRegion, ...]


def grain_set(
    spots: tuple[Spot, ...],
    members: Sequence[tuple[int, ...]],
    outlines: Sequence[Outline],
    grid: MapGrid,
) -> GrainSet:
    """Grains from their spots' ids and their outlines, in the given order."""
    grains = tuple(
        _describe(n + 1, ids, outline, grid)
        for n, (ids, outline) in enumerate(zip(members, outlines, strict=True))
    )
    return GrainSet(spots, grains, tuple(outline.region for outline in outlines))


def centroid(region: GrainRegion, grid: MapGrid) -> tuple[float, float]:
    """Centroid (y, x) of a region, nm."""
    box, mask = region.tight()
    inside = mask.astype(np.float32)
    y, x = (
        float(np.average(places.ravel()[side], weights=inside.sum(axis=1 - axis)))
        for axis, (places, side) in enumerate(zip(grid.positions(), box, strict=True))
    )
    return y, x


def equivalent_diameter(region: GrainRegion, grid: MapGrid) -> float:
    """Diameter of the circle of a region's area, nm."""
    return float(np.sqrt(4 / np.pi * region.area * grid.pixel_area))


def _describe(number: int, spots: tuple[int, ...], outline: Outline, grid: MapGrid) -> Grain:
    region = outline.region
    area = float(region.area * grid.pixel_area)
    diameter = equivalent_diameter(region, grid)
    # the edge of a disc is known to about a quarter of the filter's width
    blur = np.pi * diameter * 0.25 * outline.width
    return Grain(number, spots, centroid(region, grid), area, diameter, float(blur))
