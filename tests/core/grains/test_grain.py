import numpy as np
import pytest

from napari_tem_fft.core.grains.grain import bin_edges, grain_set, histogram, is_cut_by_border, summary
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


def test_bins_have_a_round_width_and_hold_every_grain():
    edges = bin_edges([3.1, 7.9, 18.0])
    assert edges[0] == 0 and np.diff(edges) == pytest.approx(2.0) and edges[-1] > 18.0
    assert np.diff(bin_edges([40.0])) == pytest.approx(5.0) and np.diff(bin_edges([])) == pytest.approx(0.1)


def test_grains_at_the_border_are_counted_apart():
    found = histogram([1.0, 2.0, 2.5, 5.9], [False, False, True, False], np.array([0.0, 2.0, 4.0, 6.0]))
    assert found.counts.tolist() == [1, 1, 1] and found.cut.tolist() == [0, 1, 0]


def test_the_summary_of_three_whole_grains():
    found = summary([2.0, 4.0, 6.0, 50.0], [False, False, False, True])
    assert (found.grains, found.cut, found.mean, found.median, found.deviation) == (3, 1, 4.0, 4.0, 2.0)
    assert found.area_weighted == pytest.approx((8 + 64 + 216) / (4 + 16 + 36))


def test_no_grain_has_no_size():
    assert np.isnan(summary([], []).mean) and summary([], []).grains == summary([3.0], [True]).grains == 0
    assert summary([3.0], [True]).cut == 1 and np.isnan(summary([3.0], [False]).deviation)


def test_which_masks_the_border_cuts():
    masks = np.zeros((4, 20, 20), bool)
    masks[0, 2:18, 5:10] = masks[1, 1:5, 5:10] = masks[2, 5:10, 12:19] = True
    grid = MapGrid((20, 20), (1.0, 1.0))
    assert [is_cut_by_border(region, grid) for region in regions_of(masks)] == [False, True, True, False]
