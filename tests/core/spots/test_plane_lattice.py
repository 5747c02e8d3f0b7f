"""The plane lattice that strong spots span."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.spots.kinds import plane_lattice
from napari_tem_fft.core.spots.spot import Spot


def spot(gy: float, gx: float, snr: float = 1e3, sigma: float = 0.002, radius: float = 0.1) -> Spot:
    return Spot(0, (gy, gx), sigma, snr, -50.0, radius=radius)


def test_one_direction_is_no_lattice():
    assert plane_lattice([spot(0, 3.0), spot(0, 6.0), spot(0.1, 3.0)]) is None
    assert plane_lattice([spot(0, 3.0)]) is None


def test_the_coarsest_lattice_that_holds_the_strong_spots_is_taken():
    square = plane_lattice([spot(0, 4.0), spot(4.0, 0), spot(4.0, 4.0), spot(4.0, -4.0)])
    assert abs(np.linalg.det(square.basis)) == pytest.approx(16)
    centred = plane_lattice([spot(0, 4.0), spot(4.0, 0), spot(2.0, 2.0), spot(2.0, -2.0)])
    assert abs(np.linalg.det(centred.basis)) == pytest.approx(8)


def test_the_basis_is_fitted_and_its_residual_follows_the_spots():
    straight = [spot(0, 4.0), spot(4.0, 0), spot(4.0, 4.0), spot(0, 8.0)]
    assert plane_lattice(straight).residual == pytest.approx(0, abs=1e-9)
    bent = plane_lattice([*straight[:2], spot(4.03, 4.02), spot(0.0, 8.05)])
    assert 0.001 < bent.residual < 0.01
    assert plane_lattice(straight).reach([spot(0, 4.0)]) < bent.reach([spot(0, 4.0)])


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
    strong = [spot(*a), spot(*b), spot(*(a + b))]
    lattice = plane_lattice(strong)
    assert lattice.holds([spot(*(m * a + n * b))]).all()
    assert not lattice.holds([spot(*(m * a + (n + 0.25) * b))], divided=2).any()
    assert lattice.holds([spot(*(m * a + (n + 0.5) * b))], divided=2).all()
