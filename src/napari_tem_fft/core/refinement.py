"""Refinement of g: where the fringes of a region are in phase from end to end.

The spectrum of a grain shows a spot to a fraction of a bin. The fringes' complex amplitude, demodulated
at that frequency, tells the rest: the g at which its sum over the region is largest is the maximum
likelihood estimate, found by Newton's method on the logarithm of its modulus.

The lens passes neighbouring frequencies differently, most so near the zeros of its transfer function. On
a grain's rim, where its amplitude falls, this turns the phase of the fringes, outwards on one side and
inwards on the other, as a changed |g| does. So the rim counts less than the middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from .amplitude import bragg_field
from .diffractogram import Diffractogram
from .map_grid import MapGrid, linear_weights

#: Samples of the field a width of its filter: just what the filter lets through.
SAMPLES_A_WIDTH = 1.6
ITERATIONS = 3
#: Within so many widths of the filter from the image's border its opposite border shines in.
BORDER = 4.0

#: Cycles by which the phase of a real grain's fringes wanders across it (thickness, bending, the lens): over
#: its diameter, an uncertainty of g that no dose removes. With it 68 % of |g| lie within one standard
#: uncertainty on random micrographs of the forward model (`tests/benchmarks/held_out.py`, seeds 7000-7049).
PHASE_WANDER = 0.025


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A region on the coarse grid of the fields that are refined, and its moments.

    Attributes
    ----------
    grid : MapGrid
    weight : ndarray, shape ``grid.shape``
        How much each pixel counts: most in the region's middle, nothing outside it.
    width : float, nm
        Of the fields' filter.
    y, x : ndarray
        Positions from the centroid, nm.
    """

    grid: MapGrid
    weight: NDArray[np.float32]
    width: float
    y: NDArray[np.float64]
    x: NDArray[np.float64]


def weights_of(region: NDArray[np.bool_], grid: MapGrid, width: float) -> Weights:
    """Weights of a region of the map grid for fields of a filter of `width` nm."""
    extent = (grid.shape[0] * grid.pixel_size[0], grid.shape[1] * grid.pixel_size[1])
    whole = MapGrid.covering(extent, width / SAMPLES_A_WIDTH)
    near = tuple(_reach(np.asarray(region.any(axis=1 - axis)), whole.shape[axis]) for axis in (0, 1))
    coarse = whole.part(*near)
    matrices = []
    for places, n, p in zip(coarse.positions(), grid.shape, grid.pixel_size, strict=True):
        matrices.append(linear_weights(places.ravel() / p - 0.5, n))
    weight = np.asarray(matrices[0] @ _off_rim(region) @ matrices[1].T, np.float32)
    y, x = coarse.positions()
    weight *= np.outer(*(_off_border(p.ravel(), e, width) for p, e in zip((y, x), extent, strict=True)))
    total = max(float(weight.sum()), 1e-6)
    y = y - float((weight * y).sum()) / total
    x = x - float((weight * x).sum()) / total
    return Weights(coarse, weight, width, y, x)


def _reach(line: NDArray[np.bool_], pixels: int) -> slice:
    """The coarse pixels, of so many along an axis, that lie over the True ones of a finer line."""
    inside = np.flatnonzero(line) * pixels / len(line)
    return slice(int(max(inside[0] - 1, 0)), int(min(inside[-1] + 3, pixels))) if len(inside) else slice(None)


def _off_rim(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Rises from 0 at the region's rim, but for where the image cuts it, to 1 where it is deepest."""
    weight = np.zeros(region.shape, np.float32)
    if not region.any():
        return weight
    box = tuple(
        slice(max(inside[0] - 1, 0), inside[-1] + 2)
        for inside in (np.flatnonzero(region.any(axis=1 - axis)) for axis in (0, 1))
    )
    part = region[box]
    depth = distance_transform_edt(part) if not part.all() else np.ones(part.shape)
    weight[box] = np.sin(0.5 * np.pi * depth / depth.max()) ** 2
    return weight


def _off_border(places: NDArray[np.float64], extent: float, width: float) -> NDArray[np.float32]:
    """Rises from 0 at the image's border to 1 within it, or in the middle of a small image."""
    reach = min(BORDER * width, 0.5 * extent)
    inward = np.minimum(places, extent - places) / reach
    return np.asarray(np.sin(0.5 * np.pi * np.clip(inward, 0, 1)) ** 2, np.float32)


def refine(
    diffractogram: Diffractogram,
    weights: Weights,
    g: tuple[float, float],
    density: float,
    furthest: float,
) -> tuple[tuple[float, float], float]:
    """g at which the fringes of a region are in phase, and its standard uncertainty along either axis.

    Parameters
    ----------
    g : tuple of float, (y, x), 1/nm
        To start from.
    density : float
        Noise power density at g.
    furthest : float, 1/nm
        Where Newton's method would go farther than this, g is left as it was.

    Returns
    -------
    g : tuple of float, (y, x), 1/nm
    sigma : float, 1/nm
        From the noise (Cramer-Rao bound): strain and the calibration are not in it.
    """
    field = bragg_field(diffractogram, g, weights.width, weights.grid) * weights.weight
    rest = np.zeros(2)
    for _ in range(ITERATIONS):
        step = _newton(field, weights, rest)
        rest = rest + np.clip(step, -furthest, furthest)
    if np.hypot(*rest) > furthest:
        rest = np.zeros(2)
    total = abs(np.sum(field * _ramp(weights, rest))) / float(weights.weight.sum())
    return (g[0] + float(rest[0]), g[1] + float(rest[1])), _sigma(diffractogram, weights, total, density)


def _ramp(weights: Weights, rest: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(
        np.exp(-2j * np.pi * rest[0] * weights.y) * np.exp(-2j * np.pi * rest[1] * weights.x), np.complex128
    )


def _newton(field: NDArray[np.complex64], weights: Weights, rest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Step towards the maximum of ln |sum of the field|^2 from g + rest."""
    turned = field * _ramp(weights, rest)
    total, y, x = turned.sum(), weights.y, weights.x
    if total == 0:
        return np.zeros(2)
    first = -2j * np.pi * np.array([(turned * y).sum(), (turned * x).sum()]) / total
    yx = (turned * (y * x)).sum()
    second = -4 * np.pi**2 * np.array([[(turned * y**2).sum(), yx], [yx, (turned * x**2).sum()]]) / total
    hessian = 2 * np.real(second - np.outer(first, first))
    if not (hessian[0, 0] < 0 and np.linalg.det(hessian) > 0):
        return np.zeros(2)
    return np.asarray(-np.linalg.solve(hessian, 2 * np.real(first)), np.float64)


def _sigma(diffractogram: Diffractogram, weights: Weights, amplitude: float, density: float) -> float:
    weight = weights.weight.astype(np.float64)
    spread = 0.5 * float((weight * (weights.y**2 + weights.x**2)).sum()) / float(weight.sum())
    squares = 0.5 * float((weight**2 * (weights.y**2 + weights.x**2)).sum()) / float((weight**2).sum())
    pixels = weights.grid.pixel_area / np.prod(diffractogram.pixel_size)
    independent = float(weight.sum()) ** 2 / float((weight**2).sum()) * float(pixels)
    snr = max(amplitude**2 * independent / max(density, 1e-30), 1e-6)
    return float(np.sqrt(squares) / (spread * 2 * np.pi * np.sqrt(2 * snr)))
