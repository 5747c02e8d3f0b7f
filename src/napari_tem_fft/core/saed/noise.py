"""Noise of a diffraction pattern: background and scatter along each ring, and how often noise is high.

A pattern's grey levels follow no known law (counts with a gain, a modulus, its logarithm), so the law is
taken from the pattern: the background at a pixel is the median of an arc of its own ring, short enough
that rings made elliptic by the lenses stay inside; the scatter is the arc's median deviation; and the tail
is exponential from the 90 % to the 99 % quantile of all pixels on. That is exact for the power spectrum of
noise and overstates the false alarms of counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Point = tuple[float, float]
Image = NDArray[np.float32]

#: Length of the arcs, pixels, and fewest arcs per ring.
ARC, FEWEST_ARCS = 48.0, 6
#: Samples per arc.
SAMPLES = 24
#: Rings, of one pixel each, over which the scatter is averaged.
SCATTER_RINGS = 7
#: Least scatter of an arc, as a share of the band's: an arc of saturated pixels has none.
LEAST_SCATTER = 0.05
#: Quantiles from which the tail is continued.
TAIL = (0.90, 0.99)


@dataclass(frozen=True, slots=True, eq=False)
class PatternNoise:
    """How far each pixel stands out of its ring.

    Attributes
    ----------
    significance : ndarray, shape (ny, nx)
        (I - background) / scatter.
    knee, decay : float
        The probability that noise gives more than s is 0.01 exp(-(s - knee) / decay) for s above the knee.
    """

    significance: Image
    knee: float
    decay: float

    def log_tail(self, significance: float) -> float:
        """ln of the probability that noise gives more than this at one pixel."""
        return float(np.log(1 - TAIL[1])) - (significance - self.knee) / self.decay

    def threshold(self, false_alarms: float) -> float:
        """Significance that noise exceeds this many times in the image."""
        tests = self.significance.size
        excess = float(np.log((1 - TAIL[1]) * tests / false_alarms))
        return self.knee + self.decay * max(excess, 0.0)


def pattern_noise(image: Image, centre: Point, scale: Point, low: float, high: float) -> PatternNoise:
    """Background and scatter of every ring.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Pattern, smoothed by about a pixel.
    centre : tuple of float, (y, x), pixels
    scale : tuple of float, (y, x), 1/nm per pixel
    low, high : float, 1/nm
        Limits of |g|; the significance is 0 outside.
    """
    mean_scale = float(np.sqrt(scale[0] * scale[1]))
    stretch = (scale[0] / mean_scale, scale[1] / mean_scale)
    dy = (np.arange(image.shape[0])[:, None] - centre[0]) * stretch[0]
    dx = (np.arange(image.shape[1])[None, :] - centre[1]) * stretch[1]
    radius = np.hypot(dy, dx).astype(np.float32)
    turn = (np.arctan2(dy, dx) / (2 * np.pi)).astype(np.float32) % 1.0
    significance = np.zeros(image.shape, np.float32)
    limits = max(low / mean_scale, float(radius.min())), min(high / mean_scale, float(radius.max()))
    searched = (radius >= limits[0]) & (radius <= limits[1])
    for inner, outer in pairwise(_band_edges(*limits)):
        inside = searched & (radius >= inner) & (radius < outer)
        if inside.any():
            background, scatter = _band(image, centre, stretch, inner, outer)
            at = radius[inside] - inner + 1, turn[inside]
            level, width = (_look_up(table, *at) for table in (background, scatter))
            significance[inside] = (image[inside] - level) / width
    knee, decay = _tail(significance[searched]) if searched.any() else (1.0, 1.0)
    return PatternNoise(significance, knee, decay)


def _band_edges(low: float, high: float) -> list[float]:
    """Radii between which all rings are cut into the same number of arcs: each a third above the last."""
    edges = [float(np.floor(low))]
    while edges[-1] <= high:
        edges.append(float(np.ceil(max(edges[-1] * 4 / 3, edges[-1] + 12))))
    return edges


def _band(
    image: Image, centre: Point, stretch: Point, inner: float, outer: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and scatter of half-overlapping arcs, shape (rings, 2 arcs), one ring beyond either edge."""
    arcs = max(FEWEST_ARCS, round(np.pi * (inner + outer) / ARC))
    radii = np.maximum(np.arange(inner - 1, outer + 2), 0.0)[:, None]
    angles = 2 * np.pi * (np.arange(arcs * SAMPLES) + 0.5)[None, :] / (arcs * SAMPLES)
    y, x = centre[0] + radii * np.sin(angles) / stretch[0], centre[1] + radii * np.cos(angles) / stretch[1]
    ny, nx = image.shape
    outside = (y < 0) | (y > ny - 1) | (x < 0) | (x > nx - 1)
    values = ndimage.map_coordinates(image, [y, x], order=1, mode="nearest").astype(np.float64)
    values[outside] = np.nan
    median, deviation = _of_arcs(values, arcs)
    scatter = 1.4826 * ndimage.uniform_filter1d(deviation, SCATTER_RINGS, axis=0, mode="nearest")
    least = LEAST_SCATTER * max(float(np.median(scatter)), float(np.std(image)) * LEAST_SCATTER)
    return median, np.maximum(scatter, max(least, 1e-30))


