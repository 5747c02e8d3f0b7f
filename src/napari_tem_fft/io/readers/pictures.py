"""Read ordinary pictures (.png .jpg .bmp .gif .webp) as grey levels without a scale, with Pillow."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plain import ReadError
from .gatan import Signal

#: Weights of red, green and blue in the luminance (ITU-R BT.601).
WEIGHTS = (0.299, 0.587, 0.114)


def to_grey(colours: NDArray[Any], premultiplied: bool = False) -> NDArray[Any]:
    """Luminance of a colour image.

    Where red, green and blue are equal, as in screenshots of a micrograph, the result equals them and keeps
    their type; otherwise it is float32. Transparent pixels get the mean of the opaque ones, which leaves the
    weakest edge.

    Parameters
    ----------
    colours : ndarray, shape (..., ny, nx, c)
        Grey, grey and alpha, RGB, or RGB and alpha, for c = 1 to 4; further channels are ignored.
    premultiplied : bool
        Whether colours are already multiplied by alpha.

    Examples
    --------
    >>> to_grey(np.array([[[7, 7, 7], [0, 100, 0]]], np.uint8)).round().tolist()
    [[7.0, 59.0]]
    """
    channels = colours.shape[-1]
    colour, alpha = (
        (colours[..., :1], colours[..., 1:2]) if channels < 3 else (colours[..., :3], colours[..., 3:4])
    )
    coloured = channels >= 3 and not all(np.array_equal(colour[..., 0], colour[..., i]) for i in (1, 2))
    grey = _luminance(colour) if coloured else colour[..., 0]
    if not alpha.size or alpha.min() == alpha.max() > 0:
        return np.ascontiguousarray(grey)
    full = 1.0 if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)
    share = (alpha[..., 0].astype(np.float32) / np.float32(full)).clip(0, 1)
    seen = grey.astype(np.float32) * (1 if premultiplied else share)
    total = float(share.sum(dtype=np.float64))
    mean = float(seen.sum(dtype=np.float64)) / total if total else 0.0
    return np.asarray(seen + (1 - share) * np.float32(mean))


def _luminance(colour: NDArray[Any]) -> NDArray[np.float32]:
    grey = colour[..., 0].astype(np.float32) * np.float32(WEIGHTS[0])
    for i in (1, 2):
        grey += colour[..., i].astype(np.float32) * np.float32(WEIGHTS[i])
    return grey


#: First bytes of these formats, with Pillow's names for them.
MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"RIFF", "WEBP"),
)
#: Most bytes of pixels that a file may claim per byte of its size, and the bytes that every file may claim.
MOST_COMPRESSED, ALWAYS_CLAIMED = 3000, 2**24
#: Most bytes of pixels of a picture.
MOST_BYTES = 2**32
#: Bytes per pixel by Pillow's mode; other modes have one byte per letter.
_MODE_BYTES = {"1": 1, "I": 4, "F": 4, "I;16": 2, "I;16B": 2, "I;16L": 2}
_COPY_AGAIN = "copy it again, or export it again from the program that wrote it"


def picture_format(head: bytes) -> str:
    """Pillow's name for a picture's format, from its first bytes; empty for other files."""
    name = next((name for magic, name in MAGIC if head.startswith(magic)), "")
    return "" if name == "WEBP" and head[8:12] != b"WEBP" else name


def read_picture(path: Path) -> list[Signal]:
    """Read a picture as grey levels. It has no scale, even if the file gives dots per inch.

    Raises
    ------
    ReadError
        If the file is damaged or claims more pixels than it can contain.
    """
    with path.open("rb") as stream:
        kind = picture_format(stream.read(16))
    try:
        pixels, more = pillow_pixels(path, [kind])
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(path, f"damaged picture ({type(error).__name__}: {error})", _COPY_AGAIN) from error
    axes = [
        {"name": name, "size": n, "scale": None, "units": ""}
        for name, n in zip("yx", pixels.shape, strict=True)
    ]
    notes = [f"only the first of {more} pictures in the file is shown"] if more > 1 else []
    return [{"data": pixels, "axes": axes, "metadata": {}, "picture": True, "warnings": tuple(notes)}]


def pillow_pixels(path: Path, formats: list[str], number: int = 0) -> tuple[NDArray[Any], int]:
    """Grey levels of one picture of a file, and the number of pictures in it.

    Raises
    ------
    ReadError
        If the file claims more pixels than it can contain.
    OSError, ValueError, SyntaxError, ...
        Whatever Pillow raises for a damaged file.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes, which are checked here, and about metadata
        # from memory: with a damaged length Pillow reads what is left instead of allocating the claimed size
        with Image.open(io.BytesIO(path.read_bytes()), formats=formats) as image:
            if number:
                image.seek(number)
            claimed = math.prod(image.size) * _MODE_BYTES.get(image.mode, len(image.mode))
            _check_size(path, claimed)
            return _grey_levels(image), int(getattr(image, "n_frames", 1))


def _check_size(path: Path, claimed: int) -> None:
    size = path.stat().st_size
    if claimed > max(ALWAYS_CLAIMED, MOST_COMPRESSED * size) or claimed == 0:
        raise ReadError(
            path, f"damaged file: it claims {claimed} bytes of pixels, but has {size}", _COPY_AGAIN
        )
    if claimed > MOST_BYTES:
        raise ReadError(
            path, f"a picture of {claimed / 2**30:.1f} GB, which is too large", "save it as .mrc or .tif"
        )


def _grey_levels(image: Any) -> NDArray[Any]:
    mode = image.mode
    if mode == "1":
        return np.asarray(image, np.uint8)
    if mode in ("L", "I", "F") or mode.startswith("I;16"):
        pixels = np.asarray(image)
        return pixels.astype(pixels.dtype.newbyteorder("="))
    transparent = "A" in mode.upper() or "transparency" in image.info
    if mode in ("LA", "La"):
        return to_grey(np.asarray(image), premultiplied=mode == "La")
    return to_grey(np.asarray(image.convert("RGBA" if transparent else "RGB")))
