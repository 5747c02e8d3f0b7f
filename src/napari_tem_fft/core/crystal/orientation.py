"""How a crystal lies in the image: from a zone axis and an in-plane rotation to a matrix and Euler angles.

Image axes are right-handed: x to the right, y down, z away from the viewer, along the beam where the image
shows the specimen as the beam meets it. Crystal axes are Cartesian: x along a, z along c*. A transform shows
+g and -g as one, so each orientation is known up to a half-turn about z: see `equivalent_orientations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .phase import Miller, Phase, reciprocal_basis

#: Rotations that may leave a pattern unchanged, degrees.
#: Symmetry, not tuned. Sweep: halved or doubled, orientations cannot be stated.
PERIODS = (180.0, 90.0, 60.0)
#: sin(Phi) below which only the sum or difference of the two other Euler angles is defined.
_POLE = 1e-9


@dataclass(frozen=True, slots=True)
class CrystalOrientation:
    """The orientation of a crystal seen along a zone axis.

    Attributes
    ----------
    zone_axis : tuple of int
        [uvw] that points away from the viewer.
    hkl : tuple of int
        Planes in that zone whose normal is measured; the same for all grains of a phase and zone axis.
    rotation : float, degrees
        Azimuth of that normal, counter-clockwise from +x as displayed, in [0, period).
    sigma : float, degrees
        Standard uncertainty of the rotation.
    period : float, degrees
        Rotation after which the pattern is the same: 180, 90 or 60.
    d : float, nm
        Spacing of these planes, by the phase's table cell.

    Raises
    ------
    ValueError
        If the planes do not belong to the zone, or a number is none that a measurement gives.

    Examples
    --------
    >>> one = CrystalOrientation((0, 1, 1), (2, 0, 0), 30.0, 0.1, 180.0, 0.2013)
    >>> one.zone_axis, one.rotation
    ((0, 1, 1), 30.0)
    """

    zone_axis: Miller
    hkl: Miller
    rotation: float
    sigma: float
    period: float
    d: float

    def __post_init__(self) -> None:
        in_zone = any(self.hkl) and np.dot(self.zone_axis, self.hkl) == 0
        numbers = isfinite(self.rotation) and isfinite(self.sigma) and self.d > 0
        if not (in_zone and any(self.zone_axis) and numbers and self.period in PERIODS):
            raise ValueError(f"no orientation of a crystal: {self}")

    def matrix(self, phase: Phase) -> NDArray[np.float64]:
        """The rotation matrix from crystal to image axes (see `orientation_matrix`)."""
        return orientation_matrix(phase.cell, self.zone_axis, self.hkl, self.rotation)


def orientation_matrix(
    cell: Sequence[float], zone_axis: Sequence[int], hkl: Sequence[int], rotation: float
) -> NDArray[np.float64]:
    """Rotation matrix from crystal to image axes of a crystal seen along a zone axis.

    Parameters
    ----------
    cell : sequence of 6 float
        a, b, c in nm, alpha, beta, gamma in degrees.
    zone_axis : sequence of int, shape (3,)
        [uvw] that points away from the viewer (+z of the image).
    hkl : sequence of int, shape (3,)
        Planes of that zone.
    rotation : float, degrees
        Azimuth of their normal, counter-clockwise from +x as displayed.

    Returns
    -------
    ndarray, shape (3, 3)
        Columns are the images of the crystal's Cartesian axes (x along a, z along c*) in image axes
        (x right, y down, z away from the viewer); its determinant is 1.

    Raises
    ------
    ValueError
        If the planes are not in the zone.

    Examples
    --------
    A cubic crystal seen along [001] with the normal of (100) to the right has b pointing down:

    >>> cubic = (0.4, 0.4, 0.4, 90, 90, 90)
    >>> (orientation_matrix(cubic, (0, 0, 1), (1, 0, 0), 0.0) @ [1, 2, 3]).round(3).tolist()
    [1.0, 2.0, 3.0]

    Turned by 90 degrees, that normal points up, where y is negative:

    >>> (orientation_matrix(cubic, (0, 0, 1), (1, 0, 0), 90.0) @ [1, 0, 0]).round(3).tolist()
    [0.0, -1.0, 0.0]
    """
    if np.dot(zone_axis, hkl) != 0:
        raise ValueError(f"planes {tuple(hkl)} do not belong to the zone axis {tuple(zone_axis)}")
    basis = reciprocal_basis(cell)
    normal = _unit(np.asarray(hkl, float) @ basis)
    beam = _unit(np.asarray(zone_axis, float) @ np.linalg.inv(basis).T)
    angle = np.radians(rotation)
    right = np.array([np.cos(angle), -np.sin(angle), 0.0])
    away = np.array([0.0, 0.0, 1.0])
    crystal = np.stack([normal, np.cross(beam, normal), beam])
    image = np.stack([right, np.cross(away, right), away])
    matrix: NDArray[np.float64] = image.T @ crystal
    return matrix


def euler_angles(orientation: ArrayLike) -> tuple[float, float, float]:
    """Bunge's Euler angles phi1, Phi, phi2 of an orientation, degrees.

    Three rotations about z, x' and z'' turn the image axes (x right, y down, z away from the viewer) into the
    crystal's Cartesian axes (x along a, z along c*). Where Phi is 0 or 180, phi2 is 0.

    Parameters
    ----------
    orientation : array_like, shape (3, 3)
        Rotation from crystal to image axes.

    Returns
    -------
    phi1, Phi, phi2 : float, degrees
        In [0, 360), [0, 180] and [0, 360).

    Examples
    --------
    >>> import numpy as np
    >>> [round(angle, 3) for angle in euler_angles(np.eye(3))]
    [0.0, 0.0, 0.0]
    >>> turned = orientation_matrix((0.4, 0.4, 0.4, 90, 90, 90), (0, 0, 1), (1, 0, 0), -30.0)
    >>> [round(angle, 3) for angle in euler_angles(turned)]
    [30.0, 0.0, 0.0]
    """
    g = np.asarray(orientation, float).T
    tilt = float(np.arctan2(np.hypot(g[2, 0], g[2, 1]), g[2, 2]))
    if np.sin(tilt) > _POLE:
        first, second = np.arctan2(g[2, 0], -g[2, 1]), np.arctan2(g[0, 2], g[1, 2])
    else:
        first, second = np.arctan2(g[0, 1], g[0, 0]), 0.0
    phi1, phi2 = (round(float(np.degrees(angle)), 9) % 360.0 for angle in (first, second))
    return phi1, float(np.degrees(tilt)), phi2


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)
