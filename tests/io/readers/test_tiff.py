"""TIFF files of every program: their grey levels, and their scale along x and along y."""

import json
import struct

import numpy as np
import pytest
import tifffile

from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers.micrographs import read_images, read_micrograph

IMAGE = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40)
RATIONAL = 10**6


def write(path, pixels=IMAGE, **more):
    tifffile.imwrite(path, pixels, **{"metadata": None, **more})
    return path


def imagej(path, unit, x=0.02, y=0.03, pixels=IMAGE, **more):
    return write(path, pixels, imagej=True, resolution=(1 / x, 1 / y), metadata={"unit": unit, **more})


def tag(code, value, kind="s"):
    return (code, kind, 0 if kind == "s" else 1, value, True)


@pytest.mark.parametrize(
    ("unit", "nm"),
    [
        *(
            ("nm", 1),
            ("NM", 1),
            ("n_m", 1),
            ("nanometers", 1),
            ("micron", 1e3),
            ("\\u00B5m", 1e3),
            ("um", 1e3),
        ),
        *(
            ("A", 0.1),
            ("\\u00C5", 0.1),
            ("angstroms", 0.1),
            ("Angstrom", 0.1),
            ("\\u212B", 0.1),
            ("pm", 1e-3),
        ),
    ],
)
def test_imagej_s_units_along_each_axis(tmp_path, unit, nm):
    micrograph = read_micrograph(imagej(tmp_path / "a.tif", unit, 0.02 / nm, 0.03 / nm))
    np.testing.assert_array_equal(micrograph.pixels, IMAGE)
    assert micrograph.pixel_size == pytest.approx((0.03, 0.02), rel=1e-4)
    assert micrograph.warnings == ()


def test_centimetres_of_imagej_are_a_scale_unless_they_are_a_print_s(tmp_path):
    micrograph = read_micrograph(imagej(tmp_path / "a.tif", "cm", 2e-8, 2.5e-8))
    assert micrograph.pixel_size == pytest.approx((0.25, 0.2), rel=1e-3)
    for unit, step in (("inch", 1 / 72), ("cm", 2.54 / 300)):
        micrograph = read_micrograph(imagej(tmp_path / "a.tif", unit, step, step))
        assert micrograph.calibration.space == "none"
        assert micrograph.warnings == tuple(t for t in micrograph.warnings if "resolution for printing" in t)


def test_a_unit_that_is_not_known_is_named(tmp_path):
    micrograph = read_micrograph(imagej(tmp_path / "a.tif", "parrots"))
    assert micrograph.calibration.space == "none"
    assert "'parrots' is not a known unit of length" in micrograph.warnings[0]
    assert "--pixel-size" in micrograph.warnings[0]


@pytest.mark.parametrize("resolution", [(72, 72, "INCH"), (28.35, 28.35, "CENTIMETER"), (0, 1, "NONE")])
def test_a_resolution_for_printing_is_no_pixel_size(tmp_path, resolution):
    path = write(tmp_path / "a.tif", resolution=resolution[:2], resolutionunit=resolution[2])
    assert read_micrograph(path).calibration.space == "none"


def test_a_resolution_that_no_printer_has_is_one_and_is_said(tmp_path):
    path = write(tmp_path / "a.tif", resolution=((10**9, 2), (10**9, 3)), resolutionunit="CENTIMETER")
    micrograph = read_micrograph(path)
    assert micrograph.pixel_size == pytest.approx((0.03, 0.02))
    assert "resolution in the TIFF's header" in micrograph.warnings[0]


@pytest.mark.parametrize("unit", ["nm", "\u00c5", "\u00b5m", "pm", None])
def test_ome_s_physical_size(tmp_path, unit):
    factor = {"nm": 1, "\u00c5": 0.1, "\u00b5m": 1e3, "pm": 1e-3, None: 1e3}[unit]
    units = {} if unit is None else {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    metadata = {"axes": "YX", "PhysicalSizeX": 0.02 / factor, "PhysicalSizeY": 0.03 / factor, **units}
    path = write(tmp_path / "a.ome.tif", ome=True, metadata=metadata)
    assert read_micrograph(path).pixel_size == pytest.approx((0.03, 0.02))


def test_ome_of_one_axis_only_is_no_scale(tmp_path):
    path = write(tmp_path / "a.ome.tif", ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.02})
    assert read_micrograph(path).calibration.space == "none"


