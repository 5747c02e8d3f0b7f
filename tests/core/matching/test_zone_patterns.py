"""Zone axes: how many orientations show one, which points its pattern has."""

import numpy as np
import pytest

from napari_tem_fft.core.matching.null_models import _cubic_turns
from napari_tem_fft.core.matching.zone_patterns import _lattice_points, _orientations, _primitive_directions


@pytest.mark.parametrize(("uvw", "count"), [((0, 0, 1), 4), ((1, 1, 1), 6), ((0, 1, 1), 2), ((1, 2, 3), 1)])
def test_turns_of_a_cube_that_keep_an_axis_or_reverse_it_but_for_a_half_turn(uvw, count):
    assert _orientations(np.array(uvw), _cubic_turns()) == count


def test_directions_have_no_common_divisor_and_one_sign():
    found = set(map(tuple, _primitive_directions(1).tolist()))
    assert len(found) == 13 and (0, 0, 0) not in found and (1, -1, 0) in found and (-1, 1, 0) not in found


def test_points_of_a_pattern_are_those_of_half_the_plane_and_carry_its_weights():
    position = np.array([(1, 0), (-2, -3)])  # the latter stands for (2, 3)
    root_f, g = _lattice_points(np.eye(2), position, np.array([0.5, 0.25]))
    assert len(g) == (9 * 9 - 1) // 2  # (-4..4)^2 without zero, one of each pair
    assert np.count_nonzero(root_f) == 2 and g[root_f > 0] == pytest.approx([1, np.sqrt(13)])
