"""Orientation matrices and Euler angles, by hand."""

import numpy as np
import pytest

from napari_tem_fft.core.crystal.orientation import CrystalOrientation, euler_angles, orientation_matrix
from napari_tem_fft.io.phases.table import load_table

CUBIC, HEXAGONAL = (0.4, 0.4, 0.4, 90, 90, 90), (0.3, 0.3, 0.5, 90, 90, 120)
X, Y, Z = np.eye(3)


def test_columns_are_where_the_crystal_axes_point_in_the_image():
    """[001] away from the viewer, a up: b is to the right, for y counts downwards."""
    matrix = orientation_matrix(CUBIC, (0, 0, 1), (1, 0, 0), 90.0)
    assert (
        matrix @ X == pytest.approx(-Y) and matrix @ Y == pytest.approx(X) and matrix @ Z == pytest.approx(Z)
    )


def test_the_normal_of_the_planes_lies_at_the_azimuth_as_displayed():
    matrix = orientation_matrix(CUBIC, (0, 1, 1), (2, 0, 0), 30.0)
    assert matrix @ X == pytest.approx([np.sqrt(3) / 2, -0.5, 0])
    assert matrix @ [0, 1, 1] == pytest.approx([0, 0, np.sqrt(2)])


def test_reversing_the_zone_axis_mirrors_the_pattern():
    """Seen from behind, b is on the other side of a."""
    there, back = (orientation_matrix(CUBIC, axis, (1, 0, 0), 0.0) for axis in ((0, 0, 1), (0, 0, -1)))
    assert there @ Y == pytest.approx(Y) and back @ Y == pytest.approx(-Y)


@pytest.mark.parametrize("cell", [CUBIC, HEXAGONAL, (0.3, 0.5, 0.7, 80, 95, 110)])
def test_matrices_are_proper_rotations(cell):
    matrix = orientation_matrix(cell, (1, -2, 3), (2, 1, 0), 77.0)
    assert matrix @ matrix.T == pytest.approx(np.eye(3)) and np.linalg.det(matrix) == pytest.approx(1)


def test_hexagonal_planes_are_sixty_degrees_apart():
    matrix = orientation_matrix(HEXAGONAL, (0, 0, 1), (1, 0, 0), 10.0)
    gold = {phase.id: phase for phase in load_table()}["graphite"]
    x, y, z = matrix @ (np.array([0, 1, 0]) @ gold.reciprocal_basis())
    assert np.degrees(np.arctan2(-y, x)) == pytest.approx(10 - 60) and z == pytest.approx(0)


def test_planes_that_are_not_in_the_zone_are_refused():
    with pytest.raises(ValueError, match="do not belong to the zone axis"):
        orientation_matrix(CUBIC, (0, 0, 1), (1, 0, 1), 0.0)


def test_euler_angles_are_three_turns_about_z_x_and_z():
    def about(axis, angle):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        plane = np.array([[c, s], [-s, c]])
        turn = np.eye(3)
        turn[np.ix_(axis, axis)] = plane
        return turn

    g = about([0, 1], 205.0) @ about([1, 2], 40.0) @ about([0, 1], 310.0)
    assert euler_angles(g.T) == pytest.approx((310.0, 40.0, 205.0))


def test_a_cube_on_edge():
    """[011] away from the viewer and a to the right: tilted by 45 degrees about x."""
    assert euler_angles(orientation_matrix(CUBIC, (0, 1, 1), (2, 0, 0), 0.0)) == pytest.approx((0, 45, 0))


def test_the_matrix_of_a_stored_orientation():
    gold = {phase.id: phase for phase in load_table()}["Au"]
    stored = CrystalOrientation((0, 1, 1), (2, 0, 0), 30.0, 0.2, 180.0, 0.2039)
    assert stored.matrix(gold) == pytest.approx(orientation_matrix(gold.cell, (0, 1, 1), (2, 0, 0), 30.0))


@pytest.mark.parametrize(
    "wrong",
    [{"hkl": (0, 1, 1)}, {"hkl": (0, 0, 0)}, {"period": 0.0}, {"rotation": float("nan")}, {"d": 0.0}],
    ids=str,
)
def test_an_orientation_that_cannot_be_is_refused(wrong):
    """A damaged file of results may hold any."""
    right = {
        "zone_axis": (0, 1, 1),
        "hkl": (2, 0, 0),
        "rotation": 30.0,
        "sigma": 0.2,
        "period": 180.0,
        "d": 0.2,
    }
    CrystalOrientation(**right)
    with pytest.raises(ValueError, match="no orientation"):
        CrystalOrientation(**right | wrong)
