"""What comes out of every kind of Gatan file: the micrograph in nm, or a message that helps."""

import logging
import pickle

import numpy as np
import pytest

from dm_writer import DmImage, encode, write_dm, write_dm_images
from napari_tem_fft.core.image.calibration import Calibration, CalibrationError
from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers.micrographs import read_images, read_micrograph

RAMP = np.arange(16 * 20).reshape(16, 20)


@pytest.mark.parametrize("suffix", ["dm3", "dm4", "DM3", "DM4"])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64", "bool"]
)
def test_every_pixel_type_comes_back_as_written(tmp_path, suffix, dtype):
    path = write_dm(tmp_path / f"film.{suffix}", (RAMP % 100).astype(dtype), 0.02, "nm")
    micrograph = read_micrograph(path)
    assert micrograph.pixels.dtype == dtype
    np.testing.assert_array_equal(micrograph.pixels, (RAMP % 100).astype(dtype))
    assert micrograph.pixel_size == pytest.approx((0.02, 0.02), rel=1e-6)
    assert (micrograph.name, micrograph.source) == ("film", str(path))


@pytest.mark.parametrize(
    ("scale", "unit", "pixel_size"),
    [
        (0.02, "nm", 0.02),
        (0.2, "\u00c5", 0.02),
        (0.2, "A", 0.02),
        (2e-5, "\u00b5m", 0.02),
        (2e-5, "\u03bcm", 0.02),
        (2e-5, "um", 0.02),
        (20, "pm", 0.02),
    ],
)
def test_every_length_becomes_nm(tmp_path, scale, unit, pixel_size):
    micrograph = read_micrograph(write_dm(tmp_path / "a.dm4", RAMP.astype("int16"), scale, unit))
    assert micrograph.pixel_size == pytest.approx((pixel_size, pixel_size), rel=1e-6)
    assert micrograph.warnings == ()


def test_axes_may_differ_in_scale_unit_and_origin(tmp_path):
    path = write_dm(tmp_path / "a.dm3", RAMP.astype("float32"), (0.3, 0.02), ("A", "nm"), (7, -3))
    assert read_micrograph(path).pixel_size == pytest.approx((0.03, 0.02), rel=1e-6)


@pytest.mark.parametrize(
    ("unit", "per_nm"), [("1/nm", 0.1), ("1/A", 1.0), ("nm^-1", 0.1), ("1/\u00b5m", 1e-4)]
)
def test_inverse_length_is_a_pattern_not_a_micrograph(tmp_path, unit, per_nm):
    pattern = read_micrograph(write_dm(tmp_path / "a.dm4", RAMP.astype("int32"), 0.1, unit))
    assert pattern.calibration.space == "reciprocal"
    assert pattern.calibration.scale == pytest.approx((per_nm, per_nm), rel=1e-6)
    assert "diffraction pattern" in pattern.warnings[0]


@pytest.mark.parametrize(
    ("scale", "unit", "warning"),
    [
        (1.0, "", "gives no pixel size"),
        (0.0, "nm", "impossible"),
        (-0.02, "nm", "impossible"),
        (float("nan"), "nm", "impossible"),
        (0.02, "furlong", "'furlong' is not a known unit of length"),
        (0.02, "mrad", "an angle"),
        (0.02, ("nm", ""), "'nm' along y but '' along x"),
        (0.02, ("nm", "1/nm"), "along y"),
        (0.02, [], "gives no pixel size"),
        (0.02, {"Data": "nm"}, "gives no pixel size"),
    ],
)
def test_without_a_usable_scale_it_opens_with_a_warning(tmp_path, scale, unit, warning):
    units = unit if isinstance(unit, tuple) else (unit, unit)
    micrograph = read_micrograph(write_dm(tmp_path / "a.dm4", RAMP.astype("int16"), scale, units))
    assert micrograph.calibration.space == "none"
    assert warning in micrograph.warnings[0]
    with pytest.raises(ValueError, match="give its pixel size in nm"):
        _ = micrograph.pixel_size


def test_scale_is_never_taken_from_the_magnification(tmp_path):
    path = write_dm(tmp_path / "a.dm4", RAMP.astype("int16"), microscope={"Indicated Magnification": 400e3})
    assert read_micrograph(path).calibration.space == "none"


