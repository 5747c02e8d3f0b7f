"""The whole chain on images whose answers are known by hand."""

from dataclasses import replace

import numpy as np
import pytest

from forward_model import frequency, fringes, lattice, white_noise
from napari_tem_fft.core.fourier.diffractogram import FrequencyGrid, display_grid
from napari_tem_fft.core.fourier.mask import render
from napari_tem_fft.core.image.calibration import Calibration, CalibrationError
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.parameters import from_dict, to_dict
from napari_tem_fft.core.pipeline import AnalysisParams, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import (
    add_spot_at,
    reanalyse_after_override,
    reanalyse_after_spot_edit,
    spots_of_painted_mask,
)
from napari_tem_fft.core.spots.false_alarms import SpotParams
from napari_tem_fft.core.spots.seeds import NetworkPicture, NetworkUsed, Proposal
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.nn.inference.propose import confirm


def analyse(pixels, size=(0.02, 0.02), phases=()):
    return exhaust(analysis_steps(Micrograph(pixels, Calibration.real(size), "test"), phases))


def matched(analysis, d, azimuth):
    """The spot nearest to known planes."""
    gy, gx = frequency(d, azimuth)

    def apart(spot):
        return min(np.hypot(spot.g[0] - gy, spot.g[1] - gx), np.hypot(spot.g[0] + gy, spot.g[1] + gx))

    return min(analysis.spots, key=apart)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((512, 512), (0.02, 0.02)),
        ((512, 768), (0.02, 0.02)),
        ((600, 500), (0.02, 0.03)),
        ((509, 701), (0.02, 0.02)),
    ],
)
@pytest.mark.parametrize("azimuth", [0.0, 37.0, 90.0, 128.0])
def test_a_cosine_comes_back_within_a_twentieth_of_a_percent(shape, size, azimuth):
    pixels = fringes(shape, size, 0.235, azimuth) + white_noise(shape, 1, 0.5)
    spot = matched(analyse(pixels, size), 0.235, azimuth)
    assert spot.d == pytest.approx(0.235, rel=5e-4)
    assert (spot.azimuth - azimuth + 90) % 180 - 90 == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(("d", "found"), [(0.53, 1), (0.62, 0)])
def test_planes_up_to_the_largest_d_are_found(d, found):
    pixels = fringes((512, 512), (0.02, 0.02), d, 25.0) + white_noise((512, 512), 1)
    assert [spot.d for spot in analyse(pixels).spots] == found * [pytest.approx(d, rel=5e-3)]


def test_two_lattices_give_both_and_nothing_else():
    planes = [(0.235, 20.0), (0.2035, 75.0)]
    pixels = lattice((768, 768), (0.02, 0.02), planes) + white_noise((768, 768), 2, 1.0)
    analysis = analyse(pixels)
    assert len(analysis.spots) == 2
    for d, azimuth in planes:
        assert matched(analysis, d, azimuth).d == pytest.approx(d, rel=1e-3)


def grain_image(seed=3, side=160, corner=(100, 200), d=0.2, azimuth=30.0, amplitude=0.8):
    pixels = white_noise((600, 600), seed)
    rows, columns = (slice(c, c + side) for c in corner)
    pixels[rows, columns] += fringes((600, 600), (0.025, 0.025), d, azimuth, amplitude)[rows, columns]
    return pixels


def test_a_grain_is_outlined_where_it_is():
    analysis = analyse(grain_image(), (0.025, 0.025))
    (grain,) = analysis.grains
    assert grain.centre == pytest.approx((4.5, 7.0), abs=0.3)
    assert grain.area == pytest.approx(16.0, rel=0.15)
    spot = matched(analysis, 0.2, 30.0)
    assert abs(spot.d - 0.2) < 4 * spot.d_sigma


def test_error_bars_hold_what_they_say():
    pulls = []
    for seed in range(12):
        spot = matched(analyse(grain_image(seed), (0.025, 0.025)), 0.2, 30.0)
        pulls.append((spot.d - 0.2) / spot.d_sigma)
    assert 0.4 < np.std(pulls) < 2.0, pulls


def test_noise_shows_nothing():
    for seed in range(5):
        analysis = analyse(white_noise((512, 512), 100 + seed))
        assert analysis.spots == () and analysis.components == ()


def test_negative_values_and_a_pedestal_change_nothing():
    pixels = grain_image()
    plain, shifted = analyse(pixels, (0.025, 0.025)), analyse(pixels - 1000.0, (0.025, 0.025))
    assert [s.d for s in shifted.spots] == pytest.approx([s.d for s in plain.spots], rel=1e-5)


