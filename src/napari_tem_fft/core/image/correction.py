"""Correction: factors for a calibration, determined from spots or rings of a known crystal.

A microscope's pixel size is wrong by a per cent or two; a spot of known lattice spacing in the same image
(or in one taken under the same conditions) shows by how much. With the pixel sizes f_y and f_x times
the assumed ones, a spot measured at (g_y, g_x) lies at (g_y / f_y, g_x / f_x), so that

    (g_y / f_y)^2 + (g_x / f_x)^2 = 1 / d^2 ,

linear in 1/f_y^2 and 1/f_x^2: one spot or ring gives a common factor, two spots in different directions
one for each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .calibration import STANDARD_UNCERTAINTY, CalibrationError

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
