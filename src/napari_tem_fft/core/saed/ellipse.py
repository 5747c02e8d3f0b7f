"""Ellipse of a pattern's rings: their distortion by the lenses, and the pattern without it.

A distortion by 1 + e in one direction and 1 / (1 + e) perpendicular to it shifts a ring by e cos 2(phi -
phi_0)
of its radius, by the same factor for all rings. On a logarithmic scale of radii this is one shift of a
sector's whole profile, which is found by correlation with the mean of all sectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .beam_stop import BeamStop
from .centre import Point
from .peaks import nan_median

Image = NDArray[np.float32]

#: Sectors in half a circle (opposite ones are combined), and samples across each.
SECTORS, ACROSS = 18, 24
#: Samples of the logarithm of the radius.
SAMPLES = 1024
#: Largest shift that is searched, as a fraction of the radius, and number of fitting rounds.
MOST, ROUNDS = 0.06, 4
#: Smallest fraction of the sectors in which rings must be visible.
FEWEST = 0.6
#: Smallest correlation of a sector's rings with the mean.
LEAST_ALIKE = 0.35
#: Features of a profile that are smoother than this many samples are not rings.
BROAD = 40.0
#: Ellipticities (long axis over short axis, minus 1) below this, or below this many standard uncertainties,
#: are not reported.
LEAST_SAID, LEAST_SIGMA = 0.004, 4.0


@dataclass(frozen=True, slots=True)
class RingEllipse:
    """Elliptic distortion of a pattern's rings.

    Attributes
    ----------
    ellipticity : float
        Long axis over short axis, minus 1.
    sigma : float
        Its standard uncertainty.
    azimuth : float, degrees
        Azimuth of the long axis, counter-clockwise from +x as displayed, 0 to 180.
    """

    ellipticity: float
    sigma: float
    azimuth: float

    @property
    def significant(self) -> bool:
        """Whether the ellipticity is large and certain enough to be reported."""
        return self.ellipticity > max(LEAST_SAID, LEAST_SIGMA * self.sigma)

    def stretch(self) -> NDArray[np.float64]:
        """Matrix, in (y, x), that transforms a true g into the recorded one; it preserves areas."""
        half = 0.5 * np.log1p(self.ellipticity)
        phi = np.radians(self.azimuth)
        along = np.array([-np.sin(phi), np.cos(phi)])  # y points down
        parallel = np.outer(along, along)
        matrix: NDArray[np.float64] = np.exp(half) * parallel + np.exp(-half) * (np.eye(2) - parallel)
        return matrix


def fit_ellipse(
    image: Image, centre: Point, scale: Point, limits: Point, stop: BeamStop | None = None
) -> RingEllipse | None:
    """The ellipse of a pattern's rings; None if the rings are not visible all around.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Grey levels.
    centre : tuple of float, (y, x), pixels
    scale : tuple of float, (y, x), 1/nm per pixel
    limits : tuple of float, 1/nm
        Lowest and highest |g|.
    """
    profiles = _sector_profiles(image, centre, scale, limits, stop)
    step = np.log(limits[1] / limits[0]) / (SAMPLES - 1)
    known = np.isfinite(profiles).mean(axis=1) > 0.6
    rings = _without_background(profiles)
    rings[~known] = 0.0
    angles = np.pi * (np.arange(SECTORS) + 0.5) / SECTORS
    cosines = np.stack([np.cos(2 * angles), np.sin(2 * angles)], axis=1)
    shift, fitted, alike = np.zeros(SECTORS), np.zeros(2), np.zeros(SECTORS)
    start = _sharpest(rings, cosines, step)
    shift = cosines @ start
    for _ in range(ROUNDS):
        moved = np.stack([_moved(ring, s / step) for ring, s in zip(rings, shift, strict=True)])
        for k in range(SECTORS):
            others = moved.sum(axis=0) - moved[k]
            change, alike[k] = _shift_of(others, moved[k], max(3, round(0.012 / step)))
            shift[k] += change * step
        good = known & (alike > LEAST_ALIKE)
        if good.sum() < FEWEST * SECTORS:
            return None
        fitted, mean, sigma = _fit(cosines[good], shift[good])
        shift = np.where(good, shift - mean, cosines @ fitted)
    amplitude = float(np.hypot(*fitted))
    azimuth = float(np.degrees(0.5 * np.arctan2(fitted[1], fitted[0])) % 180)
    return RingEllipse(float(np.expm1(2 * amplitude)), 2 * sigma, azimuth)


def _sector_profiles(
    image: Image, centre: Point, scale: Point, limits: Point, stop: BeamStop | None
) -> NDArray[np.float64]:
    """Median, which spots do not raise, of each sector and its opposite against ln |g|; NaN where unknown."""
    g = np.geomspace(*limits, SAMPLES)
    width = np.pi / SECTORS
    profiles = np.full((SECTORS, SAMPLES), np.nan)
    source = image.astype(np.float64)
    if stop is not None:
        source[stop.mask] = np.nan
    for k in range(SECTORS):
        phi = width * (k + (np.arange(ACROSS) + 0.5) / ACROSS)
        phi = np.concatenate([phi, phi + np.pi])[:, None]
        y, x = centre[0] - g * np.sin(phi) / scale[0], centre[1] + g * np.cos(phi) / scale[1]
        values = ndimage.map_coordinates(source, [y, x], order=1, mode="constant", cval=np.nan)
        enough = np.isfinite(values).sum(axis=0) >= ACROSS // 2
        profiles[k, enough] = nan_median(values[:, enough].T)
    return profiles


def _without_background(profiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rings of each sector in units of the square root of the background; zero where unknown."""
    known = np.isfinite(profiles)
    filled = np.where(known, profiles, 0.0)
    weight = ndimage.gaussian_filter1d(known.astype(float), BROAD, axis=1)
    broad = ndimage.gaussian_filter1d(filled, BROAD, axis=1) / np.maximum(weight, 1e-9)
    lowest = float(np.nanmin(profiles)) if known.any() else 0.0
    rings = np.where(known, (filled - broad) / np.sqrt(np.maximum(broad - lowest, 0) + 1.0), 0.0)
    edge = ndimage.binary_erosion(known, np.ones((1, 2 * round(BROAD / 4) + 1), bool), border_value=0)
    return np.where(edge, ndimage.gaussian_filter1d(rings, 1.0, axis=1), 0.0)


