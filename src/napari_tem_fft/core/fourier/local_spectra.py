"""LocalSpectra: transforms of overlapping windows, and the significant maxima in each of them.

A grain of 5 nm in a field of 100 nm covers 1/400 of the field, and its spots are lost in the noise of the
whole image's transform; in a window of the grain's size they are not. The power of each window is divided by
that window's own ring means, so that one threshold applies to all, and each detection has a position.

Amplifiers of a sensor, scan lines and imperfect gain references leave a random signal that is the same in all
pixels of a column (or row). In a transform it is noise on one pixel axis only, where the ring-based noise
estimate does not include it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ..maps.map_grid import MapGrid, linear_weights
from ..spots.false_alarms import log_tail
from ..spots.spot import friedel_representative
from .diffractogram import BandImage, Diffractogram, FrequencyGrid
from .noise import anisotropy_of, azimuthal_excess, guard_from_zero, likely_noise
from .stft import RING_BINS, WindowGrid, WindowParams, rows_of_snr, window_grid_of

#: Stripes are reported if the noise on the axis exceeds this multiple of the ring noise: white noise in
#: images of 256 to 2048 pixels exceeds it in fewer than one image of a hundred.
LEAST_EXCESS = 2.5
#: Width (1/nm) and smallest number of bins of the section of the axis over which the median is taken;
#: reflections of crystals on the axis cover only a small part of it.
STRETCH, FEWEST_BINS = 4.0, 81


@dataclass(frozen=True, slots=True, eq=False)
class Stripes:
    """Power density of stripes along each axis.

    Attributes
    ----------
    g : tuple of ndarray, 1/nm
        Frequencies along y, for stripes along rows, and along x, for stripes along columns.
    density : tuple of ndarray, of the same lengths
        Mean power of a bin over the sum of the squared taper, of one line; 0 where there are no stripes.
    """

    g: tuple[NDArray[np.float64], NDArray[np.float64]]
    density: tuple[NDArray[np.float64], NDArray[np.float64]]

    def density_at(self, axis: int, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """The density at frequencies along an axis, of either sign, 1/nm."""
        return np.asarray(np.interp(np.abs(g), self.g[axis], self.density[axis]), np.float64)

    @property
    def none(self) -> bool:
        """Whether there are no stripes."""
        return not any(density.any() for density in self.density)


def measure_stripes(
    band: BandImage, ring_g: NDArray[np.float64], ring_density: NDArray[np.float64], q_min: float
) -> Stripes:
    """Measure the stripes of an image, from the sums of its columns and rows.

    Parameters
    ----------
    band : BandImage
    ring_g : ndarray, shape (n,), 1/nm
    ring_density : ndarray, shape (n,)
        Noise power density of the image in rings, away from the axes.
    q_min : float, 1/nm
        Lowest frequency examined.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> image = rng.standard_normal((256, 256)).astype(np.float32)
    >>> image += rng.standard_normal(256)  # each column has its own offset
    >>> found = measure_stripes(BandImage(image, (0.05, 0.05), 1.0), np.arange(1.0, 10), np.ones(9), 1.0)
    >>> found.density_at(0, np.array([5.0])).round(1), found.density_at(1, np.array([5.0])).round(1)
    (array([0.]), array([1.]))
    """
    found = []
    for axis, (n, pixel) in enumerate(zip(band.pixels.shape, band.pixel_size, strict=True)):
        along, across = (np.hanning(m + 2)[1:-1] for m in (n, band.pixels.shape[1 - axis]))
        line = across @ band.pixels if axis else band.pixels @ across
        power = np.abs(fft.rfft(along * line)) ** 2
        g = fft.rfftfreq(n, pixel)
        noise = np.interp(g, ring_g, ring_density) / band.pixels_each
        of_noise = noise * np.sum(across**2)
        inside = np.flatnonzero(g >= q_min)
        if not len(inside):
            found.append((g, np.zeros(len(g))))
            continue
        ratio = power[inside] / (of_noise[inside] * np.sum(along**2))
        width = max(round(STRETCH / g[1]), FEWEST_BINS)
        usual = ndimage.median_filter(ratio, width, mode="reflect") / np.log(2)
        excess = np.zeros(len(g))
        excess[inside] = np.where(usual > LEAST_EXCESS, usual - 1, 0)
        found.append((g, excess * of_noise / across.sum() ** 2))
    (gy, rows), (gx, columns) = found
    return Stripes((gy, gx), (rows, columns))


#: Detections are kept up to this ln P, for later confirmation by a known grain or by the network.
LOWEST_LOG_P = -8.0
#: Number of SNR values, limited to 1e-6..1e7, whose product still fits into a float32.
LOGS_TOGETHER = 5


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Local maxima of the windows' SNR, one row each.

    Attributes
    ----------
    window : ndarray of int
        Index of the window.
    g : ndarray, shape (n, 2), (y, x), 1/nm
        Interpolated between bins, in the stored half plane.
    snr : ndarray
    log_p : ndarray
        ln of the probability that noise alone reaches this SNR in one bin.
    """

    window: NDArray[np.intp]
    g: NDArray[np.float64]
    snr: NDArray[np.float64]
    log_p: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LocalSpectra:
    """Significant maxima in overlapping Hann windows (half overlap, including the border).

    Attributes
    ----------
    grid : FrequencyGrid
        Grid of the windows' spectra. The arrays cover its half plane g_x >= 0: shape (2 hy + 1, hx + 1).
    size : tuple of float, (y, x), nm
        Side of a window.
    window_grid : tuple of int, (rows, columns)
        Grid of the windows; window k is in row k // columns.
    centres : ndarray, shape (n, 2), (y, x), nm
        Centre of each window in the image.
    snr_max, snr_mean : ndarray of float32
        Largest and mean SNR over the windows, for each frequency.
    argmax_window : ndarray of int32
        Window with the largest SNR.
    tests : float
        Number of windows times number of frequencies tested.
    detections : Detections
    ring_g : ndarray, shape (n_rings,), 1/nm
        Mean |g| of the rings in which the noise was estimated.
    ring_density : ndarray of float32, shape (n, n_rings)
        Noise power density of each window: mean power of a bin over the sum of the squared taper. For
        detection: where it changes steeply it is rather too large.
    likely_density : ndarray of float32, of the same shape
        The most likely density, for maps.
    azimuthal : ndarray of float32
        Factor (>= 1) by which the noise at an azimuth exceeds its ring's mean, for detection.
    anisotropy : ndarray of float32
        The most likely ratio of the noise at an azimuth to its ring's mean, also below 1, for maps.
    stripes : Stripes, optional
        Noise of the camera's rows and columns on the pixel axes, if it was measured.
    """

    grid: FrequencyGrid
    size: tuple[float, float]
    window_grid: tuple[int, int]
    centres: NDArray[np.float64]
    snr_max: NDArray[np.float32]
    snr_mean: NDArray[np.float32]
    argmax_window: NDArray[np.int32]
    tests: float
    detections: Detections
    ring_g: NDArray[np.float64]
    ring_density: NDArray[np.float32]
    likely_density: NDArray[np.float32]
    azimuthal: NDArray[np.float32]
    anisotropy: NDArray[np.float32]
    stripes: Stripes | None = None

    def density_at(self, g: tuple[float, float]) -> NDArray[np.float64]:
        """Noise power density of all windows at the frequency g = (y, x), shape `window_grid`."""
        position = np.interp(np.hypot(*g), self.ring_g, np.arange(len(self.ring_g)))
        low = min(int(position), max(len(self.ring_g) - 2, 0))
        high = min(low + 1, len(self.ring_g) - 1)
        share = position - low
        density = self.likely_density[:, low] * (1 - share) + self.likely_density[:, high] * share
        return density.reshape(self.window_grid) * self.anisotropy_at(g)

    @property
    def lines(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Centres of the windows' rows and columns, nm."""
        lattice = self.centres.reshape(*self.window_grid, 2)
        return tuple(lattice[:, 0, 0].tolist()), tuple(lattice[0, :, 1].tolist())

    def on_grid(self, values: NDArray[Any], grid: MapGrid) -> NDArray[np.float32]:
        """Interpolate values of the windows linearly between their centres.

        Parameters
        ----------
        values : ndarray, shape (n,), `window_grid`, or (several, *window_grid)

        Returns
        -------
        ndarray, shape ``grid.shape``, or (several, *grid.shape)
        """
        matrices = _rings_between(*self.lines, grid.whole)
        rows, columns = (matrix[side] for matrix, side in zip(matrices, grid.box, strict=True))
        values = values.reshape(self.window_grid) if values.ndim < 3 else values
        on_grid: NDArray[np.float32] = rows @ values.astype(np.float32) @ columns.T
        return on_grid

    def anisotropy_at(self, g: tuple[float, float]) -> float:
        """The anisotropy at the frequency g = (y, x)."""
        row, column = self.grid.cell(friedel_representative(g))
        column -= self.grid.half[1]
        rows, columns = self.anisotropy.shape
        return float(self.anisotropy[min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)])


