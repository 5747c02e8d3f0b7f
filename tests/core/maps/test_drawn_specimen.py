"""A specimen that a person has drawn: grains, maps and fractions end where it does."""

from dataclasses import replace

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph, RegionOfInterest
from napari_tem_fft.core.matching import PhaseOverride
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import reanalyse_after_specimen_edit, reanalyse_after_spot_edit
from small_analysis import GRID, assert_same, small_analysis


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
    with pytest.raises(ValueError, match="mark where there is matter"):
        exhaust(reanalyse_after_specimen_edit(analysis, np.zeros(GRID.shape)))


def test_of_a_part_only_what_lies_inside_counts(analysis):
    corners = ((0.0, 0.0), (0.0, 7.6), (3.8, 7.6))  # the upper right half
    part = replace(analysis.micrograph, roi=RegionOfInterest(corners=corners))
    assert isinstance(part, Micrograph)
    cut = exhaust(reanalyse_after_specimen_edit(replace(analysis, micrograph=part), np.ones(GRID.shape)))
    assert cut.specimen.mean() == pytest.approx(0.5, abs=0.03)
