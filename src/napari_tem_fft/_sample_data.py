"""npe2 sample data: the simulated micrograph that comes with the package."""

from __future__ import annotations

from importlib.resources import as_file, files

from ._layers import LayerData
from ._reader import read_layers


def open_sample() -> list[LayerData]:
    """Open the simulated micrograph: grains of several phases on amorphous film, with vacuum."""
    with as_file(files("napari_tem_fft") / "data" / "sample.dm4") as path:
        return read_layers(str(path))
