"""Misorientations of grains that touch, with twins of gold."""

from dataclasses import replace

import numpy as np
import pytest

from forward_model import frequency
from napari_tem_fft.core.crystal.orientation import CrystalOrientation, along_zone
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.grains.regions import GrainRegion
from napari_tem_fft.core.maps.component_map import ComponentMap
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.maps.orientation import (
    Orientation,
    colour_factors,
    families,
    grain_boundaries,
    orientation_map,
    orientations,
)
from napari_tem_fft.core.maps.strain import Deformation
from napari_tem_fft.core.matching import Candidate, GrainMatch, IndexedSpot, Outcome
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_table

SHAPE = (6, 8)


def spot(number, d, azimuth):
    return Spot(number, friedel_representative(frequency(d, azimuth)), 0.005, 50.0, -40.0)


SPOTS = (spot(1, 0.2338, 30.0), spot(2, 0.2025, 85.0), spot(3, 0.2342, 100.0), spot(4, 0.2021, 10.0))
GRAINS = (
    Grain(1, (1, 2), (1.0, 1.0), 60.0, 8.7),
    Grain(2, (3,), (3.0, 3.0), 30.0, 6.2),
    Grain(3, (4,), (5, 5), 9.0, 3.4),
)


def named(grain, *indexed):
    pairs = tuple(IndexedSpot(n, hkl, 0.2338, 0.0) for n, hkl in indexed)
    return GrainMatch(grain, Outcome.LIKELY, ("Al",), (Candidate("Al", 0.95, 1.0, None, pairs, 1.0),))


MATCHES = (named(1, (1, (1, 1, 1)), (2, (2, 0, 0))), named(2, (3, (1, 1, 1))), named(3, (4, (2, 0, 0))))
HEATS = np.zeros((3, *SHAPE), np.float32)
HEATS[0, :4, :4], HEATS[1, 2:, 2:6], HEATS[2, 5:, 7:] = 0.8, 1.0, 0.9
REGIONS = tuple(GrainRegion.cropped(heat >= 0.5, heat) for heat in HEATS)
AL = ComponentMap("Al", ("Al",), Outcome.LIKELY, 0.95, (1, 2, 3), HEATS.max(axis=0), 99.0, 1.0, 0.5)


def test_grains_are_compared_by_the_planes_that_most_of_them_show():
    first, second = orientations((AL,), GRAINS, MATCHES, SPOTS)
    assert (first.grain, first.hkl, first.component) == (1, (1, 1, 1), "Al")
    assert first.azimuth == pytest.approx(30.0) and second.azimuth == pytest.approx(100.0)


def test_planes_that_as_many_grains_show_are_those_of_the_largest_d():
    grains = (replace(GRAINS[0], spots=(2, 1)),)  # its 200 comes first, both are shown by the same area
    (only,) = orientations((replace(AL, grains=(1,)),), grains, MATCHES[:1], SPOTS)
    assert (only.hkl, only.d) == ((1, 1, 1), pytest.approx(0.2338))


def test_the_planes_are_said_in_words_with_indices_where_one_grain_knows_them():
    first, second = orientations((AL,), GRAINS, MATCHES, SPOTS)
    unknown = replace(first, component="unknown crystal", hkl=None)
    nameless = replace(first, hkl=None)
    assert families((nameless, second, unknown), ()) == "Al 1 1 1 (0.2342 nm), unknown crystal (0.2338 nm)"
    assert families((first, second), (), "angstrom") == "Al 1 1 1 (2.338 \u00c5)"
    assert families((), ()) == "no planes shared by the grains"


def test_the_map_shows_the_stronger_grain_and_its_own_rotations():
    turn, sigma = np.full((4, 4), 2.0, np.float32), np.full((4, 4), 0.1, np.float32)
    sigma[0, 0] = 5.0
    bent = Deformation(1, (1,), (0, 0), turn, turn, sigma, sigma)
    found = orientations((AL,), GRAINS, MATCHES, SPOTS)
    image = orientation_map(found, GRAINS, REGIONS, np.ones(SHAPE, bool), [bent])
    assert image[0, 0] == pytest.approx(30.0) and image[0, 1] == pytest.approx(32.0)
    assert image[2, 2] == pytest.approx(100.0) and np.isnan(image[5, 7]) and np.isnan(image[0, 7])


