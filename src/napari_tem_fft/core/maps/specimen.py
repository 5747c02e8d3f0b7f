"""Specimen mask: where there is matter, as detected or as drawn by the user.

Vacuum and holes have no amorphous speckle. A threshold divides the speckle's power (`measure_speckle`) into
two classes. They are accepted only if they are well separated, with a step at their border, so that a wedge
of rising thickness is not cut in half, and if the lower class contains next to nothing of the film's
spectrum, so that thin film is not taken for vacuum. The border is then moved to where the power rises to the
level of the film nearby.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from skimage.filters import threshold_otsu

from ..fourier.diffractogram import Diffractogram
from ..fourier.local_spectra import LocalSpectra
from ..grains.grain import Grain, GrainSet, centroid, equivalent_diameter
from ..grains.region import GrainRegion
from ..image.micrograph import Micrograph
from ..image.roi import inside_part
from .map_grid import MapGrid, resample
from .speckle import SMALLEST_SMOOTHING, Discs, Film, Speckle, band_power, measure_speckle

#: Standard deviations of the Gaussians over which speckle is averaged, nm; the finest that suffices is taken.
#: No record says on what it was set. Sweep: halved, nothing; doubled, film 0.99 -> 0.95.
SMOOTHINGS = (SMALLEST_SMOOTHING, 2.6, 4.0)
#: Least distance between the classes over their mean spread. Halves of one normal distribution have 2.6 to
#: 2.9.
FEWEST_SPREADS = 3.2
#: Least share of the vacuum that lies `DEEP` smoothings or more from its border; noise makes small islands.
#: No record says on what it was set. Sweep: halved, nothing; doubled, film 0.99 -> 0.95.
DEEP_SHARE = 0.35
#: No record says on what it was set. Sweep of DEEP: halved, nothing; doubled, film 0.99 -> 0.95.
DEEP = 1.25
#: Smallest distance between the classes, in the logarithm of the power ratio.
SMALLEST_RISE = 0.2
#: Largest power of vacuum above shot noise, as a share of the film's: more is thinner film.
VACUUM_SHARE = 0.25
#: Where the shot noise is unknown, the spectra must support vacuum: the lower class must fit worse, in
#: squares, by this factor if it contains at least this share of the film's power. 2 of 90 simulated films
#: without vacuum (half of the field half as strong, wedges, uneven beams; low-passed, resampled or quantised)
#: exceed the factor; 2 of 80 processed micrographs with vacuum do not (`specimen_bench.py`).
THIN_SHARE = 0.3
VACUUM_EVIDENCE = 1.6
#: Number of bands of the spectra, their first and last frequency, 1/nm, and the share of the frequencies
#: passed by a filter that is used.
SHARE_BANDS = 9
SHARE_REACH = (1.2, 7.0)
SHARE_PASSED = 0.85
#: Least rise across the border, as a share of the difference between the classes. It is measured between
#: these distances from the border on either side, in smoothings.
#: No record says on what it was set. Sweep: halved, nothing; doubled, film 0.99 -> 0.95.
SMALLEST_STEP = 0.55
STEP_REACH = (1.0, 2.5)
#: The border lies where the power has risen by this share from the vacuum to the film nearby. The film is
#: averaged beyond this many smoothings from the border, over this many nm. A half would suit a sharp edge,
#: but films get thin there.
RISE = 0.43
DEEP_FILM = 2.0
NEARBY = 5.0
#: Smoothing raises the power at the border of a hole and lowers it at the border of an island. The amount is
#: measured on the mask itself, in this many rounds.
ROUNDS = 3
#: Pieces of vacuum, or of specimen, that are smaller than this many squares of the smoothing are chance.
SMALLEST_PIECE = 8.0
#: Largest relative difference between the aspect ratios of a mask and its image, apart from a pixel.
SAME_SIDES = 0.02


def specimen_mask(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    grid: MapGrid,
    spots: Discs = (),
    crystals: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """True where there is matter, on `grid`; all True if no vacuum can be recognised.

    Parameters
    ----------
    spots : sequence of ((g_y, g_x), radius), 1/nm
        Reflections of the crystals that were found; they are excluded from the speckle.
    crystals : ndarray of bool, shape ``grid.shape``, optional
        Where these crystals are. They always count as matter, because a crystal need not have a film on it.
    """
    inside = np.zeros(grid.shape, bool) if crystals is None else crystals
    raw = measure_speckle(diffractogram, spectra, spots)
    crystal = resample(inside, raw.grid.shape)
    for smoothing in SMOOTHINGS if crystal.mean() <= 0.9 else ():
        film = raw.smooth(smoothing, crystal)
        cut = float(threshold_otsu(film.ratio[~crystal]))  # type: ignore[no-untyped-call]
        matter = _without_small_pieces(crystal | (film.ratio > cut), film.grid, smoothing)
        if _are_two(film, matter, crystal, smoothing) and (
            _is_dark(film, matter, crystal, raw)
            or _has_no_film(diffractogram, raw, spots, (matter, crystal), smoothing)
        ):
            matter = _at_rise(film, matter, crystal, smoothing)
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


def _are_two(film: Film, matter: NDArray[np.bool_], crystal: NDArray[np.bool_], smoothing: float) -> bool:
    """Whether film and vacuum, without the crystals, are two classes with a step between them."""
    high, low = film.ratio[matter & ~crystal], film.ratio[~matter]
    if not high.size or not low.size:
        return False
    rise = float(np.median(high) - np.median(low))
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


def _is_dark(film: Film, matter: NDArray[np.bool_], crystal: NDArray[np.bool_], raw: Speckle) -> bool:
    """Whether the shot noise is known and the lower class has next to no power above it."""
    high, low = np.median(film.ratio[matter & ~crystal]), np.median(film.ratio[~matter])
    return not raw.filtered and bool(np.expm1(low) <= VACUUM_SHARE * np.expm1(high))


def _has_no_film(
    diffractogram: Diffractogram,
    raw: Speckle,
    spots: Discs,
    classes: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    smoothing: float,
) -> bool:
    """Whether the spectrum of the lower class is a spectrum of vacuum rather than of thin film.

    Vacuum has shot noise alone, which is white apart from the camera and a filter, both smooth functions of
    g; film also has the rings of the contrast transfer. So the lower class is fitted by a smooth decay plus a
    share of the difference between the classes: once with any share, once with at least a thin film's share.
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
    """Squared residuals of a fit to the lower class that contains at least this share of the film.

    Parameters
    ----------
    middles : ndarray, shape (n,)
        Middles of the bands, in units of the end of the last band.
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


def _at_rise(
    film: Film, matter: NDArray[np.bool_], crystal: NDArray[np.bool_], smoothing: float
) -> NDArray[np.bool_]:
    """Move the border to where the power rises from the vacuum's level to the nearby film's."""
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
    """Value of the smoothed mask at the nearest point of its border: a half where the border is straight."""
    rim = matter & ndimage.binary_dilation(~matter)
    if not rim.any():
        return np.full(matter.shape, 0.5, np.float32)
    sigma = [smoothing / p for p in grid.pixel_size]
    # the border is moved by half a pixel, into the middle of the rim
    half = 0.5 * (matter.astype(np.float32) + ndimage.binary_erosion(matter, border_value=1))
    smooth = ndimage.gaussian_filter(half, sigma, mode="reflect")
    nearest = ndimage.distance_transform_edt(
        ~rim, sampling=grid.pixel_size, return_distances=False, return_indices=True
    )
    return np.asarray(smooth[tuple(nearest)], np.float32)


def specimen_on_grid(mask: NDArray[Any], micrograph: Micrograph, grid: MapGrid) -> NDArray[np.bool_]:
    """Resample a user's specimen mask onto the grid of the maps.

    Parameters
    ----------
    mask : ndarray, shape (y, x)
        Nonzero where there is matter; at any resolution, over the whole image.

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
        raise ValueError("the specimen mask is empty: mark where there is matter")
    return specimen


