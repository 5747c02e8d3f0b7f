"""Images as TIFF files in ImageJ's convention, which keeps the pixel size and its unit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ...core.image.units import quantity


def write_tiff(
    path: str | Path,
    pixels: Any,
    scale: Sequence[float],
    units: Sequence[str],
    contrast: Sequence[float] | None = None,
) -> Path:
    """Write an image, shape (y, x), or a stack, shape (n, y, x).

    ImageJ knows 8 and 16 bit and float32: other types become float32, labels 16 bit where they fit.

    Parameters
    ----------
    pixels : array-like
    scale : sequence of float, (y, x)
        Pixel size.
    units : sequence of str, (y, x)
        A length as files or napari spell it, an inverse length, or "pixel".
    contrast : sequence of float, optional
        Darkest and brightest grey level shown.

    Raises
    ------
    ValueError
        If the array is neither an image nor a stack, or the axes have different units.
    """
    path, data = Path(path), _for_imagej(np.asarray(pixels))
    if data.ndim not in (2, 3):
        raise ValueError(f"{path.name}: only images and stacks are written as TIFF, not {data.ndim} axes")
    (y, x), unit = _in_one_unit(path, scale, units)
    metadata: dict[str, Any] = {"axes": "YX" if data.ndim == 2 else "TYX"}
    if unit:
        metadata["unit"] = unit
    if contrast is not None:
        metadata |= {"min": float(contrast[0]), "max": float(contrast[1])}
    tifffile.imwrite(path, data, imagej=True, resolution=(1 / x, 1 / y), metadata=metadata)
    return path


def _for_imagej(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels of a type that ImageJ opens."""
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype in (np.uint8, np.uint16, np.float32):
        return pixels
    if pixels.dtype.kind in "iu" and pixels.size and pixels.min() >= 0 and pixels.max() < 2**16:
        return pixels.astype(np.uint16)
    return pixels.astype(np.float32)


def _in_one_unit(path: Path, scale: Sequence[float], units: Sequence[str]) -> tuple[tuple[float, float], str]:
    """Scale (y, x) in nm, or in 1/nm; without a unit where there is none."""
    kinds, factors = zip(*(quantity(unit) for unit in units), strict=True)
    if kinds[0] != kinds[1]:
        raise ValueError(f"{path.name}: one axis is in {units[0]}, the other in {units[1]}")
    unit = {"length": "nm", "inverse length": "1/nm"}.get(kinds[0], "")
    y, x = (float(s) * factor for s, factor in zip(scale, factors, strict=True))
    return (y, x), unit
