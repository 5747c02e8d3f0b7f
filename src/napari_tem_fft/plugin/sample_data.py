"""npe2 sample data: the simulated micrographs that come with the package."""

from __future__ import annotations

from importlib.resources import as_file, files

from ..layers.results import LayerData
from .reader import read_layers


def open_sample() -> list[LayerData]:
    """Open the large micrograph: grains of several phases on amorphous film, with vacuum."""
    return _open("sample.dm4")


def open_film() -> list[LayerData]:
    """Open a film in which there is no crystal, so that nothing is to be found."""
    return _open("film.dm4")


def open_edge() -> list[LayerData]:
    """Open a single LiF crystal at the edge of its film, over the vacuum."""
    return _open("edge.dm4")


def _open(name: str) -> list[LayerData]:
    with as_file(files("napari_tem_fft") / "data" / name) as path:
        return read_layers(str(path))