def test_metadata_of_the_microscope(tmp_path):
    tags = {
        "DataBar": {"Acquisition Date": "7/9/2014", "Exposure Time (s)": 0.5},
        "Session Info": {"Operator": "A. Curie", "Microscope": "", "Specimen": ""},
    }
    microscope = {"Voltage": 300e3, "Indicated Magnification": 5e5, "Name": "Titan"}
    path = write_dm(tmp_path / "a.dm4", RAMP.astype("int16"), name="area 7", microscope=microscope, tags=tags)
    assert read_micrograph(path).metadata == {
        "image_name": "area 7",
        "voltage_kV": 300.0,
        "magnification": 5e5,
        "exposure_s": 0.5,
        "date": "7/9/2014",
        "microscope": "Titan",
        "operator": "A. Curie",
    }


def test_hash_is_the_files(tmp_path):
    first, second = (write_dm(tmp_path / n, RAMP.astype("int16")) for n in ("a.dm4", "b.dm4"))
    assert len(read_micrograph(first).file_hash) == 64
    assert read_micrograph(first).file_hash == read_micrograph(second).file_hash


@pytest.mark.parametrize("dtype", ["int16", "float32", "uint8", "float64"])
def test_big_endian_values_of_an_old_macintosh(tmp_path, dtype):
    path = write_dm(tmp_path / "a.dm3", (RAMP % 100).astype(dtype), 0.02, "nm", order=">")
    micrograph = read_micrograph(path)
    assert micrograph.pixels.dtype == dtype
    np.testing.assert_array_equal(micrograph.pixels, RAMP % 100)
    assert micrograph.pixel_size == pytest.approx((0.02, 0.02), rel=1e-6)


def test_several_images_of_one_file(tmp_path):
    images = [
        DmImage(RAMP.astype("int16"), name="overview"),
        DmImage(RAMP.astype("float32"), 0.1, "1/nm", name="FFT"),
        DmImage(RAMP.astype("uint8"), 0.02, "nm", name="detail"),
        DmImage(np.zeros(32, "float32"), 0.5, "eV", name="EELS"),
        DmImage(RAMP.astype("int32"), 0.03, "nm", name="detail"),
    ]
    path = write_dm_images(tmp_path / "session.dm4", images, thumbnail=True)
    found = read_images(path)
    assert [one.name for one in found] == [
        "session: overview",
        "session: FFT",
        "session: detail 2",
        "session: detail 3",
    ]
    assert [one.calibration.space for one in found] == ["none", "reciprocal", "real", "real"]
    assert read_micrograph(path).name == "session: detail 2"
    assert read_micrograph(path, image=1).name == "session: FFT"
    with pytest.raises(ReadError, match="no image 4; choose one of 0 to 3"):
        read_micrograph(path, image=4)


def test_a_stack_gives_the_frame_asked_for(tmp_path):
    frames = np.stack([RAMP, RAMP + 1000, RAMP + 2000]).astype("int16")
    path = write_dm(tmp_path / "series.dm4", frames, (0.4, 0.02, 0.02), ("s", "nm", "nm"))
    (stack,) = read_images(path)
    assert stack.shape == (3, 16, 20)
    assert stack.metadata["frame_interval_s"] == pytest.approx(0.4)
    frame = read_micrograph(path, frame=2)
    np.testing.assert_array_equal(frame.pixels, RAMP + 2000)
    assert frame.pixel_size == pytest.approx((0.02, 0.02), rel=1e-6)
    assert (frame.name, frame.metadata["frame"]) == ("series [frame 2]", 2)
    with pytest.raises(ReadError, match="a stack of 3 images; choose a frame, 0 to 2"):
        read_micrograph(path)
    with pytest.raises(ReadError, match="no frame 3; choose one of 0 to 2"):
        read_micrograph(path, frame=3)
    with pytest.raises(ReadError, match="no stack"):
        read_micrograph(write_dm(tmp_path / "a.dm4", RAMP.astype("int16")), frame=0)


