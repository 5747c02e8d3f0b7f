"""Matching on grains put together by hand from the table's own lattices."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forward_model import zone
from napari_tem_fft.core.crystal.phase_selection import select_phases
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import (
    EvidenceCache,
    MatchParams,
    Outcome,
    PhaseOverride,
    follow_grains,
    look_alikes,
    match_image,
    merge_overrides,
    weighing,
)
from napari_tem_fft.core.matching.evidence import _sums_of_others
from napari_tem_fft.core.matching.pair_index import build_index
from napari_tem_fft.core.matching.placement import _Equations, _terms
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_table

TABLE = load_table()


def phases(*names):
    return select_phases(TABLE, names=names)


def spots_of(name, axis, count=8, scale=1.0, turn=17.0, first=1, snr=400.0):
    """The strongest reflections of a phase along a zone axis; d is measured `scale` times too small."""
    (phase,) = phases(name)
    _, g, strength = zone(phase, axis, turn)
    order = np.argsort(-strength * np.exp(-((np.hypot(*g.T) / 6) ** 2)))[:count]
    chosen = [friedel_representative((float(y) * scale, float(x) * scale)) for y, x in g[order]]
    return [Spot(first + i, one, 0.004, snr / (1 + i), -100.0) for i, one in enumerate(chosen)]


def grain_of(spots, number=1):
    return Grain(number, tuple(s.id for s in spots), (10.0, 10.0), 78.5, 10.0)


def match(spots, names, uncertainty=0.005, decisions=(), params=None):
    return match_image([grain_of(spots)], spots, phases(*names), uncertainty, params, decisions).matches


def test_a_clear_zone_is_identified_with_its_axis_and_every_spot_indexed():
    spots = spots_of("Li2O", (0, 1, 1))
    (found,) = match(spots, ["Li2O", "Cu", "LiF", "Li2CO3", "Si"])
    assert found.outcome is Outcome.IDENTIFIED and found.phases == ("Li2O",)
    best = found.candidates[0]
    assert sorted(map(abs, best.zone_axis)) == [0, 1, 1]
    assert {i.spot for i in best.indexed} == {s.id for s in spots}
    for indexed in best.indexed:
        assert np.dot(indexed.hkl, best.zone_axis) == 0
        assert abs(indexed.d_residual) < 0.003
        (spot,) = (s for s in spots if s.id == indexed.spot)
        assert indexed.d_reference == pytest.approx(spot.d, rel=0.003)


def test_the_scale_that_is_needed_is_told():
    (found,) = match(spots_of("Cu", (0, 1, 1), scale=1.015), ["Cu", "Li2O", "Si"], uncertainty=0.02)
    assert found.phases == ("Cu",)
    assert found.candidates[0].scale == pytest.approx(1.015, abs=0.004)


def test_a_scale_far_from_the_calibration_is_not_believed():
    (found,) = match(spots_of("Cu", (0, 1, 1), scale=1.06), ["Cu", "Li2O", "Si"], uncertainty=0.005)
    assert found.phases == () and not any(c.phase == "Cu" and c.posterior > 0.5 for c in found.candidates)


def test_one_direction_never_names_a_phase():
    spots = spots_of("LiF", (0, 1, 1), count=1)
    (found,) = match(spots, ["LiF", "Li2O", "Cu", "LiOH"], uncertainty=0.02)
    assert found.outcome is Outcome.SINGLE_D and found.phases == ()


def test_a_phase_that_is_not_listed_is_not_replaced_by_one_that_is():
    (found,) = match(spots_of("Li2CO3", (1, 0, 0), count=10), ["Cu", "LiF", "Si", "Ag"])
    assert found.outcome in (Outcome.UNKNOWN, Outcome.SINGLE_D) and found.phases == ()


def test_lithium_fluoride_and_hydride_are_not_told_apart_by_a_poor_calibration():
    spots = spots_of("LiF", (0, 1, 1))
    (found,) = match(spots, ["LiF", "LiH", "Al", "Cu"], uncertainty=0.02)
    assert found.outcome is Outcome.AMBIGUOUS and {"LiF", "LiH"} <= set(found.phases)
    assert found.reason
    (elements,) = match(spots, ["LiF", "Cu"], uncertainty=0.02)
    assert elements.phases == ("LiF",)


def test_lithium_fluoride_and_hydride_are_told_apart_by_a_standard():
    spots = spots_of("LiF", (0, 1, 1))
    (found,) = match(spots, ["LiF", "LiH", "Cu"], uncertainty=0.002)
    assert found.phases == ("LiF",)


def test_no_grains_no_matches():
    assert match_image([], [], phases("Cu"), 0.02).matches == ()


def test_spots_that_were_erased_do_not_count():
    good = spots_of("Cu", (0, 1, 1))
    bad = Spot(50, (3.1, 1.7), 0.004, 300.0, -100.0, enabled=False)
    grain = Grain(1, (*(s.id for s in good), 50), (0.0, 0.0), 78.5, 10.0)
    (found,) = match_image([grain], [*good, bad], phases("Cu", "Si", "Li2O"), 0.005).matches
    assert found.phases == ("Cu",) and 50 not in found.spots


def test_two_lattices_in_one_region_are_both_named():
    one, other = spots_of("Cu", (0, 1, 1)), spots_of("Li2O", (0, 1, 1), turn=71.0, first=20)
    found = match([*one, *other], ["Cu", "Li2O", "Si", "LiF"])
    assert {p for m in found for p in m.phases} == {"Cu", "Li2O"}
    assert {m.grain for m in found} == {1}


def test_a_person_overrides_and_rejects():
    spots = spots_of("Cu", (0, 1, 1))
    (said,) = match(spots, ["Cu", "Li2O"], decisions=[PhaseOverride(1, "Li2O", "override")])
    assert said.decided_by_user and said.phases == ("Li2O",)
    assert said.candidates[0].phase == "Li2O" and said.candidates[0].posterior < 0.01
    assert "measured: 4 spots fit in d and angle" in said.reason
    (no,) = match(spots, ["Cu", "Li2O"], decisions=[PhaseOverride(1, "Cu", "reject")])
    assert no.outcome is Outcome.UNKNOWN and no.unlisted > 0.9


def test_a_rejected_phase_leaves_a_phase_that_is_not_listed_possible():
    spots = spots_of("LiF", (0, 1, 1))
    (no,) = match(spots, ["LiF", "Al"], 0.02, decisions=[PhaseOverride(1, "LiF", "reject")])
    (alone,) = match(spots, ["Al"], 0.02)  # where Al has all that is listed to itself, not half of it
    odds = [one.unlisted / (1 - one.unlisted) for one in (no, alone)]
    assert odds[0] == pytest.approx(2 * odds[1], rel=0.02)


def test_a_word_on_a_grain_is_of_its_first_lattice():
    one, other = spots_of("Cu", (0, 1, 1)), spots_of("Li2O", (0, 1, 1), turn=71.0, first=20, snr=200.0)
    names = ["Cu", "Li2O", "Si", "LiF"]
    found = match([*one, *other], names, decisions=[PhaseOverride(1, "Cu", "override")])
    assert [m.phases for m in found] == [("Cu",), ("Li2O",)]
    assert [m.decided_by_user for m in found] == [True, False]


def test_later_words_replace_earlier_ones():
    copper, reject = PhaseOverride(1, "Cu", "lock"), PhaseOverride(1, "Cu", "reject")
    silver, other = PhaseOverride(1, "Ag", "reject"), PhaseOverride(2, "Cu", "override")
    assert merge_overrides([copper, other], [reject]) == (other, reject)
    assert merge_overrides([reject, silver], [copper]) == (copper,)
    assert merge_overrides([copper], [silver]) == (copper, silver)


def test_a_decision_follows_its_grain_to_its_new_number():
    decision = PhaseOverride(3, "Cu", "lock", centre=(10.0, 10.0))
    grains = [Grain(1, (), (40.0, 5.0), 78.5, 10.0), Grain(2, (), (10.5, 9.8), 78.5, 10.0)]
    (followed,) = follow_grains([decision], grains)
    assert followed.grain == 2 and followed.phase == "Cu"
    assert follow_grains([decision], grains[:1]) == ()


def test_a_locked_grain_is_the_standard_of_the_image():
    copper = spots_of("Cu", (0, 1, 1), scale=1.0)
    fluoride = spots_of("LiF", (0, 1, 1), turn=40.0, first=20)
    grains = [grain_of(copper, 1), grain_of(fluoride, 2)]
    names = phases("Cu", "LiF", "LiH", "Si")
    lock = [PhaseOverride(1, "Cu", "lock")]
    free = match_image(grains, [*copper, *fluoride], names, 0.03).matches
    locked = match_image(grains, [*copper, *fluoride], names, 0.03, decisions=lock).matches
    assert set(locked[1].phases) <= set(free[1].phases) and locked[1].phases == ("LiF",)


def test_look_alikes_of_lithium_fluoride():
    (fluoride,) = phases("LiF")
    alike = {a.phase: a.scale for a in look_alikes(fluoride, phases("LiH", "Al", "Cu", "Si"))}
    assert {"LiH", "Al"} <= set(alike) and "Si" not in alike
    assert look_alikes(fluoride, phases("NaF")) == ()  # its 200 lies on LiF's 111, and the others nowhere
    assert alike["LiH"] == pytest.approx(0.40834 / 0.4027, abs=0.004) or alike["LiH"] == pytest.approx(
        0.4027 / 0.40834, abs=0.004
    )


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.integers(1, 9))
def test_random_spots_are_hardly_ever_a_named_phase_and_never_crash(seed, count):
    rng = np.random.default_rng(seed)
    g = rng.uniform(2, 8, count)[:, None] * np.stack(
        [np.sin(a := rng.uniform(0, np.pi, count)), np.cos(a)], axis=1
    )
    spots = [
        Spot(i + 1, friedel_representative((float(y), float(x))), 0.01, 50.0, -40.0)
        for i, (y, x) in enumerate(g)
    ]
    for found in match(spots, ["Cu", "LiF", "Li2O", "Si", "Li"]):
        assert found.outcome is not Outcome.IDENTIFIED or found.candidates[0].explained > 0.5
        assert 0 <= sum(c.posterior for c in found.candidates) <= 1 + 1e-6 or not found.phases


def counted(monkeypatch):
    """The numbers of grains that are weighed from now on, a call each."""
    rows, weigh = [], weighing.weigh
    monkeypatch.setattr(
        weighing, "weigh", lambda h, o, *more: rows.append(len(o.valid)) or weigh(h, o, *more)
    )
    return rows


LENS = MatchParams(stretch=0.5)


def test_grains_that_an_edit_leaves_alone_are_not_weighed_again(monkeypatch):
    candidates, cache = phases("LiF", "Cu", "Li2O"), EvidenceCache()
    one, two = spots_of("LiF", (0, 1, 1)), spots_of("Cu", (0, 0, 1), first=20)
    grains, spots = (grain_of(one), grain_of(two, 2)), (*one, *two)
    whole = match_image(grains, spots, candidates, 0.01, LENS, cache=cache).matches
    rows = counted(monkeypatch)
    fewer = (grains[0], grain_of(two[1:], 2))
    edited = match_image(fewer, spots, candidates, 0.01, LENS, cache=cache).matches
    assert rows == [1]
    assert match_image(grains, spots, candidates, 0.01, LENS, cache=cache).matches == whole and rows == [1]
    for by_cache, fresh in zip(
        edited, match_image(fewer, spots, candidates, 0.01, LENS).matches, strict=True
    ):
        assert by_cache.phases == fresh.phases
        assert by_cache.candidates[0].posterior == pytest.approx(fresh.candidates[0].posterior, rel=1e-9)


def test_a_stretch_is_considered_only_where_grains_are_not_explained_without_one():
    candidates, either = phases("LiF", "Cu", "Li2O"), ((0.65, 0.007), (0.35, 0.03))
    straight = (*spots_of("LiF", (0, 0, 1)), *spots_of("Cu", (0, 1, 1), first=20))
    sheared = [replace(s, g=(s.g[0] * 1.03, s.g[1] / 1.03)) for s in straight]
    for spots, larger in ((straight, False), (sheared, True)):
        grains = (
            grain_of([spot for spot in spots if spot.id < 20]),
            grain_of([spot for spot in spots if spot.id >= 20], 2),
        )
        how = grains, spots, candidates, 0.01, MatchParams()
        found = match_image(*how, distortions=either, stated=True)
        narrow = match_image(*how, distortions=((1.0, 0.007),), stated=True)
        assert (found.geometry != narrow.geometry) == larger
        assert [match.phases for match in found.matches] == [("LiF",), ("Cu",)]


def test_nothing_is_known_from_one_call_to_the_next_without_a_cache(monkeypatch):
    spots, rows = spots_of("LiF", (0, 1, 1)), counted(monkeypatch)
    first, second = (match(spots, ["LiF", "Cu"], params=LENS) for _ in range(2))
    assert first == second and rows == [1, 1]


def test_phases_outside_the_candidates_are_weighed_in_the_same_go_and_change_no_candidate(monkeypatch):
    candidates, outside = phases("LiF", "Cu"), phases("LiH", "Si", "Al")
    spots = (*spots_of("LiF", (0, 1, 1)), *spots_of("Cu", (0, 0, 1), first=20))
    grains = (grain_of(spots[:4]), grain_of(spots[6:], 2))
    alone = match_image(grains, spots, candidates, 0.02, LENS).matches
    rows = counted(monkeypatch)
    params = replace(LENS, outside=0.0)
    both = match_image(grains, spots, candidates, 0.02, params, outside=outside).matches
    assert sum(rows) == 2
    assert [m.phases for m in both] == [m.phases for m in alone]
    for one, other in zip(both, alone, strict=True):
        assert one.candidates[0].posterior == pytest.approx(other.candidates[0].posterior, rel=1e-6)
        assert one.unlisted == pytest.approx(other.unlisted, rel=1e-6)


def test_grains_with_far_fewer_spots_are_weighed_by_themselves():
    places = np.array([20, 4, 4, 5, 20, 4, 4, 3])
    assert weighing._groups_of_like_width(list(range(8)), places) == [[0, 4], [3, 1, 2, 5, 6, 7]]
    assert weighing._groups_of_like_width([1, 2, 3], places) == [[3, 1, 2]]
    assert weighing._groups_of_like_width([], places) == []


def test_double_diffraction_is_a_sum_or_difference_of_reflections():
    """Of two, of one with itself, or of one and such a spot that is seen: (2, 0) is, (0, 2) is not."""
    position = np.array([[(1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 0), (3, 0), (0, 3)]])
    allowed = np.arange(8)[None] < 2
    explained = [False, False, True, True, True, False, True, False]
    assert _sums_of_others(position, allowed, ~allowed).tolist() == [explained]
    one = allowed & (np.arange(8) < 1)
    assert np.flatnonzero(_sums_of_others(position, one, ~allowed)).tolist() == [4, 6]


def test_precision_of_a_fit_is_that_of_its_design():
    azimuth, by_length, by_angle = (
        np.array([[0.3, 1.1, 2.0]]),
        np.array([[4.0, 2, 0]]),
        np.array([[1.0, 3, 0]]),
    )
    c, s = np.cos(2 * azimuth), np.sin(2 * azimuth)
    rows = np.concatenate(
        [np.stack([c * 0 + 1, c * 0, c, s], -1), np.stack([c * 0, c * 0 + 1, -s, c], -1)], 1
    )
    weight = np.concatenate([by_length, by_angle], 1)
    wanted = ((rows * weight[..., None]).transpose(0, 2, 1) @ rows)[0]
    data = _terms(by_length.T, by_angle.T, c.T, s.T).sum(axis=1)  # a column each placement
    equations, right = _Equations(data, 0.1), np.array([1.0, -2.0, 0.5, 3.0])
    precision = wanted + np.diag([1, 1, 100, 100])
    assert np.ravel(equations.solve(right[:, None])) == pytest.approx(np.linalg.solve(precision, right))
    covariance, normal = np.linalg.inv(precision), equations.normal()
    assert normal.scale_variance == pytest.approx(covariance[0, 0])
    assert normal.turn_variance == pytest.approx(covariance[1, 1])
    assert normal.turn_share == pytest.approx(1 / precision[1, 1])
    kept = [0, 2, 3]
    alone = wanted[np.ix_(kept, kept)] - np.outer(wanted[kept, 1], wanted[1, kept]) / precision[1, 1]
    assert normal.information[0] == pytest.approx(alone)


def test_relative_f_of_points_is_that_of_their_planes():
    (copper,) = phases("Cu")
    index = build_index((copper,))
    zone = np.array([0, 1])
    position = np.array([[(1, 0), (2, 1)], [(0, 1), (40, 40)]])
    hkl = position @ index.zone_hkl[zone].astype(int)
    of_plane = {tuple(r.hkl): r.relative_f for r in copper.reflections}
    found = index.relative_f(zone, position)
    for one, f in zip(hkl.reshape(-1, 3), found.ravel(), strict=True):
        known = [value for plane, value in of_plane.items() if sorted(np.abs(plane)) == sorted(np.abs(one))]
        assert f == pytest.approx(known[0] if known else 0)


def test_the_next_image_shares_indices_and_knows_no_grains():
    from napari_tem_fft.core.matching import EvidenceCache
    from napari_tem_fft.core.matching.pair_index import build_index

    phases = select_phases(TABLE, names=["Cu", "LiF"])
    index, first = build_index(phases), EvidenceCache()
    first.take(index)
    first.keep({b"grain": None})
    second = first.for_another_image()
    assert second.index_of(phases) is index and first.index_of(phases) is index
    assert second.expected(index, (2.0, 10.0)) is first.expected(index, (2.0, 10.0))
    assert first.recall([b"grain"]) and not second.recall([b"grain"])
