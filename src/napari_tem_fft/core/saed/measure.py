"""A stored diffraction pattern or FFT in 1/nm, measured as it is: centre, radial profile, spots.

It is never transformed again. Rings and spots give d = 1/|g| by the image's scale in 1/nm a pixel, whose
own uncertainty (the camera length's) stands beside that of each fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from ..image.calibration import CalibrationError
from ..image.micrograph import SMALLEST, Micrograph
from ..parameters import Field, check_limits
from ..profile.radial_profile import (
    BACKGROUND_RANGE,
    ProfileParams,
    RadialProfile,
    fitted_peaks,
    smooth_background,
)
from .centre import (
    UNCONFIRMED_SIGMA,
    CentreSource,
    PatternCentre,
    Point,
    find_centre,
    is_mirrored,
    pattern_pixels,
)
from .peaks import find_peaks
from .spots import PatternSpot, centre_of_pairs, paired, spots_of

#: Neighbouring pixels of a camera share their electrons: this many are one datum in a ring's mean.
CORRELATED = 2.0
#: Fewest pixels of a ring.
FEWEST = 8
#: A single spot narrower than this (standard deviation, pixels) is a hot pixel or a cosmic ray.
SPIKE = 0.55

_GIVEN: CentreSource = "given"
_FILE: CentreSource = "file"
_SYMMETRY: CentreSource = "symmetry"


@dataclass(frozen=True, slots=True)
class PatternParams:
    """Which spots and rings of a stored diffraction pattern are measured."""

    d_min: Annotated[
        float,
        Field("smallest d", unit="nm", low=0.005, high=1.0, help="Smaller lattice spacings are cut off."),
    ] = 0.05
    d_max: Annotated[
        float,
        Field(
            "largest d",
            unit="nm",
            low=0.1,
            high=50.0,
            help="Larger ones are not looked for; the direct beam lies beyond.",
        ),
    ] = 1.0
    false_alarms: Annotated[
        float,
        Field(
            "false alarms",
            unit="a pattern",
            low=1e-6,
            high=10.0,
            help="Expected number of spots in a pattern that has only noise.",
        ),
    ] = 0.01
    profile: ProfileParams = field(default_factory=ProfileParams)

    def __post_init__(self) -> None:
        check_limits(self)
        if self.d_min >= self.d_max:
            raise ValueError(f"smallest d ({self.d_min} nm) must be below largest d ({self.d_max} nm)")


@dataclass(frozen=True, slots=True, eq=False)
class PatternMeasurement:
    """What was measured on a stored pattern.

    Attributes
    ----------
    micrograph : Micrograph
        The pattern, calibrated in 1/nm.
    params : PatternParams
    centre : PatternCentre
    mirrored : bool
        Whether -g is a copy of +g, as in a transform of a real image: then a pair of spots is one datum.
    spots : tuple of PatternSpot
        By rising |g|, numbered from 1.
    profile : RadialProfile
        Mean grey level against g, with its peaks (rings).
    warnings : tuple of str
    """

    micrograph: Micrograph
    params: PatternParams
    centre: PatternCentre
    mirrored: bool
    spots: tuple[PatternSpot, ...]
    profile: RadialProfile
    warnings: tuple[str, ...] = ()


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
        Place of the direct beam; without it the file's, and without that the pattern's own symmetry. The
        symmetry moves it by a few pixels at most.

    Raises
    ------
    CalibrationError
        If the image is not calibrated in 1/nm.
    ValueError
        If it has no centre of symmetry and none is given, or cannot be measured.
    """
    params = params or PatternParams()
    scale = _scale(pattern)
    compressed = pattern_pixels(pattern.pixels, pattern.name)
    found, warnings = _centre(pattern, compressed, centre)
    image = _grey_levels(pattern.pixels)
    limits = _limits(image.shape, found.position, scale, params, pattern.name)
    peaks = find_peaks(image, found, scale, limits, params.false_alarms)
    mirrored = is_mirrored(compressed, found.position)
    found = found if mirrored else centre_of_pairs(paired(peaks, found), found)
    groups = [g for g in paired(peaks, found) if len(g) == 2 or g[0].width >= SPIKE]
    return PatternMeasurement(
        pattern,
        params,
        found,
        mirrored,
        spots_of(groups, found, scale, mirrored),
        pattern_profile(image, found.position, scale, limits, params.profile),
        (*pattern.warnings, *warnings, *_doubts(found)),
    )


