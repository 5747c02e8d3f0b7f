"""Calibration: the pixel size, its uncertainty and its source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..parameters import Field, Parameter, check_value

if TYPE_CHECKING:
    from .correction import Correction

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
