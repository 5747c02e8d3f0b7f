"""The other microscopes' formats give the same micrographs, and refuse in the same words."""

import importlib
import struct

import h5py
import numpy as np
import pytest
import tifffile

from dm_writer import write_dm
from mrc_writer import write_mrc
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers import micrographs, mrc
from napari_tem_fft.io.readers.micrographs import read_images, read_micrograph
from napari_tem_fft.io.readers.ser import read_ser

IMAGE = np.arange(32 * 40, dtype=np.int16).reshape(32, 40)


def write_ser(path, image, pixel_size_m, first=0.0):
    """One image of TIA's series format, version 0x210."""
    ny, nx = image.shape
    head = struct.pack("<3H4i", 0x4949, 0x0197, 0x210, 0x4122, 0x4152, 1, 1)
    dimension = struct.pack("<idd3i", 1, 0.0, 1.0, 0, 0, 0)
    offsets = len(head) + 8 + len(dimension)
    calibration = struct.pack("<ddi", first, pixel_size_m, 0)
    element = calibration * 2 + struct.pack("<hii", 5, nx, ny) + image[::-1].astype("<i2").tobytes()
    data = offsets + 8
    path.write_bytes(
        head
        + struct.pack("<ii", offsets, 1)
        + dimension
        + struct.pack("<II", data, data + len(element))
        + element
        + struct.pack("<HHI", 0x4152, 0, 0)
    )
    return path


def write_emd(path, image, pixel_size_nm):
    """Berkeley's flavour of .emd, x first."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/film")
        group.attrs["emd_group_type"] = 1
        group["data"] = image.T
        for number, (name, n) in enumerate(zip("xy", image.shape[::-1], strict=True), start=1):
            group[f"dim{number}"] = np.arange(n) * pixel_size_nm
            group[f"dim{number}"].attrs.update({"name": name, "units": "nm"})
    return path


def write_hspy(path, image, pixel_size_nm):
    from rsciio.hspy import file_writer

    file_writer(str(path), signal_of(image, pixel_size_nm))
    return path


def signal_of(image, pixel_size_nm):
    """An image as rosettasciio's writers take it."""
    axes = [
        {"name": name, "size": n, "scale": pixel_size_nm, "offset": 0.0, "units": "nm", "navigate": False}
        for name, n in zip("yx", image.shape, strict=True)
    ]
    microscope = {"Acquisition_instrument": {"TEM": {"beam_energy": 300.0}}}
    return {
        "data": image,
        "axes": [{**axis, "_type": "UniformDataAxis", "is_binned": False} for axis in axes],
        "metadata": {"General": {"title": "film"}, "Signal": {"signal_type": ""}, **microscope},
        "original_metadata": {},
        "learning_results": {},
        "attributes": {"_lazy": False, "ragged": False},
        "tmp_parameters": {},
        "models": [],
        "package_info": {"package": "test", "package_version": "1"},
    }


def write_tif(path, image, pixel_size_nm, unit="nm"):
    per_pixel = 1 / pixel_size_nm
    metadata = {"unit": unit}
    tifffile.imwrite(
        path, image.astype("uint16"), imagej=True, resolution=(per_pixel, per_pixel), metadata=metadata
    )
    return path


def write_blo(path, patterns, shape=None):
    ny, nx, side, _ = shape or patterns.shape
    head = bytearray(0x1000 + ny * nx)
    struct.pack_into("<6sHIIIHHHH", head, 0, b"IMGBLO", 0x0102, 0x1000, len(head), 0, side, 0, nx, ny)
    frames = b"".join(
        struct.pack("<HI", 0x55AA, n) + one.tobytes()
        for n, one in enumerate(patterns.reshape(-1, side, side))
    )
    path.write_bytes(bytes(head) + frames)
    return path


@pytest.mark.parametrize(
    ("name", "write", "size"),
    [
        ("a.mrc", lambda path, image, nm: write_mrc(path, image[None], nm), 0.02),
        ("a.SER", write_ser, 2e-11),
        ("a.emd", write_emd, 0.02),
        ("a.hspy", write_hspy, 0.02),
        ("a.tif", write_tif, 0.02),
    ],
)
def test_a_calibrated_image_of_every_format(tmp_path, name, write, size):
    micrograph = read_micrograph(write(tmp_path / name, IMAGE, size))
    np.testing.assert_array_equal(micrograph.pixels, IMAGE)
    assert micrograph.pixel_size == pytest.approx((0.02, 0.02), rel=1e-6)
    assert micrograph.name == "a"


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    ("suffix", "reader"),
    [("nxs", "nexus"), ("unf", "semper"), ("rpl", "ripple"), ("sur", "digitalsurf"), ("de5", "emd")],
)
def test_what_else_rosettasciio_gives_with_a_scale(tmp_path, suffix, reader):
    pixels = IMAGE.astype("float32")
    signal = {**signal_of(pixels, 0.02), "metadata": {"General": {"title": "film"}, "Signal": {}}}
    signal["metadata"]["Signal"]["signal_type"] = ""
    importlib.import_module(f"rsciio.{reader}").file_writer(str(tmp_path / f"a.{suffix}"), signal)
    micrograph = read_micrograph(tmp_path / f"a.{suffix}")
    assert micrograph.pixel_size == pytest.approx((0.02, 0.02), rel=1e-5)
    assert np.corrcoef(micrograph.pixels.ravel(), pixels.ravel())[0, 1] > 0.99  # .sur holds few grey levels


