import numpy as np
import pytest
from scipy import signal

from forward_model import fringes, lattice, white_noise
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams, compute_diffractogram, display_grid
from napari_tem_fft.core.fourier.mask import render
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.profile.radial_profile import (
    ProfileParams,
    find_peaks,
    fitted_peaks,
    masked_profile,
    whole_profile,
)
from napari_tem_fft.core.profile.ring_sums import fine_spectrum
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.spots.spot import Spot

PIXEL = (0.02, 0.025)


def diffractogram_of(pixels):
    return compute_diffractogram(
        pixels.astype(np.float32), Micrograph(pixels, Calibration.real(PIXEL)), SpectrumParams()
    )


def test_noise_is_one_at_all_g_and_has_no_peak():
    profile = whole_profile(fine_spectrum(diffractogram_of(white_noise((700, 800), 0))), ProfileParams())
    assert profile.intensity.mean() == pytest.approx(1.0, abs=0.03)
    assert np.polyfit(profile.g, profile.intensity, 1)[0] == pytest.approx(0.0, abs=0.01)
    assert profile.peaks == ()


def test_fringes_are_a_peak_at_their_d():
    pixels = fringes((700, 800), PIXEL, 0.235, 33.0) + white_noise((700, 800), 1)
    (peak,) = whole_profile(fine_spectrum(diffractogram_of(pixels)), ProfileParams()).peaks
    assert peak.d == pytest.approx(0.235, rel=2e-3)
    assert abs(peak.d - 0.235) < 5 * peak.d_sigma


def test_a_peak_stands_out_of_the_scatter_of_its_ring():
    found = diffractogram_of(fringes((700, 800), PIXEL, 0.235, 33.0, 0.5) + white_noise((700, 800), 1))
    profile = whole_profile(fine_spectrum(found), ProfileParams())
    (peak,) = profile.peaks
    at = int(np.argmin(np.abs(profile.g - peak.g)))
    (hy, hx), (sy, sx) = found.half, found.step  # a ring as wide as the native steps fill counts
    g = np.hypot(*np.meshgrid(np.arange(-hy, hy + 1) * sy, np.arange(hx + 1) * sx, indexing="ij"))
    wide = 1.5 * max(found.step)
    bins = np.count_nonzero(np.abs(g - profile.g[at]) <= 0.5 * wide)
    error = profile.background[at] * 1.5 / np.sqrt(bins)  # a Hann window leaves 1 bin in 2.25 independent
    height = profile.intensity[at] - profile.background[at]
    assert peak.significance == pytest.approx(height / error, rel=0.05)


def test_the_masked_profile_holds_only_what_the_mask_does():
    pixels = lattice((700, 800), PIXEL, [(0.235, 33.0), (0.18, 100.0)]) + white_noise((700, 800), 2)
    found = diffractogram_of(pixels)
    grid = display_grid(found)
    angle = np.radians(33.0)
    spot = Spot(1, (-np.sin(angle) / 0.235, np.cos(angle) / 0.235), 0.01, 100.0, -90.0, radius=0.2)
    profile = masked_profile(fine_spectrum(found), render([spot], grid), grid, ProfileParams())
    assert [peak.d for peak in profile.peaks] == [pytest.approx(0.235, rel=3e-3)]
    assert profile.intensity[np.abs(profile.g - 1 / 0.18) < 0.3].max() == 0
    empty = masked_profile(fine_spectrum(found), np.zeros(grid.shape, np.uint8), grid, ProfileParams())
    assert empty.intensity.max() == 0 and empty.peaks == ()


def test_the_profile_of_a_mask_that_holds_all_is_that_of_the_whole_image():
    found = diffractogram_of(white_noise((300, 340), 3))
    grid = display_grid(found)
    whole = whole_profile(fine_spectrum(found), ProfileParams())
    for mask in (np.ones(grid.shape, np.uint8), np.indices(grid.shape)[0] <= grid.half[0]):
        masked = masked_profile(fine_spectrum(found), mask.astype(np.uint8), grid, ProfileParams())
        np.testing.assert_allclose(masked.intensity[:-4], whole.intensity[:-4])  # corners lie beyond the grid


