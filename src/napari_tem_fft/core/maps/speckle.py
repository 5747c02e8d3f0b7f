"""Speckle: the power of amorphous material, place by place, in a band of frequencies.

Lattice spots, and the Fresnel fringes along an edge, stand out of their ring and are cut down first; they
would carry the specimen into the vacuum.

The speckle is compared with the shot noise at the highest frequencies that were recorded. An image that went
through a low-pass filter holds none there, only what the filter has left, which is least in the vacuum: its
speckle power is then used unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..fourier.diffractogram import Diffractogram, inverse_of_half_plane
from ..fourier.local_spectra import LocalSpectra
from ..fourier.noise import (
    Between,
    Rings,
    between_rings,
    guard_from_zero,
    pool_rings,
    ring_means,
    spread_over_rings,
)
from .map_grid import MapGrid

#: Speckle band, 1/nm.
BAND = (1.2, 3.5)
#: The power of a frequency is clipped at this multiple of its ring's mean, and rings have at least this many
#: bins.
STRONGEST = 2.0
RING_BINS = 400
#: A filter has cut a frequency off where less than this share of the power at the end of the band is left, in
#: the windows at this quantile. The least share seen in unfiltered images is 0.17.
PASSED = 0.05
USUAL_WINDOW = 0.25
#: Film has next to no power beyond this frequency, 1/nm. Whatever a filter has left there, up to this share
#: of the last frequency that it passes, is shot noise.
SHOT_NOISE_FROM = 7.0
SHOT_NOISE_SHARE = 0.95
#: Speckle is clipped at this multiple of the median of its surroundings.
BRIGHT_POINT = 6.0
#: If a window has more shot noise than its neighbours' median by this factor, it contains something else.
ODD_WINDOW = 1.5
#: Least shot noise of a window, as a share of the shot noise of a bright one (at this quantile): compared
#: with the dark vacuum of a dark-field image, even what a filter spills out of the film is a lot.
DARK, BRIGHT_WINDOW = 0.5, 0.9
#: Crystals are included where less than this share of the average is film.
FILM_NEAR = 0.2
#: Speckle is pooled before it is averaged, to at least this many pixels per smallest smoothing, nm.
PIXELS_A_SMOOTHING = 4
SMALLEST_SMOOTHING = 1.6
#: Pixels of a band's image to a period of its highest frequency.
SAMPLES = 2.4

#: Fewest pixels of the band image, along either axis, that are pooled into one: with fewer, the phase of the
#: waves would show in their power.
FEWEST_POOLED = 3

Discs = Sequence[tuple[tuple[float, float], float]]


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """Logarithm of the speckle power over the shot noise, smoothed.

    Attributes
    ----------
    ratio : ndarray of float32
    grid : MapGrid
    """

    ratio: NDArray[np.float32]
    grid: MapGrid


@dataclass(frozen=True, slots=True, eq=False)
class Speckle:
    """Speckle power, not yet smoothed, and what shot noise alone gives, on a grid of their own.

    Attributes
    ----------
    power : ndarray of float32
    shot : ndarray of float32
        One value everywhere where the shot noise is not known.
    grid : MapGrid
    passed : float, 1/nm
        Highest frequency of which a filter has left something.
    filtered : bool
        Whether there was such a filter, so that the shot noise is not known.
    """

    power: NDArray[np.float32]
    shot: NDArray[np.float32]
    grid: MapGrid
    passed: float
    filtered: bool

    def smooth(self, smoothing: float, crystal: NDArray[np.bool_]) -> Film:
        """Averaged by a Gaussian of this standard deviation in nm, crystals left out where film is near."""
        sigma = [smoothing / p for p in self.grid.pixel_size]
        blur = partial(ndimage.gaussian_filter, sigma=sigma, mode="reflect", truncate=3)
        weight = blur((~crystal).astype(np.float32))
        smooth = blur(self.power * ~crystal) / np.maximum(weight, FILM_NEAR)
        if (weight <= FILM_NEAR).any():
            smooth = np.where(weight > FILM_NEAR, smooth, blur(self.power))
        return Film(np.log(np.maximum(smooth, 1e-30) / self.shot).astype(np.float32), self.grid)


def measure_speckle(diffractogram: Diffractogram, spectra: LocalSpectra, spots: Discs = ()) -> Speckle:
    """How much power there is at film frequencies, place by place.

    Parameters
    ----------
    spots : sequence of ((g_y, g_x), radius), 1/nm
        Crystals' reflections, which are left out.
    """
    extent = tuple(n * p for n, p in zip(diffractogram.image_shape, diffractogram.pixel_size, strict=True))
    passed = passed_frequency(spectra)
    filtered = passed < spectra.ring_g[-1]
    high = min(BAND[1], 0.7 * diffractogram.q_max, passed)
    finest = 1 / (SAMPLES * high)
    pooled = max(int(SMALLEST_SMOOTHING / (PIXELS_A_SMOOTHING * finest)), 1)
    grid = MapGrid.covering((extent[0], extent[1]), pooled * finest, most=4096)
    power, bins = band_power(diffractogram, (BAND[0] * high / BAND[1], high), grid, pooled, spots)
    power = _without_bright_points(power)
    scale = bins / float(np.prod(diffractogram.image_shape))
    shot = (_noise_reference(spectra, grid, passed) * scale).astype(np.float32)
    return Speckle(power, shot, grid, passed, filtered)


def band_power(
    diffractogram: Diffractogram,
    band: tuple[float, float],
    grid: MapGrid,
    pooled: int | None = None,
    spots: Discs = (),
) -> tuple[NDArray[np.float32], float]:
    """Power of the image in a band of frequencies, on `grid`, and how many bins of the plane it is worth.

    Parameters
    ----------
    band : tuple of float, 1/nm
    pooled : int, optional
        Pixels of the band's image to one of the grid, along either axis; as many as needed by default.
    spots : sequence of ((g_y, g_x), radius), 1/nm
        Left out.
    """
    pooled = pooled or max(int(np.ceil(SAMPLES * band[1] * max(grid.pixel_size))), FEWEST_POOLED)
    rows, columns = grid.shape
    image, bins = _band_image(diffractogram, band, (pooled * rows, pooled * columns), spots)
    image *= image
    power: NDArray[np.float32] = image.reshape(rows, pooled, columns, pooled).mean(axis=(1, 3))
    return power, bins


def passed_frequency(spectra: LocalSpectra) -> float:
    """Highest frequency, 1/nm, of which a filter that the image went through has left something.

    An image as the camera has made it has shot noise up to its last frequency.
    """
    usual = np.quantile(spectra.ring_density, USUAL_WINDOW, axis=0)
    top = float(np.interp(BAND[1], spectra.ring_g, usual))
    cut_off = np.flatnonzero((usual < PASSED * top) & (spectra.ring_g > BAND[0]))
    return float(spectra.ring_g[max(cut_off[0] - 1, 0) if cut_off.size else -1])


def _band_image(
    diffractogram: Diffractogram,
    band: tuple[float, float],
    shape: tuple[int, int],
    spots: Discs,
) -> tuple[NDArray[np.float32], float]:
    """The image in a band of frequencies at `shape` pixels, and how many bins of the plane it is worth."""
    (hy, hx), (ny, nx) = diffractogram.half, shape
    ky, kx = min(hy, (ny - 1) // 2), min(hx, nx // 2)
    gy, gx = diffractogram.axes()
    gy, gx = gy[hy - ky : hy + ky + 1], gx[:, : kx + 1]
    frame = _frame((ky, kx), diffractogram.step, band)
    inside = frame.inside.copy()
    for (y, x), reach in spots:
        for sign in (1, -1):
            if sign * x > -2 * reach:  # else it lies in the other half plane
                _clear_disc(inside, gy, gx, (sign * y, sign * x), 2 * reach)
    kept = np.where(inside, diffractogram.transform[hy - ky : hy + ky + 1, : kx + 1], np.complex64(0))
    kept *= _cut_strong_bins(kept, inside, frame)
    image = inverse_of_half_plane(kept, shape, diffractogram.image_shape)
    # noise loses a little as well: of an exponential distribution exp(-t) lies beyond t
    return image, 2.0 * float(inside.sum()) * float(-np.expm1(-STRONGEST))


def _clear_disc(
    inside: NDArray[np.bool_],
    gy: NDArray[np.float64],
    gx: NDArray[np.float64],
    g: tuple[float, float],
    reach: float,
) -> None:
    """Clear a disc of bins around a frequency."""
    (top, bottom), (left, right) = (
        np.searchsorted(axis.ravel(), (middle - reach, middle + reach))
        for axis, middle in zip((gy, gx), g, strict=True)
    )
    rows, columns = slice(int(top), int(bottom)), slice(int(left), int(right))
    inside[rows, columns] &= (gy[rows] - g[0]) ** 2 + (gx[:, columns] - g[1]) ** 2 > reach**2


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """Bins of a half plane: which lie in a band, and their rings."""

    inside: NDArray[np.bool_]
    rings: Rings
    between: Between


@lru_cache(maxsize=2)
def _frame(half: tuple[int, int], step: tuple[float, float], band: tuple[float, float]) -> _Frame:
    """Images of one shape share it, and so do the edits of an image."""
    gy = np.arange(-half[0], half[0] + 1, dtype=np.float64)[:, None] * step[0]
    gx = np.arange(half[1] + 1, dtype=np.float64)[None, :] * step[1]
    radius = np.hypot(gy, gx)
    rings = pool_rings(radius, *band, RING_BINS)
    inside = (radius >= band[0]) & (radius <= band[1])
    return _Frame(inside, rings, between_rings(rings, radius))


def _cut_strong_bins(
    kept: NDArray[np.complex64], inside: NDArray[np.bool_], frame: _Frame
) -> NDArray[np.float32]:
    """Factors that leave no bin with more than `STRONGEST` times its ring's mean power.

    The bins that are left out must not lower the mean: half of them go to either side of the median.
    """
    power = kept.real**2 + kept.imag**2
    power[~inside] = power.max() * (np.arange(np.count_nonzero(~inside)) % 2)
    used = inside.ravel().take(frame.rings.bins, mode="clip").any(axis=1)
    means = np.where(used, ring_means(power.reshape(1, -1), frame.rings), np.float32(0))
    most = spread_over_rings(guard_from_zero(means), frame.between).reshape(power.shape)
    most *= np.float32(STRONGEST)
    power = kept.real**2 + kept.imag**2
    factors: NDArray[np.float32] = np.sqrt(most / np.maximum(power, most))
    return factors


def _noise_reference(spectra: LocalSpectra, grid: MapGrid, passed: float) -> NDArray[np.float32]:
    """Noise power density at the highest frequencies, place by place; one value where no noise is left there.

    One bright pixel that was left raises it in the few windows in which it lies: they take their neighbours'.
    """
    filtered = passed < spectra.ring_g[-1]
    end = len(spectra.ring_g)
    if filtered:
        end = max(int(np.searchsorted(spectra.ring_g, SHOT_NOISE_SHARE * passed)), 1)
    last = max(1, end // 20)
    density = spectra.ring_density[:, end - last : end].mean(axis=1).reshape(spectra.window_grid)
    if filtered and passed < SHOT_NOISE_FROM:
        return np.full(grid.shape, max(float(np.median(density)), 1e-30), np.float32)
    usual = ndimage.median_filter(density, size=3, mode="nearest")
    density = np.where(density > ODD_WINDOW * usual, usual, density)
    darkest = DARK * np.quantile(density, BRIGHT_WINDOW)
    return spectra.on_grid(np.maximum(density, darkest), grid)


def _without_bright_points(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power with bright points cut down: hot pixels that were resampled or filtered cannot be repaired."""
    most = BRIGHT_POINT * ndimage.median_filter(power, size=5, mode="nearest")
    return np.asarray(np.minimum(power, most), np.float32)
