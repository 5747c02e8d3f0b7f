"""Grains that lie over each other: whose spot is it?"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from forward_model import white_noise
from napari_tem_fft.core.grains import search
from napari_tem_fft.core.grains.candidate import GrainCandidate
from napari_tem_fft.core.grains.peaks import Peak
from napari_tem_fft.core.grains.regions import Outline
from napari_tem_fft.core.grains.search import SATELLITE, _admit, _explains, _own_spots, confirm_together
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust
from small_analysis import regions_of

SHARED, OTHER = (3.0, 4.0), (-1.0, 4.5)


def candidate(pixels, **amplitudes):
    """A draft of so many pixels of a line, with the amplitudes of the two frequencies."""
    region = np.arange(100)[None] < pixels
    places = {"shared": SHARED, "other": OTHER}
    peaks = tuple(Peak(places[name], 0.01, 50.0, -40.0, a) for name, a in amplitudes.items())
    return GrainCandidate(Outline(*regions_of(region[None]), 1.0), 0.1, None, peaks, np.zeros(0, bool))


def admitted(first, second, sure=False):
    """The frequencies of the drafts that there are after the second was added to the first."""
    context = SimpleNamespace(
        is_sure=lambda peak: sure,
        diffractogram=SimpleNamespace(q_min=2.0),
        grid=SimpleNamespace(pixel_size=(1.0, 1.0)),
    )
    candidates = [first]
    _admit(candidates, second, context)
    return [[peak.g for peak in one.peaks] for one in candidates]


def test_a_large_grain_that_shows_a_small_ones_spot_faintly_is_another():
    both = admitted(candidate(10, shared=2.0), candidate(90, shared=0.3, other=0.5))
    assert both == [[SHARED], [OTHER]]


def test_a_large_outline_that_shows_the_spot_as_bright_is_the_same_grain():
    assert admitted(candidate(10, shared=2.0), candidate(90, shared=1.8, other=0.5)) == [[SHARED, OTHER]]


def test_a_small_grain_over_a_large_one_is_another_where_a_network_says_so():
    large, small = candidate(90, shared=2.0), candidate(10, shared=2.0, other=0.5)
    assert admitted(large, small) == [[SHARED, OTHER]]
    assert admitted(large, small, sure=True) == [[SHARED], [OTHER]]


def test_a_strip_shows_reflections_broad_across_it_and_sharp_along_it():
    """A strip of 20 x 1 nm: 1 / nm wide across, 0.05 / nm along."""
    whole = candidate(90, shared=2.0)
    strip = np.arange(100)[None] < 20

    def of_strip(g):
        outline = Outline(*regions_of(strip[None]), 1.0)
        return replace(whole, outline=outline, peaks=(Peak(g, 0.01, 50.0, -40.0, 1.0),))

    across, along = (SHARED[0] + 0.8, SHARED[1]), (SHARED[0], SHARED[1] + 0.8)
    assert admitted(whole, of_strip(across)) == [[SHARED]]
    assert admitted(whole, of_strip(along)) == [[SHARED], [along]]


def test_a_draft_is_outlined_by_what_no_known_grain_under_it_has():
    small = candidate(10, shared=2.0, other=0.5)
    assert _own_spots(small, [candidate(90, shared=2.0)]) == [OTHER]
    assert _own_spots(small, [candidate(4, shared=2.0)]) == [SHARED, OTHER]


def test_a_seed_is_explained_by_the_same_spot_or_as_its_faint_satellite():
    spectra = SimpleNamespace(grid=SimpleNamespace(step=(0.08, 0.08)))
    context = SimpleNamespace(diffractogram=SimpleNamespace(q_min=2.0), spectra=spectra)
    known = SimpleNamespace(
        g=np.array([SHARED, OTHER]), resolution=np.array([0.1, 0.1]), snr=np.array([1e4, 1e4])
    )

    def explained(g, snr, origin="window"):
        return _explains(known, SimpleNamespace(g=g, snr=snr, origin=origin), context).tolist()

    assert explained((-3.01, -4.0), 5e3) == [True, False]
    beside, far = (3.0, 3.0), (4.0, -3.5)
    assert explained(beside, SATELLITE * 0.9e4) == [True, False]
    assert explained(beside, SATELLITE * 1.1e4) == explained(far, 20.0) == [False, False]
    assert explained(beside, SATELLITE * 0.9e4, "network") == [False, False]


LEFT, RIGHT = ((4.1, 1.3), (-1.2, 4.4)), ((3.2, -3.1), (0.4, 4.9))


def found_in(shape, left, right, boundary, strength=(0.5, 0.5)):
    """The reflections of each grain that is found in a field with two crystals side by side."""
    y, x = np.arange(shape[0])[:, None] * 0.02, np.arange(shape[1]) * 0.02
    pixels = white_noise(shape, 1)
    for waves, side, height in zip((left, right), (x < boundary, x >= boundary), strength, strict=True):
        pixels += height * side * sum(np.cos(2 * np.pi * (gy * y + gx * x)) for gy, gx in waves)
    analysis = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(0.02), "pair"), ()))
    spots = {spot.id: np.array(spot.g) for spot in analysis.spots}
    known = sorted({*left, *right})
    return [
        {
            wave
            for wave in known
            for i in grain.spots
            if min(np.hypot(*(spots[i] - wave)), np.hypot(*(spots[i] + wave))) < 0.1
        }
        for grain in analysis.grains
    ]


def test_two_crystals_that_share_a_reflection_in_a_small_field_are_two_grains_that_both_have_it():
    left, right = (*LEFT, SHARED), (*RIGHT, SHARED)
    grains = found_in((400, 400), left, right, 4.0)
    assert sorted(map(sorted, grains)) == sorted(map(sorted, (set(left), set(right))))


@pytest.mark.parametrize("strength", [0.12, 0.1])
def test_twins_of_which_each_has_one_reflection_alone_are_two_grains(strength):
    """The first one is found in a window of the whole field, where the other's own is faint or unseen."""
    grains = found_in((500, 500), (LEFT[0], SHARED), (RIGHT[0], SHARED), 7.0, (strength, strength))
    assert sorted(map(sorted, grains)) == sorted([sorted((LEFT[0], SHARED)), sorted((RIGHT[0], SHARED))])


