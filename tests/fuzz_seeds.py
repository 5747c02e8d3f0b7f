"""Small files of every kind that the tests' writers make, to be damaged by the fuzz run."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from PIL import Image

from dm_writer import DmImage, encode
from mrc_writer import write_mrc

IMAGE = np.arange(20 * 24).reshape(20, 24)
STACK = np.stack([IMAGE, IMAGE + 1, IMAGE + 2])


def dm_seeds(folder: Path) -> list[bytes]:
    """DM3 and DM4 in both byte orders."""
    tags = {"Microscope Info": {"Voltage": 300e3, "Name": "Titan"}, "DataBar": {"Exposure Time (s)": 0.5}}
    kinds = [
        [DmImage(IMAGE.astype(dtype), 0.02, "nm", tags=tags)]
        for dtype in ("int16", "float32", "uint8", "float64", "bool")
    ]
    kinds += [
        [DmImage(IMAGE.astype("complex64"), 0.02, "1/nm", tags=tags)],
        [DmImage(np.zeros((4, 16, 16), "int16"), (1, 0.02, 0.02), ("s", "nm", "nm"))],
        [DmImage(np.zeros((16, 16, 4), "uint8")), DmImage(IMAGE.astype("int16"), 0.1, "1/nm", name="FFT")],
        [DmImage(IMAGE.astype("int16"), tags={"Stage": {"Alpha [deg]": 1.0, "Limits": (1, 2, 3)}})],
        [DmImage(np.zeros(64, "float32"), 0.5, "eV"), DmImage(IMAGE.astype("int16"))],
    ]
    packed = DmImage(np.zeros((20, 13), "complex64"), 0.1, "1/nm").tree()
    packed["ImageData"] |= {"Data": np.ones(2 * 20 * 13, "float32"), "DataType": 27, "Dimensions": [24, 20]}
    trees = [{"ApplicationBounds": (0, 0, 800, 1200), "ImageList": [one.tree() for one in k]} for k in kinds]
    trees.append({"ImageList": [packed]})
    return [encode(tree, version, order) for tree in trees for version in (3, 4) for order in "<>"]


def mrc_seeds(folder: Path) -> list[bytes]:
    """MRC of every mode in both byte orders, with extended headers."""
    seeds = []
    for order in "<>":
        for dtype in ("int8", "int16", "float32", "uint16", "float16"):
            seeds.append(write_mrc(folder / "seed.mrc", STACK.astype(dtype), order=order).read_bytes())
        nibbles = write_mrc(
            folder / "seed.mrc", STACK.astype("uint8"), shape=(3, 20, 48), mode=101, order=order
        )
        seeds.append(nibbles.read_bytes())
        for kind, size in ((b"FEI1", 768), (b"", 131072)):
            path = write_mrc(
                folder / "seed.mrc", STACK.astype("int16"), order=order, extended=bytes(size), exttype=kind
            )
            seeds.append(path.read_bytes())
    return seeds


def tiff_seeds(folder: Path) -> list[bytes]:
    """TIFF as ImageJ, OME, Gatan, FEI and others write it."""
    path, image = folder / "seed.tif", IMAGE.astype("uint16")
    size = {
        "PhysicalSizeX": 0.02,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.02,
        "PhysicalSizeYUnit": "nm",
    }
    gatan = [(65009, "d", 1, 0.02, True), (65010, "d", 1, 0.02, True), (65003, "s", 0, "nm", True)]
    fei = [(34682, "s", 0, "[Scan]\r\nPixelWidth=2e-11\r\nPixelHeight=2e-11\r\n", True)]
    velox = [(65100, "s", 0, '{"BinaryResult": {"PixelSize": {"width": "2e-11", "height": "2e-11"}}}', True)]
    colours = np.stack([image] * 3, axis=-1).astype("uint8")
    ways: list[tuple[Any, dict[str, Any]]] = [
        (image, {"imagej": True, "resolution": (50, 50), "metadata": {"unit": "nm"}}),
        (STACK.astype("uint16"), {"imagej": True, "metadata": {"unit": "nm", "axes": "TYX"}}),
        (image, {"ome": True, "metadata": {"axes": "YX", **size}}),
        (image, {"extratags": gatan, "metadata": None}),
        (image, {"extratags": fei, "metadata": None, "byteorder": ">"}),
        (image, {"extratags": velox, "metadata": None, "bigtiff": True}),
        (image, {"tile": (16, 16), "metadata": None}),
        (image.astype("float32"), {"compression": "zlib", "metadata": None}),
        (colours, {"photometric": "rgb", "metadata": None}),
        (image.astype("uint8"), {"photometric": "miniswhite", "rowsperstrip": 3, "metadata": None}),
    ]
    seeds = []
    for pixels, how in ways:
        tifffile.imwrite(path, pixels, **how)
        seeds.append(path.read_bytes())
    for mode, compression in (
        ("L", "tiff_lzw"),
        ("RGB", "jpeg"),
        ("1", "group4"),
        ("P", None),
        ("RGBA", "packbits"),
    ):
        stream = io.BytesIO()
        Image.fromarray(image.astype("uint8")).convert(mode).save(stream, "TIFF", compression=compression)
        seeds.append(stream.getvalue())
    return seeds


def emd_seeds(folder: Path) -> list[bytes]:
    """EMD of Berkeley's flavour, an image and a stack."""
    seeds = []
    for data, names in ((IMAGE.T, "xy"), (STACK.T, "xyz")):
        with h5py.File(folder / "seed.emd", "w") as file:
            file.attrs.update({"version_major": 0, "version_minor": 2})
            group = file.create_group("data/film")
            group.attrs["emd_group_type"] = 1
            group["data"] = data.astype("int16")
            for number, (name, n) in enumerate(zip(names, data.shape, strict=True), start=1):
                group[f"dim{number}"] = np.arange(n) * 0.02
                group[f"dim{number}"].attrs.update({"name": name, "units": "n_m"})
        seeds.append((folder / "seed.emd").read_bytes())
    return seeds


