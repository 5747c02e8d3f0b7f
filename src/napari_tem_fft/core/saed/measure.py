"""Measure a stored diffraction pattern or FFT directly in 1/nm: centre, radial profile, spots.

It is not transformed again. Rings and spots give d = 1/|g| by the image's scale in 1/nm per pixel. The
uncertainty of the scale itself (of the camera length) is stated separately from the uncertainty of each fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..fourier.noise import robust_sigma
from ..image.calibration import CalibrationError
from ..image.micrograph import SMALLEST, Micrograph
from ..parameters import WithinLimits, param
from ..profile.radial_profile import (
    BACKGROUND_RANGE,
    ProfileParams,
    RadialProfile,
    fitted_peaks,
    smooth_background,
)
from .beam_stop import BeamStop, fill_stop, find_beam_stop
from .centre import (
    UNCONFIRMED_SIGMA,
    CentreSource,
    PatternCentre,
    Point,
    find_centre,
    is_mirrored,
    pattern_pixels,
)
from .ellipse import RingEllipse, fit_ellipse, without_ellipse
from .peaks import PatternSpot, centre_of_pairs, find_peaks, paired, spots_of

#: Neighbouring pixels of a camera share electrons: this many pixels count as one datum in a ring's mean.
CORRELATED = 2.0
#: Smallest number of pixels in a ring.
FEWEST = 8
#: A ring is measured if a beam stop leaves at least this fraction of it open.
LEAST_OPEN = 0.4
#: An unpaired spot narrower than this (standard deviation, pixels) is a hot pixel or a cosmic ray.
SPIKE = 0.55

_GIVEN: CentreSource = "given"
_FILE: CentreSource = "file"
_SYMMETRY: CentreSource = "symmetry"


@dataclass(frozen=True, slots=True)
class PatternParams(WithinLimits):
    """Which spots and rings of a stored diffraction pattern are measured."""

    d_min: float = param(
        0.05, "smallest d", unit="nm", low=0.005, high=1.0, help="Smaller d-spacings are cut off."
    )
    d_max: float = param(
        1.0,
        "largest d",
        unit="nm",
        low=0.1,
        high=50.0,
        help="Larger d-spacings are not searched for; the direct beam lies beyond.",
    )
    false_alarms: float = param(
        0.01,
        "false alarms",
        unit="a pattern",
        low=1e-6,
        high=10.0,
        help="Expected number of spots in a pattern that has only noise.",
    )
    correct_ellipse: bool = param(
        False,
        "correct ellipse",
        help="Resample a pattern with elliptic rings so that they are round.",
    )
    profile: ProfileParams = field(default_factory=ProfileParams)

    def __post_init__(self) -> None:
        WithinLimits.__post_init__(self)
        if self.d_min >= self.d_max:
            raise ValueError(f"smallest d ({self.d_min} nm) must be below largest d ({self.d_max} nm)")


@dataclass(frozen=True, slots=True, eq=False)
class PatternMeasurement:
    """Measurements of a stored pattern.

    Attributes
    ----------
    micrograph : Micrograph
        The pattern, calibrated in 1/nm.
    params : PatternParams
    centre : PatternCentre
    mirrored : bool
        Whether -g is a copy of +g, as in a transform of a real image; then a pair of spots is one datum.
    spots : tuple of PatternSpot
        In order of rising |g|, numbered from 1.
    profile : RadialProfile
        Mean grey level as a function of g, with its peaks (rings).
    stop : BeamStop, optional
        The beam stop; spots under it, and the part of the rings that it covers, are left out.
    ellipse : RingEllipse, optional
        Distortion of the recorded rings, before a correction; None if they are not visible all around.
    warnings : tuple of str
    """

    micrograph: Micrograph
    params: PatternParams
    centre: PatternCentre
    mirrored: bool
    spots: tuple[PatternSpot, ...]
    profile: RadialProfile
    warnings: tuple[str, ...] = ()
    stop: BeamStop | None = None
    ellipse: RingEllipse | None = None


def measure_pattern(
    pattern: Micrograph, params: PatternParams | None = None, centre: Point | None = None
) -> PatternMeasurement:
    """Measure spots and rings of a stored diffraction pattern or FFT.

    Parameters
    ----------
    pattern : Micrograph
        With a calibration in 1/nm.
    params : PatternParams, optional
    centre : tuple of float, (y, x), pixels, optional
        Position of the direct beam. By default it is taken from the file, or else from the pattern's own
        symmetry. The symmetry shifts a given position by a few pixels at most.

    Raises
    ------
    CalibrationError
        If the image is not calibrated in 1/nm.
    ValueError
        If it has no centre of symmetry and none is given, or if it cannot be measured.
    """
    params = params or PatternParams()
    scale = _scale(pattern)
    compressed = pattern_pixels(pattern.pixels, pattern.name)
    image = _grey_levels(pattern.pixels)
    found, stop, warnings = _centre_and_stop(pattern, compressed, image, centre)
    limits = _limits(image.shape, found.position, scale, params, pattern.name)
    mirrored = is_mirrored(compressed, found.position)
    ellipse = None if mirrored else fit_ellipse(image, found.position, scale, limits, stop)
    if ellipse is not None and ellipse.significant and params.correct_ellipse:
        image = without_ellipse(image, found.position, scale, ellipse)
        stop = None if stop is None else stop.moved(found.position, scale, ellipse.stretch())
        pattern = replace(pattern, pixels=image)
    opened = image if stop is None else fill_stop(image, stop, found.position)
    peaks = find_peaks(opened, found, scale, limits, params.false_alarms)
    if stop is not None:
        peaks = tuple(one for one in peaks if not stop.covers(one.position, 2.0 + 1.5 * one.width))
    found = found if mirrored else centre_of_pairs(paired(peaks, found), found)
    groups = [g for g in paired(peaks, found) if len(g) == 2 or g[0].width >= SPIKE]
    return PatternMeasurement(
        pattern,
        params,
        found,
        mirrored,
        spots_of(groups, found, scale, mirrored),
        pattern_profile(image, found.position, scale, limits, params.profile, stop),
        (*pattern.warnings, *warnings, *_doubts(found), *_stop_words(stop), *_ellipse_words(ellipse, params)),
        stop,
        ellipse,
    )


def _stop_words(stop: BeamStop | None) -> tuple[str, ...]:
    if stop is None:
        return ()
    share = f"{stop.share:.1%}"
    return (f"a beam stop covers {share} of the pattern: what lies under it and at its edge is left out",)


def _ellipse_words(ellipse: RingEllipse | None, params: PatternParams) -> tuple[str, ...]:
    """Warnings about elliptic rings."""
    if ellipse is None or not ellipse.significant:
        return ()
    percent, sigma = 100 * ellipse.ellipticity, 100 * ellipse.sigma
    size = (
        f"the rings are elliptic by {percent:.1f} +/- {sigma:.1f} %, long axis at {ellipse.azimuth:.0f} deg"
    )
    if params.correct_ellipse:
        return (f"{size}: the pattern was resampled so that they are round",)
    return (f"{size}: they are broadened or split in two; measure with --correct-ellipse to make them round",)


def pattern_profile(
    image: NDArray[np.float32],
    centre: Point,
    scale: Point,
    limits: Point,
    params: ProfileParams,
    stop: BeamStop | None = None,
) -> RadialProfile:
    """Mean grey level of each ring as a function of g, with background and fitted peaks.

    Parameters
    ----------
    centre : tuple of float, (y, x), pixels
    scale : tuple of float, (y, x), 1/nm per pixel
    limits : tuple of float, 1/nm
        Lowest and highest |g|.
    stop : BeamStop, optional
        Beam stop, whose pixels are left out.
    """
    radius = _radius(image.shape, centre, scale)
    width = min(max(params.ring, max(scale)), (limits[1] - limits[0]) / 8)
    # the background falls steeply below the limit, so rings there are needed to determine it
    first = max(limits[0] - BACKGROUND_RANGE, 2 * max(scale), float(radius.min()))
    edges = np.arange(min(first, limits[0]), limits[1] + width, width)
    searched = (radius >= edges[0]) & (radius < edges[-1])
    inside = np.flatnonzero(searched if stop is None else searched & ~stop.mask)
    values, at = image.ravel()[inside].astype(np.float64), radius.ravel()[inside]
    ring = np.minimum(((at - edges[0]) / width).astype(np.intp), len(edges) - 2)
    counts = np.bincount(ring, minlength=len(edges) - 1)
    full = counts >= min(FEWEST, counts.max())
    if stop is not None:  # the open part of a ring that is mostly shaded shows only the edge of the stop
        at_all = np.minimum(((radius[searched] - edges[0]) / width).astype(np.intp), len(edges) - 2)
        full &= counts >= LEAST_OPEN * np.bincount(at_all, minlength=len(edges) - 1)
    g, mean = (np.bincount(ring, v, len(counts))[full] / counts[full] for v in (at, values))
    scatter = _ring_scatter(ring, values, counts)[full]
    background = smooth_background(mean, width)
    seen = (g >= limits[0]) & (g <= limits[1])
    least = 0.05 * float(np.median(scatter[seen])) + 1e-12
    error = np.sqrt(CORRELATED / counts[full]) * np.maximum(scatter, least)
    g, mean, background, error = g[seen], mean[seen], background[seen], error[seen]
    first_open = g[0] if g.size else limits[1]
    peaks = tuple(
        peak
        for peak in fitted_peaks("pattern", g, mean - background, error, params.peak_significance)
        # a rise next to a stop is no peak: what lies below it, on its other side, is not visible
        if first_open <= limits[0] + width or peak.g - first_open > 2.5 * peak.width + 4 * width
    )
    return RadialProfile("pattern", g, mean, background, peaks)


def _scale(pattern: Micrograph) -> Point:
    if pattern.calibration.space == "real":
        raise CalibrationError(
            f"{pattern.name} is calibrated in nm: it is a micrograph; analyse it instead of measuring it as a"
            " pattern"
        )
    if pattern.calibration.space == "none":
        raise CalibrationError(
            f"{pattern.name} has no calibration, so no spacing can be measured: give the size of its pixels"
            " in 1/nm"
        )
    if min(pattern.shape) < SMALLEST:
        ny, nx = pattern.shape
        raise ValueError(f"{pattern.name}: {ny} x {nx} pixels are too few for a pattern")
    return pattern.calibration.scale


def _centre_and_stop(
    pattern: Micrograph, compressed: NDArray[np.float32], image: NDArray[np.float32], given: Point | None
) -> tuple[PatternCentre, BeamStop | None, tuple[str, ...]]:
    """The centre and the beam stop: each needs the other, so the stop is found with a rough centre first."""
    try:
        found, warnings = _centre(pattern, compressed, given)
    except ValueError:
        # the stop may spoil the symmetry: assume that the brightest region is around the beam
        light = ndimage.gaussian_filter(compressed, min(compressed.shape) / 24)
        y, x = np.unravel_index(int(np.argmax(light)), light.shape)
        stop = find_beam_stop(image, (float(y), float(x)))
        if stop is None:
            raise
        found, warnings = _centre(pattern, compressed, given, stop.mask)
    if is_mirrored(compressed, found.position):
        return found, None, warnings  # a transform contains no beam stop
    stop = find_beam_stop(image, found.position)
    if stop is not None:
        found, warnings = _centre(pattern, compressed, given, stop.mask)
        stop = find_beam_stop(image, found.position) or stop
    return found, stop, warnings


def _centre(
    pattern: Micrograph,
    image: NDArray[np.float32],
    given: Point | None,
    hidden: NDArray[np.bool_] | None = None,
) -> tuple[PatternCentre, tuple[str, ...]]:
    """The centre from the user, the file or the symmetry, and warnings about it."""
    origin = pattern.calibration.origin
    warnings: tuple[str, ...] = ()
    try:
        if given is not None:
            return find_centre(image, given, _GIVEN, hidden), ()
        if origin is None:
            found = find_centre(image, hidden=hidden)
        else:
            found, warnings = _by_the_file(image, origin, hidden)
    except ValueError as error:
        raise ValueError(f"{pattern.name}: {error}") from error
    return found, warnings


def _doubts(centre: PatternCentre) -> tuple[str, ...]:
    """Warnings about a centre that neither fine details nor pairs of spots confirm."""
    if centre.sigma < UNCONFIRMED_SIGMA or centre.source == _GIVEN:
        return ()
    source = "the diffuse light" if centre.source == _SYMMETRY else "the file"
    return (
        f"only {source} determines the centre, which is uncertain by {centre.sigma:g} pixels or more: give"
        " the position of the direct beam",
    )


def _by_the_file(
    image: NDArray[np.float32], origin: Point, hidden: NDArray[np.bool_] | None = None
) -> tuple[PatternCentre, tuple[str, ...]]:
    """The centre from the file, or from the pattern's own symmetry if it contradicts the file."""
    inside = all(0 <= o <= n - 1 for o, n in zip(origin, image.shape, strict=True))
    if inside:
        found = find_centre(image, origin, _FILE, hidden)
        if found.sigma < UNCONFIRMED_SIGMA:
            return found, ()
    try:
        other = find_centre(image, hidden=hidden)
    except ValueError:
        if inside:
            return found, ()
        raise
    if inside and (other.sigma >= UNCONFIRMED_SIGMA or other.symmetry <= found.symmetry):
        return found, ()
    return other, (
        f"the file puts g = 0 at pixel y = {origin[0]:.0f}, x = {origin[1]:.0f}, which the pattern"
        f" contradicts: its own symmetry has it at y = {other.position[0]:.1f}, x = {other.position[1]:.1f}",
    )


