"""Peaks of a diffraction pattern: local maxima above the noise of their ring, fitted by a Gaussian."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from skimage.feature import peak_local_max

from .centre import PatternCentre, bin_pattern, unbin_centre
from .noise import Image, PatternNoise, Point, pattern_noise

#: Smoothing, in pixels, for the search of sharp peaks and of broad ones.
SMOOTHING = (1.0, 3.0)
#: Images smaller than this are not searched for broad peaks.
SMALLEST_FOR_BROAD = 128
#: Most peaks that are fitted; a pattern with more consists of rings of grains, measured by its profile.
MOST_PEAKS = 800
#: Largest half width of a peak at half height, pixels.
LARGEST = 24
#: A fit that ends further than this, in half widths, from where the peak was seen has found something else.
DRIFT = 1.5
#: Least uncertainty of a fitted place, pixels.
SMALLEST_SIGMA = 0.02
#: An image that is smoothed by more than this, pixels, is binned first.
FINEST = 1.5
#: Number of parameters of the fitted Gaussian and the plane below it.
PARAMETERS = 7

#: Significance, ln of the false-alarm probability, row and column.
Candidate = tuple[float, float, int, int]


@dataclass(frozen=True, slots=True)
class Peak:
    """A local maximum, fitted.

    Attributes
    ----------
    position : tuple of float, (y, x), pixels
    sigma : float, pixels
        Standard uncertainty along either axis.
    width : float, pixels
        Standard deviation of the fitted Gaussian.
    height : float
        Above its surroundings, in the image's grey levels.
    significance : float
        Over the scatter of its ring, where it was found.
    log_false_alarm : float
        ln of the probability that noise alone gives as much at one pixel.
    """

    position: Point
    sigma: float
    width: float
    height: float
    significance: float
    log_false_alarm: float


def find_peaks(
    image: Image, centre: PatternCentre, scale: Point, limits: Point, false_alarms: float
) -> tuple[Peak, ...]:
    """All local maxima above the noise of their rings, most significant first.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Grey levels, finite.
    centre : PatternCentre
    scale : tuple of float, (y, x), 1/nm per pixel
    limits : tuple of float, 1/nm
        Lowest and highest |g|.
    false_alarms : float
        Expected number in a pattern of noise.
    """
    seen = [s for s in SMOOTHING if s == SMOOTHING[0] or min(image.shape) >= SMALLEST_FOR_BROAD]
    candidates: list[Candidate] = []
    for width in seen:
        factor = max(1, int(width / FINEST))
        small = ndimage.gaussian_filter(bin_pattern(image, factor), width / factor)
        coarse = unbin_centre(centre.position, 1 / factor)
        pixel = (scale[0] * factor, scale[1] * factor)
        noise = pattern_noise(small, coarse, pixel, *limits)
        found = _maxima(noise, coarse, pixel, limits, width / factor, false_alarms / len(seen))
        candidates += [_on_the_image(one, factor, image.shape) for one in found]
    candidates.sort(reverse=True)
    return tuple(_fit_peak(image, candidates[: 4 * MOST_PEAKS]))[:MOST_PEAKS]


def _on_the_image(candidate: Candidate, factor: int, shape: tuple[int, ...]) -> Candidate:
    """A candidate found on a binned image, at its pixel in the image itself."""
    significance, log_tail, *place = candidate
    y, x = (
        min(round(c), n - 1) for c, n in zip(unbin_centre((place[0], place[1]), factor), shape, strict=True)
    )
    return significance, log_tail, y, x


def _maxima(
    noise: PatternNoise,
    centre: Point,
    scale: Point,
    limits: Point,
    width: float,
    false_alarms: float,
) -> Iterator[Candidate]:
    """Significance, ln of the false-alarm probability, row and column of each maximum."""
    values, least = noise.significance, noise.threshold(false_alarms)
    found = peak_local_max(values, round(2 * width), least, exclude_border=2)  # type: ignore[no-untyped-call]
    rows, columns = found.T
    g = np.hypot((rows - centre[0]) * scale[0], (columns - centre[1]) * scale[1])
    for y, x in zip(*(index[(g >= limits[0]) & (g <= limits[1])] for index in (rows, columns)), strict=True):
        significance = float(values[y, x])
        yield significance, noise.log_tail(significance), int(y), int(x)


def _fit_peak(image: Image, candidates: Sequence[Candidate]) -> Iterator[Peak]:
    """Fits of the candidates, leaving out those that lie on a spot that was fitted before."""
    taken: list[Peak] = []
    for significance, log_tail, y, x in candidates:
        if any(np.hypot(y - p.position[0], x - p.position[1]) < 2.5 * p.width + 1.5 for p in taken):
            continue
        peak = fit_peak(image, (y, x))
        if peak is not None:
            taken.append(replace(peak, significance=significance, log_false_alarm=log_tail))
            yield taken[-1]


def fit_peak(image: Image, near: tuple[int, int]) -> Peak | None:
    """Round Gaussian on a sloping plane through a maximum; None if there is none after all."""
    half_width = _half_width(image, near)
    reach = max(3, int(np.ceil(2.2 * half_width)) + 1)
    y0, x0 = max(near[0] - reach, 0), max(near[1] - reach, 0)
    part = image[y0 : near[0] + reach + 1, x0 : near[1] + reach + 1].astype(np.float64)
    border = float(np.median(part))
    height = float(image[near]) - border
    if not height > 0 or part.size < 2 * PARAMETERS:
        return None
    corner = (float(y0 - near[0]), float(x0 - near[1]))
    fitted = _gaussian_through((part - border) / height, corner, max(half_width / 1.18, 0.6))
    if fitted is None:
        return None
    (dy, dx, top, width), sigma = fitted
    if np.hypot(dy, dx) > DRIFT * max(half_width, 1.0) or not top > 0 or sigma > width:
        return None
    return Peak((near[0] + dy, near[1] + dx), sigma, width, top * height, 0.0, 0.0)


def _gaussian_through(
    levels: NDArray[np.float64], corner: Point, width: float
) -> tuple[tuple[float, float, float, float], float] | None:
    """Place (y, x), height and width of a Gaussian of about height 1 near 0, and sigma of the place.

    Parameters
    ----------
    corner : tuple of float, (y, x), pixels
        Place of the first pixel.
    width : float, pixels
        Initial value of the width.
    """
    rows, columns = np.indices(levels.shape)
    y, x, flat = rows.ravel() + corner[0], columns.ravel() + corner[1], levels.ravel()

    def misfit(p: NDArray[np.float64]) -> NDArray[np.float64]:
        bell = p[2] * np.exp(-0.5 * ((y - p[0]) ** 2 + (x - p[1]) ** 2) / p[3] ** 2)
        return np.asarray(bell + p[4] + p[5] * y + p[6] * x - flat)

    fit = optimize.least_squares(misfit, [0.0, 0.0, 1.0, width, 0.0, 0.0, 0.0], max_nfev=60)
    slopes = np.asarray(fit.jac, np.float64)
    dy, dx, top, size = (float(v) for v in fit.x[:4])
    if not 0.2 < abs(size) < 1.5 * LARGEST or np.linalg.cond(slopes) > 1e7:
        return None
    variance = np.diag(np.linalg.inv(slopes.T @ slopes))[:2] * 2 * fit.cost / (flat.size - PARAMETERS)
    return (dy, dx, top, abs(size)), max(float(np.sqrt(variance.max())), SMALLEST_SIGMA)


def _half_width(image: Image, near: tuple[int, int]) -> float:
    """Radius, in pixels, of the connected region above half of a maximum's height."""
    reach = 2 * LARGEST
    y0, x0 = max(near[0] - reach, 0), max(near[1] - reach, 0)
    part = image[y0 : near[0] + reach + 1, x0 : near[1] + reach + 1]
    here = (near[0] - y0, near[1] - x0)
    ring = max(3, LARGEST // 3)
    around = part[max(here[0] - ring, 0) : here[0] + ring + 1, max(here[1] - ring, 0) : here[1] + ring + 1]
    top = float(ndimage.uniform_filter(part, 3)[here])
    regions, _ = ndimage.label(part > 0.5 * (top + float(np.percentile(around, 25))))
    area = int(np.sum(regions == regions[here])) if regions[here] else 1
    return float(np.clip(np.sqrt(area / np.pi), 0.7, LARGEST))