def test_an_image_beside_a_stack_is_taken(tmp_path):
    stack = DmImage(np.zeros((2, 16, 20), "int16"), (1.0, 0.1, 0.1), ("", "nm", "nm"), name="series")
    path = write_dm_images(tmp_path / "a.dm4", [stack, DmImage(RAMP.astype("int16"), 0.02, "nm", name="sum")])
    assert [type(one).__name__ for one in read_images(path)] == ["ImageStack", "Micrograph"]
    assert read_micrograph(path).name == "a: sum"
    assert read_micrograph(path, image=0, frame=1).name == "a: series [frame 1]"


@pytest.mark.parametrize(
    ("pixels", "units", "words"),
    [
        (np.zeros(32, "float32"), "eV", "a spectrum"),
        (np.zeros(32, "float32"), "nm", "a line profile"),
        (np.zeros((32, 16, 16), "float32"), ("eV", "nm", "nm"), "a spectrum image"),
        (np.zeros((16, 32), "float32"), ("nm", "eV"), "a line scan of spectra"),
        (np.zeros((16, 16, 4), "uint8"), "", "a colour image"),
        (np.zeros((16, 16), "complex64"), "", "a complex-valued Fourier transform"),
    ],
)
def test_other_data_are_refused_by_name(tmp_path, pixels, units, words):
    with pytest.raises(ReadError, match=rf"a\.dm4: there is no micrograph in the file, but {words}"):
        read_images(write_dm(tmp_path / "a.dm4", pixels, units=units))


def test_wavelength_in_nm_is_no_length_of_an_image(tmp_path):
    tags = {"Meta Data": {"Signal": "CL", "Format": "Spectrum image"}}
    path = write_dm(tmp_path / "a.dm4", RAMP.astype("float32"), 0.1, ("\u00b5m", "nm"), tags=tags)
    with pytest.raises(ReadError, match="a line scan of spectra"):
        read_images(path)


@pytest.mark.parametrize("version", [3, 4])
def test_bracket_in_a_tag_name_opens_and_is_logged(tmp_path, caplog, version):
    microscope = {"Voltage": 200e3, "Stage Position": {"Alpha [deg]": 1.5}}
    path = write_dm(
        tmp_path / "a.dm4", RAMP.astype("int16"), 0.02, "nm", microscope=microscope, version=version
    )
    with caplog.at_level(logging.INFO, "napari_tem_fft"):
        micrograph = read_micrograph(path)
    np.testing.assert_array_equal(micrograph.pixels, RAMP)
    assert micrograph.metadata["voltage_kV"] == 200
    assert "fallback" in caplog.text and "BoxKeyError" in caplog.text


def test_bracket_under_another_rosettasciio_is_refused(tmp_path, monkeypatch):
    path = write_dm(tmp_path / "a.dm4", RAMP.astype("int16"), tags={"Alpha [deg]": 1.5})
    monkeypatch.setattr("rsciio.__version__", "0.99.0", raising=False)
    with pytest.raises(ReadError, match=r"rosettasciio 0\.99\.0 cannot read") as caught:
        read_micrograph(path)
    assert type(caught.value.__cause__).__name__ == "BoxKeyError"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "incomplete file: it is empty"),
        (b"\0\0\0", "incomplete file: it ends after 3 bytes"),
        (b"\0\0\0\4" + bytes(12), "incomplete file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "damaged or incomplete HDF5 file"),
        (b"\0\5\x16\7" + bytes(20), r"without the leading '\._'"),
        (b"II*\0" + bytes(20), "not a Gatan file but a TIFF image; rename it"),
        (b"\xd0\xcf\x11\xe0" + bytes(20), "not a Gatan file"),
        (bytes(64), "not a Gatan file: it contains only zeros"),
        (b"Dear colleague, please find attached", "not a Gatan file"),
    ],
)
def test_what_is_no_gatan_file(tmp_path, content, message):
    path = tmp_path / "a.dm4"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=rf"^a\.dm4: .*{message}"):
        read_images(path)


def test_a_file_cut_off_anywhere_is_called_incomplete(tmp_path):
    path = write_dm(tmp_path / "a.dm4", RAMP.astype("int16"), 0.02, "nm")
    content = path.read_bytes()
    for length in range(16, len(content) - 8, 97):
        path.write_bytes(content[:length])
        with pytest.raises(ReadError, match="incomplete file"):
            read_images(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ReadError, match=r"^b\.dm4: the file does not exist"):
        read_images(tmp_path / "b.dm4")
    with pytest.raises(ReadError, match="a folder"):
        read_images(tmp_path)


