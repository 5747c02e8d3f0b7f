import numpy as np
import pytest

from napari_tem_fft.nn.simulation.processing import (
    Processed,
    jpeg,
    kept_share,
    labelled,
    quantised,
    resampled,
)


def wave(n: int, period: float) -> np.ndarray:
    return np.tile(np.cos(2 * np.pi * np.arange(n) / period), (n, 1)).astype(np.float32)


@pytest.mark.parametrize("order", [1, 3])
def test_a_fringe_keeps_its_spacing_in_nanometres_when_an_image_is_resampled(order):
    """128 pixels of 0.05 nm with a fringe of 0.4 nm become 192 of 0.0333 nm: still 16 periods."""
    after = resampled(wave(128, 8.0), (0.05, 0.05), 1.5, order)
    assert after.pixels.shape == (192, 192) and after.pixel_size == pytest.approx((1 / 30, 1 / 30))
    spectrum = np.abs(np.fft.rfft(after.pixels.mean(axis=0)))
    assert spectrum[1:].argmax() + 1 == 16
    assert after.limit == pytest.approx(10.0)  # Nyquist as recorded


def test_a_smaller_image_has_nothing_beyond_its_own_nyquist_frequency():
    after = resampled(wave(128, 8.0), (0.05, 0.05), 0.5, 1)
    assert after.limit == pytest.approx(5.0)
    assert after.kept_at(np.array([[0.0, 4.9], [0.0, 5.1]])).tolist() == [1.0, 0.0]


def test_eight_bits_have_256_levels_and_the_brightest_are_clipped():
    levels = quantised(np.linspace(0, 1, 10000, dtype=np.float32).reshape(100, 100), 0.1)
    assert set(np.unique(levels)) <= set(range(256))
    assert np.mean(levels == 0) == pytest.approx(0.1, abs=0.02)
    assert np.mean(levels == 255) == pytest.approx(0.1, abs=0.02)


def test_added_noise_of_the_same_strength_leaves_half_of_the_snr():
    rng = np.random.default_rng(0)
    before, noise = rng.standard_normal((2, 512, 512))
    assert kept_share(before, before + noise) == pytest.approx(np.full((8, 8), 0.5), abs=0.05)


def test_jpeg_takes_most_from_the_highest_frequencies_and_the_truth_says_so():
    """White noise of 3 grey levels: at quality 60 the step is 8 at the middle of a block, 80 at its end."""
    rng = np.random.default_rng(1)
    before = np.clip(128 + 3 * rng.standard_normal((256, 256)), 0, 255).astype(np.float32)
    share = kept_share(before, jpeg(np.rint(before), 60))
    assert share[0, 1] > 0.3 > 0.05 > share[7, 7]
    step = Processed(before, (0.05, 0.05), kept=share)
    low, high = step.kept_at(np.array([[0.0, 10 / 8], [8.75, 8.75]]))  # 1 and 7 sixteenths of a cycle a pixel
    assert low == share[0, 1] and high == share[7, 7]


def test_a_weak_fringe_loses_as_much_as_the_truth_says():
    """A cosine of a tenth of the noise at 3/16 cycles a pixel, before and after JPEG."""
    rng = np.random.default_rng(2)
    noise = 6 * rng.standard_normal((1024, 1024)).astype(np.float32)
    x = np.arange(1024)
    image = 128 + noise + 0.6 * np.cos(2 * np.pi * 3 / 16 * x).astype(np.float32)
    after = jpeg(np.clip(np.rint(image), 0, 255), 70)

    def snr(pixels: np.ndarray) -> float:
        power = np.abs(np.fft.fft2(pixels - pixels.mean())) ** 2
        return float(power[0, 192] / power[20:60, 182:203].mean())

    expected = kept_share(image, after)[0, 3]
    assert snr(after) / snr(image) == pytest.approx(expected, rel=0.3)
    assert expected < 0.9


def test_a_label_is_drawn_at_the_bottom_and_leaves_the_rest():
    image = np.random.default_rng(3).normal(100, 5, (400, 400)).astype(np.float32)
    for seed in range(5):
        after = labelled(image, (0.02, 0.02), np.random.default_rng(seed))
        assert after.shape == image.shape and (after != image)[320:].any()
        assert np.array_equal(after[60:300], image[60:300])