def test_a_fainter_crystal_in_a_strip_of_a_small_field_is_found():
    grains = found_in((400, 400), LEFT, RIGHT, 5.0, (0.5, 0.08))
    assert sorted(map(sorted, grains)) == sorted(map(sorted, (set(LEFT), set(RIGHT))))


def test_a_crystal_beside_a_stronger_one_of_nearly_the_same_lattice_is_a_grain():
    """Its reflections, 7 % away, have a sixteenth of the other one's power."""
    like = tuple((0.93 * gy, 0.93 * gx) for gy, gx in LEFT)
    grains = found_in((640, 640), LEFT, like, 6.4, (0.6, 0.15))
    assert sorted(map(sorted, grains)) == sorted([sorted(LEFT), sorted(like)])


@pytest.mark.parametrize(
    ("moved", "crystals"),
    [
        ([(0.95, 0.0), (0.95, 0.0)], 1),  # stretched alike
        ([(1.0, 0.2), (1.0, 0.2)], 0),  # moved alike, as facets do
        ([(0.95, 0.0), (1.05, 0.0)], 0),  # each in its own way, as the lens does
    ],
)
def test_satellites_that_one_stretch_explains_are_a_crystals(moved, crystals, monkeypatch):
    added = []
    monkeypatch.setattr(search, "_add_like_crystal", lambda *arguments: added.append(arguments))
    strong = replace(candidate(50), peaks=tuple(Peak(g, 0.01, 2e3, -900.0, 5.0) for g in LEFT))
    known = search._Known(
        np.zeros(2, np.intp), np.array(LEFT), np.full(2, 0.1), np.full(2, 2e3), np.full(2, 5.0)
    )
    monkeypatch.setattr(search._Known, "of", lambda candidates: known)
    context = SimpleNamespace(
        diffractogram=SimpleNamespace(q_min=2.0),
        spectra=SimpleNamespace(grid=SimpleNamespace(step=(0.08, 0.08))),
    )
    seeds = [
        SimpleNamespace(g=(factor * gy + by, factor * gx), windows=())
        for (gy, gx), (factor, by) in zip(LEFT, moved, strict=True)
    ]
    search._search_like_crystals(context, seeds, [strong])
    assert len(added) == crystals


def test_a_crystal_that_fills_a_narrow_strip_is_one_grain():
    grains = found_in((1000, 256), (*LEFT, SHARED), (), 99.0)
    assert grains == [{*LEFT, SHARED}]


def together(*log_p: dict[tuple[float, float], float]) -> list[list[tuple[float, float]]]:
    """What is left of drafts of 1000 frequencies each, of which the peaks' ln P are given."""
    drafts = [
        replace(
            candidate(20),
            peaks=tuple(Peak(g, 0.01, -p, p, 1.0) for g, p in peaks.items()),
            independent=1000.0,
        )
        for peaks in log_p
    ]
    context = SimpleNamespace(
        grid=MapGrid((1, 100), (0.5, 0.5)),
        diffractogram=SimpleNamespace(step=(0.02, 0.02)),
        spectra=SimpleNamespace(tests=1e6),
        false_alarms=0.01,
    )
    return [[peak.g for peak in one.peaks] for one in confirm_together(drafts, context)]


def test_a_faint_spot_that_one_of_many_spectra_shows_is_kept_on_the_lattice_alone():
    """ln(0.01 / 1000) is -11.5, of ten spectra together -13.8."""
    crystal = {(0.0, 4.0): -40.0, (4.0, 0.0): -30.0}
    others = [crystal] * 9
    on, off = (4.0, 4.0), (1.3, 2.2)
    assert together({**crystal, off: -13.0, on: -13.0}, *others)[0] == [*crystal, on]
    assert together({**crystal, off: -14.0})[0] == [*crystal, off]


def test_a_grain_of_one_spot_stands_against_all_windows():
    """ln(0.01 / 10^6) is -18.4; two faint spots vouch for each other."""
    assert together({SHARED: -18.0}) == [] and together({SHARED: -19.0}) == [[SHARED]]
    assert together({SHARED: -15.0, OTHER: -15.0}) == [[SHARED, OTHER]]
