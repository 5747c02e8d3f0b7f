from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import (
    Candidate,
    GrainMatch,
    IndexedSpot,
    Outcome,
    PhaseOverride,
    follow_grains,
)
from napari_tem_fft.core.matching.result import indexed_as, matches_of_spots

GRAINS = (Grain(1, (1, 2, 3), (1.0, 1.0), 4.0, 2.0), Grain(2, (4,), (5.0, 5.0), 4.0, 2.0))


def candidate(phase, *spots):
    return Candidate(phase, 0.9, 1.0, None, tuple(IndexedSpot(n, (1, 1, 1), 0.2, 0.0) for n in spots), 1.0)


def test_a_spot_is_of_the_lattice_whose_best_candidate_explains_it():
    copper = GrainMatch(1, Outcome.LIKELY, ("Cu",), (candidate("Cu", 1), candidate("Ag", 2)))
    silicon = GrainMatch(1, Outcome.LIKELY, ("Si",), (candidate("Si", 2),))
    found = matches_of_spots(GRAINS, (copper, silicon))
    assert found == {1: copper, 2: silicon, 3: copper}  # spot 3 is explained by none: the first
    assert indexed_as(1, copper).hkl == (1, 1, 1) and indexed_as(2, copper) is None
    assert indexed_as(1, GrainMatch(1, Outcome.UNKNOWN, (), copper.candidates)) is None


PLACES = tuple(Grain(n, (n,), (10.0 * n, 5.0), 4.0, 2.0) for n in (1, 2, 3))


def test_a_decision_without_a_place_keeps_its_grains_number():
    found = follow_grains([PhaseOverride(2, "Cu", "override"), PhaseOverride(9, "Cu", "override")], PLACES)
    assert found == (PhaseOverride(2, "Cu", "override", (20.0, 5.0)),)


def test_it_follows_a_grain_that_moved_by_less_than_half_of_its_size():
    near, far = (PhaseOverride(7, "Cu", "lock", (30.0 + off, 5.0)) for off in (0.9, 1.1))
    assert follow_grains([near, far], PLACES) == (PhaseOverride(3, "Cu", "lock", (30.0, 5.0)),)
