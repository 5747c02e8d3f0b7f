"""The spectrum of a grain: its Fourier transform under a window with the shape of the grain.

The window decreases smoothly to zero inside the grain. It suppresses the side lobes of facets, excludes
neighbours, and has the best resolution that the size of the grain allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.ndimage import map_coordinates

from ..fourier.diffractogram import BandImage, Diffractogram, SpectrumParams, compute_diffractogram
from ..fourier.local_spectra import LocalSpectra
from ..fourier.threads import threads
from ..image.micrograph import Micrograph, prepared_pixels
from ..maps.map_grid import MapGrid, linear_weights
from .regions import GrainRegion

#: The taper reaches 1 at this fraction of the largest distance from the edge of the grain.
#: No record says on what it was set. Sweep: halved, F1 0.82 -> 0.86, area 0.89 -> 0.91, belief 0.73 ->
#: 0.74, right names 4 -> 5; doubled, nothing.
TAPER_SHARE = 0.9
#: Noise that leaks from other rings is taken into account if it exceeds the local noise by this factor, as at
#: the edge of a filter. With a lower value, Thon rings and the decay of the film would be blurred, too.
CLIFF = 2.0
#: Number of entries of the table of noise density against |g|^2.
DENSITY_TABLE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class GrainNoise:
    """Noise of the spectrum of a grain, from the local windows that cover it.

    Attributes
    ----------
    step : tuple of float, (y, x), 1/nm
    half : tuple of int, (y, x)
        Number of bins from zero to the last one of the spectrum.
    rings : ndarray, shape (n_rings,)
        Noise power density at ``spectra.ring_g``, averaged over these windows.
    spectra : LocalSpectra
    stripes : tuple of (ndarray, ndarray)
        Additional density from rows and columns of the camera: products of one factor for each row of the
        spectrum, from the lowest g_y, and one for each column.
    """

    step: tuple[float, float]
    half: tuple[int, int]
    rings: NDArray[np.float64]
    spectra: LocalSpectra
    stripes: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...] = ()

    def density(self, rows: NDArray[np.int_], columns: NDArray[np.int_]) -> NDArray[np.float32]:
        """Noise power density of the micrograph's original pixels in bins counted from zero frequency.

        It is the mean power of a bin divided by the sum of the squared window. Shape (rows, columns).
        """
        squared_y, squared_x = (rows[:, None] * self.step[0]) ** 2, (columns * self.step[1]) ** 2
        # looking up a fine table of |g|^2 is faster than interpolating in |g|
        highest = sum((n * step) ** 2 for n, step in zip(self.half, self.step, strict=True))
        scale = (DENSITY_TABLE - 1) / highest
        at = np.sqrt(np.arange(DENSITY_TABLE) / scale)
        table = np.interp(at, self.spectra.ring_g, self.rings).astype(np.float32)
        entry = (squared_y * scale + 0.5).astype(np.float32) + (squared_x * scale).astype(np.float32)
        density = table.take(entry.astype(np.int32))
        own = self.spectra.grid
        y, x = (
            np.rint(bins * step / other).astype(np.intp)
            for bins, step, other in zip((rows, columns), self.step, own.step, strict=True)
        )
        height, width = self.spectra.azimuthal.shape
        near = self.spectra.azimuthal.take(np.clip(y + own.half[0], 0, height - 1), axis=0)
        density *= near.take(np.minimum(x, width - 1), axis=1)
        for of_rows, of_columns in self.stripes:
            density += of_rows[rows + self.half[0]][:, None] * of_columns[columns]
        return density

    def densities_at(self, g: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
        """Noise power density at each g = (y, x), 1/nm, in the stored half plane."""
        bins = np.rint(np.array(g, np.float64).reshape(-1, 2) / self.step).astype(np.intp)
        rows, columns = np.clip(bins, (-self.half[0], 0), self.half).T
        return np.diagonal(self.density(rows, columns)).astype(np.float64)

    def over_rings(self, g: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
        """Ratio of the noise at each g to that without stripes."""
        if not self.stripes or not g:
            return np.ones(len(g))
        return self.densities_at(g) / replace(self, stripes=()).densities_at(g)


@dataclass(frozen=True, slots=True, eq=False)
class GrainSpectrum:
    """Spectrum of the image under the window of a grain.

    Attributes
    ----------
    step : tuple of float, (y, x), 1/nm
    half : tuple of int, (y, x)
    snr : ndarray of float32, shape (2 hy + 1, hx + 1)
    lobes : ndarray of float32
        Power spectrum of the window, normalised to its maximum, with zero frequency in the centre.
    lobe_step : tuple of float, (y, x), 1/nm
        Step of `lobes`.
    resolution : float, 1/nm
        Half width of the window's main lobe.
    spread : float, nm
        Root mean square extent of the window along an axis.
    gain : float
        Factor from the SNR to the squared amplitude divided by the noise power density.
    independent : float
        Number of independent frequencies up to q_max on half the plane.
    density : ndarray of float32, shape as `snr`
        Noise power density in each bin.
    noise : GrainNoise
        Noise from which the density is computed.
    """

    step: tuple[float, float]
    half: tuple[int, int]
    snr: NDArray[np.float32]
    lobes: NDArray[np.float32]
    lobe_step: tuple[float, float]
    resolution: float
    spread: float
    gain: float
    independent: float
    density: NDArray[np.float32]
    noise: GrainNoise


def grain_spectrum(
    band: BandImage,
    region: GrainRegion,
    grid: MapGrid,
    spectra: LocalSpectra,
    q_max: float,
) -> GrainSpectrum:
    """Transform an image under a window of the shape of `region` (on `grid`)."""
    image, pixel_size = band.pixels, band.pixel_size
    height, (rows, columns), weights = _window(region, grid, image.shape, pixel_size)
    taper = np.asarray(weights[0] @ height @ weights[1].T, np.float32)
    shape = tuple(fft.next_fast_len(int(1.6 * n) + 8, real=True) for n in taper.shape)
    step = (1 / (shape[0] * pixel_size[0]), 1 / (shape[1] * pixel_size[1]))
    hy, hx = (min(int(q_max / s) + 2, n // 2 - 1) for s, n in zip(step, shape, strict=True))
    half = (hy, hx)
    power = _cropped_power(image[rows, columns] * taper, shape, half)
    # the noise refers to the original pixels of the micrograph
    squares = float(np.vdot(taper, taper)) / band.pixels_each
    y, x = (weight.astype(np.float64) for weight in weights)
    lines = y @ (height @ x.sum(axis=0)), (y.sum(axis=0) @ height) @ x.T  # sums over each row and column
    total = float(lines[0].sum())
    lobes, lobe_step = _lobes(height, grid)
    rings = _window_weights(region, grid, spectra) @ spectra.ring_density
    rings = _leaked(rings, spectra.ring_g, lobes, lobe_step)
    noise = GrainNoise(
        step, half, rings, spectra, _stripes(spectra, height, grid, lines, squares, step, half)
    )
    density = noise.density(np.arange(-half[0], half[0] + 1), np.arange(half[1] + 1))
    resolution = _resolution(lobes, lobe_step)
    area = total**2 / (squares * band.pixels_each) * pixel_size[0] * pixel_size[1]
    return GrainSpectrum(
        step=step,
        half=half,
        snr=power / (density * np.float32(squares)),
        lobes=lobes,
        lobe_step=lobe_step,
        resolution=resolution,
        spread=_extent(lines, pixel_size),
        gain=squares / total**2,
        independent=max(0.5 * np.pi * q_max**2 * area, 10.0),
        density=density,
        noise=noise,
    )


def _window(
    region: GrainRegion, grid: MapGrid, shape: tuple[int, int], pixel_size: tuple[float, float]
) -> tuple[NDArray[np.float32], tuple[slice, slice], list[NDArray[np.float32]]]:
    """Smooth window inside a region: on the map grid, its box of image pixels, and interpolation weights.

    The window decreases at the border of the image as well, although the grain does not end there.

    Returns
    -------
    height : ndarray of float32
        The window on the map pixels of the region's bounding box, enlarged by one pixel on each side.
    box : tuple of slice
        The pixels of the image in that bounding box.
    weights : list of ndarray
        Matrices that interpolate `height` to the rows and columns of these pixels.
    """
    box, mask = region.tight()
    inside = np.pad(mask, 1)
    distance = ndimage.distance_transform_edt(inside, sampling=grid.pixel_size)
    height = np.sin(0.5 * np.pi * np.minimum(1.0, distance / (TAPER_SHARE * distance.max()))) ** 2
    boxes, weights = [], []
    for side, p, q, n in zip(box, pixel_size, grid.pixel_size, shape, strict=True):
        first, last = side.start, side.stop
        start, stop = max(0, round(first * q / p)), min(n, round(last * q / p))
        boxes.append(slice(start, stop))
        at = ((np.arange(start, stop) + 0.5) * p / q) - first + 0.5  # +1: padding, -1/2: pixel centres
        weights.append(linear_weights(at, last - first + 2))
    return height.astype(np.float32), (boxes[0], boxes[1]), weights


def _lobes(height: NDArray[np.float32], grid: MapGrid) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Power spectrum of the window, normalised to its maximum, and its frequency step (y, x)."""
    shape = [fft.next_fast_len(max(2 * n + 8, 64), real=True) for n in height.shape]
    power = np.abs(np.fft.fftshift(fft.fft2(height, s=shape))) ** 2
    step = (1 / (shape[0] * grid.pixel_size[0]), 1 / (shape[1] * grid.pixel_size[1]))
    return np.asarray(power / power.max(), np.float32), step


