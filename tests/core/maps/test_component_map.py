from dataclasses import replace

import numpy as np

from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.grains.region import GrainRegion
from napari_tem_fft.core.maps.component_map import (
    ComponentMap,
    component_maps,
    component_name,
    overlap_words,
    strongest,
)
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.matching import Candidate, GrainMatch, Outcome

GRID = MapGrid((8, 10), (0.5, 0.5))
GRAINS = tuple(Grain(n, (n,), (1.0, 1.0), 4.0, 2.0, 0.3) for n in (1, 2, 3))


def ambiguous(grain, *phases):
    candidates = tuple(Candidate(phase, 0.45, 1.0, None, (), 1.0) for phase in phases)
    return GrainMatch(grain, Outcome.AMBIGUOUS, phases, candidates)


def heats(*boxes):
    planes = np.zeros((3, *GRID.shape), np.float32)
    for plane, (rows, columns, value) in zip(planes, boxes, strict=True):
        plane[rows, columns] = value
    return tuple(GrainRegion.cropped(plane >= 0.5, plane) for plane in planes)


HEATS = heats((slice(0, 4), slice(0, 4), 0.9), (slice(4, 8), slice(0, 4), 0.8), (slice(2, 6), slice(2, 8), 1))


def test_an_ambiguous_set_is_one_component_in_whichever_order_its_phases_come():
    matches = (ambiguous(1, "LiF", "LiH"), ambiguous(2, "LiH", "LiF"), GrainMatch(3, Outcome.UNKNOWN))
    both, unknown = component_maps(GRAINS, matches, HEATS, np.ones(GRID.shape, bool), GRID)
    assert both.name == component_name(matches[1]) == "LiF / LiH" and both.grains == (1, 2)
    assert both.area == 8.0 and both.fraction == 8.0 / 20.0 and both.score == 0.9
    assert unknown.name == "unknown crystal" and unknown.grains == (3,)


def test_a_phase_that_is_not_named_counts_as_unknown_crystal():
    match = GrainMatch(1, Outcome.SINGLE_D, ("Au",))
    (only,) = component_maps(GRAINS[:1], (match,), HEATS[:1], np.ones(GRID.shape, bool), GRID)
    assert only.name == "unknown crystal" and only.phases == ()


def test_an_unknown_crystal_shows_a_single_d_only_where_none_of_its_grains_shows_more():
    single, many = GrainMatch(1, Outcome.SINGLE_D), GrainMatch(2, Outcome.UNKNOWN)
    whole = np.ones(GRID.shape, bool)
    (only,) = component_maps(GRAINS[:1], (single,), HEATS[:1], whole, GRID)
    (both,) = component_maps(GRAINS[:2], (single, many), HEATS[:2], whole, GRID)
    assert (only.outcome, both.outcome) == (Outcome.SINGLE_D, Outcome.UNKNOWN)


def test_shares_that_add_up_to_more_than_the_whole_are_told():
    whole = np.ones(GRID.shape, bool)
    found = component_maps(GRAINS, (ambiguous(1, "A"), GrainMatch(3, Outcome.UNKNOWN)), HEATS, whole, GRID)
    assert overlap_words(found) == []
    over = [replace(part, fraction=0.7) for part in found]
    assert overlap_words(over) == [
        "components lie over each other: their shares add up to 140 % of the specimen"
    ]


def test_without_matter_there_is_no_share_and_without_a_person_no_word():
    (only,) = component_maps(GRAINS, (ambiguous(1, "A", "B"),), HEATS, np.zeros(GRID.shape, bool), GRID)
    assert (only.area, only.fraction, only.by_user) == (0, 0, False)
    assert not ComponentMap("A", ("A",), Outcome.LIKELY, 0.9, (1,), HEATS[0].heat, 1.0, 0.1, 0.1).by_user
    (said,) = component_maps(
        GRAINS, (replace(ambiguous(1, "A"), decided_by_user=True),), HEATS, HEATS[0].mask_on(GRID.box), GRID
    )
    assert said.by_user and said.fraction == 1


def test_maps_stop_at_the_specimens_edge():
    specimen = np.ones(GRID.shape, bool)
    specimen[:, :3] = False
    match = GrainMatch(3, Outcome.LIKELY, ("Cu",), (Candidate("Cu", 0.95, 1.0, None, (), 1.0),))
    (only,) = component_maps(GRAINS, (match,), HEATS, specimen, GRID)
    assert not only.heat[~specimen].any() and only.area == 4 * 5 * 0.25


def test_the_strongest_component_takes_the_pixel_and_the_smaller_one_a_tie():
    matches = (ambiguous(1, "A", "B"), ambiguous(2, "C", "D"), ambiguous(3, "E", "F"))
    components = component_maps(GRAINS, matches, HEATS, np.ones(GRID.shape, bool), GRID)
    label = strongest(components, GRID.shape)
    assert [c.name for c in components] == ["E / F", "A / B", "C / D"]
    assert label[2, 2] == 1 and label[0, 0] == 2 and label[7, 0] == 3 and label[0, 9] == 0
    doubled = strongest((components[0], components[0]), GRID.shape)
    assert doubled.max() == 2 and not (doubled == 1).any()