@lru_cache(maxsize=8)
def _rings_between(
    rows: tuple[float, ...], columns: tuple[float, ...], grid: MapGrid
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Matrices for interpolation between the windows' centres; shared by all maps of an image."""
    y, x = (
        linear_weights(np.interp(places.ravel(), line, np.arange(len(line))), len(line))
        for places, line in zip(grid.positions(), (rows, columns), strict=True)
    )
    return y, x


def local_spectra_of(diffractogram: Diffractogram, band: BandImage, params: WindowParams) -> LocalSpectra:
    """Compute the local spectra of a diffractogram's image (`band_image`).

    They equal those of the micrograph's own pixels (`compute_local_spectra`) up to q_max, with less work.
    """
    limits = diffractogram.q_min, diffractogram.q_max
    spectra = compute_local_spectra(band.pixels, band.pixel_size, *limits, params)
    # densities are per pixel of the micrograph, of which each of these contains several
    each = np.float32(band.pixels_each)
    ring, likely_ = spectra.ring_density * each, spectra.likely_density * each
    stripes = measure_stripes(band, spectra.ring_g, ring.mean(axis=0).astype(np.float64), diffractogram.q_min)
    return replace(spectra, ring_density=ring, likely_density=likely_, stripes=stripes)


def compute_local_spectra(
    image: NDArray[np.float32],
    pixel_size: tuple[float, float],
    q_min: float,
    q_max: float,
    params: WindowParams,
) -> LocalSpectra:
    """Compute the local spectra of prepared pixels, holding one row of windows and the result in memory.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        With zero mean (`prepared_pixels`).
    pixel_size : tuple of float, (y, x), nm
    q_min, q_max : float, 1/nm
        Limits of the search.
    """
    frame = window_grid_of(image.shape, pixel_size, q_min, q_max, params)
    lattice = (len(frame.rows.starts), len(frame.columns.starts))
    shape = frame.radius.shape
    best = np.zeros(shape, np.float32)
    total = np.zeros(shape, np.float64)
    logs = np.zeros(shape, np.float64)
    argmax_window = np.zeros(shape, np.int32)
    found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]] = []
    means: list[NDArray[np.float32]] = []
    for row, (snr, noise) in enumerate(rows_of_snr(image, frame)):
        means.append(noise)
        first = row * lattice[1]
        largest = snr.max(axis=0)
        better = np.nonzero(largest > best)
        argmax_window[better] = first + snr[:, better[0], better[1]].argmax(axis=0)
        np.maximum(best, largest, out=best)
        total += snr.sum(axis=0)
        found.append(_maxima(snr, frame, first))
        logs += _sum_of_logs(snr)
    n = lattice[0] * lattice[1]
    density = np.concatenate(means) / _squares(frame)
    azimuthal = azimuthal_excess(anisotropy_of(logs / n), n)
    likely_density, anisotropy = likely_noise(density, RING_BINS, logs / n, frame.between, frame.tested)
    return LocalSpectra(
        grid=frame.grid,
        size=(frame.side[0] * pixel_size[0], frame.side[1] * pixel_size[1]),
        window_grid=lattice,
        centres=_centres(frame, pixel_size),
        snr_max=best / azimuthal,
        snr_mean=(total / n).astype(np.float32) / azimuthal,
        argmax_window=argmax_window,
        tests=float(n * frame.tested.sum()),
        detections=_detections(found, azimuthal, frame),
        ring_g=frame.rings.middle,
        ring_density=guard_from_zero(density),
        likely_density=likely_density,
        azimuthal=azimuthal,
        anisotropy=anisotropy,
    )


