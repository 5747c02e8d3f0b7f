"""Small, valid Gatan DM3 and DM4 files, for tests and for the sample that the package ships.

    write_dm("film.dm4", image, scale=0.02, units="nm", microscope={"Voltage": 300e3})
    write_dm_images("both.dm3", [DmImage(first, 0.02, "nm"), DmImage(second, 0.1, "1/nm")])

A file is a tree of tags: here dicts are groups with names, lists groups without, and the leaves are
numbers, text, tuples (a struct) and arrays. All sizes are big endian and take 4 bytes in DM3, 8 in DM4;
values are little endian, but for files of old Macintoshes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tree = Mapping[str, Any] | Sequence[Any]

#: numpy type of the pixels -> Gatan's code of the pixel type, type code of an element.
PIXEL_TYPES = {
    "int16": (1, 2),
    "float32": (2, 6),
    "uint8": (6, 10),
    "int32": (7, 3),
    "int8": (9, 9),
    "uint16": (10, 4),
    "uint32": (11, 5),
    "float64": (12, 7),
    "bool": (14, 8),
    "complex64": (3, 15),
}
_RGBA = 23


@dataclass(frozen=True)
class Leaf:
    """A tag of any type description, however wrong, and its bytes."""

    kind: tuple[int, ...]
    data: bytes = b""


@dataclass(frozen=True)
class DmImage:
    """One entry of a file's image list.

    Parameters
    ----------
    pixels : ndarray, shape (..., ny, nx)
        A line, an image, a stack, or an image of uint8 with four channels (red, green, blue, alpha).
    scale, units, origin : value, or sequence of one value an axis
        In the order of the array; origin in pixels: position = (index - origin) * scale.
    name : str
    microscope : mapping
        Tags of "Microscope Info": Voltage (V), Indicated Magnification, ...
    tags : mapping
        Further image tags.
    """

    pixels: NDArray[Any]
    scale: float | Sequence[float] = 1.0
    units: Any = ""
    origin: float | Sequence[float] = 0.0
    name: str = "image"
    microscope: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)

    def tree(self) -> dict[str, Any]:
        """The entry's tags."""
        shape, code, depth, values = _stored(self.pixels)
        axes = zip(*(_per_axis(v, len(shape)) for v in (self.scale, self.units, self.origin)), strict=True)
        dimension = [
            {"Origin": np.float32(origin), "Scale": np.float32(scale), "Units": unit}
            for scale, unit, origin in axes
        ]
        brightness = {"Origin": np.float32(0), "Scale": np.float32(1), "Units": ""}
        info = {"Microscope Info": self.microscope} if self.microscope else {}
        return {
            "ImageData": {
                "Calibrations": {
                    "Brightness": brightness,
                    "Dimension": dimension[::-1],  # x comes first in the file
                    "DisplayCalibratedUnits": True,
                },
                "Data": values,
                "DataType": code,
                "Dimensions": list(shape[::-1]),
                "PixelDepth": depth,
            },
            "ImageTags": {**info, **self.tags},
            "Name": self.name,
        }


def write_dm(
    path: str | Path,
    pixels: NDArray[Any],
    scale: float | Sequence[float] = 1.0,
    units: Any = "",
    origin: float | Sequence[float] = 0.0,
    *,
    name: str = "image",
    microscope: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    version: int | None = None,
    thumbnail: bool = False,
    order: str = "<",
) -> Path:
    """Write one image; the arguments are those of `DmImage` and of `write_dm_images`."""
    image = DmImage(pixels, scale, units, origin, name, microscope or {}, tags or {})
    return write_dm_images(path, [image], version=version, thumbnail=thumbnail, order=order)


