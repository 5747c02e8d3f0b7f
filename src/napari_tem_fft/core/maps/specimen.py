"""Specimen mask: the area with material, as detected or as drawn by the user.

Vacuum and holes have no amorphous speckle. A threshold divides the speckle power (`measure_speckle`) into two
classes. They are accepted only if they are well separated, with a step at their border, so that a wedge of
increasing thickness is not cut in half, and if the lower class contains hardly any of the film's spectrum, so
that thin film is not taken for vacuum. The border is then moved to where the power rises to the level of the
film nearby.

Before the speckle is measured, lattice spots and the Fresnel fringes along an edge are clipped, because they
exceed the mean of their ring and would extend the specimen into the vacuum.

The speckle is compared with the shot noise at the highest recorded frequencies. After a low-pass filter there
is no shot noise, only what the filter has left, which is least in the vacuum: the speckle power is then used
without this comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
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
    robust_sigma,
    spread_over_rings,
)
from ..grains.grain import Grain, GrainSet, centroid, equivalent_diameter
from ..grains.regions import GrainRegion
from ..image.micrograph import Micrograph
from ..image.roi import inside_part
from .map_grid import MapGrid, resample

#: Speckle band, 1/nm.
BAND = (1.2, 3.5)
#: The power of a bin is clipped at this multiple of its ring's mean, and rings have at least this many bins.
STRONGEST = 2.0
RING_BINS = 400
#: A frequency was cut off by a filter if less than this fraction of the power at the end of the band is left,
#: in the windows at this quantile. The smallest fraction observed in unfiltered images is 0.17.
PASSED = 0.05
USUAL_WINDOW = 0.25
#: Film has hardly any power beyond this frequency, 1/nm. Whatever a filter has left there, up to this
#: fraction of the highest frequency that it passes, is shot noise.
SHOT_NOISE_FROM = 7.0
SHOT_NOISE_SHARE = 0.95
#: Speckle power is clipped at this multiple of the median of its surroundings.
BRIGHT_POINT = 6.0
#: A window with more shot noise than this multiple of its neighbours' median contains something else.
ODD_WINDOW = 1.5
#: Smallest shot noise of a window, relative to that of a bright one (at this quantile): compared with the
#: dark vacuum of a dark-field image, even what a filter spreads from the film is a lot. BRIGHT_WINDOW set by
#: hand. Sweep of BRIGHT_WINDOW: halved, nothing; doubled, fails (a quantile above 1).
DARK, BRIGHT_WINDOW = 0.5, 0.9
#: Crystals are included in the average where less than this fraction of the weight is film.
FILM_NEAR = 0.2
#: Speckle is pooled before it is averaged, to at least this many pixels per smallest smoothing, nm.
PIXELS_A_SMOOTHING = 4
#: Set by hand. Sweep: halved, nothing; doubled, film 0.99 -> 0.95.
SMALLEST_SMOOTHING = 1.6
#: Pixels of the band image per period of its highest frequency.
SAMPLES = 2.4

#: Smallest number of pixels of the band image, along each axis, that are pooled into one: with fewer, the
#: phase of the waves would be visible in their power.
FEWEST_POOLED = 3

Discs = Sequence[tuple[tuple[float, float], float]]


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """Smoothed logarithm of the ratio of speckle power to shot noise.

    Attributes
    ----------
    log_ratio : ndarray of float32
    grid : MapGrid
    """

    log_ratio: NDArray[np.float32]
    grid: MapGrid


@dataclass(frozen=True, slots=True, eq=False)
class Speckle:
    """Speckle power before smoothing, and the contribution of shot noise, on their own grid.

    Attributes
    ----------
    power : ndarray of float32
    shot : ndarray of float32
        A constant if the shot noise is unknown.
    grid : MapGrid
    passed : float, 1/nm
        Highest frequency that a filter has not removed.
    filtered : bool
        Whether the image was filtered, so that the shot noise is unknown.
    """

    power: NDArray[np.float32]
    shot: NDArray[np.float32]
    grid: MapGrid
    passed: float
    filtered: bool

    def smooth(self, smoothing: float, crystal: NDArray[np.bool_]) -> Film:
        """Average with a Gaussian of this standard deviation in nm, without crystals where film is near."""
        sigma = [smoothing / p for p in self.grid.pixel_size]
        blur = partial(ndimage.gaussian_filter, sigma=sigma, mode="reflect", truncate=3)
        weight = blur((~crystal).astype(np.float32))
        smooth = blur(self.power * ~crystal) / np.maximum(weight, FILM_NEAR)
        if (weight <= FILM_NEAR).any():
            smooth = np.where(weight > FILM_NEAR, smooth, blur(self.power))
        return Film(np.log(np.maximum(smooth, 1e-30) / self.shot).astype(np.float32), self.grid)


def measure_speckle(diffractogram: Diffractogram, spectra: LocalSpectra, spots: Discs = ()) -> Speckle:
    """Measure the local power at the frequencies of amorphous film.

    Parameters
    ----------
    spots : sequence of ((g_y, g_x), radius), 1/nm
        Reflections of crystals, which are excluded.
    """
    extent = tuple(n * p for n, p in zip(diffractogram.image_shape, diffractogram.pixel_size, strict=True))
    passed = passed_frequency(spectra)
    filtered = passed < spectra.ring_g[-1]
    high = min(BAND[1], 0.7 * diffractogram.q_max, passed)
    finest = 1 / (SAMPLES * high)
    pooled = max(int(SMALLEST_SMOOTHING / (PIXELS_A_SMOOTHING * finest)), 1)
    grid = MapGrid.covering((extent[0], extent[1]), pooled * finest, most=4096)
    power, bins = band_power(diffractogram, (BAND[0] * high / BAND[1], high), grid, pooled, spots)
    # hot pixels that were resampled or filtered cannot be repaired, so bright points are cut down
    power = np.minimum(power, BRIGHT_POINT * ndimage.median_filter(power, size=5, mode="nearest"))
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
    """Local power of the image in a band of frequencies, on `grid`, and the number of bins it represents.

    Parameters
    ----------
    band : tuple of float, 1/nm
    pooled : int, optional
        Number of pixels of the band image per pixel of the grid, along each axis; by default as many as
        needed.
    spots : sequence of ((g_y, g_x), radius), 1/nm
        Reflections to exclude.
    """
    pooled = pooled or max(int(np.ceil(SAMPLES * band[1] * max(grid.pixel_size))), FEWEST_POOLED)
    rows, columns = grid.shape
    image, bins = _band_image(diffractogram, band, (pooled * rows, pooled * columns), spots)
    image *= image
    power: NDArray[np.float32] = image.reshape(rows, pooled, columns, pooled).mean(axis=(1, 3))
    return power, bins


def passed_frequency(spectra: LocalSpectra) -> float:
    """Highest frequency, 1/nm, that a low-pass filter applied to the image has not removed.

    An unfiltered image has shot noise up to its highest frequency.
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
    """The image in a band of frequencies at `shape` pixels, and the number of bins that it represents."""
    (hy, hx), (ny, nx) = diffractogram.half, shape
    ky, kx = min(hy, (ny - 1) // 2), min(hx, nx // 2)
    gy, gx = diffractogram.axes()
    gy, gx = gy[hy - ky : hy + ky + 1], gx[:, : kx + 1]
    frame = _band_of((ky, kx), diffractogram.step, band)
    inside = frame.inside.copy()
    for (y, x), reach in spots:
        for sign in (1, -1):
            if sign * x > -2 * reach:  # otherwise it is in the other half plane
                _clear_disc(inside, gy, gx, (sign * y, sign * x), 2 * reach)
    kept = np.where(inside, diffractogram.transform[hy - ky : hy + ky + 1, : kx + 1], np.complex64(0))
    kept *= _cut_strong_bins(kept, inside, frame)
    image = inverse_of_half_plane(kept, shape, diffractogram.image_shape)
    # clipping also removes some noise: the fraction exp(-t) of an exponential distribution exceeds t
    return image, 2.0 * float(inside.sum()) * float(-np.expm1(-STRONGEST))


def _clear_disc(
    inside: NDArray[np.bool_],
    gy: NDArray[np.float64],
    gx: NDArray[np.float64],
    g: tuple[float, float],
    reach: float,
) -> None:
    """Set the bins in a disc around a frequency to zero."""
    (top, bottom), (left, right) = (
        np.searchsorted(axis.ravel(), (middle - reach, middle + reach))
        for axis, middle in zip((gy, gx), g, strict=True)
    )
    rows, columns = slice(int(top), int(bottom)), slice(int(left), int(right))
    inside[rows, columns] &= (gy[rows] - g[0]) ** 2 + (gx[:, columns] - g[1]) ** 2 > reach**2


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """Bins of a half plane in a band, and their rings."""

    inside: NDArray[np.bool_]
    rings: Rings
    between: Between


@lru_cache(maxsize=2)
def _band_of(half: tuple[int, int], step: tuple[float, float], band: tuple[float, float]) -> _Band:
    """The bins in a band; shared by images of one shape and by all edits of an image."""
    gy = np.arange(-half[0], half[0] + 1, dtype=np.float64)[:, None] * step[0]
    gx = np.arange(half[1] + 1, dtype=np.float64)[None, :] * step[1]
    radius = np.hypot(gy, gx)
    rings = pool_rings(radius, *band, RING_BINS)
    inside = (radius >= band[0]) & (radius <= band[1])
    return _Band(inside, rings, between_rings(rings, radius))


def _cut_strong_bins(
    kept: NDArray[np.complex64], inside: NDArray[np.bool_], frame: _Band
) -> NDArray[np.float32]:
    """Factors that limit each bin to `STRONGEST` times the mean power of its ring.

    Bins that were set to zero must not lower the mean: half of them are counted on each side of the median.
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
    """Local noise power density at the highest frequencies; a constant if a filter has left no noise there.

    An unrepaired bright pixel raises it in the few windows that contain it: they get their neighbours' value.
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


#: Standard deviations of the Gaussians for averaging the speckle, nm; the smallest sufficient one is used.
#: No record says on what it was set. Sweep: halved, nothing; doubled, film 0.99 -> 0.95.
SMOOTHINGS = (SMALLEST_SMOOTHING, 2.6, 4.0)
#: Smallest distance between the classes in units of their mean spread. The halves of a normal distribution
#: have a distance of 2.6 to 2.9.
FEWEST_SPREADS = 3.2
#: Smallest fraction of the vacuum that is at least `DEEP` smoothings from its border; noise forms small
#: islands. No record says on what it was set. Sweep: halved, nothing; doubled, film 0.99 -> 0.95.
DEEP_SHARE = 0.35
#: No record says on what it was set. Sweep of DEEP: halved, nothing; doubled, film 0.99 -> 0.95.
DEEP = 1.25
#: Smallest distance between the classes, in the logarithm of the power ratio.
SMALLEST_RISE = 0.2
#: Largest power of vacuum above shot noise, relative to that of the film: more indicates thinner film.
VACUUM_SHARE = 0.25
#: If the shot noise is unknown, the spectra must support vacuum: fits of the lower class that contain at
#: least this fraction of the film's power must have a sum of squares that is larger by this factor. 2 of 90
#: simulated films without vacuum (half of the field half as strong, wedges, uneven beams; low-passed,
#: resampled or quantised) exceed the factor; 2 of 80 processed micrographs with vacuum do not
#: (`specimen_bench.py`).
THIN_SHARE = 0.3
VACUUM_EVIDENCE = 1.6
#: Number of bands of the spectra, their first and last frequency, 1/nm, and the fraction of a filter's passed
#: frequencies that is used.
SHARE_BANDS = 9
SHARE_REACH = (1.2, 7.0)
SHARE_PASSED = 0.85
#: Smallest rise across the border, relative to the difference between the classes. It is measured between
#: these distances from the border on each side, in units of the smoothing. No record says on what it was set.
#: Sweep: halved, nothing; doubled, film 0.99 -> 0.95.
SMALLEST_STEP = 0.55
STEP_REACH = (1.0, 2.5)
#: The border is where the power has risen by this fraction from the vacuum to the film nearby. The film is
#: averaged beyond this many smoothings from the border, over this many nm. One half would be correct for a
#: sharp edge, but films become thin at their edges.
RISE = 0.43
DEEP_FILM = 2.0
NEARBY = 5.0
#: Smoothing raises the power at the border of a hole and lowers it at the border of an island. The effect is
#: measured on the mask itself, in this many iterations.
ROUNDS = 3
#: Areas of vacuum, or of specimen, smaller than this many squares of the smoothing are attributed to chance.
SMALLEST_PIECE = 8.0
#: Largest relative difference between the aspect ratios of a mask and its image, beyond rounding to a pixel.
SAME_SIDES = 0.02


def specimen_mask(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    grid: MapGrid,
    spots: Discs = (),
    crystals: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Detect the specimen: True inside it, on `grid`; True everywhere if no vacuum can be recognised.

    Parameters
    ----------
    spots : sequence of ((g_y, g_x), radius), 1/nm
        Reflections of the crystals found, which are excluded from the speckle.
    crystals : ndarray of bool, shape ``grid.shape``, optional
        Where these crystals are. They always belong to the specimen, because a crystal need not be on a film.
    """
    inside = np.zeros(grid.shape, bool) if crystals is None else crystals
    raw = measure_speckle(diffractogram, spectra, spots)
    crystal = resample(inside, raw.grid.shape)
    for smoothing in SMOOTHINGS if crystal.mean() <= 0.9 else ():
        film = raw.smooth(smoothing, crystal)
        cut = float(threshold_otsu(film.log_ratio[~crystal]))  # type: ignore[no-untyped-call]
        matter = _without_small_pieces(crystal | (film.log_ratio > cut), film.grid, smoothing)
        if _are_separated(film, matter, crystal, smoothing) and (
            _is_dark(film, matter, crystal, raw)
            or _has_no_film(diffractogram, raw, spots, (matter, crystal), smoothing)
        ):
            matter = _move_border(film, matter, crystal, smoothing)
            matter = _without_small_pieces(matter, film.grid, smoothing)
            return resample(matter, grid.shape) | inside
    return np.ones(grid.shape, bool)


def _without_small_pieces(mask: NDArray[np.bool_], grid: MapGrid, smoothing: float) -> NDArray[np.bool_]:
    smallest = SMALLEST_PIECE * smoothing**2 / grid.pixel_area
    for value in (True, False):
        label, count = ndimage.label(mask == value)
        small = np.bincount(label.ravel(), minlength=count + 1) < smallest
        small[0] = False
        mask = np.where(small[label], not value, mask)
    return mask


def _are_separated(
    film: Film, matter: NDArray[np.bool_], crystal: NDArray[np.bool_], smoothing: float
) -> bool:
    """Whether film and vacuum, without the crystals, are two classes with a step between them."""
    high, low = film.log_ratio[matter & ~crystal], film.log_ratio[~matter]
    if not high.size or not low.size:
        return False
    rise = float(np.median(high) - np.median(low))
    spread = float(np.mean([robust_sigma(part) for part in (high, low)]))
    inward = ndimage.distance_transform_edt(matter, sampling=film.grid.pixel_size)
    outward = ndimage.distance_transform_edt(~matter, sampling=film.grid.pixel_size)
    near, far = (reach * smoothing for reach in STEP_REACH)
    within = film.log_ratio[(inward > near) & (inward < far) & ~crystal]
    beyond = film.log_ratio[(outward > near) & (outward < far)]
    if not within.size or not beyond.size:
        return False
    step = float(np.median(within) - np.median(beyond))
    if np.count_nonzero(outward > DEEP * smoothing) < DEEP_SHARE * np.count_nonzero(~matter):
        return False
    return rise > SMALLEST_RISE and rise > FEWEST_SPREADS * spread and step > SMALLEST_STEP * rise


def _is_dark(film: Film, matter: NDArray[np.bool_], crystal: NDArray[np.bool_], raw: Speckle) -> bool:
    """Whether the shot noise is known and the lower class has hardly any power above it."""
    high, low = np.median(film.log_ratio[matter & ~crystal]), np.median(film.log_ratio[~matter])
    return not raw.filtered and bool(np.expm1(low) <= VACUUM_SHARE * np.expm1(high))


def _has_no_film(
    diffractogram: Diffractogram,
    raw: Speckle,
    spots: Discs,
    classes: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    smoothing: float,
) -> bool:
    """Whether the spectrum of the lower class is that of vacuum rather than of thin film.

    Vacuum has only shot noise, which is white apart from the camera and a filter, both smooth functions of g;
    film also has the rings of the contrast transfer. So the lower class is fitted by a smooth decay plus a
    fraction of the difference between the classes: once with any fraction, once with at least that of thin
    film.
    """
    matter, crystal = classes
    depth = DEEP * smoothing
    inward = ndimage.distance_transform_edt(matter, sampling=raw.grid.pixel_size)
    outward = ndimage.distance_transform_edt(~matter, sampling=raw.grid.pixel_size)
    high, low = (inward > depth) & ~crystal, outward > depth
    end = min(SHARE_PASSED * raw.passed, SHARE_REACH[1], 0.95 * diffractogram.q_max)
    if not high.any() or not low.any() or end <= SHARE_REACH[0]:
        return False
    edges = np.linspace(SHARE_REACH[0], end, SHARE_BANDS + 1)
    spectrum = np.empty((2, SHARE_BANDS))
    for k, band in enumerate(pairwise(edges.tolist())):
        power, bins = band_power(diffractogram, band, raw.grid, spots=spots)
        spectrum[:, k] = np.median(power[low]) / bins, np.median(power[high]) / bins
    if not spectrum.min() > 0:
        return False
    spectrum /= spectrum[0].mean()
    middles = 0.5 * (edges[1:] + edges[:-1]) / edges[-1]
    return _misfit(middles, spectrum, THIN_SHARE) > VACUUM_EVIDENCE * _misfit(middles, spectrum, 0.0)


def _misfit(middles: NDArray[np.float64], spectrum: NDArray[np.float64], least_share: float) -> float:
    """Sum of squared residuals of a fit to the lower class with at least this fraction of the film.

    Parameters
    ----------
    middles : ndarray, shape (n,)
        Centres of the bands, in units of the end of the last band.
    spectrum : ndarray, shape (2, n)
        Spectra of the lower and the upper class.
    """
    lower, more = spectrum[0], np.maximum(spectrum[1] - spectrum[0], 0)

    def left(values: NDArray[np.float64]) -> NDArray[np.float64]:
        level, slow, steep, ratio = values
        smooth = np.exp(level - slow * middles**2 - steep * middles**10)
        return np.asarray(np.log((smooth + ratio * more) / lower))

    least = least_share / (1 - least_share)
    limits = ([-20.0, -1.0, 0.0, least], [20.0, 60.0, 5.0, 50.0])
    start = [float(np.log(lower[-1])), 0.5, 0.1, least + 0.1]
    return 2 * float(optimize.least_squares(left, start, bounds=limits).cost)


def _move_border(
    film: Film, matter: NDArray[np.bool_], crystal: NDArray[np.bool_], smoothing: float
) -> NDArray[np.bool_]:
    """Move the border to where the power rises from the level of the vacuum to that of the nearby film."""
    power = np.exp(film.log_ratio)
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
        found = (
            np.where(edge, share > 2 * RISE * _smoothed_at_border(found, smoothing, film.grid), matter)
            | crystal
        )
    return found


def _smoothed_at_border(matter: NDArray[np.bool_], smoothing: float, grid: MapGrid) -> NDArray[np.float32]:
    """Value of the smoothed mask at the nearest point of its border: one half at a straight border."""
    rim = matter & ndimage.binary_dilation(~matter)
    if not rim.any():
        return np.full(matter.shape, 0.5, np.float32)
    sigma = [smoothing / p for p in grid.pixel_size]
    # the border is moved by half a pixel, to the centres of the outermost pixels
    half = 0.5 * (matter.astype(np.float32) + ndimage.binary_erosion(matter, border_value=1))
    smooth = ndimage.gaussian_filter(half, sigma, mode="reflect")
    nearest = ndimage.distance_transform_edt(
        ~rim, sampling=grid.pixel_size, return_distances=False, return_indices=True
    )
    return np.asarray(smooth[tuple(nearest)], np.float32)


def specimen_on_grid(mask: NDArray[Any], micrograph: Micrograph, grid: MapGrid) -> NDArray[np.bool_]:
    """Resample a user's specimen mask to the grid of the maps.

    Parameters
    ----------
    mask : ndarray, shape (y, x)
        Nonzero inside the specimen, of any resolution, covering the whole image.

    Raises
    ------
    ValueError
        If its aspect ratio differs from the image's, or if it is empty.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or not _same_sides(mask.shape, grid.shape, micrograph.shape):
        raise ValueError(
            f"a specimen mask of shape {mask.shape} does not cover an image of shape {micrograph.shape}"
        )
    specimen = resample(mask != 0, grid.shape)
    inside = inside_part(micrograph, grid)
    specimen = specimen if inside is None else specimen & inside
    if not specimen.any():
        raise ValueError("the specimen mask is empty: mark the area of the specimen")
    return specimen


def _same_sides(shape: tuple[int, ...], *known: tuple[int, int]) -> bool:
    """Whether a shape has the aspect ratio of one of the known shapes, within a pixel."""
    ny, nx = shape
    return ny > 0 and any(abs(ny * w - nx * h) <= SAME_SIDES * nx * h + max(h, w) for h, w in known)


def cut_grains(found: GrainSet, specimen: NDArray[np.bool_], grid: MapGrid) -> GrainSet:
    """Restrict the grains to the specimen; a grain outside it is kept, with zero area."""
    regions = tuple(region.within(specimen) for region in found.regions)
    grains = tuple(_count(grain, part, grid) for grain, part in zip(found.grains, regions, strict=True))
    return replace(found, grains=grains, regions=regions)


def uncut_grains(found: GrainSet, grid: MapGrid) -> GrainSet:
    """The grains before they were restricted to the specimen."""
    return cut_grains(found, np.ones(grid.shape, bool), grid)


def _count(grain: Grain, region: GrainRegion, grid: MapGrid) -> Grain:
    if not region.area:
        return replace(grain, area=0.0, diameter=0.0)
    area, diameter = region.area * grid.pixel_area, equivalent_diameter(region, grid)
    return replace(grain, centre=centroid(region, grid), area=area, diameter=diameter)
