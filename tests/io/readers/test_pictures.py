"""Ordinary pictures: grey levels without a scale, whatever their colours, palette and transparency."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy import ndimage

from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers.micrographs import read_micrograph
from napari_tem_fft.io.readers.pictures import to_grey

GREY = (np.arange(30 * 20).reshape(30, 20) % 251).astype(np.uint8)


def read(path, picture, **more):
    picture.save(path, **more)
    return read_micrograph(path)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "gif"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_grey_levels_of_every_kind(tmp_path, suffix, mode):
    if (mode, suffix) == ("RGBA", "gif"):
        pytest.skip("a GIF has a palette, which Pillow makes of other colours")
    picture = Image.fromarray(GREY > 100) if mode == "1" else Image.fromarray(GREY).convert(mode)
    more = {"lossless": True} if suffix == "webp" else {}
    micrograph = read(tmp_path / f"a.{suffix}", picture, **more)
    expected = GREY > 100 if mode == "1" else GREY
    found = micrograph.pixels > 0 if mode == "1" else micrograph.pixels
    np.testing.assert_array_equal(found, expected)
    assert micrograph.calibration.space == "none"
    assert micrograph.warnings == tuple(text for text in micrograph.warnings if "scale bar" in text)


def test_a_jpeg_is_nearly_its_picture(tmp_path):
    smooth = ndimage.gaussian_filter(GREY, 2)
    found = read(tmp_path / "a.jpg", Image.fromarray(smooth).convert("RGB"), quality=95).pixels
    assert np.abs(found - smooth.astype(float)).mean() < 3


def test_sixteen_bits_stay_sixteen(tmp_path):
    deep = (GREY.astype("uint16") * 257)[:, ::-1]
    found = read(tmp_path / "a.png", Image.fromarray(deep)).pixels
    np.testing.assert_array_equal(found, deep)
    assert found.dtype == np.uint16


def test_colours_by_luminance(tmp_path):
    colours = np.zeros((30, 20, 3), np.uint8)
    colours[..., 0], colours[..., 2] = 200, 100
    found = read(tmp_path / "a.png", Image.fromarray(colours)).pixels
    assert found == pytest.approx(np.full((30, 20), 0.299 * 200 + 0.114 * 100), abs=1e-3)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_get_the_mean_of_the_others(tmp_path, mode):
    colours = np.zeros((30, 20, 4), np.uint8)
    colours[:, :10] = 80, 80, 80, 255
    found = read(tmp_path / "a.png", Image.fromarray(colours).convert(mode)).pixels
    assert found == pytest.approx(np.full((30, 20), 80.0))


def test_a_palette_with_a_transparent_colour(tmp_path):
    picture = Image.new("P", (20, 30), 1)
    picture.putpalette([0, 0, 0, 90, 90, 90])
    picture.paste(0, (0, 0, 10, 30))
    found = read(tmp_path / "a.png", picture, transparency=0).pixels
    assert found == pytest.approx(np.full((30, 20), 90.0))


def test_dots_an_inch_are_no_scale(tmp_path):
    assert read(tmp_path / "a.png", Image.fromarray(GREY), dpi=(1e7, 1e7)).calibration.space == "none"


def test_a_picture_under_another_suffix(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_micrograph(tmp_path / "a.tif").pixels, GREY)


def test_only_the_first_of_several_pictures(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.gif", save_all=True, append_images=[Image.fromarray(GREY[::-1])])
    micrograph = read_micrograph(tmp_path / "a.gif")
    np.testing.assert_array_equal(micrograph.pixels, GREY)
    assert any("first of 2 pictures" in text for text in micrograph.warnings)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif"])
def test_a_picture_cut_off_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GREY).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ReadError, match="damaged"):
        read_micrograph(path)


def test_a_claim_of_a_gigapixel_is_refused(tmp_path):
    path = tmp_path / "a.bmp"
    Image.fromarray(GREY).save(path)
    content = bytearray(path.read_bytes())
    content[18:26] = (30000).to_bytes(4, "little") * 2
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"claims|damaged"):
        read_micrograph(path)


@given(
    grey=arrays.arrays(np.uint8, (3, 4)),
    channels=st.sampled_from([1, 2, 3, 4]),
    alpha=st.sampled_from([255, 40]),
)
def test_equal_channels_under_one_alpha_stay_as_they_are(grey, channels, alpha):
    colours = np.stack([grey] * channels, axis=-1)
    if channels in (2, 4):
        colours[..., -1] = alpha
    np.testing.assert_array_equal(to_grey(colours), grey)
