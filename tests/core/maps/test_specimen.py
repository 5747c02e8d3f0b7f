from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from forward_model import Optics, film_image, fringes, image_of, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph, RegionOfInterest
from napari_tem_fft.core.maps.map_grid import MapGrid, linear_weights, resample
from napari_tem_fft.core.matching import PhaseOverride
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import reanalyse_after_specimen_edit, reanalyse_after_spot_edit
from small_analysis import GRID, assert_same, small_analysis

PIXEL, SIZE = (0.03, 0.03), 900


def specimen_of(film, seed, dose=12.0, strength=0.12):
    image = 1 + film * (film_image((SIZE, SIZE), PIXEL, seed, Optics(defocus=60.0), strength) - 1)
    counts = np.random.default_rng(seed).poisson(np.maximum(image, 0) * dose)
    micrograph = Micrograph(counts.astype(float), Calibration.real(PIXEL))
    return exhaust(analysis_steps(micrograph, ())).specimen


def low_passed(counts, share, order=8):
    g = np.hypot(*(2 * f for f in (np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :])))
    return np.fft.irfft2(np.fft.rfft2(counts) / (1 + (g / share) ** (2 * order)), counts.shape)


def filtered_specimen_of(film, seed, change, beam=1.0):
    image = 1 + np.sqrt(film) * (film_image((SIZE, SIZE), PIXEL, seed, Optics(defocus=60.0), 0.12) - 1)
    counts = np.random.default_rng(seed).poisson(np.maximum(image, 0) * 36.0 * beam).astype(float)
    return exhaust(analysis_steps(Micrograph(change(counts), Calibration.real(PIXEL)), ())).specimen


