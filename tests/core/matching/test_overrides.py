from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import PhaseOverride, follow_grains

GRAINS = tuple(Grain(n, (n,), (10.0 * n, 5.0), 4.0, 2.0) for n in (1, 2, 3))


def test_a_decision_without_a_place_keeps_its_grains_number():
    found = follow_grains([PhaseOverride(2, "Cu", "override"), PhaseOverride(9, "Cu", "override")], GRAINS)
    assert found == (PhaseOverride(2, "Cu", "override", (20.0, 5.0)),)


def test_it_follows_a_grain_that_moved_by_less_than_half_of_its_size():
    near, far = (PhaseOverride(7, "Cu", "lock", (30.0 + off, 5.0)) for off in (0.9, 1.1))
    assert follow_grains([near, far], GRAINS) == (PhaseOverride(3, "Cu", "lock", (30.0, 5.0)),)
