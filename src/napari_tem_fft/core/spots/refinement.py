"""Refinement of g: the frequency at which the fringes of a region are in phase from end to end.

The spectrum of a grain gives the position of a spot to a fraction of a bin. The complex amplitude of the
fringes, demodulated at that frequency, gives it more precisely: the g at which the sum of the amplitude over
the region is largest is the maximum likelihood estimate, found by Newton's method on the logarithm of its
modulus.

The lens transfers neighbouring frequencies differently, especially near the zeros of its transfer function.
On a grain's rim, where the amplitude falls, this shifts the phase of the fringes outwards on one side and
inwards on the other, as a change of |g| would. So the rim has less weight than the middle.

The filtered fields are periodic: near the border they also contain the fringes of the opposite border. In a
large image this margin is left out. A small image consists of margin only: there, the pixels of the image are
summed under a smooth window, without a filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from ..fourier.diffractogram import BandImage, Diffractogram
from ..grains.regions import GrainRegion
from ..maps.map_grid import MapGrid, linear_weights, resample
from .bragg_filter import BORDER, bragg_fields, is_small

#: Samples of the field per filter width: just enough for the frequencies that the filter passes.
SAMPLES_A_WIDTH = 1.6
ITERATIONS = 3
#: Exponents of the positions in the moments of a field; not tuned. Sweep: halved, belief 0.73 -> 0.72, error
#: of d 0.107 -> 0.191 %; doubled, error of d 0.107 -> 0.230 %.
POWERS = np.arange(3)[:, None]

#: Variation of the phase of a real grain's fringes over its diameter (thickness, bending, the lens), in
#: cycles: an uncertainty of g that no dose removes. With it 68 % of |g| lie within one standard uncertainty
#: on random micrographs of the forward model (`tests/benchmarks/held_out.py`, seeds 7000-7049).
PHASE_WANDER = 0.025


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights of a region on the grid of the fields that are refined, and positions from its centroid.

    Attributes
    ----------
    grid : MapGrid
    weight : ndarray, shape ``grid.shape``
        How much each pixel counts: most in the region's middle, nothing outside it.
    width : float, nm
        Filter width of the fields; 0 if the image's own pixels are summed, on their own grid.
    y, x : ndarray
        Positions from the centroid, nm.
    """

    grid: MapGrid
    weight: NDArray[np.float32]
    width: float
    y: NDArray[np.float64]
    x: NDArray[np.float64]


def weights_of(region: GrainRegion, grid: MapGrid, width: float, band: BandImage | None = None) -> Weights:
    """Weights of a region of the map grid, for fields whose filter is `width` nm wide.

    In an image so small that every position is affected by its opposite border, these are weights of the
    pixels of `band`, if it is given.
    """
    extent = grid.extent
    if band is not None and is_small(extent):
        return _pixel_weights(region, grid, extent, width, band)
    whole = MapGrid.covering(extent, width / SAMPLES_A_WIDTH)
    tight, _ = region.tight()
    sides = list(zip(tight, grid.shape, strict=True))
    near = (_reach(side, n, pixels) for (side, n), pixels in zip(sides, whole.shape, strict=True))
    coarse = whole.part(*near)
    # one more pixel on every side, except where the image cuts the region
    rows, columns = (slice(max(side.start - 1, 0), min(side.stop + 1, n)) for side, n in sides)
    y_weights, x_weights = (
        linear_weights(places.ravel() / p - 0.5, n)[:, side]
        for places, side, n, p in zip(
            coarse.positions(), (rows, columns), grid.shape, grid.pixel_size, strict=True
        )
    )
    weight = np.asarray(y_weights @ _off_rim(region.mask_on((rows, columns))) @ x_weights.T, np.float32)
    y, x = coarse.positions()
    weight *= np.outer(*(off_border(p.ravel(), e, width) for p, e in zip((y, x), extent, strict=True)))
    return _centred(coarse, weight, width)


def _pixel_weights(
    region: GrainRegion, grid: MapGrid, extent: tuple[float, float], width: float, band: BandImage
) -> Weights:
    """Weights of a small image's pixels, so smooth that other spots do not leak in."""
    ny, nx = band.pixels.shape
    pixels = MapGrid((ny, nx), band.pixel_size)
    y, x = pixels.positions()
    mask = resample(region.mask_on(grid.box), (ny, nx))
    weight = _off_rim(mask, band.pixel_size)
    weight *= np.outer(*(off_border(p.ravel(), e, width) for p, e in zip((y, x), extent, strict=True)))
    return _centred(pixels, weight, 0.0)


def _centred(grid: MapGrid, weight: NDArray[np.float32], width: float) -> Weights:
    y, x = grid.positions()
    total = max(float(weight.sum()), 1e-6)
    y = y - float((weight * y).sum()) / total
    x = x - float((weight * x).sum()) / total
    return Weights(grid, weight, width, y, x)


def _reach(side: slice, n: int, pixels: int) -> slice:
    """Coarse pixels along an axis that cover one side of a region on an axis of `n` pixels."""
    first, last = side.start * pixels / n, (side.stop - 1) * pixels / n
    return slice(int(max(first - 1, 0)), int(min(last + 3, pixels)))


def _off_rim(mask: NDArray[np.bool_], pixel_size: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.float32]:
    """Weight that rises from 0 at a mask's rim, except where the image cuts it, to 1 where it is deepest."""
    depth = distance_transform_edt(mask, sampling=pixel_size) if not mask.all() else np.ones(mask.shape)
    return np.asarray(np.sin(0.5 * np.pi * depth / depth.max()) ** 2, np.float32)


