"""Read MRC and CCP4 files in both byte orders, with all pixel types and extended headers.

The format is public (Cheng et al., MRC2014: extensions to the MRC format header, J. Struct. Biol. 192 (2015)
146). Offsets below are in bytes from the start of the 1024-byte header. A scale is returned only if the file
states one.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plain import ReadError
from .gatan import LAZY_BYTES, Signal

HEADER = 1024
#: Stored type by mode: bytes are signed unless the header says otherwise; 3 is a pair of int16, 101 a nibble.
_TYPES = {0: "i1", 1: "i2", 2: "f4", 3: "i2", 4: "c8", 6: "u2", 12: "f2", 101: "u1"}
#: Other modes that occur, with a description.
_UNREAD = {
    16: "colours (RGB), not a micrograph",
    7: "32 bit integers, which are not part of the format",
}
#: IMOD's stamp, and its flag for signed bytes.
_IMOD, _SIGNED = 1146047817, 1
#: Length of the extended header of FEI's old software (128 bytes per image), and offset of the pixel size,
#: metres.
_OLD_FEI, _OLD_PIXEL = 131072, 44
#: Offsets of the pixel sizes along x and y, metres, and of the voltage in the extended headers "FEI1" and
#: "FEI2".
_NEW_PIXEL, _NEW_VOLTAGE = 156, 84
_BROKEN_COPY = "the copy or transfer was interrupted: copy it again"
_EXPORT = "export it again from the program that wrote it"


@dataclass(frozen=True, slots=True)
class MrcHeader:
    """Contents of an MRC header.

    Attributes
    ----------
    order : {"<", ">"}
        Byte order: little or big endian.
    shape : tuple of int, (n, ny, nx)
    mode : int
    signed : bool
        Whether bytes are signed.
    offset : int
        Byte offset of the first pixel.
    scale : tuple of float, (y, x), Angstrom
        Pixel size from the unit cell; NaN if the header has none.
    """

    order: str
    shape: tuple[int, int, int]
    mode: int
    signed: bool
    offset: int
    scale: tuple[float, float]

    @property
    def row_bytes(self) -> int:
        """Size of a row of pixels in bytes."""
        nx = self.shape[2]
        return (nx + 1) // 2 if self.mode == 101 else nx * {3: 4}.get(self.mode, self.dtype.itemsize)

    @property
    def n_bytes(self) -> int:
        """Size of all pixels in bytes."""
        return self.shape[0] * self.shape[1] * self.row_bytes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored type of the pixels."""
        name = "u1" if self.mode == 0 and not self.signed else _TYPES[self.mode]
        return np.dtype(self.order + name)


def read_mrc(path: Path, lazy: bool = False) -> list[Signal]:
    """Read the image or stack of an MRC file.

    Parameters
    ----------
    path : Path
    lazy : bool
        Map the pixels into memory, so that they are read on demand; always so above `LAZY_BYTES`.

    Raises
    ------
    ReadError
        If the file is not an MRC file, is incomplete, or has pixels that cannot be read as an image.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(HEADER)
        header = _header(path, head, size)
        extended = stream.read(min(header.offset - HEADER, 4096))
    scale, voltage = _scale(header, head, extended)
    names, steps = ("z", "y", "x"), (1.0, *scale)
    units = ("", *("" if math.isnan(s) or header.dtype.kind == "c" else "angstrom" for s in scale))
    first = 1 if header.shape[0] == 1 else 0
    return [
        {
            "data": _pixels(path, header, lazy or header.n_bytes > LAZY_BYTES),
            "axes": [
                {
                    "name": names[i],
                    "size": header.shape[i],
                    "scale": steps[i],
                    "units": units[i],
                    "offset": 0.0,
                }
                for i in range(first, 3)
            ],
            "metadata": {"Acquisition_instrument": {"TEM": {"beam_energy": voltage}}},
        }
    ]


def _header(path: Path, head: bytes, size: int) -> MrcHeader:
    """Parse the header in the byte order in which it is plausible."""
    if len(head) < HEADER:
        raise ReadError(
            path, f"incomplete file: it ends after {len(head)} bytes, within its header", _BROKEN_COPY
        )
    stamped = ">" if head[212:214] in (b"\x11\x11", b"\x14\x11") else "<"
    claimed = 0
    for order in dict.fromkeys((stamped, "<", ">")):
        nx, ny, nz, mode = struct.unpack_from(f"{order}4i", head)
        (extended,) = struct.unpack_from(f"{order}i", head, 92)
        if min(nx, ny, nz) < 1 or extended < 0 or mode not in {*_TYPES, *_UNREAD}:
            continue
        if mode in _UNREAD:
            raise ReadError(path, f"there is no micrograph in the file, but {_UNREAD[mode]}", _EXPORT)
        scale = _cell_scale(order, head)
        header = MrcHeader(order, (nz, ny, nx), mode, _signed(order, head), HEADER + extended, scale)
        if header.offset + header.n_bytes <= size:
            return header
        claimed = claimed or header.offset + header.n_bytes
    if claimed:
        text = f"incomplete file: its header claims {claimed} bytes, but it has {size}"
        raise ReadError(path, text, _BROKEN_COPY)
    raise ReadError(path, "not an MRC file: its header gives no possible image size or pixel type", _EXPORT)


def _signed(order: str, head: bytes) -> bool:
    """Whether bytes are signed: according to IMOD's flag or the extrema, otherwise as defined since 2014."""
    stamp, flags = struct.unpack_from(f"{order}2i", head, 152)
    if stamp == _IMOD:
        return bool(flags & _SIGNED)
    least, most = struct.unpack_from(f"{order}2f", head, 76)
    known = math.isfinite(least) and math.isfinite(most) and least < most
    return not (known and least >= 0 and 127 < most <= 255)


