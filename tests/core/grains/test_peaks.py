from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from forward_model import fringes
from napari_tem_fft.core.grains.peaks import Peak, _ridges, find_peaks, merge_split_peaks
from napari_tem_fft.core.grains.spectrum import GrainSpectrum
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_far_spot_is_no_side_lobe(seed):
    """Frequencies farther apart than the window's transform reaches: neither takes the other away."""
    shape, pixel = (240, 256), 0.03
    y, x = np.mgrid[: shape[0], : shape[1]] * pixel
    grain = np.hypot(y - 3.6, x - 3.0) < 2.2
    image = np.random.default_rng(seed).normal(0, 1, shape)
    for d, azimuth in ((0.235, 20.0), (0.2035, 74.7)):
        image += grain * fringes(shape, (pixel, pixel), d, azimuth)
    analysis = exhaust(analysis_steps(Micrograph(image.astype(np.float32), Calibration.real(pixel)), ()))
    assert sorted(spot.d for spot in analysis.spots) == pytest.approx([0.2035, 0.235], rel=0.01)


def test_an_edge_is_no_reflection():
    """Bands of a few widths along one line: a streak through zero frequency with a maximum for each band."""
    y, x = np.mgrid[:400, :400] * 0.03
    across = 0.9 * x + 0.43589 * y - 7.0
    image = np.random.default_rng(0).normal(0, 1, (400, 400))
    image += 12 * np.exp(-((across / 0.07) ** 2)) - 12 * np.exp(-(((across - 0.3) / 0.07) ** 2))
    analysis = exhaust(analysis_steps(Micrograph(image.astype(np.float32), Calibration.real(0.03)), ()))
    assert analysis.spots == ()


@pytest.mark.parametrize(("d", "azimuth"), [(0.555, 0.0), (0.57, 30.0), (0.59, 0.0)])
def test_fringes_beyond_the_largest_d_leave_no_lobes_within(d, azimuth):
    shape = (512, 512)
    image = np.random.default_rng(1).normal(0, 1, shape) + fringes(shape, (0.025, 0.025), d, azimuth)
    analysis = exhaust(analysis_steps(Micrograph(image.astype(np.float32), Calibration.real(0.025)), ()))
    assert analysis.spots == ()


def peak(g, amplitude):
    return Peak(g, 0.01, 50.0, -40.0, amplitude)


def test_two_flanks_behind_each_other_are_one_reflection():
    (one,) = merge_split_peaks([peak((3.0, 4.0), 2.0), peak((3.12, 4.16), 2.0)], resolution=0.2)
    assert one.g == pytest.approx((3.06, 4.08))
    assert one.sigma == pytest.approx(0.1)


@pytest.mark.parametrize("zero", [0.0, 0.05, -0.1])
def test_flanks_of_unlike_brightness_put_their_reflection_where_it_is(zero):
    """A Gaussian spot at 5 1/nm, seen through a lens whose transfer has a zero across it."""
    g = np.linspace(4.6, 5.4, 8001)
    seen = np.exp(-(((g - 5) / 0.1) ** 2)) * (g - 5 - zero) ** 2
    tops = [i for i in range(1, len(g) - 1) if seen[i] > max(seen[i - 1], seen[i + 1])]
    (one,) = merge_split_peaks([peak((0.0, g[i]), seen[i] ** 0.5) for i in tops], resolution=0.2)
    assert one.g[1] == pytest.approx(5.0, abs=0.01)


def test_neighbours_beside_each_other_or_far_apart_stay_two():
    assert len(merge_split_peaks([peak((3.0, 4.0), 2.0), peak((3.16, 3.88), 2.0)], resolution=0.2)) == 2
    assert len(merge_split_peaks([peak((3.0, 4.0), 2.0), peak((3.18, 4.24), 2.0)], resolution=0.2)) == 2


def test_flanks_on_either_side_of_the_half_plane_meet():
    (one,) = merge_split_peaks([peak((4.0, 0.02), 1.0), peak((-4.1, 0.02), 1.0)], resolution=0.2)
    assert np.hypot(*one.g) == pytest.approx(4.05, abs=0.01)


STEP, HALF, RESOLUTION = 0.05, 120, 0.15