def _centres(frame: WindowGrid, pixel_size: tuple[float, float]) -> NDArray[np.float64]:
    """Centre (y, x) of each window in nm, shape (n, 2)."""
    places = frame.rows.middles * pixel_size[0], frame.columns.middles * pixel_size[1]
    return np.stack([middle.ravel() for middle in np.meshgrid(*places, indexing="ij")], axis=1)


def _squares(frame: WindowGrid) -> NDArray[np.float32]:
    """Sum of the squared taper of each window, shape (n, 1)."""
    sums = [np.sum(line.tapers.astype(np.float64) ** 2, axis=1) for line in (frame.rows, frame.columns)]
    return np.asarray(np.outer(*sums).reshape(-1, 1), np.float32)


def _sum_of_logs(snr: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum of the logarithms over the windows (SNR is overwritten), with one logarithm for several values."""
    np.clip(snr, 1e-6, 1e7, out=snr)
    total = np.zeros(snr.shape[1:], np.float64)
    for first in range(0, len(snr), LOGS_TOGETHER):
        product = np.multiply.reduce(snr[first : first + LOGS_TOGETHER], axis=0)
        total += np.log(product, out=product)
    return total


def _maxima(
    snr: NDArray[np.float32], frame: WindowGrid, first: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Windows, bins and 3 x 3 neighbourhoods of the maxima above the lowest threshold."""
    flat = np.flatnonzero((snr > -LOWEST_LOG_P) & frame.tested)
    hot = np.stack(np.unravel_index(flat, snr.shape), axis=1)
    hot = hot[(hot[:, 1] > 0) & (hot[:, 1] < snr.shape[1] - 1) & (hot[:, 2] < snr.shape[2] - 1)]
    around = np.empty((len(hot), 3, 3), np.float32)
    for i, dy in enumerate((-1, 0, 1)):
        for j, dx in enumerate((-1, 0, 1)):
            row, column = hot[:, 1] + dy, hot[:, 2] + dx
            mirrored = column < 0
            row = np.where(mirrored, snr.shape[1] - 1 - row, row)
            around[:, i, j] = snr[hot[:, 0], row, np.abs(column)]
    peak = around[:, 1, 1] >= around.max(axis=(1, 2))
    return hot[peak, 0] + first, hot[peak, 1:], around[peak]


def _detections(
    found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]],
    azimuthal: NDArray[np.float32],
    frame: WindowGrid,
) -> Detections:
    window = np.concatenate([f[0] for f in found])
    cells = np.concatenate([f[1] for f in found])
    around = np.concatenate([f[2] for f in found])
    snr = around[:, 1, 1] / azimuthal[cells[:, 0], cells[:, 1]]
    counts = np.interp(
        frame.radius[cells[:, 0], cells[:, 1]], frame.rings.middle, frame.rings.effective_counts()
    )
    shares = np.outer(frame.rows.shares, frame.columns.shares).ravel()
    log_p = log_tail(snr, counts * shares[window])
    offset = np.stack([_vertex(around[:, :, 1]), _vertex(around[:, 1, :])], axis=1)
    place = cells + offset - [frame.grid.half[0], 0]
    keep = log_p < LOWEST_LOG_P
    g = place * np.array(frame.grid.step)
    return Detections(window[keep], g[keep], snr[keep].astype(np.float64), log_p[keep])


def _vertex(three: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sub-bin position of the maximum of three neighbours, from a parabola through their logarithms."""
    low, middle, high = np.log(np.maximum(three.astype(np.float64), 1e-6)).T
    curvature = low - 2 * middle + high
    offset = np.where(curvature < 0, 0.5 * (low - high) / np.minimum(curvature, -1e-9), 0.0)
    return np.clip(offset, -0.5, 0.5)
