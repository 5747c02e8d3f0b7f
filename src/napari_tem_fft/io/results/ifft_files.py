"""Inverse transforms of an analysis as TIFF files: lattice fringes alone, in the micrograph's grey levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from ...core.fourier.inverse import fringes_of
from ...core.maps.component_map import component_spots
from ...core.maps.map_grid import MapGrid
from ...core.pipeline import Analysis
from ...core.spots.spot import Spot
from .map_files import map_names, write_map

#: Of what an inverse transform can be asked for: all spots together, each component, each pair of spots.
Inverse = Literal["mask", "components", "spots"]
INVERSES: tuple[Inverse, ...] = ("mask", "components", "spots")


def write_inverses(folder: Path, analysis: Analysis, wanted: Sequence[Inverse]) -> None:
    """Write ``ifft.tif``, ``ifft_COMPONENT.tif`` and ``ifft_spot_ID.tif``, whichever are wanted.

    Each is float32, mean zero, and covers the whole micrograph.
    """
    for what in wanted:
        for name, spots in _chosen(analysis, what):
            image, pixel_size = fringes_of(analysis.diffractogram, spots)
            write_map(folder / name, image, MapGrid(image.shape, pixel_size))


def _chosen(analysis: Analysis, what: Inverse) -> Iterator[tuple[str, tuple[Spot, ...]]]:
    """File names with the spots that are shown in each."""
    enabled = tuple(spot for spot in analysis.spots if spot.enabled)
    if what == "mask":
        yield "ifft.tif", enabled
    elif what == "spots":
        yield from ((f"ifft_spot_{spot.id}.tif", (spot,)) for spot in enabled)
    else:
        names = map_names(analysis.components, "ifft")
        for component, name in zip(analysis.components, names, strict=True):
            yield name, component_spots(component, analysis.grains, analysis.matches, analysis.spots)