def eight_bits(counts):
    low, high = np.percentile(counts, (0.5, 99.5))
    return np.round(255 * np.clip((counts - low) / (high - low), 0, 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda counts: low_passed(counts, 0.35),
        lambda counts: eight_bits(low_passed(counts, 0.5)),
        lambda counts: ndimage.gaussian_filter(counts, 1.2),
        lambda counts: ndimage.zoom(counts, 0.7, order=1),
    ],
    ids=["low-passed", "low-passed and quantised", "Gaussian filter", "resampled"],
)
def test_vacuum_is_found_in_an_image_without_shot_noise(change):
    film = np.zeros((SIZE, SIZE))
    film[:, 300:] = 1
    specimen = filtered_specimen_of(film, 2, change)
    columns = specimen.shape[1]
    assert 1 - specimen.mean() == pytest.approx(1 / 3, abs=0.05)
    assert not specimen[:, : columns // 4].any()
    assert specimen[:, columns // 2 :].all()


def test_the_dark_vacuum_of_a_dark_field_image_is_no_matter():
    film = np.zeros((SIZE, SIZE))
    film[:, 450:] = 1
    image = film * film_image((SIZE, SIZE), PIXEL, 5, Optics(defocus=60.0), 0.12) + 0.01
    counts = np.random.default_rng(5).poisson(np.maximum(image, 0) * 300.0)
    specimen = exhaust(analysis_steps(Micrograph(counts.astype(float), Calibration.real(PIXEL)), ())).specimen
    columns = specimen.shape[1]
    assert not specimen[:, : int(0.45 * columns)].any()
    assert specimen[:, int(0.55 * columns) :].all()


def test_thinner_film_of_a_low_passed_image_is_no_vacuum():
    film = np.where(np.arange(SIZE) < 360, 0.5, 1.0) * np.ones((SIZE, 1))
    assert filtered_specimen_of(film, 1, lambda counts: low_passed(counts, 0.4)).all()


def test_film_without_vacuum_is_all_specimen():
    assert specimen_of(np.ones((SIZE, SIZE)), 0).all()


def test_a_wedge_of_rising_thickness_is_not_cut():
    wedge = np.linspace(0.6, 1.6, SIZE)[None, :] * np.ones((SIZE, 1))
    assert specimen_of(wedge, 1).all()


def test_an_edge_is_found_to_about_a_nanometre():
    film = np.zeros((SIZE, SIZE))
    film[:, 300:] = 1
    specimen = specimen_of(film, 2)
    assert 1 - specimen.mean() == pytest.approx(1 / 3, abs=0.04)
    assert not specimen[:, : specimen.shape[1] // 4].any()


@pytest.mark.parametrize("strength", [0.04, 0.12])
def test_fresnel_fringes_do_not_carry_the_specimen_into_the_vacuum(strength):
    film = np.zeros((SIZE, SIZE))
    film[:, 300:] = 1
    optics = Optics(defocus=250.0)
    fringes = image_of(0.15 * film, PIXEL, optics) - 1
    image = 1 + film * (film_image((SIZE, SIZE), PIXEL, 4, optics, strength) - 1) + fringes
    counts = np.random.default_rng(4).poisson(np.maximum(image, 0) * 36.0)
    specimen = exhaust(analysis_steps(Micrograph(counts.astype(float), Calibration.real(PIXEL)), ())).specimen
    edge = (~specimen).mean(axis=1) * SIZE * PIXEL[1]
    assert edge.mean() == pytest.approx(9.0, abs=1.5)
    assert edge.std() < 1.0


@pytest.mark.parametrize("radius", [6.0, 8.0])
def test_a_hole_is_found_in_its_size(radius):
    y, x = np.mgrid[:SIZE, :SIZE] * PIXEL[0] - 13.5
    specimen = specimen_of((np.hypot(y, x) > radius).astype(float), 3)
    assert (1 - specimen.mean()) * 27.0**2 == pytest.approx(np.pi * radius**2, rel=0.1)
    assert not specimen[specimen.shape[0] // 2, specimen.shape[1] // 2]


@given(st.integers(2, 40), st.floats(-5, 45))
def test_linear_weights_sum_to_one(n, at):
    assert linear_weights(np.array([at]), n).sum() == pytest.approx(1.0)


def test_grid_covers_the_image():
    grid = MapGrid.covering((10.0, 20.0), 0.25)
    assert grid.shape[0] * grid.pixel_size[0] == pytest.approx(10.0)
    assert grid.positions()[1].max() == pytest.approx(20.0 - grid.pixel_size[1] / 2)


def test_resampling_keeps_the_place():
    mask = np.zeros((40, 60), bool)
    mask[:, 30:] = True
    assert resample(mask, (17, 30))[:, 15:].all() and not resample(mask, (17, 30))[:, :15].any()


@pytest.fixture(scope="module")
def analysis():
    return small_analysis()


def drawn(columns):
    mask = np.zeros(GRID.shape, bool)
    mask[:, columns] = True
    return mask


def test_maps_areas_and_fractions_are_those_of_the_drawn_specimen(analysis):
    cut = exhaust(
        reanalyse_after_specimen_edit(analysis, drawn(slice(0, 20)))
    )  # 20 of 64 columns; a pixel is 0.0096 nm^2
    assert cut.specimen_by_user and cut.specimen.sum() == 20 * 48
    first, second = cut.grains
    assert first.area == pytest.approx(20 * 10 * 0.0096) and first.centre == pytest.approx((1.6, 1.8))
    assert second.area == second.diameter == 0 and second.centre == analysis.grains[1].centre
    assert [c.area for c in cut.components] == pytest.approx([first.area, 0.0])
    assert cut.components[0].fraction == pytest.approx(200 / 960)
    assert not any((c.heat[~cut.specimen] > 0).any() for c in cut.components)


def test_the_two_steps_are_told(analysis):
    steps = []
    exhaust(reanalyse_after_specimen_edit(analysis, drawn(slice(0, 20))), steps.append)
    assert [(step.name, step.done, step.total) for step in steps] == [("grains", 1, 2), ("maps", 2, 2)]


def test_it_can_be_drawn_anew_and_taken_back(analysis):
    cut = exhaust(reanalyse_after_specimen_edit(analysis, drawn(slice(0, 20))))
    whole = exhaust(reanalyse_after_specimen_edit(cut, np.ones(analysis.micrograph.shape, np.uint8)))
    assert whole.specimen.all() and whole.specimen_by_user
    assert_same(whole.grain_regions, analysis.grain_regions)
    back = exhaust(reanalyse_after_specimen_edit(cut, None))
    assert not back.specimen_by_user
    np.testing.assert_array_equal(back.specimen, analysis.specimen)
    assert_same(back.grain_regions, analysis.grain_regions)


def test_an_edit_of_spots_keeps_the_drawn_specimen_and_the_grains_outside():
    size = (0.025, 0.025)
    pixels = white_noise((400, 400), 3)
    pixels[50:200, 50:200] += fringes((400, 400), size, 0.2, 30.0, 0.8)[50:200, 50:200]
    found = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(size)), ()))
    right = np.arange(400) >= np.full((400, 1), 240)
    cut = exhaust(reanalyse_after_specimen_edit(found, right))
    edited = exhaust(reanalyse_after_spot_edit(cut, found.spots))
    assert edited.specimen_by_user and edited.grains == cut.grains and edited.grains[0].area == 0
    np.testing.assert_array_equal(edited.specimen, cut.specimen)
    assert_same(exhaust(reanalyse_after_specimen_edit(edited, None)).grain_regions, found.grain_regions)


def test_a_decision_stays_with_its_grain(analysis):
    decided = replace(analysis, decisions=(PhaseOverride(1, "Al", "reject", analysis.grains[0].centre),))
    cut = exhaust(reanalyse_after_specimen_edit(decided, drawn(slice(0, 12))))
    assert cut.decisions == (PhaseOverride(1, "Al", "reject", cut.grains[0].centre),)


def test_an_analysis_takes_it_from_the_start(analysis):
    mask = np.zeros((24, 32))
    mask[:, :16] = 7
    given = exhaust(analysis_steps(analysis.micrograph, (), specimen=mask))
    assert given.specimen_by_user and given.specimen.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("shape", [(48, 48), (64, 48), (0, 64), (4,), (2, 48, 64)], ids=str)
def test_a_mask_of_another_shape_is_refused(analysis, shape):
    with pytest.raises(ValueError, match="does not cover an image"):
        exhaust(reanalyse_after_specimen_edit(analysis, np.ones(shape)))


def test_a_mask_without_matter_is_refused(analysis):
    with pytest.raises(ValueError, match="mark the area of the specimen"):
        exhaust(reanalyse_after_specimen_edit(analysis, np.zeros(GRID.shape)))


def test_of_a_part_only_what_lies_inside_counts(analysis):
    corners = ((0.0, 0.0), (0.0, 7.6), (3.8, 7.6))  # the upper right half
    part = replace(analysis.micrograph, roi=RegionOfInterest(corners=corners))
    assert isinstance(part, Micrograph)
    cut = exhaust(reanalyse_after_specimen_edit(replace(analysis, micrograph=part), np.ones(GRID.shape)))
    assert cut.specimen.mean() == pytest.approx(0.5, abs=0.03)
