from dataclasses import replace

import numpy as np
import pytest

import bent_model as model
from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.core.grains.bent_lattices import (
    BentLattice,
    find_bent_lattices,
    one_broad_family,
    one_family,
)
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.component_map import UNKNOWN_CRYSTAL, bent_lattices_of
from napari_tem_fft.core.matching import GrainMatch, Outcome
from napari_tem_fft.core.matching.assignment import RING_LIKE, label_ring_like, name_bent_lattices
from napari_tem_fft.core.pipeline import analysis_steps, grain_set_of
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import reanalyse_after_specimen_edit
from napari_tem_fft.core.spots.spot import Spot


@pytest.fixture(scope="module")
def arc():
    """Layers of 0.34 nm with a radius of 15 nm, analysed."""
    rng = np.random.default_rng(1)
    return model.analysed(model.arc(15.0, rng), 0.3, rng)


def test_layers_with_a_radius_of_15_nm_are_one_ring_like_lattice(arc):
    (component,) = arc.components
    bent = component.bent
    assert component.name == RING_LIKE and component.phases == ()
    assert len(bent.spots) >= 3 and set(component.grains) == {grain.id for grain in arc.grains}
    assert bent.d_low == pytest.approx(0.34, abs=0.006) and bent.d_high == pytest.approx(0.34, abs=0.006)
    # 15 to 20 nm of arc are 57 to 76 degrees; the outermost places lie inside of its ends
    assert 30 < bent.turn < 76
    assert component.outcome_words.startswith("ring-like: d 0.3") and " places" in component.outcome_words
    assert "of the rotation between neighbours lies within them" in bent.evidence
    assert all(match.ring_like == RING_LIKE and bent.evidence in match.reason for match in arc.matches)


def test_grains_that_have_a_name_stay_grains(arc):
    seen = arc.diffractogram, arc.local_spectra, grain_set_of(arc)
    ids = {grain.id for grain in arc.grains}
    (bent,) = find_bent_lattices(*seen, ids, arc.map_grid)
    assert set(bent.grains) == ids
    assert find_bent_lattices(*seen, set(), arc.map_grid) == ()
    last = find_bent_lattices(*seen, ids - {bent.grains[0]}, arc.map_grid)
    assert all(bent.grains[0] not in one.grains for one in last)


