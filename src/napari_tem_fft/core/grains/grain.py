"""Grains, which are spots with a common region of the image, and the distribution of their sizes.

The size of a grain is the diameter of the circle of its area. Grains that are cut by the border of the image
are larger than they appear and are counted separately.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..maps.map_grid import MapGrid
from ..parameters import WithinLimits, param
from ..spots.spot import Spot
from .regions import GrainRegion, Outline


@dataclass(frozen=True, slots=True)
class GrainParams(WithinLimits):
    """Parameters of outlining grains."""

    resolution: float = param(
        1.0,
        "map resolution",
        unit="nm",
        low=0.2,
        high=20.0,
        help="Filter width of the maps: smaller values show finer detail, larger ones weaker fringes.",
    )
    false_share: float = param(
        1e-3,
        "false share of area",
        low=1e-6,
        high=0.05,
        help="Fraction of the area that noise alone would mark, before the cut at half a grain's amplitude.",
    )


@dataclass(frozen=True, slots=True)
class Grain:
    """A crystal, as spots whose amplitude maps coincide.

    Attributes
    ----------
    id : int
        Number in the analysis, from 1.
    spots : tuple of int
        Ids of its spots, strongest first.
    centre : tuple of float, (y, x), nm
        Centroid of its region.
    area : float, nm^2
    diameter : float, nm
        Diameter of the circle with the same area.
    area_sigma : float, nm^2
        Standard uncertainty of the area, from the boundary that the filter blurs.

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
    """All grains of an image with their spots and regions.

    Attributes
    ----------
    spots : tuple of Spot
        Spots of all grains, and spots without a grain.
    grains : tuple of Grain
        Largest first.
    regions : tuple of GrainRegion
        Regions of the grains, in the same order.
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
    """Make grains from the ids of their spots and their outlines, in the given order."""
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
    # the uncertainty of the edge of a disc is about a quarter of the filter width
    blur = np.pi * diameter * 0.25 * outline.width
    return Grain(number, spots, centroid(region, grid), area, diameter, float(blur))


#: Round widths of the bins of histograms, times a power of ten, nm.
ROUND = (1.0, 2.0, 5.0, 10.0)
#: A region within this many map pixels of the border of the image counts as cut.
BORDER = 2


@dataclass(frozen=True, slots=True, eq=False)
class SizeHistogram:
    """Histogram of the diameters of grains.

    Attributes
    ----------
    edges : ndarray, shape (n + 1,), nm
        Edges of bins of equal width; a diameter on an edge belongs to the upper bin.
    counts : ndarray of int, shape (n,)
        Number of whole grains.
    cut : ndarray of int, shape (n,)
        Number of grains cut by the border.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int_]
    cut: NDArray[np.int_]


@dataclass(frozen=True, slots=True)
class SizeSummary:
    """Statistics of whole grains; NaN if there are none.

    Attributes
    ----------
    grains, cut : int
        Number of whole grains, and of those cut by the border.
    mean, deviation, median : float, nm
        Statistics of the diameters of whole grains; the standard deviation is that of single grains.
    area_weighted : float, nm
        Mean diameter, weighted by area.
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
    """Edges in nm of about ten bins of a round width, starting at zero, for all components."""
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
    """Compute statistics of diameters (nm)."""
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
