from dataclasses import replace

import numpy as np
import pytest

from forward_model import frequency, positions, white_noise
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams, compute_diffractogram
from napari_tem_fft.core.fourier.local_spectra import compute_local_spectra
from napari_tem_fft.core.fourier.windows import WindowParams
from napari_tem_fft.core.grains.grain import Grain, GrainSet
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.maps.strain import (
    Deformation,
    DeformationParams,
    deformations,
    local_deviation,
    smooth_field,
    wanted_deformations,
)
from napari_tem_fft.core.spots.spot import Spot
from small_analysis import regions_of

SIZE, PIXEL = 640, (0.025, 0.025)
GRID = MapGrid.covering((16.0, 16.0), 0.33)
G = (frequency(0.24, 20.0), frequency(0.2, 95.0))
INNER = (slice(8, -8), slice(8, -8))


def spectra_of(image):
    found = compute_diffractogram(
        image.astype(np.float32), Micrograph(image, Calibration.real(PIXEL)), SpectrumParams()
    )
    return found, compute_local_spectra(
        image.astype(np.float32), PIXEL, found.q_min, found.q_max, WindowParams()
    )


def lattice_of(move_y, move_x, sigma=0.5, seed=0):
    """Fringes of both spots whose planes are moved by (y, x) nm at each place."""
    y, x = positions((SIZE, SIZE), PIXEL)
    waves = [np.cos(2 * np.pi * (g[0] * (y - move_y(y, x)) + g[1] * (x - move_x(y, x)))) for g in G]
    return np.sum(waves, axis=0) + white_noise((SIZE, SIZE), seed, sigma)


def test_one_half_that_is_stretched_and_turned_is_measured():
    # right half: d larger by 1 %, turned by half a degree counter-clockwise as displayed
    stretch, turn = 0.01, np.radians(0.5)
    right = lambda x: np.maximum(x - 8.0, 0)  # noqa: E731
    image = lattice_of(
        lambda y, x: np.where(x > 8, stretch * (y - 8), 0) - turn * right(x),
        lambda y, x: stretch * right(x) + np.where(x > 8, turn * (y - 8), 0),
    )
    change, rotation, sigma = local_deviation(*spectra_of(image), G, 1.5, GRID)
    rows, left, far = slice(14, -14), slice(10, 15), slice(33, 38)
    assert change[rows, far].mean() - change[rows, left].mean() == pytest.approx(stretch, rel=0.06)
    assert np.degrees(rotation[rows, far].mean() - rotation[rows, left].mean()) == pytest.approx(
        0.5, rel=0.06
    )
    assert sigma.max() < 0.002


def test_the_uncertainty_is_that_of_noise():
    pulls = []
    for seed in range(4):
        image = lattice_of(lambda y, x: 0.0, lambda y, x: 0.0, sigma=3.0, seed=seed)
        found, spectra = spectra_of(image)
        noise = replace(spectra, anisotropy=np.ones_like(spectra.anisotropy))  # two spots fill this image
        change, rotation, sigma = local_deviation(found, noise, G, 1.0, GRID)
        pulls += [(change / sigma)[INNER], (rotation / sigma)[INNER]]
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.0, abs=0.12)


def grain_and_spots():
    spots = tuple(Spot(n, g, 0.01, 50.0, -40.0) for n, g in enumerate(G))
    mask = np.zeros((1, *GRID.shape), bool)
    mask[0, 10:38, 12:36] = True
    return spots, (Grain(7, (0, 1), (8.0, 8.0), 75.0, 9.8),), regions_of(mask)


def test_a_perfect_grain_shows_next_to_nothing():
    spots, grains, regions = grain_and_spots()
    image = lattice_of(lambda y, x: 0.0, lambda y, x: 0.0, sigma=2.0, seed=5)
    (found,) = deformations(*spectra_of(image), spots, grains, regions, GRID, 1.5)
    assert found.grain == 7 and found.spots == (0, 1) and found.first == (10, 12)
    assert np.isfinite(found.d_change).all() and found.d_change.shape == (28, 24)
    assert found.significant_d(0.01).mean() < 0.05 and found.significant_rotation(0.01).mean() < 0.05


def test_a_grain_smaller_than_the_filter_has_no_map():
    spots, grains, regions = grain_and_spots()
    image = lattice_of(lambda y, x: 0.0, lambda y, x: 0.0)
    assert deformations(*spectra_of(image), spots, grains, regions, GRID, 6.0) == ()


def test_the_four_strongest_spots_of_a_grain_are_averaged():
    _, (grain,), regions = grain_and_spots()
    places = [frequency(0.2, azimuth) for azimuth in (10.0, 50.0, 90.0, 130.0, 170.0)]
    spots = tuple(Spot(n, g, 0.01, 50.0 - n, -40.0) for n, g in enumerate(places))
    spectra = spectra_of(lattice_of(lambda y, x: 0.0, lambda y, x: 0.0))
    (found,) = deformations(*spectra, spots, [replace(grain, spots=(0, 1, 2, 3, 4))], regions, GRID, 1.5)
    assert found.spots == (0, 1, 2, 3)


def test_both_maps_show_what_is_more_than_their_own_noise():
    ones = np.ones((2, 2), np.float32)
    part = Deformation(1, (0,), (1, 0), 0.03 * ones, 9 * ones, 0.01 * ones, 5 * ones)  # 3.0 and 1.8 sigma
    change, turn = (smooth_field([part], what, (4, 3), 0.01) for what in ("d_change", "rotation"))
    assert change[1:3, :2] == pytest.approx(0.03) and np.isnan(change).sum() == 8
    assert np.isnan(turn).all()
    assert np.nanmax(smooth_field([part], "rotation", (4, 3), 0.1)) == 9


def test_they_are_off_unless_asked_for():
    spots, grains, regions = grain_and_spots()
    spectra = spectra_of(lattice_of(lambda y, x: 0.0, lambda y, x: 0.0))
    found = GrainSet(spots, grains, regions)
    assert wanted_deformations(DeformationParams(), *spectra, found, GRID) == ()
    (one,) = wanted_deformations(DeformationParams(True), *spectra, found, GRID)
    assert one.grain == 7
    with pytest.raises(ValueError, match="deformation resolution"):
        DeformationParams(resolution=0.1)