@pytest.mark.parametrize("space", ["none", "reciprocal"])
def test_images_without_a_scale_in_nm_are_refused(space):
    micrograph = Micrograph(white_noise((128, 128), 5), Calibration((1.0, 1.0), space))
    with pytest.raises(CalibrationError):
        exhaust(analysis_steps(micrograph, ()))


def test_steps_come_in_order_and_count_to_the_end():
    steps = []
    exhaust(analysis_steps(Micrograph(grain_image(), Calibration.real(0.025)), ()), steps.append)
    assert [s.name for s in steps] == [
        "diffractogram", "local spectra", "spots", "profile", "grains", "phases", "maps",
    ]  # fmt: skip
    assert [s.done for s in steps] == list(range(1, 8)) and {s.total for s in steps} == {7}


def test_the_steps_of_an_edit_count_to_the_end():
    analysis, steps = analyse(grain_image(), (0.025, 0.025)), []
    exhaust(reanalyse_after_spot_edit(analysis, analysis.spots), steps.append)
    assert [(s.name, s.done, s.total) for s in steps] == [
        ("profile", 1, 4), ("grains", 2, 4), ("phases", 3, 4), ("maps", 4, 4),
    ]  # fmt: skip


def test_a_calibration_is_believed_within_its_own_uncertainty():
    """Copper along [011], 1.5 % too small; the image says how well its scale is known."""
    planes = [(0.985 * d, azimuth) for d, azimuth in ((0.2087, 10.0), (0.2087, 80.53), (0.18075, 135.26))]
    pixels = lattice((400, 400), (0.02, 0.02), planes) + white_noise((400, 400), 2)
    phases = [phase for phase in load_table() if phase.id in ("Cu", "Si", "LiF")]
    scale = Calibration.real(0.02)
    poor, good = (
        exhaust(analysis_steps(Micrograph(pixels, scale.with_uncertainty(known)), phases))
        for known in (0.02, 0.001)
    )
    assert (good.matches[0].phases, poor.matches[0].phases) == ((), ("Cu",))
    assert exhaust(reanalyse_after_override(good, ())).matches[0].phases == ()


def test_parameters_survive_json():
    params = AnalysisParams(network="none", spots=SpotParams(false_alarms=0.1))
    assert from_dict(AnalysisParams, to_dict(params)) == params
    with pytest.raises(ValueError, match="unknown parameter"):
        from_dict(AnalysisParams, {"colour": "blue"})
    with pytest.raises(ValueError, match="above"):
        from_dict(AnalysisParams, {"spots": {"false_alarms": 1e6}})


def erased(analysis, spot):
    grid = display_grid(analysis.diffractogram)
    return np.where(render([spot], grid) != 0, 0, render(analysis.spots, grid))


def test_an_erased_disc_takes_its_grain_away_and_undo_brings_it_back():
    analysis = analyse(grain_image(), (0.025, 0.025))
    whole = render(analysis.spots, display_grid(analysis.diffractogram))
    without = exhaust(
        reanalyse_after_spot_edit(
            analysis, spots_of_painted_mask(analysis, erased(analysis, analysis.spots[0]))
        )
    )
    assert without.grains == () and without.components == ()
    assert not without.spots[0].enabled
    assert without.profiles[1].intensity.max() == 0
    back = exhaust(reanalyse_after_spot_edit(without, spots_of_painted_mask(without, whole)))
    assert same(back, analysis)


def same(one, other):
    """Whether two analyses hold the same, to the last bit."""
    names = ("spots", "grains", "matches", "rings")
    regions = [
        [(r.box, r.mask.tobytes(), r.heat.tobytes()) for r in each.grain_regions] for each in (one, other)
    ]
    profiles = [np.array_equal(a.intensity, b.intensity) and a.peaks == b.peaks
                for a, b in zip(one.profiles, other.profiles, strict=True)]  # fmt: skip
    maps = [(c.name, c.grains, c.area, c.heat.tobytes()) for c in one.components]
    return (
        all(profiles)
        and all(getattr(one, name) == getattr(other, name) for name in names)
        and regions[0] == regions[1]
        and np.array_equal(one.specimen, other.specimen)
        and maps == [(c.name, c.grains, c.area, c.heat.tobytes()) for c in other.components]
    )


