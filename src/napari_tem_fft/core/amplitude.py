"""LocalAmplitude: where in the image the fringes of one frequency are, and how strong.

One-sided Bragg filtering: a Gaussian around **+g only**, g shifted to the origin, a small block around
it inverted. The modulus of the complex result is the local amplitude of the fringes (half their
height); with both +g and -g it would be rectified fringes instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .diffractogram import Diffractogram
from .local_spectra import LocalSpectra
from .map_grid import MapGrid
from .threads import threads

#: The Gaussian is cut where it has fallen to this.
CUT = 1e-4


def bragg_field(
    diffractogram: Diffractogram, g: tuple[float, float], width: float, grid: MapGrid
) -> NDArray[np.complex64]:
    """Complex amplitude of the fringes at g, demodulated.

    Parameters
    ----------
    g : tuple of float, (y, x), 1/nm
    width : float, nm
        Standard deviation of the Gaussian by which the amplitude is averaged in the image.
    grid : MapGrid

    Returns
    -------
    ndarray of complex64, shape ``grid.shape``
        In the micrograph's grey levels; its phase turns slowly where the lattice differs from g.
    """
    block, (cy, cx) = _block(diffractogram, g, width, grid.shape)
    sy, sx = diffractogram.step
    fy = (np.arange(block.shape[0]) - block.shape[0] // 2 + cy) * sy - g[0]
    fx = (np.arange(block.shape[1]) - block.shape[1] // 2 + cx) * sx - g[1]
    # samples lie in the middle of map pixels, transforms count from the middle of image pixels
    ly, lx = ((q - p) / 2 for q, p in zip(grid.pixel_size, diffractogram.pixel_size, strict=True))
    block *= np.outer(_gaussian(fy, width, ly), _gaussian(fx, width, lx)).astype(np.complex64)
    padded = np.zeros(grid.shape, np.complex64)
    (ny, nx), (by, bx) = grid.shape, block.shape
    rows = (np.arange(by) - by // 2) % ny
    columns = (np.arange(bx) - bx // 2) % nx
    padded[np.ix_(rows, columns)] = block
    scale = np.float32(ny * nx / (diffractogram.image_shape[0] * diffractogram.image_shape[1]))
    field = fft.ifft2(padded, workers=threads()) * scale
    return field * _phase_ramp(grid, (g[0] - cy * sy, g[1] - cx * sx))


def _gaussian(f: NDArray[np.float64], width: float, shift: float) -> NDArray[np.complex128]:
    gaussian: NDArray[np.complex128] = np.exp(-2 * (np.pi * width * f) ** 2 + 2j * np.pi * f * shift)
    return gaussian


def _phase_ramp(grid: MapGrid, rest: tuple[float, float]) -> NDArray[np.complex64]:
    """Turns the demodulation from the nearest bin to g itself."""
    y, x = (np.arange(n) * p for n, p in zip(grid.shape, grid.pixel_size, strict=True))
    ramp = np.outer(np.exp(-2j * np.pi * rest[0] * y), np.exp(-2j * np.pi * rest[1] * x))
    return ramp.astype(np.complex64)


def _block(
    diffractogram: Diffractogram, g: tuple[float, float], width: float, most: tuple[int, int]
) -> tuple[NDArray[np.complex64], tuple[int, int]]:
    """The transform's bins around g on the whole plane, odd-sized, zero where none were kept."""
    reach = np.sqrt(-np.log(CUT) / 2) / (np.pi * width)
    centre, offsets = [], []
    for value, step, n in zip(g, diffractogram.step, most, strict=True):
        half = min(int(np.ceil(reach / step)), (n - 1) // 2)
        centre.append(round(value / step))
        offsets.append(np.arange(-half, half + 1))
    rows, columns = centre[0] + offsets[0][:, None], centre[1] + offsets[1][None, :]
    mirrored = columns < 0
    rows, columns = np.where(mirrored, -rows, rows), np.abs(columns) + 0 * rows
    hy, hx = diffractogram.half
    inside = (np.abs(rows) <= hy) & (columns <= hx)
    picked = diffractogram.transform[np.clip(rows + hy, 0, 2 * hy), np.clip(columns, 0, hx)]
    block = np.where(inside, np.where(mirrored, picked.conj(), picked), np.complex64(0))
    return block.astype(np.complex64), (centre[0], centre[1])


def field_noise(
    diffractogram: Diffractogram, spectra: LocalSpectra, g: tuple[float, float], width: float, grid: MapGrid
) -> NDArray[np.float32]:
    """Mean power that noise alone gives `bragg_field` at each place, shape ``grid.shape``.

    The noise power density of the local windows at |g| (vacuum has less of it than film), interpolated
    between their middles, times the filter's effective area.
    """
    local = spectra.on_grid(np.sqrt(spectra.density_at(g)), grid)
    py, px = diffractogram.pixel_size
    # sum of the squared filter over the bins, over the number of pixels: 1 / (4 pi width^2) in pixels
    return local**2 * np.float32(py * px / (4 * np.pi * width**2))
