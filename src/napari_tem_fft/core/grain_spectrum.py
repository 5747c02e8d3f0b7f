"""The spectrum of one grain: a transform under a window of the grain's own shape.

A window that falls smoothly to zero inside the grain keeps the side lobes of its facets out, holds no
neighbour, and has the best resolution that the grain's size allows. Here spots are refined, weaker
ones found, and side lobes told from lattice planes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from .local_spectra import LocalSpectra
from .map_grid import MapGrid, linear_weights
from .noise import log_tail
from .spots import upper

#: The taper reaches its full height at this share of the grain's largest inner distance.
TAPER_SHARE = 0.9
#: A maximum below this multiple of the side lobes of stronger spots is taken for one of them.
LOBE_FACTOR = 6.0
#: A maximum must exceed the typical power of any line through it by this factor, or it is part of a streak
#: (steps between scan lines, drift, facets, the image's edges).
STREAK_FACTOR = 25.0
#: Chance alone makes the strongest of these lines so many times the mean.
STREAK_NOISE = 2.5
#: Such lines are looked at from here to there, in frequency resolutions, in this many directions.
STREAK_REACH = (2.5, 14.0)
STREAK_DIRECTIONS = 12
#: Two reflections of one lattice are not nearer than 1 / (largest d): of two such maxima the weaker one is a
#: satellite (a facet's, a scan distortion's) unless it has this share of the power, near and farther off;
#: "near" is within so many resolutions.
SATELLITE_SHARES = (0.3, 0.03)
SATELLITE_NEAR = 6.0
#: Most maxima that are examined.
MOST_PEAKS = 300
#: Side lobes are looked for within this many frequency resolutions of a stronger spot.
LOBE_REACH = 12.0


@dataclass(frozen=True, slots=True)
class Peak:
    """A maximum of a grain's spectrum.

    Attributes
    ----------
    g : tuple of float, (y, x), 1/nm
        Refined, in the stored half plane.
    sigma : float, 1/nm
        Standard uncertainty along either axis.
    snr, log_p : float
    amplitude : float
        Mean modulus of the fringes' amplitude over the grain, grey levels.
    """

    g: tuple[float, float]
    sigma: float
    snr: float
    log_p: float
    amplitude: float


@dataclass(frozen=True, slots=True, eq=False)
class GrainSpectrum:
    """Transform of the image under a grain's own window.

    Attributes
    ----------
    step : tuple of float, (y, x), 1/nm
    half : tuple of int, (y, x)
    snr : ndarray of float32, shape (2 hy + 1, hx + 1)
    lobes : ndarray of float32
        Power of the window's own transform over its maximum, zero frequency in the middle.
    lobe_step : tuple of float, (y, x), 1/nm
        Step of `lobes`.
    resolution : float, 1/nm
        Half width of the window's main lobe.
    spread : float, nm
        Root mean square extent of the window along an axis.
    gain : float
        SNR times this is the squared amplitude over the noise power density.
    independent : float
        Number of independent frequencies up to q_max on half the plane.
    density : ndarray of float32, shape as `snr`
        Noise power density: mean power of a bin over the sum of the squared window.
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

    def density_at(self, g: tuple[float, float]) -> float:
        """Noise power density at g = (y, x), 1/nm, of the stored half plane."""
        row, column = (round(v / s) for v, s in zip(g, self.step, strict=True))
        height, width = self.density.shape
        return float(self.density[min(max(row + self.half[0], 0), height - 1), min(column, width - 1)])


