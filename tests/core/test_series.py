from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.matching.assignment import CandidateSet
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.series import (
    SeriesFrame,
    SeriesGrain,
    component_names,
    follow_grains_over,
    series_steps,
)

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


def grain(y, x, azimuth_spot=(4.8, 0.0), diameter=3.0):
    return SeriesGrain(1, "Cu", (y, x), 7.0, 1.0, diameter, (azimuth_spot,))


def test_a_grain_keeps_its_number_while_it_moves_and_misses_two_frames():
    here = grain(5.0, 5.0)
    moved = replace(here, centre=(5.5, 5.4))
    assert follow_grains_over([[here], [moved], [], [], [here]]) == ((1,), (1,), (), (), (1,))
    assert follow_grains_over([[here], [], [], [], [here]])[-1] == (2,)  # missed in three


def test_a_crystal_of_other_planes_in_the_same_place_is_another_one():
    here, turned = grain(5.0, 5.0), grain(5.0, 5.0, (0.0, 4.8))
    assert follow_grains_over([[here], [turned]]) == ((1,), (2,))
    opposite = grain(5.0, 5.0, (-4.8, 0.1))  # the same planes: -g, half a degree on
    assert follow_grains_over([[here], [opposite]]) == ((1,), (1,))


def test_of_two_overlapping_grains_each_is_followed_by_its_planes():
    one, other = grain(5.0, 5.0), grain(5.2, 5.0, (0.0, 4.8))
    assert follow_grains_over([[one, other], [other, one]]) == ((1, 2), (2, 1))


@given(st.lists(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), max_size=4), max_size=5))
def test_no_number_is_there_twice_in_a_frame_and_all_are_used(places):
    tracks = follow_grains_over([[grain(*place) for place in frame] for frame in places])
    assert [len(numbers) for numbers in tracks] == [len(frame) for frame in places]
    assert all(len(set(numbers)) == len(numbers) for numbers in tracks)
    used = {number for numbers in tracks for number in numbers}
    assert used == set(range(1, len(used) + 1))
