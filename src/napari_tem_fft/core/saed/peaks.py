"""Peaks of a diffraction pattern above the noise of their ring, and their pairs at +g and -g.

A pattern's grey levels follow no known distribution (counts with a gain, a modulus, its logarithm), so the
distribution is estimated from the pattern. The background at a pixel is the median of an arc of its own ring,
short enough that rings made elliptic by the lenses stay inside. The scatter is the arc's median deviation.
The
tail is assumed to be exponential, through the 90 % and 99 % quantiles of all pixels. That is exact for the
power spectrum of noise and overestimates the false alarms of counts.

In a recorded pattern +g and -g are two data (in a transform of a real image they are one). Half their
difference is g whatever the centre is, and half their sum is the centre.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from skimage.feature import peak_local_max

from ..spots.spot import Spot, friedel_representative
from .centre import PatternCentre, Point, bin_pattern, unbin_centre

Image = NDArray[np.float32]

#: Length of the arcs, pixels, and smallest number of arcs per ring.
ARC, FEWEST_ARCS = 48.0, 6
#: Samples per arc.
SAMPLES = 24
#: Rings, of one pixel each, over which the scatter is averaged.
#: Set by hand. Sweep on patterns: halved, error of d 0.008 -> 0.007 %; doubled, 0.009 %.
SCATTER_RINGS = 7
#: Smallest scatter of an arc, as a fraction of the band's: an arc of saturated pixels has none.
LEAST_SCATTER = 0.05
#: Quantiles from which the tail is extrapolated.
#: Set by hand. Sweep on patterns: halved, nothing; doubled, fails (quantiles above 1).
TAIL = (0.90, 0.99)


@dataclass(frozen=True, slots=True, eq=False)
class PatternNoise:
    """Significance of each pixel above its ring.

    Attributes
    ----------
    significance : ndarray, shape (ny, nx)
        (I - background) / scatter.
    knee, decay : float
        The probability that noise exceeds s is 0.01 exp(-(s - knee) / decay) for s above the knee.
    """

    significance: Image
    knee: float
    decay: float

    def log_tail(self, significance: float) -> float:
        """ln of the probability that noise exceeds this significance at one pixel."""
        return float(np.log(1 - TAIL[1])) - (significance - self.knee) / self.decay

    def threshold(self, false_alarms: float) -> float:
        """Significance that noise is expected to exceed this many times in the image."""
        tests = self.significance.size
        excess = float(np.log((1 - TAIL[1]) * tests / false_alarms))
        return self.knee + self.decay * max(excess, 0.0)


def pattern_noise(image: Image, centre: Point, scale: Point, low: float, high: float) -> PatternNoise:
    """Background and scatter of every ring.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Pattern, smoothed by about a pixel.
    centre : tuple of float, (y, x), pixels
    scale : tuple of float, (y, x), 1/nm per pixel
    low, high : float, 1/nm
        Limits of |g|; the significance is 0 outside.
    """
    mean_scale = float(np.sqrt(scale[0] * scale[1]))
    stretch = (scale[0] / mean_scale, scale[1] / mean_scale)
    dy = (np.arange(image.shape[0])[:, None] - centre[0]) * stretch[0]
    dx = (np.arange(image.shape[1])[None, :] - centre[1]) * stretch[1]
    radius = np.hypot(dy, dx).astype(np.float32)
    turn = (np.arctan2(dy, dx) / (2 * np.pi)).astype(np.float32) % 1.0
    significance = np.zeros(image.shape, np.float32)
    limits = max(low / mean_scale, float(radius.min())), min(high / mean_scale, float(radius.max()))
    searched = (radius >= limits[0]) & (radius <= limits[1])
    for inner, outer in pairwise(_band_edges(*limits)):
        inside = searched & (radius >= inner) & (radius < outer)
        if inside.any():
            background, scatter = _band(image, centre, stretch, inner, outer)
            at = radius[inside] - inner + 1, turn[inside]
            level, width = (_look_up(table, *at) for table in (background, scatter))
            significance[inside] = (image[inside] - level) / width
    knee, decay = _tail(significance[searched]) if searched.any() else (1.0, 1.0)
    return PatternNoise(significance, knee, decay)


def _band_edges(low: float, high: float) -> list[float]:
    """Radii of bands whose rings have the same number of arcs; each is a third larger than the one before."""
    edges = [float(np.floor(low))]
    while edges[-1] <= high:
        edges.append(float(np.ceil(max(edges[-1] * 4 / 3, edges[-1] + 12))))
    return edges


def _band(
    image: Image, centre: Point, stretch: Point, inner: float, outer: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and scatter of half-overlapping arcs, shape (rings, 2 arcs), with one more ring each side."""
    arcs = max(FEWEST_ARCS, round(np.pi * (inner + outer) / ARC))
    radii = np.maximum(np.arange(inner - 1, outer + 2), 0.0)[:, None]
    angles = 2 * np.pi * (np.arange(arcs * SAMPLES) + 0.5)[None, :] / (arcs * SAMPLES)
    y, x = centre[0] + radii * np.sin(angles) / stretch[0], centre[1] + radii * np.cos(angles) / stretch[1]
    ny, nx = image.shape
    outside = (y < 0) | (y > ny - 1) | (x < 0) | (x > nx - 1)
    values = ndimage.map_coordinates(image, [y, x], order=1, mode="nearest").astype(np.float64)
    values[outside] = np.nan
    median, deviation = _of_arcs(values, arcs)
    scatter = 1.4826 * ndimage.uniform_filter1d(deviation, SCATTER_RINGS, axis=0, mode="nearest")
    least = LEAST_SCATTER * max(float(np.median(scatter)), float(np.std(image)) * LEAST_SCATTER)
    return median, np.maximum(scatter, max(least, 1e-30))