def pattern_profile(
    image: NDArray[np.float32], centre: Point, scale: Point, limits: Point, params: ProfileParams
) -> RadialProfile:
    """Mean grey level of each ring against g, with background and fitted peaks.

    Parameters
    ----------
    centre : tuple of float, (y, x), pixels
    scale : tuple of float, (y, x), 1/nm a pixel
    limits : tuple of float, 1/nm
        Lowest and highest |g|.
    """
    radius = _radius(image.shape, centre, scale)
    width = min(max(params.ring, max(scale)), (limits[1] - limits[0]) / 8)
    # rings below the limit hold the background there, which falls steeply and has to be seen to do so
    first = max(limits[0] - BACKGROUND_RANGE, 2 * max(scale), float(radius.min()))
    edges = np.arange(min(first, limits[0]), limits[1] + width, width)
    inside = np.flatnonzero((radius >= edges[0]) & (radius < edges[-1]))
    values, at = image.ravel()[inside].astype(np.float64), radius.ravel()[inside]
    ring = np.minimum(((at - edges[0]) / width).astype(np.intp), len(edges) - 2)
    counts = np.bincount(ring, minlength=len(edges) - 1)
    full = counts >= min(FEWEST, counts.max())
    g, mean = (np.bincount(ring, v, len(counts))[full] / counts[full] for v in (at, values))
    scatter = _ring_scatter(ring, values, counts)[full]
    background = smooth_background(mean, width)
    seen = (g >= limits[0]) & (g <= limits[1])
    least = 0.05 * float(np.median(scatter[seen])) + 1e-12
    error = np.sqrt(CORRELATED / counts[full]) * np.maximum(scatter, least)
    g, mean, background, error = g[seen], mean[seen], background[seen], error[seen]
    peaks = tuple(fitted_peaks("pattern", g, mean - background, error, params.peak_significance))
    return RadialProfile("pattern", g, mean, background, peaks)


def _scale(pattern: Micrograph) -> Point:
    if pattern.calibration.space == "real":
        raise CalibrationError(
            f"{pattern.name} is calibrated in nm: it is a micrograph; analyse it in the place of measuring"
            " it as a pattern"
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


def _centre(
    pattern: Micrograph, image: NDArray[np.float32], given: Point | None
) -> tuple[PatternCentre, tuple[str, ...]]:
    """The centre by the user, the file or the symmetry, and what the user should know of it."""
    origin = pattern.calibration.origin
    warnings: tuple[str, ...] = ()
    try:
        if given is not None:
            return find_centre(image, given, _GIVEN), ()
        if origin is None:
            found = find_centre(image)
        else:
            found, warnings = _by_the_file(image, origin)
    except ValueError as error:
        raise ValueError(f"{pattern.name}: {error}") from error
    return found, warnings


def _doubts(centre: PatternCentre) -> tuple[str, ...]:
    """What the user should know of a centre that neither details nor pairs of spots confirm."""
    if centre.sigma < UNCONFIRMED_SIGMA or centre.source == _GIVEN:
        return ()
    teller = "the diffuse light" if centre.source == _SYMMETRY else "the file"
    return (
        f"only {teller} tells the centre, which is uncertain by {centre.sigma:g} pixels or more: give the"
        " place of the direct beam",
    )


def _by_the_file(image: NDArray[np.float32], origin: Point) -> tuple[PatternCentre, tuple[str, ...]]:
    """The file's centre; that of the pattern's own symmetry where this contradicts the file."""
    inside = all(0 <= o <= n - 1 for o, n in zip(origin, image.shape, strict=True))
    if inside:
        found = find_centre(image, origin, _FILE)
        if found.sigma < UNCONFIRMED_SIGMA:
            return found, ()
    try:
        other = find_centre(image)
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
    """Grey levels without their median, so that pedestals of millions leave room for digits."""
    image = np.asarray(pixels, np.float64)
    finite = np.isfinite(image)
    level = float(np.median(image[finite]))
    return np.where(finite, image - level, 0.0).astype(np.float32)


def _limits(
    shape: tuple[int, ...], centre: Point, scale: Point, params: PatternParams, name: str
) -> tuple[float, float]:
    """Lowest and highest |g| that are measured: by the parameters, and by the image's field."""
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
        scatter[i] = 1.4826 * np.median(np.abs(part - np.median(part))) or part.std()
    return scatter
