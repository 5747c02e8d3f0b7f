"""Noise that varies with azimuth, and noise that only seems to."""

import numpy as np
import pytest

from napari_tem_fft.core.fourier.azimuthal_noise import anisotropy_of, azimuthal_excess, likely_noise
from napari_tem_fft.core.fourier.noise import Between


def test_an_anisotropy_is_drawn_towards_one_by_its_share_of_chance():
    # 4 windows: chance makes a variance of 0.36^2 / 4 = 0.0324 of the logarithm, and 0.3^2 = 0.09 is seen
    _, x = np.mgrid[-20:21, 0:21]
    between = Between(*np.zeros((2, x.size), int), np.zeros(x.size, np.float32))
    seen = np.full(x.shape, 0.3 - np.euler_gamma)
    density, anisotropy = likely_noise(np.ones((4, 3), np.float32), 500, seen, between, x > 2)
    np.testing.assert_allclose(np.log(anisotropy), 0.3 * (1 - 0.0324 / 0.09), rtol=1e-4)
    np.testing.assert_allclose(density, 1, rtol=1e-5)
    small = likely_noise(np.ones((4, 3), np.float32), 500, 0.1 - np.euler_gamma + 0 * seen, between, x > 2)[1]
    np.testing.assert_array_equal(small, 1)


def test_an_ellipse_of_noise_is_told_from_chance():
    y, x = np.mgrid[-60:61, 0:61]
    true = 1 + 0.5 * np.cos(2 * np.arctan2(y, x))
    found = anisotropy_of(np.log(true) - np.euler_gamma)
    away = np.hypot(y, x) > 20
    assert np.abs(found / true - 1)[away].max() < 0.06


def test_an_excess_within_chance_is_none():
    assert azimuthal_excess(np.float32([0.5, 1.1, 1.3]), 49).tolist() == pytest.approx([1, 1, 1.3])
