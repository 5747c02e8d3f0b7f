import numpy as np
import pytest

from forward_model import Optics, film_image, frequency, fringes, white_noise
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams, compute_diffractogram
from napari_tem_fft.core.fourier.local_spectra import compute_local_spectra
from napari_tem_fft.core.fourier.stft import WindowParams
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import MapGrid, resample
from napari_tem_fft.core.spots.bragg_filter import bragg_field, bragg_fields, field_noise, fields_noise

SHAPE, PIXEL = (480, 640), (0.02, 0.03)
EXTENT = (9.6, 19.2)


def diffractogram_of(pixels):
    micrograph = Micrograph(pixels, Calibration.real(PIXEL))
    return compute_diffractogram(pixels.astype(np.float32), micrograph, SpectrumParams())


def test_amplitude_is_half_the_fringes_height_and_its_phase_is_flat():
    found = diffractogram_of(fringes(SHAPE, PIXEL, 0.25, 40.0, amplitude=3.0))
    grid = MapGrid.covering(EXTENT, 0.2)
    field = bragg_field(found, frequency(0.25, 40.0), 0.6, grid)[12:-12, 12:-12]
    assert np.abs(field).mean() == pytest.approx(1.5, rel=0.01)
    assert np.angle(field * np.exp(-0.3j)).std() < 0.05


def test_many_spots_together_give_what_each_gives_by_itself():
    pixels = fringes(SHAPE, PIXEL, 0.25, 40.0) + white_noise(SHAPE, 3)
    found = diffractogram_of(pixels)
    spectra = compute_local_spectra(
        pixels.astype(np.float32), PIXEL, found.q_min, found.q_max, WindowParams()
    )
    spots = [(2.0, 0.1), (-1.5, 3.0), (0.0, 4.0)]
    for grid in (whole := MapGrid.covering(EXTENT, 0.2), whole.part(slice(3, 20), slice(7, 50))):
        fields = bragg_fields(found, spots, 0.6, grid)
        noise = fields_noise(found, spectra, spots, 0.6, grid)
        for g, field, one in zip(spots, fields, noise, strict=True):
            np.testing.assert_allclose(field, bragg_field(found, g, 0.6, grid), atol=1e-6)
            np.testing.assert_allclose(one, field_noise(found, spectra, g, 0.6, grid), rtol=1e-5)


