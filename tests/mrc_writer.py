"""A small writer of MRC files of every kind, for tests."""

import struct

import numpy as np

#: Mode of a pixel type.
MODES = {"int8": 0, "uint8": 0, "int16": 1, "float32": 2, "complex64": 4, "uint16": 6, "float16": 12}


def write_mrc(
    path,
    stack,
    pixel_size_nm=0.02,
    shape=None,
    *,
    order="<",
    mode=None,
    samples=True,
    extended=b"",
    exttype=b"",
    extremes=(0.0, -1.0),
    imod=None,
    axes=(1, 2, 3),
    gamma=90.0,
    stamp=True,
):
    """Write a stack, shape (n, ny, nx); pixel sizes (y, x) in nm or one for both."""
    nz, ny, nx = shape or stack.shape
    size_y, size_x = (pixel_size_nm, pixel_size_nm) if np.isscalar(pixel_size_nm) else pixel_size_nm
    head = bytearray(1024)
    pack = lambda form, at, *values: struct.pack_into(order + form, head, at, *values)  # noqa: E731
    pack("4i", 0, nx, ny, nz, MODES[stack.dtype.name] if mode is None else mode)
    if samples:
        pack("3i", 28, nx, ny, nz)
    pack("3f", 40, 10 * size_x * nx, 10 * size_y * ny, 10 * size_x * nz)
    pack("3f", 52, 90.0, 90.0, gamma)
    pack("3i", 64, *axes)
    pack("3f", 76, *extremes, 0.0)
    pack("i", 92, len(extended))
    head[104:108] = exttype.ljust(4, b"\0")
    if imod is not None:
        pack("2i", 152, 1146047817, imod)
    if stamp:
        head[208:212] = b"MAP "
        head[212:214] = b"\x44\x44" if order == "<" else b"\x11\x11"
    stored = stack.astype(stack.dtype.newbyteorder(order))
    path.write_bytes(bytes(head) + extended + stored.tobytes())
    return path
