"""A calibration answers in nm, or says why it cannot."""

import pytest

from napari_tem_fft.core.image.calibration import Calibration, CalibrationError, stated_uncertainty


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
