"""A calibration answers in nm, or says why it cannot.

A wrong pixel size is found again on spots of known spacing.
"""

import numpy as np
import pytest

from napari_tem_fft.core.image.calibration import (
    Calibration,
    CalibrationError,
    Correction,
    axis_correction,
    isotropic_correction,
    stated_uncertainty,
)


def test_pixel_size_is_y_then_x():
    calibration = Calibration.real((0.03, 0.02), "given by the user")
    assert calibration.pixel_size == (0.03, 0.02)
    assert (calibration.unit, calibration.source, calibration.uncertainty) == (
        "nm",
        "given by the user",
        0.02,
    )
    assert Calibration.real(1).pixel_size == (1.0, 1.0)


def test_an_uncalibrated_image_says_what_to_do():
    with pytest.raises(CalibrationError, match="give its pixel size in nm"):
        _ = Calibration().pixel_size
    assert Calibration().unit == "pixel"


def test_a_pattern_has_no_pixel_size():
    pattern = Calibration((0.1, 0.1), "reciprocal")
    with pytest.raises(CalibrationError, match="is not transformed again"):
        _ = pattern.pixel_size
    assert pattern.unit == "1/nm"


@pytest.mark.parametrize("scale", [(0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_impossible_scales_are_refused(scale):
    with pytest.raises(ValueError, match="positive"):
        Calibration(scale, "real")


def test_impossible_uncertainty_is_refused():
    with pytest.raises(ValueError, match="0-50 %"):
        Calibration(uncertainty=0.6)


def test_a_stated_uncertainty_changes_nothing_else():
    calibration = Calibration.real(0.02, "file")
    stated = calibration.with_uncertainty(0.003)
    assert (stated.uncertainty, stated.uncertainty_percent) == (0.003, 0.3)
    assert stated.with_uncertainty(0.02) == calibration
    with pytest.raises(ValueError, match="0-50 %"):
        calibration.with_uncertainty(2.0)


def test_a_stated_percentage_has_limits():
    assert stated_uncertainty(0.3) == pytest.approx(0.003)
    for percent in (0.0, 20.1, float("nan")):
        with pytest.raises(ValueError, match="calibration uncertainty"):
            stated_uncertainty(percent)


AU_111, AU_200 = 0.23550, 0.20395


def spot(d, azimuth):
    """True position (y, x), 1/nm."""
    angle = np.radians(azimuth)
    return np.array([-np.sin(angle), np.cos(angle)]) / d


def test_one_ring_gives_the_common_factor():
    # pixels taken for 0.0200 nm that are 0.0204 nm make 0.2355 nm look like 0.23088 nm
    correction = isotropic_correction([AU_111 / 1.02], [AU_111], "Au 111")
    assert correction.factors == pytest.approx((1.02, 1.02))
    corrected = Calibration.real(0.0200).corrected(correction)
    assert corrected.pixel_size == pytest.approx((0.0204, 0.0204))
    assert (corrected.uncertainty, corrected.source) == (0.003, "corrected on Au 111")


def test_a_vague_spot_leaves_a_larger_uncertainty_and_weighs_less():
    assert isotropic_correction([AU_111], [AU_111], "Au 111", [0.01 * AU_111]).uncertainty > 0.01
    both = isotropic_correction([AU_111, AU_200 / 1.1], [AU_111, AU_200], "Au", [0, 0.1 * AU_200])
    assert both.factors[0] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("fy", "fx"), [(1.05, 1.0), (0.98, 1.03)])
@pytest.mark.parametrize("azimuths", [(0, 90), (20, 100), (10, 70)])
def test_two_spots_give_a_factor_for_each_axis(fy, fx, azimuths):
    measured = [spot(d, azimuth) * (fy, fx) for d, azimuth in zip((AU_111, AU_200), azimuths, strict=True)]
    correction = axis_correction(measured, [AU_111, AU_200], "Au 111 and 200")
    assert correction.factors == pytest.approx((fy, fx))
    corrected = Calibration.real((0.02, 0.02)).corrected(correction)
    assert corrected.pixel_size == pytest.approx((0.02 * fy, 0.02 * fx))
    assert 0.003 <= corrected.uncertainty < 0.02


@pytest.mark.parametrize("azimuths", [(30, 30), (30, 150), (44, 47)])
def test_directions_that_do_not_tell_the_axes_apart_are_refused(azimuths):
    spots = [spot(AU_111, azimuth) for azimuth in azimuths]
    with pytest.raises(CalibrationError, match="do not separate the axes"):
        axis_correction(spots, [AU_111, AU_111], "Au 111")


def test_impossible_assignments_are_refused():
    with pytest.raises(CalibrationError, match="no pixel size agrees"):
        axis_correction([spot(0.2, 10), spot(0.2, 60)], [0.6, 0.1], "nonsense")
    with pytest.raises(CalibrationError, match="cannot be the spot of Au 111"):
        isotropic_correction([0.05], [AU_111], "Au 111")
    with pytest.raises(CalibrationError, match="both in nm"):
        isotropic_correction([], [], "Au 111")
    with pytest.raises(CalibrationError, match="both in nm"):
        isotropic_correction([AU_111, AU_200], [AU_111], "Au 111")
    with pytest.raises(CalibrationError, match="needs two spots"):
        axis_correction([spot(0.2, 10)], [0.2], "Au 111")
    with pytest.raises(ValueError, match="0-50 %"):
        Correction((1.0, 1.0), 0.7)


def test_a_pattern_in_reciprocal_units_gets_the_inverse_factor():
    pattern = Calibration((0.1, 0.1), "reciprocal").corrected(Correction((1.02, 1.0)))
    assert pattern.scale == pytest.approx((0.1 / 1.02, 0.1))


def test_without_a_scale_there_is_nothing_to_correct():
    with pytest.raises(CalibrationError, match="give its pixel size in nm first"):
        Calibration().corrected(Correction((1.02, 1.02)))