def test_ome_s_pixel_is_no_length(tmp_path):
    metadata = {"axes": "YX", "PhysicalSizeX": 1.0, "PhysicalSizeXUnit": "pixel"}
    metadata |= {"PhysicalSizeY": 1.0, "PhysicalSizeYUnit": "pixel"}
    path = write(tmp_path / "a.ome.tif", ome=True, metadata=metadata)
    assert read_micrograph(path).calibration.space == "none"


@pytest.mark.parametrize(("unit", "factor"), [("nm", 1), ("n_m", 1), ("\u00b5m", 1e-3), ("A", 10)])
def test_gatan_s_tags(tmp_path, unit, factor):
    text = unit.encode("latin-1")
    tags = [(65003, 7, len(text), text, True), (65004, 7, len(text), text, True)]
    tags += [tag(65009, 0.02 * factor, "d"), tag(65010, 0.03 * factor, "d")]
    assert read_micrograph(write(tmp_path / "a.tif", extratags=tags)).pixel_size == pytest.approx(
        (0.03, 0.02)
    )


def test_gatan_s_pattern_keeps_the_place_of_its_zero(tmp_path):
    tags = [tag(65003, "1/nm"), tag(65004, "1/nm"), tag(65006, -2.0, "d"), tag(65007, -1.0, "d")]
    tags += [tag(65009, 0.1, "d"), tag(65010, 0.1, "d")]
    calibration = read_micrograph(write(tmp_path / "a.tif", extratags=tags)).calibration
    assert (calibration.space, calibration.scale) == ("reciprocal", (0.1, 0.1))
    assert calibration.origin == pytest.approx((10, 20))


@pytest.mark.parametrize("code", [34680, 34682])
def test_fei_s_sections(tmp_path, code):
    text = "[Beam]\r\nHV=300000\r\n[Scan]\r\nPixelWidth=2e-011\r\nPixelHeight=3e-011\r\n"
    micrograph = read_micrograph(write(tmp_path / "a.tif", extratags=[tag(code, text)]))
    assert micrograph.pixel_size == pytest.approx((0.03, 0.02))
    assert micrograph.metadata["voltage_kV"] == 300


def test_fei_s_width_of_the_field(tmp_path):
    text = "[IRBeam]\r\nHFW=8e-10\r\nVFW=7.2e-10\r\n[Image]\r\nResolutionX=40\r\nResolutionY=24\r\n"
    path = write(tmp_path / "a.tif", extratags=[tag(34682, text)])
    assert read_micrograph(path).pixel_size == pytest.approx((0.03, 0.02))


def test_velox_s_json(tmp_path):
    text = json.dumps(
        {"BinaryResult": {"PixelSize": {"width": "2e-11", "height": "3e-11"}, "PixelUnitX": "m"}}
    )
    path = write(tmp_path / "a.tif", extratags=[tag(65100, text)])
    assert read_micrograph(path).pixel_size == pytest.approx((0.03, 0.02))


def test_epu_s_xml(tmp_path):
    sizes = "".join(
        f"<{a}><numericValue>{v}</numericValue><unit>m</unit></{a}>" for a, v in (("x", 2e-11), ("y", 3e-11))
    )
    text = f"<Image xmlns='urn:x'><SpatialScale><pixelSize>{sizes}</pixelSize></SpatialScale></Image>"
    path = write(tmp_path / "a.tif", extratags=[tag(65001, text)])
    assert read_micrograph(path).pixel_size == pytest.approx((0.03, 0.02))


def test_fei_s_list_of_labels(tmp_path):
    entry = "<Data><Label>{}</Label><Value>{}</Value><Unit>{}</Unit></Data>"
    lines = entry.format("Pixel Size X", 0.02, "nm") + entry.format("Pixel Size Y", 0.03, "nm")
    path = write(tmp_path / "a.tif", extratags=[tag(34683, f"<Root>{lines}</Root>")])
    assert read_micrograph(path).pixel_size == pytest.approx((0.03, 0.02))


