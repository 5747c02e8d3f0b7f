"""Rings of polycrystalline material against phases."""

import numpy as np
import pytest

from napari_tem_fft.core.crystal.phase import Phase, Reflection
from napari_tem_fft.core.crystal.phase_selection import select_phases
from napari_tem_fft.core.matching import Outcome, ScalePrior, match_rings
from napari_tem_fft.core.profile.radial_profile import ProfilePeak
from napari_tem_fft.io.phases.table import load_table

TABLE = load_table()
SEI = ("Li", "LiF", "Li2O", "Li2CO3", "LiOH", "Cu", "Si")


def phases(*names):
    return select_phases(TABLE, names=names)


def peaks(*d):
    return [ProfilePeak(1 / one, 0.002 / one, 0.05, 1.0, 20.0, "local maximum") for one in d]


def rings_of(name, count=5):
    (phase,) = phases(name)
    return [r.d for r in phase.reflections if r.relative_f > 0.2][:count]


def test_five_rings_of_lithium_oxide():
    (found,) = match_rings(peaks(*rings_of("Li2O", 5)), phases(*SEI), ScalePrior(0.0, 0.005))
    assert found.outcome is Outcome.IDENTIFIED and found.phases == ("Li2O",)
    best = found.candidates[0]
    assert max(abs(ring.d_residual) for ring in best.indexed) < 1e-3 and best.explained == 1
    assert best.scale == pytest.approx(1, abs=0.004)
    assert [ring.hkl for ring in best.indexed][:1] == [(1, 1, 1)]


def test_a_phase_that_leaves_rings_unexplained_is_only_likely():
    d = sorted([*rings_of("Li2O", 5), 0.2205, 0.3402], reverse=True)
    found = match_rings(peaks(*d), phases("Li2O", "Cu"), ScalePrior(0.0, 0.005))[0]
    assert found.outcome is Outcome.LIKELY and found.candidates[0].explained == pytest.approx(5 / 7)


def test_residuals_are_those_of_d_after_the_common_scale():
    d = [1.004 * one for one in rings_of("Li2O", 5)]
    d[2] *= 1.003
    (found,) = match_rings(peaks(*d), phases(*SEI), ScalePrior(0.0, 0.005))
    best = found.candidates[0]
    off = [best.scale * one / ring.d_reference - 1 for one, ring in zip(d, best.indexed, strict=True)]
    assert [ring.d_residual for ring in best.indexed] == pytest.approx(off, abs=1e-5)
    assert max(off) == off[2] and best.scale == pytest.approx(1 / 1.0046, abs=5e-4)


def test_rings_of_two_phases():
    d = sorted([*rings_of("Li2O", 5), *rings_of("Cu", 5)], reverse=True)
    found = match_rings(peaks(*d), phases(*SEI), ScalePrior(0.0, 0.005))
    assert {name for match in found for name in match.phases} >= {"Li2O", "Cu"}


def test_one_ring_never_names_a_phase():
    (found,) = match_rings(peaks(0.2485), phases(*SEI), ScalePrior(0.0, 0.01))
    assert found.outcome is Outcome.SINGLE_D and found.phases == ()
    assert {c.phase for c in found.candidates} >= {"Li", "Li2CO3"}


def test_rings_of_nothing_known():
    rng = np.random.default_rng(3)
    named = 0
    for _ in range(20):
        matches = match_rings(peaks(*rng.uniform(0.12, 0.4, 5)), phases(*SEI), ScalePrior(0.0, 0.005))
        named += any(m.outcome is Outcome.IDENTIFIED for m in matches)
    assert named == 0


def test_look_alikes_stay_together():
    (found,) = match_rings(peaks(*rings_of("Au", 5)), phases("Au", "Ag", "Cu"), ScalePrior(0.0, 0.02))
    assert found.outcome is Outcome.AMBIGUOUS and set(found.phases) == {"Au", "Ag"}


def test_a_list_of_d_spacings_takes_part():
    d = (0.31, 0.27, 0.19, 0.16, 0.14)
    lines = tuple(Reflection((0, 0, 0), one, 1, float("nan")) for one in d)
    mine = Phase("mine", "mine", "", frozenset(), "", (), lines, tags=("user",))
    (found,) = match_rings(peaks(*d), [mine, *phases("Cu", "Si")], ScalePrior(0.0, 0.005))
    assert "mine" in found.phases


def test_no_rings():
    assert match_rings([], phases("Cu"), 0.01) == ()


def test_evenly_spaced_rings_of_an_edge_have_no_name():
    for count, first in ((12, 2.0), (24, 1.9), (70, 1.9)):
        even = [1 / (first + 0.083 * k) for k in range(count)]
        found = match_rings(peaks(*even), TABLE, ScalePrior(0.0, 0.02))
        assert all(match.outcome is Outcome.UNKNOWN for match in found)
        assert "edges" in found[0].reason or count < 70


def test_rings_of_the_contrast_transfer_have_no_name():
    for underfocus in (60.0, 110.0, 240.0):  # nm, 300 kV: rings where half a wave more has passed
        g = np.sqrt((np.arange(40) + 0.5) / (1.97e-3 * underfocus))
        thon = [1 / one for one in g if 1.9 < one < 6]
        found = match_rings(peaks(*thon), TABLE, ScalePrior(0.0, 0.02))
        assert all(match.outcome not in (Outcome.IDENTIFIED, Outcome.LIKELY) for match in found), thon