def _sharpest(rings: NDArray[np.float64], cosines: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Distortion (coefficients of cos and sin) at which the mean of all sectors has the sharpest rings."""
    spectrum = np.fft.rfft(rings, axis=1)
    frequency = np.fft.rfftfreq(rings.shape[1])
    trial = np.arange(-MOST, MOST + 1e-9, 0.004)
    best, found = -1.0, np.zeros(2)
    for a in trial:
        for b in trial:
            if a * a + b * b > MOST**2:
                continue
            turns = np.exp(2j * np.pi * np.outer(cosines @ (a, b) / step, frequency))
            power = float(np.sum(np.abs((spectrum * turns).sum(axis=0)) ** 2))
            if power > best:
                best, found = power, np.array([a, b])
    return found


def _moved(ring: NDArray[np.float64], samples: float) -> NDArray[np.float64]:
    places = np.arange(len(ring))
    return np.asarray(np.interp(places + samples, places, ring, 0.0, 0.0), np.float64)


def _shift_of(mean: NDArray[np.float64], ring: NDArray[np.float64], reach: int) -> tuple[float, float]:
    """Further shift of a profile that aligns it with the mean, samples, and their correlation after it."""
    norm = float(np.sqrt(np.sum(mean**2) * np.sum(ring**2)))
    if norm == 0:
        return 0.0, 0.0
    lags = np.arange(-reach, reach + 1)
    product = np.array([np.sum(mean * np.roll(ring, -lag)) for lag in lags]) / norm
    at = int(np.argmax(product))
    if not 0 < at < len(lags) - 1:
        return 0.0, 0.0
    left, middle, right = product[at - 1 : at + 2]
    curvature = 2 * middle - left - right
    return float(lags[at] + ((right - left) / (2 * curvature) if curvature > 0 else 0.0)), float(middle)


def _fit(
    cosines: NDArray[np.float64], shift: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, float]:
    """Coefficients of cos and sin, the mean shift, and the standard uncertainty of the coefficients."""
    design = np.column_stack([cosines, np.ones(len(shift))])
    found, *_ = np.linalg.lstsq(design, shift, rcond=None)
    left = shift - design @ found
    variance = float(left @ left) / max(len(shift) - 3, 1) * np.diag(np.linalg.pinv(design.T @ design))[:2]
    return np.asarray(found[:2], np.float64), float(found[2]), float(np.sqrt(variance.max()))


def without_ellipse(image: Image, centre: Point, scale: Point, ellipse: RingEllipse) -> Image:
    """The pattern without the distortion, resampled about its centre."""
    size = np.asarray(scale)
    matrix = ellipse.stretch() * size[None, :] / size[:, None]  # from frequencies to pixels
    offset = np.asarray(centre) - matrix @ np.asarray(centre)
    resampled: Image = ndimage.affine_transform(
        image, matrix, offset, order=1, mode="nearest", output=np.float32
    )
    return resampled
