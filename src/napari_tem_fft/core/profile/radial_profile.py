"""RadialProfile: the rotational average of a spectrum, like a powder diffraction pattern.

They are those of `scipy.signal.find_peaks` and `peak_widths`; importing scipy.signal, which brings
scipy.stats, takes longer than the analysis of a small image.

All curves are in units of the noise: 1 is what amorphous material and shot noise give.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from ..fourier.diffractogram import FrequencyGrid
from ..fourier.noise import HANN_BANDWIDTH, STRIP
from ..parameters import WithinLimits, param
from .ring_sums import FineSpectrum, RingSums, masked_sums


def find_peaks(
    curve: NDArray[np.float64], height: float, prominence: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Peaks that are high and prominent enough, and their full widths at half prominence.

    Parameters
    ----------
    curve : ndarray, shape (n,)
    height, prominence : float
        Least value of a peak, and how far it has to stand above the higher of the lowest places between
        it and the next higher values on either side.

    Returns
    -------
    peaks : ndarray of int
        The middles of flat ones.
    widths : ndarray
        Widths in samples, interpolated linearly.
    """
    found = []
    for peak in _maxima(curve):
        if curve[peak] < height:
            continue
        sides = curve[peak::-1], curve[peak:]
        stands_out = float(curve[peak]) - max(float(side[_base(side)]) for side in sides)
        if stands_out >= prominence:
            level = float(curve[peak]) - 0.5 * stands_out
            found.append((peak, sum(_reach(side, level) for side in sides)))
    return np.array([peak for peak, _ in found], np.intp), np.array([width for _, width in found])