def _of_arcs(values: NDArray[np.float64], arcs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and median deviation of arcs and of those that begin in their middles, in turn.

    Arcs outside of the image take the values of their ring, rings outside those of their neighbours.
    """
    both = np.stack([values, np.roll(values, -SAMPLES // 2, axis=1)], axis=1)
    pieces = both.reshape(len(values), 2, arcs, SAMPLES).transpose(0, 2, 1, 3)
    known = np.isfinite(pieces).sum(axis=-1) >= SAMPLES // 3
    filled = np.where(known[..., None], pieces, 0.0)
    median = np.where(known, nan_median(filled), np.nan)
    deviation = np.where(known, nan_median(np.abs(filled - np.nan_to_num(median)[..., None])), np.nan)
    shape = (len(values), 2 * arcs)
    return _complete(median.reshape(shape)), _complete(deviation.reshape(shape))


def nan_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median along the last axis without NaN; there is at least one number in each row."""
    ordered = np.sort(values, axis=-1)  # NaN comes last
    count = np.isfinite(values).sum(axis=-1)
    low, high = ((count - 1) // 2)[..., None], (count // 2)[..., None]
    return np.asarray(
        0.5 * (np.take_along_axis(ordered, low, -1) + np.take_along_axis(ordered, high, -1))[..., 0]
    )


def _complete(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unknown arcs filled with the mean of the known ones of their ring, unknown rings from the next ones."""
    known = np.isfinite(table)
    count = known.sum(axis=1)
    means = np.where(known, table, 0.0).sum(axis=1) / np.maximum(count, 1)
    rings = np.arange(len(table))
    if not count.any():
        return np.zeros(table.shape)
    means = np.interp(rings, rings[count > 0], means[count > 0])
    return np.where(known, table, means[:, None])


def _look_up(
    table: NDArray[np.float64], ring: NDArray[np.float32], turn: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Values between the rings and between the middles of the arcs."""
    wrapped = np.concatenate([table[:, -1:], table, table[:, :1]], axis=1)
    column = turn * table.shape[1]  # column 1 is the first arc, whose middle lies half an arc after angle 0
    found: NDArray[np.float32] = ndimage.map_coordinates(
        wrapped, [ring, column], order=1, mode="nearest", output=np.float32
    )
    return found


def _tail(values: NDArray[np.float32]) -> tuple[float, float]:
    low, high = np.quantile(values, TAIL)
    decay = (high - low) / np.log((1 - TAIL[0]) / (1 - TAIL[1]))
    return float(high), max(float(decay), 1e-3)
