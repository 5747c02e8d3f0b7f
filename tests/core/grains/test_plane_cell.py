"""A grain's own two-dimensional cell: found whatever its phase is, with errors that hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.grains.plane_cell import plane_cell, plane_cells, reduce_bases, shape_of, sublattices
from napari_tem_fft.core.spots.spot import Spot

POINTS = np.array([(1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2), (2, 1)])


def basis(a: float, b: float, angle: float, turn: float = 20.0) -> np.ndarray:
    directions = np.radians([turn, turn + angle])
    return np.stack([np.sin(directions), np.cos(directions)], axis=1) * [[a], [b]]


def grain_of(g: np.ndarray, sigma: float = 0.01) -> tuple[Grain, list[Spot]]:
    spots = [Spot(n + 1, (float(y), float(x)), sigma, 90.0 - n, -60.0) for n, (y, x) in enumerate(g)]
    return Grain(1, tuple(spot.id for spot in spots), (0.0, 0.0), 50.0, 8.0), spots


def test_a_rectangle_by_its_numbers():
    cell = plane_cell(*grain_of(POINTS[:4] @ basis(3.0, 4.0, 90)))
    assert (cell.a, cell.b, cell.angle) == pytest.approx((3.0, 4.0, 90.0))
    assert cell.d == pytest.approx((1 / 3, 1 / 4)) and len(cell.spots) == 4


def test_spots_that_only_a_finer_lattice_explains():
    cell = plane_cell(*grain_of(np.array([(2, 0), (3, 0), (0, 1), (2, 1), (3, 1)]) @ basis(2.0, 4.5, 80)))
    assert (cell.a, cell.b, cell.angle) == pytest.approx((2.0, 4.5, 80.0))


def test_a_spurious_spot_makes_no_finer_lattice():
    g = np.concatenate([POINTS @ basis(3.0, 4.0, 90), [(1.31, 2.17)]])
    cell = plane_cell(*grain_of(g))
    assert (cell.a, cell.b) == pytest.approx((3.0, 4.0)) and 8 not in cell.spots


def test_a_second_lattice_comes_after_the_first():
    g = np.concatenate([POINTS @ basis(3.0, 4.0, 90), POINTS[:4] @ basis(3.7, 5.1, 77, turn=57)])
    cells = plane_cells(*grain_of(g))
    assert (cells[0].a, cells[0].b) == pytest.approx((3.0, 4.0))
    assert any((cell.a, cell.b) == pytest.approx((3.7, 5.1), rel=1e-3) for cell in cells[1:])


def test_one_direction_has_no_cell():
    assert plane_cell(*grain_of(np.array([(3.0, 0.0), (6.0, 0.0)]))) is None
    assert plane_cell(*grain_of(np.zeros((0, 2)))) is None


def test_errors_cover_the_truth_as_often_as_they_say():
    rng, inside, total = np.random.default_rng(1), np.zeros(3), 0
    for _ in range(300):
        a, ratio, angle = rng.uniform(2.5, 4.0), rng.uniform(1.05, 1.8), rng.uniform(65, 90)
        sigma = rng.uniform(0.004, 0.03)
        g = POINTS[:5] @ basis(a, a * ratio, angle) + rng.normal(0, sigma, (5, 2))
        cell, (true,) = plane_cell(*grain_of(g, sigma)), reduce_bases(basis(a, a * ratio, angle)[None])
        lengths = np.linalg.norm(true, axis=1)
        found = np.array([cell.a, cell.b, cell.angle])
        truth = np.array([*lengths, np.degrees(np.arccos(true[0] @ true[1] / lengths.prod()))])
        total += 1
        inside += np.abs(found - truth) < 1.96 * np.array([cell.a_sigma, cell.b_sigma, cell.angle_sigma])
    assert (inside / total > 0.91).all() and (inside / total < 0.99).all()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=12).map(
        lambda rows: [row for row in rows if max(map(abs, row)) > 0.3]
    )
)
def test_any_spots_have_a_cell_or_none(rows):
    cell = plane_cell(*grain_of(np.array(rows, float).reshape(-1, 2)))
    assert cell is None or (0 < cell.a <= cell.b * 1.001 and 59.9 < cell.angle < 90.1)


@given(st.integers(-3, 3), st.integers(-3, 3), st.floats(0.8, 5), st.floats(0.8, 5), st.floats(30, 150))
def test_all_bases_of_a_lattice_have_one_shape(m, n, a, b, angle):
    one = basis(a, b, angle)
    other = np.array([[1, m], [0, 1]]) @ np.array([[1, 0], [n, 1]]) @ one
    assert shape_of(one[None]) == pytest.approx(shape_of(other[None]), abs=1e-6)


def test_sublattices_are_all_and_different():
    for index, count in ((1, 1), (2, 3), (3, 4), (4, 7)):
        found = sublattices(index)
        assert len(found) == count and (np.abs(np.linalg.det(found)) - index < 1e-9).all()
