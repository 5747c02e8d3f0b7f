import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forward_model import fringes, white_noise
from napari_tem_fft.core.fourier.diffractogram import (
    BandImage,
    SpectrumParams,
    band_image,
    compute_diffractogram,
)
from napari_tem_fft.core.fourier.local_spectra import (
    _sum_of_logs,
    compute_local_spectra,
    local_spectra_of,
    measure_stripes,
)
from napari_tem_fft.core.fourier.stft import WindowParams, window_line, window_pixels
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust

PIXEL = (0.025, 0.025)


def spectra_of(pixels, window=6.0):
    image = (pixels - pixels.mean()).astype(np.float32)
    return compute_local_spectra(image, PIXEL, 1.5, 10.0, WindowParams(window))


def test_a_small_grain_is_found_in_its_windows_with_its_frequency():
    pixels = white_noise((800, 800), 0)
    pixels[100:300, 500:700] += fringes((200, 200), PIXEL, 0.25, 30.0, amplitude=0.6)
    spectra = spectra_of(pixels)
    best = spectra.detections.log_p.argmin()
    gy, gx = spectra.detections.g[best]
    assert np.hypot(gy, gx) == pytest.approx(4.0, abs=0.03)
    assert np.degrees(np.arctan2(-gy, gx)) % 180 == pytest.approx(30.0, abs=0.5)
    centre = spectra.centres[spectra.detections.window[best]]
    assert np.all(np.abs(centre - (5.0, 15.0)) < 3.5)


def test_a_few_snr_share_a_logarithm():
    snr = np.random.default_rng(0).exponential(size=(13, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(_sum_of_logs(snr.copy()), np.log(snr.astype(float)).sum(axis=0), rtol=1e-4)


def test_windows_cover_the_whole_image_and_their_middles_lie_in_it():
    line = window_line(1000, 240, 0.02)
    covered = np.zeros(1000)
    for start, taper in zip(line.starts, line.tapers, strict=True):
        inside = np.arange(start, start + 240)
        ok = (inside >= 0) & (inside < 1000)
        assert not taper[~ok].any()
        covered[inside[ok]] += taper[ok]
    assert covered[10:-10].min() > 0.08
    assert np.all((line.middles > 0) & (line.middles < 1000))


def test_a_window_larger_than_the_image_is_the_image():
    spectra = spectra_of(white_noise((100, 120), 1), window=50.0)
    assert spectra.window_grid == (1, 1)
    assert spectra.size == pytest.approx((2.5, 3.0))
    assert spectra.centres[0] == pytest.approx((1.25, 1.5))


@given(st.integers(16, 5000), st.floats(0.005, 0.2), st.floats(1.0, 200.0))
def test_window_sides_are_even_and_fit(n, pixel, window):
    side, _ = window_pixels((n, n), (pixel, pixel), WindowParams(window))
    assert side % 2 == 0 and 2 <= side <= n


def test_noise_density_of_white_noise_is_its_variance():
    spectra = spectra_of(white_noise((600, 600), 2, sigma=3.0))
    assert spectra.density_at((3.0, 4.0)).mean() == pytest.approx(9.0, rel=0.05)


def test_noise_density_follows_the_place():
    pixels = white_noise((600, 600), 3)
    pixels[:, 300:] *= 3
    spectra = spectra_of(pixels)
    grid = MapGrid.covering((15.0, 15.0), 0.5)
    density = spectra.on_grid(spectra.density_at((3.0, 4.0)), grid)
    assert density[:, 3:8].mean() == pytest.approx(1.0, rel=0.15)
    assert density[:, -8:-3].mean() == pytest.approx(9.0, rel=0.15)


def test_spectra_of_the_band_are_those_of_the_pixels():
    pixels = white_noise((1000, 1000), 4, sigma=3.0)
    pixels[100:300, 500:700] += fringes((200, 200), PIXEL, 0.25, 30.0, amplitude=2.0)
    image = (pixels - pixels.mean()).astype(np.float32)
    micrograph = Micrograph(pixels, Calibration.real(PIXEL))
    whole = compute_diffractogram(image, micrograph, SpectrumParams())
    band = band_image(whole)
    assert band.pixels_each > 2.5
    found = local_spectra_of(whole, band, WindowParams(6.0))
    same = compute_local_spectra(image, PIXEL, whole.q_min, whole.q_max, WindowParams(6.0))
    assert found.density_at((3.0, 4.0)).mean() == pytest.approx(9.0, rel=0.05)
    assert found.snr_max.max() == pytest.approx(same.snr_max.max(), rel=0.1)


def test_a_small_field_has_windows_of_half_of_it_beside_the_whole_one():
    spectra = spectra_of(white_noise((320, 320), 1), window=11.0)
    assert spectra.window_grid == (3, 3)
    assert sorted(set(spectra.centres[:, 0])) == pytest.approx([2.0, 4.0, 6.0])
    assert spectra_of(white_noise((180, 180), 1), window=11.0).window_grid == (1, 1)


def test_a_field_hardly_longer_than_a_window_has_one_of_them_in_its_middle():
    line = window_line(300, 298, 0.02)
    assert line.starts.tolist() == [-149, 1, 151] and line.middles.tolist() == [74.5, 150.0, 225.5]


RINGS = np.arange(1.0, 10.0)


def noise(seed: int, side: int = 512) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1])
def test_stripes_have_the_strength_that_they_were_given(axis):
    """Each line gets an offset of variance 0.25: that is their density, in the image's own pixels."""
    offsets = 0.5 * np.random.default_rng(1).standard_normal(512).astype(np.float32)
    image = noise(0) + (offsets[:, None] if axis == 0 else offsets)
    found = measure_stripes(BandImage(image, (0.04, 0.04), 1.0), RINGS, np.ones(9), 1.0)
    assert np.mean(found.density[axis][50:200]) == pytest.approx(0.25, rel=0.3)
    assert not found.density[1 - axis].any() and not found.none


def test_noise_alone_and_a_crystal_along_an_axis_are_no_stripes():
    at = 0.04 * np.arange(512)
    crystal = noise(2) + np.cos(2 * np.pi * 4.0 * at) + 0.5 * np.cos(2 * np.pi * 8.0 * at)
    for image in (noise(2), crystal.astype(np.float32)):
        assert measure_stripes(BandImage(image, (0.04, 0.04), 1.0), RINGS, np.ones(9), 1.0).none


def test_a_camera_whose_columns_differ_shows_no_crystal():
    """As strong as gains that are wrong by 0.3 to 1 % at 2500 electrons a pixel."""
    for seed in range(3):
        columns = (0.15 + 0.15 * seed) * np.random.default_rng(seed).standard_normal(512)
        image = 100 + noise(seed) + columns.astype(np.float32)
        micrograph = Micrograph(image.astype(np.float32), Calibration.real((0.04, 0.04)), "columns")
        assert not [spot for spot in exhaust(analysis_steps(micrograph, ())).spots if spot.enabled]
