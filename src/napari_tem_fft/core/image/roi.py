"""Region of interest: a rectangle or polygon of a micrograph that is analysed like a whole image.

Its bounding box is cut out as a micrograph that stores its position in the whole (`Micrograph.roi`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from ..grains.grain import GrainSet
from ..maps.map_grid import MapGrid
from .micrograph import SMALLEST, Micrograph, RegionOfInterest

#: A grain belongs to the region if at least this fraction of it is inside.
MOST_OF_IT = 0.5
#: A polygon that fills more than this fraction of its bounding box is a rectangle.
FULL = 0.995
#: Precision of drawn corners as a fraction of a pixel, because napari stores them in single precision.
ROUNDING = 1e-3
#: Suffix of the name of a region.
PART = " part"
#: Keys of the region in files, in the metadata as in version 0.1: first pixel, and corners.
START, CORNERS = "part_start", "part"


def part_of(
    micrograph: Micrograph, corners: Sequence[Sequence[float]] | NDArray[np.float64]
) -> tuple[Micrograph, tuple[int, int]]:
    """Cut a region of interest out of a micrograph.

    Parameters
    ----------
    micrograph : Micrograph
    corners : sequence of (y, x), nm
        Corners of the polygon, from the centre of the first pixel.

    Returns
    -------
    part : Micrograph
    start : tuple of int, (y, x)
        First pixel of the region in the whole image.

    Raises
    ------
    ValueError
        If fewer than 16 x 16 pixels of the image are inside.
    """
    pixels = np.asarray(corners, float) / micrograph.pixel_size
    low = np.clip(np.ceil(pixels.min(axis=0) - ROUNDING), 0, micrograph.shape).astype(int)
    high = np.clip(np.floor(pixels.max(axis=0) + ROUNDING) + 1, 0, micrograph.shape).astype(int)
    if min(high - low) < SMALLEST:
        raise ValueError(
            f"{micrograph.name}: the region contains too few pixels of the image; draw a larger one"
        )
    part = micrograph.crop(slice(low[0], high[0]), slice(low[1], high[1]))
    inside = _fill_polygon(part.shape, pixels - low)
    outline = () if inside.mean() > FULL else _pairs((pixels - low) * micrograph.pixel_size)
    start = int(low[0]), int(low[1])
    return replace(part, name=f"{micrograph.name}{PART}", roi=RegionOfInterest(start, outline)), start


def roi_in_metadata(micrograph: Micrograph) -> dict[str, Any]:
    """The metadata as stored in files, including the region of interest."""
    metadata, roi = dict(micrograph.metadata), micrograph.roi
    if roi is not None:
        metadata |= {START: list(roi.start)}
        metadata |= {CORNERS: [list(corner) for corner in roi.corners]} if roi.corners else {}
    return metadata


def roi_from_metadata(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], RegionOfInterest | None]:
    """Inverse of `roi_in_metadata`: the metadata alone, and the region of interest if there is one.

    Raises
    ------
    ValueError
        If the entries of the region are invalid.
    """
    rest = {key: value for key, value in metadata.items() if key not in (START, CORNERS)}
    if len(rest) == len(metadata):
        return rest, None
    start, corners = metadata.get(START, (0, 0)), metadata.get(CORNERS) or ()
    try:
        y, x = start
        if not (isinstance(y, int) and isinstance(x, int)):
            raise ValueError("no pixels")
        return rest, RegionOfInterest((y, x), _pairs(np.asarray(corners, float).reshape(-1, 2)))
    except (ValueError, TypeError) as error:
        raise ValueError(f"not a region of interest: {start!r:.80}, {corners!r:.80}") from error


def inside_part(micrograph: Micrograph, grid: MapGrid) -> NDArray[np.bool_] | None:
    """Mask of the region of interest on the grid of the maps; None if it is the whole image."""
    if micrograph.roi is None or not micrograph.roi.corners:
        return None
    return polygon_on_grid(micrograph.roi.corners, micrograph.pixel_size, grid)


def polygon_on_grid(
    corners: Sequence[Sequence[float]] | NDArray[np.float64], pixel_size: tuple[float, float], grid: MapGrid
) -> NDArray[np.bool_]:
    """Mask of a polygon with corners (y, x) in nm on the grid of an image's maps.

    Parameters
    ----------
    pixel_size : tuple of float, (y, x), nm
        Pixel size of the image: corners are relative to the centre of its first pixel, map pixels to its
        edge.
    """
    places = (np.asarray(corners, float) + 0.5 * np.array(pixel_size)) / np.array(grid.pixel_size) - 0.5
    return _fill_polygon(grid.shape, places)


def only_inside(found: GrainSet, inside: NDArray[np.bool_] | None) -> GrainSet:
    """Keep only the grains that are inside, with their spots."""
    if inside is None:
        return found
    shares = [float(inside[one.box][one.mask].mean()) if one.area else 0.0 for one in found.regions]
    kept = [row for row, share in enumerate(shares) if share >= MOST_OF_IT]
    grains = tuple(replace(found.grains[row], id=number) for number, row in enumerate(kept, 1))
    members = {spot for grain in grains for spot in grain.spots}
    spots = tuple(spot for spot in found.spots if spot.id in members)
    return GrainSet(spots, grains, tuple(found.regions[row] for row in kept))


def _pairs(points: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple((float(y), float(x)) for y, x in points)


def _fill_polygon(shape: tuple[int, int], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = polygon2mask(shape, corners)  # type: ignore[no-untyped-call]
    return mask
