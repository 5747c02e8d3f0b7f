"""Read TIA's series (.ser) of images and patterns; each count is checked before the data are read.

The layout is public (Boothroyd's description): a header of 30 or 34 bytes, the dimensions of the series, the
offsets of its elements, and the elements, each with its own calibration in metres or 1/metre.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plain import ReadError
from .gatan import Signal

_TYPES = {1: "u1", 2: "u2", 3: "u4", 4: "i1", 5: "i2", 6: "i4", 7: "f4", 8: "f8", 9: "c8", 10: "c16"}
_IMAGES, _SPECTRA = 0x4122, 0x4120
#: From this version on offsets are 8 bytes wide.
_WIDE = 0x220
#: Size of an image's own header, bytes.
_HEAD = 50
#: Calibrations in the first range are in metres, those in the second in 1/metre: no field has more than a
#: millimetre per pixel, and no camera length gives patterns with less than 1e3 1/m per pixel.
_METRES, _PER_METRE = (1e-14, 1e-3), (1e3, 1e12)
_BROKEN_COPY = "the copy or transfer was interrupted: copy it again"


@dataclass(frozen=True, slots=True)
class _Element:
    """One image of the series: offset, type and number of its pixels, and its calibration."""

    offset: int
    dtype: str
    shape: tuple[int, int]
    delta: tuple[float, float]
    first: tuple[float, float]


def read_ser(path: Path) -> list[Signal]:
    """Read the image or stack of a series.

    Raises
    ------
    ReadError
        If the file is damaged or incomplete, or contains no images.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        try:
            elements = _elements(path, stream, size)
        except struct.error as error:
            text = f"incomplete file: it ends after {size} bytes, within its header"
            raise ReadError(path, text, _BROKEN_COPY) from error
    first = elements[0]
    if any((one.dtype, one.shape) != (first.dtype, first.shape) for one in elements):
        raise ReadError(path, "damaged file: its images are of different sizes", _BROKEN_COPY)
    frames = np.stack([_pixels(path, one) for one in elements])
    pixels = frames if len(frames) > 1 else frames[0]
    axes: list[dict[str, Any]] = [
        {"name": name, "size": n, **_axis(delta, start)}
        for name, n, delta, start in zip("yx", first.shape, first.delta, first.first, strict=True)
    ]
    if len(frames) > 1:
        axes.insert(0, {"name": "frame", "size": len(frames), "scale": 1.0, "units": ""})
    return [{"data": pixels, "axes": axes, "metadata": {}}]


def _elements(path: Path, stream: Any, size: int) -> list[_Element]:
    """Headers of the images of a series, after checking that the file can contain them."""
    order, series, version, kind, _, total, count = struct.unpack("<3H4I", stream.read(22))
    if (order, series) != (0x4949, 0x0197):
        raise ReadError(path, "not a TIA series", "choose the .ser file written by TIA")
    wide = version >= _WIDE
    (start,) = struct.unpack("<Q" if wide else "<I", stream.read(8 if wide else 4))
    if kind == _SPECTRA:
        raise ReadError(
            path, "there is no micrograph in the file, but a spectrum", "choose a file with a micrograph"
        )
    if kind != _IMAGES:
        raise ReadError(path, f"damaged or unsupported file (data type {kind:#x})", _BROKEN_COPY)
    width = 8 if wide else 4
    if count == 0 or total == 0:
        raise ReadError(path, "there is no image in the file", "choose another file")
    if start + width * count > size:
        raise ReadError(path, f"incomplete file: it claims {count} images", _BROKEN_COPY)
    stream.seek(start)
    offsets = np.frombuffer(stream.read(width * count), f"<u{width}")
    # images that were not recorded because the series was stopped have offset 0
    found = [_element(path, stream, int(offset), size) for offset in offsets if offset]
    if sum(int(np.prod(one.shape)) * np.dtype(one.dtype).itemsize for one in found) > size:
        raise ReadError(path, "damaged file: it claims more pixels than it has", _BROKEN_COPY)
    if not found:
        raise ReadError(path, "there is no image in the file", "choose another file")
    return found


def _element(path: Path, stream: Any, offset: int, size: int) -> _Element:
    stream.seek(min(offset, size))
    x0, dx, nx0, y0, dy, ny0, code, nx, ny = struct.unpack("<ddiddihii", stream.read(_HEAD))
    if code not in _TYPES:
        raise ReadError(path, f"pixels of an unsupported type (TIA's type {code})", _BROKEN_COPY)
    dtype = np.dtype(f"<{_TYPES[code]}")
    if min(nx, ny) < 1 or offset + _HEAD + nx * ny * dtype.itemsize > size:
        text = f"incomplete file: it claims an image of {nx} x {ny} pixels, which it does not contain"
        raise ReadError(path, text, _BROKEN_COPY)
    first = y0 - ny0 * dy, x0 - nx0 * dx
    if first != (0.0, 0.0):  # refers to the bottom row; here the top row comes first, and y points down
        first = -first[0] - (ny - 1) * dy, first[1]
    return _Element(offset + _HEAD, dtype.str, (ny, nx), (dy, dx), first)


def _pixels(path: Path, element: _Element) -> NDArray[Any]:
    """Pixels with the top row first; TIA stores the bottom row first."""
    ny, nx = element.shape
    stored = np.fromfile(path, element.dtype, ny * nx, offset=element.offset).reshape(ny, nx)[::-1]
    return stored.astype(stored.dtype.newbyteorder("="))


def _axis(delta: float, first: float) -> dict[str, Any]:
    """Scale and unit of an axis; the unit is empty if the number is plausible neither in m nor in 1/m."""
    if _METRES[0] < delta < _METRES[1]:
        return {"scale": 1e9 * delta, "offset": 1e9 * first, "units": "nm"}
    if _PER_METRE[0] <= delta < _PER_METRE[1]:
        return {"scale": delta / 1e9, "offset": first / 1e9, "units": "1/nm"}
    return {"scale": delta, "offset": first, "units": ""}
