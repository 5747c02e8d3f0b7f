"""Orientation of a crystal in the image, its symmetry equivalents, and the pattern that it gives.

Image axes are right-handed: x to the right, y down, z away from the viewer. If the image shows the specimen
as the beam meets it, z points along the beam. Crystal axes are Cartesian: x along a, z along c*. A transform
does not distinguish +g from -g, so each orientation is known only up to a rotation by 180 degrees about z:
see
`equivalent_orientations`.

The symmetry is that of the Laue group, and only its proper rotations count: the transform of a thin crystal
does not distinguish +g from -g, so it shows no more of the point group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .phase import Miller, Phase, as_miller, reciprocal_basis
from .structure import planes_of

#: Rotations, degrees, that can leave a pattern unchanged.
#: Given by symmetry, not tuned. Sweep: halved or doubled, orientations cannot be stated.
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
        Planes in that zone whose normal gives the azimuth; the same for all grains of a phase and zone axis.
    rotation : float, degrees
        Azimuth of that normal, counter-clockwise from +x as displayed, in [0, period).
    sigma : float, degrees
        Standard uncertainty of the rotation.
    period : float, degrees
        Rotation after which the pattern is the same: 180, 90 or 60.
    d : float, nm
        Spacing of these planes, from the phase's cell in the table.

    Raises
    ------
    ValueError
        If the planes do not belong to the zone, or a value is not finite or not allowed.

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
            raise ValueError(f"not a valid orientation of a crystal: {self}")

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
        Planes in that zone.
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

    Rotated by 90 degrees, that normal points up, where y is negative:

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


#: Rotation by 180 degrees about the beam, which a transform cannot show.
HALF_TURN = np.diag([-1.0, -1.0, 1.0])
#: Two rotations closer than this, degrees, are the same: far above rounding, far below any measurement.
SAME = 1e-3
#: A misorientation counts as a twin's within this angle, degrees: about the uncertainty that results from
#: rotations measured in distorted images (1 %) and from zone axes that are tilted but still visible.
#: Brandon's limit for Sigma 3 is 8.7.
TWIN_REACH = 2.0
#: The Sigma 3 twin of cubic crystals: 60 degrees about <111>.
SIGMA_3 = np.array([[2.0, -1.0, 2.0], [2.0, 2.0, -1.0], [-1.0, 2.0, 2.0]]) / 3


@dataclass(frozen=True, slots=True)
class Misorientation:
    """The rotation between two crystals of one phase.

    Attributes
    ----------
    angle : float, degrees
        The smallest over all equivalents and over the 180-degree rotation that a transform cannot show.
    axis : tuple of float, shape (3,)
        Unit vector in the crystal's Cartesian axes, one of several symmetry-equivalent ones. (0, 0, 0) if the
        angle is 0.
    other_angle, other_axis
        The same with one of the two crystals rotated by 180 degrees about the beam.
    ambiguous : bool
        Whether the two differ, so that the image is consistent with both.
    sigma_3, other_sigma_3 : bool
        Whether they are the twin of a cubic crystal: 60 degrees about <111>.

    Examples
    --------
    >>> Misorientation(60.0, (0.577, 0.577, 0.577), 60.0, (0.577, 0.577, 0.577), False, sigma_3=True).note
    'Sigma 3 twin'
    """

    angle: float
    axis: tuple[float, float, float]
    other_angle: float
    other_axis: tuple[float, float, float]
    ambiguous: bool
    sigma_3: bool = False
    other_sigma_3: bool = False

    @property
    def note(self) -> str:
        """An empty text, "Sigma 3 twin", or "ambiguous: ..." with both possible misorientations."""
        if not self.ambiguous:
            return "Sigma 3 twin" if self.sigma_3 else ""
        ways = ((self.angle, self.sigma_3), (self.other_angle, self.other_sigma_3))
        words = [f"{angle:.1f} degrees" + (" (Sigma 3 twin)" if twin else "") for angle, twin in ways]
        return f"ambiguous: {' or '.join(words)}"


def symmetry_rotations(phase: Phase) -> NDArray[np.float64]:
    """The proper rotations of a phase's Laue group, in the crystal's Cartesian axes.

    Parameters
    ----------
    phase : Phase

    Returns
    -------
    ndarray, shape (n, 3, 3)
        24 for m-3m, 12 for 6/mmm.

    Raises
    ------
    ValueError
        If only d-spacings of the phase are known.

    Examples
    --------
    >>> from napari_tem_fft.io.phases.table import load_table
    >>> table = {phase.id: phase for phase in load_table()}
    >>> len(symmetry_rotations(table["Au"])), len(symmetry_rotations(table["graphite"]))
    (24, 12)
    """
    return _cartesian(_fractional_rotations(phase), phase)


def _fractional_rotations(phase: Phase) -> NDArray[np.int64]:
    """These rotations for columns of fractional coordinates, shape (n, 3, 3)."""
    planes = planes_of(phase)
    if planes is None:
        raise ValueError(f"{phase.id}: only d-spacings are known, so its crystals have no orientation")
    return planes.rotations


def _cartesian(fractional: NDArray[np.int64], phase: Phase) -> NDArray[np.float64]:
    """Convert rotations of fractional coordinates to the crystal's Cartesian axes."""
    to_cartesian = np.linalg.inv(phase.reciprocal_basis())
    turned = to_cartesian @ fractional @ np.linalg.inv(to_cartesian)
    u, _, v = np.linalg.svd(turned)  # a cell is metrically symmetric only to its last digit
    return np.asarray(u @ v, np.float64)


