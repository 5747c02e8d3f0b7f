"""Grain: the spots that live in one place of the image; and how the sizes of grains are distributed.

Sizes are diameters of circles of the grains' areas. A grain that the image's border cuts is larger than what
is seen of it: it is counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from ..maps.map_grid import MapGrid
from ..parameters import Field, check_limits
from ..spots.spot import Spot
from .regions import GrainRegion, Outline


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


#: Widths of the histogram's bins that people like to read, times a power of ten, nm.
ROUND = (1.0, 2.0, 5.0, 10.0)
#: A mask that comes within this many map pixels of the image's border is cut by it.
BORDER = 2


@dataclass(frozen=True, slots=True, eq=False)
class SizeHistogram:
    """How many grains have which diameter.

    Attributes
    ----------
    edges : ndarray, shape (n + 1,), nm
        Of bins of one round width; a diameter on an edge belongs to the bin above.
    counts : ndarray of int, shape (n,)
        Of whole grains.
    cut : ndarray of int, shape (n,)
        Of grains that the border cuts.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int_]
    cut: NDArray[np.int_]


@dataclass(frozen=True, slots=True)
class SizeSummary:
    """Whole grains in numbers; NaN where there are none.

    Attributes
    ----------
    grains, cut : int
        Whole ones, and such as the border cuts.
    mean, deviation, median : float, nm
        Of the diameters of the whole ones; the deviation is that of the grains, not of the mean.
    area_weighted : float, nm
        Mean diameter in which each grain counts by its area.
    """

    grains: int
    cut: int
    mean: float
    deviation: float
    median: float
    area_weighted: float


def is_cut_by_border(region: GrainRegion, grid: MapGrid) -> bool:
    """Whether the image's border cuts a region of the map grid."""
    box, _ = region.tight()
    sides = zip(box, grid.shape, strict=True)
    return region.area > 0 and any(side.start < BORDER or side.stop > n - BORDER for side, n in sides)


def bin_edges(diameters: Sequence[float]) -> NDArray[np.float64]:
    """Edges in nm of some ten bins of one round width from zero on, for all components alike."""
    top = max(diameters, default=1.0)
    wanted = max(top, 1e-3) / 10
    decade = 10.0 ** np.floor(np.log10(wanted))
    width = next(step * decade for step in ROUND if step * decade >= 0.999 * wanted)
    return np.asarray(width * np.arange(int(top / width + 1e-9) + 2), np.float64)


def histogram(diameters: Sequence[float], cut: Sequence[bool], edges: NDArray[np.float64]) -> SizeHistogram:
    """Count grains by their diameter (nm) in given bins."""
    values, beyond = np.asarray(diameters, float), np.asarray(cut, bool)
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    whole, part = (np.bincount(bins[which], minlength=len(edges) - 1) for which in (~beyond, beyond))
    return SizeHistogram(edges, whole, part)


def summary(diameters: Sequence[float], cut: Sequence[bool]) -> SizeSummary:
    """The distribution of diameters (nm) in numbers."""
    beyond = np.asarray(cut, bool)
    whole = np.asarray(diameters, float)[~beyond]
    if not len(whole):
        return SizeSummary(0, int(beyond.sum()), *[float("nan")] * 4)
    deviation = float(whole.std(ddof=1)) if len(whole) > 1 else float("nan")
    return SizeSummary(
        grains=len(whole),
        cut=int(beyond.sum()),
        mean=float(whole.mean()),
        deviation=deviation,
        median=float(np.median(whole)),
        area_weighted=float(np.average(whole, weights=whole**2)),
    )
