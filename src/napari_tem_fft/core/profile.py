"""RadialProfile: the rotational average of a spectrum, like a powder diffraction pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Curve = Literal["whole image", "masked", "local maximum"]


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
        Which curve it was found on.
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
        SNR over the local windows).
    g : ndarray, shape (n,), 1/nm
        Middle of each ring.
    intensity : ndarray, shape (n,)
        Mean over the ring, not the sum, which rises with g. NaN where a ring has no pixel.
    background : ndarray, shape (n,)
    peaks : tuple of ProfilePeak
    """

    curve: Curve
    g: NDArray[np.float64]
    intensity: NDArray[np.float64]
    background: NDArray[np.float64]
    peaks: tuple[ProfilePeak, ...] = ()