def _tree(**changes):
    tree = DmImage(RAMP.astype("int16"), 0.02, "nm").tree()
    tree["ImageData"] |= changes
    return tree


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (None, "there is no image in the file"),
        ([], "there is no image in the file"),
        ([{"ImageTags": {}}], "incomplete image entry: ImageData is missing"),
        ([{"ImageData": {}, "ImageTags": {}}], "incomplete image entry: Calibrations is missing"),
        ([{"ImageData": {}}], "incomplete image entry: ImageTags is missing"),
        ([_tree(DataType=99)], "unsupported type"),
        ([_tree(Dimensions=[20, 17])], "claims an image of 20 x 17 pixels, but its data contain 320"),
        ([_tree(Dimensions=[1000000, 1000000], DataType=5)], "claims an image of 1000000 x 1000000 pixels"),
        ([_tree(Dimensions=[-20, -16])], "impossible size"),
        ([_tree(DataType=12)], "damaged file"),
    ],
)
def test_damaged_image_entries(tmp_path, images, message):
    path = tmp_path / "a.dm4"
    path.write_bytes(encode({} if images is None else {"ImageList": images}))
    with pytest.raises(ReadError, match=message):
        read_images(path)


def test_error_crosses_processes():
    error = pickle.loads(pickle.dumps(ReadError("x/a.dm4", "broken", "copy it again")))
    assert str(error) == "a.dm4: broken; copy it again"


def test_a_pattern_keeps_the_place_of_its_zero(tmp_path):
    path = write_dm(tmp_path / "a.dm4", RAMP.astype("float32"), 0.05, "1/nm", origin=(7.0, 9.5))
    assert read_micrograph(path).calibration.origin == pytest.approx((7.0, 9.5))
    assert read_micrograph(write_dm(path, RAMP.astype("float32"), 0.05, "1/nm")).calibration.origin is None
    assert read_micrograph(write_dm(path, RAMP.astype("float32"), 0.05, "nm", 5.0)).calibration.origin is None


def test_a_complex_transform_in_inverse_nm_opens_as_its_modulus(tmp_path):
    values = np.full((16, 20), 3 - 4j, "complex64")
    micrograph = read_micrograph(write_dm(tmp_path / "a.dm4", values, 0.05, "1/nm"))
    assert micrograph.calibration.space == "reciprocal"
    assert micrograph.pixels == pytest.approx(np.full((16, 20), 5.0))
    assert any("modulus" in text for text in micrograph.warnings)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(8, 8), (9, 7), (8, 7), (7, 8)])
@pytest.mark.parametrize("unit", ["1/nm", ""])
def test_half_a_transform_is_shown_whole(tmp_path, shape, order, unit):
    image = np.random.default_rng(0).normal(size=shape)
    half = np.fft.fftshift(np.fft.rfft2(image), axes=0).astype("complex64")
    tree = DmImage(half, 0.05, unit).tree()
    values = np.ascontiguousarray(half).view("float32").ravel()  # NumPy 1.26 gives it in another order
    tree["ImageData"] |= {"Data": values, "DataType": 27, "Dimensions": list(shape[::-1])}
    (tmp_path / "a.dm4").write_bytes(encode({"ImageList": [tree]}, 4, order))
    micrograph = read_micrograph(tmp_path / "a.dm4")
    np.testing.assert_allclose(
        micrograph.pixels, np.abs(np.fft.fftshift(np.fft.fft2(image))), rtol=1e-5, atol=1e-5
    )
    assert micrograph.calibration.space == ("reciprocal" if unit else "none")


def test_a_stored_transform_is_never_given_a_size_in_nm(tmp_path):
    values = np.full((16, 20), 3 - 4j, "complex64")
    stored = read_micrograph(write_dm(tmp_path / "a.dm4", values, 0.05, "1/nm"))
    with pytest.raises(CalibrationError, match="a stored FFT, not a micrograph"):
        stored.with_calibration(Calibration.real(0.02))
    assert stored.with_calibration(Calibration((0.1, 0.1), "reciprocal")).calibration.scale == (0.1, 0.1)
