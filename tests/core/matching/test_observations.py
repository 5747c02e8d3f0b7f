import numpy as np
import pytest

from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import MatchParams
from napari_tem_fft.core.matching.observations import observe
from napari_tem_fft.core.spots.spot import Spot

SPOTS = [Spot(1, (3.0, 4.0), 0.02, 40.0, -30.0), Spot(2, (-4.0, 0.5), 0.01, 400.0, -300.0)]


def test_spots_come_strongest_first_with_the_errors_of_their_fit_and_of_the_lattice():
    seen = observe([Grain(1, (1, 2), (0, 0), 9.0, 3.0)], SPOTS, MatchParams(d_error=0.3, angle_error=1.0))
    assert seen.ids[0].tolist() == [2, 1] and seen.valid.all() and seen.count.tolist() == [2]
    assert seen.g[0].tolist() == [[0.5, -4.0], [4.0, 3.0]]  # (x, y)
    relative = np.array([0.01 / np.hypot(4, 0.5), 0.02 / 5])
    assert seen.length_error[0] == pytest.approx(np.hypot(relative, 0.003))
    assert seen.angle_error[0] == pytest.approx(np.hypot(relative, np.radians(1.0)))
    assert seen.log_length[0] == pytest.approx(np.log([np.hypot(4, 0.5), 5]))


def test_a_grain_without_spots_has_an_empty_row():
    seen = observe([Grain(1, (1,), (0, 0), 9.0, 3.0), Grain(2, (), (0, 0), 9.0, 3.0)], SPOTS, MatchParams())
    assert seen.count.tolist() == [1, 0] and seen.ids.tolist() == [[1, -1], [-1, -1]]
