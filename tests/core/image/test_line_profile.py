"""Profiles along lines: length, direction and values of pictures with known ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.image.line_profile import azimuth_of, line_profile

PLACE = st.tuples(st.floats(-3, 9), st.floats(-3, 9))


def test_each_axis_has_its_own_pixel_size():
    rows, columns = np.mgrid[:40, :30].astype(float)
    found = line_profile(rows * 0.02 + columns * 0.03, (0.02, 0.03), (0.1, 0.12), (0.5, 0.42))
    assert found.length == pytest.approx(0.5)
    assert found.azimuth == pytest.approx(180 - np.degrees(np.arctan2(0.4, 0.3)))
    assert found.value[[0, -1]] == pytest.approx([0.22, 0.92])
    assert found.value == pytest.approx(0.22 + 1.4 * found.position)


def test_a_wide_line_averages_across_and_nothing_is_shown_outside():
    stripes = np.tile(np.array([0.0, 1.0]), (12, 6)).T
    one, wide = (line_profile(stripes, (1.0, 1.0), (3.0, 1.0), (3.0, 9.0), width) for width in (1, 2))
    assert set(one.value) == {1.0} and wide.value == pytest.approx(0.5)
    beyond = line_profile(stripes, (1.0, 1.0), (3.0, 8.0), (3.0, 16.0)).value
    assert np.isfinite(beyond[0]) and np.isnan(beyond[-1])
    assert np.isnan(line_profile(stripes, (1.0, 1.0), (50.0, 50.0), (60.0, 60.0)).value).all()


@given(PLACE, PLACE, st.integers(1, 4))
def test_any_line_has_as_many_positions_as_values_and_a_direction_the_same_both_ways(start, end, width):
    found = line_profile(np.ones((6, 7), np.uint16), (1.0, 1.0), start, end, width)
    assert len(found.position) == len(found.value) and found.position[-1] == pytest.approx(found.length)
    assert 0 <= found.azimuth < 180
    if found.length > 1e-6:
        turn = (azimuth_of(end, start) - found.azimuth + 90) % 180 - 90
        assert turn == pytest.approx(0, abs=1e-6)


def test_a_line_may_end_in_the_middle_of_the_last_pixel() -> None:
    ramp = np.tile(np.arange(5.0), (4, 1))
    assert line_profile(ramp, (0.3, 0.3), (0.9, 0.0), (0.9, 1.2)).value.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert line_profile(ramp, (0.5, 0.5), (0.5, 0.0), (0.5, 2.0), 3).value.tolist() == [
        0.0,
        1.0,
        2.0,
        3.0,
        4.0,
    ]