def tvips(**values):
    """TVIPS' tag as its program writes it, version 2."""
    heads = [
        np.zeros((), fields) for fields in (tifffile.TIFF.TVIPS_HEADER_V1, tifffile.TIFF.TVIPS_HEADER_V2)
    ]
    heads[0]["Version"] = 2
    for name, value in {"Magic": 0xAAAAAAAA, "TemMode": 1, "TemHighTension": 2e5, **values}.items():
        heads[1][name] = value
    return (37706, 7, sum(head.nbytes for head in heads), b"".join(head.tobytes() for head in heads), True)


def test_tvips_keeps_x_and_y_apart(tmp_path):
    path = write(tmp_path / "a.tif", extratags=[tvips(PixelSizeX=0.02, PixelSizeY=0.03)])
    micrograph = read_micrograph(path)
    assert micrograph.pixel_size == pytest.approx((0.03, 0.02))
    assert micrograph.metadata["voltage_kV"] == 200


def test_a_pattern_of_tvips_is_not_given_a_size_in_nm(tmp_path):
    path = write(tmp_path / "a.tif", extratags=[tvips(PixelSizeX=0.02, PixelSizeY=0.03, TemMode=3)])
    micrograph = read_micrograph(path)
    assert micrograph.calibration.space == "none"
    assert "diffraction pattern" in micrograph.warnings[0]


def test_olympus_keeps_x_and_y_apart(tmp_path):
    path = write(tmp_path / "a.tif", extratags=[(33560, 7, 68, bytes(68), True)])
    with tifffile.TiffFile(path) as file:
        at = file.pages.first.tags[33560].valueoffset
    content = bytearray(path.read_bytes())
    head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 0, 0, 1, 0, 120, b"film", 1)
    content[at : at + 68] = head + struct.pack("<hhI", 1, 0, len(content))
    content += struct.pack("<10xhdd8xd2x34s32s", -9, 0.02, 0.03, 1e5, b"camera", b"picture")
    path.write_bytes(content)
    micrograph = read_micrograph(path)
    assert micrograph.pixel_size == pytest.approx((0.03, 0.02))
    assert micrograph.metadata["magnification"] == 1e5


def test_zeiss_s_size_with_its_unit(tmp_path):
    text = "0\n1\nAP_IMAGE_PIXEL_SIZE\nImage Pixel Size = 20.0 pm\n"
    path = write(tmp_path / "a.tif", extratags=[tag(34118, text)])
    assert read_micrograph(path).pixel_size == pytest.approx((0.02, 0.02))


def test_a_damaged_tag_is_as_good_as_none(tmp_path):
    tags = [
        tag(34682, "[Scan]\r\nPixelWidth=many\r\nPixelHeight=\r\n"),
        tag(65001, "<not xml"),
        tag(65002, "{"),
    ]
    assert read_micrograph(write(tmp_path / "a.tif", extratags=tags)).calibration.space == "none"


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("order", "<>")
def test_every_type_of_pixel(tmp_path, dtype, order):
    pixels = (IMAGE % 120).astype(dtype)
    read = read_micrograph(write(tmp_path / "a.tif", pixels, byteorder=order)).pixels
    np.testing.assert_array_equal(read, pixels)
    assert read.dtype.isnative


@pytest.mark.parametrize(
    "kind",
    [
        {"bigtiff": True},
        {"tile": (16, 16)},
        {"bigtiff": True, "byteorder": ">"},
        {"rowsperstrip": 5},
        {"compression": "zlib", "predictor": True},
    ],
)
def test_every_way_of_storing(tmp_path, kind):
    if kind.get("predictor") and not _has_imagecodecs():
        kind = {"compression": "zlib"}
    np.testing.assert_array_equal(read_micrograph(write(tmp_path / "a.tif", **kind)).pixels, IMAGE)


def _has_imagecodecs():
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_what_pillow_writes_compressed(tmp_path, compression, dtype):
    from PIL import Image

    pixels = (IMAGE % 250).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_micrograph(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("compression", [None, "group4"])
def test_one_bit(tmp_path, compression):
    from PIL import Image

    pixels = IMAGE % 7 < 3
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_micrograph(tmp_path / "a.tif").pixels > 0, pixels)