def grain_spectrum(
    image: NDArray[np.float32],
    pixel_size: tuple[float, float],
    region: NDArray[np.bool_],
    grid: MapGrid,
    spectra: LocalSpectra,
    q_max: float,
) -> GrainSpectrum:
    """Transform prepared pixels under a window of the shape of `region` (on `grid`)."""
    height, (rows, columns), weights = _window(region, grid, image.shape, pixel_size)
    taper = np.asarray(weights[0] @ height @ weights[1].T, np.float32)
    shape = tuple(fft.next_fast_len(int(1.6 * n) + 8, real=True) for n in taper.shape)
    step = (1 / (shape[0] * pixel_size[0]), 1 / (shape[1] * pixel_size[1]))
    half = tuple(min(int(q_max / s) + 2, n // 2 - 1) for s, n in zip(step, shape, strict=True))
    power = _cropped_power(image[rows, columns] * taper, shape, half)
    squares = float(np.sum(taper**2, dtype=np.float64))
    gy = (np.arange(-half[0], half[0] + 1, dtype=np.float64) * step[0])[:, None]
    gx = (np.arange(half[1] + 1, dtype=np.float64) * step[1])[None, :]
    density = _noise_density(gy, gx, region, grid, spectra)
    total = float(taper.sum(dtype=np.float64))
    lobes, lobe_step = _lobes(height, grid)
    extent = _extent(taper, pixel_size)
    resolution = _resolution(lobes, lobe_step)
    area = total**2 / squares * pixel_size[0] * pixel_size[1]
    return GrainSpectrum(
        step=step,
        half=(half[0], half[1]),
        snr=power / (density * np.float32(squares)),
        lobes=lobes,
        lobe_step=lobe_step,
        resolution=resolution,
        spread=extent,
        gain=squares / total**2,
        independent=max(0.5 * np.pi * q_max**2 * area, 10.0),
        density=density,
    )


def find_peaks(
    spectrum: GrainSpectrum, q_min: float, q_max: float, false_alarms: float, counts: float
) -> tuple[Peak, ...]:
    """Maxima that neither noise nor the side lobes of stronger ones explain, strongest first.

    Parameters
    ----------
    false_alarms : float
        Expected number of noise maxima in this spectrum.
    counts : float
        Effective number of values behind the noise estimate.
    """
    limit = np.log(false_alarms / spectrum.independent)
    cells, log_p = _maxima(spectrum, q_min, q_max, limit, counts)
    heights = spectrum.snr[cells[:, 0], cells[:, 1]]
    alone = heights > -limit + STREAK_FACTOR * np.maximum(_streaks(spectrum, cells) - STREAK_NOISE, 0)
    cells, log_p, heights = cells[alone], log_p[alone], heights[alone]
    strongest = np.argsort(-heights)[:MOST_PEAKS]
    found = [_refined(spectrum, cells[i], float(log_p[i])) for i in strongest]
    peaks: list[Peak] = []
    for peak in sorted(found, key=lambda p: -p.amplitude):
        if any(_is_satellite(spectrum, peak, other, q_min) for other in peaks):
            continue
        if peak.amplitude**2 > LOBE_FACTOR * sum(_lobe(spectrum, peak, other) for other in peaks):
            peaks.append(peak)
    return tuple(peaks)


def _window(
    region: NDArray[np.bool_], grid: MapGrid, shape: tuple[int, int], pixel_size: tuple[float, float]
) -> tuple[NDArray[np.float32], tuple[slice, slice], list[NDArray[np.float32]]]:
    """Smooth window inside a region: on the map grid, its box of image pixels, and the way there.

    The image's border is no facet of the grain, but the transform needs a fall there as well.

    Returns
    -------
    height : ndarray of float32
        The window on the map pixels of the region's bounding box and one more on every side.
    box : tuple of slice
        The image's pixels of that bounding box.
    weights : list of ndarray
        Matrices that interpolate `height` to these pixels' rows and columns.
    """
    rows, columns = (np.flatnonzero(region.any(axis=1 - axis)) for axis in (0, 1))
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    inside = np.pad(region[y0:y1, x0:x1], 1)
    distance = ndimage.distance_transform_edt(inside, sampling=grid.pixel_size)
    height = np.sin(0.5 * np.pi * np.minimum(1.0, distance / (TAPER_SHARE * distance.max()))) ** 2
    boxes, weights = [], []
    for first, last, p, q, n in zip((y0, x0), (y1, x1), pixel_size, grid.pixel_size, shape, strict=True):
        start, stop = max(0, round(first * q / p)), min(n, round(last * q / p))
        boxes.append(slice(start, stop))
        at = ((np.arange(start, stop) + 0.5) * p / q) - first + 0.5  # +1 for the padding, -1/2 to middles
        weights.append(linear_weights(at, last - first + 2))
    return height.astype(np.float32), (boxes[0], boxes[1]), weights


def _lobes(height: NDArray[np.float32], grid: MapGrid) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Power of the window's transform over its maximum, and its frequency step (y, x)."""
    shape = [fft.next_fast_len(max(2 * n + 8, 64), real=True) for n in height.shape]
    power = np.abs(np.fft.fftshift(fft.fft2(height, s=shape))) ** 2
    step = (1 / (shape[0] * grid.pixel_size[0]), 1 / (shape[1] * grid.pixel_size[1]))
    return np.asarray(power / power.max(), np.float32), step


def _cropped_power(
    image: NDArray[np.float32], shape: tuple[int, ...], half: tuple[int, ...]
) -> NDArray[np.float32]:
    transform = fft.rfft2(image, s=shape, workers=-1)
    hy, hx = half
    kept = np.concatenate([transform[-hy:, : hx + 1], transform[: hy + 1, : hx + 1]])
    return np.asarray(kept.real**2 + kept.imag**2, np.float32)


def _noise_density(
    gy: NDArray[np.float64],
    gx: NDArray[np.float64],
    region: NDArray[np.bool_],
    grid: MapGrid,
    spectra: LocalSpectra,
) -> NDArray[np.float32]:
    """Noise power density under the grain at each bin, from the local windows that cover it."""
    weights = _window_weights(region, grid, spectra)
    rings = weights @ spectra.ring_density
    density = np.interp(np.hypot(gy, gx), spectra.ring_g, rings)
    rows = np.rint(gy.ravel() / spectra.grid.step[0]).astype(np.intp) + spectra.grid.half[0]
    columns = np.rint(gx.ravel() / spectra.grid.step[1]).astype(np.intp)
    height, width = spectra.azimuthal.shape
    azimuthal = spectra.azimuthal[np.ix_(np.clip(rows, 0, height - 1), np.minimum(columns, width - 1))]
    return np.asarray(density * azimuthal, np.float32)


def _window_weights(region: NDArray[np.bool_], grid: MapGrid, spectra: LocalSpectra) -> NDArray[np.float64]:
    """How much of a region lies nearest to each window, shape (n windows,), sum 1."""
    rows, columns = np.nonzero(region)
    places = np.stack([(rows + 0.5) * grid.pixel_size[0], (columns + 0.5) * grid.pixel_size[1]], axis=1)
    index = np.zeros(len(places), np.intp)
    lattice = spectra.centres.reshape(*spectra.lattice, 2)
    for axis, line in enumerate((lattice[:, 0, 0], lattice[0, :, 1])):
        middles = (line[1:] + line[:-1]) / 2
        index = index * len(line) + np.searchsorted(middles, places[:, axis])
    counts = np.bincount(index, minlength=len(spectra.centres)).astype(np.float64)
    weights: NDArray[np.float64] = counts / counts.sum()
    return weights


def _extent(taper: NDArray[np.float32], pixel_size: tuple[float, float]) -> float:
    """Root mean square distance from the middle along an axis, nm (mean of both axes)."""
    variances = []
    for axis, p in enumerate(pixel_size):
        weight = taper.sum(axis=1 - axis, dtype=np.float64)
        at = np.arange(len(weight)) * p
        mean = np.average(at, weights=weight)
        variances.append(np.average((at - mean) ** 2, weights=weight))
    return float(np.sqrt(np.mean(variances)))


def _resolution(lobes: NDArray[np.float32], step: tuple[float, float]) -> float:
    """Radius of the disc that is as large as the main lobe above 1 % of its height."""
    label, _ = ndimage.label(lobes > 0.01)
    middle = label[lobes.shape[0] // 2, lobes.shape[1] // 2]
    return float(np.sqrt(np.count_nonzero(label == middle) * step[0] * step[1] / np.pi))


def _maxima(
    spectrum: GrainSpectrum, q_min: float, q_max: float, limit: float, counts: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    snr, (hy, hx) = spectrum.snr, spectrum.half
    cells = np.argwhere(snr > -limit)
    gy, gx = (cells[:, 0] - hy) * spectrum.step[0], cells[:, 1] * spectrum.step[1]
    radius = np.hypot(gy, gx)
    inside = (radius >= q_min) & (radius <= q_max) & ((gx > 0) | (gy > 0))
    inside &= (cells[:, 0] > 0) & (cells[:, 0] < 2 * hy) & (cells[:, 1] < hx)
    cells = cells[inside]
    heights = snr[cells[:, 0], cells[:, 1]]
    peak = np.ones(len(cells), bool)
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        row, column = cells[:, 0] + dy, cells[:, 1] + dx
        row = np.where(column < 0, 2 * hy - row, row)
        peak &= heights >= snr[row, np.abs(column)]
    log_p = log_tail(heights, counts)
    peak &= log_p < limit
    return cells[peak], log_p[peak]


def _streaks(spectrum: GrainSpectrum, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Largest median SNR (as a mean) of the lines through each maximum, itself and its lobe left out."""
    angles = np.arange(STREAK_DIRECTIONS) * np.pi / STREAK_DIRECTIONS
    near, far = (r * spectrum.resolution for r in STREAK_REACH)
    along = np.arange(near, far, 0.7 * max(spectrum.step))
    along = np.concatenate([-along[::-1], along])
    rows = np.rint(np.sin(angles)[:, None] * along / spectrum.step[0]).astype(np.intp) + cells[:, :1, None]
    columns = np.rint(np.cos(angles)[:, None] * along / spectrum.step[1]).astype(np.intp) + cells[:, 1:, None]
    height, width = spectrum.snr.shape
    mirrored = columns < 0
    rows, columns = np.where(mirrored, height - 1 - rows, rows), np.abs(columns)
    inside = (rows >= 0) & (rows < height) & (columns < width)
    values = spectrum.snr[np.clip(rows, 0, height - 1), np.minimum(columns, width - 1)].astype(np.float64)
    values[~inside] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a line wholly outside has no median
        medians = np.nanmedian(values, axis=2)
    return np.asarray(np.nan_to_num(medians).max(axis=1) / np.log(2.0))


def _refined(spectrum: GrainSpectrum, cell: NDArray[np.intp], log_p: float) -> Peak:
    """Vertex of the parabola through the logarithms of 3 x 3 bins, and the fit's uncertainty."""
    row, column = int(cell[0]), int(cell[1])
    rows, columns = np.meshgrid((row - 1, row, row + 1), (column - 1, column, column + 1), indexing="ij")
    mirrored = columns < 0
    rows = np.where(mirrored, spectrum.snr.shape[0] - 1 - rows, rows)
    logs = np.log(np.maximum(spectrum.snr[rows, np.abs(columns)].astype(np.float64), 1e-6))
    offset = []
    for low, middle, high in (logs[:, 1], logs[1]):
        curvature = low - 2 * middle + high
        offset.append(float(np.clip(0.5 * (low - high) / min(curvature, -1e-9), -0.5, 0.5)))
    g = (
        (row + offset[0] - spectrum.half[0]) * spectrum.step[0],
        (column + offset[1]) * spectrum.step[1],
    )
    snr = float(spectrum.snr[row, column])
    sigma = 1.0 / (2 * np.pi * spectrum.spread * np.sqrt(2 * snr))
    amplitude = np.sqrt(snr * spectrum.gain * float(spectrum.density[row, column]))
    return Peak(upper(g), float(sigma), snr, log_p, float(amplitude))


def _is_satellite(spectrum: GrainSpectrum, peak: Peak, other: Peak, q_min: float) -> bool:
    apart = min(np.hypot(peak.g[0] - sign * other.g[0], peak.g[1] - sign * other.g[1]) for sign in (1, -1))
    if apart >= q_min:
        return False
    near = apart < SATELLITE_NEAR * spectrum.resolution
    return peak.amplitude**2 < SATELLITE_SHARES[0 if near else 1] * other.amplitude**2


def _lobe(spectrum: GrainSpectrum, peak: Peak, other: Peak) -> float:
    """Squared amplitude that the side lobes of another spot, or of its mirror, give at a peak."""
    lobes = 0.0
    for sign in (1, -1):
        dy, dx = peak.g[0] - sign * other.g[0], peak.g[1] - sign * other.g[1]
        if np.hypot(dy, dx) > LOBE_REACH * spectrum.resolution:
            continue
        row, column = (
            round(v / s) + n // 2
            for v, s, n in zip((dy, dx), spectrum.lobe_step, spectrum.lobes.shape, strict=True)
        )
        near = spectrum.lobes[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        lobes += other.amplitude**2 * float(near.max()) if near.size else 0.0
    return lobes
