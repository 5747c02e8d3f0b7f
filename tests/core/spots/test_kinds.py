"""What a grain's lattice says of its spots.

The plane lattice that strong spots span.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.spots.kinds import classify_spots, plane_lattice
from napari_tem_fft.core.spots.spot import Spot, friedel_representative


def spot(number: int, gy: float, gx: float, snr: float, sigma: float = 0.003) -> Spot:
    return Spot(number, friedel_representative((gy, gx)), sigma, snr, -50.0, radius=0.15)


#: A square lattice of 0.2 nm, SNR 10^4.
SQUARE = (spot(1, 0, 5.0, 1e4), spot(2, 5.0, 0, 9e3), spot(3, 5.0, 5.0, 3e3), spot(4, -5.0, 5.0, 3e3))


def kinds(*more: Spot) -> list[str]:
    return [one.kind for one in classify_spots([*SQUARE, *more])[len(SQUARE) :]]


def test_faint_spots_on_the_lattice_are_reflections_however_faint():
    assert kinds(spot(5, 0, 10.0, 15.0)) == ["reflection"]


def test_a_faint_spot_at_a_half_integer_point_is_forbidden_and_stays_on():
    found = classify_spots([*SQUARE, spot(5, 2.5, 2.5, 60.0)])[-1]
    assert (found.kind, found.enabled) == ("forbidden", True)


def test_a_stronger_spot_there_makes_the_cell_larger():
    assert kinds(spot(5, 2.5, 2.5, 300.0)) == ["reflection"]


def test_a_faint_spot_beside_a_point_of_the_lattice_is_a_satellite_and_off():
    for beside in (spot(5, 0.12, 5.0, 39.0), spot(5, 2.5, 2.62, 18.0)):
        found = classify_spots([*SQUARE, beside])[-1]
        assert (found.kind, found.enabled) == ("satellite", False)


def test_anywhere_else_it_is_unexplained_and_vouches_for_the_others():
    assert kinds(spot(5, 1.3, 3.4, 18.0)) == ["unexplained"]
    assert kinds(spot(5, 1.3, 3.4, 18.0), spot(6, 0.12, 5.0, 39.0)) == ["unexplained"] * 2


def test_a_moved_reflection_is_a_satellite_though_it_is_not_faint_and_a_strong_one_is_not():
    moved = spot(5, 10.0, 5.13, 300.0)
    assert kinds(moved) == ["satellite"]
    assert kinds(replace(moved, snr=900.0)) == ["unexplained"]


def test_faint_spots_of_a_film_over_the_crystal_stay():
    """Two of one length beside half-integer points are (200) and (020) of a film; others there are not."""
    one, other = (2.5, 2.62), (2.62, -2.5)
    assert kinds(spot(5, *one, 20.0), spot(6, *other, 22.0)) == ["unexplained"] * 2
    assert kinds(spot(5, *one, 20.0), spot(6, 7.38, -2.5, 22.0)) == ["satellite"] * 2


def test_thirds_of_a_hexagonal_lattice_are_the_next_laue_zones():
    angles = np.radians([0, 60, 120])
    strong = [spot(k, 7 * np.sin(a), 7 * np.cos(a), 5e3) for k, a in enumerate(angles)]
    third = 7 / np.sqrt(3)
    rods = [spot(9, third * np.sin(a), third * np.cos(a), 60.0) for a in np.radians([30, 90])]
    assert [one.kind for one in classify_spots([*strong, *rods])][3:] == ["satellite"] * 2


def test_two_halves_of_a_forbidden_reflection_become_one():
    halves = spot(5, 2.42, 2.5, 40.0, 0.007), spot(6, 2.58, 2.5, 21.0, 0.009)
    one, other = classify_spots([*SQUARE, *halves])[-2:]
    assert (one.kind, other.kind, other.enabled) == ("forbidden", "satellite", False)
    assert one.g == pytest.approx((2.5, 2.5)) and one.sigma == pytest.approx(0.08)


def test_without_a_second_direction_nothing_is_said():
    row = [SQUARE[0], spot(5, 0.1, 3.3, 15.0)]
    assert classify_spots(row) == tuple(row)


def test_what_a_person_switched_off_stays_off():
    assert not classify_spots([replace(SQUARE[0], enabled=False), *SQUARE[1:]])[0].enabled


def test_a_faint_sum_or_difference_of_two_crystals_spots_is_a_double_reflection():
    other = spot(5, 1.4, 3.1, 2000.0)
    double = spot(6, 5.0 + 1.4, 3.1, 60.0)
    assert kinds(other, double) == ["unexplained", "satellite"]
    assert kinds(other, spot(6, 5.0 - 1.4, -3.1, 60.0)) == ["unexplained", "satellite"]
    assert kinds(other, replace(double, snr=900.0)) == ["unexplained"] * 2
    assert kinds(replace(other, snr=100.0), double) == ["unexplained"] * 2
    assert kinds(other, spot(6, 2.8, 6.2, 60.0)) == ["unexplained"] * 2  # its own second order


def spot_at(gy: float, gx: float, snr: float = 1e3, sigma: float = 0.002, radius: float = 0.1) -> Spot:
    return Spot(0, (gy, gx), sigma, snr, -50.0, radius=radius)


def test_one_direction_is_no_lattice():
    assert plane_lattice([spot_at(0, 3.0), spot_at(0, 6.0), spot_at(0.1, 3.0)]) is None
    assert plane_lattice([spot_at(0, 3.0)]) is None


def test_the_coarsest_lattice_that_holds_the_strong_spots_is_taken():
    square = plane_lattice([spot_at(0, 4.0), spot_at(4.0, 0), spot_at(4.0, 4.0), spot_at(4.0, -4.0)])
    assert abs(np.linalg.det(square.basis)) == pytest.approx(16)
    centred = plane_lattice([spot_at(0, 4.0), spot_at(4.0, 0), spot_at(2.0, 2.0), spot_at(2.0, -2.0)])
    assert abs(np.linalg.det(centred.basis)) == pytest.approx(8)


def test_the_basis_is_fitted_and_its_residual_follows_the_spots():
    straight = [spot_at(0, 4.0), spot_at(4.0, 0), spot_at(4.0, 4.0), spot_at(0, 8.0)]
    assert plane_lattice(straight).residual == pytest.approx(0, abs=1e-9)
    bent = plane_lattice([*straight[:2], spot_at(4.03, 4.02), spot_at(0.0, 8.05)])
    assert 0.001 < bent.residual < 0.01
    assert plane_lattice(straight).reach([spot_at(0, 4.0)]) < bent.reach([spot_at(0, 4.0)])


@given(
    st.floats(0, 3.1),
    st.floats(2.0, 6.0),
    st.floats(1.0, 1.9),
    st.floats(0.8, 2.3),
    st.integers(-2, 2),
    st.integers(1, 2),
)
def test_points_of_any_lattice_are_held_and_their_quarters_are_not(turn, first, ratio, angle, m, n):
    a = first * np.array([np.sin(turn), np.cos(turn)])
    b = first * ratio * np.array([np.sin(turn + angle), np.cos(turn + angle)])
    strong = [spot_at(*a), spot_at(*b), spot_at(*(a + b))]
    lattice = plane_lattice(strong)
    assert lattice.holds([spot_at(*(m * a + n * b))]).all()
    assert not lattice.holds([spot_at(*(m * a + (n + 0.25) * b))], divided=2).any()
    assert lattice.holds([spot_at(*(m * a + (n + 0.5) * b))], divided=2).all()
