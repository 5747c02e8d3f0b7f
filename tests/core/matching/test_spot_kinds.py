"""What a named phase says of its spots."""

from dataclasses import replace

from napari_tem_fft.core.grains.grain import Grain, GrainSet
from napari_tem_fft.core.matching import Candidate, GrainMatch, IndexedSpot, Outcome
from napari_tem_fft.core.matching.spot_kinds import label_kinds
from napari_tem_fft.core.spots.spot import Spot


def spot(number: int, gy: float, gx: float, snr: float) -> Spot:
    return Spot(number, (gy, gx), 0.002, snr, -50.0, radius=0.1)


SPOTS = (spot(1, 0, 5.0, 1e4), spot(2, 5.0, 0, 9e3), spot(3, 2.5, 2.5, 50.0), spot(4, 2.5, 0.0, 50.0))
GRAIN = Grain(1, (1, 2, 3, 4), (1.0, 1.0), 9.0, 3.4)
FOUND = GrainSet(SPOTS, (GRAIN,), ())


def named(*kinds: str) -> GrainMatch:
    indexed = tuple(IndexedSpot(n, (1, 1, 0), 0.28, 0.0, 0.0, kind) for n, kind in enumerate(kinds, 1))
    return GrainMatch(1, Outcome.IDENTIFIED, ("X",), (Candidate("X", 1.0, 1.0, None, indexed, 0.0),), "")


def kinds(match: GrainMatch, spots=SPOTS) -> list[str]:
    return [one.kind for one in label_kinds(spots, FOUND, (GRAIN,), (match,))]


def test_without_a_name_the_lattice_speaks():
    unknown = GrainMatch(1, Outcome.UNKNOWN, reason="no phase fits")
    assert kinds(unknown) == ["reflection", "reflection", "forbidden", "forbidden"]


def test_a_named_phase_knows_its_absences():
    phase = named("reflection", "double diffraction", "reflection")
    assert kinds(phase) == ["reflection", "forbidden", "reflection", "forbidden"]


def test_satellites_stay_and_the_way_to_the_same_names_is_forgotten():
    spots = (*SPOTS[:3], replace(SPOTS[3], kind="satellite", enabled=False))
    once = label_kinds(spots, FOUND, (GRAIN,), (named("double diffraction"),))
    assert [one.kind for one in once] == ["forbidden", "reflection", "forbidden", "satellite"]
    assert kinds(named("reflection"), once) == ["reflection", "reflection", "forbidden", "satellite"]