def test_a_palette_is_grey_by_its_colours(tmp_path):
    from PIL import Image

    index = (IMAGE % 3).astype("uint8")
    picture = Image.new("P", (40, 24))
    picture.putdata(index.ravel().tolist())
    picture.putpalette([10, 10, 10, 200, 0, 0, 0, 0, 250])
    picture.save(tmp_path / "a.tif")
    expected = np.array([10, 0.299 * 200, 0.114 * 250])[index]
    read = read_micrograph(tmp_path / "a.tif").pixels
    assert np.corrcoef(read.ravel(), expected.ravel())[0, 1] > 0.9999


def test_white_is_zero_is_turned_about(tmp_path):
    pixels = (IMAGE % 256).astype("uint8")
    read = read_micrograph(write(tmp_path / "a.tif", pixels, photometric="miniswhite")).pixels
    np.testing.assert_array_equal(read, 255 - pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_grey_in_three_channels_is_exactly_that(tmp_path, dtype, planar):
    grey = (IMAGE % 250).astype(dtype)
    colours = np.stack([grey] * 3, axis=0 if planar == "separate" else -1)
    read = read_micrograph(write(tmp_path / "a.tif", colours, photometric="rgb", planarconfig=planar)).pixels
    np.testing.assert_array_equal(read, grey)
    assert read.dtype == dtype


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colours_by_luminance_and_transparent_parts_filled(tmp_path, dtype):
    full = np.iinfo(dtype).max
    colours = np.zeros((24, 40, 4), dtype)
    colours[..., 1], colours[..., 3] = full, full
    colours[:, 20:] = 0
    path = write(tmp_path / "a.tif", colours, photometric="rgb", extrasamples=["unassalpha"])
    read = read_micrograph(path).pixels
    assert read == pytest.approx(np.full((24, 40), 0.587 * full), rel=1e-5)


def test_a_picture_has_the_scale_that_its_program_has_written(tmp_path):
    colours = np.stack([(IMAGE % 250).astype("uint8")] * 3, axis=-1)
    path = write(
        tmp_path / "a.tif",
        colours,
        imagej=True,
        photometric="rgb",
        resolution=(50, 50),
        metadata={"unit": "nm"},
    )
    assert read_micrograph(path).pixel_size == pytest.approx((0.02, 0.02))


def test_pages_of_one_size_are_a_stack_and_others_images_of_their_own(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for pixels in (IMAGE, IMAGE + 1, IMAGE[:10]):
            file.write(pixels, metadata=None)
    stack, single = read_images(tmp_path / "a.tif")
    np.testing.assert_array_equal(stack.frames, [IMAGE, IMAGE + 1])
    np.testing.assert_array_equal(single.pixels, IMAGE[:10])


def test_previews_are_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(IMAGE, metadata=None)
        file.write(IMAGE[::2, ::2], metadata=None, subfiletype=1)
    (image,) = read_images(tmp_path / "a.tif")
    assert image.shape == (24, 40)


@pytest.mark.parametrize("n", [1, 3])
def test_imagej_s_stack_with_its_interval(tmp_path, n):
    frames = np.stack([IMAGE] * n) if n > 1 else IMAGE
    path = imagej(
        tmp_path / "a.tif", "nm", pixels=frames, **({"finterval": 0.5, "axes": "TYX"} if n > 1 else {})
    )
    (image,) = read_images(path)
    assert image.calibration.pixel_size == pytest.approx((0.03, 0.02), rel=1e-5)
    if n > 1:
        assert image.shape == (3, 24, 40)
        assert image.metadata["frame_interval_s"] == 0.5


def test_a_file_cut_off_or_too_large_is_refused(tmp_path):
    path = write(tmp_path / "a.tif")
    content = path.read_bytes()
    path.write_bytes(content[:-50])
    with pytest.raises(ReadError, match="incomplete file"):
        read_images(path)
    path.write_bytes(content)
    with tifffile.TiffFile(path) as file:
        at = file.pages.first.tags["ImageLength"].valueoffset
    path.write_bytes(content[:at] + struct.pack("<H", 60000) + content[at + 2 :])
    with pytest.raises(ReadError, match=r"damaged|incomplete"):
        read_images(path)
