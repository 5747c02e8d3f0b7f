"""A stack hands out its frames as micrographs of the same calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from forward_model import white_noise
from napari_tem_fft.core.image.calibration import Calibration, CalibrationError
from napari_tem_fft.core.image.micrograph import (
    ImageStack,
    Micrograph,
    _ranges,
    _steps,
    check_field,
    prepared_pixels,
)

SIZE = Calibration.real((0.02, 0.03))


def image(pixels: np.ndarray) -> Micrograph:
    return Micrograph(pixels, SIZE, "image")


def test_a_pedestal_of_millions_does_not_round_the_signal_away():
    signal = white_noise((64, 64), 0, 3.0).round()
    pixels, _ = prepared_pixels(image((signal + 3_000_000).astype(np.uint32)))
    np.testing.assert_allclose(pixels, signal - signal.mean(), atol=1e-4)


def test_no_step_exceeds_the_range_of_three_columns():
    strip = np.zeros((4, 5), np.float32)
    strip[1, 1], strip[2, 3] = 4, -8
    assert _ranges(strip)[1:-1].tolist() == [4, 12, 8]
    assert _steps(strip, np.array([1, 3])).tolist() == [[4, 2], [-1, -8]]


def test_hot_and_dead_pixels_are_replaced_by_their_neighbours():
    pixels = white_noise((64, 64), 1) + 100
    pixels[10, 20], pixels[40, 5] = 5000, -5000
    repaired, count = prepared_pixels(image(pixels))
    assert count >= 2
    assert abs(repaired[10, 20]) < 4 and abs(repaired[40, 5]) < 4


def test_dead_lines_are_replaced():
    pixels = white_noise((256, 300), 2) + 100
    pixels[100], pixels[:, 7] = 0, 0
    repaired, count = prepared_pixels(image(pixels))
    assert count >= 256 + 300
    assert abs(repaired[100].mean()) < 1 and abs(repaired[:, 7].mean()) < 1


def test_lattice_fringes_along_the_rows_are_no_dead_lines():
    y = np.arange(256)[:, None] * 0.02
    pixels = np.cos(2 * np.pi * y / 0.25) * np.ones((1, 256)) + white_noise((256, 256), 3, 0.3)
    repaired, count = prepared_pixels(image(pixels))
    assert count == 0
    np.testing.assert_allclose(repaired, pixels - pixels.mean(), atol=1e-5)


def test_few_nan_are_repaired_and_many_are_refused():
    pixels = white_noise((64, 64), 4)
    pixels[3, 3] = np.nan
    repaired, count = prepared_pixels(image(pixels))
    assert count >= 1 and np.isfinite(repaired).all()
    pixels[:2] = np.inf
    with pytest.raises(ValueError, match="NaN or infinite"):
        prepared_pixels(image(pixels))


@pytest.mark.parametrize(("row", "level"), [(30, 300), (63, 620), (0, 10)])
def test_a_defect_takes_the_median_of_its_neighbours_reflected_at_the_border(row, level):
    pixels = 10.0 * np.arange(64)[:, None] * np.ones((1, 64))
    pixels[row, 63] = np.nan
    repaired, count = prepared_pixels(image(pixels))
    whole = np.array(pixels)
    whole[row, 63] = level
    assert count == 1 and repaired[row, 63] == pytest.approx(level - whole.mean(), abs=1e-3)


def test_constant_image_is_refused():
    with pytest.raises(ValueError, match="same value"):
        prepared_pixels(image(np.full((64, 64), 7, np.int16)))


def test_stacks_and_colours_are_no_micrographs():
    with pytest.raises(ValueError, match="two-dimensional"):
        image(np.zeros((4, 64, 64)))
    with pytest.raises(ValueError, match="real numbers"):
        image(np.zeros((64, 64), complex))


def test_extent_and_crop():
    whole = image(np.zeros((100, 50)))
    assert whole.extent == (2.0, 1.5)
    assert whole.crop(slice(0, 20), slice(0, 50)).extent == pytest.approx((0.4, 1.5))


@pytest.mark.parametrize(("space", "words"), [("none", "give its pixel size"), ("reciprocal", "1/nm")])
def test_without_a_scale_in_nm_nothing_is_measured(space, words):
    with pytest.raises(CalibrationError, match=words):
        _ = Calibration((1.0, 1.0), space).pixel_size


@given(
    st.integers(0, 2**31),
    st.sampled_from(["int8", "int16", "uint16", "int32", "uint32", "float32", "float64"]),
)
def test_prepared_pixels_have_mean_zero_whatever_the_type(seed, dtype):
    pixels = (white_noise((32, 48), seed, 8.0) + 40).astype(dtype)
    prepared, _ = prepared_pixels(image(pixels))
    assert prepared.dtype == np.float32
    assert abs(prepared.mean(dtype=np.float64)) < 1e-3


def test_hot_pixels_do_not_take_their_neighbours_along():
    rng = np.random.default_rng(0)
    pixels = rng.poisson(400, (300, 340)).astype(np.uint16)
    hot = rng.random(pixels.shape) < 0.002
    hot[[0, 0, -1, 130], [5, -1, 40, 0]] = True  # on the border too
    pixels[hot] = 65535
    image, repaired = prepared_pixels(Micrograph(pixels, Calibration.real(0.03)))
    assert hot.sum() <= repaired <= 1.1 * hot.sum()
    assert np.abs(image).max() < 200


def test_film_beside_dark_vacuum_is_not_repaired():
    rng = np.random.default_rng(0)
    pixels = rng.poisson(400, (400, 400)).astype(np.uint16)
    pixels[:, :220] = rng.poisson(3, (400, 220))
    pixels[100, 300] = 4000
    _, repaired = prepared_pixels(Micrograph(pixels, Calibration.real(0.03)))
    assert repaired == 1


def test_rows_of_a_filtered_image_are_not_taken_for_dead_ones():
    rng = np.random.default_rng(1)
    pixels = ndimage.gaussian_filter(rng.normal(0, 1, (500, 500)), (1.5, 6)) * 100
    pixels += np.where(rng.random(500) < 0.01, 8.0, 0.0)[:, None]  # rows of a scan jump
    pixels[321] = 600.0
    _, repaired = prepared_pixels(Micrograph(pixels.astype(np.float32), Calibration.real(0.03)))
    assert 500 <= repaired <= 1000  # the pixels of the dead row may be found by themselves before


@pytest.mark.parametrize(
    ("n", "pixel", "least"),
    [(64, 0.02, "150 x 150"), (32, 0.1, "64 x 64"), (149, 0.02, "150 x 150"), (63, 0.05, "64 x 64")],
)
def test_a_field_that_is_too_small_is_refused_with_the_least_that_is_not(n, pixel, least):
    image = Micrograph(np.zeros((n, n)), Calibration.real(pixel), "film")
    with pytest.raises(ValueError, match=rf"too small for analysis.*at least {least} pixels"):
        check_field(image)


def test_a_field_of_just_3_nm_is_analysed_though_its_file_rounds_the_pixel_size():
    check_field(Micrograph(np.zeros((150, 150)), Calibration.real(float(np.float32(0.02))), "film"))


def test_the_least_field_is_not_refused():
    check_field(Micrograph(np.zeros((150, 150)), Calibration.real(0.02)))
    check_field(Micrograph(np.zeros((64, 100)), Calibration.real((0.05, 0.03))))
    with pytest.raises(CalibrationError):
        check_field(Micrograph(np.zeros((500, 500))))


FRAMES = np.arange(3 * 16 * 20).reshape(3, 16, 20)


def test_frame_carries_everything_of_the_stack():
    stack = ImageStack(FRAMES, Calibration.real((0.03, 0.02)), "series", "a.dm4", "hash", {"date": "today"})
    frame = stack.frame(1)
    np.testing.assert_array_equal(frame.pixels, FRAMES[1])
    assert frame.pixel_size == (0.03, 0.02)
    assert (frame.source, frame.file_hash) == ("a.dm4", "hash")
    assert frame.metadata == {"date": "today", "frame": 1}
    assert (len(stack), stack.shape) == (3, (3, 16, 20))


@pytest.mark.parametrize("index", [-1, 3])
def test_no_such_frame(index):
    with pytest.raises(ValueError, match="choose one of 0 to 2"):
        ImageStack(FRAMES).frame(index)


@pytest.mark.parametrize("frames", [FRAMES[0], FRAMES.astype("complex64"), FRAMES[:0]])
def test_what_is_no_stack(frames):
    with pytest.raises(ValueError, match="a stack is"):
        ImageStack(frames)
