"""Diffractogram: windowed transform of the whole image, its noise, and the inverse transform.

A single real transform is used for everything: cropped to |g_x|, |g_y| <= q_max it is stored without a window
(for maps and inverse transforms, which need the image's border); the Hann window, which removes the bright
cross caused by the image's edges, is applied in reciprocal space, where it has three taps per axis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..image.micrograph import Micrograph
from ..parameters import WithinLimits, param
from .noise import sector_noise
from .threads import threads


@dataclass(frozen=True, slots=True)
class FrequencyGrid:
    """Grid of equal cells with zero frequency at the centre of the central cell.

    Attributes
    ----------
    step : tuple of float, (y, x), 1/nm
        Size of a cell.
    half : tuple of int, (y, x)
        Number of cells on each side of the central one; the grid's shape is ``2 * half + 1``.
    """

    step: tuple[float, float]
    half: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells (y, x), always odd."""
        return 2 * self.half[0] + 1, 2 * self.half[1] + 1

    @property
    def origin(self) -> tuple[float, float]:
        """Frequency (y, x) of cell (0, 0), 1/nm."""
        return -self.step[0] * self.half[0], -self.step[1] * self.half[1]

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Frequencies of the rows, shape (ny, 1), and of the columns, shape (1, nx), 1/nm."""
        y = np.arange(-self.half[0], self.half[0] + 1, dtype=np.float64) * self.step[0]
        x = np.arange(-self.half[1], self.half[1] + 1, dtype=np.float64) * self.step[1]
        return y[:, None], x[None, :]

    def radius(self) -> NDArray[np.float64]:
        """|g| of every cell, shape (ny, nx), 1/nm."""
        y, x = self.axes()
        return np.hypot(y, x)

    def cell(self, g: tuple[float, float]) -> tuple[int, int]:
        """Row and column of the cell that contains the frequency g = (y, x); may be outside the grid."""
        return tuple(  # type: ignore[return-value]
            round(value / step) + half for value, step, half in zip(g, self.step, self.half, strict=True)
        )

    def frequency(self, cell: tuple[float, float]) -> tuple[float, float]:
        """Frequency (y, x) in 1/nm at a position (row, column), which may be fractional."""
        return (cell[0] - self.half[0]) * self.step[0], (cell[1] - self.half[1]) * self.step[1]


Window = Literal["hann", "hamming", "blackman", "none"]
#: Windows for display, as coefficients of a cosine sum. The analysis always uses Hann.
WINDOWS: dict[Window, tuple[float, ...]] = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "none": (1.0,),
}
#: Extra frequencies kept beyond q_max for the filters of spots there, 1/nm.
MARGIN = 0.7
#: Number of rows processed together, so that they stay in the processor's cache.
STRIP = 64
#: Largest number of cells per axis of the grid for display and painting.
MOST_CELLS = 2049


@dataclass(frozen=True, slots=True)
class SpectrumParams(WithinLimits):
    """Parameters of the range of d-spacings that is searched."""

    d_min: float = param(
        0.1, "smallest d", unit="nm", low=0.03, high=1.0, help="Smaller d-spacings are cut off."
    )
    d_max: float = param(
        0.55, "largest d", unit="nm", low=0.1, high=5.0, help="Larger d-spacings are not searched."
    )
    annotations: str = param(
        "mask",
        "bars and labels",
        choices=("mask", "keep"),
        help="Mask or keep annotations burnt into the image (scale bar, data bar, boxed labels).",
    )

    def __post_init__(self) -> None:
        WithinLimits.__post_init__(self)
        if self.d_min >= self.d_max:
            raise ValueError(f"smallest d ({self.d_min} nm) must be below largest d ({self.d_max} nm)")


@dataclass(frozen=True, slots=True, eq=False)
class Diffractogram:
    """Transform of a micrograph, cropped, on half the plane (g_x >= 0).

    Attributes
    ----------
    image_shape : tuple of int, (y, x)
    pixel_size : tuple of float, (y, x), nm
    q_min, q_max : float, 1/nm
        Limits of the search.
    half : tuple of int, (y, x)
        Bins kept on each side of zero frequency; the arrays have the shape (2 hy + 1, hx + 1), row hy is
        g_y = 0, column 0 is g_x = 0.
    transform : ndarray of complex64
        Transform of the image without a window.
    power : ndarray of float32
        Power with a Hann window.
    noise : ndarray of float32
        Mean noise power at each bin.
    counts : float
        Effective number of values from which the noise was estimated.
    annotations : ndarray of bool, shape `image_shape`, optional
        Bars and labels that were filled before (`find_annotations`); None if there are none.
    """

    image_shape: tuple[int, int]
    pixel_size: tuple[float, float]
    q_min: float
    q_max: float
    half: tuple[int, int]
    transform: NDArray[np.complex64]
    power: NDArray[np.float32]
    noise: NDArray[np.float32]
    counts: float
    annotations: NDArray[np.bool_] | None = None

    @property
    def step(self) -> tuple[float, float]:
        """Frequency step (y, x) = 1 / (N p), 1/nm."""
        (ny, nx), (py, px) = self.image_shape, self.pixel_size
        return 1.0 / (ny * py), 1.0 / (nx * px)

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """g_y of the rows, shape (ny, 1), and g_x of the columns, shape (1, nx), 1/nm."""
        y = np.arange(-self.half[0], self.half[0] + 1, dtype=np.float64) * self.step[0]
        x = np.arange(self.half[1] + 1, dtype=np.float64) * self.step[1]
        return y[:, None], x[None, :]

    def snr(self) -> NDArray[np.float32]:
        """Power over noise, shape (2 hy + 1, hx + 1)."""
        ratio: NDArray[np.float32] = self.power / self.noise
        return ratio


def frequency_limits(pixel_size: tuple[float, float], params: SpectrumParams) -> tuple[float, float]:
    """Lowest and highest |g| that are searched, 1/nm.

    Raises
    ------
    ValueError
        If the pixels are too large to show any lattice plane.
    """
    nyquist = 0.5 / max(pixel_size)
    if 1.0 / params.d_max >= nyquist:
        raise ValueError(
            f"pixels of {max(pixel_size):.3g} nm cannot show a lattice: the smallest d-spacing that they"
            f" resolve is {1 / nyquist:.3g} nm, the largest that is searched is {params.d_max:g} nm"
        )
    return 1.0 / params.d_max, min(1.0 / params.d_min, 0.98 * nyquist)


def searched_share(pixel_size: tuple[float, float], params: SpectrumParams) -> float:
    """Fraction of an image's spectrum that is kept and searched; 1 for coarse pixels.

    Raises
    ------
    ValueError
        If the pixels are too large to show any lattice plane.
    """
    _, q_max = frequency_limits(pixel_size, params)
    py, px = (min(2 * (q_max + MARGIN) * p, 1.0) for p in pixel_size)
    return py * px


def compute_diffractogram(
    image: NDArray[np.float32],
    micrograph: Micrograph,
    params: SpectrumParams,
    annotations: NDArray[np.bool_] | None = None,
) -> Diffractogram:
    """Compute the diffractogram of prepared pixels (`prepared_pixels`) of a micrograph.

    Raises
    ------
    CalibrationError, ValueError
        If the image has no pixel size in nm, or one with which no lattice can be seen.
    """
    size, shape = micrograph.pixel_size, micrograph.shape
    q_min, q_max = frequency_limits(size, params)
    half = tuple(
        max(min(int((q_max + MARGIN) * n * p), (n - 1) // 2 - 1), 1) for n, p in zip(shape, size, strict=True)
    )
    transform = _cropped_transform(image, (half[0], half[1]))
    power = _hann_power(transform)
    step = (1.0 / (shape[0] * size[0]), 1.0 / (shape[1] * size[1]))
    noise, counts = sector_noise(power, step, 0.5 * q_min)
    return Diffractogram(
        shape,
        size,
        q_min,
        q_max,
        (half[0], half[1]),
        transform,
        power,
        noise,
        counts,
        annotations,
    )


def _cropped_transform(image: NDArray[np.float32], half: tuple[int, int]) -> NDArray[np.complex64]:
    """Transform with `half` bins on each side of zero frequency, in centred rows.

    Columns that are not kept are not transformed.
    """
    hy, hx = half
    rows = np.empty((len(image), hx + 1), np.complex64)
    for first in range(0, len(image), STRIP):
        strip = image[first : first + STRIP]
        rows[first : first + STRIP] = fft.rfft(strip, axis=1, workers=threads())[:, : hx + 1]
    whole = fft.fft(rows, axis=0, overwrite_x=True, workers=threads())
    return np.concatenate([whole[-hy:], whole[: hy + 1]])


def _hann_power(transform: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Power with a Hann window: the taps (-1/4, 1/2, -1/4) along each axis of the transform."""
    height, width = transform.shape
    power = np.empty((height, width), np.float32)
    padded = np.zeros((STRIP + 2, width + 2), np.complex64)
    half = np.float32(0.5)
    for first in range(0, height, STRIP):
        count = min(STRIP, height - first)
        above, below = max(first - 1, 0), min(first + count + 1, height)
        part = padded[above - first + 1 : below - first + 1]
        part[:, 1:-1] = transform[above:below]
        # column g_x = -1 by symmetry
        part[:, 0] = np.conj(transform[height - below : height - above, 1][::-1])
        if below == first + count:
            padded[count + 1] = 0
        # real and imaginary parts separately: numpy would convert the factor to complex
        parts = padded[: count + 2].view(np.float32)
        rows = parts[:, :-4] + parts[:, 4:]
        rows *= -half
        rows += parts[:, 2:-2]
        both = rows[:-2] + rows[2:]
        both *= -half
        both += rows[1:-1]
        both *= half * half
        np.square(both, out=both)
        np.add(both[:, ::2], both[:, 1::2], out=power[first : first + count])
    return power


