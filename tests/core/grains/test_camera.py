"""What the camera repeats is told from a crystal."""

import numpy as np
import pytest

from forward_model import Optics, film_image, lattice
from napari_tem_fft.core.grains.camera import common_period
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.spots.spot import Spot

SIZE, PIXEL = 700, (0.03, 0.03)
CUBIC = ((3, 0), (0, 3), (3, 3), (3, -3), (6, 0), (0, 6))


def analysis_of(change, image=1.0):
    film = film_image((SIZE, SIZE), PIXEL, 3, Optics(defocus=60.0), 0.08)
    counts = np.random.default_rng(3).poisson(np.maximum(film * image, 0.01) * 400).astype(float)
    micrograph = Micrograph(change(counts), Calibration.real(PIXEL))
    return exhaust(analysis_steps(micrograph, ()))


def tiles(period, gain=1.03):
    def change(counts):
        counts = counts.copy()
        counts[::period] *= gain
        counts[:, ::period] *= gain
        return counts

    return change


@pytest.mark.parametrize("period", [8, 32, 50])
def test_tiles_of_the_sensor_are_no_crystal(period):
    analysis = analysis_of(tiles(period))
    assert analysis.grains == ()
    assert {spot.kind for spot in analysis.spots} == {"camera"}
    assert not any(spot.enabled for spot in analysis.spots)
    assert any(f"fractions of {period} pixels" in text for text in analysis.warnings)


def test_gains_of_columns_are_no_crystal():
    gain = 1 + 0.03 * (np.arange(SIZE) % 4 == 0)
    analysis = analysis_of(lambda counts: counts * gain)
    assert analysis.grains == ()
    assert any("fractions of 4 pixels" in text for text in analysis.warnings)


def test_a_crystal_on_a_tiled_sensor_stays():
    crystal = lattice((SIZE, SIZE), PIXEL, [(0.235, 20.0), (0.235, 90.53)])
    analysis = analysis_of(tiles(32), 1 + 0.1 * crystal)
    d = sorted(spot.d for spot in analysis.spots if spot.enabled)
    assert d[-2:] == [pytest.approx(0.235, rel=3e-3)] * 2
    assert all(spot.kind != "camera" for spot in analysis.spots if spot.enabled)


def test_a_crystal_along_the_pixels_stays():
    crystal = lattice((SIZE, SIZE), PIXEL, [(0.2043, 0.0), (0.2043, 90.0)])
    analysis = analysis_of(lambda counts: counts, 1 + 0.1 * crystal)
    assert len(analysis.grains) == 1
    assert not analysis.warnings


def test_a_crystal_whose_planes_repeat_after_whole_pixels_stays():
    """A cubic lattice of 30 pixels along both axes, with the cross terms that no sensor has."""
    a = 30 * PIXEL[0]
    planes = [(a / np.hypot(h, k), np.degrees(np.arctan2(k, h))) for h, k in CUBIC]
    crystal = lattice((SIZE, SIZE), PIXEL, planes)
    analysis = analysis_of(lambda counts: counts, 1 + 0.1 * crystal)
    assert all(spot.kind != "camera" for spot in analysis.spots)
    on_axis = [spot for spot in analysis.spots if min(abs(spot.g[0]), abs(spot.g[1])) < 0.01]
    assert len(on_axis) == 4 and all(spot.enabled for spot in on_axis)
    assert not analysis.warnings


def test_a_period_that_any_frequency_fits_is_none():
    vague = [Spot(1, (0.0, 4.9), 0.05, 20.0, -20.0), Spot(2, (0.0, 6.1), 0.05, 20.0, -20.0)]
    assert common_period(vague, 1, PIXEL, (21.0, 21.0)) is None
    assert common_period([], 1, PIXEL, (21.0, 21.0)) is None