def _of_arcs(values: NDArray[np.float64], arcs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and median deviation of arcs, alternating with arcs that start at their middles.

    Arcs outside the image take the values of their ring; rings outside it take those of their neighbours.
    """
    both = np.stack([values, np.roll(values, -SAMPLES // 2, axis=1)], axis=1)
    pieces = both.reshape(len(values), 2, arcs, SAMPLES).transpose(0, 2, 1, 3)
    known = np.isfinite(pieces).sum(axis=-1) >= SAMPLES // 3
    filled = np.where(known[..., None], pieces, 0.0)
    median = np.where(known, nan_median(filled), np.nan)
    deviation = np.where(known, nan_median(np.abs(filled - np.nan_to_num(median)[..., None])), np.nan)
    shape = (len(values), 2 * arcs)
    return _complete(median.reshape(shape)), _complete(deviation.reshape(shape))


def nan_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median along the last axis without NaN; each row must have at least one number."""
    ordered = np.sort(values, axis=-1)  # NaN is sorted to the end
    count = np.isfinite(values).sum(axis=-1)
    low, high = ((count - 1) // 2)[..., None], (count // 2)[..., None]
    return np.asarray(
        0.5 * (np.take_along_axis(ordered, low, -1) + np.take_along_axis(ordered, high, -1))[..., 0]
    )


def _complete(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill unknown arcs with the mean of the known arcs of their ring, or of the nearest known rings."""
    known = np.isfinite(table)
    count = known.sum(axis=1)
    means = np.where(known, table, 0.0).sum(axis=1) / np.maximum(count, 1)
    rings = np.arange(len(table))
    if not count.any():
        return np.zeros(table.shape)
    means = np.interp(rings, rings[count > 0], means[count > 0])
    return np.where(known, table, means[:, None])


def _look_up(
    table: NDArray[np.float64], ring: NDArray[np.float32], turn: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate between the rings and between the middles of the arcs."""
    wrapped = np.concatenate([table[:, -1:], table, table[:, :1]], axis=1)
    column = turn * table.shape[1]  # column 1 is the first arc, whose middle is half an arc after angle 0
    found: NDArray[np.float32] = ndimage.map_coordinates(
        wrapped, [ring, column], order=1, mode="nearest", output=np.float32
    )
    return found


def _tail(values: NDArray[np.float32]) -> tuple[float, float]:
    low, high = np.quantile(values, TAIL)
    decay = (high - low) / np.log((1 - TAIL[0]) / (1 - TAIL[1]))
    return float(high), max(float(decay), 1e-3)


#: Smoothing, in pixels, for the search of sharp peaks and of broad peaks.
SMOOTHING = (1.0, 3.0)
#: Images smaller than this are not searched for broad peaks.
SMALLEST_FOR_BROAD = 128
#: Largest number of fitted peaks; a pattern with more consists of spotty rings, measured by its profile.
MOST_PEAKS = 800
#: Largest half width of a peak at half its height, pixels.
#: Set by hand. Sweep on patterns: halved, error of d 0.008 -> 0.010 %; doubled, nothing.
LARGEST = 24
#: A fit that ends further than this, in half widths, from its start is rejected.
DRIFT = 1.5
#: Smallest uncertainty of a fitted position, pixels.
SMALLEST_SIGMA = 0.02
#: An image that is smoothed by more than this, pixels, is binned first.
FINEST = 1.5
#: Number of parameters of the fitted Gaussian and the plane below it.
PARAMETERS = 7

#: Significance, ln of the false-alarm probability, row and column.
Candidate = tuple[float, float, int, int]


@dataclass(frozen=True, slots=True)
class Peak:
    """A fitted local maximum.

    Attributes
    ----------
    position : tuple of float, (y, x), pixels
    sigma : float, pixels
        Standard uncertainty along either axis.
    width : float, pixels
        Standard deviation of the fitted Gaussian.
    height : float
        Height above its surroundings, in the image's grey levels.
    significance : float
        Height over the scatter of its ring, where it was found.
    log_false_alarm : float
        ln of the probability that noise alone exceeds this significance at one pixel.
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
        Expected number of maxima in a pattern that has only noise.
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
    """A candidate from a binned image with its pixel in the full image."""
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
    """Fit the candidates, leaving out those that lie on a spot that was already fitted."""
    taken: list[Peak] = []
    for significance, log_tail, y, x in candidates:
        if any(np.hypot(y - p.position[0], x - p.position[1]) < 2.5 * p.width + 1.5 for p in taken):
            continue
        peak = fit_peak(image, (y, x))
        if peak is not None:
            taken.append(replace(peak, significance=significance, log_false_alarm=log_tail))
            yield taken[-1]


def fit_peak(image: Image, near: tuple[int, int]) -> Peak | None:
    """Fit a round Gaussian on a sloping plane to a maximum; None if the fit finds no peak."""
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
    """Position (y, x), height and width of a Gaussian of about height 1 near 0, and sigma of the position.

    Parameters
    ----------
    corner : tuple of float, (y, x), pixels
        Position of the first pixel.
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
    """Radius, in pixels, of the connected region above half the height of a maximum."""
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


#: Two peaks are partners if they lie opposite to within this many pixels plus this many standard
#: uncertainties.
OPPOSITE, OPPOSITE_SIGMAS = 3.0, 5.0


@dataclass(frozen=True, slots=True)
class PatternSpot(Spot):
    """A spot of a stored pattern; its SNR is the height over the scatter of its ring.

    Attributes
    ----------
    positions : tuple of (y, x), pixels
        Where it was seen: at +g, and also at -g if there are two positions.
    height : float
        Height above its surroundings, in the image's grey levels; the mean if there are two positions.
    """

    positions: tuple[Point, ...] = ()
    height: float = 0.0

    @property
    def paired(self) -> bool:
        """Whether it was seen at both +g and -g, so that it does not depend on the centre."""
        return len(self.positions) == 2


def paired(peaks: Sequence[Peak], centre: PatternCentre) -> list[tuple[Peak, ...]]:
    """Each peak together with its opposite peak, if there is one; the most significant first."""
    if not peaks:
        return []
    places = np.array([peak.position for peak in peaks])
    mirrored = 2 * np.asarray(centre.position) - places
    apart = np.linalg.norm(places[:, None] - mirrored[None, :], axis=-1)
    sigma = np.array([peak.sigma for peak in peaks])
    allowed = OPPOSITE + OPPOSITE_SIGMAS * np.sqrt(
        sigma[:, None] ** 2 + sigma[None, :] ** 2 + 4 * centre.sigma**2
    )
    best = np.argmin(apart, axis=1)
    groups: list[tuple[Peak, ...]] = []
    for i, j in enumerate(best):
        mutual = best[j] == i and i != j and apart[i, j] <= allowed[i, j]
        if mutual and i < j:
            groups.append((peaks[i], peaks[j]))
        elif not mutual:
            groups.append((peaks[i],))
    return groups


def centre_of_pairs(groups: Sequence[tuple[Peak, ...]], centre: PatternCentre) -> PatternCentre:
    """The centre from the midpoints of all pairs, if it is more precise than the known centre."""
    pairs = [group for group in groups if len(group) == 2]
    if not pairs:
        return centre
    middles = np.array([(np.array(a.position) + b.position) / 2 for a, b in pairs])
    sigma = np.array([np.hypot(a.sigma, b.sigma) / 2 for a, b in pairs])
    off = np.linalg.norm(middles - np.median(middles, axis=0), axis=1)
    kept = off <= 3 * np.maximum(1.4826 * np.median(off), sigma)
    weights = 1 / sigma[kept] ** 2
    mean = np.average(middles[kept], axis=0, weights=weights)
    misfit = scatter_of_pairs(groups, PatternCentre((mean[0], mean[1]), 0.0, "pairs of spots", 0.0))
    error = float(misfit / np.sqrt(weights.sum()))
    if error >= centre.sigma:
        return centre
    return replace(centre, position=(float(mean[0]), float(mean[1])), sigma=error, source="pairs of spots")


def scatter_of_pairs(groups: Sequence[tuple[Peak, ...]], centre: PatternCentre) -> float:
    """Ratio of the scatter of the midpoints of the pairs to their fitted uncertainties; at least 1."""
    pairs = [group for group in groups if len(group) == 2]
    if len(pairs) < 3:
        return 1.0
    sigma = np.array([np.hypot(a.sigma, b.sigma) / 2 for a, b in pairs])
    off = np.array([(np.array(a.position) + b.position) / 2 for a, b in pairs]) - np.array(centre.position)
    # a robust standard deviation, because two spots of different crystals are sometimes paired
    return max(1.0, float(np.median(np.abs(off / sigma[:, None])) / 0.6745))


def spots_of(
    groups: Sequence[tuple[Peak, ...]], centre: PatternCentre, scale: Point, mirrored: bool
) -> tuple[PatternSpot, ...]:
    """Spots from single and paired peaks, numbered from 1 by rising |g|.

    Parameters
    ----------
    mirrored : bool
        Whether -g is a copy of +g, so that a pair is one datum.
    """
    misfit = 1.0 if mirrored else scatter_of_pairs(groups, centre)
    gain = 1.0 if mirrored else 2**-0.5
    spots = [_spot(group, centre, scale, misfit, gain) for group in groups]
    ordered = sorted(spots, key=lambda spot: spot.length)
    return tuple(replace(spot, id=number) for number, spot in enumerate(ordered, 1))


def _spot(
    group: tuple[Peak, ...], centre: PatternCentre, scale: Point, misfit: float, gain: float
) -> PatternSpot:
    first = np.array(group[0].position)
    if len(group) == 2:
        offset = (first - group[1].position) / 2
        sigma = misfit * gain * float(np.hypot(group[0].sigma, group[1].sigma)) / 2**0.5
    else:
        offset = first - centre.position
        sigma = float(np.hypot(misfit * group[0].sigma, centre.sigma))
    width = float(np.mean([peak.width for peak in group]))
    pixel = max(scale)
    return PatternSpot(
        id=0,
        g=friedel_representative((float(offset[0] * scale[0]), float(offset[1] * scale[1]))),
        sigma=sigma * pixel,
        snr=max(peak.significance for peak in group),
        log_false_alarm=min(peak.log_false_alarm for peak in group),
        origin="pattern",
        radius=max(2.35 * width, 2.0) * pixel,
        positions=tuple(peak.position for peak in group),
        height=float(np.mean([peak.height for peak in group])),
    )
