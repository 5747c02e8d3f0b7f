"""RadialProfile: rotational average of a spectrum, like a powder diffraction pattern, and its peaks.

All curves are in units of the noise: 1 is the level of amorphous material and shot noise.

`find_peaks` equals `scipy.signal.find_peaks` with `peak_widths`; importing scipy.signal, which imports
scipy.stats, takes longer than the analysis of a small image.
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
    """Find peaks with sufficient height and prominence, and their full widths at half prominence.

    Parameters
    ----------
    curve : ndarray, shape (n,)
    height, prominence : float
        Smallest height of a peak, and smallest height above the higher of the two minima that separate it
        from higher values on each side.

    Returns
    -------
    peaks : ndarray of int
        Indices of the peaks; centres of flat ones.
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
    """Samples, or centres of runs of equal samples, whose neighbours on both sides are lower."""
    edges = np.flatnonzero(np.diff(curve))
    firsts, lasts = np.append(0, edges + 1), np.append(edges, len(curve) - 1)
    heights = curve[firsts]
    inner = np.flatnonzero((heights[1:-1] > heights[:-2]) & (heights[1:-1] > heights[2:])) + 1
    return [int(i) for i in (firsts[inner] + lasts[inner]) // 2]


def _base(side: NDArray[np.float64]) -> int:
    """Index of the lowest sample between a peak (the first sample) and where the curve exceeds the peak."""
    higher = side > side[0]
    return int(np.argmin(side[: int(np.argmax(higher)) if higher.any() else None]))


def _reach(side: NDArray[np.float64], level: float) -> float:
    """Distance in samples from a peak to where the curve falls to a level, at most to its base."""
    base = _base(side)
    below = np.flatnonzero(side[1 : base + 1] <= level)
    at = int(below[0]) + 1 if len(below) else base
    if side[at] < level:
        return at - (level - float(side[at])) / (float(side[at - 1]) - float(side[at]))
    return float(at)


#: Peaks are fitted within this multiple of their half width.
FIT_REACH = 2.0
#: Smallest uncertainty of a fitted centre, relative to the ring width: if rings are as wide as a peak, the
#: binning shifts the centre. For simulated fringes in fields of 10 to 51 nm, errors are then 0.5 to 1.2
#: sigma.
SMALLEST_SIGMA = 0.1
#: The background is a running median over this range of g, 1/nm.
BACKGROUND_RANGE = 1.0

#: A peak is a side lobe if it is lower than this fraction of the height of another peak within this many
#: widths. The first lobe of a disc has 0.02 of the height and that of a square 0.05, both less than 4 widths
#: away.
LOBE_HEIGHT, LOBE_WIDTHS = 0.2, 4.0

Curve = Literal["whole image", "masked", "local maximum", "pattern"]
#: Curves from which peaks are taken, preferred first: inside the mask the noise is lowest.
CURVES: tuple[Curve, ...] = ("masked", "local maximum", "whole image")


@dataclass(frozen=True, slots=True)
class ProfileParams(WithinLimits):
    """Parameters of the profile's rings and peaks."""

    ring: float = param(
        0.01,
        "ring width",
        unit="1/nm",
        low=0.001,
        high=0.5,
        help="Width of the rings used for averaging.",
    )
    peak_significance: float = param(
        6.0,
        "peak significance",
        unit="sigma",
        low=3.0,
        high=100.0,
        help="Smallest height of a peak in standard deviations of the ring's noise.",
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
        Height above the background, in the profile's units.
    significance : float
        Height divided by its noise.
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
    """One curve as a function of g.

    Attributes
    ----------
    curve : str
        "whole image" (the whole transform), "masked" (inside the mask), "local maximum" (largest SNR over
        the local windows), "pattern" (a stored diffraction pattern, in its grey levels).
    g : ndarray, shape (n,), 1/nm
        Centre of each ring.
    intensity : ndarray, shape (n,)
        Mean of power over noise on the ring (not the sum, which would increase with g).
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

    It also shows grains that are too small for the whole image's spectrum.
    """
    return _profile("local maximum", spectrum, params)


def masked_profile(
    spectrum: FineSpectrum,
    mask: NDArray[np.uint8],
    grid: FrequencyGrid,
    params: ProfileParams,
    ring_sums: RingSums | None = None,
) -> RadialProfile:
    """Profile of the spectrum inside the mask: masked power of each ring divided by all of its bins.

    `ring_sums` of the same spectrum are updated from the previous mask, which is faster.
    """
    edges = _edges(spectrum, params)
    if ring_sums is None:
        sums, bins = masked_sums(spectrum, mask, grid, edges)
    else:
        sums, bins = ring_sums.of(mask, grid, edges)
    counts = _counts(spectrum, edges)
    intensity, background = (_ring_means(part, counts, spectrum) for part in (sums, bins))
    independent = _independent_bins(spectrum, counts, edges)
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
    """Sums divided by counts of the rings; for a padded spectrum including neighbouring rings in part.

    A ring as narrow as a step contains few bins by chance, so that its mean would jump between rings.
    """
    if max(spectrum.finer) == 1:
        return np.asarray(sums / counts, np.float64)
    smooth_sums, smooth_counts = (
        ndimage.convolve1d(part.astype(np.float64), (0.25, 0.5, 0.25), mode="nearest")
        for part in (sums, counts)
    )
    return np.asarray(smooth_sums / smooth_counts, np.float64)


def _independent_bins(
    spectrum: FineSpectrum, counts: NDArray[np.intp], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Effective number of native bins of a ring's mean; at least that of a ring as wide as the resolution."""
    wider = max(spectrum.resolution / float(edges[1] - edges[0]), 1.0)
    return np.maximum(counts * wider / np.prod(spectrum.finer), 1.0)


def _profile(curve: Curve, spectrum: FineSpectrum, params: ProfileParams) -> RadialProfile:
    edges, snr = _edges(spectrum, params), spectrum.snr
    ring, counts = _rings(spectrum.half, spectrum.step, (float(edges[0]), float(edges[-1])), len(edges) - 1)
    sums, ring = np.zeros(len(counts) + 1), ring.reshape(snr.shape)
    for first in range(0, len(snr), STRIP):  # because `bincount` makes copies
        part = slice(first, first + STRIP)
        sums += np.bincount(ring[part].ravel(), snr[part].ravel(), len(sums))
    intensity = _ring_means(sums[:-1], counts, spectrum)
    background = smooth_background(intensity, float(edges[1] - edges[0]))
    independent = _independent_bins(spectrum, counts, edges)
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
    """Remove side lobes of much higher peaks, which the shape of a grain adds to each reflection.

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
    """Ring of each bin that is in one, and which bins these are."""
    rings = len(edges) - 1
    flat = radius.ravel()
    kept = np.flatnonzero((flat >= edges[0]) & (flat < edges[-1]))
    scale = rings / (edges[-1] - edges[0])
    return np.minimum(((flat[kept] - edges[0]) * scale).astype(np.intp), rings - 1), kept


@lru_cache(maxsize=2)  # 9 MB for an image of 1000 x 1000 pixels
def _rings(
    half: tuple[int, int], step: tuple[float, float], reach: tuple[float, float], rings: int
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Ring of each bin of a half plane, `rings` for bins outside all, and the number of bins of each ring.

    Shared by images of the same shape and by all edits of an image.
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
    """Smoothed running median of a curve with rings of width `ring` (1/nm)."""
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
    # the fit range of a peak ends at the next peak, otherwise its Gaussian could end up between the two
    valleys = [int(first + np.argmin(relative[first:last])) for first, last in pairwise((found - 1).tolist())]
    limits = zip([0, *valleys], [*valleys, len(g) - 1], strict=True)
    for at, width, (left, right) in zip(found - 1, widths, limits, strict=False):  # one limit too many
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
            warnings.simplefilter("error", optimize.OptimizeWarning)  # without covariance no uncertainty
            best, covariance = optimize.curve_fit(
                _gaussian, g, height, start, sigma=error, absolute_sigma=True, maxfev=200
            )
    except (RuntimeError, ValueError, TypeError, optimize.OptimizeWarning):
        return None
    best[1] = abs(best[1])
    if not (g[0] - ring <= best[0] <= g[-1] + ring and best[1] <= g[-1] - g[0] and best[2] > 0):
        return None
    # if the peak is not a Gaussian (two overlapping lines), the residuals exceed the noise
    misfit = np.sum(((height - _gaussian(g, *best)) / error) ** 2) / max(len(g) - 3, 1)
    sigma = float(np.sqrt(max(covariance[0, 0] * max(misfit, 1.0) * correlated, 0.0)))
    if not sigma < best[1] + ring:
        return None
    sigma = max(sigma, SMALLEST_SIGMA * ring)
    significance = float(np.max(height / error))
    return ProfilePeak(float(best[0]), sigma, float(best[1]), float(best[2]), significance, curve)


def listed_peaks(profiles: Sequence[RadialProfile]) -> tuple[ProfilePeak, ...]:
    """Peaks of the masked profile or, if nothing is masked, of the local maximum or the whole image.

    A plane has a peak in each of the curves, at slightly different g because of their backgrounds and widths;
    listing all of them would suggest several values of d.

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
