"""A small picture of an analysis for the report: the micrograph with its components in colour."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.maps.colours import colours_of
from ..core.maps.map_grid import resample
from ..core.pipeline import Analysis

THUMBNAIL = "thumbnail.jpg"
#: Most pixels per axis.
SIDE = 200
#: Most pixels of the micrograph, per axis, that are averaged for one pixel of the thumbnail.
MOST_AVERAGED = 4
#: Opacity of a component's colour.
OPACITY = 0.45


def place_thumbnail(folder: Path, analysis: Analysis, known: Mapping[str, str] | None = None) -> None:
    """Write the picture into a folder of results, whole or not at all."""
    temporary = folder / f".{THUMBNAIL}"
    write_thumbnail(temporary, analysis, known)
    os.replace(temporary, folder / THUMBNAIL)


def write_thumbnail(path: Path, analysis: Analysis, known: Mapping[str, str] | None = None) -> None:
    """Write the picture as JPEG, whatever the file's name; components have the `known` colours."""
    from PIL import Image

    grey = _grey(analysis.micrograph.pixels)
    picture = np.repeat(grey[..., None], 3, axis=2)
    colours = colours_of((component.name for component in analysis.components), known)
    for component in analysis.components:
        inside = resample(component.mask, grey.shape)
        colour = np.array([int(colours[component.name][i : i + 2], 16) / 255 for i in (1, 3, 5)])
        picture[inside] = (1 - OPACITY) * picture[inside] + OPACITY * colour
    Image.fromarray((255 * picture).astype(np.uint8)).save(path, "JPEG", quality=80)


def _grey(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """The image with at most `SIDE` pixels per axis, scaled to 0..1 between its 1st and 99th percentile."""
    step = max(1, -(-max(pixels.shape) // SIDE))
    averaged = min(step, MOST_AVERAGED)
    ny, nx = (n // step for n in pixels.shape)
    ny, nx = max(ny, 1), max(nx, 1)
    total = np.zeros((ny, nx), np.float64)
    for dy in range(averaged):
        for dx in range(averaged):
            total += pixels[dy * step // averaged :: step, dx * step // averaged :: step][:ny, :nx]
    total = np.nan_to_num(total, posinf=0.0, neginf=0.0)
    low, high = np.percentile(total, (1, 99))
    return np.asarray(np.clip((total - low) / max(high - low, 1e-12), 0, 1), np.float32)
