"""Grain sizes: their distribution over an image, or over many.

Sizes are diameters of circles of the grains' areas. A grain that the image's border cuts is larger than what
is seen of it: it is counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..maps.map_grid import MapGrid
from .region import GrainRegion

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
