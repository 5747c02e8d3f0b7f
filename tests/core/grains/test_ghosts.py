"""Rims of crystals, and small crystals that are none."""

import numpy as np
import pytest

from napari_tem_fft.core.grains.ghosts import find_lobes, find_rims, is_rim
from napari_tem_fft.core.grains.region import GrainRegion
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.spots.spot import Spot, friedel_representative

GRID = MapGrid((80, 80), (0.25, 0.25))
CRYSTAL = [(0.0, 4.2), (4.2, 0.0), (4.2, 4.2), (-4.2, 4.2)]


def spots(g, snr: float, sigma: float = 0.01, radius: float = 0.35) -> list[Spot]:
    return [
        Spot(n, friedel_representative(tuple(map(float, one))), sigma, snr, -50.0, radius=radius)
        for n, one in enumerate(g)
    ]


def region(first: int, last: int) -> GrainRegion:
    mask = np.zeros(GRID.shape, bool)
    mask[20:60, first:last] = True
    return GrainRegion.cropped(mask, mask.astype(np.float32))


def misfit(percent: float, turn: float = 0.0) -> np.ndarray:
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return (1 - percent / 100) * np.array(CRYSTAL) @ np.array([[c, -s], [s, c]])


#: Each reflection moved along one direction, up or down, as a facet's rim moves them.
RIM = np.array(CRYSTAL) + np.array([[0.0, 0.2], [0.1, -0.15], [-0.1, 0.2], [0.0, -0.2]])


def test_a_rim_is_its_crystals():
    crystal = spots(CRYSTAL, 9e3, radius=0.1)
    groups, regions = [crystal, spots(RIM, 200.0)], [region(0, 40), region(40, 50)]
    assert find_rims(groups, regions, GRID) == {1: 0}


@pytest.mark.parametrize("percent", [1, 3, 5, 7])
@pytest.mark.parametrize("turn", [0.0, 2.0])
def test_a_crystal_of_like_structure_is_none(percent, turn):
    assert not is_rim(spots(misfit(percent, turn), 200.0), spots(CRYSTAL, 9e3, radius=0.1))
    assert is_rim(spots(RIM, 200.0), spots(CRYSTAL, 9e3, radius=0.1))


def test_neither_is_one_away_from_it_or_hardly_weaker_or_larger():
    crystal, rim = spots(CRYSTAL, 9e3, radius=0.1), spots(RIM, 200.0)
    assert find_rims([crystal, rim], [region(0, 40), region(46, 56)], GRID) == {}
    assert find_rims([crystal, spots(RIM, 2e3)], [region(0, 40), region(40, 50)], GRID) == {}
    assert find_rims([crystal, rim], [region(0, 10), region(10, 50)], GRID) == {}


def test_one_spot_is_no_rim():
    assert not is_rim(spots(RIM[:1], 200.0), spots(CRYSTAL, 9e3, radius=0.1))


def test_the_rim_of_a_rim_is_the_crystals():
    second = RIM + np.array([[0.1, 0.05], [-0.05, 0.1], [0.1, 0.1], [-0.1, 0.1]])
    groups = [spots(CRYSTAL, 9e3, radius=0.1), spots(RIM, 900.0), spots(second, 50.0)]
    assert find_rims(groups, [region(0, 40), region(40, 50), region(50, 55)], GRID) == {1: 0, 2: 0}


def test_a_faint_spot_beside_a_neighbours_strong_one_is_its_lobe():
    crystal, grain = spots(CRYSTAL, 9e3, radius=0.1), spots([(0.1, 4.3), (2.0, 3.0)], 20.0, radius=0.1)
    places = [region(0, 40), region(40, 70)]
    assert find_lobes([crystal, grain], places, GRID) == [{}, {0: 0}]
    apart = [region(0, 40), region(50, 70)]
    assert find_lobes([crystal, grain], apart, GRID) == [{}, {}]
    brighter = spots([(0.1, 4.3), (2.0, 3.0)], 300.0, radius=0.1)  # the weaker of two crystals side by side
    assert find_lobes([crystal, brighter], places, GRID) == [{}, {}]
