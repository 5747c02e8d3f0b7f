import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams, compute_diffractogram
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.profile.ring_sums import fine_spectrum


def diffractogram_of(shape, pixel):
    pixels = (white_noise(shape, 4) + fringes(shape, pixel, 0.235, 33.0)).astype(np.float32)
    return compute_diffractogram(pixels, Micrograph(pixels, Calibration.real(pixel)), SpectrumParams())


@pytest.mark.parametrize(
    ("shape", "pixel", "finer"),
    [
        ((256, 256), (0.03, 0.03), (13, 13)),
        ((301, 500), (0.02, 0.025), (17, 7)),
        ((700, 800), (0.03, 0.03), (5, 3)),
    ],
)
def test_shared_frequencies_have_the_values_of_the_diffractogram(shape, pixel, finer):
    found = diffractogram_of(shape, pixel)
    fine = fine_spectrum(found)
    assert fine.finer == finer
    assert fine.step == pytest.approx(tuple(s / n for s, n in zip(found.step, finer, strict=True)))
    rows, columns = (slice(h % 1, None, n) for h, n in zip(found.half, finer, strict=True))
    shared, native = fine.snr[rows, columns], found.snr()
    g = np.hypot(*found.axes())
    within = (g > found.q_min) & (g < found.q_max)  # the mean of the field is not padded
    np.testing.assert_allclose(shared[within], native[within], rtol=2e-3, atol=2e-3 * native.mean())


def test_a_large_field_is_taken_as_it_is():
    found = diffractogram_of((3000, 2600), (0.04, 0.04))
    fine = fine_spectrum(found)
    assert fine.finer == (1, 1)
    np.testing.assert_array_equal(fine.snr, found.snr())


def test_steps_are_no_finer_than_a_plane_can_hold():
    fine = fine_spectrum(diffractogram_of((256, 2600), (0.03, 0.03)))
    assert all(2 * half + 1 <= 2300 or n == 1 for half, n in zip(fine.half, fine.finer, strict=True))