def write_dm_images(
    path: str | Path,
    images: Sequence[DmImage],
    *,
    version: int | None = None,
    thumbnail: bool = False,
    order: str = "<",
) -> Path:
    """Write images to one file.

    Parameters
    ----------
    version : {3, 4}, optional
        Of the format; by the file's suffix where absent.
    thumbnail : bool
        Put a thumbnail before the images, as Gatan's program does.
    order : {"<", ">"}
        Byte order of the values.
    """
    path = Path(path)
    version = version or (4 if path.suffix.endswith("4") else 3)
    entries = [image.tree() for image in images]
    root: dict[str, Any] = {"ApplicationBounds": (0, 0, 800, 1200), "ImageList": entries}
    if thumbnail:
        entries.insert(0, DmImage(np.zeros((8, 8, 4), np.uint8)).tree())
        root["Thumbnails"] = [{"ImageIndex": 0, "SourceSize_Pixels": (8, 8)}]
    path.write_bytes(encode(root, version, order))
    return path


def encode(root: Tree, version: int = 4, order: str = "<") -> bytes:
    """Content of a file with these tags."""
    body = _Encoder(version, order).group(root)
    size = struct.pack(">q", len(body)) if version == 4 else struct.pack(">i", len(body) + 4)
    return struct.pack(">i", version) + size + struct.pack(">i", order == "<") + body + bytes(8)


@dataclass(frozen=True)
class _Encoder:
    version: int
    order: str

    def words(self, *values: int) -> bytes:
        return struct.pack(f">{len(values)}{'q' if self.version == 4 else 'i'}", *values)

    def group(self, tree: Tree) -> bytes:
        children = b"".join(self.child(name, value) for name, value in _named(tree))
        return b"\x01\x00" + self.words(len(tree)) + children

    def child(self, name: str, value: Any) -> bytes:
        label = name.encode("latin-1")
        is_group = isinstance(value, dict | list)
        body = self.group(value) if is_group else self.leaf(value)
        size = struct.pack(">q", len(body)) if self.version == 4 else b""
        return struct.pack(">BH", 20 if is_group else 21, len(label)) + label + size + body

    def leaf(self, value: Any) -> bytes:
        kind, data = _values(value, self.order)
        return b"%%%%" + self.words(len(kind), *kind) + data


def _named(tree: Tree) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        yield from sorted(tree.items())  # the format wants them in order
    else:
        yield from (("", value) for value in tree)


def _values(value: Any, order: str) -> tuple[tuple[int, ...], bytes]:
    """Type description and bytes of a leaf."""
    if isinstance(value, Leaf):
        return value.kind, value.data
    if isinstance(value, np.ndarray):
        return _array(value, order)
    if isinstance(value, str):
        data = value.encode("utf-16-le" if order == "<" else "utf-16-be")
        return (20, 4, len(data) // 2), data
    if isinstance(value, tuple):
        return (15, 0, len(value), *(0, 3) * len(value)), struct.pack(f"{order}{len(value)}i", *value)
    if isinstance(value, bool):
        return (8,), struct.pack("B", value)
    if isinstance(value, int):
        return (3,), struct.pack(f"{order}i", value)
    if isinstance(value, np.float32):
        return (6,), struct.pack(f"{order}f", value)
    return (7,), struct.pack(f"{order}d", value)


def _array(values: NDArray[Any], order: str) -> tuple[tuple[int, ...], bytes]:
    code = PIXEL_TYPES[values.dtype.name][1]
    kind = (20, 15, 0, 2, 0, 6, 0, 6, values.size) if code == 15 else (20, code, values.size)
    return kind, values.astype(values.dtype.newbyteorder(order)).tobytes()


def _stored(pixels: NDArray[Any]) -> tuple[tuple[int, ...], int, int, NDArray[Any]]:
    """Shape, Gatan's pixel type, bytes of a pixel, and values as stored."""
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[-1] == 4:
        words = np.ascontiguousarray(pixels[..., [2, 1, 0, 3]]).view("<i4")
        return pixels.shape[:-1], _RGBA, 4, words.astype(np.int32).ravel()
    code = PIXEL_TYPES[pixels.dtype.name][0]
    return pixels.shape, code, pixels.dtype.itemsize, np.ascontiguousarray(pixels).ravel()


def _per_axis(value: Any, n: int) -> list[Any]:
    values = list(value) if isinstance(value, list | tuple) else [value] * n
    if len(values) != n:
        raise ValueError(f"{n} axes but {len(values)} values")
    return values
