import numpy as np
import pytest

from napari_tem_fft.core.maps.map_grid import MapGrid, linear_weights, resample


def test_interpolation_is_linear_and_constant_beyond_both_ends():
    weights = linear_weights(np.array([-1.0, 0.25, 1.5, 2.0, 4.0]), 3)
    assert (weights @ np.array([10.0, 20.0, 40.0])).tolist() == [10, 12.5, 30, 40, 40]
    assert linear_weights(np.array([-1.0, 0.0, 3.0]), 1).tolist() == [[1], [1], [1]]


def test_a_part_has_its_places_in_the_image():
    grid = MapGrid.covering((4.0, 6.0), 0.5)
    assert (grid.shape, grid.pixel_size, grid.pixel_area) == ((8, 12), (0.5, 0.5), 0.25)
    part = grid.part(slice(2, 5), slice(7, None))
    assert (part.shape, part.first, part.box) == ((3, 5), (2, 7), (slice(2, 5), slice(7, 12)))
    y, x = part.positions()
    assert (y.ravel().tolist(), x[0, [0, -1]].tolist()) == ([1.25, 1.75, 2.25], [3.75, 5.75])


@pytest.mark.parametrize(("extent", "shape"), [((0.1, 900.0), (8, 1024)), ((3.0, 3.3), (8, 8))])
def test_a_grid_has_8_to_1024_pixels_an_axis(extent, shape):
    assert MapGrid.covering(extent, 0.5).shape == shape


def test_a_mask_on_another_grid_takes_the_nearest_pixels():
    assert resample(np.eye(2, dtype=bool), (4, 4)).tolist() == np.kron(np.eye(2), np.ones((2, 2))).tolist()
