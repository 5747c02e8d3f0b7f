"""Where the fringes of a region are in phase, and what the lens does to them on its rim."""

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.spots.refinement import weights_of
from small_analysis import regions_of


def test_the_rim_counts_less_than_the_middle_but_for_where_the_image_ends():
    region = np.zeros((40, 40), bool)
    region[10:30, :20] = True
    weights = weights_of(*regions_of(region[None]), MapGrid.covering((40.0, 40.0), 1.0), 1.6)
    rows, columns = (p.ravel() for p in weights.grid.positions())
    middle, rim = (int(np.abs(rows - y).argmin()) for y in (20.0, 11.0))
    deep, side = (int(np.abs(columns - x).argmin()) for x in (9.0, 18.5))
    assert weights.weight[middle, deep] > 4 * weights.weight[rim, deep]
    assert 0.9 < weights.weight.max() <= 1 and (np.diff(weights.weight[middle, : deep + 1]) > -0.1).all()
    assert weights.weight[middle, deep] > 4 * weights.weight[middle, side]


def test_a_lens_that_favours_higher_frequencies_hardly_moves_a_spot():
    grain = np.zeros((600, 600), np.float32)
    grain[100:420, 150:470] = fringes((600, 600), (0.025, 0.025), 0.2, 30.0, 2.0)[100:420, 150:470]
    g = np.hypot(np.fft.fftfreq(600, 0.025)[:, None], np.fft.rfftfreq(600, 0.025)[None])
    # passes nothing at 4.6 1/nm and everything at 5, where the spot is
    seen = np.fft.irfft2(np.fft.rfft2(grain) * (g - 4.6) / 0.4 * (abs(g - 5.0) < 1.5), s=grain.shape)
    pixels = (seen + white_noise((600, 600), 0)).astype(np.float32)
    analysis = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(0.025), "lens"), ()))
    spot = max(analysis.spots, key=lambda one: one.snr)
    assert abs(spot.d - 0.2) < 1.0 * spot.d_sigma


@pytest.mark.parametrize("extent", [(3.0, 3.0), (5.12, 5.12), (5.12, 20.0)])
def test_fringes_that_do_not_close_at_the_border_of_a_small_field_have_their_true_g(extent):
    shape = tuple(round(side / 0.02) for side in extent)
    waves = np.array([(-9.4, 8.3), (11.6, 6.7)]) / 3.0
    y, x = np.arange(shape[0])[:, None] * 0.02, np.arange(shape[1]) * 0.02
    fringes_of = [np.cos(2 * np.pi * (gy * y + gx * x)) for gy, gx in waves]
    pixels = white_noise(shape, 0) + sum(fringes_of)
    analysis = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(0.02), "small"), ()))
    assert len(analysis.grains) == 1 and len(analysis.spots) == 2
    for spot in analysis.spots:
        error = min(np.hypot(*(sign * waves - spot.g).T).min() for sign in (1, -1))
        assert error < 2.2 * spot.sigma and error < 0.003 * np.hypot(*spot.g)
