"""What counts as evidence: double diffraction, side lobes, faint spots, stretched images, few phases."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from forward_model import zone
from napari_tem_fft.core.crystal.phase_selection import select_phases
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import MatchParams, Outcome, match_image
from napari_tem_fft.core.matching.evidence import (
    ANY_SCATTER,
    OF_THE_LENS,
    POWER_SCATTER,
    PRECISIONS,
    _at_precisions,
    _chi2,
    expected_patterns,
    intensity_weight,
    power_evidence,
)
from napari_tem_fft.core.matching.geometry import ScalePrior
from napari_tem_fft.core.matching.joint_posterior import PhaseEvidence, combine
from napari_tem_fft.core.matching.observations import ANY_G, observe
from napari_tem_fft.core.matching.pair_index import build_index
from napari_tem_fft.core.matching.zone_patterns import in_band, up_to_nodes
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_table

TABLE = load_table()


def phases(*names):
    return select_phases(TABLE, names=names)


def spots_at(g, first=1, snr=400.0):
    return [
        Spot(first + i, friedel_representative((float(y), float(x))), 0.004, snr, -100.0)
        for i, (y, x) in enumerate(g)
    ]


def positions(name, axis, count=8, turn=17.0):
    """Positions (y, x) of the most visible reflections."""
    (phase,) = phases(name)
    _, g, strength = zone(phase, axis, turn)
    order = np.argsort(-strength * np.exp(-((np.hypot(*g.T) / 6) ** 2)))[:count]
    return g[order]


def grain_of(spots, number=1, diameter=10.0):
    return Grain(number, tuple(s.id for s in spots), (10.0, 10.0), 78.5, diameter)


def match(spots, names, uncertainty=0.005, **params):
    return match_image([grain_of(spots)], spots, phases(*names), uncertainty, MatchParams(**params)).matches


def test_the_forbidden_200_of_silicon_is_double_diffraction():
    g = positions("Si", (0, 1, 1))
    (phase,) = phases("Si")
    a = g[np.argmin(np.abs(1 / np.hypot(*g.T) - phase.reflections[0].d))]
    others = [b for b in g if abs(np.hypot(*b) - np.hypot(*a)) < 0.01 and not np.allclose(b, a)]
    sums = [s * b + a for b in others for s in (1, -1)]
    forbidden = min(sums, key=lambda v: abs(1 / np.hypot(*v) - 0.27155))
    assert 1 / np.hypot(*forbidden) == pytest.approx(0.27155, rel=1e-3)
    spots = [*spots_at(g), *spots_at([forbidden], first=50, snr=90.0)]
    (found,) = match(spots, ["Si", "Cu", "LiF", "Li2O"])
    assert found.phases == ("Si",)
    kinds = {i.spot: i.kind for i in found.candidates[0].indexed}
    assert kinds[50] == "double diffraction"
    assert {kind for spot, kind in kinds.items() if spot != 50} == {"reflection"}


def test_the_second_order_of_a_reflection_does_not_make_silicon_ceria():
    """222 is forbidden in Si; the beams of 111 and its opposite make it, and with it the forbidden 420."""
    (silicon,) = phases("Si")
    edge = silicon.cell[0]
    lattice = {"111": (np.sqrt(3), 0.0), "220": (0.0, np.sqrt(8)), "222": (2 * np.sqrt(3), 0.0)}
    lattice["sum"] = (2 * np.sqrt(3), np.sqrt(8))
    spots = []
    for name, snr in (("111", 900.0), ("220", 600.0), ("222", 90.0), ("sum", 70.0)):
        spots += spots_at([np.array(lattice[name]) / edge], first=1 + len(spots), snr=snr)
    (found,) = match(spots, ["Si", "CeO2"])
    kinds = {c.phase: {i.spot: i.kind for i in c.indexed} for c in found.candidates}
    assert kinds["Si"] == {1: "reflection", 2: "reflection", 3: "double diffraction", 4: "double diffraction"}
    assert found.phases != ("CeO2",)


def test_grains_that_one_lens_shows_at_the_same_g_count_less_by_their_intensities():
    first, second = spots_at([(3.0, 0.0), (0.0, 5.0)]), spots_at([(0.0, 3.01), (7.0, 0.0)], first=3)
    grains = [grain_of(first), grain_of(second, 2)]
    observed = observe(grains, [*first, *second], MatchParams())
    assert sorted(zip(observed.ids.ravel(), observed.shared.ravel(), strict=True)) == [
        (1, 2),
        (2, 1),
        (3, 2),
        (4, 1),
    ]
    half_shared = 0.5 * (1 + 1 / (1 + OF_THE_LENS))
    assert intensity_weight(observed) == pytest.approx([half_shared, half_shared])
    alone = observe(grains[:1], first, MatchParams())
    assert intensity_weight(alone) == pytest.approx([1.0])


def test_equal_powers_of_equal_reflections_are_as_expected():
    spots = spots_at([(3.0, 0.0), (0.0, 3.0)])
    observed = observe([grain_of(spots)], spots, MatchParams())
    gain = power_evidence(np.full((1, 1, 2), 0.8), observed, np.zeros(1, np.intp))
    assert gain[0, 0] == pytest.approx(np.log(ANY_SCATTER / POWER_SCATTER))
    brighter = [replace(spots[0], snr=4000.0), spots[1]]
    seen = observe([grain_of(brighter)], brighter, MatchParams())
    unlike = power_evidence(np.full((1, 1, 2), 0.8), seen, np.zeros(1, np.intp))
    apart = 0.5 * np.log(10) ** 2
    assert unlike[0, 0] == pytest.approx(gain[0, 0] - 0.5 * apart * (POWER_SCATTER**-2 - ANY_SCATTER**-2))


@pytest.mark.parametrize(("bright", "faint", "name"), [(111, 200, "Li2O"), (200, 111, "NaF")])
def test_intensities_tell_lattices_that_positions_do_not(bright, faint, name):
    (oxide, fluoride) = phases("Li2O", "NaF")
    edge = 0.5 * (oxide.cell[0] + fluoride.cell[0])
    directions = {111: np.array([(1, np.sqrt(2)), (1, -np.sqrt(2))]), 200: np.array([(2, 0)])}
    directions[220] = np.array([(0, np.sqrt(8))])
    power = {bright: 2000.0, faint: 30.0, 220: 900.0}
    spots = []
    for number, g in directions.items():
        spots += spots_at(g / edge, first=1 + len(spots), snr=power[number])
    (found,) = match(spots, ["Li2O", "NaF"])
    assert found.candidates[0].phase == name
    assert found.candidates[0].posterior > 5 * sum(c.posterior for c in found.candidates[1:])


def test_side_lobes_and_faint_spots_hardly_count():
    spots = spots_at(positions("Cu", (0, 1, 1)))
    strong = spots[0]
    lobes = [
        replace(strong, id=30 + i, g=(strong.g[0] + dy, strong.g[1] + dx), snr=8.0)
        for i, (dy, dx) in enumerate([(0.15, 0.0), (0.0, 0.16), (0.12, -0.1)])
    ]
    observed = observe([grain_of([*spots, *lobes])], [*spots, *lobes], MatchParams())
    valid = observed.ids[0] >= 30
    assert observed.spurious[0][valid].min() >= 0.5 > observed.spurious[0][~valid].max()
    assert observed.weight[0][valid].max() < 0.5 < observed.weight[0][~valid].min()
    (found,) = match([*spots, *lobes], ["Cu", "Li2O", "Si"])
    assert found.phases == ("Cu",) and found.outcome is Outcome.IDENTIFIED


def test_a_stretched_image_still_matches_and_shows_its_residuals():
    g = positions("LiOH", (1, 0, 0), count=9) * (1.003, 0.997)
    (found,) = match(spots_at(g), ["LiOH", "Cu", "Si"], uncertainty=0.01)
    assert found.phases == ("LiOH",)
    residuals = [i.d_residual for i in found.candidates[0].indexed]
    assert max(residuals) > 0.001 and min(residuals) < -0.001


def test_a_spot_by_itself_can_be_spurious():
    spots = [*spots_at(positions("Cu", (0, 1, 1))), *spots_at([(1.234, 0.777)], first=40)]
    (found,) = match(spots, ["Cu", "Si", "Li2O"])
    assert found.phases == ("Cu",)
    assert 40 not in {i.spot for i in found.candidates[0].indexed}
    assert found.candidates[0].explained < 1


def test_grains_of_one_image_share_their_scale():
    """Alone at 2 % it could be LiF or LiH; a grain of copper beside it tells the scale."""
    copper = spots_at(positions("Cu", (0, 1, 1)))
    fluoride = spots_at(positions("LiF", (0, 1, 1)), first=20)
    names = ["Cu", "LiF", "LiH", "Si"]
    alone = match(fluoride, names, uncertainty=0.02)
    grains = [grain_of(copper, 1), grain_of(fluoride, 2)]
    both = match_image(grains, [*copper, *fluoride], phases(*names), 0.02).matches
    assert set(alone[0].phases) >= {"LiF", "LiH"}
    assert both[0].phases == ("Cu",) and both[1].phases == ("LiF",)


def test_one_direction_is_named_after_another_grain_only_if_nothing_else_fits():
    copper = spots_at(positions("Cu", (0, 1, 1)))
    (line,) = spots_at(positions("Cu", (0, 1, 1), count=1, turn=60.0), first=30)
    grains = [grain_of(copper, 1), grain_of([line], 2)]
    spots = [*copper, line]
    carried = match_image(grains, spots, phases("Cu", "Li2O", "Si"), 0.005).matches[1]
    assert carried.outcome is Outcome.LIKELY and carried.phases == ("Cu",)
    turned = [grain_of([line], 1), grain_of(copper, 2)]
    first = match_image(turned, spots, phases("Cu", "Li2O", "Si"), 0.005).matches
    assert first[0].phases == ("Cu",) and first[0].grain == 1
    open_case = match_image(grains, spots, phases("Cu", "Li2O", "Si", "diamond"), 0.005).matches[1]
    assert open_case.outcome is Outcome.SINGLE_D
    assert "Cu" in {c.phase for c in open_case.candidates}
    assert "fits one phase, but" in open_case.reason
    (both,) = match_image([grain_of([line], 1)], [line], phases("Cu", "diamond"), 0.02).matches
    assert "fits 2 phases, but" in both.reason


def test_what_was_excluded_but_fits_is_told():
    spots = spots_at(positions("Li2O", (0, 1, 1)))
    grains, allowed = [grain_of(spots)], phases("Cu", "Au")
    matches = match_image(grains, spots, allowed, 0.005).matches
    assert matches[0].outcome is Outcome.UNKNOWN
    (told,) = match_image(grains, spots, allowed, 0.005, outside=phases("Li2O", "Si")).matches
    assert [c.phase for c in told.alternatives] == ["Li2O"]
    assert told.reason.endswith("not among the candidates but fits better: Li2O")


def test_a_better_phase_outside_the_candidates_makes_a_name_ambiguous_unless_elements_are_stated():
    """Silver and silicon, of which neither is a candidate: LiF and KF fit both if the scale is 1.5 % off."""
    silver, silicon = spots_at(positions("Ag", (0, 1, 1))), spots_at(positions("Si", (0, 1, 1)), first=30)
    grains, spots = [grain_of(silver, 1), grain_of(silicon, 2)], [*silver, *silicon]
    allowed, outside = phases("LiF", "KF", "Cu"), phases("Ag", "Si", "Fe_bcc")
    matches = match_image(grains, spots, allowed, 0.02).matches
    assert [m.phases for m in matches] == [("LiF",), ("KF",)]
    told = match_image(grains, spots, allowed, 0.02, outside=outside).matches
    assert [m.outcome for m in told] == [Outcome.AMBIGUOUS, Outcome.AMBIGUOUS]
    assert [m.phases for m in told] == [("Ag", "LiF"), ("KF", "Si")]
    assert "say which elements the sample can hold" in told[0].reason
    stated = match_image(grains, spots, allowed, 0.02, MatchParams(outside=0.0), outside=outside).matches
    assert [m.phases for m in stated] == [("LiF",), ("KF",)]


def test_what_an_image_cannot_show_is_not_missed():
    """Four reflections, of which two lie between the edges of a filter."""
    sums = up_to_nodes(np.ones(4), np.array([1.2, 3.0, 5.0, 8.0]))[None]
    assert in_band(sums, (2.5, 6.0)) == pytest.approx([2])
    assert in_band(sums, ANY_G) == pytest.approx([4])
    grain, spots = [grain_of(own := spots_at(positions("graphite", (0, 0, 1), count=3)))], own
    (cut,) = match_image(grain, spots, phases("graphite", "Cu"), 0.005, band=(2.5, 6.0)).matches
    assert cut.phases == ("graphite",)


def test_crystals_of_layered_phases_lie_flat():
    (flat, other) = phases("graphite", "ZnO")
    index = build_index((flat, other))
    prior = np.exp(expected_patterns(index, ANY_G).log_prior) / index.zone_orientations
    along = (np.abs(index.zone_uvw) == (0, 0, 1)).all(axis=1)
    assert prior[along & (index.zone_phase == 0)].sum() > 0.8
    assert prior[along & (index.zone_phase == 1)].sum() < 0.1
    assert np.bincount(index.zone_phase, prior) == pytest.approx([1, 1])


def test_an_oblique_lattice_is_a_lattice_that_is_not_listed():
    a, b = np.array((2.9, 0.4)), np.array((-0.6, 3.7))
    g = [a, b, a + b, a - b, 2 * a, a + 2 * b]
    (found,) = match(spots_at(g), ["Cu", "LiF", "Si", "Li2O", "Li"])
    assert found.outcome is Outcome.UNKNOWN and found.unlisted > 0.9


def test_shared_scale_and_few_phases_by_hand():
    """Two grains, two phases: the clear grain fixes the scale, which decides for the other one."""
    prior = ScalePrior(0.0, 0.02)
    grid = prior.grid()

    def at(scale):
        return -0.5 * ((grid - scale) / 0.002) ** 2 + 10

    impossible = np.full_like(grid, -50.0)
    grain, phase = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    evidence = PhaseEvidence(grain, phase, np.array([at(0.01), impossible, at(0.03), at(0.01)]))
    weight = -0.5 * (grid / prior.error) ** 2
    joint = combine(evidence, np.zeros((2, 2)), np.array([0.4, 0.4, 0.1, 0.1]), weight)
    assert joint.points @ grid == pytest.approx(0.01, abs=0.001)
    assert joint.phase[0, 0] > 0.95
    assert joint.phase[1, 1] > 0.95
    assert joint.phase.sum(axis=1) == pytest.approx([1, 1])


def test_residuals_count_by_their_errors_and_wider_errors_by_a_gaussian():
    hypotheses = SimpleNamespace(
        grain=np.array([0]), length_residual=np.array([[0.02, 0.0]]), angle_residual=np.array([[0.03, 0.01]])
    )
    observed = SimpleNamespace(length_error=np.full((1, 2), 0.01), angle_error=np.full((1, 2), 0.01))
    assert _chi2(hypotheses, observed) == pytest.approx(np.array([[4 + 9, 1]]))
    chi2 = np.array([[0.0, 3.0]])
    density = -0.5 * chi2 - np.log(2 * np.pi)  # of two errors of 1
    for factor, scaled in zip(PRECISIONS, _at_precisions(density, chi2), strict=True):
        assert scaled == pytest.approx(-0.5 * chi2 / factor**2 - np.log(2 * np.pi * factor**2))


def test_params_check_their_limits():
    with pytest.raises(ValueError, match="error of d"):
        MatchParams(d_error=50.0)
