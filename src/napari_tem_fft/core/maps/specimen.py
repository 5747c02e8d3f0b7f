"""Specimen mask: where there is matter. Vacuum and holes have no amorphous speckle.

Speckle is the power between 1.2 and 3.5 1/nm over the shot noise (the power at the highest
frequencies that were recorded, from the local windows' ring medians, which lattice spots do not move).
Frequencies that stand out of their ring are cut down first: lattice spots, and the Fresnel fringes along an
edge, which would carry the specimen into the vacuum. Two classes are accepted only if they are truly two:
well apart, and with a step at their border, so that a wedge of rising thickness is not cut in halves. The
border is then drawn again where the power rises to that of the film nearby.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

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
from .map_grid import MapGrid, resample

#: Speckle band, 1/nm.
BAND = (1.2, 3.5)
#: No frequency counts with more than this multiple of its ring's mean power, and rings have so many bins.
STRONGEST = 2.0
RING_BINS = 400
#: A window has no more shot noise than its neighbours' median by this factor, or something else is in it.
ODD_WINDOW = 1.5
#: Crystals count where less than this share of the average is film.
FILM_NEAR = 0.2
#: Speckle is pooled before it is averaged, to so many pixels in the finest of these averages at least.
PIXELS_A_SMOOTHING = 4
#: Standard deviations of the Gaussians over which speckle is averaged, nm: the finest that does.
SMOOTHINGS = (1.6, 2.6, 4.0)
#: Distance between the classes over their mean spread. Halves of one normal distribution have 2.6 to 2.9.
FEWEST_SPREADS = 3.2
#: Share of the vacuum that lies so many smoothings from its border; noise makes small islands.
DEEP_SHARE = 0.35
DEEP = 1.25
#: Smallest distance between the classes, in the logarithm of the power ratio.
SMALLEST_RISE = 0.2
#: Vacuum has at most this share of the film's power above shot noise: more is film too, only thinner.
VACUUM_SHARE = 0.25
#: The rise across the border must be this share of that between the classes, seen from between so many
#: smoothings on either side.
SMALLEST_STEP = 0.55
STEP_REACH = (1.0, 2.5)
#: The border lies where the power has risen by this share from the vacuum's to that of the film nearby, which
#: is averaged beyond so many smoothings from the border, over so many nm. A half would be that of a sharp
#: edge, but films get thin there.
RISE = 0.43
DEEP_FILM = 2.0
NEARBY = 5.0
#: Smoothing raises the power at the border of a hole and lowers it at that of an island. How much is seen on
#: the mask itself, in so many rounds.
ROUNDS = 3
#: Pieces of vacuum, or of specimen, that are smaller than so many squares of the smoothing are chance.
SMALLEST_PIECE = 8.0


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
    """Speckle power, not yet smoothed, and what shot noise alone gives, on a grid of their own."""

    power: NDArray[np.float32]
    shot: NDArray[np.float32]
    grid: MapGrid

    def smooth(self, smoothing: float, crystal: NDArray[np.bool_]) -> Film:
        """Averaged by a Gaussian of this standard deviation in nm, crystals left out where film is near."""
        sigma = [smoothing / p for p in self.grid.pixel_size]
        blur = partial(ndimage.gaussian_filter, sigma=sigma, mode="reflect", truncate=3)
        weight = blur((~crystal).astype(np.float32))
        smooth = blur(self.power * ~crystal) / np.maximum(weight, FILM_NEAR)
        if (weight <= FILM_NEAR).any():
            smooth = np.where(weight > FILM_NEAR, smooth, blur(self.power))
        return Film(np.log(np.maximum(smooth, 1e-30) / self.shot).astype(np.float32), self.grid)


def speckle(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[tuple[float, float], float]] = (),
) -> Speckle:
    """How much power there is at film frequencies, place by place.

    Parameters
    ----------
    spots : sequence of ((g_y, g_x), radius), 1/nm
        Crystals' reflections, which are left out.
    """
    extent = tuple(n * p for n, p in zip(diffractogram.image_shape, diffractogram.pixel_size, strict=True))
    high = min(BAND[1], 0.7 * diffractogram.q_max)
    band = (BAND[0] * high / BAND[1], high)
    finest = 1 / (2.4 * high)
    pooled = max(int(SMOOTHINGS[0] / (PIXELS_A_SMOOTHING * finest)), 1)
    grid = MapGrid.covering((extent[0], extent[1]), pooled * finest, most=4096)
    image, bins = _band_image(diffractogram, band, (pooled * grid.shape[0], pooled * grid.shape[1]), spots)
    image *= image
    power = image.reshape(grid.shape[0], pooled, grid.shape[1], pooled).mean(axis=(1, 3))
    shot = _shot_noise(spectra, grid) * (bins / float(np.prod(diffractogram.image_shape)))
    return Speckle(power, shot.astype(np.float32), grid)


def specimen_mask(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    grid: MapGrid,
    spots: Sequence[tuple[tuple[float, float], float]] = (),
    crystals: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """True where there is matter, on `grid`; all True where no vacuum can be told.

    Parameters
    ----------
    spots : sequence of ((g_y, g_x), radius), 1/nm
        Reflections of the crystals that were found: no speckle.
    crystals : ndarray of bool, shape ``grid.shape``, optional
        Where they are: matter in any case, for a crystal need not have a film on it.
    """
    inside = np.zeros(grid.shape, bool) if crystals is None else crystals
    raw = speckle(diffractogram, spectra, spots)
    crystal = resample(inside, raw.grid.shape)
    for smoothing in SMOOTHINGS if crystal.mean() <= 0.9 else ():
        film = raw.smooth(smoothing, crystal)
        cut = float(threshold_otsu(film.ratio[~crystal]))  # type: ignore[no-untyped-call]
        matter = _without_small_pieces(crystal | (film.ratio > cut), film.grid, smoothing)
        if _are_two(film, matter, crystal, smoothing):
            matter = _at_rise(film, matter, crystal, smoothing)
            matter = _without_small_pieces(matter, film.grid, smoothing)
            return resample(matter, grid.shape) | inside
    return np.ones(grid.shape, bool)


def _band_image(
    diffractogram: Diffractogram,
    band: tuple[float, float],
    shape: tuple[int, int],
    spots: Sequence[tuple[tuple[float, float], float]],
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
    kept *= _cut_strong_bins(kept, frame)
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


def _cut_strong_bins(kept: NDArray[np.complex64], frame: _Frame) -> NDArray[np.float32]:
    """Factors that leave no bin with more than `STRONGEST` times its ring's mean power."""
    power = kept.real**2 + kept.imag**2
    most = spread_over_rings(
        guard_from_zero(ring_means(power.reshape(1, -1), frame.rings)), frame.between
    ).reshape(power.shape)
    most *= np.float32(STRONGEST)
    factors: NDArray[np.float32] = np.sqrt(most / np.maximum(power, most))
    return factors


