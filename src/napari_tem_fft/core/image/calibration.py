"""Calibration: the pixel size, its uncertainty and its source, and factors that correct it.

A microscope's pixel size is wrong by a per cent or two; a spot of known lattice spacing in the same image
(or in one taken under the same conditions) shows by how much. With the pixel sizes f_y and f_x times
the assumed ones, a spot measured at (g_y, g_x) lies at (g_y / f_y, g_x / f_x), so that

    (g_y / f_y)^2 + (g_x / f_x)^2 = 1 / d^2 ,

linear in 1/f_y^2 and 1/f_x^2: one spot or ring gives a common factor, two spots in different directions
one for each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..parameters import Field, Parameter, check_value

Space = Literal["real", "reciprocal", "none"]

#: Start of the warning that an image has no usable scale; it is removed once somebody has given one.
NOT_CALIBRATED = "not calibrated"
#: Source of a scale that was read from the image's file.
AS_READ = "file"
#: Source of one that a person gave.
GIVEN = "given by the user"
#: Relative uncertainty of a microscope's calibration as delivered, and after correction on a standard.
DELIVERED_UNCERTAINTY = 0.02
STANDARD_UNCERTAINTY = 0.003
#: The uncertainty as the user states it in docks, options and files, per cent.
UNCERTAINTY = Parameter(
    "calibration_uncertainty",
    float,
    100 * DELIVERED_UNCERTAINTY,
    Field(
        "calibration uncertainty",
        unit="%",
        low=0.01,
        high=20,
        help="Standard uncertainty of the image's pixel size; matching gets more cautious with it.",
    ),
)


class CalibrationError(ValueError):
    """An image cannot be measured because its scale is missing or does not belong to an image."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scale of an image per axis.

    Attributes
    ----------
    scale : tuple of float, (y, x)
        nm per pixel in real space, 1/nm per pixel in reciprocal space, 1 if there is no calibration.
    space : {"real", "reciprocal", "none"}
        "none" is an uncalibrated image.
    uncertainty : float
        Relative standard uncertainty of the scale (0.02 is 2 %): the microscope's, never the fit's. This
        is its only home: profiles, options and docks change it here, and matching reads it here.
    source : str
        Where it comes from, in words for the user ("file", "given by the user", "corrected on Au 111").
    origin : tuple of float, (y, x), pixels, optional
        Where the file of a diffraction pattern puts g = 0, which may be outside of the image; None where
        it does not say.
    shear : float, optional
        Stretch of g along the diagonal, where both stretches of the image were measured on a standard. The
        pixel size along the axes cannot express it. Matching takes it into account; d and maps do not.

    Raises
    ------
    ValueError
        If a scale is not a positive finite number, or the uncertainty lies outside 0 to 0.5.

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
            raise ValueError(f"the calibration uncertainty must lie in 0-50 %, not {self.uncertainty}")

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
                "the image has no calibration, so no distance can be measured: give its pixel size in nm"
            )
        if self.space == "reciprocal":
            raise CalibrationError(
                "the image is calibrated in 1/nm: it is a diffraction pattern or a stored FFT, not a"
                " micrograph, and is not transformed again; measure it as it is with: napari-tem-fft pattern"
            )
        return self.scale

    @property
    def unit(self) -> str:
        """Unit of `scale`: "nm", "1/nm" or "pixel"."""
        return {"real": "nm", "reciprocal": "1/nm", "none": "pixel"}[self.space]

    @property
    def uncertainty_percent(self) -> float:
        """The uncertainty in per cent, without the digits that the conversion adds."""
        return round(100 * self.uncertainty, 10)

    def sentence(self) -> str:
        """The scale, how well it is known, and where it comes from, for the user.

        Examples
        --------
        >>> Calibration((0.02, 0.02), "real", source="file").sentence()
        '0.02 nm a pixel +/- 2 % (file)'
        """
        sy, sx = self.scale
        size = f"{sx:.6g}" if abs(sy / sx - 1) < 1e-6 else f"x {sx:.6g}, y {sy:.6g}"
        return f"{size} {self.unit} a pixel +/- {100 * self.uncertainty:.2g} % ({self.source})"

    def with_uncertainty(self, uncertainty: float) -> Calibration:
        """The same scale, known as well as a person says (relative; 0.003 is 0.3 %).

        Raises
        ------
        ValueError
            If it lies outside 0 to 0.5.
        """
        return replace(self, uncertainty=uncertainty)

    def corrected(self, correction: Correction) -> Calibration:
        """The calibration after a correction on a standard.

        A pixel in 1/nm is the larger the smaller the pixel in nm is, so its factors are the inverse ones.

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
    """Relative uncertainty of a scale that a person states in per cent.

    Raises
    ------
    ValueError
        If it lies outside the limits of `UNCERTAINTY`.
    """
    check_value(UNCERTAINTY, percent)
    return percent / 100


#: Two spots are refused if their directions give the scale of either axis with more than this relative
#: uncertainty.
WORST_UNCERTAINTY = 0.02
#: A factor beyond this comes from a wrong assignment, not from a calibration error.
LARGEST_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Correction:
    """Factors that bring a calibration onto a standard.

    Attributes
    ----------
    factors : tuple of float, (y, x)
        True pixel size over assumed pixel size.
    uncertainty : float
        Relative standard uncertainty of the corrected pixel size.
    standard : str
        What it was found on, in words for the user ("Au 111").
    shear : float, optional
        Stretch of g along the diagonal that is left after the factors, where a whole grain was the standard.

    Raises
    ------
    CalibrationError
        If a factor lies outside of 1/3 to 3.
    """

    factors: tuple[float, float]
    uncertainty: float = STANDARD_UNCERTAINTY
    standard: str = "a standard"
    shear: float | None = None

    def __post_init__(self) -> None:
        if not all(1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR for factor in self.factors):
            raise CalibrationError(
                f"the pixel size would change by a factor of {self.factors[0]:.3g} along y and"
                f" {self.factors[1]:.3g} along x: this is not the spot of {self.standard} that was meant"
            )
        if not 0 <= self.uncertainty <= 0.5:
            raise ValueError(f"the calibration uncertainty must lie in 0-50 %, not {self.uncertainty}")


def isotropic_correction(
    measured: Sequence[float], known: Sequence[float], standard: str, sigma: Sequence[float] | None = None
) -> Correction:
    """One factor for both axes, from the lattice spacings of spots or rings.

    Parameters
    ----------
    measured : sequence of float, nm
        Spacings by the present calibration.
    known : sequence of float, nm
        The standard's, one for each.
    standard : str
        Name of the standard and reflections, for the user.
    sigma : sequence of float, nm, optional
        Standard uncertainties of the measured spacings.

    Raises
    ------
    CalibrationError
        If there is no spacing, or one is not positive.
    """
    d, d_known = np.asarray(measured, float), np.asarray(known, float)
    if d.size == 0 or d.shape != d_known.shape or not (np.all(d > 0) and np.all(d_known > 0)):
        raise CalibrationError("a correction needs measured and known lattice spacings, both in nm")
    relative = np.zeros(d.shape) if sigma is None else np.asarray(sigma, float) / d
    weights = 1.0 / (STANDARD_UNCERTAINTY**2 + relative**2)
    factor = float(np.exp(np.average(np.log(d_known / d), weights=weights)))
    fit = float(1.0 / np.sqrt(weights.sum()))
    return Correction((factor, factor), max(STANDARD_UNCERTAINTY, fit), standard)


def axis_correction(spots: ArrayLike, known: Sequence[float], standard: str) -> Correction:
    """One factor per axis, from two or more spots in different directions.

    Parameters
    ----------
    spots : array-like, shape (n, 2), 1/nm
        Measured positions (y, x) by the present calibration.
    known : sequence of float, nm
        Spacings of the standard, one for each spot.
    standard : str

    Raises
    ------
    CalibrationError
        If there are fewer than two spots, or their directions do not separate the axes (as two spots
        mirrored in an axis).
    """
    g, d = np.asarray(spots, float).reshape(-1, 2), np.asarray(known, float)
    if len(g) < 2 or d.shape != (len(g),) or not np.all(d > 0):
        raise CalibrationError("a correction of both axes needs two spots and their lattice spacings in nm")
    rows = g**2 * d[:, None] ** 2
    if np.linalg.cond(rows) > 1e6:
        raise _same_direction()
    inverse = np.linalg.pinv(rows)
    squares = inverse @ np.ones(len(g))
    if np.any(squares <= 0):
        raise CalibrationError(f"no pixel size agrees with these spots of {standard}: check their assignment")
    # half of the relative error of 1/f^2, where each spacing carries the standard's own uncertainty
    errors = STANDARD_UNCERTAINTY * np.sqrt((inverse**2).sum(axis=1)) / squares
    if errors.max() > WORST_UNCERTAINTY:
        raise _same_direction()
    fy, fx = 1.0 / np.sqrt(squares)
    return Correction((float(fy), float(fx)), max(STANDARD_UNCERTAINTY, float(errors.max())), standard)


def _same_direction() -> CalibrationError:
    return CalibrationError(
        "the spots' directions do not separate the axes: take one near the x axis and one near the y axis,"
        " or correct both axes by the same factor"
    )
