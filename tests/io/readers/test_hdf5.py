"""Gatan's DM5 and the HDF5 files of others, told apart by what is in them."""

import h5py
import numpy as np
import pytest

from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers.micrographs import read_images, read_micrograph

IMAGE = np.arange(24 * 40, dtype=np.int16).reshape(24, 40)


def write_dm5(path, images, thumbnail=False):
    """Images, each (pixels, scale (y, x), unit, origin in pixels, name) and perhaps code and columns."""
    with h5py.File(path, "w") as file:
        listed = file.create_group("ImageList")
        if thumbnail:
            images = [(np.zeros((4, 4), np.uint8), (1, 1), "", (0, 0), "preview"), *images]
            mark = file.create_group("Thumbnails").create_group("[0]")
            mark.attrs["ImageIndex"] = np.uint32(0)
        for number, (pixels, scale, unit, origin, name, *more) in enumerate(images):
            entry = listed.create_group(f"[{number}]")
            entry.attrs["Name"] = np.bytes_(name)
            data = entry.create_group("ImageData")
            data.attrs["DataType"] = np.int64(more[0] if more else 1)
            data["Data"] = pixels
            dimensions = data.create_group("Dimensions")
            dimensions.attrs["[0]"] = np.uint32(more[1] if more else pixels.shape[-1])
            axes = data.create_group("Calibrations").create_group("Dimension")
            for axis, (size, first) in enumerate(zip(scale[::-1], origin[::-1], strict=True)):
                one = axes.create_group(f"[{axis}]")
                one.attrs["Scale"], one.attrs["Origin"] = np.float32(size), np.float32(first)
                one.attrs["Units"] = np.bytes_(unit.encode())
            tags = entry.create_group("ImageTags")
            tags.create_group("Microscope Info").attrs["Voltage"] = 300e3
            tags.create_group("DataBar").attrs["Exposure Time (s)"] = 0.5
    return path


def test_a_calibrated_image_with_its_microscope(tmp_path):
    path = write_dm5(tmp_path / "a.dm5", [(IMAGE, (0.03, 0.02), "nm", (0, 0), "film")], thumbnail=True)
    micrograph = read_micrograph(path)
    np.testing.assert_array_equal(micrograph.pixels, IMAGE)
    assert micrograph.pixel_size == pytest.approx((0.03, 0.02))
    assert micrograph.metadata == {"image_name": "film", "voltage_kV": 300, "exposure_s": 0.5}
    assert micrograph.warnings == ()


def test_all_images_of_a_file(tmp_path):
    images = [
        (IMAGE, (0.02, 0.02), "nm", (0, 0), "film"),
        (IMAGE.astype("f4"), (0.05, 0.05), "1/nm", (12, 20), "pattern"),
        (np.stack([IMAGE] * 3), (1, 20, 20), "pm", (0, 0, 0), "series"),
    ]
    film, pattern, series = read_images(write_dm5(tmp_path / "a.dm5", images))
    assert (film.name, series.shape) == ("a: film", (3, 24, 40))
    assert series.calibration.pixel_size == pytest.approx((0.02, 0.02))
    assert pattern.calibration.space == "reciprocal"
    assert pattern.calibration.origin == pytest.approx((12, 20))


def test_a_packed_transform_is_whole(tmp_path):
    image = np.random.default_rng(0).normal(size=(16, 20))
    half = np.fft.fftshift(np.fft.rfft2(image), axes=0).astype("c8")
    path = write_dm5(tmp_path / "a.dm5", [(half, (0.05, 0.05), "1/nm", (8, 10), "FFT", 27, 20)])
    micrograph = read_micrograph(path)
    expected = np.abs(np.fft.fftshift(np.fft.fft2(image)))
    np.testing.assert_allclose(micrograph.pixels, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("suffix", ["dm5", "dm4", "h5"])
def test_it_is_told_by_its_content(tmp_path, suffix):
    path = write_dm5(tmp_path / f"a.{suffix}", [(IMAGE, (0.02, 0.02), "nm", (0, 0), "film")])
    assert read_micrograph(path).pixel_size == pytest.approx((0.02, 0.02))


def test_no_image_and_half_an_image(tmp_path):
    with h5py.File(tmp_path / "a.dm5", "w") as file:
        file.create_group("ImageList")
    with pytest.raises(ReadError, match="no image in the file"):
        read_images(tmp_path / "a.dm5")
    with h5py.File(tmp_path / "a.dm5", "w") as file:
        file.create_group("ImageList/[0]")
    with pytest.raises(ReadError, match="incomplete image entry"):
        read_images(tmp_path / "a.dm5")


def test_what_cannot_be_in_the_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.dm5", "w") as file:
        data = file.create_group("ImageList/[0]/ImageData")
        data.create_dataset("Data", (20_000, 20_000), "int16", chunks=(500, 500))
    with pytest.raises(ReadError, match="damaged file: it claims 800000000 bytes"):
        read_images(tmp_path / "a.dm5")


def test_a_link_to_another_file_is_not_followed(tmp_path):
    write_dm5(tmp_path / "b.dm5", [(IMAGE, (0.02, 0.02), "nm", (0, 0), "film")])
    with h5py.File(tmp_path / "a.dm5", "w") as file:
        file.create_group("ImageList")["[0]"] = h5py.ExternalLink(str(tmp_path / "b.dm5"), "/ImageList/[0]")
    with pytest.raises(ReadError, match="no image in the file"):
        read_images(tmp_path / "a.dm5")


@pytest.mark.parametrize("unit", ["n_m", "[n_m]", "nm", "Angstrom", "\u00c5"])
def test_emd_s_units(tmp_path, unit):
    factor = 0.1 if unit in ("Angstrom", "\u00c5") else 1.0
    with h5py.File(tmp_path / "a.emd", "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/film")
        group.attrs["emd_group_type"] = 1
        group["data"] = IMAGE.T
        for number, (name, n) in enumerate(zip("xy", IMAGE.shape[::-1], strict=True), start=1):
            group[f"dim{number}"] = np.arange(n) * 0.02 / factor
            group[f"dim{number}"].attrs.update({"name": name, "units": unit})
    micrograph = read_micrograph(tmp_path / "a.emd")
    assert micrograph.pixel_size == pytest.approx((0.02, 0.02))
    np.testing.assert_array_equal(micrograph.pixels, IMAGE)
