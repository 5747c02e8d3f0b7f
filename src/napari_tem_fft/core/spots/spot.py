"""Spot: one Bragg reflection seen somewhere in the image, measured to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees, hypot
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Origin = Literal["image", "window", "grain", "network", "hand", "pattern"]
SpotKind = Literal["reflection", "forbidden", "satellite", "unexplained", "camera"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A pair of Bragg spots +g, -g; only +g is stored (see `core`), because the two are one datum.

    Attributes
    ----------
    id : int
        Unique within an analysis and kept through edits.
    g : tuple of float, (y, x), 1/nm
        Refined position.
    sigma : float, 1/nm
        Standard uncertainty of g along either axis, from the fit alone.
    snr : float
        Power divided by the mean noise power where it was measured.
    log_false_alarm : float
        Natural logarithm of the probability that noise alone gives this SNR at one frequency.
    origin : {"image", "window", "grain", "network", "hand", "pattern"}
        How it was found: in the transform of the whole image, in a local window, by the lattice of a known
        grain, by the network, by the user, or in a stored diffraction pattern.
    windows : tuple of int
        Indices of the local windows in which it stands out.
    centre : tuple of float, (y, x), nm
        Centre of the region in which it was seen.
    size : float, nm
        Diameter of that region.
    radius : float, 1/nm
        Radius of its disc in the mask.
    enabled : bool
        False if the user has erased its disc; satellites are disabled unless the user enables them.
    kind : {"reflection", "forbidden", "satellite", "unexplained", "camera"}
        Position relative to the lattice of its grain: on it; at a point where the structure factor vanishes;
        off it and faint; off it and strong. Without a known lattice a spot counts as a reflection. Spots of
        the camera belong to no grain.

    Examples
    --------
    >>> spot = Spot(1, (3.0, 4.0), 0.01, 50.0, -20.0)
    >>> spot.d, round(spot.d_sigma, 5)  # nm
    (0.2, 0.0004)
    """

    id: int
    g: tuple[float, float]
    sigma: float
    snr: float
    log_false_alarm: float
    origin: Origin = "window"
    windows: tuple[int, ...] = ()
    centre: tuple[float, float] = (0.0, 0.0)
    size: float = 0.0
    radius: float = 0.1
    enabled: bool = True
    kind: SpotKind = "reflection"

    @property
    def length(self) -> float:
        """|g|, 1/nm."""
        return hypot(*self.g)

    @property
    def d(self) -> float:
        """Lattice spacing 1 / |g|, nm, by the image's calibration."""
        return 1.0 / self.length

    @property
    def d_sigma(self) -> float:
        """Standard uncertainty of d from the fit, nm; the calibration's is not included."""
        return self.sigma / self.length**2

    @property
    def azimuth(self) -> float:
        """Direction of g, degrees counter-clockwise from +x as displayed, in [0, 180)."""
        return degrees(atan2(-self.g[0], self.g[1])) % 180.0

    @property
    def azimuth_sigma(self) -> float:
        """Standard uncertainty of the azimuth, degrees."""
        return degrees(self.sigma / self.length)


def friedel_representative(g: tuple[float, float]) -> tuple[float, float]:
    """The member of the pair +g, -g that is stored: g_x > 0, or g_x = 0 and g_y > 0."""
    gy, gx = g
    return (-gy, -gx) if gx < 0 or (gx == 0 and gy < 0) else (gy, gx)


def separation(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Distance between two frequencies, 1/nm, each of which represents the pair +g, -g."""
    return min(hypot(a[0] - b[0], a[1] - b[1]), hypot(a[0] + b[0], a[1] + b[1]))


def separations(g: ArrayLike, others: NDArray[np.float64]) -> NDArray[np.float64]:
    """`separation` of frequencies, shape (..., 2), that broadcast against each other; 1/nm."""
    g = np.asarray(g, np.float64)
    (y, x), (v, u) = (g[..., 0], g[..., 1]), (others[..., 0], others[..., 1])
    apart = np.minimum((v - y) ** 2 + (u - x) ** 2, (v + y) ** 2 + (u + x) ** 2)
    return np.asarray(np.sqrt(apart), np.float64)


def angle_between(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Angle between two frequencies, degrees, 0 to 180; unlike in pairs, their signs matter."""
    cosine = np.dot(a, b) / (np.hypot(*a) * np.hypot(*b))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
