"""The five outcomes by the numbers that decide on them: calibration 0.5 %, default parameters.

Hints as corrections of the calibration.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.image.calibration_reference import CalibrationFeature
from napari_tem_fft.core.matching import (
    Candidate,
    GrainMatch,
    IndexedSpot,
    MatchParams,
    Outcome,
    ScalePrior,
)
from napari_tem_fft.core.matching.verdict import (
    Context,
    against_rivals,
    correction_of_hint,
    judge,
    rests_on_geometry,
    settle_ambiguous,
    with_hints,
)
from napari_tem_fft.io.phases.table import load_table

PHASES = {phase.id: phase for phase in load_table()}


def best(spots=6, posterior=0.99, explained=1.0, scale=1.0, misfit=1.0, phase="Cu"):
    indexed = tuple(IndexedSpot(n, (1, 1, n), 0.2, 0.0) for n in range(spots))
    return Candidate(phase, posterior, scale, (0, 1, 1), indexed, explained, 0.001, misfit)


def outcome(*candidates, unlisted=0.0, companions=(), stated=True):
    context = Context(ScalePrior(0.0, 0.005), MatchParams(), PHASES, frozenset(companions), stated)
    found = judge(1, (1, 2, 3), candidates, unlisted, context)
    return found.outcome.value if len(found.phases) < 2 else " / ".join(found.phases)


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (best(), "identified"),
        (best(spots=4, posterior=0.98, explained=0.75), "identified"),
        (best(posterior=0.979), "likely"),
        (best(spots=3, posterior=0.99), "likely"),
        (best(explained=0.74), "likely"),
        (best(scale=1.009), "identified"),  # within two standard deviations of the scale
        (best(spots=3, posterior=0.97), "likely"),
        (best(spots=3, posterior=0.969), "ambiguous"),
        (best(posterior=0.949), "ambiguous"),
        (best(misfit=2.3), "ambiguous"),
        (best(scale=1.012), "likely"),  # sure but for the scale
        (best(posterior=0.97, scale=1.012), "ambiguous"),
        (best(spots=3, scale=1.012), "unknown"),  # a name alone would be taken for the answer
        (best(spots=2), "unknown"),
        (best(explained=0.59), "ambiguous"),  # a part of more: sure by itself
        (best(explained=0.39), "unknown"),
        (best(spots=3, explained=0.59), "unknown"),
        (best(posterior=0.97, explained=0.59), "unknown"),
        (best(scale=1.02, explained=0.59), "unknown"),
    ],
)
def test_one_candidate(candidate, expected):
    assert outcome(candidate) == expected


def test_a_scale_far_off_is_only_likely_however_poor_the_calibration():
    scales = 1.014, 1.016, 1.029, 1.032
    for stated, third in ((False, Outcome.AMBIGUOUS), (True, Outcome.LIKELY)):
        wide = Context(ScalePrior(0.0, 0.01), MatchParams(), PHASES, stated=stated)
        found = [judge(1, (1, 2), [best(scale=scale)], 0.0, wide).outcome for scale in scales]
        assert found == [Outcome.IDENTIFIED, Outcome.LIKELY, third, Outcome.UNKNOWN]


def test_three_spots_need_more_where_nothing_is_stated_or_the_scale_is_hardly_known():
    three = best(spots=3, posterior=0.98)
    assert (outcome(three), outcome(three, stated=False)) == ("likely", "ambiguous")
    unsure = Context(ScalePrior(0.0, 0.02), MatchParams(), PHASES, stated=True)
    assert judge(1, (1, 2, 3), [three], 0.0, unsure).outcome is Outcome.AMBIGUOUS


def test_too_probable_an_unlisted_phase_leaves_nothing_to_offer():
    assert outcome(best(posterior=0.29), unlisted=0.71) == "unknown"
    assert outcome(best(posterior=0.31), unlisted=0.69) == "ambiguous"
    assert outcome(best(spots=3, posterior=0.25), unlisted=0.75) == "ambiguous"
    assert outcome(best(spots=3, posterior=0.19), unlisted=0.81) == "unknown"
    assert outcome() == "unknown"


def test_a_set_holds_95_percent_of_what_is_listed_and_at_most_eight_phases():
    names = ("Cu", "LiF", "Si", "Ag", "Au", "Al", "Ni", "Li", "Li2O", "LiH")
    two = [best(posterior=p, phase=name) for p, name in ((0.5, "LiF"), (0.26, "Cu"), (0.04, "Si"))]
    assert outcome(*two, unlisted=0.2) == "Cu / LiF"
    assert outcome(*two, unlisted=0.19) == "Cu / LiF / Si"
    eight = [best(posterior=0.124, phase=name) for name in names[:8]]
    assert outcome(*eight).count("/") == 7
    assert outcome(*[best(posterior=0.108, phase=name) for name in names[:9]]) == "unknown"


def test_where_nothing_is_stated_a_set_holds_all_that_is_equal_and_at_most_five():
    two = [
        best(posterior=p, phase=name) for p, name in ((0.9, "LiF"), (0.07, "Cu"), (0.02, "Si"), (0.01, "Al"))
    ]
    assert (outcome(*two), outcome(*two, stated=False)) == ("Cu / LiF", "Al / Cu / LiF / Si")
    names = ("Cu", "LiF", "Si", "Ag", "Au", "Al")
    assert outcome(*[best(posterior=1 / 6, phase=name) for name in names], stated=False) == "unknown"


def test_a_name_that_needs_the_scale_off_by_more_than_three_sigma_is_a_hint():
    context = Context(ScalePrior(0.0, 0.005), MatchParams(), PHASES)
    near, far = (
        judge(1, (1, 2, 3), [best(scale=scale, phase="MgO")], 0.0, context) for scale in (0.99, 0.903)
    )
    assert near.phases == ("MgO",) and far.outcome is Outcome.UNKNOWN
    assert "MgO at a scale 9.7 % shorter" in with_hints(far, (), context).reason
    assert [c.phase for c in with_hints(far, (), context).hints] == ["MgO"]


def test_where_nothing_is_stated_a_hint_needs_four_spots_and_shows_the_stretch_that_it_needs():
    for stated in (False, True):
        context = Context(ScalePrior(0.0, 0.005), MatchParams(), PHASES, stated=stated)
        few, enough = (best(spots=n, scale=0.9, phase="MgO") for n in (3, 4))
        in_line = replace(best(spots=4, phase="MgO"), distortion=(0.04, 0.0))
        in_line = replace(in_line, indexed=tuple(replace(s, hkl=(1, 1, 1)) for s in in_line.indexed))
        hinted = [
            bool(with_hints(judge(1, (1, 2, 3), [one], 0.0, context), (), context).hints)
            for one in (few, enough, in_line)
        ]
        assert hinted == [stated, True, stated]
    reason = with_hints(
        judge(1, (1, 2, 3), [few], 0.0, replace(context, stated=False)), (), replace(context, stated=False)
    ).reason
    assert "MgO fits at another scale or stretch" in reason and "would be" not in reason


def test_a_large_stretch_is_believed_where_the_image_shows_it_and_elements_are_stated():
    stated = Context(ScalePrior(0.0, 0.005), MatchParams(), PHASES, stated=True)
    one = replace(best(spots=4, phase="Au"), distortion=(-0.04, 0.0))
    three = replace(best(spots=3, phase="Au"), distortion=(-0.04, 0.0))

    def said(candidate, context):
        return judge(1, (1, 2, 3, 4), [candidate], 0.0, context).outcome

    assert said(one, stated) is Outcome.IDENTIFIED
    assert said(one, replace(stated, stated=False)) is Outcome.UNKNOWN
    assert said(three, stated) is Outcome.UNKNOWN
    assert said(three, replace(stated, shared=True)) is Outcome.LIKELY  # another grain is stretched like it
    assert said(replace(three, distortion=(0.01, 0.0)), stated) is Outcome.LIKELY
    hint = with_hints(judge(1, (1, 2, 3), [three], 0.0, stated), (), stated)
    assert "Au if stretched by 4.0 % along 0 degrees" in hint.reason and "would settle it" in hint.reason


def test_a_phase_of_another_grain_needs_fewer_spots():
    few = best(spots=2, posterior=0.985)
    assert (outcome(few), outcome(few, companions=["Cu"])) == ("unknown", "likely")
    assert outcome(best(spots=2, posterior=0.96), companions=["Cu"]) == "ambiguous"
    assert outcome(best(spots=3, posterior=0.96), companions=["Cu"]) == "likely"


def test_in_a_library_doubt_between_listed_phases_may_be_twice_as_large():
    library = Context(ScalePrior(0.0, 0.005), MatchParams(), PHASES, stated=True, library=True)
    cases = [
        (best(posterior=0.91), 0.01, library),
        (best(posterior=0.89), 0.01, library),
        (best(posterior=0.91), 0.03, library),
        (best(posterior=0.91), 0.01, replace(library, stated=False)),
        (best(posterior=0.965, spots=3), 0.0, library),
    ]
    outcomes = [judge(1, (1, 2, 3), [one], unlisted, context).outcome for one, unlisted, context in cases]
    assert outcomes == [Outcome.LIKELY, *[Outcome.AMBIGUOUS] * 4]


def candidate(phase, scale, hkl=(1, 1, 1)):
    return Candidate(phase, 0.5, scale, None, (IndexedSpot(1, hkl, 0.2, 0.0),), 1.0)


def test_what_settles_a_set_is_elements_a_third_of_the_gap_of_scales_or_more_reflections():
    apart = settle_ambiguous([candidate("LiF", 1.0), candidate("LiH", 1.015)], PHASES)
    assert apart == "an element analysis (F, H) or a calibration better than 0.5 % (an internal standard)"
    same = settle_ambiguous([candidate("SiO2_quartz", 1.0), candidate("SiO2_quartz", 1.003)], PHASES)
    assert same == "another zone axis or more reflections"
    seen = settle_ambiguous([candidate("LiF", 1.0), candidate("LiH", 1.001, (2, 0, 0))], PHASES)
    assert seen == "an element analysis (F, H) or another zone axis or more reflections"


STRETCH = st.floats(-0.04, 0.04)


@given(st.floats(0.85, 1.15), STRETCH, STRETCH, st.floats(0, 3.1))
def test_a_correction_by_a_hint_brings_every_spot_onto_its_lattice(scale, e, f, direction):
    hint = Candidate("Au", 0.5, scale, (0, 1, 1), (), 1.0, distortion=(e, f))
    true = 4.0 * np.array([np.cos(direction), np.sin(direction)])  # x, y
    measured = scale * (np.eye(2) + np.array([[e, f], [f, -e]])) @ true
    spot = CalibrationFeature("1", 1 / np.hypot(*measured), 0.0, (measured[1], measured[0]), 0.0, 9.0)
    correction = correction_of_hint(hint, 3)
    after = spot.correct_scale(correction)
    if np.hypot(e, f) > 0.015:
        # of first order in the stretch
        assert after.d == pytest.approx(0.25, rel=3 * (e**2 + f**2) + 1e-9)
        assert correction.shear == f
    else:
        assert correction.factors == pytest.approx((scale, scale)) and correction.shear is None
        assert after.d == pytest.approx(0.25, rel=0.016)


def test_a_hint_says_on_what_it_rests_and_how_well():
    sure = correction_of_hint(Candidate("Au", 0.5, 1.05, (0, 1, 1), (), 1.0, scale_sigma=0.001), 3)
    assert sure.standard == "Au in grain 3 along [0 1 1], 0 spots" and sure.uncertainty == 0.003
    unsure = correction_of_hint(Candidate("Au", 0.5, 1.05, None, (), 1.0, scale_sigma=0.01), 3)
    assert unsure.uncertainty == 0.01 and "along" not in unsure.standard


SPOTS = tuple(
    IndexedSpot(n, hkl, 0.25, 0.0, 0.0) for n, hkl in enumerate([(1, 0, 0), (0, 1, 0), (1, 1, 0), (2, 1, 0)])
)
STRETCHED = Candidate("TiO2_brookite", 0.97, 1.0, None, SPOTS, 1.0, 0.001, 1.3, distortion=(0.037, 0.015))
CUBIC = Candidate("SrTiO3", 0.0, 1.08, (0, 0, 1), SPOTS, 1.0, 0.001, 1.7, distortion=(0.004, -0.009))
LIKELY = GrainMatch(2, Outcome.LIKELY, ("TiO2_brookite",), (STRETCHED,), "fits", (0, 1, 2, 3), 0.0)


def known(shared=False, stretch=None):
    return Context(ScalePrior(0.0, 0.02), MatchParams(stretch=stretch), {}, stated=True, shared=shared)


def test_stretch_that_one_grain_shows_is_no_name_where_another_phase_needs_another_scale_instead():
    assert rests_on_geometry(LIKELY, known())
    judged = against_rivals(LIKELY, [CUBIC], known())
    assert judged.outcome is Outcome.UNKNOWN and judged.phases == () and judged.hints == (CUBIC,)
    either = "TiO2_brookite if the image is stretched by 4.0 %, or SrTiO3 at a scale 8.0 % longer"
    assert judged.reason == f"{either}: the spots cannot decide between them"


@pytest.mark.parametrize(
    "rival",
    [
        replace(CUBIC, scale=1.02),  # a scale that is believed: it was weighed with the others
        replace(CUBIC, scale=1.15),
        replace(CUBIC, indexed=SPOTS[:3]),
        replace(CUBIC, misfit=2.3),
        replace(CUBIC, distortion=(0.03, 0.0)),
        replace(CUBIC, phase="TiO2_brookite"),
    ],
)
def test_a_rival_explains_as_much_at_another_scale_without_stretch(rival):
    assert against_rivals(LIKELY, [rival], known()) == LIKELY


def test_stretch_that_two_grains_share_or_a_person_states_is_believed():
    assert not rests_on_geometry(LIKELY, known(shared=True))
    assert not rests_on_geometry(LIKELY, known(stretch=3.0))
    assert not rests_on_geometry(replace(LIKELY, decided_by_user=True), known())
    assert not rests_on_geometry(replace(LIKELY, candidates=(replace(CUBIC, scale=1.0),)), known())


def test_a_name_at_an_unlikely_scale_is_withdrawn_where_another_phase_needs_one_that_is_hardly_less_likely():
    short = replace(STRETCHED, phase="PbO2_r", scale=0.95, distortion=(0.008, -0.007))
    found = GrainMatch(2, Outcome.AMBIGUOUS, ("PbO2_r",), (short,), "fits", (0, 1, 2, 3), 0.0)
    assert rests_on_geometry(found, known()) and rests_on_geometry(found, known(shared=True))
    assert not rests_on_geometry(replace(found, candidates=(replace(short, scale=0.97),)), known())
    judged = against_rivals(found, [CUBIC], known())
    either = "PbO2_r at a scale 5.0 % shorter, or SrTiO3 at a scale 8.0 % longer"
    assert judged.outcome is Outcome.UNKNOWN and judged.reason.startswith(either)
    both = replace(found, phases=("PbO2_r", "SrTiO3"))
    assert not rests_on_geometry(both, known())