def test_a_wrong_g_turns_the_phase_by_the_difference():
    found = diffractogram_of(fringes(SHAPE, PIXEL, 0.25, 0.0))
    grid = MapGrid.covering(EXTENT, 0.2)
    gy, gx = frequency(0.25, 0.0)
    field = bragg_field(found, (gy, gx - 0.05), 0.6, grid)
    phase = np.unwrap(np.angle(field[grid.shape[0] // 2, 20:-20]))
    slope = np.polyfit(np.arange(len(phase)) * grid.pixel_size[1], phase, 1)[0]
    assert slope / (2 * np.pi) == pytest.approx(0.05, rel=0.02)


def test_fringes_are_mapped_where_they_are_to_a_tenth_of_a_pixel_of_the_map():
    pixels = np.zeros(SHAPE)
    pixels[:, 320:] = fringes(SHAPE, PIXEL, 0.25, 40.0)[:, 320:]
    grid = MapGrid.covering(EXTENT, 0.2)
    amplitude = np.abs(bragg_field(diffractogram_of(pixels), frequency(0.25, 40.0), 0.5, grid))
    profile = amplitude[10:-10].mean(axis=0)
    x = grid.positions()[1].ravel()
    middle = slice(20, -20)
    edge = np.interp(0.25, profile[middle], x[middle])
    assert edge == pytest.approx(9.6, abs=0.05)


def test_noise_alone_gives_the_stated_power():
    pixels = white_noise(SHAPE, 0, sigma=2.0)
    found = diffractogram_of(pixels)
    spectra = compute_local_spectra(pixels.astype(np.float32), PIXEL, 2.0, 10.0, WindowParams(6.0))
    grid = MapGrid.covering(EXTENT, 0.3)
    ratios = []
    for azimuth in range(5, 180, 10):
        g = frequency(0.2, azimuth)
        power = np.abs(bragg_field(found, g, 0.6, grid)) ** 2
        ratios.append(power / field_noise(found, spectra, g, 0.6, grid))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.08)
    assert np.mean(np.array(ratios) > 3) == pytest.approx(np.exp(-3), rel=0.3)


def test_a_part_of_the_map_is_that_part_of_the_whole_map():
    found = diffractogram_of(fringes(SHAPE, PIXEL, 0.25, 88.0) + white_noise(SHAPE, 1))
    grid = MapGrid.covering(EXTENT, 0.2)
    for azimuth in (88.0, 40.0, 0.0):
        g = frequency(0.25, azimuth)
        whole = bragg_field(found, g, 0.6, grid)
        part = bragg_field(found, g, 0.6, grid.part(slice(10, 40), slice(20, 33)))
        np.testing.assert_allclose(part, whole[10:40, 20:33], atol=1e-5)


def test_beside_vacuum_noise_marks_the_stated_share_of_the_film():
    size, pixel = 1024, (0.025, 0.025)
    film = np.arange(size)[None, :] > 0.5 * size
    marked, naive = [], []
    grid = MapGrid.covering((25.6, 25.6), 0.33)
    inside = resample(film * np.ones((size, 1), bool), grid.shape)
    for seed in range(2):
        speckle = film_image((size, size), pixel, seed, Optics(defocus=80.0), 0.04) - 1
        image = (film * speckle + white_noise((size, size), seed, 0.06)).astype(np.float32)
        found = compute_diffractogram(image, Micrograph(image, Calibration.real(pixel)), SpectrumParams())
        spectra = compute_local_spectra(image, pixel, found.q_min, found.q_max, WindowParams())
        for azimuth in range(0, 180, 15):
            g = frequency(0.17, azimuth + 7.0 * seed)
            power = np.abs(bragg_field(found, g, 0.7, grid)) ** 2
            marked.append(power[inside] > -np.log(0.01) * field_noise(found, spectra, g, 0.7, grid)[inside])
            naive.append(power[inside] > -np.log(0.01) * power.mean())
    assert np.mean(marked) == pytest.approx(0.01, rel=0.3)
    assert np.mean(naive) > np.mean(marked)


def test_in_a_small_field_fringes_that_do_not_close_are_as_strong_at_the_border_as_in_the_middle():
    g = frequency(0.2347, 31.0)
    found = diffractogram_of(fringes((250, 170), PIXEL, 0.2347, 31.0, amplitude=2.0))
    amplitude = np.abs(bragg_field(found, g, 1.0, MapGrid.covering((5.0, 5.1), 0.3)))
    assert amplitude.min() > 0.93 and amplitude.max() < 1.07


def test_noise_of_a_small_field_counts_the_pixels_that_are_missing_beyond_its_border():
    grid, shape = MapGrid.covering((6.0, 6.0), 0.3), (300, 200)
    ratios = []
    for seed in range(60):
        pixels = white_noise(shape, seed)
        found = diffractogram_of(pixels)
        spectra = compute_local_spectra(pixels.astype(np.float32), PIXEL, 2.0, 10.0, WindowParams())
        g = (3.1, 2.2)
        power = np.abs(bragg_field(found, g, 1.0, grid)) ** 2
        ratios.append(power / field_noise(found, spectra, g, 1.0, grid))
    mean = np.mean(ratios, axis=0)
    border = np.concatenate([mean[0], mean[-1], mean[:, 0], mean[:, -1]]).mean()
    assert mean[8:-8, 8:-8].mean() == pytest.approx(1.0, abs=0.3) and border == pytest.approx(1.0, abs=0.3)


def test_a_crystal_that_ends_before_the_border_of_a_small_field_is_not_drawn_up_to_it():
    pixels = fringes((300, 200), PIXEL, 0.2347, 31.0, amplitude=2.0)
    pixels[:, :50] = 0  # 1.5 nm
    grid = MapGrid.covering((6.0, 6.0), 0.3)
    amplitude = np.abs(bragg_field(diffractogram_of(pixels), frequency(0.2347, 31.0), 1.0, grid))
    assert amplitude[:, 0].max() < 0.4 and amplitude[:, 12].min() > 0.8
