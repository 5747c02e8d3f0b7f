import numpy as np
import pytest

from forward_model import frequency, fringes, white_noise
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams, compute_diffractogram, display_grid
from napari_tem_fft.core.fourier.frequency_grid import FrequencyGrid
from napari_tem_fft.core.fourier.inverse import fringes_of, masked_inverse, soften_mask
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.spots.spot import Spot

PIXEL = (0.025, 0.025)


def diffractogram_of(pixels, size=PIXEL):
    return compute_diffractogram(
        pixels.astype(np.float32), Micrograph(pixels, Calibration.real(size)), SpectrumParams()
    )


def test_inverse_of_the_whole_mask_is_the_image_up_to_q_max():
    pixels = fringes((128, 160), (0.02, 0.03), 0.25, 70.0)
    found = diffractogram_of(pixels, (0.02, 0.03))
    grid = display_grid(found)
    image, size = masked_inverse(found, np.ones(grid.shape, np.uint8), grid)
    assert image.std() == pytest.approx(pixels.std(), rel=0.05)
    assert (image.shape[0] * size[0], image.shape[1] * size[1]) == pytest.approx((2.56, 4.8))


def test_inverse_of_an_empty_mask_is_nothing():
    found = diffractogram_of(white_noise((128, 128), 5))
    grid = display_grid(found)
    image, _ = masked_inverse(found, np.zeros(grid.shape, np.uint8), grid)
    assert not image.any()


def spot_at(d, azimuth, radius, enabled=True):
    return Spot(0, frequency(d, azimuth), 0.01, 50.0, -40.0, "image", (), (0.0, 0.0), 5.0, radius, enabled)


@pytest.mark.parametrize("radius", [0.1, 0.2])
def test_fringes_that_end_sharply_are_shown_without_ripples(radius):
    """A disc with sharp edges would make ripples of 9 % of the amplitude on either side."""
    pixels = fringes((640, 640), PIXEL, 0.25, 90.0, amplitude=5.0)  # planes on top of each other
    pixels[:, :320] = 0
    image, size = fringes_of(diffractogram_of(pixels), [spot_at(0.25, 90.0, radius, enabled=False)])
    assert image.dtype == np.float32
    height = np.sqrt(2) * image[image.shape[0] // 4 : -(image.shape[0] // 4)].std(axis=0)  # 32 planes
    x = (np.arange(len(height)) + 0.5) * size[1] - 8.0
    inside, outside = height[(x > 0.3 / radius) & (x < 5)], height[(x < -0.3 / radius) & (x > -5)]
    assert inside.max() < 5 * 1.02 and inside.min() > 5 * 0.9
    assert outside[-1] < 5 * 0.1 and height[(x < -1.0 / radius) & (x > -5)].max(initial=0) < 5 * 0.02


def test_every_region_is_as_soft_as_it_is_wide():
    grid = FrequencyGrid((0.01, 0.01), (60, 60))
    y, x = np.mgrid[-60:61, -60:61]
    wide, narrow = np.hypot(y, x + 30) <= 12, np.hypot(y, x - 30) <= 3
    soft = soften_mask(wide | narrow, grid)
    assert soft[60, 30] == soft[60, 90] == 1.0
    half = [(soft[60] > 0.5)[part].sum() for part in (slice(0, 61), slice(61, 121))]
    assert half == pytest.approx([25, 7], abs=3)
    assert soft[60, 30 + 20] > 0.05 > soft[60, 90 - 7]