def _same_sides(shape: tuple[int, ...], *known: tuple[int, int]) -> bool:
    """Whether a shape has the aspect ratio of one of the known shapes, to within a pixel."""
    ny, nx = shape
    return ny > 0 and any(abs(ny * w - nx * h) <= SAME_SIDES * nx * h + max(h, w) for h, w in known)


def cut_grains(found: GrainSet, specimen: NDArray[np.bool_], grid: MapGrid) -> GrainSet:
    """The grains cut to a specimen; a grain outside it stays, with zero area."""
    regions = tuple(region.within(specimen) for region in found.regions)
    grains = tuple(_count(grain, part, grid) for grain, part in zip(found.grains, regions, strict=True))
    return replace(found, grains=grains, regions=regions)


def uncut_grains(found: GrainSet, grid: MapGrid) -> GrainSet:
    """The grains before they were cut to a specimen."""
    return cut_grains(found, np.ones(grid.shape, bool), grid)


def _count(grain: Grain, region: GrainRegion, grid: MapGrid) -> Grain:
    if not region.area:
        return replace(grain, area=0.0, diameter=0.0)
    area, diameter = region.area * grid.pixel_area, equivalent_diameter(region, grid)
    return replace(grain, centre=centroid(region, grid), area=area, diameter=diameter)
