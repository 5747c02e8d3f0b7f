import numpy as np
import pytest

from napari_tem_fft.core.fourier.diffractogram import FrequencyGrid
from napari_tem_fft.core.spots.seeds import NetworkPicture


def test_what_a_network_said_near_a_frequency_is_its_largest_within_two_cells():
    grid = FrequencyGrid((0.1, 0.1), (10, 10))
    said = np.zeros(grid.shape, np.float32)
    said[12, 15], said[0, 0] = 0.7, 0.4  # g = (0.2, 0.5) and the corner, (-1, -1)
    picture = NetworkPicture(said, grid)
    near = [
        picture.near(g) for g in ((0.2, 0.5), (0.4, 0.3), (0.5, 0.5), (0.2, 0.2), (-0.9, -0.8), (-0.7, -1.0))
    ]
    assert near == pytest.approx([0.7, 0.7, 0, 0, 0.4, 0])
    assert picture.near((0.0, 1.2)) == 1
