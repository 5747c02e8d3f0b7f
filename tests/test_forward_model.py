"""The synthetic images that other tests trust."""

import numpy as np
import pytest

from forward_model import Optics, camera, film_image, frequency, fringes, lattice, transfer, zone
from napari_tem_fft.io.phases.table import load_table


def strongest(image: np.ndarray, pixel_size: tuple[float, float]) -> tuple[float, float]:
    """g (y, x) of the largest Fourier component, with g_x >= 0."""
    power = np.abs(np.fft.rfft2(image - image.mean()))
    row, column = np.unravel_index(power.argmax(), power.shape)
    return np.fft.fftfreq(image.shape[0], pixel_size[0])[row], column / (image.shape[1] * pixel_size[1])


def test_fringes_have_their_spacing_and_azimuth() -> None:
    gy, gx = strongest(fringes((300, 400), (0.02, 0.03), 0.25, 30.0), (0.02, 0.03))
    assert 1 / np.hypot(gy, gx) == pytest.approx(0.25, rel=0.02)
    assert np.degrees(np.arctan2(-gy, gx)) == pytest.approx(30.0, abs=1.5)


def test_azimuth_is_counter_clockwise_as_displayed() -> None:
    gy, gx = frequency(0.2, 30.0)
    assert gx > 0 > gy  # row 0 is on top, so up is -y
    assert np.hypot(gy, gx) == pytest.approx(5.0)


def test_lattice_is_the_sum_of_its_fringes() -> None:
    planes = [(0.25, 30.0), (0.2, 100.0)]
    both = lattice((64, 64), (0.02, 0.02), planes)
    np.testing.assert_allclose(both, sum(fringes((64, 64), (0.02, 0.02), *one) for one in planes))


def test_wavelength_at_300_kv_is_1_97_pm() -> None:
    assert Optics(300.0).wavelength == pytest.approx(1.9687e-3, rel=1e-3)


def test_transfer_of_weak_phase_vanishes_where_chi_is_pi() -> None:
    optics = Optics(cs_mm=0.0, defocus=50.0, focal_spread=0.0)
    curve = transfer((2, 4000), (0.025, 0.025), optics)[0]
    g = np.arange(len(curve)) / (4000 * 0.025)
    zero = 1 / np.sqrt(optics.wavelength * 50.0)
    near = np.abs(g - zero) < 0.02
    assert np.abs(curve[near] + 0.2).max() < 0.1  # amplitude contrast alone is left


def test_film_shows_thon_rings_and_no_lattice() -> None:
    image = film_image((512, 512), (0.025, 0.025), 3, Optics(defocus=90.0))
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    gy, gx = np.meshgrid(*[np.fft.fftfreq(512, 0.025)] * 2, indexing="ij")
    radius = np.hypot(gy, gx)
    rings = [power[(radius > low) & (radius < low + 0.2)].mean() for low in np.arange(0.8, 4.0, 0.2)]
    assert (np.diff(np.sign(np.diff(rings))) != 0).sum() >= 3
    assert power.max() / np.median(power[radius < 4]) < 400


def test_copper_along_011_shows_its_rectangle() -> None:
    copper = next(phase for phase in load_table() if phase.id == "Cu")
    hkl, g, strength = zone(copper, (0, 1, 1), 20.0, 0.15)
    d = 1 / np.linalg.norm(g, axis=1)
    assert sorted(d.round(4)) == pytest.approx([0.1808, 0.2087, 0.2087], abs=2e-4)
    angles = np.degrees(np.arctan2(-g[:, 0], g[:, 1])) % 180
    one, two = angles[d > 0.2]
    assert min(abs(one - two), 180 - abs(one - two)) == pytest.approx(70.53, abs=0.01)
    assert len(hkl) == len(strength) == 3


def test_turning_a_zone_turns_every_spot_counter_clockwise() -> None:
    copper = next(phase for phase in load_table() if phase.id == "Cu")
    azimuth = [
        np.degrees(np.arctan2(-g[:, 0], g[:, 1]))
        for _, g, _ in (zone(copper, (0, 1, 1), turn) for turn in (0.0, 25.0))
    ]
    np.testing.assert_allclose((azimuth[1] - azimuth[0]) % 180, 25.0, atol=1e-9)


def test_camera_counts_electrons() -> None:
    counts = camera(np.ones((256, 256)), (0.02, 0.02), 50_000.0, 1, gain=10.0)
    assert counts.dtype == np.int16
    assert counts.mean() == pytest.approx(100 + 10 * 20, rel=0.01)
