"""A wrong pixel size is found again on spots of known spacing."""

import numpy as np
import pytest

from napari_tem_fft.core.image.calibration import Calibration, CalibrationError
from napari_tem_fft.core.image.correction import Correction, axis_correction, isotropic_correction

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
    with pytest.raises(CalibrationError, match="not the spot of Au 111"):
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
