"""Inverse transforms of what lies inside a mask: the lattice fringes alone, of all spots or of some.

A mask with sharp edges would draw ripples along every grain's edge. Each of its regions is blurred by a
Gaussian in proportion to its own width, so that a disc becomes nearly a Gaussian, which has no ripples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ..spots.spot import Spot
from .diffractogram import Diffractogram, display_grid, inverse_of_half_plane
from .frequency_grid import FrequencyGrid
from .mask import render

#: Standard deviation of the blur as a share of a region's largest inner distance, and at most this in 1/nm.
SOFT, SOFTEST = 0.7, 0.1
#: The blur is truncated at this many standard deviations.
CUT = 3.0


def fringes_of(
    diffractogram: Diffractogram, spots: Sequence[Spot]
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Inverse transform of spots at +g and -g, enabled or not: `masked_inverse` of their discs."""
    grid = display_grid(diffractogram)
    return masked_inverse(diffractogram, render([replace(spot, enabled=True) for spot in spots], grid), grid)


def masked_inverse(
    diffractogram: Diffractogram, mask: NDArray[np.uint8] | NDArray[np.bool_], grid: FrequencyGrid
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Inverse transform of what lies inside a mask: the picture of the lattice fringes alone.

    Parameters
    ----------
    mask : ndarray, shape ``grid.shape``
        Non-zero cells are kept, with soft edges; the cell at -g counts with that at +g.

    Returns
    -------
    image : ndarray of float32, shape (y, x)
        Real-valued, mean zero, in the grey levels of the micrograph, covering its whole field with
        just the pixels that q_max needs.
    pixel_size : tuple of float, (y, x), nm
    """
    weight = _soft_weight(diffractogram, mask != 0, grid)
    hy, hx = diffractogram.half
    ny, nx = (fft.next_fast_len(2 * h + 2, real=True) for h in (hy, hx))
    image = inverse_of_half_plane(diffractogram.transform * weight, (ny, nx), diffractogram.image_shape)
    (height, width), (py, px) = diffractogram.image_shape, diffractogram.pixel_size
    return image, (height * py / ny, width * px / nx)


def _soft_weight(
    diffractogram: Diffractogram, mask: NDArray[np.bool_], grid: FrequencyGrid
) -> NDArray[np.float32]:
    """The mask on the transform's bins, symmetric and soft."""
    soft = soften_mask(mask | mask[::-1, ::-1], grid)
    rows, columns = (
        np.rint(axis.ravel() / step).astype(np.intp) + half
        for axis, step, half in zip(diffractogram.axes(), grid.step, grid.half, strict=True)
    )
    weight = np.zeros(diffractogram.transform.shape, np.float32)
    inside_y, inside_x = (
        (index >= 0) & (index < n) for index, n in zip((rows, columns), grid.shape, strict=True)
    )
    weight[np.ix_(inside_y, inside_x)] = soft[np.ix_(rows[inside_y], columns[inside_x])]
    return weight


def soften_mask(mask: NDArray[np.bool_], grid: FrequencyGrid) -> NDArray[np.float32]:
    """A mask of which every region is blurred in proportion to its width; 1 at the region's middle."""
    soft = np.zeros(mask.shape, np.float32)
    label, _ = ndimage.label(mask, np.ones((3, 3)))
    for number, box in enumerate(ndimage.find_objects(label), 1):
        region = label[box] == number
        # chessboard distances, which are quick, reach a little further than true ones
        depth = float(ndimage.distance_transform_cdt(np.pad(region, 1)).max()) - 0.5
        sigma = [max(min(SOFT * depth, SOFTEST / step), 0.5) for step in grid.step]
        _lay(soft, region, box, sigma)
    return soft


def _lay(
    soft: NDArray[np.float32], region: NDArray[np.bool_], box: tuple[slice, ...], sigma: Sequence[float]
) -> None:
    """Blur one region and lay it over the others; the largest weight counts."""
    reach = [int(np.ceil(CUT * s)) for s in sigma]
    blurred = ndimage.gaussian_filter(
        np.pad(region.astype(np.float32), [(r, r) for r in reach]), sigma, mode="constant", truncate=CUT
    )
    blurred /= blurred.max()
    first = [side.start - r for side, r in zip(box, reach, strict=True)]
    place = tuple(
        slice(max(start, 0), min(start + n, whole))
        for start, n, whole in zip(first, blurred.shape, soft.shape, strict=True)
    )
    part = tuple(slice(p.start - start, p.stop - start) for p, start in zip(place, first, strict=True))
    np.maximum(soft[place], blurred[part], out=soft[place])
