import numpy as np

from forward_model import white_noise
from napari_tem_fft.core.grain_spectrum import _cropped_power


def test_padding_that_is_not_transformed_changes_nothing():
    image = white_noise((40, 50), 1).astype(np.float32)
    whole = np.abs(np.fft.rfft2(image, s=(72, 80))) ** 2
    power = _cropped_power(image, (72, 80), (30, 35))
    np.testing.assert_allclose(power, whole[np.r_[-30:31], :36], rtol=1e-4, atol=1e-3)
