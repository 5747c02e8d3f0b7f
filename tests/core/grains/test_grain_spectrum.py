"""The transform of one grain shows its own fringes and not those of its neighbour."""

import numpy as np
import pytest

from forward_model import fringes
from napari_tem_fft.core.fourier.diffractogram import display
from napari_tem_fft.core.grains.grain_spectrum import grain_diffractogram
from napari_tem_fft.core.grains.region import GrainRegion
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import MapGrid

SHAPE, PIXEL = (256, 320), 0.03
GRID = MapGrid((64, 80), (4 * PIXEL, 4 * PIXEL))


def two_grains():
    """Fringes of 0.25 nm at 0 degrees on the left, of 0.2 nm at 90 degrees on the right."""
    image = np.random.default_rng(0).normal(0, 0.5, SHAPE)
    image[:, :160] += fringes(SHAPE, (PIXEL, PIXEL), 0.25, 0.0)[:, :160]
    image[:, 160:] += fringes(SHAPE, (PIXEL, PIXEL), 0.2, 90.0)[:, 160:]
    return Micrograph(image.astype(np.float32), Calibration.real(PIXEL), "two")


def region(rows, columns):
    heat = np.zeros(GRID.shape, np.float32)
    heat[rows, columns] = 1.0
    return GrainRegion.cropped(heat >= 0.5, heat)


def strongest(found):
    grid, snr = display(found)
    y, x = np.unravel_index(np.argmax(snr), snr.shape)
    return abs(grid.origin[0] + y * grid.step[0]), abs(grid.origin[1] + x * grid.step[1])


@pytest.mark.parametrize(("columns", "expected"), [(slice(4, 34), (0.0, 4.0)), (slice(46, 76), (5.0, 0.0))])
def test_each_grain_has_its_own_spots(columns, expected):
    found = grain_diffractogram(two_grains(), region(slice(10, 50), columns), GRID)
    assert strongest(found) == pytest.approx(expected, abs=0.2)


def test_a_grain_smaller_than_what_is_transformed_at_the_border():
    found = grain_diffractogram(two_grains(), region(slice(0, 6), slice(0, 6)), GRID)
    assert min(found.image_shape) >= 64
    assert strongest(found)[1] == pytest.approx(4.0, abs=0.8)


def test_a_grain_that_covers_nothing_is_refused():
    with pytest.raises(ValueError, match="covers no part"):
        grain_diffractogram(two_grains(), region(slice(0, 0), slice(0, 0)), GRID)
