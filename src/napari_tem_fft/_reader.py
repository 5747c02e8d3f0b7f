"""npe2 reader: microscopes' files as calibrated image layers, and our own ``*.temfft``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ._layers import LayerData, micrograph_layer, stack_layer
from .core.micrograph import Micrograph
from .core.stack import ImageStack

PathOrPaths = str | Sequence[str]
#: Suffixes that this plugin opens in napari; the command line reads more.
SUFFIXES = {".dm3", ".dm4", ".ser", ".emd"}


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return `read_layers` for files of this kind; napari asks the next reader otherwise."""
    suffixes = {Path(one).suffix.lower() for one in _as_paths(path)}
    return read_layers if suffixes and suffixes <= SUFFIXES else None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read every image and stack of one file or several as layers in nm.

    What the user should know of a file (no calibration, images that cannot be shown) appears as a
    notification. A stack's layer has an axis of frames, of which the shown one is analysed.

    Raises
    ------
    ReadError
        If a file cannot be read; the message says what to do.
    """
    from .io.dm import read_images

    layers = []
    for one in _as_paths(path):
        images = _of_one_space(read_images(one))
        for text in dict.fromkeys(text for image in images for text in image.warnings):
            _notify(f"{Path(one).name}: {text}")
        layers += [_layer(image) for image in images]
    return layers


def _layer(image: Micrograph | ImageStack) -> LayerData:
    return stack_layer(image) if isinstance(image, ImageStack) else micrograph_layer(image)


def _of_one_space(images: Sequence[Micrograph | ImageStack]) -> list[Micrograph | ImageStack]:
    """Images of the space of the first real-space one, for napari shows only one unit at a time."""
    first = next((m for m in images if m.calibration.space == "real"), images[0])
    kept = [m for m in images if m.calibration.space == first.calibration.space]
    left = ", ".join(m.name for m in images if m.calibration.space != first.calibration.space)
    if left:
        _notify(f"{left} not opened: napari can show only images of one unit together")
    return kept


def _as_paths(path: PathOrPaths) -> Sequence[str]:
    return [path] if isinstance(path, str) else path


def _notify(text: str) -> None:
    from napari.utils.notifications import show_warning

    show_warning(text)
