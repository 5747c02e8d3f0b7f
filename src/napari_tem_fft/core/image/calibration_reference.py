"""Measured spots and rings of a known crystal, with which an image's scale is corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..crystal.phase import Miller, Phase
from ..profile.radial_profile import ProfilePeak
from ..spots.spot import Spot
from .calibration import CalibrationError, Correction, axis_correction, isotropic_correction

#: A d or azimuth selects a feature that differs from it by less than this: fraction of d, and degrees.
NEAR_D, NEAR_AZIMUTH = 0.04, 4.0


@dataclass(frozen=True, slots=True)
class CalibrationFeature:
    """A measured spot or ring, with the label by which the user selects it.

    Attributes
    ----------
    label : str
        The spot's number, or "r1", "r2", ... for rings.
    d, d_sigma : float, nm
        d-spacing with the current calibration, and standard uncertainty of the fit.
    g : tuple of float, (y, x), 1/nm, optional
        None for a ring.
    azimuth : float, degrees, optional
    strength : float
        SNR of a spot, significance of a ring.
    """

    label: str
    d: float
    d_sigma: float
    g: tuple[float, float] | None
    azimuth: float | None
    strength: float

    def correct_scale(self, correction: Correction) -> CalibrationFeature:
        """The feature after a correction of the calibration."""
        fy, fx = correction.factors
        if self.g is None:
            factor = float(np.sqrt(fy * fx))
            return replace(self, d=self.d * factor, d_sigma=self.d_sigma * factor)
        y, x = self.g[0] / fy, self.g[1] / fx
        shear = correction.shear or 0.0
        g = (y - shear * x, x - shear * y)
        d = 1.0 / float(np.hypot(*g))
        azimuth = float(np.degrees(np.arctan2(-g[0], g[1])) % 180.0)
        return replace(self, g=g, d=d, d_sigma=self.d_sigma * d / self.d, azimuth=azimuth)


def calibration_features(
    spots: Sequence[Spot], rings: Sequence[ProfilePeak]
) -> tuple[CalibrationFeature, ...]:
    """Spots by their numbers, then rings, each by decreasing d."""
    seen = sorted((spot for spot in spots if spot.enabled), key=lambda spot: -spot.d)
    ordered = sorted(rings, key=lambda ring: -ring.d)
    return (
        *(CalibrationFeature(str(s.id), s.d, s.d_sigma, s.g, s.azimuth, s.snr) for s in seen),
        *(
            CalibrationFeature(f"r{n}", r.d, r.d_sigma, None, None, r.significance)
            for n, r in enumerate(ordered, 1)
        ),
    )


def choose_feature(features: Sequence[CalibrationFeature], text: str) -> CalibrationFeature:
    """Find the feature that the user specifies.

    Parameters
    ----------
    features : sequence of CalibrationFeature
    text : str
        A label ("3", "r1"), a d in nm with a decimal point ("0.236"), an azimuth in degrees ("@30"), or
        both ("0.236@30").

    Raises
    ------
    ValueError
        If no feature matches, or more than one.
    """
    for feature in features:
        if feature.label == text.strip().lower():
            return feature
    d, azimuth = _place(text)
    near = [feature for feature in features if _is_near(feature, d, azimuth)]
    if len(near) != 1:
        labels = ", ".join(feature.label for feature in near) or "none"
        raise ValueError(f"{text!r} is not a single spot ({labels}): choose one by its number")
    return near[0]


def _place(text: str) -> tuple[float | None, float | None]:
    before, at, after = text.partition("@")
    try:
        d = float(before) if "." in before else None
        azimuth = float(after.rstrip("°")) if at else None
    except ValueError:
        d = azimuth = None
    if (d is None and azimuth is None) or (before.strip() and d is None):
        raise ValueError(
            f"there is no spot {text!r}: choose by number (3), ring (r1), d in nm (0.236), azimuth (@30),"
            " or d and azimuth (0.236@30)"
        )
    return d, azimuth


def _is_near(feature: CalibrationFeature, d: float | None, azimuth: float | None) -> bool:
    if azimuth is not None:
        if feature.azimuth is None or abs((feature.azimuth - azimuth + 90) % 180 - 90) > NEAR_AZIMUTH:
            return False
    elif feature.g is None:
        return False  # rings are selected by label, because a ring passes through every spot
    return d is None or abs(feature.d / d - 1) <= NEAR_D


def miller(text: str) -> Miller:
    """Parse Miller indices such as "1,1,1", "111", "1 -1 0", "1-10", or four indices of a hexagonal cell.

    Raises
    ------
    ValueError
        If the text is none of these.
    """
    parts = text.replace(",", " ").split()
    if len(parts) == 1:
        parts = _compact(parts[0])
    try:
        indices = [int(part) for part in parts]
    except ValueError:
        indices = []
    if len(indices) == 4 and sum(indices[:3]) == 0:
        indices = [indices[0], indices[1], indices[3]]
    if len(indices) != 3 or not any(indices):
        raise ValueError(f"{text!r} is not a set of Miller indices, such as 1,1,1")
    return indices[0], indices[1], indices[2]


def _compact(text: str) -> list[str]:
    """Split "1-10" into digits with their signs."""
    parts, sign = [], ""
    for letter in text:
        if letter in "+-":
            sign = letter
        else:
            parts.append(sign + letter)
            sign = ""
    return parts


def spacing(phase: Phase, hkl: Miller) -> float:
    """d-spacing of a reflection in nm.

    Raises
    ------
    ValueError
        If the phase has no such reflection.
    """
    opposite = (-hkl[0], -hkl[1], -hkl[2])
    for reflection in phase.reflections:
        if {hkl, opposite} & {reflection.hkl, *reflection.members}:
            return reflection.d
    known = ", ".join(" ".join(map(str, r.hkl)) for r in list(phase.reflections)[:8])
    raise ValueError(f"{phase.id} has no reflection {' '.join(map(str, hkl))}; its first ones are {known}")


def correction_on(
    features: Sequence[CalibrationFeature], known: Sequence[float], standard: str, per_axis: bool = False
) -> Correction:
    """Determine the correction of the scale from features with known d-spacings.

    Parameters
    ----------
    features : sequence of CalibrationFeature
    known : sequence of float, nm
        d-spacings, one for each feature.
    standard : str
        Reference crystal and reflections for the user ("Au 1 1 1").
    per_axis : bool
        Whether to determine a factor for each axis, from at least two spots in different directions, instead
        of a common one.

    Raises
    ------
    CalibrationError
        If the features do not determine the scale.
    """
    if not per_axis:
        sigma = [feature.d_sigma for feature in features]
        return isotropic_correction([feature.d for feature in features], known, standard, sigma)
    directions = [feature.g for feature in features if feature.g is not None]
    if len(directions) != len(features):
        raise CalibrationError("a ring has no direction: use spots to correct both axes")
    return axis_correction(directions, known, standard)


def nearest_reflection(phase: Phase, d: float) -> tuple[str, float]:
    """Indices of the phase's reflection with the nearest d, and the relative excess of d over it."""
    best = min(phase.reflections, key=lambda reflection: abs(np.log(d / reflection.d)))
    return " ".join(map(str, best.hkl)), d / best.d - 1
