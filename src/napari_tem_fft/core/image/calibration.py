"""Calibration: pixel size with uncertainty and source, and corrections of it.

A microscope's pixel size is wrong by a per cent or two; a spot of known d-spacing in the same image (or in
one taken under the same conditions) shows by how much. If the true pixel sizes are f_y and f_x times the
assumed ones, a spot measured at (g_y, g_x) is at (g_y / f_y, g_x / f_x), so that

    (g_y / f_y)^2 + (g_x / f_x)^2 = 1 / d^2 ,

which is linear in 1/f_y^2 and 1/f_x^2: a single spot or ring gives a common factor, two spots in different
directions give one factor for each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..parameters import Field, Parameter, check_value

Space = Literal["real", "reciprocal", "none"]

#: Start of the warning that an image has no usable scale; it is removed once the user has given a scale.
NOT_CALIBRATED = "not calibrated"
#: Source of a scale read from the image's file.
AS_READ = "file"
#: Source of a scale given by the user.
GIVEN = "given by the user"
#: Relative uncertainty of a microscope's calibration as delivered, and after correction with a reference
#: crystal.
DELIVERED_UNCERTAINTY = 0.02
STANDARD_UNCERTAINTY = 0.003
#: The uncertainty as stated in docks, options and files, in per cent.
UNCERTAINTY = Parameter(
    "calibration_uncertainty",
    float,
    100 * DELIVERED_UNCERTAINTY,
    Field(
        "calibration uncertainty",
        unit="%",
        low=0.01,
        high=20,
        help="Standard uncertainty of the image's pixel size; a larger one makes matching more cautious.",
    ),
)


class CalibrationError(ValueError):
    """An image cannot be measured because its scale is missing or is that of another kind of image."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scale of an image along each axis.

    Attributes
    ----------
    scale : tuple of float, (y, x)
        nm per pixel in real space, 1/nm per pixel in reciprocal space, 1 without a calibration.
    space : {"real", "reciprocal", "none"}
        "none" is an uncalibrated image.
    uncertainty : float
        Relative standard uncertainty of the scale (0.02 is 2 %), without that of any fit. This is the only
        place where it is stored: profiles, options and docks change it here, and matching reads it here.
    source : str
        Origin of the scale, for the user ("file", "given by the user", "corrected on Au 111").
    origin : tuple of float, (y, x), pixels, optional
        Position of g = 0 according to the file of a diffraction pattern, which may be outside the image; None
        if the file does not state it.
    shear : float, optional
        Stretch of g along the diagonal, if both stretches were measured with a reference crystal. The pixel
        size along the axes cannot express it. Matching takes it into account; d and maps do not.

    Raises
    ------
    ValueError
        If a scale is not a positive finite number, or the uncertainty is not between 0 and 0.5.

    Examples
    --------
    >>> scale = Calibration.real(0.025).with_uncertainty(0.003)
    >>> scale.pixel_size, scale.uncertainty_percent
    ((0.025, 0.025), 0.3)
    """

    scale: tuple[float, float] = (1.0, 1.0)
    space: Space = "none"
    uncertainty: float = DELIVERED_UNCERTAINTY
    source: str = "none"
    origin: tuple[float, float] | None = None
    shear: float | None = None

    def __post_init__(self) -> None:
        if not all(np.isfinite(s) and s > 0 for s in self.scale):
            raise ValueError(f"the pixel size must be a positive number, not {self.scale}")
        if not 0 <= self.uncertainty <= 0.5:
            raise ValueError(f"the calibration uncertainty must be 0-50 %, not {self.uncertainty}")

    @classmethod
    def real(cls, pixel_size: float | tuple[float, float], source: str = AS_READ) -> Calibration:
        """Calibration of an image from its pixel size in nm, one number or (y, x)."""
        py, px = (pixel_size, pixel_size) if isinstance(pixel_size, int | float) else pixel_size
        return cls((float(py), float(px)), "real", source=source)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Pixel size (y, x) in nm.

        Raises
        ------
        CalibrationError
            If the image has none; the message says what to do.
        """
        if self.space == "none":
            raise CalibrationError(
                "the image has no calibration, so distances cannot be measured: give its pixel size in nm"
            )
        if self.space == "reciprocal":
            raise CalibrationError(
                "the image is calibrated in 1/nm: it is a diffraction pattern or a stored FFT, not a"
                " micrograph, and is not transformed again; measure it with: napari-tem-fft pattern"
            )
        return self.scale

    @property
    def unit(self) -> str:
        """Unit of `scale`: "nm", "1/nm" or "pixel"."""
        return {"real": "nm", "reciprocal": "1/nm", "none": "pixel"}[self.space]

    @property
    def uncertainty_percent(self) -> float:
        """The uncertainty in per cent, without rounding errors of the conversion."""
        return round(100 * self.uncertainty, 10)

    def sentence(self) -> str:
        """The scale with its uncertainty and source, for the user.

        Examples
        --------
        >>> Calibration((0.02, 0.02), "real", source="file").sentence()
        '0.02 nm per pixel +/- 2 % (file)'
        """
        sy, sx = self.scale
        size = f"{sx:.6g}" if abs(sy / sx - 1) < 1e-6 else f"x {sx:.6g}, y {sy:.6g}"
        return f"{size} {self.unit} per pixel +/- {100 * self.uncertainty:.2g} % ({self.source})"

    def with_uncertainty(self, uncertainty: float) -> Calibration:
        """The same scale with another relative uncertainty (0.003 is 0.3 %).

        Raises
        ------
        ValueError
            If it is not between 0 and 0.5.
        """
        return replace(self, uncertainty=uncertainty)

    def corrected(self, correction: Correction) -> Calibration:
        """The calibration after a correction with a reference crystal.

        A pixel in 1/nm is inversely proportional to the pixel in nm, so its factors are the inverse ones.

        Raises
        ------
        CalibrationError
            If there is no scale to correct.
        """
        if self.space == "none":
            raise CalibrationError("the image has no calibration to correct: give its pixel size in nm first")
        power = 1 if self.space == "real" else -1
        (sy, sx), (fy, fx) = self.scale, correction.factors
        return replace(
            self,
            scale=(sy * fy**power, sx * fx**power),
            uncertainty=correction.uncertainty,
            source=f"corrected on {correction.standard}",
            shear=self.shear if correction.shear is None else (self.shear or 0.0) + correction.shear,
        )


