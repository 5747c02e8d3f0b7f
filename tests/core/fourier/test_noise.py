import numpy as np
import pytest

from napari_tem_fft.core.fourier.noise import (
    Between,
    anisotropy_of,
    azimuthal_excess,
    few_spectra,
    guard_from_zero,
    likely_noise,
    pool_rings,
    ring_means,
    sector_noise,
)


def test_ring_means_are_means_of_exponential_noise_and_ignore_spots():
    rng = np.random.default_rng(0)
    radius = np.hypot(*np.mgrid[-60:61, 0:61])
    power = 7.0 * rng.exponential(size=(3, radius.size)).astype(np.float32)
    power[0, ::50] *= 1e4
    rings = pool_rings(radius, 2, 60, 400)
    means = ring_means(power, rings)
    assert means.mean() == pytest.approx(7.0, rel=0.03)
    assert means[0].mean() == pytest.approx(7.0, rel=0.08)


def test_what_a_filter_has_removed_is_no_noise():
    radius = np.hypot(*np.mgrid[-60:61, 0:61])
    power = np.where(radius < 30, 1.0, 1e-12).ravel()[None].astype(np.float32)
    means = guard_from_zero(ring_means(power, pool_rings(radius, 2, 60, 400)))
    assert means.min() == pytest.approx(1e-4 * means.max(), rel=1e-3)


def test_windows_of_two_spectra_lend_each_other_their_strength():
    rng = np.random.default_rng(0)
    film, shot = 1 + 3 * np.cos(np.arange(100) / 9) ** 2, np.ones(100)
    true = np.outer(np.linspace(0, 1, 40), film) + shot
    seen = (true * rng.normal(1, 0.14, true.shape)).astype(np.float32)
    error = (few_spectra(seen, 240) / true).std()
    assert (seen / true).std() == pytest.approx(0.14, abs=0.01) and error < 0.06


def test_a_ring_at_the_edge_of_a_filter_takes_its_neighbours_noise():
    means = np.array([[9.0, 8.0, 1.0, 1e-9, 0.0]], np.float32)
    np.testing.assert_allclose(guard_from_zero(means), [[9.0, 8.0, 8.0, 1.0, 9e-4]], rtol=1e-3)
    np.testing.assert_allclose(guard_from_zero(means[:, :2], 6.0), means[:, :2])


def test_noise_of_an_astigmatic_spectrum_is_followed_around_the_azimuth():
    gy, gx = np.mgrid[-100:101, 0:101] * 0.1
    true = 5.0 * (1 + 0.5 * np.cos(2 * np.arctan2(gy, gx) - 1.0))
    power = (true * np.random.default_rng(0).exponential(size=true.shape)).astype(np.float32)
    power[60, 40] = 1e6
    noise, counts = sector_noise(power, (0.1, 0.1), 1.0, sectors=8, fewest=256)
    seen = np.hypot(gy, gx) > 2
    assert np.sqrt(np.mean((noise / true - 1)[seen] ** 2)) < 0.12
    assert np.mean((noise / true)[seen]) == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(noise[seen], true[seen])[0, 1] > 0.93
    # of a cell's 256 to 512 values a Hann window leaves 1 in 2.25 independent, and the median half of these
    assert 256 < counts * 2.25 / np.log(2) ** 2 < 512


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
