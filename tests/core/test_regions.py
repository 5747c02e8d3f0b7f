import numpy as np
import pytest
from scipy import ndimage

from napari_tem_fft.core.regions import _filled, _quantile


@pytest.mark.parametrize("seed", range(4))
def test_holes_are_what_the_border_does_not_reach(seed):
    piece = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(60, 70)), 3) > 0
    np.testing.assert_array_equal(_filled(piece), ndimage.binary_fill_holes(piece))


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_quantiles_lie_between_values(count):
    values = np.random.default_rng(count).normal(size=count).astype(np.float32)
    assert _quantile(values, 0.75) == pytest.approx(np.quantile(values, 0.75), rel=1e-6)