@pytest.mark.parametrize(("size", "pixel"), [(256, 0.03), (512, 0.02), (1024, 0.025)])
def test_a_peak_of_a_small_field_is_a_smooth_curve(size, pixel):
    pixels = fringes((size, size), (pixel, pixel), 0.235, 33.0) + white_noise((size, size), 1)
    micrograph = Micrograph(pixels, Calibration.real(pixel))
    found = compute_diffractogram(pixels.astype(np.float32), micrograph, SpectrumParams())
    profile = whole_profile(fine_spectrum(found), ProfileParams())
    (peak,) = profile.peaks
    top = profile.intensity[np.abs(profile.g - peak.g) < 2 * peak.width]
    assert np.count_nonzero(top > 0.5 * top.max()) >= 4
    steps = np.diff(top)
    clear = np.sign(steps[np.abs(steps) > 0.03 * top.max()])
    assert np.count_nonzero(np.diff(clear)) == 1  # up once and down once
    assert abs(peak.d - 0.235) < 4 * peak.d_sigma


def test_curves_have_no_gap():
    pixels = fringes((300, 340), PIXEL, 0.235, 33.0) + white_noise((300, 340), 1)
    analysis = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(PIXEL)), ()))
    whole, masked, local = analysis.profiles
    assert min(whole.intensity.min(), local.intensity.min()) > 0
    inside = np.flatnonzero(masked.intensity > 0)
    assert inside.size and np.all(np.diff(inside) == 1)


@pytest.mark.parametrize("weaker", [1.0, 0.7, 0.4])
@pytest.mark.parametrize("apart", [0.13, 0.16, 0.3])
def test_two_lines_with_a_valley_between_them_stand_at_their_maxima(apart, weaker):
    g = np.arange(3.0, 5.0, 0.01)
    height = sum(h * np.exp(-(((g - c) / 0.04) ** 2) / 2) for c, h in ((4.0, 1.0), (4.0 + apart, weaker)))
    first, second = fitted_peaks("masked", g, height, np.full(g.shape, 0.02), 5.0)
    assert (first.g, second.g) == pytest.approx((4.0, 4.0 + apart), abs=0.012)
    for peak in (first, second):
        near = height[abs(g - peak.g) < 0.025]
        assert np.interp(peak.g, g, height) > 0.98 * near.max()


def test_peaks_of_a_small_curve_by_hand():
    """Heights 4, 1 and 3; they stand 4, 0.5 and 3 above the higher of their saddles."""
    curve = np.array([0.0, 2, 4, 2, 0, 1, 1, 0.5, 3, 0])
    peaks, widths = find_peaks(curve, 1.0, 0.5)
    assert peaks.tolist() == [2, 5, 8]
    assert widths == pytest.approx([1 + 1, 0.25 + 1.5, 0.6 + 0.5])
    assert find_peaks(curve, 2.0, 0.5)[0].tolist() == [2, 8]
    assert find_peaks(curve, 1.0, 3.5)[0].tolist() == [2]


@pytest.mark.parametrize("seed", range(20))
def test_peaks_are_those_of_scipy(seed):
    curve = np.random.default_rng(seed).integers(0, 9, 60).astype(float)
    peaks, widths = find_peaks(curve, 3.0, 2.0)
    wanted, _ = signal.find_peaks(curve, height=3.0, prominence=2.0)
    assert peaks.tolist() == wanted.tolist()
    assert widths == pytest.approx(signal.peak_widths(curve, wanted, 0.5)[0])


def test_a_flat_curve_has_no_peak():
    assert len(find_peaks(np.zeros(5), 0.0, 0.0)[0]) == 0