def windowed_power(transform: NDArray[np.complex64], window: Window) -> NDArray[np.float32]:
    """Power with another window, from a transform without a window.

    Parameters
    ----------
    transform : ndarray of complex64
        As `Diffractogram.transform`.
    window : {"hann", "hamming", "blackman", "none"}
        Cosine sums along each axis, which have a few taps in reciprocal space.
    """
    coefficients = WINDOWS[window]
    reach = len(coefficients) - 1
    # a_k cos(2 pi k n / N) is a_k / 2 at the k-th bin on each side, with alternating signs
    sides = [(-1) ** k * coefficients[k] / 2 for k in range(1, reach + 1)]
    taps = np.array([*sides[::-1], coefficients[0], *sides], np.float32)
    height, width = transform.shape
    left = np.conj(transform[::-1, reach:0:-1])  # columns of g_x < 0 by symmetry
    wide = np.concatenate([left, transform, np.zeros((height, reach), np.complex64)], axis=1)
    rows = sum(tap * wide[:, k : k + width] for k, tap in enumerate(taps))
    high = np.pad(np.asarray(rows), ((reach, reach), (0, 0)))
    both = np.asarray(sum(tap * high[k : k + height] for k, tap in enumerate(taps)))
    return np.asarray(both.real**2 + both.imag**2, np.float32)


