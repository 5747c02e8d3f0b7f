"""npe2 reader: .dm3 and .dm4 files as calibrated image layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ._layers import LayerData, micrograph_layer
from .core.micrograph import Micrograph

PathOrPaths = str | Sequence[str]


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return `read_layers` for Gatan files; napari asks the next reader otherwise."""
    suffixes = {Path(one).suffix.lower() for one in _as_paths(path)}
    return read_layers if suffixes and suffixes <= {".dm3", ".dm4"} else None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read every micrograph of one file or several as an image layer in nm.

    What the user should know of a file (no calibration, defective pixels) appears as a notification.

    Raises
    ------
    ReadError
        If a file cannot be read; the message says what to do.
    """
    from .io.dm import read_micrographs

    layers = []
    for one in _as_paths(path):
        micrographs = _of_one_space(read_micrographs(one))
        for text in dict.fromkeys(text for micrograph in micrographs for text in micrograph.warnings):
            _notify(f"{Path(one).name}: {text}")
        layers += [micrograph_layer(micrograph) for micrograph in micrographs]
    return layers


def _of_one_space(micrographs: Sequence[Micrograph]) -> list[Micrograph]:
    """Images of the space of the first real-space one, for napari shows only one unit at a time."""
    first = next((m for m in micrographs if m.calibration.space == "real"), micrographs[0])
    kept = [m for m in micrographs if m.calibration.space == first.calibration.space]
    left = ", ".join(m.name for m in micrographs if m.calibration.space != first.calibration.space)
    if left:
        _notify(f"{left} not opened: napari can show only images of one unit together")
    return kept


def _as_paths(path: PathOrPaths) -> Sequence[str]:
    return [path] if isinstance(path, str) else path


def _notify(text: str) -> None:
    from napari.utils.notifications import show_warning

    show_warning(text)
