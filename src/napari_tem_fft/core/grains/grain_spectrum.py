"""The diffractogram of a grain alone: the image inside it, which falls to nothing where its fringes do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ..fourier.diffractogram import Diffractogram, SpectrumParams, compute_diffractogram
from ..image.micrograph import Micrograph, prepared_pixels
from ..maps.map_grid import MapGrid
from .region import GrainRegion

#: Least side of the part that is transformed, pixels: a smaller one has too few frequencies to be looked at.
LEAST_SIDE = 64
#: Heat beyond which all of a pixel counts, so that the middle of the grain weighs alike.
FULL = 0.5


def grain_diffractogram(
    micrograph: Micrograph, region: GrainRegion, grid: MapGrid, params: SpectrumParams | None = None
) -> Diffractogram:
    """Transform of the pixels of one grain, weighted by its heat; zero padding and windows add no spots.

    Parameters
    ----------
    micrograph : Micrograph
    region : GrainRegion
    grid : MapGrid
        Of the region.
    params : SpectrumParams, optional

    Raises
    ------
    ValueError
        If the image is too small, or the grain covers nothing.
    """
    if not region.area:
        raise ValueError(f"{micrograph.name}: this grain covers no part of the image")
    box, _ = region.tight()
    rows, columns = (
        _pixels(part, cell / pixel, length)
        for part, cell, pixel, length in zip(
            box, grid.pixel_size, micrograph.pixel_size, micrograph.shape, strict=True
        )
    )
    part = micrograph.crop(rows, columns)
    image, repaired = prepared_pixels(part)
    weight = _weight(region, grid, micrograph, rows, columns)
    mean = float((weight * image).sum() / max(float(weight.sum()), 1e-9))
    return compute_diffractogram(weight * (image - mean), part, params or SpectrumParams(), repaired)


def _pixels(cells: slice, factor: float, length: int) -> slice:
    """Pixels of an image, `length` long, that cells of the map cover, and no fewer than are needed."""
    first, last = cells.start * factor, cells.stop * factor
    missing = max(min(LEAST_SIDE, length) - (last - first), 0.0)
    first = np.clip(first - missing / 2, 0, max(length - max(last - first, LEAST_SIDE), 0))
    last = max(last, first + min(LEAST_SIDE, length))
    return slice(int(first), min(int(np.ceil(last)), length))


def _weight(
    region: GrainRegion, grid: MapGrid, micrograph: Micrograph, rows: slice, columns: slice
) -> NDArray[np.float32]:
    """The region's heat on pixels of the image, at most 1."""
    heat = np.zeros(grid.shape, np.float32)
    heat[region.box] = np.minimum(region.heat / FULL, 1.0)
    places = [
        (np.arange(part.start, part.stop) + 0.5) * pixel / cell - 0.5
        for part, pixel, cell in zip((rows, columns), micrograph.pixel_size, grid.pixel_size, strict=True)
    ]
    weight: NDArray[np.float32] = map_coordinates(
        heat, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest"
    ).astype(np.float32)
    return weight