def equivalent_orientations(
    orientation: ArrayLike, rotations: NDArray[np.float64], half_turn: bool = True
) -> NDArray[np.float64]:
    """All orientations that the image cannot distinguish, by the crystal's symmetry and because +g is -g.

    Parameters
    ----------
    orientation : array_like, shape (3, 3)
        Rotation from crystal to image axes.
    rotations : ndarray, shape (n, 3, 3)
        Rotations from `symmetry_rotations`.
    half_turn : bool
        Whether those rotated by 180 degrees about the beam are included. Combined with the inversion, which a
        transform cannot show either, these are the crystals seen along the reversed zone axis.

    Returns
    -------
    ndarray, shape (n, 3, 3) or (2 n, 3, 3)

    Examples
    --------
    >>> import numpy as np
    >>> alone = np.eye(3)[None]
    >>> equivalent_orientations(np.eye(3), alone)[:, 0, 0].tolist()
    [1.0, -1.0]
    """
    own = np.asarray(orientation, float) @ rotations
    return np.concatenate([own, HALF_TURN @ own]) if half_turn else own


def misorientation(a: ArrayLike, b: ArrayLike, point_group: NDArray[np.float64]) -> Misorientation:
    """The smallest rotation between two crystals of one phase, and the other one that the image allows.

    Parameters
    ----------
    a, b : array_like, shape (3, 3)
        Orientations, from crystal to image axes.
    point_group : ndarray, shape (n, 3, 3)
        Rotations from `symmetry_rotations`.

    Returns
    -------
    Misorientation

    Examples
    --------
    Two grains of gold along [011], rotated by 70.53 degrees, are twins:

    >>> from napari_tem_fft.io.phases.table import load_table
    >>> gold = next(phase for phase in load_table() if phase.id == "Au")
    >>> a, b = (orientation_matrix(gold.cell, (0, 1, 1), (2, 0, 0), turn) for turn in (10.0, 80.5288))
    >>> found = misorientation(a, b, symmetry_rotations(gold))
    >>> round(found.angle, 3), [round(3**0.5 * x, 3) for x in found.axis], found.note
    (60.0, [1.0, 1.0, 1.0], 'Sigma 3 twin')

    Along [111] a twin has the same spots as its matrix:

    >>> a, b = (orientation_matrix(gold.cell, (1, 1, 1), (2, -2, 0), turn) for turn in (10.0, 70.0))
    >>> misorientation(a, b, symmetry_rotations(gold)).note
    'ambiguous: 0.0 degrees or 60.0 degrees (Sigma 3 twin)'
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    ways = a.T @ b, a.T @ HALF_TURN @ b
    (angle, axis), (other_angle, other_axis) = (_least(way, point_group) for way in ways)
    cubic = len(point_group) == 24 or _is_cubic_m3(point_group)
    twin, other_twin = (
        cubic and disorientation_angle(way, SIGMA_3, point_group) < TWIN_REACH for way in ways
    )
    found = Misorientation(
        angle,
        axis,
        other_angle,
        other_axis,
        disorientation_angle(*ways, point_group) > SAME,
        twin,
        other_twin,
    )
    if other_angle < angle - SAME:
        return replace(
            found, angle=other_angle, axis=other_axis, other_angle=angle, other_axis=axis,
            sigma_3=other_twin, other_sigma_3=twin,
        )  # fmt: skip
    return found


def disorientation_angle(
    one: NDArray[np.float64], other: NDArray[np.float64], point_group: NDArray[np.float64]
) -> float:
    """Smallest angle between two orientations over all their equivalents, degrees."""
    ways = point_group[:, None] @ one @ point_group @ other.T
    return float(_angles(ways).min())


def along_zone(
    phase: Phase, zone_axis: Sequence[int], hkl: Sequence[int], rotation: float, sigma: float
) -> CrystalOrientation:
    """The representative orientation, in the form shared by all grains of a phase and zone axis.

    Parameters
    ----------
    phase : Phase
    zone_axis : sequence of int, shape (3,)
        [uvw] that points away from the viewer.
    hkl : sequence of int, shape (3,)
        Planes in that zone.
    rotation, sigma : float, degrees
        Azimuth of their normal as displayed, and its standard uncertainty.

    Returns
    -------
    CrystalOrientation
        With the rotation in [0, period). If the crystal's symmetry can reverse the zone axis, its first index
        that is not 0 is positive; otherwise the sign is part of the measurement.

    Examples
    --------
    >>> from napari_tem_fft.io.phases.table import load_table
    >>> gold = next(phase for phase in load_table() if phase.id == "Au")
    >>> found = along_zone(gold, (0, 0, -1), (2, 0, 0), 100.0, 0.2)
    >>> found.zone_axis, found.hkl, found.rotation, found.period, round(found.d, 4)
    ((0, 0, 1), (2, 0, 0), 10.0, 90.0, 0.2039)
    """
    axis, normal = np.asarray(zone_axis, np.int64), np.asarray(hkl, float) @ phase.reciprocal_basis()
    rotations, period = _fractional_rotations(phase), in_plane_period(phase, zone_axis)
    reversing = rotations[(rotations @ axis == -axis).all(axis=1)]
    if len(reversing) and axis[np.flatnonzero(axis)[0]] < 0:
        matrix = orientation_matrix(phase.cell, zone_axis, hkl, rotation) @ _cartesian(reversing[0], phase)
        axis = -axis
        x, y, _ = matrix @ normal
        rotation = float(np.degrees(np.arctan2(-y, x)))
    rotation = round(rotation % period, 9) % period
    d = float(1 / np.linalg.norm(normal))
    return CrystalOrientation(as_miller(axis), as_miller(np.asarray(hkl)), rotation, sigma, period, d)


def in_plane_period(phase: Phase, zone_axis: Sequence[int]) -> float:
    """Rotation about the beam after which the pattern along a zone axis is the same, degrees.

    180 because +g and -g are not distinguished, 90 along an axis of order 4, 60 along one of order 3 or 6.

    Examples
    --------
    >>> from napari_tem_fft.io.phases.table import load_table
    >>> gold = next(phase for phase in load_table() if phase.id == "Au")
    >>> [in_plane_period(gold, axis) for axis in ((0, 1, 1), (0, 0, 1), (1, 1, 1))]
    [180.0, 90.0, 60.0]
    """
    axis = np.asarray(zone_axis, np.int64)
    order = int((_fractional_rotations(phase) @ axis == axis).all(axis=1).sum())
    return {4: 90.0, 3: 60.0, 6: 60.0}.get(order, 180.0)


def nearest_direction(axis: Sequence[float], phase: Phase, largest: int = 3) -> tuple[Miller, float]:
    """[uvw] with small indices nearest to a direction in Cartesian crystal axes, and the angle to it.

    Parameters
    ----------
    axis : sequence of float, shape (3,)
    phase : Phase
    largest : int
        Largest index.

    Returns
    -------
    uvw : tuple of int
    angle : float, degrees

    Examples
    --------
    >>> from napari_tem_fft.io.phases.table import load_table
    >>> gold = next(phase for phase in load_table() if phase.id == "Au")
    >>> uvw, angle = nearest_direction((0.577, 0.577, 0.578), gold)
    >>> uvw, round(angle, 2)
    ((1, 1, 1), 0.05)
    """
    indices = np.arange(-largest, largest + 1)
    grid = np.stack(np.meshgrid(indices, indices, indices, indexing="ij"), -1).reshape(-1, 3)
    grid = grid[np.gcd.reduce(grid, axis=1) == 1]
    directions = grid @ np.linalg.inv(phase.reciprocal_basis()).T
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    unit = np.asarray(axis, float) / np.linalg.norm(axis)
    sine = np.linalg.norm(np.cross(directions, unit), axis=1)
    angles = np.degrees(np.arctan2(sine, directions @ unit))
    best = int(np.argmin(angles.round(6)))
    return as_miller(grid[best]), float(angles[best])


def _least(
    way: NDArray[np.float64], point_group: NDArray[np.float64]
) -> tuple[float, tuple[float, float, float]]:
    """Smallest angle of a rotation's equivalents, degrees, and its axis (the first in x, y, z)."""
    ways = way @ point_group
    angles = _angles(ways)
    least = float(angles.min())
    if least < SAME:
        return 0.0, (0.0, 0.0, 0.0)
    axes = np.concatenate([_axis(ways[n]) @ point_group for n in np.flatnonzero(angles < least + SAME)])
    axes = np.concatenate([axes, -axes]).round(9) + 0.0
    x, y, z = max(axes.tolist(), key=lambda one: [round(part, 5) for part in one])
    return least, (float(x), float(y), float(z))


