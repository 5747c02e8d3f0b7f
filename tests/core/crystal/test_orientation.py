"""Orientation matrices and Euler angles, by hand.

Misorientations with angles known by hand: Sigma 3 twins, and what a transform cannot tell.
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tem_fft.core.crystal.orientation import (
    CrystalOrientation,
    along_zone,
    equivalent_orientations,
    euler_angles,
    in_plane_period,
    misorientation,
    nearest_direction,
    orientation_matrix,
    symmetry_rotations,
)
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
    with pytest.raises(ValueError, match="not a valid orientation"):
        CrystalOrientation(**right | wrong)


PHASES = {phase.id: phase for phase in load_table()}
GOLD, GRAPHITE, CARBONATE = PHASES["Au"], PHASES["graphite"], PHASES["Li2CO3"]
CUBIC_GROUP, HEXAGONAL_GROUP = symmetry_rotations(GOLD), symmetry_rotations(GRAPHITE)
TWIN = np.degrees(np.arccos(-1 / 3))  # 109.47 degrees


def gold(axis, hkl, rotation):
    return orientation_matrix(GOLD.cell, axis, hkl, rotation)


@pytest.mark.parametrize("phase, order", [("Au", 24), ("graphite", 12), ("Li2CO3", 2), ("TiO2_rutile", 8)])
def test_the_rotations_are_those_of_the_laue_group(phase, order):
    rotations = symmetry_rotations(PHASES[phase])
    assert rotations.shape == (order, 3, 3)
    assert np.linalg.det(rotations) == pytest.approx(np.ones(order))
    products = (rotations[:, None] @ rotations).reshape(-1, 9)
    assert len(np.unique(products.round(6) + 0.0, axis=0)) == order


def test_gold_grains_turned_by_the_twin_angle_along_011_are_a_sigma_3_twin():
    found = misorientation(gold((0, 1, 1), (2, 0, 0), 10), gold((0, 1, 1), (2, 0, 0), 10 + TWIN), CUBIC_GROUP)
    assert found.angle == pytest.approx(60, abs=1e-6) and np.multiply(found.axis, 3**0.5) == pytest.approx(1)
    assert found.other_angle == pytest.approx(60, abs=1e-6)
    assert found.sigma_3 and not found.ambiguous and found.note == "Sigma 3 twin"


@pytest.mark.parametrize(
    "axis, hkl", [((0, 1, 1), (2, 0, 0)), ((1, 1, 2), (1, 1, -1)), ((1, 2, 3), (1, 1, -1))]
)
def test_grains_turned_by_180_degrees_are_the_same_datum(axis, hkl):
    found = misorientation(gold(axis, hkl, 10), gold(axis, hkl, 190), CUBIC_GROUP)
    assert found.angle == 0.0
    assert along_zone(GOLD, axis, hkl, 10, 0.1) == along_zone(GOLD, axis, hkl, 190, 0.1)


def test_along_011_the_half_turn_is_a_symmetry_so_nothing_is_left_open():
    same = misorientation(gold((0, 1, 1), (2, 0, 0), 10), gold((0, 1, 1), (2, 0, 0), 10), CUBIC_GROUP)
    assert (same.angle, same.other_angle, same.ambiguous, same.note) == (0.0, 0.0, False, "")


def test_along_111_a_twin_cannot_be_told_from_its_matrix():
    for turn in (0, 60, 120):
        found = misorientation(
            gold((1, 1, 1), (2, -2, 0), 10), gold((1, 1, 1), (2, -2, 0), 10 + turn), CUBIC_GROUP
        )
        assert (found.angle, found.axis) == (0.0, (0.0, 0.0, 0.0))
        assert found.other_angle == pytest.approx(60, abs=1e-6) and found.ambiguous
        assert found.note == "ambiguous: 0.0 degrees or 60.0 degrees (Sigma 3 twin)"


def test_grains_on_different_zone_axes():
    """From [001] with a to the right to [011] with a to the right it is 45 degrees about a."""
    found = misorientation(gold((0, 0, 1), (2, 0, 0), 0), gold((0, 1, 1), (2, 0, 0), 0), CUBIC_GROUP)
    assert found.angle == pytest.approx(45) and found.axis == pytest.approx((1, 0, 0))
    assert not found.sigma_3


def test_hexagonal_crystals_repeat_after_60_degrees():
    a, b = (orientation_matrix(GRAPHITE.cell, (0, 0, 1), (1, 0, 0), turn) for turn in (0, 85))
    found = misorientation(a, b, HEXAGONAL_GROUP)
    assert found.angle == pytest.approx(25) and found.axis == pytest.approx((0, 0, 1)) and not found.ambiguous
    tilted = orientation_matrix(GRAPHITE.cell, (2, 1, 0), (0, 0, 2), 0)  # [210] is the normal of (100)
    assert misorientation(a, tilted, HEXAGONAL_GROUP).angle == pytest.approx(90)


def test_the_largest_misorientation_of_hexagonal_crystals():
    """c tilted by 90 degrees and the crystal turned by 30 about c: cos(angle / 2) = cos 45 cos 15."""
    a = orientation_matrix(GRAPHITE.cell, (0, 0, 1), (1, 0, 0), 0)
    tilted = orientation_matrix(GRAPHITE.cell, (1, 0, 0), (0, 0, 2), 0)
    angle = 2 * np.degrees(np.arccos(np.cos(np.radians(45)) * np.cos(np.radians(15))))
    assert (
        misorientation(a, tilted, HEXAGONAL_GROUP).angle
        == pytest.approx(angle)
        == pytest.approx(93.84, abs=0.01)
    )


def test_a_hexagonal_crystal_is_no_sigma_3_twin():
    turned = Rotation.from_rotvec(np.radians(60) * np.ones(3) / 3**0.5).as_matrix()
    assert not misorientation(np.eye(3), turned, HEXAGONAL_GROUP).sigma_3


@pytest.mark.parametrize("group", [CUBIC_GROUP, HEXAGONAL_GROUP], ids=["cubic", "hexagonal"])
@pytest.mark.parametrize("seed", range(5))
def test_a_small_random_rotation_applied_twice_is_twice_as_large(group, seed):
    rng = np.random.default_rng(seed)
    start = Rotation.random(random_state=seed).as_matrix()
    axis = rng.normal(size=3)
    step = Rotation.from_rotvec(np.radians(9) * axis / np.linalg.norm(axis)).as_matrix()
    once, twice = (
        misorientation(start, start @ step, group),
        misorientation(start, start @ step @ step, group),
    )
    for found, angle in ((once, 9), (twice, 18)):
        assert min(abs(found.angle - angle), abs(found.other_angle - angle)) < 1e-6
        assert found.angle <= found.other_angle


@pytest.mark.parametrize("seed", range(5))
def test_any_of_the_equivalents_gives_the_same_misorientation(seed):
    rng = np.random.default_rng(seed)
    a, b = Rotation.random(2, random_state=seed).as_matrix()
    wanted = misorientation(a, b, CUBIC_GROUP)
    one, other = (
        rng.choice(equivalent_orientations(a, CUBIC_GROUP)),
        rng.choice(equivalent_orientations(b, CUBIC_GROUP)),
    )
    found = misorientation(one, other, CUBIC_GROUP)
    assert (found.angle, found.other_angle) == pytest.approx((wanted.angle, wanted.other_angle))
    assert found.axis == pytest.approx(wanted.axis, abs=1e-5)
    assert misorientation(b, a, CUBIC_GROUP).angle == pytest.approx(wanted.angle)
    assert found.angle < 62.8  # the largest there is between cubic crystals


def test_the_period_is_that_of_the_pattern():
    periods = [in_plane_period(GOLD, axis) for axis in ((0, 1, 1), (0, 0, 1), (1, 1, 1), (1, 1, 2))]
    assert periods == [180, 90, 60, 180]
    assert in_plane_period(GRAPHITE, (0, 0, 1)) == 60 and in_plane_period(CARBONATE, (0, 1, 0)) == 180


def test_a_reversed_axis_is_turned_to_the_front_where_symmetry_allows_it():
    """[011] from behind with a at 30 degrees is [011] from the front with a at 30 degrees."""
    assert along_zone(GOLD, (0, -1, -1), (2, 0, 0), 30, 0.1) == along_zone(
        GOLD, (0, 1, 1), (2, 0, 0), 30, 0.1
    )
    skew = along_zone(GOLD, (0, -1, -1), (1, 1, -1), 30, 0.1)
    a, b = gold((0, -1, -1), (1, 1, -1), 30), skew.matrix(GOLD)
    assert skew.zone_axis == (0, 1, 1) and misorientation(a, b, CUBIC_GROUP).angle == 0.0


def test_a_reversed_axis_stays_where_it_is_another_view():
    """Along [123] of a cubic crystal the pattern has no mirror line."""
    assert along_zone(GOLD, (-1, -2, -3), (1, 1, -1), 30, 0.1).zone_axis == (-1, -2, -3)


def test_a_phase_of_d_spacings_has_no_orientation():
    from small_analysis import own_phase

    with pytest.raises(ValueError, match="only d-spacings"):
        symmetry_rotations(own_phase())


def test_the_nearest_direction_is_of_the_crystals_own_axes():
    assert nearest_direction((0, 0, 1), GRAPHITE)[0] == (0, 0, 1)
    uvw, angle = nearest_direction(np.array([1, 1, 0.02]), GOLD)
    assert uvw == (1, 1, 0) and angle == pytest.approx(np.degrees(np.arctan(0.02 / 2**0.5)))
