import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.matching.assignment import CandidateSet
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.series import SeriesFrame, component_names, series_steps

SHAPE, PIXEL = (256, 256), 0.03
RADII = (2.2, 3.2)


def frame(number):
    """A growing grain of 0.235 nm; the third frame is constant."""
    if number == 2:
        return Micrograph(np.zeros(SHAPE, np.float32), Calibration.real(PIXEL), "blank")
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] * PIXEL
    grain = np.hypot(y - 3.8, x - 3.8) < RADII[number]
    image = white_noise(SHAPE, number) + grain * fringes(SHAPE, (PIXEL, PIXEL), 0.235, 20.0)
    return Micrograph(image.astype(np.float32), Calibration.real(PIXEL), "frame")


def test_areas_follow_the_grain_and_a_bad_frame_is_told_of():
    steps = []
    series = exhaust(series_steps(3, frame, CandidateSet(())), steps.append)
    shown = [step.product for step in steps]
    ends = [(step.name, step.done, step.total) for step in steps if step.product in series.frames]
    assert ends == [(f"frame {n} of 3", n, 3) for n in (1, 2, 3)]
    for found, radius in zip(series.frames, RADII, strict=False):
        (area, _) = found.areas["unknown crystal"]
        assert area == pytest.approx(np.pi * radius**2, rel=0.3)
        assert found.specimen == pytest.approx((256 * PIXEL) ** 2, rel=1e-6)
    assert "same value" in series.frames[2].problem and not series.frames[2].areas
    assert [product for product in shown if product is not None] == list(series.frames)


def test_names_by_area():
    frames = (SeriesFrame(0, {"a": (1.0, 0.1)}), SeriesFrame(1, {"b": (3.0, 0.1), "a": (1.0, 0.1)}))
    assert component_names(frames) == ("b", "a")
