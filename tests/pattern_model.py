"""Synthetic diffraction patterns with known truth: spots, rings, diffuse light, and a camera's noise.

Positions are (y, x) in pixels, frequencies in 1/nm, azimuths in degrees counter-clockwise from +x as
displayed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forward_model import frequency
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph

Pair = tuple[float, float]
Image = NDArray[np.float64]


def radius(shape: tuple[int, int], centre: Pair, step: Pair) -> Image:
    """|g| of every pixel, 1/nm."""
    y, x = np.indices(shape, dtype=float)
    return np.hypot((y - centre[0]) * step[0], (x - centre[1]) * step[1])


def diffuse(shape: tuple[int, int], centre: Pair, step: Pair, counts: float = 2000.0) -> Image:
    """Direct beam and inelastic light around it, on a pedestal of 20 counts."""
    g = radius(shape, centre, step)
    return 20.0 + counts / (1 + (g / 0.8) ** 2) + 1e5 * np.exp(-0.5 * (g / (2 * max(step))) ** 2)


def spots(
    shape: tuple[int, int],
    centre: Pair,
    step: Pair,
    reflections: Sequence[tuple[float, float, float]],
    width: float = 1.6,
    both: bool = True,
) -> Image:
    """Gaussian spots (d in nm, azimuth, counts at the peak) of a width in pixels, with their partners."""
    image = np.zeros(shape)
    y, x = np.indices(shape, dtype=float)
    for d, azimuth, counts in reflections:
        gy, gx = frequency(d, azimuth)
        for sign in (1, -1)[: 1 + both]:
            cy, cx = centre[0] + sign * gy / step[0], centre[1] + sign * gx / step[1]
            image += counts * np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / width**2)
    return image


def rings(
    shape: tuple[int, int],
    centre: Pair,
    step: Pair,
    lines: Sequence[tuple[float, float]],
    width: float = 0.04,
) -> Image:
    """Powder rings (d in nm, counts at the ridge) of a width in 1/nm."""
    g = radius(shape, centre, step)
    return np.sum([counts * np.exp(-0.5 * ((g - 1 / d) / width) ** 2) for d, counts in lines], axis=0)


def recorded(
    expected: Image, step: Pair, seed: int = 0, origin: Pair | None = None, name: str = "pattern"
) -> Micrograph:
    """The pattern as a camera counts it, calibrated in 1/nm."""
    counts = np.random.default_rng(seed).poisson(np.maximum(expected, 0)).astype(np.int32)
    return Micrograph(counts, Calibration(step, "reciprocal", source="file", origin=origin), name)