def with_window(diffractogram: Diffractogram, window: Window) -> Diffractogram:
    """The diffractogram with power and noise for another window, for display."""
    if window == "hann":
        return diffractogram
    power = windowed_power(diffractogram.transform, window)
    noise, counts = sector_noise(power, diffractogram.step, 0.5 * diffractogram.q_min)
    return replace(diffractogram, power=power, noise=noise, counts=counts)


@dataclass(frozen=True, slots=True, eq=False)
class BandImage:
    """The micrograph band-limited to the highest searched frequency, with just the pixels needed for it.

    Attributes
    ----------
    pixels : ndarray of float32, shape (ny, nx)
        In the micrograph's grey levels, with zero mean; covers the whole field.
    pixel_size : tuple of float, (y, x), nm
    pixels_each : float
        Number of the micrograph's pixels per pixel, by which the variance of white noise is reduced.
    """

    pixels: NDArray[np.float32]
    pixel_size: tuple[float, float]
    pixels_each: float


def band_image(diffractogram: Diffractogram) -> BandImage:
    """The image from which local spectra are computed: finer pixels would only cost time."""
    shape = tuple(
        min(fft.next_fast_len(2 * h + 2, real=True), n)
        for h, n in zip(diffractogram.half, diffractogram.image_shape, strict=True)
    )
    pixels = inverse_of_half_plane(diffractogram.transform, (shape[0], shape[1]), diffractogram.image_shape)
    factors = [n / m for n, m in zip(diffractogram.image_shape, shape, strict=True)]
    py, px = (p * f for p, f in zip(diffractogram.pixel_size, factors, strict=True))
    pixels -= pixels.mean()
    return BandImage(pixels, (py, px), factors[0] * factors[1])