def fitted(match, rotation, zone_axis=(0, 1, 1), period=180.0, phase="Al"):
    """The match with a rotation of the phase's pattern."""
    crystal = CrystalOrientation(zone_axis, (2, 0, 0), rotation, 0.2, period, 0.2025)
    best = replace(match.candidates[0], phase=phase, zone_axis=zone_axis, orientation=crystal)
    return replace(match, candidates=(best,))


def test_twins_that_show_the_same_smallest_azimuth_have_two_rotations_and_colours():
    """Two grains along [011] turned by 109.47 degrees: 111 at 10 degrees in both, 200 is not."""
    spots = (spot(1, 0.2338, 10.0), spot(2, 0.2338, 80.53), spot(3, 0.2338, 10.0), spot(4, 0.2338, 119.47))
    grains = (replace(GRAINS[0], spots=(1, 2)), replace(GRAINS[1], spots=(3, 4)))
    plain = tuple(named(n, (2 * n - 1, (1, 1, 1)), (2 * n, (1, -1, 1))) for n in (1, 2))
    aluminium = replace(AL, grains=(1, 2))
    same = orientations((aluminium,), grains, plain, spots)
    assert [one.azimuth for one in same] == pytest.approx([10.0, 10.0])
    twins = fitted(plain[0], 45.26), fitted(plain[1], 154.74)
    found = orientations((aluminium,), grains, twins, spots)
    assert [(one.azimuth, one.hkl, one.zone_axis) for one in found] == [
        (45.26, (2, 0, 0), (0, 1, 1)),
        (154.74, (2, 0, 0), (0, 1, 1)),
    ]
    image = orientation_map(found, grains, REGIONS[:2], np.ones(SHAPE, bool))
    assert image[0, 0] == pytest.approx(45.26) and image[3, 5] == pytest.approx(154.74)
    assert families(found, ()) == "Al 2 0 0 along [0 1 1] (0.2025 nm)"


def test_a_grain_without_a_rotation_keeps_its_family_beside_those_that_have_one():
    found = orientations((AL,), GRAINS, (fitted(MATCHES[0], 45.0), *MATCHES[1:]), SPOTS)
    assert [(one.grain, one.azimuth, one.match) for one in found] == [
        (1, 45.0, 0),
        (2, pytest.approx(100.0), None),
    ]


def test_an_ambiguous_set_is_compared_as_one_phase():
    both = replace(AL, phases=("Al", "LiF"), name="Al / LiF", grains=(1, 2))
    one, other = (replace(m, phases=("LiF", "Al")) for m in MATCHES[:2])
    first, second = fitted(one, 10.0, phase="LiF"), fitted(other, 20.0, phase="LiF")
    second = replace(second, candidates=(fitted(other, 30.0).candidates[0], second.candidates[0]))
    found = orientations((both,), GRAINS[:2], (first, second), SPOTS)
    assert [(one.azimuth, one.phase) for one in found] == [(10.0, "LiF"), (20.0, "LiF")]


def test_colours_have_no_step_where_a_four_fold_pattern_repeats():
    cube = fitted(MATCHES[0], 89.0, (0, 0, 1), 90.0), fitted(MATCHES[1], 1.0, (0, 0, 1), 90.0)
    found = orientations((replace(AL, grains=(1, 2)),), GRAINS[:2], cube, SPOTS)
    ones = np.ones(SHAPE, bool)
    degrees, colours = (
        orientation_map(found, GRAINS[:2], REGIONS[:2], ones, colours=shown) for shown in (False, True)
    )
    assert (degrees[0, 0], degrees[3, 5]) == (89.0, 1.0) and (colours[0, 0], colours[3, 5]) == (178.0, 2.0)
    assert colour_factors(found) == "\u00d7 2 for 4-fold patterns" and colour_factors(()) == ""