def off_border(places: NDArray[np.float64], extent: float, width: float) -> NDArray[np.float32]:
    """Weight of positions (nm) along an axis: from 0 at the image's border to 1 inside, or in its middle."""
    reach = min(BORDER * width, 0.5 * extent)
    inward = np.minimum(places, extent - places) / reach
    return np.asarray(np.sin(0.5 * np.pi * np.clip(inward, 0, 1)) ** 2, np.float32)


def refine(
    diffractogram: Diffractogram,
    weights: Weights,
    spots: Sequence[tuple[float, float]],
    densities: ArrayLike,
    furthest: float,
    band: BandImage | None = None,
) -> list[tuple[tuple[float, float], float]]:
    """Refine each g to where the fringes of a region are in phase, with its standard uncertainty.

    Parameters
    ----------
    spots : sequence of (g_y, g_x), 1/nm
        Starting values.
    densities : array-like
        Noise power density at each of them.
    furthest : float, 1/nm
        Largest change of g: if Newton's method would exceed it, g stays as it was.
    band : BandImage, optional
        The image from which the weights were made.

    Returns
    -------
    list of (g, sigma), one a spot
        g = (y, x) and sigma along either axis, in 1/nm. sigma follows from the noise (Cramer-Rao bound);
        strain and the calibration are not included.
    """
    if not spots:
        return []
    if band is not None and weights.width == 0.0:
        fields = _demodulated(band, spots, weights)
    else:
        fields = bragg_fields(diffractogram, spots, weights.width, weights.grid)
    fields *= weights.weight
    rest = np.zeros((len(spots), 2))
    for _ in range(ITERATIONS):
        step = _newton(_moments(fields, weights, rest))
        rest = rest + np.clip(step, -furthest, furthest)
    rest[np.hypot(*rest.T) > furthest] = 0
    amplitude = np.abs(_moments(fields, weights, rest)[:, 0, 0]) / float(weights.weight.sum())
    sigma = _sigma(diffractogram, weights, amplitude, np.asarray(densities, np.float64))
    g = np.array(spots, np.float64) + rest
    return [((gy, gx), one) for (gy, gx), one in zip(g.tolist(), sigma.tolist(), strict=True)]


def _demodulated(
    band: BandImage, spots: Sequence[tuple[float, float]], weights: Weights
) -> NDArray[np.complex64]:
    """The pixels of an image, demodulated at each spot's g, shape (number of spots, y, x)."""
    g = np.array(spots, np.float64).reshape(-1, 2)
    y, x = (
        np.exp(-2j * np.pi * part[:, None] * places.ravel()).astype(np.complex64)
        for part, places in zip(g.T, (weights.y, weights.x), strict=True)
    )
    return np.asarray(band.pixels * y[:, :, None] * x[:, None, :], np.complex64)


def _moments(
    fields: NDArray[np.complex64], weights: Weights, rest: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Sums of each field, demodulated by its `rest`, times y^i x^j, shape (number of fields, 3, 3)."""
    y, x = (
        np.exp(-2j * np.pi * r[:, None, None] * places.ravel()) * places.ravel() ** POWERS
        for r, places in zip(rest.T, (weights.y, weights.x), strict=True)
    )
    # the long sum, of few columns, runs in the field's own precision, the short one in double precision
    rows = fields @ x.swapaxes(1, 2).astype(np.complex64)
    return np.asarray(y @ rows, np.complex128)


def _newton(moments: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Steps towards the maxima of ln |sum of the field|^2, shape (n, 2); zero if no maximum is near."""
    total = np.where(moments[:, 0, 0] == 0, 1, moments[:, 0, 0])
    y, x = (-2j * np.pi * moments[:, i, j] / total for i, j in ((1, 0), (0, 1)))
    yy, yx, xx = (-4 * np.pi**2 * moments[:, i, j] / total for i, j in ((2, 0), (1, 1), (0, 2)))
    a, b, c = 2 * np.real(yy - y * y), 2 * np.real(yx - y * x), 2 * np.real(xx - x * x)
    det = a * c - b * b
    concave = (a < 0) & (det > 0) & (moments[:, 0, 0] != 0)
    down = 2 * np.real(np.stack([c * y - b * x, a * x - b * y], axis=1))
    return np.where(concave[:, None], -down / np.where(concave, det, 1)[:, None], 0.0)


def _sigma(
    diffractogram: Diffractogram,
    weights: Weights,
    amplitude: NDArray[np.float64],
    density: NDArray[np.float64],
) -> NDArray[np.float64]:
    weight = weights.weight.astype(np.float64)
    squared = weights.y**2 + weights.x**2
    spread = 0.5 * float((weight * squared).sum()) / float(weight.sum())
    squares = 0.5 * float((weight**2 * squared).sum()) / float((weight**2).sum())
    pixels = weights.grid.pixel_area / np.prod(diffractogram.pixel_size)
    independent = float(weight.sum()) ** 2 / float((weight**2).sum()) * float(pixels)
    snr = np.maximum(amplitude**2 * independent / np.maximum(density, 1e-30), 1e-6)
    return np.asarray(np.sqrt(squares) / (spread * 2 * np.pi * np.sqrt(2 * snr)), np.float64)
