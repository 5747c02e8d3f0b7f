"""Sums that follow strokes equal sums over the whole mask, to the last bit."""

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams, compute_diffractogram, display_grid
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.profile.ring_sums import RingSums, fine_spectrum, masked_sums

EDGES = np.linspace(2.0, 8.99, 30)


def diffractogram_of(shape, pixel):
    pixels = white_noise(shape, 4).astype(np.float32)
    return compute_diffractogram(pixels, Micrograph(pixels, Calibration.real(pixel)), SpectrumParams())


def summed(found, mask, grid):
    """The sums over all bins at once."""
    fine = fine_spectrum(found)
    (hy, hx), (sy, sx), snr = fine.half, fine.step, fine.snr.astype(np.float64)
    gy, gx = np.arange(-hy, hy + 1)[:, None] * sy, np.arange(hx + 1)[None, :] * sx
    row = np.rint(gy / grid.step[0]).astype(int) + grid.half[0]
    column = np.rint(gx / grid.step[1]).astype(int) + grid.half[1]
    there = (row >= 0) & (row < grid.shape[0]) & (column < grid.shape[1])
    both = (mask | mask[::-1, ::-1]) != 0
    inside = there & both[np.clip(row, 0, grid.shape[0] - 1), np.clip(column, 0, grid.shape[1] - 1)]
    length = np.hypot(gy, gx)[inside]
    return np.histogram(length, EDGES, weights=snr[inside])[0], np.histogram(length, EDGES)[0]


@pytest.mark.parametrize(("shape", "pixel"), [((200, 230), (0.03, 0.03)), ((180, 2600), (0.05, 0.04))])
def test_strokes_one_after_another(shape, pixel):
    found, rng = diffractogram_of(shape, pixel), np.random.default_rng(1)
    grid = display_grid(found)
    mask, following = np.zeros(grid.shape, np.uint8), RingSums(found)
    for label in (1, 1, 0, 2, 0, 1, 0):
        top, left = (int(rng.integers(0, n - 30)) for n in grid.shape)
        mask[top : top + 40, left : left + 25] = label
        sums, bins = following.of(mask, grid, EDGES)
    assert np.array_equal(sums, masked_sums(fine_spectrum(found), mask, grid, EDGES)[0])
    direct = summed(found, mask, grid)
    np.testing.assert_allclose(sums, direct[0], rtol=1e-6, atol=1e-4)
    assert np.array_equal(bins, direct[1])
    assert bins.sum() > 1000


def test_other_rings_begin_anew():
    found = diffractogram_of((200, 230), (0.03, 0.03))
    grid = display_grid(found)
    mask = np.ones(grid.shape, bool)
    following = RingSums(found)
    following.of(mask, grid, EDGES)
    sums, bins = following.of(mask, grid, EDGES[:16])
    assert np.array_equal(bins, summed(found, mask, grid)[1][:15]) and len(sums) == 15


def fine_diffractogram_of(shape, pixel):
    pixels = (white_noise(shape, 4) + fringes(shape, pixel, 0.235, 33.0)).astype(np.float32)
    return compute_diffractogram(pixels, Micrograph(pixels, Calibration.real(pixel)), SpectrumParams())


@pytest.mark.parametrize(
    ("shape", "pixel", "finer"),
    [
        ((256, 256), (0.03, 0.03), (13, 13)),
        ((301, 500), (0.02, 0.025), (17, 7)),
        ((700, 800), (0.03, 0.03), (5, 3)),
    ],
)
def test_shared_frequencies_have_the_values_of_the_diffractogram(shape, pixel, finer):
    found = fine_diffractogram_of(shape, pixel)
    fine = fine_spectrum(found)
    assert fine.finer == finer
    assert fine.step == pytest.approx(tuple(s / n for s, n in zip(found.step, finer, strict=True)))
    rows, columns = (slice(h % 1, None, n) for h, n in zip(found.half, finer, strict=True))
    shared, native = fine.snr[rows, columns], found.snr()
    g = np.hypot(*found.axes())
    within = (g > found.q_min) & (g < found.q_max)  # the mean of the field is not padded
    np.testing.assert_allclose(shared[within], native[within], rtol=2e-3, atol=2e-3 * native.mean())


def test_a_large_field_is_taken_as_it_is():
    found = fine_diffractogram_of((3000, 2600), (0.04, 0.04))
    fine = fine_spectrum(found)
    assert fine.finer == (1, 1)
    np.testing.assert_array_equal(fine.snr, found.snr())


def test_steps_are_no_finer_than_a_plane_can_hold():
    fine = fine_spectrum(fine_diffractogram_of((256, 2600), (0.03, 0.03)))
    assert all(2 * half + 1 <= 2300 or n == 1 for half, n in zip(fine.half, fine.finer, strict=True))
