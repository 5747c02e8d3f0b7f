"""The transform of one grain shows its own fringes and not those of its neighbour."""

from types import SimpleNamespace

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.fourier.diffractogram import display
from napari_tem_fft.core.fourier.local_spectra import Stripes
from napari_tem_fft.core.grains.regions import GrainRegion
from napari_tem_fft.core.grains.spectrum import (
    GrainNoise,
    _cropped_power,
    _leaked,
    _lobes,
    _stripes,
    _window,
    grain_diffractogram,
)
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import MapGrid
from small_analysis import regions_of


def test_padding_that_is_not_transformed_changes_nothing():
    image = white_noise((40, 50), 1).astype(np.float32)
    whole = np.abs(np.fft.rfft2(image, s=(72, 80))) ** 2
    power = _cropped_power(image, (72, 80), (30, 35))
    np.testing.assert_allclose(power, whole[np.r_[-30:31], :36], rtol=1e-4, atol=1e-3)


def test_the_density_of_a_frequency_is_its_bins():
    grid = SimpleNamespace(step=(0.5, 0.25), half=(3, 2))
    azimuthal = np.arange(1, 22, dtype=np.float32).reshape(7, 3)  # g_y = -3..3, g_x = 0..2 steps
    spectra = SimpleNamespace(ring_g=np.array([0.0, 2.0]), azimuthal=azimuthal, grid=grid)
    noise = GrainNoise((0.5, 0.25), (3, 2), np.array([2.0, 2.0]), spectra)
    density = noise.density(np.arange(-3, 4), np.arange(3))
    np.testing.assert_array_equal(density, 2 * azimuthal)
    found = noise.densities_at([(0.0, 0.0), (-1.1, 0.3), (9.0, 9.0), (-9.0, 0.0)])
    assert found.tolist() == [density[3, 0], density[1, 1], density[6, 2], density[0, 0]]
    falling = GrainNoise((0.5, 0.25), (3, 2), np.array([4.0, 0.0]), spectra)
    assert falling.densities_at([(0.5, 0.0)]) == pytest.approx(3.0 * azimuthal[4, 0], rel=1e-3)


def test_a_window_falls_from_the_middle_of_its_region_to_zero_outside():
    grid, region = MapGrid((20, 30), (0.2, 0.2)), np.zeros((20, 30), bool)
    region[4:15, 10:21] = True
    height, (rows, columns), weights = _window(*regions_of(region[None]), grid, (80, 120), (0.05, 0.05))
    assert (rows, columns) == (slice(16, 60), slice(40, 84)) and height.shape == (13, 13)
    assert height[6, 6] == height.max() == 1 and not height[[0, -1]].any() and not height[:, [0, -1]].any()
    # one of six pixels from the rim, and the taper ends at 0.9 of the largest distance
    assert height[1, 6] == pytest.approx(np.sin(np.pi / 2 / (0.9 * 6)) ** 2)
    whole = weights[0] @ height @ weights[1].T
    assert whole.shape == (44, 44) and whole[22, 22] == pytest.approx(1.0, abs=0.01)


def test_side_lobes_of_a_box_have_their_zeros_at_one_over_its_side():
    lobes, step = _lobes(np.ones((20, 40), np.float32), MapGrid((50, 50), (0.2, 0.1)))
    middle = lobes.shape[0] // 2, lobes.shape[1] // 2
    assert lobes[middle] == lobes.max() == 1
    assert step == (1 / (lobes.shape[0] * 0.2), 1 / (lobes.shape[1] * 0.1)) and lobes.shape[1] >= 80
    y = np.arange(lobes.shape[0]) - middle[0]
    expected = np.sinc(y * step[0] * 4) / np.sinc(y * step[0] * 0.2)
    np.testing.assert_allclose(lobes[:, middle[1]], expected**2, atol=1e-5)


def test_beyond_the_edge_of_a_filter_noise_leaks_as_far_as_the_window_reaches():
    ring_g = np.arange(0.5, 10.0, 0.1)
    rings = np.where(ring_g < 7, 1.0, 1e-4)
    lobes, step = _lobes(
        np.outer(np.hanning(14), np.hanning(14)).astype(np.float32), MapGrid((40, 40), (0.3, 0.3))
    )
    leaked = _leaked(rings, ring_g, lobes, step)
    assert leaked[ring_g < 6] == pytest.approx(1.0)
    assert (
        leaked[np.argmin(np.abs(ring_g - 7.1))] > 0.1
    )  # the window is 4 nm wide: 0.5 1/nm is its resolution
    assert leaked[-1] == pytest.approx(1e-4, rel=0.5)


def test_columns_of_a_camera_add_noise_where_a_window_has_their_sums():
    """Constant columns under a box of ny by nx pixels: ny times their density, at g_y = 0 alone."""
    stripes = Stripes((np.arange(9.0),) * 2, (np.zeros(9), np.full(9, 0.5)))
    height = np.ones((10, 20), np.float32)
    lines = np.full(10, 20.0), np.full(20, 10.0)
    found = _stripes(
        SimpleNamespace(stripes=stripes),
        height,
        MapGrid((10, 20), (0.5, 0.5)),
        lines,
        200.0,
        (0.2, 0.2),
        (10, 10),
    )
    ((rows, columns),) = found
    assert columns == pytest.approx(np.full(11, 0.5 * 20 * 100 / 200))
    assert rows[10] == 1.0 and rows[9] == rows[11] and rows[11] < 0.01  # 5 nm high: the first zero is at 0.2


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
