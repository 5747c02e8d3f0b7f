"""MRC files: both byte orders, every mode, extended headers, and a scale only where there is one."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrc_writer import write_mrc
from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers.micrographs import read_images, read_micrograph

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(-100, 100, (1, 12, 17))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("stamp", [True, False])
@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float32", "float16"])
def test_every_mode_in_both_byte_orders(tmp_path, dtype, order, stamp):
    pixels = IMAGE.astype(dtype)
    micrograph = read_micrograph(
        write_mrc(tmp_path / "a.mrc", pixels, (0.03, 0.02), order=order, stamp=stamp)
    )
    np.testing.assert_array_equal(micrograph.pixels, pixels[0])
    assert micrograph.pixels.dtype.isnative
    assert micrograph.pixel_size == pytest.approx((0.03, 0.02), rel=1e-6)
    assert micrograph.warnings == ()


@pytest.mark.parametrize(
    ("said", "signed"),
    [
        ({}, True),  # as the format has it since 2014
        ({"extremes": (-100.0, 99.0)}, True),
        ({"extremes": (0.0, 90.0)}, True),
        ({"extremes": (3.0, 250.0)}, False),
        ({"imod": 1}, True),
        ({"imod": 0}, False),
        ({"imod": 0, "extremes": (-5.0, 5.0)}, False),
    ],
)
def test_bytes_are_signed_unless_the_header_says_otherwise(tmp_path, said, signed):
    pixels = IMAGE.astype("int8")
    read = read_micrograph(write_mrc(tmp_path / "a.mrc", pixels, **said)).pixels
    np.testing.assert_array_equal(read, pixels[0] if signed else pixels[0].view("uint8"))


@pytest.mark.parametrize("order", "<>")
def test_half_bytes_the_low_one_first(tmp_path, order):
    pixels = RNG.integers(0, 16, (3, 4, 5)).astype("uint8")
    padded = np.concatenate([pixels, np.zeros((3, 4, 1), "uint8")], axis=2)
    stored = padded[..., ::2] | padded[..., 1::2] << 4
    path = write_mrc(tmp_path / "a.mrc", stored, shape=pixels.shape, mode=101, order=order)
    (stack,) = read_images(path)
    np.testing.assert_array_equal(stack.frames, pixels)


@pytest.mark.parametrize(
    "said",
    [
        {"pixel_size_nm": 0.0},
        {"samples": False},
        {"pixel_size_nm": 0.0, "samples": False},
        {"pixel_size_nm": float("nan")},
        {"pixel_size_nm": -0.02},
        {"pixel_size_nm": float("inf")},
        {"gamma": 120.0},
    ],
)
def test_a_scale_that_is_not_there_is_not_used(tmp_path, said):
    micrograph = read_micrograph(write_mrc(tmp_path / "a.mrc", IMAGE.astype("int16"), **said))
    assert micrograph.calibration.space == "none"
    assert "gives no pixel size" in micrograph.warnings[0]
    assert "--pixel-size" in micrograph.warnings[0]


def test_axes_that_are_stored_in_another_order_keep_their_sizes(tmp_path):
    pixels = np.zeros((1, 12, 12), "int16")  # columns lie along y, rows along x
    path = write_mrc(tmp_path / "a.mrc", pixels, (0.03, 0.02), axes=(2, 1, 3))
    assert read_micrograph(path).pixel_size == pytest.approx((0.02, 0.03), rel=1e-6)


def test_fei_s_extended_header_has_the_scale_and_the_voltage(tmp_path):
    extended = bytearray(768)
    struct.pack_into("<d", extended, 84, 300e3)
    struct.pack_into("<2d", extended, 156, 2e-11, 3e-11)
    path = write_mrc(
        tmp_path / "a.mrc", IMAGE.astype("int16"), 0.0, extended=bytes(extended), exttype=b"FEI1"
    )
    micrograph = read_micrograph(path)
    np.testing.assert_array_equal(micrograph.pixels, IMAGE[0])
    assert micrograph.pixel_size == pytest.approx((0.03, 0.02))
    assert micrograph.metadata["voltage_kV"] == 300


@pytest.mark.parametrize(("metres", "space"), [(2e-11, "real"), (0.0, "none"), (1.0, "none")])
def test_fei_s_old_header_of_1024_images(tmp_path, metres, space):
    extended = bytearray(131072)
    struct.pack_into("<f", extended, 44, metres)
    path = write_mrc(tmp_path / "a.mrc", IMAGE.astype("int16"), 0.1, extended=bytes(extended))
    micrograph = read_micrograph(path)
    np.testing.assert_array_equal(micrograph.pixels, IMAGE[0])
    assert micrograph.calibration.space == space
    if space == "real":
        assert micrograph.pixel_size == pytest.approx((0.02, 0.02))


def test_another_extended_header_is_passed_over(tmp_path):
    path = write_mrc(tmp_path / "a.mrc", IMAGE.astype("int16"), extended=bytes(1280), exttype=b"SERI")
    np.testing.assert_array_equal(read_micrograph(path).pixels, IMAGE[0])


def test_any_suffix_and_stacks(tmp_path):
    stack = RNG.normal(size=(3, 8, 9)).astype("float32")
    (found,) = read_images(write_mrc(tmp_path / "series.st", stack))
    np.testing.assert_array_equal(found.frames, stack)
    assert found.frame(2).pixel_size == pytest.approx((0.02, 0.02), rel=1e-6)


@pytest.mark.parametrize("mode", [3, 4])
def test_a_transform_is_named_as_one(tmp_path, mode):
    path = write_mrc(tmp_path / "a.mrc", np.ones((1, 8, 5), "complex64"), mode=mode)
    with pytest.raises(ReadError, match="a complex-valued Fourier transform"):
        read_images(path)


@pytest.mark.parametrize(
    ("shape", "mode", "message"),
    [
        ((1, 0, 17), 1, "no possible image size"),
        ((0, 12, 17), 1, "no possible image size"),
        ((1, -12, 17), 1, "no possible image size"),
        ((1, 12, 17), 5, "no possible image size or pixel type"),
        ((1, 12, 17), 16, "colours"),
        ((1, 1200, 1700), 1, "its header claims 4081024 bytes, but it has 1432"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, shape, mode, message):
    with pytest.raises(ReadError, match=message):
        read_images(write_mrc(tmp_path / "a.mrc", IMAGE.astype("int16"), shape=shape, mode=mode))


@given(cut=st.integers(1, 1400))
def test_a_file_cut_off_anywhere_is_incomplete(tmp_path_factory, cut):
    path = write_mrc(tmp_path_factory.mktemp("mrc") / "a.mrc", IMAGE.astype("int16"))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ReadError, match="incomplete"):
        read_images(path)