def display_grid(diffractogram: Diffractogram) -> FrequencyGrid:
    """The grid on which the FFT is displayed and the mask is painted.

    It has the native steps if it then has at most 2049 cells per axis; otherwise an odd number of bins is
    pooled into a cell, so that zero frequency stays at the centre of one.
    """
    factors, halves = [], []
    for step, half in zip(diffractogram.step, diffractogram.half, strict=True):
        wanted = min(int(diffractogram.q_max / step), half)
        factor = 1
        while 2 * ((wanted - factor // 2) // factor) + 1 > MOST_CELLS:
            factor += 2
        factors.append(factor)
        halves.append((wanted - factor // 2) // factor)
    sy, sx = diffractogram.step
    return FrequencyGrid((sy * factors[0], sx * factors[1]), (halves[0], halves[1]))


def display(diffractogram: Diffractogram) -> tuple[FrequencyGrid, NDArray[np.float32]]:
    """log10 of power over noise on the whole plane, for display.

    Returns
    -------
    grid : FrequencyGrid
    image : ndarray of float32, shape ``grid.shape``
        The largest value among each cell's bins, so that spots of a single bin remain visible.
    """
    grid = display_grid(diffractogram)
    factor = tuple(round(a / b) for a, b in zip(grid.step, diffractogram.step, strict=True))
    hy, hx = (h * f + f // 2 for h, f in zip(grid.half, factor, strict=True))
    centre = diffractogram.half[0]
    right = diffractogram.snr()[centre - hy : centre + hy + 1, : hx + 1]
    full = np.concatenate([right[::-1, :0:-1], right], axis=1)
    cells = full.reshape(grid.shape[0], factor[0], grid.shape[1], factor[1]).max(axis=(1, 3))
    return grid, np.log10(np.maximum(cells, 1e-3)).astype(np.float32)


def inverse_of_half_plane(
    kept: NDArray[np.complex64], shape: tuple[int, int], image_shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Real image of `shape` pixels covering the whole field, from centred bins of an image's transform.

    Parameters
    ----------
    kept : ndarray of complex64, shape (2 ky + 1, kx + 1)
        Bins around zero frequency, with columns from g_x = 0.
    image_shape : tuple of int
        Shape of the transformed image; its grey levels are preserved.
    """
    ky, kx = kept.shape[0] // 2, kept.shape[1] - 1
    block = np.zeros((shape[0], shape[1] // 2 + 1), np.complex64)
    block[: ky + 1, : kx + 1] = kept[ky:]
    if ky:
        block[-ky:, : kx + 1] = kept[:ky]
    # one axis after the other needs no second array
    fft.ifft(block[:, : kx + 1], axis=0, norm="forward", overwrite_x=True, workers=threads())
    image: NDArray[np.float32] = fft.irfft(block, shape[1], axis=1, norm="forward", workers=threads())
    for scale in (1 / (shape[0] * shape[1]), shape[0] * shape[1] / (image_shape[0] * image_shape[1])):
        image *= np.float32(scale)
    return image