def test_of_two_lattices_of_one_component_in_a_grain_the_first_is_shown():
    two = (fitted(MATCHES[0], 10.0), fitted(MATCHES[0], 80.0))
    found = orientations((replace(AL, grains=(1,)),), GRAINS[:1], two, SPOTS)
    assert [one.match for one in found] == [0, 1]
    image = orientation_map(found, GRAINS[:1], REGIONS[:1], np.ones(SHAPE, bool))
    assert image[0, 0] == 10.0


def test_drawn_finer_borders_are_round_and_no_azimuth_is_made_up():
    shape, y, x = (20, 24), *np.mgrid[:20, :24]
    distance = np.hypot(y - 9.5, x - 11.5)
    heat = np.clip(1 - (distance - 3) / 6, 0, 1).astype(np.float32)  # 0.5 at 6 pixels
    region = GrainRegion.cropped(heat >= 0.5, heat)
    found = (Orientation(1, "Cu", 179.0, 0.1, 0.2),)
    grains, ones = (Grain(1, (0,), (1.0, 1.0), 1.0, 1.0),), np.ones(shape, bool)
    coarse = orientation_map(found, grains, (region,), ones)
    fine = orientation_map(found, grains, (region,), ones, finer=5)
    assert fine.shape == (100, 120) and set(np.unique(fine[np.isfinite(fine)])) == {np.float32(179.0)}
    assert np.isfinite(fine).mean() == pytest.approx(np.pi * 36 / (20 * 24), rel=0.02)
    yy, xx = (np.mgrid[:100, :120] + 0.5) / 5 - 0.5
    off = np.hypot(yy - 9.5, xx - 11.5)[np.isfinite(fine)].max()
    blocky = np.hypot(y - 9.5, x - 11.5)[np.isfinite(coarse)].max() + 0.5
    assert off < 6.2 < blocky
    vacuum = ones.copy()
    vacuum[:, :12] = False
    cut = orientation_map(found, grains, (region,), vacuum, finer=5)
    assert np.isnan(cut[:, :58]).all() and np.isfinite(cut[:, 62:]).any()


def test_a_region_at_the_image_s_edge_reaches_it_when_magnified():
    heat = np.zeros((6, 6), np.float32)
    heat[:, :3] = 1.0
    region = GrainRegion.cropped(heat >= 0.5, heat).magnified(4, (6, 6))
    assert region.box == (slice(0, 24), slice(0, 16))
    np.testing.assert_array_equal(region.mask[:, :12], True)
    np.testing.assert_array_equal(region.mask[:, 12:], False)


PHASES = {phase.id: phase for phase in load_table()}
GRID = MapGrid((10, 30), (0.5, 0.5))
#: Columns of four grains: the first two touch, the third is 1 nm from the second, the fourth 4 nm from it.
COLUMNS = ((0, 5), (5, 10), (12, 16), (24, 28))
NEIGHBOURS = tuple(Grain(n + 1, (), (2.5, 1.0), 10.0, 3.6) for n in range(4))


def region(first, last):
    heat = np.zeros(GRID.shape, np.float32)
    heat[2:8, first:last] = 1.0
    return GrainRegion.cropped(heat >= 0.5, heat)


NEIGHBOUR_REGIONS = tuple(region(*columns) for columns in COLUMNS)


def match(grain, rotation, axis=(0, 1, 1), hkl=(2, 0, 0), phases=("Au",), outcome=Outcome.IDENTIFIED):
    best = tuple(
        Candidate(p, 0.9, 1.0, axis, (), 1.0, orientation=along_zone(PHASES[p], axis, hkl, rotation, 0.3))
        for p in phases
    )
    return GrainMatch(grain, outcome, phases if outcome.names_phases else (), best)


def boundaries(*matches, reach=1.0):
    return grain_boundaries(matches, NEIGHBOURS, NEIGHBOUR_REGIONS, GRID, reach, tuple(PHASES.values()))


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