@pytest.mark.parametrize(("across", "kept"), [(0.6, False), (0.15, True)])
def test_a_maximum_on_the_streak_of_a_facet_is_no_reflection_where_the_window_lies_along_the_facet(
    across, kept
):
    spectrum = spectrum_of((0.0, 4.0, 2000.0), (1.6, 4.0, 60.0), *((y, 4.0, 25.0) for y in (0.4, 0.8, 1.2)))
    y, x = np.mgrid[-20:21, -20:21] * STEP
    lobes = np.exp(-((y / across) ** 2) - (x / RESOLUTION) ** 2).astype(np.float32)
    found = find_peaks(replace(spectrum, lobes=lobes), (2.0, 6.0), 0.01, 1e6)
    assert any(np.allclose(one.g, (1.6, 4.0), atol=0.1) for one in found) is kept


def spectrum_of(*spots, lobe=0.0):
    """Spectrum with Gaussian spots (g_y, g_x, SNR) on a floor of 1, and side lobes at 0.45 1/nm."""
    y, x = np.mgrid[-HALF : HALF + 1, 0 : HALF + 1] * STEP
    around = np.hypot(*(np.mgrid[-20:21, -20:21] * STEP))
    lobes = np.maximum(np.exp(-((around / RESOLUTION) ** 2)), lobe * (np.abs(around - 0.45) < 0.05))
    snr = np.ones(x.shape)
    for gy, gx, height in spots:
        for sign in (1, -1):
            snr += height * np.exp(-((y - sign * gy) ** 2 + (x - sign * gx) ** 2) / RESOLUTION**2)
    return GrainSpectrum(
        (STEP, STEP), (HALF, HALF), snr.astype(np.float32), lobes.astype(np.float32), (STEP, STEP),
        RESOLUTION, 2.0, 0.01, 1e4, np.full(x.shape, 4.0, np.float32), None,
    )  # fmt: skip


@pytest.mark.parametrize("g", [(3.0, 0.0), (3.01, 0.02), (-3.01, 0.02), (-3.0, 0.03), (2.99, 3.02)])
def test_a_maximum_is_found_between_the_bins_also_across_the_half_planes_edge(g):
    (one,) = find_peaks(spectrum_of((*g, 1000.0)), (1.0, 5.5), 0.01, 1e6)
    assert one.g == pytest.approx(g, abs=0.003)
    assert one.snr == pytest.approx(1000, rel=0.06)
    assert one.sigma == pytest.approx(1 / (2 * np.pi * 2.0 * np.sqrt(2 * one.snr)))
    assert one.amplitude == pytest.approx(np.sqrt(one.snr * 0.01 * 4.0))


def test_a_side_lobe_of_a_spot_or_of_its_mirror_is_none():
    strong, beside, mirrored = (3.0, 0.1, 9000.0), (3.0, 0.55, 100.0), (-3.0, 0.35, 100.0)
    for spots in ((strong, beside), (strong, mirrored)):
        assert len(find_peaks(spectrum_of(*spots), (0.1, 5.5), 0.01, 1e6)) == 2
        (one,) = find_peaks(spectrum_of(*spots, lobe=0.01), (0.1, 5.5), 0.01, 1e6)
        assert one.snr > 5000


def test_a_streak_is_followed_across_the_half_planes_edge():
    spectrum = spectrum_of((3.0, 0.3, 120.0))
    assert len(find_peaks(spectrum, (1.0, 5.5), 0.01, 1e6)) == 1
    spectrum.snr[HALF + 60, :22] += 50  # g_y = 3 from g_x = 1.05 down to -1.8, which is stored at g_y = -3
    spectrum.snr[HALF - 60, :37] += 50
    assert find_peaks(spectrum, (1.0, 5.5), 0.01, 1e6) == ()


def test_a_ridge_is_what_lies_before_and_behind_a_maximum():
    """Mean power 1 everywhere, 100 on the line to zero frequency; a maximum beside it has no ridge."""
    snr = np.full((121, 61), np.log(2.0), np.float32)
    snr[60, 20:] = 100 * np.log(2.0)
    spectrum = SimpleNamespace(snr=snr, half=(60, 60), step=(0.1, 0.1), resolution=0.2)
    on, beside, at_the_end = _ridges(spectrum, np.array([[60, 40], [90, 40], [60, 59]]))
    assert (on, beside) == pytest.approx((100.0, 1.0))
    assert at_the_end == pytest.approx(50.0)  # nothing is known behind it
