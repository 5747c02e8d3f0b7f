"""Grain: the spots that live in one place of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from .map_grid import MapGrid
from .parameters import Field, check_limits
from .regions import Outline, box_of
from .spots import Spot


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
    masks : ndarray of bool, shape (number of grains, y, x)
    heats : ndarray of float32, of the same shape
        >= 0.5 inside the grain's mask.
    """

    spots: tuple[Spot, ...]
    grains: tuple[Grain, ...]
    masks: NDArray[np.bool_]
    heats: NDArray[np.float32]


def grain_set(
    spots: tuple[Spot, ...],
    members: Sequence[tuple[int, ...]],
    outlines: Sequence[Outline],
    grid: MapGrid,
) -> GrainSet:
    """Grains from their spots' ids and their outlines, in the given order."""
    grains = tuple(
        _described(n + 1, ids, outline, grid)
        for n, (ids, outline) in enumerate(zip(members, outlines, strict=True))
    )
    empty = np.zeros((0, *grid.shape))
    masks = np.stack([o.region for o in outlines]) if outlines else empty.astype(bool)
    heats = np.stack([o.heat for o in outlines]) if outlines else empty.astype(np.float32)
    return GrainSet(spots, grains, masks, heats)


def centroid(region: NDArray[np.bool_], grid: MapGrid) -> tuple[float, float]:
    """Centroid (y, x) of a region, nm."""
    box = box_of(region)
    inside = region[box].view(np.uint8).astype(np.float32)
    y, x = (
        float(np.average(places.ravel()[side], weights=inside.sum(axis=1 - axis)))
        for axis, (places, side) in enumerate(zip(grid.positions(), box, strict=True))
    )
    return y, x


def equivalent_diameter(region: NDArray[np.bool_], grid: MapGrid) -> float:
    """Diameter of the circle of a region's area, nm."""
    return float(np.sqrt(4 / np.pi * np.count_nonzero(region) * grid.pixel_area))


def _described(number: int, spots: tuple[int, ...], outline: Outline, grid: MapGrid) -> Grain:
    region = outline.region
    area = float(np.count_nonzero(region) * grid.pixel_area)
    diameter = equivalent_diameter(region, grid)
    # the edge of a disc is known to about a quarter of the filter's width
    blur = np.pi * diameter * 0.25 * outline.width
    return Grain(number, spots, centroid(region, grid), area, diameter, float(blur))