def _cell_scale(order: str, head: bytes) -> tuple[float, float]:
    """Angstrom per pixel along y and x: length of the unit cell divided by its number of samples."""
    samples = struct.unpack_from(f"{order}3i", head, 28)
    lengths = struct.unpack_from(f"{order}3f", head, 40)
    (gamma,) = struct.unpack_from(f"{order}f", head, 60)
    axes = struct.unpack_from(f"{order}3i", head, 64)
    if sorted(axes) != [1, 2, 3]:
        axes = (1, 2, 3)
    if not (gamma == 0 or abs(gamma - 90) < 0.01):
        return math.nan, math.nan  # an oblique cell: the pixels are not rectangular
    column, row = axes[0] - 1, axes[1] - 1
    y, x = (
        lengths[i] / samples[i] if samples[i] > 0 and 0 < lengths[i] < math.inf else math.nan
        for i in (row, column)
    )
    return y, x


def _scale(header: MrcHeader, head: bytes, extended: bytes) -> tuple[tuple[float, float], float]:
    """Angstrom per pixel (y, x) and voltage in kV; FEI's software stores them in the extended header."""
    scale, kilovolt = header.scale, math.nan
    metres: tuple[float, ...] = ()
    if head[104:108] in (b"FEI1", b"FEI2") and len(extended) >= _NEW_PIXEL + 16:
        kilovolt = struct.unpack_from(f"{header.order}d", extended, _NEW_VOLTAGE)[0] / 1e3
        if math.isnan(sum(scale)):
            metres = struct.unpack_from(f"{header.order}2d", extended, _NEW_PIXEL)[::-1]
    elif header.offset - HEADER == _OLD_FEI and not head[104:108].strip(b"\0 ").isalnum():
        # in these files the cell is not a length but a number of pixels
        metres = struct.unpack_from(f"{header.order}f", extended, _OLD_PIXEL) * 2
    if metres:
        good = all(1e-13 < m < 1e-3 for m in metres)
        scale = (1e10 * metres[0], 1e10 * metres[1]) if good else (math.nan, math.nan)
    return scale, kilovolt


def _pixels(path: Path, header: MrcHeader, lazy: bool) -> NDArray[Any]:
    """Pixels, shape (n, ny, nx), or (ny, nx) of a single image; in native byte order unless mapped."""
    shape = header.shape if header.shape[0] > 1 else header.shape[1:]
    if header.mode in (3, 101):
        return _unpack(path, header).reshape(shape)
    if lazy:
        return np.memmap(path, header.dtype, "r", header.offset, shape)
    stored = np.fromfile(path, header.dtype, math.prod(shape), offset=header.offset)
    return stored.reshape(shape).astype(header.dtype.newbyteorder("="), copy=False)


def _unpack(path: Path, header: MrcHeader) -> NDArray[Any]:
    """Unpack pixels that are pairs of int16 (complex numbers) or nibbles (the low one first)."""
    if header.mode == 3:
        parts = np.fromfile(path, header.dtype, header.n_bytes // 2, offset=header.offset).astype(np.float32)
        return parts.view(np.complex64)
    n, ny, nx = header.shape
    stored = np.fromfile(path, np.uint8, header.n_bytes, offset=header.offset).reshape(n, ny, -1)
    pixels = np.empty((n, ny, 2 * stored.shape[2]), np.uint8)
    pixels[..., ::2], pixels[..., 1::2] = stored & 15, stored >> 4
    return pixels[..., :nx]
