"""A whole grain as the standard: scale, stretch and shear."""

import numpy as np
import pytest

from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.image.calibration import Calibration, CalibrationError
from napari_tem_fft.core.matching.standard import correction_on_grain
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_table

GOLD = next(phase for phase in load_table() if phase.id == "Au")
A = 2.4520  # |111| of gold, 1/nm, over the square root of 3


def gold(e, f, s, count=6):
    """Spots of gold along [011], turned by 20 degrees, in an image that is stretched and s off in scale."""
    hkl = np.array([(1, 1, -1), (-1, 1, -1), (2, 0, 0), (0, 2, -2), (3, 1, -1), (-3, 1, -1)])[:count]
    x, y = A * hkl[:, 0], A * np.sqrt(2) * hkl[:, 1]
    c, s_ = np.cos(np.radians(20)), np.sin(np.radians(20))
    flat = np.stack([c * x - s_ * y, s_ * x + c * y], axis=1)
    g = np.exp(s) * flat @ (np.eye(2) + np.array([[e, f], [f, -e]]))
    spots = [
        Spot(n, friedel_representative((float(gy), float(gx))), 0.005, 100.0 - n, -100.0)
        for n, (gx, gy) in enumerate(g)
    ]
    return Grain(1, tuple(range(count)), (0.0, 0.0), 78.5, 10.0), spots


def test_scale_stretch_and_shear_come_from_one_grain():
    correction = correction_on_grain(*gold(0.02, -0.03, 0.04), GOLD)
    fy, fx = correction.factors
    assert np.sqrt(fx * fy) == pytest.approx(np.exp(0.04), abs=0.004)
    assert fx / fy == pytest.approx(1.02 / 0.98, abs=0.004)
    assert correction.shear == pytest.approx(-0.03, abs=0.003)
    assert correction.standard.startswith("Au along [")
    corrected = Calibration.real(0.02).corrected(correction)
    assert corrected.shear == correction.shear
    assert corrected.scale == pytest.approx((0.02 * fy, 0.02 * fx))


def test_a_straight_image_is_left_as_it_is():
    correction = correction_on_grain(*gold(0.0, 0.0, 0.0), GOLD)
    assert correction.factors == pytest.approx((1, 1), abs=0.003) and abs(correction.shear) < 0.003


def test_spots_of_something_else_and_too_few_are_refused():
    grain, spots = gold(0.0, 0.0, 0.0)
    other = next(phase for phase in load_table() if phase.id == "graphite")
    with pytest.raises(CalibrationError, match="graphite"):
        correction_on_grain(grain, spots, other)
    with pytest.raises(CalibrationError, match="Au"):
        correction_on_grain(*gold(0.0, 0.0, 0.0, count=2), GOLD)
