import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forward_model import fringes, white_noise
from napari_tem_fft.core.fourier.diffractogram import (
    WINDOWS,
    SpectrumParams,
    compute_diffractogram,
    display,
    display_grid,
    searched_share,
    windowed_power,
    with_window,
)
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.spots.false_alarms import log_tail


def diffractogram_of(pixels, size=(0.02, 0.02), **limits):
    micrograph = Micrograph(pixels, Calibration.real(size))
    return compute_diffractogram(pixels.astype(np.float32), micrograph, SpectrumParams(**limits))


@pytest.mark.parametrize("shape", [(96, 128), (97, 131), (128, 97)])
def test_hann_window_in_reciprocal_space_is_the_hann_window_in_the_image(shape):
    pixels = white_noise(shape, 0)
    found = diffractogram_of(pixels, d_min=0.05)
    hann = [0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n) for n in shape]
    expected = np.abs(np.fft.fftshift(np.fft.rfft2(pixels * np.outer(*hann)), axes=0)) ** 2
    hy, hx = found.half
    middle = shape[0] // 2
    rows = slice(middle - hy + 1, middle + hy)
    np.testing.assert_allclose(found.power[1:-1, :hx], expected[rows, :hx], rtol=1e-3, atol=1e-3)


def test_steps_are_those_of_the_field_per_axis():
    found = diffractogram_of(white_noise((100, 200), 1), (0.02, 0.05))
    assert found.step == pytest.approx((0.5, 0.1))


def test_a_cosine_stands_at_its_frequency_on_the_display_grid():
    pixels = fringes((256, 256), (0.02, 0.02), 0.25, 30.0) + white_noise((256, 256), 2, 0.3)
    grid, image = display(diffractogram_of(pixels))
    row, column = np.unravel_index(image.argmax(), image.shape)
    g = grid.frequency((row, column))
    assert np.hypot(*g) == pytest.approx(4.0, abs=0.2)
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1e-4)


def test_noise_is_between_exponential_and_the_tail_that_is_allowed_for():
    found = diffractogram_of(white_noise((1024, 1024), 3), d_min=0.06)
    gy, gx = found.axes()
    radius = np.hypot(gy, gx)
    snr = found.snr()[(radius > found.q_min) & (radius < found.q_max)]
    assert snr.mean() == pytest.approx(1.0, abs=0.03)
    for level in (2.0, 5.0, 8.0):
        assert 0.7 * np.exp(-level) < (snr > level).mean() < 1.1 * np.exp(log_tail(level, found.counts))


def test_large_grids_are_pooled_in_odd_cells_with_the_zero_frequency_in_the_middle():
    found = diffractogram_of(white_noise((64, 9000), 4), (0.05, 0.05), d_min=0.05)
    grid = display_grid(found)
    assert max(grid.shape) <= 2049 and all(n % 2 for n in grid.shape)
    assert (grid.step[1] / found.step[1]) % 2 == pytest.approx(1.0)
    assert grid.cell((0.0, 0.0)) == grid.half


def test_pixels_too_large_for_any_lattice_are_refused():
    with pytest.raises(ValueError, match="cannot show a lattice"):
        diffractogram_of(white_noise((64, 64), 6), (0.3, 0.3))


def test_limits_of_d_must_be_in_order():
    with pytest.raises(ValueError, match="below largest d"):
        SpectrumParams(d_min=0.4, d_max=0.3)


@given(st.integers(20, 200), st.integers(20, 200), st.floats(0.01, 0.05), st.floats(0.01, 0.05))
def test_cell_and_frequency_are_inverse(ny, nx, py, px):
    grid = display_grid(diffractogram_of(white_noise((ny, nx), 7), (py, px), d_min=0.1, d_max=0.9))
    for cell in ((0, 0), grid.half, (grid.shape[0] - 1, 0)):
        assert grid.cell(grid.frequency(cell)) == cell


def test_coarse_pixels_are_searched_to_the_end_of_their_spectrum_and_fine_ones_to_a_share():
    params = SpectrumParams(d_min=0.1)
    assert searched_share((0.05, 0.05), params) == 1.0
    assert searched_share((0.025, 0.05), params) == pytest.approx(2 * (9.8 + 0.7) * 0.025)
    assert searched_share((0.01, 0.01), params) == pytest.approx((2 * (10 + 0.7) * 0.01) ** 2)


@pytest.mark.parametrize(("window", "coefficients"), list(WINDOWS.items()))
def test_the_power_under_a_window_is_that_of_the_windowed_image(window, coefficients):
    image = white_noise((60, 80), 3)
    found = diffractogram_of(image, (0.1, 0.1), d_min=0.25, d_max=0.9)
    weight = [
        sum((-1) ** k * a * np.cos(2 * np.pi * k * np.arange(n) / n) for k, a in enumerate(coefficients))
        for n in image.shape
    ]
    whole = np.abs(np.fft.fft2(image * weight[0][:, None] * weight[1][None])) ** 2
    hy, hx = found.half
    expected = np.fft.fftshift(whole, axes=0)[30 - hy : 31 + hy, : hx + 1]
    inside = np.s_[2:-2, :-2]  # the taps of the outermost bins reach beyond what is kept
    power = windowed_power(found.transform, window)
    assert power[inside] == pytest.approx(expected[inside], rel=1e-3, abs=1e-2)
    shown = with_window(found, window)
    assert np.median(shown.snr()) == pytest.approx(np.log(2), abs=0.2)
    assert (shown is found) is (window == "hann")