@pytest.mark.parametrize("seed", range(4))
def test_many_edits_leave_what_their_spots_give_at_once_in_an_analysis_made_afresh(seed):
    """Disabling, enabling and adding in any order, against one edit of another analysis of the image."""
    pixels = grain_image(amplitude=0.8)
    rows, columns = slice(350, 510), slice(50, 210)
    pixels[rows, columns] += fringes((600, 600), (0.025, 0.025), 0.26, 110.0, 0.35)[rows, columns]
    phases = [phase for phase in load_table() if phase.id in ("Cu", "LiF", "Al", "Li2O")]
    first, afresh = (analyse(pixels, (0.025, 0.025), phases) for _ in range(2))
    rng, now = np.random.default_rng(seed), first
    for _ in range(6):
        if rng.random() < 0.3:
            spots = add_spot_at(now, now.spots, frequency(rng.uniform(0.15, 0.3), rng.uniform(0, 180)))
        else:
            chosen = int(rng.integers(len(now.spots)))
            spots = tuple(
                replace(s, enabled=not s.enabled) if n == chosen else s for n, s in enumerate(now.spots)
            )
        now = exhaust(reanalyse_after_spot_edit(now, spots))
    assert same(now, exhaust(reanalyse_after_spot_edit(afresh, now.spots)))


def test_a_painted_spot_is_refined_and_gets_its_map():
    pixels = grain_image(amplitude=0.8)
    rows, columns = slice(350, 510), slice(50, 210)
    pixels[rows, columns] += fringes((600, 600), (0.025, 0.025), 0.26, 110.0, 0.35)[rows, columns]
    strict = AnalysisParams(spots=SpotParams(false_alarms=1e-6))
    analysis = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(0.025)), (), strict))
    kept = tuple(s for s in analysis.spots if abs(s.d - 0.26) > 0.005)
    analysis = exhaust(reanalyse_after_spot_edit(analysis, kept))
    grid = display_grid(analysis.diffractogram)
    y, x = grid.axes()
    gy, gx = frequency(0.26, 110.0)
    painted = render(analysis.spots, grid)
    painted[(y - gy - 0.05) ** 2 + (x - gx) ** 2 < 0.15**2] = 1
    after = exhaust(reanalyse_after_spot_edit(analysis, spots_of_painted_mask(analysis, painted)))
    (spot,) = (s for s in after.spots if s.origin == "hand")
    assert spot.d == pytest.approx(0.26, rel=5e-3)
    assert len(after.grains) == len(analysis.grains) + 1
    assert after.grains[-1].centre == pytest.approx((10.75, 3.25), abs=0.8)
    pointed = add_spot_at(analysis, analysis.spots, (-gy - 0.04, -gx + 0.03))  # at -g, a little beside it
    assert pointed[-1].d == pytest.approx(0.26, rel=5e-3) and pointed[-1].origin == "hand"
    without = (*pointed[:-1], replace(pointed[-1], enabled=False))
    assert add_spot_at(analysis, without, pointed[-1].g) == pointed


NOT_USED = NetworkUsed("a network", "ab" * 32)


def proposing(d, azimuth, used=NOT_USED):
    """A network that proposes one frequency, whatever the image holds."""

    def segment(diffractogram, spectra):
        g = np.array([frequency(d, azimuth)])
        picture = NetworkPicture(np.zeros((3, 3), np.float32), FrequencyGrid((1.0, 1.0), (1, 1)))
        return Proposal(confirm(g, diffractogram, spectra, 0.04, 0.01), used, picture)

    return segment


def with_network(pixels, d=0.2, azimuth=30.0):
    micrograph = Micrograph(pixels, Calibration.real((0.025, 0.025)), "test")
    return exhaust(analysis_steps(micrograph, (), segment=proposing(d, azimuth)))


def test_a_network_finds_what_is_too_faint_for_a_search_and_is_named():
    pixels = grain_image(0, amplitude=0.08)
    assert analyse(pixels, (0.025, 0.025)).spots == ()
    analysis = with_network(pixels)
    (spot,) = analysis.spots
    assert spot.origin == "network" and spot.d == pytest.approx(0.2, rel=5e-3)
    assert analysis.network == NOT_USED and analysis.picture.probability.shape == (3, 3)
    edited = exhaust(reanalyse_after_spot_edit(analysis, analysis.spots))
    assert edited.network == NOT_USED and edited.picture is analysis.picture


def test_a_network_that_sees_nothing_deletes_nothing():
    def blind(diffractogram, spectra):
        picture = NetworkPicture(np.zeros((511, 511), np.float32), FrequencyGrid((0.04, 0.04), (255, 255)))
        return Proposal((), NOT_USED, picture)

    micrograph = Micrograph(grain_image(), Calibration.real((0.025, 0.025)), "test")
    alone, beside = (exhaust(analysis_steps(micrograph, (), segment=s)) for s in (None, blind))
    assert alone.spots and beside.spots == alone.spots
    assert beside.network == replace(NOT_USED, doubted=tuple(spot.id for spot in alone.spots if spot.enabled))


def test_what_a_network_makes_up_is_not_believed():
    for seed in range(4):
        assert with_network(white_noise((400, 400), seed)).spots == ()


def test_a_spot_that_the_statistics_find_too_is_theirs():
    analysis = with_network(grain_image())
    assert [spot.origin for spot in analysis.spots] == ["window"]