def _shot_noise(spectra: LocalSpectra, grid: MapGrid) -> NDArray[np.float32]:
    """Noise power density at the highest frequencies, place by place.

    One bright pixel that was left raises it in the few windows in which it lies: they take their neighbours'.
    """
    last = max(1, len(spectra.ring_g) // 20)
    density = spectra.ring_density[:, -last:].mean(axis=1).reshape(spectra.window_grid)
    usual = ndimage.median_filter(density, size=3, mode="nearest")
    return spectra.on_grid(np.where(density > ODD_WINDOW * usual, usual, density), grid)


def _without_small_pieces(mask: NDArray[np.bool_], grid: MapGrid, smoothing: float) -> NDArray[np.bool_]:
    smallest = SMALLEST_PIECE * smoothing**2 / grid.pixel_area
    for value in (True, False):
        label, count = ndimage.label(mask == value)
        small = np.bincount(label.ravel(), minlength=count + 1) < smallest
        small[0] = False
        mask = np.where(small[label], not value, mask)
    return mask


def _are_two(film: Film, matter: NDArray[np.bool_], crystal: NDArray[np.bool_], smoothing: float) -> bool:
    """Whether film and vacuum are two classes with a step between them, crystals left out."""
    high, low = film.ratio[matter & ~crystal], film.ratio[~matter]
    if not high.size or not low.size:
        return False
    rise = float(np.median(high) - np.median(low))
    if np.expm1(np.median(low)) > VACUUM_SHARE * np.expm1(np.median(high)):
        return False
    spread = float(np.mean([1.4826 * np.median(np.abs(part - np.median(part))) for part in (high, low)]))
    inward = ndimage.distance_transform_edt(matter, sampling=film.grid.pixel_size)
    outward = ndimage.distance_transform_edt(~matter, sampling=film.grid.pixel_size)
    near, far = (reach * smoothing for reach in STEP_REACH)
    within = film.ratio[(inward > near) & (inward < far) & ~crystal]
    beyond = film.ratio[(outward > near) & (outward < far)]
    if not within.size or not beyond.size:
        return False
    step = float(np.median(within) - np.median(beyond))
    if np.count_nonzero(outward > DEEP * smoothing) < DEEP_SHARE * np.count_nonzero(~matter):
        return False
    return rise > SMALLEST_RISE and rise > FEWEST_SPREADS * spread and step > SMALLEST_STEP * rise


def _at_rise(
    film: Film, matter: NDArray[np.bool_], crystal: NDArray[np.bool_], smoothing: float
) -> NDArray[np.bool_]:
    """The border where the power rises from the vacuum's to the nearby film's."""
    power = np.exp(film.ratio)
    inward = ndimage.distance_transform_edt(matter, sampling=film.grid.pixel_size)
    outward = ndimage.distance_transform_edt(~matter, sampling=film.grid.pixel_size)
    deep = ((inward > DEEP_FILM * smoothing) & ~crystal).astype(np.float32)
    vacuum = power[outward > smoothing]
    if not deep.any() or not vacuum.size:
        return matter
    sigma = [NEARBY / p for p in film.grid.pixel_size]
    weight = ndimage.gaussian_filter(deep, sigma)
    near = ndimage.gaussian_filter(deep * power, sigma) / np.maximum(weight, 1e-6)
    full = np.where(weight > 1e-3, near, np.median(power[deep > 0]))
    empty = float(np.median(vacuum))
    share = (power - empty) / np.maximum(full - empty, 1e-6 * np.abs(full))
    edge = (inward <= DEEP_FILM * smoothing) & (outward <= DEEP_FILM * smoothing)
    found = np.where(edge, share > RISE, matter) | crystal
    for _ in range(ROUNDS):
        found = np.where(edge, share > 2 * RISE * _at_border(found, smoothing, film.grid), matter) | crystal
    return found


def _at_border(matter: NDArray[np.bool_], smoothing: float, grid: MapGrid) -> NDArray[np.float32]:
    """What a smoothed mask has at the nearest point of its border: a half where that is straight."""
    rim = matter & ndimage.binary_dilation(~matter)
    if not rim.any():
        return np.full(matter.shape, 0.5, np.float32)
    sigma = [smoothing / p for p in grid.pixel_size]
    # its border moved by half a pixel, into the middle of the rim
    half = 0.5 * (matter.astype(np.float32) + ndimage.binary_erosion(matter, border_value=1))
    smooth = ndimage.gaussian_filter(half, sigma, mode="reflect")
    nearest = ndimage.distance_transform_edt(
        ~rim, sampling=grid.pixel_size, return_distances=False, return_indices=True
    )
    return np.asarray(smooth[tuple(nearest)], np.float32)
