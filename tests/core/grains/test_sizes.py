import numpy as np
import pytest

from napari_tem_fft.core.grains.sizes import bin_edges, histogram, is_cut_by_border, summary
from napari_tem_fft.core.maps.map_grid import MapGrid
from small_analysis import regions_of


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
