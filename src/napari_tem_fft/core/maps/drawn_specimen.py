"""A specimen mask that a person has drawn, and grains that end where it does.

The heats of the grains keep what was measured, so that a mask can be drawn anew or taken back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..grains.grain import Grain, GrainSet, centroid, equivalent_diameter
from ..grains.region import GrainRegion
from ..image.micrograph import Micrograph
from ..image.roi import inside_part
from .map_grid import MapGrid, resample

#: A mask's sides are in the ratio of the image's to this relative difference and a pixel.
SAME_SIDES = 0.02


def specimen_on_grid(mask: NDArray[Any], micrograph: Micrograph, grid: MapGrid) -> NDArray[np.bool_]:
    """A person's specimen mask on the maps' grid.

    Parameters
    ----------
    mask : ndarray, shape (y, x)
        Not zero where there is matter; of any resolution, over the whole image.

    Raises
    ------
    ValueError
        If it has another shape than the image, or holds nothing.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or not _same_sides(mask.shape, grid.shape, micrograph.shape):
        raise ValueError(
            f"a specimen mask of shape {mask.shape} does not cover an image of shape {micrograph.shape}"
        )
    specimen = resample(mask != 0, grid.shape)
    inside = inside_part(micrograph, grid)
    specimen = specimen if inside is None else specimen & inside
    if not specimen.any():
        raise ValueError("the specimen mask is empty: mark where there is matter")
    return specimen


def _same_sides(shape: tuple[int, ...], *known: tuple[int, int]) -> bool:
    """Whether a shape's sides are in the ratio of one of the known ones, to a pixel."""
    ny, nx = shape
    return ny > 0 and any(abs(ny * w - nx * h) <= SAME_SIDES * nx * h + max(h, w) for h, w in known)


def cut_grains(found: GrainSet, specimen: NDArray[np.bool_], grid: MapGrid) -> GrainSet:
    """The grains cut to a specimen; one that lies outside stays, with no area."""
    regions = tuple(region.within(specimen) for region in found.regions)
    grains = tuple(_count(grain, part, grid) for grain, part in zip(found.grains, regions, strict=True))
    return replace(found, grains=grains, regions=regions)


def uncut_grains(found: GrainSet, grid: MapGrid) -> GrainSet:
    """The grains before they were cut to a specimen."""
    return cut_grains(found, np.ones(grid.shape, bool), grid)


def _count(grain: Grain, region: GrainRegion, grid: MapGrid) -> Grain:
    if not region.area:
        return replace(grain, area=0.0, diameter=0.0)
    area, diameter = region.area * grid.pixel_area, equivalent_diameter(region, grid)
    return replace(grain, centre=centroid(region, grid), area=area, diameter=diameter)
