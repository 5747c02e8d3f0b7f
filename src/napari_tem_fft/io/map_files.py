"""Maps as TIFF files of ImageJ's convention, in nm; other programs then measure on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ..core.grains import Grain
from ..core.map_grid import MapGrid


def write_map(path: Path, image: NDArray[Any], grid: MapGrid) -> None:
    """Write an image on the maps' grid, shape (y, x) or (planes, y, x).

    Parameters
    ----------
    image : ndarray of bool, uint8, uint16 or float32
        Boolean images are written as 0 and 255.
    """
    data = image.astype(np.uint8) * np.uint8(255) if image.dtype == np.bool_ else image
    py, px = grid.pixel_size
    axes = "YX" if data.ndim == 2 else "ZYX"
    tifffile.imwrite(
        path, data, imagej=True, resolution=(1 / px, 1 / py), metadata={"unit": "nm", "axes": axes}
    )


def read_map(path: Path) -> NDArray[Any]:
    """The image of a file that `write_map` wrote; a boolean one comes back as 0 and 255."""
    image: NDArray[Any] = tifffile.imread(path)
    return image


def label_planes(grains: Sequence[Grain], masks: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Grain ids as an image, with as many planes as overlapping grains need.

    Parameters
    ----------
    masks : ndarray of bool, shape (number of grains, y, x)

    Returns
    -------
    labels : ndarray of uint16, shape (planes, y, x)
        0 where there is no grain; at least one plane.
    """
    planes = [np.zeros(masks.shape[1:], np.uint16)]
    for grain, mask in zip(grains, masks, strict=True):
        free = next((plane for plane in planes if not plane[mask].any()), None)
        if free is None:
            free = np.zeros(masks.shape[1:], np.uint16)
            planes.append(free)
        free[mask] = grain.id
    return np.stack(planes)


def masks_of(grains: Sequence[Grain], labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Inverse of `label_planes`, shape (number of grains, y, x)."""
    planes = labels if labels.ndim == 3 else labels[None]
    masks = [(planes == grain.id).any(axis=0) for grain in grains]
    return np.stack(masks) if masks else np.zeros((0, *planes.shape[1:]), np.bool_)


def write_heats(path: Path, heats: NDArray[np.float32]) -> None:
    """Write one heat a grain, shape (number of grains, y, x), each cut to where it is not zero."""
    parts: dict[str, Any] = {"shape": np.array(heats.shape)}
    for number, heat in enumerate(heats):
        rows, columns = (np.flatnonzero(heat.any(axis=axis)) for axis in (1, 0))
        top, left = (int(axis[0]) if len(axis) else 0 for axis in (rows, columns))
        bottom, right = (int(axis[-1]) + 1 if len(axis) else 0 for axis in (rows, columns))
        parts[f"corner_{number}"] = np.array((top, left))
        parts[f"heat_{number}"] = heat[top:bottom, left:right]
    np.savez_compressed(path, **parts)


def read_heats(path: Path) -> NDArray[np.float32]:
    """The heats of a file that `write_heats` wrote."""
    with np.load(path) as parts:
        heats = np.zeros(parts["shape"], np.float32)
        for number in range(len(heats)):
            (top, left), part = parts[f"corner_{number}"], parts[f"heat_{number}"]
            heats[number, top : top + part.shape[0], left : left + part.shape[1]] = part
    return heats
