import numpy as np
import pytest

from napari_tem_fft.core.crystal.phase import Phase, Reflection
from napari_tem_fft.core.image.calibration import CalibrationError, Correction
from napari_tem_fft.core.image.calibration_reference import (
    calibration_features,
    choose_feature,
    correction_on,
    miller,
    nearest_reflection,
    spacing,
)
from napari_tem_fft.core.profile.radial_profile import ProfilePeak
from napari_tem_fft.core.spots.spot import Spot

MEMBERS = tuple((h, k, m) for h in (1, -1) for k in (1, -1) for m in (1, -1))
GOLD = Phase(
    "Au", "gold", "Au", frozenset({"Au"}), "F m -3 m", (0.40786,) * 3 + (90.0,) * 3,
    (Reflection((1, 1, 1), 0.23548, 8, 1.0, MEMBERS), Reflection((2, 0, 0), 0.20393, 6, 0.9)),
)  # fmt: skip


def spot(number, d, azimuth, enabled=True):
    angle = np.radians(azimuth)
    return Spot(number, (-np.sin(angle) / d, np.cos(angle) / d), 0.002, 50.0, -30.0, enabled=enabled)


MARKS = calibration_features(
    [spot(0, 0.24, 10.0), spot(1, 0.24, 80.0), spot(2, 0.2078, 60.0), spot(3, 0.3, 5.0, enabled=False)],
    [ProfilePeak(1 / 0.2401, 0.001, 0.02, 5.0, 20.0, "masked")],
)


def test_marks_are_the_enabled_spots_and_the_rings():
    assert [feature.label for feature in MARKS] == ["0", "1", "2", "r1"]
    assert MARKS[3].azimuth is None and MARKS[3].d == pytest.approx(0.2401)


@pytest.mark.parametrize(
    ("text", "label"),
    [("2", "2"), ("R1", "r1"), ("0.207", "2"), ("@78", "1"), ("0.2401@9.0", "0"), ("@60°", "2")],
)
def test_a_mark_is_chosen(text, label):
    assert choose_feature(MARKS, text).label == label


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9", "no spot"),
        ("0.24", "0, 1"),
        ("@120", "none"),
        ("0.5", "none"),
        ("first", "no spot"),
        ("x@30", "no spot"),
    ],
)
def test_what_is_not_one_mark_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        choose_feature(MARKS, text)


@pytest.mark.parametrize("text", ["1,-1,0", "1 -1 0", "1-10", "1,-1,0,0"])
def test_miller_indices(text):
    assert miller(text) == (1, -1, 0)


@pytest.mark.parametrize("text", ["", "1,1", "0,0,0", "a,b,c", "1,1,1,1"])
def test_no_miller_indices(text):
    with pytest.raises(ValueError, match="Miller"):
        miller(text)


def test_spacing_of_a_reflection():
    assert spacing(GOLD, (-1, 1, -1)) == 0.23548
    assert spacing(GOLD, (-2, 0, 0)) == 0.20393
    with pytest.raises(ValueError, match="no reflection 1 0 0; its first ones are 1 1 1, 2 0 0"):
        spacing(GOLD, (1, 0, 0))


def test_one_factor_for_both_axes():
    correction = correction_on([MARKS[0], MARKS[3]], [0.23548, 0.23548], "Au 1 1 1")
    assert correction.factors == pytest.approx((0.98117, 0.98117), rel=3e-4)
    assert MARKS[2].correct_scale(correction).d == pytest.approx(0.2039, rel=1e-3)
    assert MARKS[3].correct_scale(correction).d == pytest.approx(0.2401 * 0.98117, rel=3e-4)
    assert MARKS[0].correct_scale(correction).azimuth == pytest.approx(10.0)


def test_a_factor_an_axis():
    squeezed = Correction((1.03, 0.98))
    true = calibration_features([spot(0, 0.23548, 10.0), spot(1, 0.23548, 80.0)], ())
    measured = [feature.correct_scale(Correction((1 / 1.03, 1 / 0.98))) for feature in true]
    found = correction_on(measured, [0.23548] * 2, "Au 1 1 1", per_axis=True)
    assert found.factors == pytest.approx(squeezed.factors, rel=1e-9)
    assert measured[0].correct_scale(found).azimuth == pytest.approx(10.0)
    with pytest.raises(CalibrationError, match="ring"):
        correction_on([MARKS[0], MARKS[3]], [0.23548] * 2, "Au 1 1 1", per_axis=True)


def test_nearest_reflection():
    assert nearest_reflection(GOLD, 0.206)[0] == "2 0 0"
    assert nearest_reflection(GOLD, 0.206)[1] == pytest.approx(0.01015, abs=1e-4)
