from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forward_model import frequency, positions, white_noise
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams, compute_diffractogram
from napari_tem_fft.core.fourier.local_spectra import compute_local_spectra
from napari_tem_fft.core.fourier.stft import WindowParams
from napari_tem_fft.core.grains.grain import Grain, GrainSet
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.maps.strain import (
    Deformation,
    DeformationParams,
    border_error,
    deformation_map,
    deformations,
    displacement_gradient,
    measured_spots,
    reference_corners,
    reference_text,
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


def half_deformed(strain, degrees, spots=G, sigma=0.5, seed=0):
    """Perfect on the left of x = 8 nm; on the right of it stretched by a strain and then turned.

    strain is (eps_xx, eps_yy, eps_xy) with y upwards; the turn is counter-clockwise as displayed.
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    stretch = np.array([[1 + strain[0], strain[2]], [strain[2], 1 + strain[1]]])
    inverse = np.linalg.inv(np.array([[cos, -sin], [sin, cos]]) @ stretch)
    y, x = positions((SIZE, SIZE), PIXEL)
    right, up = x - 8.0, 8.0 - y
    where = x > 8  # the atom that is seen at r comes from inverse(F) r
    from_x = np.where(where, inverse[0, 0] * right + inverse[0, 1] * up, right)
    from_y = np.where(where, inverse[1, 0] * right + inverse[1, 1] * up, up)
    waves = [np.cos(2 * np.pi * (g[1] * from_x - g[0] * from_y)) for g in spots]
    return np.sum(waves, axis=0) + white_noise((SIZE, SIZE), seed, sigma)


LEFT = np.zeros(GRID.shape, bool)
LEFT[8:-8, 6:18] = True
FAR = (slice(10, -10), slice(34, 38))


@pytest.mark.parametrize(
    ("strain", "degrees"),
    [((0.01, 0.0, 0.0), 0.0), ((0.0, 0.0, 0.0), 0.5), ((-0.004, 0.012, 0.006), -1.0)],
    ids=["1 % along x", "half a degree", "all at once"],
)
def test_strain_and_rotation_of_one_half_against_the_other_are_recovered(strain, degrees):
    found = displacement_gradient(*spectra_of(half_deformed(strain, degrees)), G, 1.0, GRID, LEFT, apart=True)
    change, turn, *eps = (value[FAR].mean() for value in found.values)
    assert found.along is None
    assert eps == pytest.approx(strain, abs=5e-4)
    assert np.degrees(turn) == pytest.approx(degrees, abs=0.03)
    assert change == pytest.approx((strain[0] + strain[1]) / 2, abs=5e-4)
    truth = np.array([(strain[0] + strain[1]) / 2, np.radians(degrees), *strain])
    off = (found.values[:, *FAR] - truth[:, None, None]) / found.sigmas[:, *FAR]
    assert np.sqrt(np.mean(off**2)) < 1.6  # the filter still feels the other half


def test_a_crystal_that_is_only_turned_has_no_strain_however_far():
    found = displacement_gradient(*spectra_of(half_deformed((0, 0, 0), 4.0)), G, 0.8, GRID, LEFT)
    assert np.degrees(found.values[1][FAR].mean()) == pytest.approx(4.0, abs=0.1)
    assert np.abs(found.values[2:, *FAR].mean(axis=(1, 2))).max() < 1e-3  # 1 - cos(4 degrees) is 2.4e-3


def test_fringes_that_do_not_close_at_the_border_are_no_strain():
    found, spectra = spectra_of(lattice_of(lambda y, x: 0.0, lambda y, x: 0.0))
    spectra = replace(spectra, anisotropy=np.ones_like(spectra.anisotropy))
    maps = displacement_gradient(found, spectra, G, 1.0, GRID, np.ones(GRID.shape, bool))
    assert np.abs(maps.values[2:]).max() > 0.01  # the border's own
    assert (np.abs(maps.values) > 3.3 * maps.sigmas).mean() < 0.01
    assert np.abs(maps.values[2:, *INNER]).max() < 0.002 and maps.sigmas[2:, *INNER].max() < 0.004


def test_the_margin_of_a_small_image_is_not_known():
    small = replace(GRID, shape=(24, 24))  # 8 nm
    error = border_error(small, 1.0)
    assert (error[:3] >= 1.0).all() and (error[3:-3, 3:-3] == 0).all()
    assert 0 < border_error(GRID, 1.0)[24, 5] < border_error(GRID, 1.0)[24, 1]


def test_one_direction_tells_the_change_along_it_and_no_strain():
    image = half_deformed((0.01, 0.0, 0.0), 0.5, spots=G[:1])
    found = displacement_gradient(*spectra_of(image), G[:1], 1.0, GRID, LEFT)
    assert found.along == pytest.approx(20.0, abs=0.1)
    # planes of azimuth 20 degrees: 1 % x cos^2, and turned by half a degree less 1 % x cos x sin
    assert found.values[0][FAR].mean() == pytest.approx(0.01 * np.cos(np.radians(20)) ** 2, abs=4e-4)
    turn = np.radians(0.5) + 0.01 * np.cos(np.radians(20)) * np.sin(np.radians(20))
    assert found.values[1][FAR].mean() == pytest.approx(turn, abs=4e-4)
    assert np.isnan(found.values[2:]).all() and np.isnan(found.sigmas[2:]).all()


def test_the_uncertainty_is_that_of_noise():
    pulls = []
    for seed in range(6):
        image = lattice_of(lambda y, x: 0.0, lambda y, x: 0.0, sigma=3.0, seed=seed)
        found, spectra = spectra_of(image)
        noise = replace(spectra, anisotropy=np.ones_like(spectra.anisotropy))  # two spots fill this image
        maps = displacement_gradient(found, noise, G, 1.0, GRID, np.ones(GRID.shape, bool))
        pulls.append((maps.values / maps.sigmas)[:, *INNER])
    spread = np.sqrt(np.mean(np.square(pulls), axis=(0, 2, 3)))
    assert (spread > 0.75).all() and (spread < 1.15).all()  # some fifty independent places
    covered = np.mean(np.abs(pulls) < 1)
    assert covered == pytest.approx(0.683, abs=0.06)


def test_a_region_is_the_reference_of_the_grains_that_it_reaches():
    spots, grains, regions = grain_and_spots()
    image = half_deformed((0.01, 0.0, 0.0), 0.0)
    stated = np.zeros(GRID.shape, bool)
    stated[10:38, 12:20] = True
    (own,) = deformations(*spectra_of(image), spots, grains, regions, GRID, 1.0)
    (against,) = deformations(*spectra_of(image), spots, grains, regions, GRID, 1.0, stated)
    elsewhere = np.zeros(GRID.shape, bool)
    elsewhere[:4] = True
    (kept,) = deformations(*spectra_of(image), spots, grains, regions, GRID, 1.0, elsewhere)
    assert not own.of_region and against.of_region and not kept.of_region
    assert np.nanmean(own.value("eps_xx")) == pytest.approx(0.0, abs=1e-3)
    assert np.nanmean(against.value("eps_xx")[:, -3:]) == pytest.approx(0.01, abs=1.5e-3)
    assert np.array_equal(kept.strain, own.strain)


def test_a_grain_of_the_same_lattice_is_measured_against_the_region_in_another():
    inverse = np.diag([1.0, 1 / 1.01])  # (y, x): 1 % along x
    strained = [tuple(float(n) for n in inverse @ g) for g in G]
    other = [frequency(0.24, 40.0), frequency(0.2, 115.0)]
    spots = tuple(Spot(n, g, 0.01, 50.0, -40.0) for n, g in enumerate([*G, *strained, *other]))
    mask = np.zeros((3, *GRID.shape), bool)
    mask[0, 10:38, 8:22] = mask[1, 10:38, 28:42] = mask[2, 10:38, 28:42] = True
    grains = [Grain(n + 1, (2 * n, 2 * n + 1), (8.0, 8.0), 44.0, 7.0) for n in range(3)]
    stated = np.zeros(GRID.shape, bool)
    stated[10:38, 8:18] = True
    spectra = spectra_of(half_deformed((0.01, 0.0, 0.0), 0.0))
    left, right, turned = deformations(*spectra, spots, grains, regions_of(mask), GRID, 1.0, stated)
    assert left.of_region and right.of_region and not turned.of_region
    assert np.nanmean(right.value("eps_xx")[:, 6:]) == pytest.approx(0.01, abs=5e-4)
    assert np.nanmean(right.value("eps_yy")[:, 6:]) == pytest.approx(0.0, abs=5e-4)
    (alone,) = deformations(*spectra, spots, grains[1:2], regions_of(mask[1:2]), GRID, 1.0, stated)
    assert not alone.of_region and np.nanmean(alone.value("eps_xx")) == pytest.approx(0.0, abs=5e-4)


def test_a_summary_tells_what_is_seen_and_where():
    spots, grains, regions = grain_and_spots()
    image = half_deformed((0.01, 0.0, 0.0), 0.0)
    stated = np.zeros(GRID.shape, bool)
    stated[10:38, 12:20] = True
    (found,) = deformations(*spectra_of(image), spots, grains, regions, GRID, 1.0, stated)
    told = found.summary("eps_xx", 1e-3)
    assert -0.002 < told.low < 0.001 and told.high == pytest.approx(0.01, abs=2e-3)
    assert told.low < told.mean < told.high and 0.1 < told.significant_share < 0.8
    assert replace(found, strain=None, strain_sigma=None).summary("eps_xx", 1e-3) is None


def test_a_second_direction_is_measured_however_faint_it_is():
    rows = [frequency(0.6 / n, 10.0) for n in range(1, 6)]
    faint = frequency(0.25, 80.0)
    assert measured_spots([*rows, faint], 2.0) == [*rows[:3], faint]
    assert measured_spots(rows, 2.0) == rows[:4]


@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3).map(lambda n: round(n, 3))] * 2), min_size=3, max_size=12))
def test_corners_of_a_polygon_come_back_from_their_text(corners):
    assert reference_corners(reference_text(corners)) == pytest.approx(np.array(corners), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("text", ["here", "1,2,3", "1,2,3,4,5", "1,2,x,4", "1,2,3,inf", ""])
def test_a_reference_that_is_no_region_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"deformation reference: .* is neither 'grain' nor corners"):
        DeformationParams(reference=text)
    assert reference_corners(" grain ") is None


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
    for what in ("d_change", "rotation", "eps_xx", "eps_yy", "eps_xy"):
        assert found.significant(what, 0.01).mean() < 0.05


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
    change, turn = (deformation_map([part], what, (4, 3), 0.01) for what in ("d_change", "rotation"))
    assert change[1:3, :2] == pytest.approx(0.03) and np.isnan(change).sum() == 8
    assert np.isnan(turn).all()
    assert np.nanmax(deformation_map([part], "rotation", (4, 3), 0.1)) == 9


def test_they_are_off_unless_asked_for():
    spots, grains, regions = grain_and_spots()
    spectra = spectra_of(lattice_of(lambda y, x: 0.0, lambda y, x: 0.0))
    found = GrainSet(spots, grains, regions)
    assert wanted_deformations(DeformationParams(), *spectra, found, GRID) == ()
    (one,) = wanted_deformations(DeformationParams(True), *spectra, found, GRID)
    assert one.grain == 7
    with pytest.raises(ValueError, match="deformation resolution"):
        DeformationParams(resolution=0.1)