def stated_uncertainty(percent: float) -> float:
    """Relative uncertainty of a scale stated in per cent.

    Raises
    ------
    ValueError
        If it is outside the limits of `UNCERTAINTY`.
    """
    check_value(UNCERTAINTY, percent)
    return percent / 100


#: Two spots are refused if their directions determine the scale of one of the axes with more than this
#: relative uncertainty.
WORST_UNCERTAINTY = 0.02
#: A larger factor is caused by a wrong assignment, not by a calibration error.
LARGEST_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Correction:
    """Factors that correct a calibration according to a reference crystal.

    Attributes
    ----------
    factors : tuple of float, (y, x)
        True pixel size divided by assumed pixel size.
    uncertainty : float
        Relative standard uncertainty of the corrected pixel size.
    standard : str
        Reference crystal and reflection, for the user ("Au 111").
    shear : float, optional
        Remaining stretch of g along the diagonal, if a whole grain was the reference.

    Raises
    ------
    CalibrationError
        If a factor is not between 1/3 and 3.
    """

    factors: tuple[float, float]
    uncertainty: float = STANDARD_UNCERTAINTY
    standard: str = "a standard"
    shear: float | None = None

    def __post_init__(self) -> None:
        if not all(1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR for factor in self.factors):
            raise CalibrationError(
                f"the pixel size would change by a factor of {self.factors[0]:.3g} along y and"
                f" {self.factors[1]:.3g} along x: this cannot be the spot of {self.standard}"
            )
        if not 0 <= self.uncertainty <= 0.5:
            raise ValueError(f"the calibration uncertainty must be 0-50 %, not {self.uncertainty}")


def isotropic_correction(
    measured: Sequence[float], known: Sequence[float], standard: str, sigma: Sequence[float] | None = None
) -> Correction:
    """Determine a common factor for both axes from the d-spacings of spots or rings.

    Parameters
    ----------
    measured : sequence of float, nm
        d-spacings with the current calibration.
    known : sequence of float, nm
        d-spacings of the reference crystal, one for each.
    standard : str
        Name and reflections of the reference crystal, for the user.
    sigma : sequence of float, nm, optional
        Standard uncertainties of the measured d-spacings.

    Raises
    ------
    CalibrationError
        If there is no d-spacing, or one is not positive.
    """
    d, d_known = np.asarray(measured, float), np.asarray(known, float)
    if d.size == 0 or d.shape != d_known.shape or not (np.all(d > 0) and np.all(d_known > 0)):
        raise CalibrationError("a correction needs measured and known d-spacings, both in nm")
    relative = np.zeros(d.shape) if sigma is None else np.asarray(sigma, float) / d
    weights = 1.0 / (STANDARD_UNCERTAINTY**2 + relative**2)
    factor = float(np.exp(np.average(np.log(d_known / d), weights=weights)))
    fit = float(1.0 / np.sqrt(weights.sum()))
    return Correction((factor, factor), max(STANDARD_UNCERTAINTY, fit), standard)


def axis_correction(spots: ArrayLike, known: Sequence[float], standard: str) -> Correction:
    """Determine a factor for each axis from at least two spots in different directions.

    Parameters
    ----------
    spots : array-like, shape (n, 2), 1/nm
        Measured positions (y, x) with the current calibration.
    known : sequence of float, nm
        d-spacings of the reference crystal, one for each spot.
    standard : str

    Raises
    ------
    CalibrationError
        If there are fewer than two spots, or their directions do not separate the axes (such as two spots
        mirrored in an axis).
    """
    g, d = np.asarray(spots, float).reshape(-1, 2), np.asarray(known, float)
    if len(g) < 2 or d.shape != (len(g),) or not np.all(d > 0):
        raise CalibrationError("a correction of both axes needs two spots and their d-spacings in nm")
    rows = g**2 * d[:, None] ** 2
    if np.linalg.cond(rows) > 1e6:
        raise _same_direction()
    inverse = np.linalg.pinv(rows)
    squares = inverse @ np.ones(len(g))
    if np.any(squares <= 0):
        raise CalibrationError(f"no pixel size agrees with these spots of {standard}: check their assignment")
    # half of the relative error of 1/f^2; each d-spacing has the reference's own uncertainty
    errors = STANDARD_UNCERTAINTY * np.sqrt((inverse**2).sum(axis=1)) / squares
    if errors.max() > WORST_UNCERTAINTY:
        raise _same_direction()
    fy, fx = 1.0 / np.sqrt(squares)
    return Correction((float(fy), float(fx)), max(STANDARD_UNCERTAINTY, float(errors.max())), standard)


def _same_direction() -> CalibrationError:
    return CalibrationError(
        "the spots' directions do not separate the axes: choose one near the x axis and one near the y axis,"
        " or correct both axes by the same factor"
    )
