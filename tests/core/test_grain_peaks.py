import numpy as np
import pytest

from forward_model import fringes
from napari_tem_fft.core.calibration import Calibration
from napari_tem_fft.core.micrograph import Micrograph
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_far_spot_is_no_side_lobe(seed):
    """Frequencies farther apart than the window's transform reaches: neither takes the other away."""
    shape, pixel = (240, 256), 0.03
    y, x = np.mgrid[: shape[0], : shape[1]] * pixel
    grain = np.hypot(y - 3.6, x - 3.0) < 2.2
    image = np.random.default_rng(seed).normal(0, 1, shape)
    for d, azimuth in ((0.235, 20.0), (0.2035, 74.7)):
        image += grain * fringes(shape, (pixel, pixel), d, azimuth)
    analysis = exhaust(analysis_steps(Micrograph(image.astype(np.float32), Calibration.real(pixel)), ()))
    assert sorted(spot.d for spot in analysis.spots) == pytest.approx([0.2035, 0.235], rel=0.01)
