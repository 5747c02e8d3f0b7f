"""Hints as corrections of the calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.image.calibration_reference import CalibrationFeature
from napari_tem_fft.core.matching import Candidate
from napari_tem_fft.core.matching.hints import correction_of_hint

STRETCH = st.floats(-0.04, 0.04)


@given(st.floats(0.85, 1.15), STRETCH, STRETCH, st.floats(0, 3.1))
def test_a_correction_by_a_hint_brings_every_spot_onto_its_lattice(scale, e, f, direction):
    hint = Candidate("Au", 0.5, scale, (0, 1, 1), (), 1.0, distortion=(e, f))
    true = 4.0 * np.array([np.cos(direction), np.sin(direction)])  # x, y
    measured = scale * (np.eye(2) + np.array([[e, f], [f, -e]])) @ true
    spot = CalibrationFeature("1", 1 / np.hypot(*measured), 0.0, (measured[1], measured[0]), 0.0, 9.0)
    correction = correction_of_hint(hint, 3)
    after = spot.correct_scale(correction)
    if np.hypot(e, f) > 0.015:
        # of first order in the stretch
        assert after.d == pytest.approx(0.25, rel=3 * (e**2 + f**2) + 1e-9)
        assert correction.shear == f
    else:
        assert correction.factors == pytest.approx((scale, scale)) and correction.shear is None
        assert after.d == pytest.approx(0.25, rel=0.016)


def test_a_hint_says_on_what_it_rests_and_how_well():
    sure = correction_of_hint(Candidate("Au", 0.5, 1.05, (0, 1, 1), (), 1.0, scale_sigma=0.001), 3)
    assert sure.standard == "Au in grain 3 along [0 1 1], 0 spots" and sure.uncertainty == 0.003
    unsure = correction_of_hint(Candidate("Au", 0.5, 1.05, None, (), 1.0, scale_sigma=0.01), 3)
    assert unsure.uncertainty == 0.01 and "along" not in unsure.standard
