"""LineProfile: grey levels along a line drawn by the user, with its length and direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LineProfile:
    """Values along a line.

    Attributes
    ----------
    start, end : tuple of float, (y, x)
        End points in the unit of the pixel size, from the centre of the first pixel.
    position : ndarray, shape (n,)
        Distance from the start, in the same unit.
    value : ndarray, shape (n,)
        Mean across the line's width; NaN outside the image.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    position: NDArray[np.float64]
    value: NDArray[np.float64]

    @property
    def length(self) -> float:
        """Length of the line, in the unit of the pixel size."""
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    @property
    def azimuth(self) -> float:
        """Direction, degrees counter-clockwise from +x as displayed, in [0, 180)."""
        return azimuth_of(self.start, self.end)


def azimuth_of(start: Sequence[float], end: Sequence[float]) -> float:
    """Direction of a line between points (y, x), degrees counter-clockwise from +x as displayed, in [0, 180).

    Examples
    --------
    >>> azimuth_of((0, 0), (-1, 1)), azimuth_of((-1, 1), (0, 0)), azimuth_of((0, 0), (0, -3))
    (45.0, 45.0, 0.0)
    """
    turn = float(np.degrees(np.arctan2(start[0] - end[0], end[1] - start[1]))) % 180.0
    return 0.0 if turn > 180.0 - 1e-9 else turn


def line_profile(
    pixels: NDArray[np.generic],
    pixel_size: tuple[float, float],
    start: tuple[float, float],
    end: tuple[float, float],
    width: int = 1,
) -> LineProfile:
    """Interpolate grey levels along a line, one value per pixel of its length.

    Parameters
    ----------
    pixels : ndarray, shape (y, x)
    pixel_size : tuple of float, (y, x)
    start, end : tuple of float, (y, x)
        In the unit of `pixel_size`; the centre of the first pixel is (0, 0).
    width : int
        Number of pixels across the line that are averaged.

    Examples
    --------
    >>> ramp = np.tile(np.arange(5.0), (4, 1))
    >>> found = line_profile(ramp, (0.5, 0.5), (0.5, 0.0), (0.5, 2.0))
    >>> found.length, found.azimuth, found.value.tolist(), found.position.tolist()
    (2.0, 0.0, [0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 1.0, 1.5, 2.0])
    """
    from scipy.ndimage import map_coordinates

    first, last = (np.asarray(place, float) / pixel_size for place in (start, end))
    # only the surroundings of the line are converted to floating point, because micrographs are large
    low = np.maximum(np.floor(np.minimum(first, last)).astype(int) - width - 1, 0)
    high = np.maximum(np.ceil(np.maximum(first, last)).astype(int) + width + 2, low + 1)
    part = np.asarray(pixels[low[0] : high[0], low[1] : high[1]], np.float64)
    pixels_long = float(np.hypot(*(last - first)))
    count = int(np.ceil(round(pixels_long, 9))) + 1
    value = np.full(count, np.nan)
    if part.size:
        along = np.linspace(first - low, last - low, count)
        across = np.array([first[1] - last[1], last[0] - first[0]]) / (pixels_long or 1.0)
        places = along[:, None] + across * (np.arange(width) - (width - 1) / 2)[:, None]
        # a line that ends at the centre of the last pixel must not leave the image by rounding errors
        at = np.moveaxis(places.round(9), -1, 0)
        value = map_coordinates(part, at, order=1, mode="constant", cval=np.nan).mean(axis=1)
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    return LineProfile(start, end, np.linspace(0.0, length, len(value)), np.asarray(value, np.float64))