def test_metadata_of_hyperspy(tmp_path):
    metadata = read_micrograph(write_hspy(tmp_path / "a.hspy", IMAGE, 0.02)).metadata
    assert metadata == {"image_name": "film", "voltage_kV": 300.0}


@pytest.mark.parametrize(
    ("delta", "space", "scale"),
    [
        (2e-11, "real", 0.02),
        (5e7, "reciprocal", 0.05),
        (1.0, "none", 1),
        (0.0, "none", 1),
        (-2e-11, "none", 1),
    ],
)
def test_a_series_in_metres_in_inverse_metres_or_without_a_scale(tmp_path, delta, space, scale):
    calibration = read_micrograph(write_ser(tmp_path / "a.ser", IMAGE, delta)).calibration
    assert (calibration.space, calibration.scale) == (space, pytest.approx((scale, scale)))


def test_a_series_pattern_has_its_zero_where_the_rows_are_turned_to(tmp_path):
    # g = 0 lies in column 20 from the left and in row 20 from below, which is row 11 of 32 from above
    micrograph = read_micrograph(write_ser(tmp_path / "a.ser", IMAGE, 5e7, first=-20 * 5e7))
    assert micrograph.calibration.origin == pytest.approx((11, 20))


def test_stacks(tmp_path, monkeypatch):
    stack = np.stack([IMAGE, IMAGE + 1])
    path = write_mrc(tmp_path / "a.mrc", stack, 0.02)
    np.testing.assert_array_equal(read_micrograph(path, frame=1).pixels, IMAGE + 1)
    for module in (mrc, micrographs):
        monkeypatch.setattr(module, "LAZY_BYTES", 1000)
    (on_disk,) = read_images(path)
    assert type(on_disk.frames).__name__ == "FramesOnDisk"
    np.testing.assert_array_equal(on_disk.frame(1).pixels, IMAGE + 1)


def test_scanned_patterns_are_one_stack(tmp_path):
    patterns = np.arange(3 * 2 * 16 * 16, dtype=np.uint8).reshape(3, 2, 16, 16)
    (stack,) = read_images(write_blo(tmp_path / "a.blo", patterns))
    assert stack.shape == (6, 16, 16)
    np.testing.assert_array_equal(stack.frame(3).pixels, patterns[1, 1])


def test_gatan_content_under_another_suffix_opens(tmp_path):
    path = write_dm(tmp_path / "a.tif", IMAGE, 0.02, "nm", version=3)
    assert isinstance(read_images(path)[0], Micrograph)


def test_an_image_without_size_is_uncalibrated(tmp_path):
    assert read_micrograph(write_mrc(tmp_path / "a.mrc", IMAGE[None], 0.0)).calibration.space == "none"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xyz", bytes(64), "a file of unknown format"),
        ("a.emd", bytes(64), r"not a \.emd file"),
        ("a.tif", b"no picture in here at all", r"not a \.tif file"),
        ("a.hspy", b"\x89HDF\r\n\x1a\n" + bytes(600), "damaged or incomplete HDF5"),
        ("a.tif", b"II*\0" + bytes(60), "damaged or unsupported|no image"),
        ("a.ser", b"II\x97\x01" + bytes(60), "damaged or unsupported"),
        ("a.ser", bytes(100), "not a .ser file"),
        ("a.png", bytes(100), "not a .png file"),
        ("a.emi", b"some text and no XML", "damaged or unsupported|no image"),
        ("a.blo", b"nothing of the kind", "not a blockfile"),
        ("a.mrc", bytes(2000), "not an MRC file"),
    ],
)
def test_damaged_files_of_other_formats(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=message):
        read_images(tmp_path / name)


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (0, struct.pack("<2H", 0x4949, 0x0198), "not a TIA series"),
        (6, struct.pack("<i", 0x4120), "a spectrum"),
        (6, struct.pack("<i", 0x4121), "data type 0x4121"),
        (18, struct.pack("<i", 0), "no image in the file"),
        (18, struct.pack("<i", 10**6), "claims 1000000 images"),
        (30 + 32, struct.pack("<I", 0), "no image in the file"),  # a series that was stopped at once
        (30 + 40 + 40, struct.pack("<h", 77), "TIA's type 77"),
        (30 + 40 + 42, struct.pack("<i", 10**6), "an image of 1000000 x 32 pixels"),
    ],
)
def test_a_series_that_cannot_be_read_says_why(tmp_path, place, change, message):
    path = write_ser(tmp_path / "a.ser", IMAGE, 2e-11)
    content = bytearray(path.read_bytes())
    content[place : place + len(change)] = change
    path.write_bytes(content)
    with pytest.raises(ReadError, match=message):
        read_ser(path)


def test_claims_are_refused_before_anything_is_allocated(tmp_path):
    million = 10**6
    with pytest.raises(ReadError, match="its header claims 2000000001024 bytes"):
        read_images(write_mrc(tmp_path / "a.mrc", IMAGE[None], 0.02, (1, million, million)))
    with pytest.raises(ReadError, match="incomplete file"):
        read_images(write_blo(tmp_path / "a.blo", np.zeros((1, 1, 16, 16), np.uint8), (60, 60000, 16, 16)))
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        file.create_dataset("film", (million, million), "int16", chunks=(1000, 1000))
    with pytest.raises(ReadError, match=r"claims 1862\.6 GB"):
        read_images(tmp_path / "a.hspy")