def _angles(rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles of rotations, degrees, for all axes but the last two; exact near 0 and 180 too."""
    cosine = 0.5 * (np.trace(rotations, axis1=-2, axis2=-1) - 1)
    skew = rotations - np.swapaxes(rotations, -1, -2)
    sine = 0.5 * np.sqrt(skew[..., 0, 1] ** 2 + skew[..., 0, 2] ** 2 + skew[..., 1, 2] ** 2)
    return np.asarray(np.degrees(np.arctan2(sine, cosine)), np.float64)


def _axis(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vector along the axis of a rotation, of either sign, shape (3,)."""
    *_, v = np.linalg.svd(rotation - np.eye(3))
    return np.asarray(v[2], np.float64)


def _is_cubic_m3(point_group: NDArray[np.float64]) -> bool:
    """Whether 12 rotations are those of m-3 and not of 6/mmm: no six-fold axis."""
    return len(point_group) == 12 and bool((np.abs(_angles(point_group) - 60) > 1).all())


@dataclass(frozen=True, slots=True)
class PatternSpot:
    """A reflection of a crystal seen along a zone axis.

    Attributes
    ----------
    hkl : tuple of int
    g : tuple of float, (y, x), 1/nm
        Position in the diffractogram of the image, by the image's own calibration.
    relative_f : float
        \\|F\\| divided by the phase's largest; NaN if the atoms are unknown.
    """

    hkl: Miller
    g: tuple[float, float]
    relative_f: float


def simulated_pattern(
    phase: Phase, orientation: CrystalOrientation, scale: float, reach: float
) -> tuple[PatternSpot, ...]:
    """Reflections of the zone (Laue zone 0, kinematic), both of each pair, in order of |g|.

    Parameters
    ----------
    phase : Phase
    orientation : CrystalOrientation
    scale : float
        Factor on the measured d at which the phase fits.
    reach : float, 1/nm
        Largest |g| by the image's calibration.

    Examples
    --------
    >>> from napari_tem_fft.io.phases.table import load_table
    >>> copper = next(phase for phase in load_table() if phase.id == "Cu")
    >>> lies = CrystalOrientation((0, 0, 1), (2, 0, 0), 90.0, 0.1, 90.0, 0.18075)
    >>> spots = simulated_pattern(copper, lies, 1.0, 6.0)
    >>> [(spot.hkl, tuple(round(g, 2) + 0.0 for g in spot.g)) for spot in spots if spot.hkl[0] > 0]
    [((2, 0, 0), (-5.53, 0.0))]
    """
    if phase.d_only:
        return ()
    basis, turn = phase.reciprocal_basis(), orientation.matrix(phase)
    found = []
    for reflection in phase.reflections:
        if scale / reflection.d > reach:
            break
        for hkl in reflection.members or (reflection.hkl,):
            if np.dot(hkl, orientation.zone_axis):
                continue
            x, y, _ = scale * (turn @ (np.asarray(hkl, float) @ basis))
            found.append(PatternSpot(hkl, (float(y), float(x)), reflection.relative_f))
    return tuple(found)
