"""Centre of a diffraction pattern: the position of g = 0, from the point symmetry of the pattern.

A pattern does not change when it is rotated by 180 degrees about its centre c: I(x) = I(2c - x). The
convolution of the image with itself therefore peaks at 2c. Normalised by the overlap (Padfield, Masked
object registration in the Fourier domain, IEEE Trans. Image Process. 21 (2012) 2706) it is a correlation
coefficient, which gives the approximate position. It includes the diffuse intensity, because a lattice alone
is
just as symmetric about each of its spots. The same convolution of the fine details then gives the position to
a fraction of a pixel: products of noise with other noise do not bias it, and a beam stop has no counterpart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from ..fourier.noise import robust_sigma
from ..fourier.threads import threads
from ..image.micrograph import MOST_BAD

Point = tuple[float, float]
Image = NDArray[np.float32]
CentreSource = Literal["given", "file", "symmetry", "pairs of spots"]

#: Largest number of pixels per axis for the search in the whole image, and for the details.
COARSE, FINE = 384, 2048
#: Smallest fraction of the image that must overlap with the image rotated about a centre.
LEAST_OVERLAP = 0.15
#: Smallest correlation of the image with itself rotated by 180 degrees.
LEAST_SYMMETRY = 0.3
#: Largest distance, in pixels, by which the symmetry may move a given or roughly found centre.
REACH = 6
#: Details are finer than this many pixels and coarser than one (standard deviations).
DETAIL = 6.0
#: The peak of the details' convolution must stand out by this many times its scatter.
LEAST_PEAK = 6.0
#: If the noise correlates with itself, rotated by 180 degrees, by more than this, +g and -g are one datum.
SAME_NOISE = 0.9
#: Uncertainty, in pixels, of a centre that the details do not confirm.
UNCONFIRMED_SIGMA = 3.0


@dataclass(frozen=True, slots=True)
class PatternCentre:
    """Position of g = 0 in an image.

    Attributes
    ----------
    position : tuple of float, (y, x), pixels
        May lie outside the image.
    sigma : float, pixels
        Standard uncertainty along either axis.
    source : {"given", "file", "symmetry", "pairs of spots"}
        Where the centre comes from.
    symmetry : float
        Correlation of the image with itself rotated by 180 degrees about the centre; 1 is perfect, 0 if
        nothing overlaps.
    """

    position: Point
    sigma: float
    source: CentreSource
    symmetry: float


def pattern_pixels(pixels: NDArray[Any], name: str) -> Image:
    """Pixels of a pattern in float32, compressed so that spots and diffuse intensity have similar weight.

    The result is asinh((I - median) / spread), which is linear in the noise and logarithmic in spots.

    Raises
    ------
    ValueError
        If more than 1 % of the pixels are NaN or infinite, or all are equal.
    """
    image = np.asarray(pixels, np.float64)
    bad = ~np.isfinite(image)
    if bad.mean() > MOST_BAD:
        raise ValueError(f"{name}: {bad.mean():.1%} of the pixels are NaN or infinite")
    middle = float(np.median(image[~bad]))
    spread = 1.4826 * float(np.median(np.abs(image[~bad] - middle))) or float(image[~bad].std())
    if spread == 0.0:
        raise ValueError(f"{name}: all pixels have the same value; there is no pattern to measure")
    return np.arcsinh(np.where(bad, 0.0, (image - middle) / spread)).astype(np.float32)


def find_centre(
    image: Image,
    start: Point | None = None,
    source: CentreSource = "symmetry",
    hidden: NDArray[np.bool_] | None = None,
) -> PatternCentre:
    """The centre of a pattern.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        From `pattern_pixels`.
    start : tuple of float, (y, x), pixels, optional
        Centre from the user or the file; then only its neighbourhood is searched, and it is kept if no
        symmetry is found there.
    source : {"given", "file", "symmetry"}
        Where `start` comes from.
    hidden : ndarray of bool, shape (ny, nx), optional
        Pixels that do not count, such as those under a beam stop.

    Raises
    ------
    ValueError
        If there is no start and the image has no point symmetry.
    """
    if start is None:
        start, symmetry = _most_symmetric(image, hidden)
        if symmetry < LEAST_SYMMETRY:
            raise ValueError(
                "the pattern has no centre of symmetry inside the image: give the position of the direct beam"
                " in pixels (y, x)"
            )
    rough = PatternCentre(start, UNCONFIRMED_SIGMA, source, _symmetry_at(image, start, hidden=hidden))
    if rough.symmetry == 0:
        return rough
    position, sigma = _refine_centre(image, start, hidden)
    symmetry = _symmetry_at(image, position, hidden=hidden)
    fine = replace(rough, position=position, sigma=sigma, symmetry=symmetry)
    return fine if fine.symmetry > 0 else rough


def _most_symmetric(image: Image, hidden: NDArray[np.bool_] | None) -> tuple[Point, float]:
    """Centre at which the image correlates best with itself rotated, to a few pixels, and the correlation."""
    factor = max(1, -(-max(image.shape) // COARSE))
    smooth = ndimage.gaussian_filter(bin_pattern(image, factor), 1.0)
    seen = None if hidden is None else bin_pattern((~hidden).astype(np.float32), factor) > 0.99
    correlation, overlap = _self_correlation(smooth, seen)
    correlation[overlap < LEAST_OVERLAP * smooth.size] = -1.0
    # Fisher's measure of how unlikely a correlation is: a small overlap may be similar by chance
    weight = np.arctanh(np.clip(correlation, -0.999, 0.999)) * np.sqrt(overlap)
    y, x = np.unravel_index(int(np.argmax(weight)), weight.shape)
    return unbin_centre((float(y) / 2, float(x) / 2), factor), float(correlation[y, x])


def _self_correlation(
    image: Image, seen: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Correlation of an image with itself rotated about every half pixel, and how many pixels overlap."""
    ones = np.ones(image.shape) if seen is None else seen.astype(np.float64)
    values = (image.astype(np.float64) - image.mean(dtype=np.float64)) * ones
    overlap = np.maximum(np.rint(_convolution(ones, ones)), 1.0)
    sums, squares = _convolution(values, ones), _convolution(values**2, ones)
    variance = np.maximum(squares - sums**2 / overlap, 1e-9 * np.abs(squares) + 1e-12)
    product = _convolution(values, values) - sums**2 / overlap
    return np.clip(product / variance, -1.0, 1.0), overlap