def _maxima(curve: NDArray[np.float64]) -> list[int]:
    """Samples, or middles of runs of equal ones, whose neighbours on both sides are lower."""
    edges = np.flatnonzero(np.diff(curve))
    firsts, lasts = np.append(0, edges + 1), np.append(edges, len(curve) - 1)
    heights = curve[firsts]
    inner = np.flatnonzero((heights[1:-1] > heights[:-2]) & (heights[1:-1] > heights[2:])) + 1
    return [int(i) for i in (firsts[inner] + lasts[inner]) // 2]


def _base(side: NDArray[np.float64]) -> int:
    """The lowest sample from a peak, the first of a side, to where the curve is higher than it."""
    higher = side > side[0]
    return int(np.argmin(side[: int(np.argmax(higher)) if higher.any() else None]))


def _reach(side: NDArray[np.float64], level: float) -> float:
    """Samples from a peak to where the curve falls to a level; to its base at most."""
    base = _base(side)
    below = np.flatnonzero(side[1 : base + 1] <= level)
    at = int(below[0]) + 1 if len(below) else base
    if side[at] < level:
        return at - (level - float(side[at])) / (float(side[at - 1]) - float(side[at]))
    return float(at)


#: Peaks are fitted within this many of their half widths.
FIT_REACH = 2.0
#: Least uncertainty of a fitted centre, as a share of a ring's width: where rings are as wide as a peak, its
#: bins pull the centre. On simulated fringes in fields of 10 to 51 nm errors are then 0.5 to 1.2 sigma.
SMALLEST_SIGMA = 0.1
#: The background is a running median over this range of g, 1/nm.
BACKGROUND_RANGE = 1.0

#: A peak is a side lobe if it has less than this share of the height of another peak and lies within this
#: many widths of it. The first lobe of a disc has 0.02 of the height, the first lobe of a square 0.05, both
#: less than 4 widths away.
LOBE_HEIGHT, LOBE_WIDTHS = 0.2, 4.0

Curve = Literal["whole image", "masked", "local maximum", "pattern"]
#: Curves from which the peaks are taken, the best first: inside the mask, peaks stand on the least noise.
CURVES: tuple[Curve, ...] = ("masked", "local maximum", "whole image")


@dataclass(frozen=True, slots=True)
class ProfileParams(WithinLimits):
    """Rings and peaks of the profile."""

    ring: float = param(
        0.01,
        "ring width",
        unit="1/nm",
        low=0.001,
        high=0.5,
        help="Width of the rings that are averaged over.",
    )
    peak_significance: float = param(
        6.0,
        "peak significance",
        unit="sigma",
        low=3.0,
        high=100.0,
        help="How far a peak must stand out of the noise of its ring.",
    )


@dataclass(frozen=True, slots=True)
class ProfilePeak:
    """A fitted peak of a profile.

    Attributes
    ----------
    g, sigma : float, 1/nm
        Centre and its standard uncertainty from the fit.
    width : float, 1/nm
        Standard deviation of the fitted Gaussian.
    height : float
        Above the background, in the profile's units.
    significance : float
        Height over its own noise.
    curve : str
        Curve on which the peak was found.

    Examples
    --------
    >>> peak = ProfilePeak(5.0, 0.01, 0.06, 0.8, 59.0, "masked")
    >>> peak.d, round(peak.d_sigma, 5)  # nm
    (0.2, 0.0004)
    """

    g: float
    sigma: float
    width: float
    height: float
    significance: float
    curve: Curve

    @property
    def d(self) -> float:
        """1 / g, nm."""
        return 1.0 / self.g

    @property
    def d_sigma(self) -> float:
        """Standard uncertainty of d from the fit, nm."""
        return self.sigma / self.g**2


@dataclass(frozen=True, slots=True, eq=False)
class RadialProfile:
    """One curve against g.

    Attributes
    ----------
    curve : str
        "whole image" (all of the transform), "masked" (inside the mask), "local maximum" (largest
        SNR over the local windows), "pattern" (a stored diffraction pattern, in its grey levels).
    g : ndarray, shape (n,), 1/nm
        Middle of each ring.
    intensity : ndarray, shape (n,)
        Mean of power over noise on the ring, not the sum, which rises with g.
    background : ndarray, shape (n,)
    peaks : tuple of ProfilePeak

    Examples
    --------
    >>> from napari_tem_fft import analyse, read_sample, select
    >>> profiles = analyse(read_sample("edge"), select(["LiF", "Cu"])).profiles
    >>> {one.curve: [round(peak.d, 3) for peak in one.peaks][:1] for one in profiles}["masked"]  # LiF 200, nm
    [0.202]
    """

    curve: Curve
    g: NDArray[np.float64]
    intensity: NDArray[np.float64]
    background: NDArray[np.float64]
    peaks: tuple[ProfilePeak, ...] = ()


def whole_profile(spectrum: FineSpectrum, params: ProfileParams) -> RadialProfile:
    """Profile of the whole image's spectrum (`fine_spectrum`)."""
    return _profile("whole image", spectrum, params)


def local_profile(spectrum: FineSpectrum, params: ProfileParams) -> RadialProfile:
    """Profile of the largest SNR over the local windows (`fine_local_maximum`).

    It shows grains too small for the whole image.
    """
    return _profile("local maximum", spectrum, params)


def masked_profile(
    spectrum: FineSpectrum,
    mask: NDArray[np.uint8],
    grid: FrequencyGrid,
    params: ProfileParams,
    ring_sums: RingSums | None = None,
) -> RadialProfile:
    """Profile of the spectrum inside the mask: masked power of each ring divided by all of its pixels.

    `ring_sums` of the same spectrum follow the mask from the last one, which is faster.
    """
    edges = _edges(spectrum, params)
    if ring_sums is None:
        sums, bins = masked_sums(spectrum, mask, grid, edges)
    else:
        sums, bins = ring_sums.of(mask, grid, edges)
    counts = _counts(spectrum, edges)
    intensity, background = (_ring_means(part, counts, spectrum) for part in (sums, bins))
    independent = _independent(spectrum, counts, edges)
    least = HANN_BANDWIDTH / independent
    error = np.sqrt(HANN_BANDWIDTH * np.maximum(background, least) / independent)
    return _with_peaks("masked", spectrum, edges, intensity, background, error, params)


def _edges(spectrum: FineSpectrum, params: ProfileParams) -> NDArray[np.float64]:
    low, high = spectrum.q_min, spectrum.q_max
    width = max(params.ring, spectrum.narrowest_ring)
    return np.linspace(low, high, max(int((high - low) / width), 8) + 1)


def _counts(spectrum: FineSpectrum, edges: NDArray[np.float64]) -> NDArray[np.intp]:
    """Bins of each ring."""
    return _rings(spectrum.half, spectrum.step, (float(edges[0]), float(edges[-1])), len(edges) - 1)[1]


def _ring_means(sums: NDArray[Any], counts: NDArray[np.intp], spectrum: FineSpectrum) -> NDArray[np.float64]:
    """Sums over counts of the rings; of a padded spectrum with a share of the neighbours'.

    A ring as narrow as a step holds bins by chance, and its mean would jump from one ring to the next.
    """
    if max(spectrum.finer) == 1:
        return np.asarray(sums / counts, np.float64)
    smooth_sums, smooth_counts = (
        ndimage.convolve1d(part.astype(np.float64), (0.25, 0.5, 0.25), mode="nearest")
        for part in (sums, counts)
    )
    return np.asarray(smooth_sums / smooth_counts, np.float64)


def _independent(
    spectrum: FineSpectrum, counts: NDArray[np.intp], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Native bins that a ring's mean is worth: those of a ring as wide as the resolution if narrower."""
    wider = max(spectrum.resolution / float(edges[1] - edges[0]), 1.0)
    return np.maximum(counts * wider / np.prod(spectrum.finer), 1.0)


def _profile(curve: Curve, spectrum: FineSpectrum, params: ProfileParams) -> RadialProfile:
    edges, snr = _edges(spectrum, params), spectrum.snr
    ring, counts = _rings(spectrum.half, spectrum.step, (float(edges[0]), float(edges[-1])), len(edges) - 1)
    sums, ring = np.zeros(len(counts) + 1), ring.reshape(snr.shape)
    for first in range(0, len(snr), STRIP):  # `bincount` makes copies
        part = slice(first, first + STRIP)
        sums += np.bincount(ring[part].ravel(), snr[part].ravel(), len(sums))
    intensity = _ring_means(sums[:-1], counts, spectrum)
    background = smooth_background(intensity, float(edges[1] - edges[0]))
    independent = _independent(spectrum, counts, edges)
    error = np.maximum(background, 1 / independent) * np.sqrt(HANN_BANDWIDTH / independent)
    if curve == "local maximum":
        spread = 1.4826 * np.median(np.abs(intensity - background))
        error = np.maximum(error, max(float(spread), 1e-6))
    return _with_peaks(curve, spectrum, edges, intensity, background, error, params)


def _with_peaks(
    curve: Curve,
    spectrum: FineSpectrum,
    edges: NDArray[np.float64],
    intensity: NDArray[np.float64],
    background: NDArray[np.float64],
    error: NDArray[np.float64],
    params: ProfileParams,
) -> RadialProfile:
    middle = 0.5 * (edges[1:] + edges[:-1])
    correlated = max(spectrum.resolution / float(edges[1] - edges[0]), 1.0)
    height, least = intensity - background, params.peak_significance
    peaks = without_side_lobes(tuple(fitted_peaks(curve, middle, height, error, least, correlated)))
    return RadialProfile(curve, middle, intensity, background, peaks)


def without_side_lobes(peaks: Sequence[ProfilePeak]) -> tuple[ProfilePeak, ...]:
    """The peaks without side lobes of far higher ones, which the shape of a grain adds to each reflection.

    Examples
    --------
    >>> heights = {4.8: 30.0, 4.98: 3.0, 5.5: 3.0}
    >>> peaks = [ProfilePeak(g, 0.001, 0.05, h, 50.0, "masked") for g, h in heights.items()]
    >>> [peak.g for peak in without_side_lobes(peaks)]
    [4.8, 5.5]
    """
    return tuple(
        peak
        for peak in peaks
        if not any(
            peak.height < LOBE_HEIGHT * other.height and abs(peak.g - other.g) < LOBE_WIDTHS * other.width
            for other in peaks
        )
    )


def _rings_of(
    radius: NDArray[np.float64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Ring of each bin that lies in one, and which bins these are."""
    rings = len(edges) - 1
    flat = radius.ravel()
    kept = np.flatnonzero((flat >= edges[0]) & (flat < edges[-1]))
    scale = rings / (edges[-1] - edges[0])
    return np.minimum(((flat[kept] - edges[0]) * scale).astype(np.intp), rings - 1), kept


@lru_cache(maxsize=2)  # 9 MB for an image of 1000 x 1000 pixels
def _rings(
    half: tuple[int, int], step: tuple[float, float], reach: tuple[float, float], rings: int
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Ring of each bin of a half plane, `rings` where it lies in none, and the number of bins of each.

    Images of one shape share them, and so do the edits of an image.
    """
    y = np.arange(-half[0], half[0] + 1, dtype=np.float64)[:, None] * step[0]
    x = np.arange(half[1] + 1, dtype=np.float64)[None, :] * step[1]
    edges = np.linspace(*reach, rings + 1)
    every, counts = np.full((y.size, x.size), rings, np.int32), np.zeros(rings, np.intp)
    for first in range(0, y.size, STRIP):
        ring, kept = _rings_of(np.hypot(y[first : first + STRIP], x), edges)
        every[first : first + STRIP].flat[kept] = ring
        counts += np.bincount(ring, minlength=rings)
    return every.ravel(), np.maximum(counts, 1)


def smooth_background(intensity: NDArray[np.float64], ring: float) -> NDArray[np.float64]:
    """Running median of a curve whose rings are `ring` wide (1/nm), smoothed."""
    size = max(5, round(BACKGROUND_RANGE / ring) | 1)
    median = ndimage.median_filter(intensity, size, mode="nearest")
    return np.asarray(ndimage.uniform_filter1d(median, max(size // 2, 1), mode="nearest"))


def fitted_peaks(
    curve: Curve,
    g: NDArray[np.float64],
    height: NDArray[np.float64],
    error: NDArray[np.float64],
    significance: float,
    correlated: float = 1.0,
) -> Iterator[ProfilePeak]:
    """Fit the peaks of a curve that exceed its background by this many standard errors.

    Groups of `correlated` neighbouring points count as one point in the fit's uncertainty.
    """
    relative = height / error
    padded = np.concatenate([[0.0], relative, [0.0]])
    found, widths = find_peaks(padded, significance, 0.3 * significance)
    # a peak ends where the next one begins, or its Gaussian would stand in the valley between them
    valleys = [int(first + np.argmin(relative[first:last])) for first, last in pairwise((found - 1).tolist())]
    limits = zip([0, *valleys], [*valleys, len(g) - 1], strict=True)
    for at, width, (left, right) in zip(found - 1, widths, limits, strict=False):  # one pair for no peak
        reach = max(2, int(np.ceil(FIT_REACH * max(width, 1.0) / 2)))
        part = slice(max(at - reach, min(left, at - 2), 0), min(at + reach, max(right, at + 2)) + 1)
        points = np.stack([g[part], height[part], error[part]])
        peak = _fit_peaks(curve, points.tobytes(), float(g[at]), float(width * (g[1] - g[0])), correlated)
        if peak is not None and g[part][0] <= peak.g <= g[part][-1]:
            yield peak


def _gaussian(g: NDArray[np.float64], centre: float, width: float, height: float) -> NDArray[np.float64]:
    return height * np.exp(-0.5 * ((g - centre) / width) ** 2)


@lru_cache(maxsize=1024)
def _fit_peaks(
    curve: Curve, points: bytes, centre: float, full_width: float, correlated: float
) -> ProfilePeak | None:
    """Fit a Gaussian to a peak; None if that is impossible. Most peaks are unchanged by an edit.

    `points` are g, height and error, three rows of float64.
    """
    g, height, error = np.frombuffer(points).reshape(3, -1)
    ring = g[1] - g[0]
    start = (centre, max(full_width / 2.355, 0.4 * ring), float(height.max()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", optimize.OptimizeWarning)  # no covariance, no uncertainty
            best, covariance = optimize.curve_fit(
                _gaussian, g, height, start, sigma=error, absolute_sigma=True, maxfev=200
            )
    except (RuntimeError, ValueError, TypeError, optimize.OptimizeWarning):
        return None
    best[1] = abs(best[1])
    if not (g[0] - ring <= best[0] <= g[-1] + ring and best[1] <= g[-1] - g[0] and best[2] > 0):
        return None
    # where the peak is no Gaussian (two lines in one) the fit is worse than its noise says
    misfit = np.sum(((height - _gaussian(g, *best)) / error) ** 2) / max(len(g) - 3, 1)
    sigma = float(np.sqrt(max(covariance[0, 0] * max(misfit, 1.0) * correlated, 0.0)))
    if not sigma < best[1] + ring:
        return None
    sigma = max(sigma, SMALLEST_SIGMA * ring)
    significance = float(np.max(height / error))
    return ProfilePeak(float(best[0]), sigma, float(best[1]), float(best[2]), significance, curve)


def listed_peaks(profiles: Sequence[RadialProfile]) -> tuple[ProfilePeak, ...]:
    """Peaks of the masked profile or, if nothing is masked, of the local maximum or the whole image.

    A plane has a peak in each of the curves, and they differ by their backgrounds and widths: shown side by
    side, d would seem to have two values.

    Examples
    --------
    >>> import numpy as np
    >>> one, other = (ProfilePeak(4.8 + n / 100, 0.01, 0.1, 5.0, 20.0, "") for n in range(2))
    >>> g = np.linspace(1, 9, 3)
    >>> whole = RadialProfile("whole image", g, g, g, (one,))
    >>> listed_peaks([whole, RadialProfile("masked", g, g, g, (other,))])[0].g
    4.81
    """
    peaks = {profile.curve: profile.peaks for profile in profiles}
    return next((peaks[curve] for curve in CURVES if peaks.get(curve)), ())
