"""Names of a whole image: how far it reaches, rings that no grain explains, decisions.

What a named phase says of its spots.
"""

from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.core.grains.grain import Grain, GrainSet
from napari_tem_fft.core.matching import Candidate, GrainMatch, IndexedSpot, Outcome
from napari_tem_fft.core.matching.assignment import known_scale, label_kinds, recorded_band, ring_peaks
from napari_tem_fft.core.profile.radial_profile import ProfilePeak, RadialProfile
from napari_tem_fft.core.spots.spot import Spot


def profile(intensity, peaks=()):
    g = np.linspace(2.0, 10.0, 81)
    return RadialProfile("whole image", g, intensity(g), np.ones(81), tuple(peaks))


def test_the_band_ends_at_the_search_or_where_a_filter_has_cut():
    assert recorded_band(profile(np.ones_like)) == pytest.approx((2.0, 10.0))
    cut = profile(lambda g: np.where((g > 2.45) & (g < 6.05), 1.0, 1e-4))
    assert recorded_band(cut) == pytest.approx((2.5, 6.0))
    assert recorded_band(profile(np.zeros_like)) == pytest.approx((2.0, 10.0))


def test_peaks_of_grains_with_angles_are_no_rings():
    peaks = [ProfilePeak(g, 0.005, 0.03, 1.0, 20.0, "whole image") for g in (4.0, 5.0, 6.0)]
    spots = [Spot(1, (0.0, 4.073), 0.01, 50.0, -40.0), Spot(2, (5.0, 0.0), 0.01, 50.0, -40.0)]
    matches = [GrainMatch(1, Outcome.UNKNOWN, spots=(1,)), GrainMatch(2, Outcome.SINGLE_D, spots=(2,))]
    left = ring_peaks([profile(np.ones_like, peaks)], spots, matches)
    assert [peak.g for peak in left] == [5.0, 6.0]  # 4.0 within two widths and three sigma, 0.075
    beyond = [replace(spots[0], g=(0.0, 4.077)), spots[1]]
    assert len(ring_peaks([profile(np.ones_like, peaks)], beyond, matches)) == 3


def test_identified_grains_tell_the_scale_of_the_rings():
    sure = Candidate("Cu", 1.0, 1.01, (0, 1, 1), (), 1.0, scale_sigma=0.001)
    match = GrainMatch(1, Outcome.IDENTIFIED, ("Cu",), (sure,))
    assert known_scale([match], 0.02).middle == pytest.approx(np.log(1.01))
    assert known_scale([match], 0.02).error < 0.003
    assert known_scale([], 0.02).error == 0.02


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