def test_a_drawn_specimen_keeps_the_bent_lattice(arc):
    drawn = np.ones(arc.specimen.shape, bool)
    drawn[:, : drawn.shape[1] // 2] = False
    edited = exhaust(reanalyse_after_specimen_edit(arc, drawn))
    assert bent_lattices_of(edited.components) == bent_lattices_of(arc.components)
    assert edited.components[0].area < arc.components[0].area


@pytest.mark.parametrize("kind", ["polycrystal", "fivefold", "moire"])
def test_crystals_side_by_side_stay_crystals(kind):
    rng = np.random.default_rng(2)
    analysis = model.analysed(model.NEGATIVES[kind](rng), 0.3, rng)
    assert len(analysis.grains) >= 1
    assert [component.name for component in analysis.components] == [UNKNOWN_CRYSTAL]


def test_straight_stacks_of_uneven_spacing_that_lie_alike_are_one_turbostratic_lattice():
    rng = np.random.default_rng(3)
    label = np.full((model.SIDE, model.SIDE), -1)
    for number, (row, column) in enumerate(np.ndindex(2, 4)):
        label[300 + 200 * row : 490 + 200 * row, 110 + 200 * column : 300 + 200 * column] = number
    fringes = np.zeros(label.shape)
    uneven = (0.345, 0.36, 0.35, 0.34, 0.355, 0.342, 0.362, 0.338)
    for number, d in enumerate(uneven):
        azimuth = 20 + 15 * (number % 4) + rng.normal(0, 2)
        fringes += model.soft(label == number) * model.straight(d, azimuth, rng.uniform(0, 6))
    analysis = model.analysed(model.Specimen(fringes, label >= 0), 0.4, rng)
    (bent,) = bent_lattices_of(analysis.components)
    assert len(bent.spots) >= 6 and "d varies by" in bent.evidence
    assert bent.d_low == pytest.approx(0.338, abs=0.004) and bent.d_high == pytest.approx(0.362, abs=0.004)


def spot(number, d, azimuth, snr):
    angle = np.radians(azimuth)
    return Spot(number, (-np.sin(angle) / d, np.cos(angle) / d), 0.01, snr, -snr)


def test_a_family_is_what_has_the_strongest_spots_spacing():
    layers, other = spot(1, 0.34, 10, 100), spot(2, 0.35, 40, 60)
    second, faint, cross = spot(3, 0.17, 11, 90), spot(4, 0.21, 70, 20), spot(5, 0.21, 70, 90)
    assert one_family([layers, other, second, faint]) == [layers, other]
    assert one_family([layers, cross]) == []
    assert one_family([]) == []


def powder(spacings, seed=0, a_grain=1):
    """Spots of 12 grains in any direction, whose d are known to 0.3 %."""
    rng = np.random.default_rng(seed)
    shown = []
    for grain in range(1, 13):
        first = rng.uniform(0, 180)
        for n in range(a_grain):
            d = spacings(rng) * (1 + rng.normal(0, 0.003))
            found = spot(10 * grain + n, d, first + 15 * n, rng.uniform(30, 100))
            shown.append((grain, replace(found, sigma=0.003 * found.length)))
    return shown


def test_small_stacks_of_any_spacing_are_one_broad_family():
    soot = powder(lambda rng: rng.uniform(0.345, 0.405), a_grain=2)
    bent = one_broad_family(soot)
    assert bent.grains == tuple(range(1, 13)) and len(bent.spots) == 24
    assert 0.342 <= bent.d_low < 0.36 < 0.39 < bent.d_high <= 0.409 and bent.turn > 60
    assert "whose d varies by" in bent.evidence
    orders = [(grain, replace(one, id=one.id + 500, g=tuple(2 * np.array(one.g)))) for grain, one in soot]
    assert one_broad_family(soot + orders).spots == bent.spots
    strangers = powder(lambda rng: 0.24)
    assert one_broad_family(soot + strangers) is None
    assert one_broad_family(soot[:7]) is None
    assert one_broad_family([(1, one) for _, one in soot]) is None  # of one grain


@pytest.mark.parametrize(
    "spacings", [(0.2355,), (0.2355, 0.2039), (0.2778, 0.2605, 0.2452)], ids=["one", "cubic", "hexagonal"]
)
def test_crystals_that_show_a_few_spacings_are_no_broad_family(spacings):
    for seed in range(20):
        shown = powder(lambda rng: rng.choice(spacings), seed)
        assert one_broad_family(shown) is None
        stretched = [(n, replace(one, g=(0.98 * one.g[0], 1.01 * one.g[1]))) for n, one in shown]
        assert one_broad_family(stretched) is None


def lattice(low=0.35, high=0.37, **more):
    return BentLattice((1, 2), (7, 8, 9), low, high, 40.0, "they turn", **more)


def phase(*elements):
    return Phase("x", "x", "X", frozenset(elements), "", (), (), tags=())


def test_what_it_may_be_is_said_where_scale_and_elements_allow_it():
    carbon, oxide = phase("C"), phase("Li", "O")
    assert name_bent_lattices([lattice()], [oxide, carbon], 0.02)[0].hint == "graphitic carbon (002)?"
    assert name_bent_lattices([lattice()], [oxide], 0.02)[0].hint == ""
    assert name_bent_lattices([lattice(0.42, 0.44)], [carbon], 0.02)[0].hint == ""
    assert name_bent_lattices([lattice(0.39, 0.41)], [carbon], 0.05)[0].hint == "graphitic carbon (002)?"
    both = name_bent_lattices([lattice(0.335, 0.345)], [carbon, phase("B", "N")], 0.02)[0]
    assert both.hint == "graphitic carbon (002) or hexagonal BN (002)?"
    first, second = name_bent_lattices([lattice(), lattice(0.61, 0.63)], [carbon], 0.02)
    assert first.name == RING_LIKE and second.name == "ring-like lattice, d 0.610-0.630 nm"
    assert first.words("angstrom") == "ring-like: d 3.50-3.70 Å over 3 places; graphitic carbon (002)?"


def test_a_place_says_of_what_it_is_one_and_a_named_grain_does_not():
    bent = replace(lattice(), name=RING_LIKE)
    loose, named = GrainMatch(1, Outcome.UNKNOWN), GrainMatch(2, Outcome.LIKELY, ("graphite",))
    crystal = GrainMatch(3, Outcome.SINGLE_D)
    labelled = label_ring_like([loose, named, crystal], [bent])
    assert [match.ring_like for match in labelled] == [RING_LIKE, "", ""]
    assert labelled[0].reason == (
        "a place of one bent lattice (ring-like: d 0.350-0.370 nm over 3 places): they turn;"
        " one spacing names no phase"
    )


def test_vacuum_and_noise_have_no_bent_lattice():
    rng = np.random.default_rng(0)
    noise = Micrograph(
        rng.normal(100, 1, (256, 256)).astype(np.float32), Calibration.real((0.03, 0.03)), "noise"
    )
    assert exhaust(analysis_steps(noise, ())).components == ()
