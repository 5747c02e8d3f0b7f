from dataclasses import replace

import numpy as np

from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.grains.regions import GrainRegion
from napari_tem_fft.core.maps.component_map import (
    PALETTE,
    SHADES,
    UNKNOWN,
    ComponentMap,
    colours_of,
    component_maps,
    component_name,
    is_colour,
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
    assert overlap_words(over) == ["components overlap: their shares add up to 140 % of the specimen"]


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


#: Ottosson's OKLab, and Machado et al. (2009) at full severity: all cones, none for long, none for medium.
TO_CONES = np.array(
    [[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]],
)
TO_OKLAB = np.array(
    [[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]],
)
VIEWS = (
    np.eye(3),
    np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
)


def test_a_name_keeps_its_colour_in_other_company() -> None:
    assert colours_of(["LiF"])["LiF"] == colours_of(["LiF", "Li2O"])["LiF"]


def test_no_clash_within_an_image_and_any_order_gives_the_same() -> None:
    names = [f"phase {i}" for i in range(len(PALETTE))]
    assert len(set(colours_of(names).values())) == len(PALETTE)
    assert colours_of(names) == colours_of(names[::-1])


def test_unknown_crystal_is_grey_and_takes_no_colour() -> None:
    assert colours_of(["unknown crystal"])["unknown crystal"] == UNKNOWN


def test_colours_beyond_the_palette_do_not_repeat_and_earlier_ones_stay() -> None:
    few = colours_of(f"phase {i}" for i in range(len(PALETTE)))
    many = colours_of([f"phase {i}" for i in range(36)], few)
    assert len(set(many.values())) == 36 and set(many.values()) == {*PALETTE, *SHADES}
    assert few.items() <= many.items()


def _seen(colour: str) -> list[np.ndarray]:
    """The colour in OKLab, as it is and without cones for long or for medium waves."""
    s = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    return [TO_OKLAB @ np.cbrt(TO_CONES @ np.clip(view @ linear, 0, 1)) for view in VIEWS]


def test_shades_are_told_apart_by_colour_blind_people_too() -> None:
    """The nearest two of the palette alone are .015 apart."""
    seen = [_seen(colour) for colour in (*PALETTE, *SHADES, UNKNOWN)]
    for number in range(len(PALETTE), len(PALETTE) + len(SHADES)):
        others = [*seen[:number], seen[-1]]
        nearest = min(
            np.linalg.norm(a - b) for other in others for a, b in zip(seen[number], other, strict=True)
        )
        assert nearest > 0.035


def test_more_components_than_colours() -> None:
    assert len(colours_of(map(str, range(40)))) == 40


def test_a_colour_is_six_hexadecimal_digits() -> None:
    assert all(map(is_colour, (*PALETTE, UNKNOWN, "#00ffAA")))
    assert not any(map(is_colour, ("red", "#00ffA", "#00ffAA0", "#00ffAG", None, 7)))