def _leaked(
    rings: NDArray[np.float64],
    ring_g: NDArray[np.float64],
    lobes: NDArray[np.float32],
    step: tuple[float, float],
) -> NDArray[np.float64]:
    """Noise of rings including leakage through a window, which matters at the edge of a filter.

    Parameters
    ----------
    rings, ring_g : ndarray, shape (n,)
        Density, and the centre of each ring in 1/nm.
    lobes : ndarray
        Power spectrum of the window.
    """
    apart = np.abs(ring_g[:, None] - ring_g)
    weight = np.zeros_like(apart)
    for axis, width in enumerate(step):
        profile = lobes.sum(axis=1 - axis)[lobes.shape[axis] // 2 :]
        weight += np.interp(apart, width * np.arange(len(profile)), profile / profile.sum(), right=0.0)
    weight *= np.gradient(ring_g) if len(ring_g) > 1 else 1.0
    total = weight.sum(axis=1)
    leaked = weight @ rings / np.where(total > 0, total, 1.0)
    return np.where(leaked > CLIFF * rings, leaked, rings)


def _stripes(
    spectra: LocalSpectra,
    height: NDArray[np.float32],
    grid: MapGrid,
    lines: tuple[NDArray[np.float64], NDArray[np.float64]],
    squares: float,
    step: tuple[float, float],
    half: tuple[int, int],
) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
    """Density of stripes under a window, as stored in `GrainNoise`.

    Lines add up coherently along the window: the factor is the sum of the squared sums of lines divided by
    the sum of all squares.
    """
    found = []
    if spectra.stripes is None or spectra.stripes.none:
        return ()
    bins = np.arange(-half[0], half[0] + 1), np.arange(half[1] + 1)
    at = [np.asarray(n * width, np.float64) for n, width in zip(bins, step, strict=True)]
    for axis in (0, 1):
        across = 1 - axis
        along = spectra.stripes.density_at(axis, at[axis]) * float(lines[axis] @ lines[axis]) / squares
        if not along.any():
            continue
        n = fft.next_fast_len(2 * height.shape[across] + 8, real=True)
        fall = (np.abs(fft.rfft(height, n, axis=across)) ** 2).sum(axis=axis)
        g = np.arange(len(fall)) / (n * grid.pixel_size[across])
        beside = np.interp(np.abs(at[across]), g, fall / fall[0], right=0.0)
        both = (along, beside) if axis == 0 else (beside, along)
        found.append((both[0].astype(np.float32), both[1].astype(np.float32)))
    return tuple(found)


def _cropped_power(
    image: NDArray[np.float32], shape: tuple[int, ...], half: tuple[int, ...]
) -> NDArray[np.float32]:
    """Power spectrum of the image, padded to `shape` and cropped to `half` bins on both sides of zero.

    Rows of padding, and columns that are cropped, are not transformed.
    """
    hy, hx = half
    rows = fft.rfft(image, shape[1], axis=1, workers=threads())[:, : hx + 1]
    transform = np.ascontiguousarray(fft.fft(rows, shape[0], axis=0, workers=threads()))
    parts = transform.view(np.float32)
    np.square(parts, out=parts)
    power = np.empty((2 * hy + 1, hx + 1), np.float32)
    np.add(parts[-hy:, ::2], parts[-hy:, 1::2], out=power[:hy])
    np.add(parts[: hy + 1, ::2], parts[: hy + 1, 1::2], out=power[hy:])
    return power


def _window_weights(region: GrainRegion, grid: MapGrid, spectra: LocalSpectra) -> NDArray[np.float64]:
    """Fraction of a region that is nearest to each window, shape (n windows,); the sum is 1."""
    box, mask = region.tight()
    near_rows, near_columns = (
        _nearest(line, grid, axis)[:, side]
        for axis, (line, side) in enumerate(zip(spectra.lines, box, strict=True))
    )
    counts = (near_rows @ mask.astype(np.float32) @ near_columns.T).ravel().astype(np.float64)
    weights: NDArray[np.float64] = counts / counts.sum()
    return weights


@lru_cache(maxsize=8)
def _nearest(middles: tuple[float, ...], grid: MapGrid, axis: int) -> NDArray[np.float32]:
    """Indicator of the window whose centre is nearest to each row (or column) of the grid."""
    borders = (np.array(middles)[1:] + np.array(middles)[:-1]) / 2
    window = np.searchsorted(borders, grid.positions()[axis].ravel())
    return np.asarray(np.arange(len(middles))[:, None] == window, np.float32)


def _extent(lines: tuple[NDArray[np.float64], ...], pixel_size: tuple[float, float]) -> float:
    """Root mean square distance from the centre along an axis, nm (mean of both axes)."""
    variances = []
    for weight, p in zip(lines, pixel_size, strict=True):
        share = weight / weight.sum()
        at = np.arange(len(weight)) * p
        variances.append(((at - at @ share) ** 2) @ share)
    return float(np.sqrt(np.mean(variances)))


def _resolution(lobes: NDArray[np.float32], step: tuple[float, float]) -> float:
    """Radius of the disc with the area of the main lobe above 1 % of its height."""
    label, _ = ndimage.label(lobes > 0.01)
    middle = label[lobes.shape[0] // 2, lobes.shape[1] // 2]
    return float(np.sqrt(np.count_nonzero(label == middle) * step[0] * step[1] / np.pi))


#: Smallest side of the transformed part, pixels; a smaller one would have too few frequencies to display.
LEAST_SIDE = 64
#: Pixels with at least this heat have full weight, so that the weight is uniform in the centre of the grain.
FULL = 0.5


def grain_diffractogram(
    micrograph: Micrograph, region: GrainRegion, grid: MapGrid, params: SpectrumParams | None = None
) -> Diffractogram:
    """Diffractogram of one grain: the transform of its pixels, weighted by its heat.

    Parameters
    ----------
    micrograph : Micrograph
    region : GrainRegion
    grid : MapGrid
        Grid of the region.
    params : SpectrumParams, optional

    Raises
    ------
    ValueError
        If the image is too small, or the grain covers no part of it.
    """
    if not region.area:
        raise ValueError(f"{micrograph.name}: this grain covers no part of the image")
    box, _ = region.tight()
    rows, columns = (
        _pixels(part, cell / pixel, length)
        for part, cell, pixel, length in zip(
            box, grid.pixel_size, micrograph.pixel_size, micrograph.shape, strict=True
        )
    )
    part = micrograph.crop(rows, columns)
    image, _ = prepared_pixels(part)
    weight = _weight(region, grid, micrograph, rows, columns)
    mean = float((weight * image).sum() / max(float(weight.sum()), 1e-9))
    return compute_diffractogram(weight * (image - mean), part, params or SpectrumParams())


def _pixels(cells: slice, factor: float, length: int) -> slice:
    """Pixels of an image of `length` pixels that cells of the map cover; at least the smallest side."""
    first, last = cells.start * factor, cells.stop * factor
    missing = max(min(LEAST_SIDE, length) - (last - first), 0.0)
    first = np.clip(first - missing / 2, 0, max(length - max(last - first, LEAST_SIDE), 0))
    last = max(last, first + min(LEAST_SIDE, length))
    return slice(int(first), min(int(np.ceil(last)), length))


def _weight(
    region: GrainRegion, grid: MapGrid, micrograph: Micrograph, rows: slice, columns: slice
) -> NDArray[np.float32]:
    """Heat of the region on pixels of the image, at most 1."""
    heat = np.zeros(grid.shape, np.float32)
    heat[region.box] = np.minimum(region.heat / FULL, 1.0)
    places = [
        (np.arange(part.start, part.stop) + 0.5) * pixel / cell - 0.5
        for part, pixel, cell in zip((rows, columns), micrograph.pixel_size, grid.pixel_size, strict=True)
    ]
    weight: NDArray[np.float32] = map_coordinates(
        heat, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest"
    ).astype(np.float32)
    return weight
