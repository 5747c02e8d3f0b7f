"""Why a grain is not of some phase: crystals of which all is known, and all that can speak against."""

import re
from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.core.crystal.orientation import simulated_pattern
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import Candidate, GrainMatch, Outcome, PhaseOverride
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.core.why_not import why_not
from napari_tem_fft.io.phases.table import load_table
from small_analysis import small_analysis

TABLE = {phase.id: phase for phase in load_table()}


def spots_of(phase, zone, first, scale=1.0):
    """Spots of a crystal along a zone axis, by a calibration that has to be changed by a factor."""
    from napari_tem_fft.core.crystal.orientation import along_zone

    lies = along_zone(TABLE[phase], zone, first, 20.0, 0.1)
    pattern = simulated_pattern(TABLE[phase], lies, scale, 9.0)
    pairs = {tuple(np.round(friedel_representative(spot.g), 6)) for spot in pattern}
    return tuple(
        Spot(n, g, 0.01, 200.0, -150.0, "grain", (0,), (2.0, 2.0), 3.0) for n, g in enumerate(sorted(pairs))
    )


def candidate(phase, posterior):
    return Candidate(phase, posterior, 1.0, (0, 1, 1), (), 1.0, 0.001, 1.0)


def analysed(spots, match=None, uncertainty=0.02, phases=("Cu", "Al"), decisions=()):
    """One grain with these spots in an analysis with a few candidates."""
    small = small_analysis()
    ids = tuple(spot.id for spot in spots)
    calibration = small.micrograph.calibration.with_uncertainty(uncertainty)
    match = match or GrainMatch(1, Outcome.UNKNOWN, reason="no candidate fits", unlisted=0.9)
    return replace(
        small,
        micrograph=replace(small.micrograph, calibration=calibration),
        phases=tuple(TABLE[name] for name in phases),
        non_candidates=(),
        spots=spots,
        grains=(Grain(1, ids, (2.0, 2.0), 7.0, 3.0),),
        grain_regions=small.grain_regions[:1],
        matches=(replace(match, spots=ids),),
        decisions=decisions,
    )


@pytest.fixture(scope="module")
def gold():
    return analysed(spots_of("Au", (0, 1, 1), (2, 0, 0)))


def test_nothing_speaks_against_a_phase_that_was_not_asked_for(gold):
    found = why_not(gold, TABLE["Au"], 1)
    assert found.fit is not None and found.fit.explained == pytest.approx(1.0)
    assert found.fit.scale == pytest.approx(1.0, abs=0.003) and not found.named
    first, second, last = found.reasons
    assert first == "it was not among the candidates"
    assert second.startswith(f"{len(gold.spots)} of {len(gold.spots)} spots fit in d and angle along [0 1")
    assert last.startswith("as a candidate its probability would be ") and found.probability > 0.5


def test_probabilities_with_the_phase_among_the_candidates_are_shares_of_one():
    """Silver is silver or gold, whose lattices differ by 0.2 %."""
    likely = GrainMatch(1, Outcome.LIKELY, ("Ag",), (candidate("Ag", 0.97),), unlisted=0.03)
    named = analysed(spots_of("Ag", (0, 1, 1), (2, 0, 0)), likely, phases=("Ag",))
    words = why_not(named, TABLE["Au"], 1).words
    first, second = (float(text) for text in re.findall(r"([\d.]+) %(?:, compared with| for Ag)", words))
    assert "as a candidate its probability would be" in words and words.endswith("% for Ag")
    assert 10 < first < 90 and first + second <= 100.5


def test_by_what_the_scale_is_known_is_said(gold):
    sure = GrainMatch(2, Outcome.IDENTIFIED, ("Au",), (candidate("Au", 0.99),))
    both = replace(gold, matches=(gold.matches[0], sure))
    assert "if the rest is Au, else to 2 %" in why_not(both, TABLE["Cu"], 1).words


def test_a_lattice_of_another_size_needs_another_scale(gold):
    words = why_not(gold, TABLE["Cu"], 1).words
    assert "% shorter; the scale is known to 2 %" in words or "% longer; the scale is known to 2 %" in words
    off = float(words.split("at a scale ")[1].split(" %")[0])
    assert off == pytest.approx(100 * (1 - TABLE["Cu"].cell[0] / TABLE["Au"].cell[0]), abs=0.5)
    assert "not among the candidates" not in words and "its probability is less than 0.1 %" in words


def test_another_lattice_leaves_spots_and_misses_others(gold):
    words = why_not(gold, TABLE["NaCl"], 1).words
    assert (
        "no reflection for spot" in words
        or "strong reflections that are missing" in words
        or "no two spots" in words
    )
    cut = analysed(tuple(spot for spot in gold.spots if spot.length < 4.5 or spot.length > 6))
    missing = why_not(cut, TABLE["Au"], 1).words
    assert (
        "strong reflections that are missing: (2 0 0) at 0.2039 nm" in missing
        or "(1 1 1) at 0.2355" in missing
    )


def test_one_direction_and_lists_of_d_name_nothing(gold):
    one = analysed(gold.spots[:1])
    words = why_not(one, TABLE["Au"], 1).words
    assert "the spots lie in one direction, and one d names nothing" in words
    listed = replace(TABLE["Au"], id="list", cell=(), space_group="")
    assert "only its d are known, no angles" in why_not(gold, listed, 1).words
    far = replace(TABLE["Au"], id="list", cell=(), reflections=TABLE["Au"].reflections[:1])
    away = analysed(tuple(replace(spot, g=(spot.g[0] * 1.3, spot.g[1] * 1.3)) for spot in gold.spots[:1]))
    assert "allows at most" in why_not(away, far, 1).words


def test_what_a_person_has_said_is_said(gold):
    no = (PhaseOverride(1, "Au", "reject"),)
    assert why_not(replace(gold, decisions=no), TABLE["Au"], 1).reasons[0] == "you have excluded it here"
    said = replace(gold.matches[0], phases=("Cu",), outcome=Outcome.IDENTIFIED, decided_by_user=True)
    found = why_not(replace(gold, matches=(said,)), TABLE["Au"], 1)
    assert found.reasons[0] == "you have said that the grain is Cu"
    named = replace(gold.matches[0], phases=("Au",), outcome=Outcome.LIKELY, reason="four spots")
    assert (
        why_not(replace(gold, matches=(named,)), TABLE["Au"]).words
        == "Au in grain 1: it is named; four spots"
    )


def test_without_a_grain_that_is_asked_for_which_the_phase_fits_best(gold):
    second = replace(gold.grains[0], id=2)
    bare = tuple(spot.id for spot in gold.spots[:1])
    both = replace(
        gold,
        grains=(replace(gold.grains[0], spots=bare), second),
        grain_regions=2 * gold.grain_regions,
        matches=(replace(gold.matches[0], spots=bare), replace(gold.matches[0], grain=2)),
    )
    assert why_not(both, TABLE["Au"]).grain == 2
    with pytest.raises(ValueError, match="no grain 7"):
        why_not(both, TABLE["Au"], 7)
    with pytest.raises(ValueError, match="no crystal was found"):
        why_not(replace(gold, grains=(), matches=()), TABLE["Au"])
