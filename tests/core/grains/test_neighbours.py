"""Two grains whose g lie closer than the filter of the maps is wide: each is mapped in its own place."""

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import resample
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust

SHAPE, PIXEL = (640, 640), (0.025, 0.025)


def grains_at(places, planes):
    """Analysis of squares of fringes in noise, and where they truly are on the maps' grid."""
    pixels, inside = white_noise(SHAPE, 1), np.zeros((len(places), *SHAPE), bool)
    for mask, (top, left, side), (d, azimuth) in zip(inside, places, planes, strict=True):
        mask[top : top + side, left : left + side] = True
        pixels[mask] += fringes(SHAPE, PIXEL, d, azimuth, 0.8)[mask]
    analysis = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(PIXEL)), ()))
    return analysis, [resample(mask, analysis.map_grid.shape) for mask in inside]


@pytest.mark.parametrize("other", [(0.241, 30.0), (0.238, 30.0), (0.235, 31.0)], ids=str)
def test_grains_of_close_g_have_their_own_maps(other):
    """The filter of 1 nm is 0.23 1/nm wide to its half; these g are 0.05 to 0.1 1/nm apart."""
    analysis, truth = grains_at([(40, 40, 200), (360, 360, 240)], [(0.235, 30.0), other])
    assert len(analysis.grains) == 2
    large, small = (region.mask_on(analysis.map_grid.box) for region in analysis.grain_regions)
    for mapped, true in ((small, truth[0]), (large, truth[1])):
        assert (mapped & true).sum() / (mapped | true).sum() > 0.8
    assert not (small & truth[1]).any() and not (large & truth[0]).any()
    measured = {
        grain.id: spot.d for grain in analysis.grains for spot in analysis.spots if spot.id in grain.spots
    }
    assert (measured[2], measured[1]) == pytest.approx((0.235, other[0]), rel=2e-3)
