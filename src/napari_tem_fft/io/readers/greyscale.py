"""Grey levels of pictures in colour: by luminance, whatever is transparent filled in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Weights of red, green and blue in the luminance (ITU-R BT.601).
WEIGHTS = (0.299, 0.587, 0.114)


def to_grey(colours: NDArray[Any], premultiplied: bool = False) -> NDArray[Any]:
    """Luminance of a picture.

    Where red, green and blue are the same, as in pictures of a micrograph, the result is exactly that and
    keeps its type; else it is float32. Transparent parts get the mean of the others, which leaves the least
    edge.

    Parameters
    ----------
    colours : ndarray, shape (..., ny, nx, c)
        Grey, grey and alpha, RGB, or RGB and alpha, for c = 1 to 4; further channels are left out.
    premultiplied : bool
        Whether colours are multiplied by alpha already.

    Examples
    --------
    >>> to_grey(np.array([[[7, 7, 7], [0, 100, 0]]], np.uint8)).round().tolist()
    [[7.0, 59.0]]
    """
    channels = colours.shape[-1]
    colour, alpha = (
        (colours[..., :1], colours[..., 1:2]) if channels < 3 else (colours[..., :3], colours[..., 3:4])
    )
    grey = colour[..., 0] if channels < 3 or _is_grey(colour) else _luminance(colour)
    if not alpha.shape[-1] or _is_opaque(alpha):
        return np.ascontiguousarray(grey)
    full = 1.0 if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)
    share = (alpha[..., 0].astype(np.float32) / np.float32(full)).clip(0, 1)
    seen = grey.astype(np.float32) * (1 if premultiplied else share)
    total = float(share.sum(dtype=np.float64))
    mean = float(seen.sum(dtype=np.float64)) / total if total else 0.0
    return np.asarray(seen + (1 - share) * np.float32(mean))


def _is_grey(colour: NDArray[Any]) -> bool:
    return all(bool(np.array_equal(colour[..., 0], colour[..., i])) for i in (1, 2))


def _luminance(colour: NDArray[Any]) -> NDArray[np.float32]:
    grey = colour[..., 0].astype(np.float32) * np.float32(WEIGHTS[0])
    for i in (1, 2):
        grey += colour[..., i].astype(np.float32) * np.float32(WEIGHTS[i])
    return grey


def _is_opaque(alpha: NDArray[Any]) -> bool:
    return bool(alpha.size == 0 or alpha.min() == alpha.max() > 0)
