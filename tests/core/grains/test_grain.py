import numpy as np
import pytest

from napari_tem_fft.core.grains.grain import grain_set
from napari_tem_fft.core.grains.regions import Outline
from napari_tem_fft.core.maps.map_grid import MapGrid
from small_analysis import regions_of

GRID = MapGrid((20, 30), (0.2, 0.5))


def test_a_grain_has_the_area_centre_and_diameter_of_its_region():
    region = np.zeros(GRID.shape, bool)
    region[5:15, 10:20] = True  # 2 nm x 5 nm
    found = grain_set((), [(4, 7)], [Outline(*regions_of(region[None]), 0.8)], GRID)
    (grain,) = found.grains
    assert (grain.id, grain.spots) == (1, (4, 7))
    assert grain.area == pytest.approx(10.0) and grain.centre == pytest.approx((2.0, 7.5))
    assert grain.diameter == pytest.approx(np.sqrt(40 / np.pi))
    assert grain.area_sigma == pytest.approx(np.pi * grain.diameter * 0.25 * 0.8)
    assert found.regions[0].box == (slice(5, 15), slice(10, 20))


def test_no_grains_have_no_regions():
    found = grain_set((), [], [], GRID)
    assert found.grains == found.regions == ()