def dm5_seeds(folder: Path) -> list[bytes]:
    """DM5 with one image and with three, one of them compressed."""
    seeds = []
    for count in (1, 3):
        with h5py.File(folder / "seed.dm5", "w") as file:
            for number in range(count):
                entry = file.create_group(f"ImageList/[{number}]")
                entry.attrs["Name"] = np.bytes_("film")
                data = entry.create_group("ImageData")
                data.attrs["DataType"] = np.int64(1)
                more = {"compression": "gzip", "chunks": (10, 12)} if number else {}
                data.create_dataset("Data", data=IMAGE.astype("int16"), **more)
                for axis in range(2):
                    one = data.create_group(f"Calibrations/Dimension/[{axis}]")
                    one.attrs.update({"Scale": 0.02, "Origin": 0.0, "Units": np.bytes_("nm")})
                entry.create_group("ImageTags/Microscope Info").attrs["Voltage"] = 300e3
        seeds.append((folder / "seed.dm5").read_bytes())
    return seeds


def ser_seeds(folder: Path) -> list[bytes]:
    """TIA's series with narrow and wide offsets."""
    import struct

    seeds = []
    for version, count in ((0x210, 1), (0x220, 3)):
        wide = version >= 0x220
        head = struct.pack("<3H4I", 0x4949, 0x0197, version, 0x4122, 0x4152, count, count)
        dimension = struct.pack("<idd3i", count, 0.0, 1.0, 0, 0, 0)
        offsets = len(head) + (8 if wide else 4) + 4 + len(dimension)
        calibration = struct.pack("<ddi", 0.0, 2e-11, 0)
        element = calibration * 2 + struct.pack("<hii", 5, 24, 20) + IMAGE.astype("<i2").tobytes()
        width = 8 if wide else 4
        first = offsets + 2 * width * count
        places = [first + i * len(element) for i in range(count)]
        kind = "Q" if wide else "I"
        seeds.append(
            head
            + struct.pack(f"<{kind}i", offsets, 1)
            + dimension
            + struct.pack(f"<{2 * count}{kind}", *places, *places)
            + element * count
        )
    return seeds


def png_seeds(folder: Path) -> list[bytes]:
    """PNG of every mode, and the other pictures."""
    seeds = []
    for mode in ("L", "RGB", "RGBA", "P", "1", "LA", "I;16"):
        picture = Image.fromarray(IMAGE.astype("uint16" if mode == "I;16" else "uint8"))
        stream = io.BytesIO()
        (picture if mode == "I;16" else picture.convert(mode)).save(stream, "PNG")
        seeds.append(stream.getvalue())
    for kind in ("JPEG", "BMP", "GIF", "WEBP"):
        stream = io.BytesIO()
        Image.fromarray(IMAGE.astype("uint8")).save(stream, kind)
        seeds.append(stream.getvalue())
    return seeds


#: Kind -> its undamaged files, their suffix, and how many bytes are a header (0: found by their marks).
SEEDS: dict[str, tuple[Callable[[Path], list[bytes]], str, int]] = {
    "dm": (dm_seeds, "dm4", 0),
    "mrc": (mrc_seeds, "mrc", 1024),
    "tiff": (tiff_seeds, "tif", 2000),
    "emd": (emd_seeds, "emd", 12_000),
    "ser": (ser_seeds, "ser", 200),
    "dm5": (dm5_seeds, "dm5", 16_000),
    "png": (png_seeds, "png", 120),
}