def _convolution(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Full convolution; element k belongs to the centre k / 2."""
    shape = [2 * n - 1 for n in one.shape]
    size = [fft.next_fast_len(n, real=True) for n in shape]
    first = fft.rfft2(one, s=size, workers=threads())
    second = first if other is one else fft.rfft2(other, s=size, workers=threads())
    whole: NDArray[Any] = fft.irfft2(first * second, s=size, workers=threads())
    return whole[: shape[0], : shape[1]]


def _refine_centre(
    image: Image, start: Point, hidden: NDArray[np.bool_] | None = None
) -> tuple[Point, float]:
    """Centre near a start from the details, with sigma; the start itself if the details do not show it."""
    factor = max(1, -(-max(image.shape) // FINE))
    small = bin_pattern(image, factor)
    detail = _details(small, None if hidden is None else bin_pattern(hidden.astype(np.float32), factor) > 0)
    reach = max(2, min(2 * REACH // factor, min(small.shape) // 8))
    product = np.pad(_convolution(detail, detail), 3 * reach)
    y, x = (round(2 * ((c + 0.5) / factor - 0.5)) + 3 * reach for c in start)
    if not all(3 * reach <= k < n - 3 * reach for k, n in zip((y, x), product.shape, strict=True)):
        return start, UNCONFIRMED_SIGMA
    around = product[y - 3 * reach : y + 3 * reach + 1, x - 3 * reach : x + 3 * reach + 1]
    scatter = robust_sigma(around)
    near = around[2 * reach : 4 * reach + 1, 2 * reach : 4 * reach + 1]
    dy, dx = (int(k) for k in np.unravel_index(int(np.argmax(near)), near.shape))
    inside = all(0 < k < 2 * reach for k in (dy, dx))
    if not inside or near[dy, dx] < LEAST_PEAK * scatter:
        return start, UNCONFIRMED_SIGMA
    shift, sigma = _peak(near[dy - 1 : dy + 2, dx - 1 : dx + 2].astype(np.float64), scatter)
    middle = ((y - 4 * reach + dy + shift[0]) / 2, (x - 4 * reach + dx + shift[1]) / 2)
    return unbin_centre(middle, factor), min(factor * sigma / 2, UNCONFIRMED_SIGMA)


def _details(image: Image, hidden: NDArray[np.bool_] | None) -> Image:
    """The fine details of an image; zero in the hidden area and along its edge."""
    if hidden is None:
        return ndimage.gaussian_filter(image, 1.0) - ndimage.gaussian_filter(image, DETAIL)
    weight = (~hidden).astype(np.float32)
    fine, broad = (
        ndimage.gaussian_filter(image * weight, s) / np.maximum(ndimage.gaussian_filter(weight, s), 1e-3)
        for s in (1.0, DETAIL)
    )
    inner = ~ndimage.binary_dilation(hidden, iterations=3)
    return np.asarray((fine - broad) * inner, np.float32)


def _peak(values: NDArray[np.float64], scatter: float) -> tuple[Point, float]:
    """Position (y, x) of the maximum of 3 x 3 values, from their centre, and its sigma from their scatter."""
    shifts, sigmas = [], []
    for line in (values[:, 1], values[1]):
        curvature = 2 * line[1] - line[0] - line[2]
        shifts.append(float((line[2] - line[0]) / (2 * curvature)) if curvature > 0 else 0.0)
        # slope of a parabola from two neighbours that scatter, divided by its curvature
        sigmas.append(scatter / (np.sqrt(2) * curvature) if curvature > 0 else 2 * UNCONFIRMED_SIGMA)
    return (shifts[0], shifts[1]), float(max(sigmas))


def bin_pattern(image: Image, factor: int) -> Image:
    """Mean values of square blocks of pixels."""
    ny, nx = (n // factor * factor for n in image.shape)
    blocks = image[:ny, :nx].reshape(ny // factor, factor, nx // factor, factor)
    means: Image = blocks.mean(axis=(1, 3))
    return means


def unbin_centre(point: Point, factor: float) -> Point:
    """Convert a position in the binned image to a position in the full image."""
    return (point[0] + 0.5) * factor - 0.5, (point[1] + 0.5) * factor - 0.5


def is_mirrored(image: Image, centre: Point) -> bool:
    """Whether even the noise is the same at +g and -g, as in a transform of a real image."""
    return _symmetry_at(image - ndimage.gaussian_filter(image, 2.0), centre, 0.0) > SAME_NOISE


def _symmetry_at(
    image: Image, centre: Point, smoothing: float = 1.0, hidden: NDArray[np.bool_] | None = None
) -> float:
    """Correlation with itself rotated about the nearest half pixel; 0 if too little overlaps."""
    slices = []
    for n, middle in zip(image.shape, centre, strict=True):
        twice = round(2 * middle)
        slices.append(slice(max(0, twice - n + 1), max(min(n - 1, twice) + 1, 0)))
    part = image[slices[0], slices[1]].astype(np.float64)
    if part.size < LEAST_OVERLAP * image.size:
        return 0.0
    part = ndimage.gaussian_filter(part, smoothing)
    if hidden is not None:
        seen = ~hidden[slices[0], slices[1]]
        seen &= seen[::-1, ::-1]
        if seen.sum() < LEAST_OVERLAP * image.size:
            return 0.0
        part = np.where(seen, part - part[seen].mean(), 0.0)
    part -= part.mean()
    variance = float(np.sum(part**2))
    return float(np.sum(part * part[::-1, ::-1]) / variance) if variance > 0 else 0.0