def _grey_levels(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """Grey levels minus their median, so that an offset of millions does not cost precision."""
    image = np.asarray(pixels, np.float64)
    finite = np.isfinite(image)
    level = float(np.median(image[finite]))
    return np.where(finite, image - level, 0.0).astype(np.float32)


def _limits(
    shape: tuple[int, ...], centre: Point, scale: Point, params: PatternParams, name: str
) -> tuple[float, float]:
    """Lowest and highest |g| to be measured, from the parameters and the image's field of view."""
    corners = [(y, x) for y in (0, shape[0] - 1) for x in (0, shape[1] - 1)]
    reach = max(float(np.hypot((y - centre[0]) * scale[0], (x - centre[1]) * scale[1])) for y, x in corners)
    low, high = max(1 / params.d_max, 3 * max(scale)), min(1 / params.d_min, reach)
    dy, dx = (max(-c, c - (n - 1), 0.0) * s for c, n, s in zip(centre, shape, scale, strict=True))
    low = max(low, float(np.hypot(dy, dx)))
    if high < 1.02 * low:
        raise ValueError(
            f"{name}: the image covers g from {low:.3g} to {reach:.3g} 1/nm about its centre, where no d from"
            f" {params.d_min:g} to {params.d_max:g} nm can be measured"
        )
    return low, high


def _radius(shape: tuple[int, ...], centre: Point, scale: Point) -> NDArray[np.float64]:
    y = (np.arange(shape[0]) - centre[0]) * scale[0]
    x = (np.arange(shape[1]) - centre[1]) * scale[1]
    radius: NDArray[np.float64] = np.hypot(y[:, None], x[None, :])
    return radius


def _ring_scatter(
    ring: NDArray[np.intp], values: NDArray[np.float64], counts: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Robust standard deviation of the grey levels of each ring, which spots do not raise."""
    order = np.argsort(ring, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    scatter = np.zeros(len(counts))
    for i in np.flatnonzero(counts):
        part = values[order[starts[i] : starts[i + 1]]]
        scatter[i] = robust_sigma(part) or part.std()
    return scatter
