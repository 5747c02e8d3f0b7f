"""Misorientations of grains that touch, with twins of gold."""

import numpy as np
import pytest

from napari_tem_fft.core.crystal.orientation import along_zone
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.grains.regions import GrainRegion
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.maps.orientation import grain_boundaries
from napari_tem_fft.core.matching import Candidate, GrainMatch, Outcome
from napari_tem_fft.io.phases.table import load_table

PHASES = {phase.id: phase for phase in load_table()}
GRID = MapGrid((10, 30), (0.5, 0.5))
#: Columns of four grains: the first two touch, the third is 1 nm from the second, the fourth 4 nm from it.
COLUMNS = ((0, 5), (5, 10), (12, 16), (24, 28))
GRAINS = tuple(Grain(n + 1, (), (2.5, 1.0), 10.0, 3.6) for n in range(4))


def region(first, last):
    heat = np.zeros(GRID.shape, np.float32)
    heat[2:8, first:last] = 1.0
    return GrainRegion.cropped(heat >= 0.5, heat)


REGIONS = tuple(region(*columns) for columns in COLUMNS)


def match(grain, rotation, axis=(0, 1, 1), hkl=(2, 0, 0), phases=("Au",), outcome=Outcome.IDENTIFIED):
    best = tuple(
        Candidate(p, 0.9, 1.0, axis, (), 1.0, orientation=along_zone(PHASES[p], axis, hkl, rotation, 0.3))
        for p in phases
    )
    return GrainMatch(grain, outcome, phases if outcome.names_phases else (), best)


def boundaries(*matches, reach=1.0):
    return grain_boundaries(matches, GRAINS, REGIONS, GRID, reach, tuple(PHASES.values()))


def test_grains_that_touch_are_told_to_be_twins():
    (found,) = boundaries(match(1, 10.0), match(2, 119.4712))
    assert found.grains == (1, 2) and found.phase == "Au" and found.misorientation.note == "Sigma 3 twin"
    assert found.misorientation.angle == pytest.approx(60, abs=1e-3)
    assert found.sigma == pytest.approx(0.3 * 2**0.5)


def test_only_grains_within_reach_are_neighbours():
    four = [match(n, 10.0) for n in (1, 2, 3, 4)]
    assert [b.grains for b in boundaries(*four, reach=0.2)] == [(1, 2)]
    assert [b.grains for b in boundaries(*four, reach=1.5)] == [(1, 2), (2, 3)]
    assert [b.grains for b in boundaries(*four, reach=4.5)] == [(1, 2), (1, 3), (2, 3), (3, 4)]
    assert all(b.misorientation.angle == 0 for b in boundaries(*four))


def test_two_lattices_of_one_grain_are_neighbours():
    (found,) = boundaries(match(1, 10.0), match(1, 80.5288))
    assert found.grains == (1, 1) and found.misorientation.sigma_3


def test_grains_of_different_phases_or_of_none_have_no_misorientation():
    assert boundaries(match(1, 10.0), match(2, 10.0, phases=("Ag",))) == ()
    assert boundaries(match(1, 10.0), match(2, 10.0, outcome=Outcome.UNKNOWN)) == ()
    assert boundaries() == ()


def test_ambiguous_grains_are_compared_as_the_phase_that_both_may_be():
    (found,) = boundaries(match(1, 10.0, phases=("Ag", "Au")), match(2, 30.0, phases=("Au", "Cu")))
    assert found.phase == "Au" and found.misorientation.angle == pytest.approx(20)


def test_a_grain_along_111_may_be_a_twin_of_its_neighbour():
    (found,) = boundaries(*(match(n, 10.0, (1, 1, 1), (2, -2, 0)) for n in (1, 2)))
    assert found.misorientation.note.startswith("ambiguous: 0.0 degrees or 60.0")
