"""npe2 reader: microscopes' files as calibrated image layers, and our own ``*.temfft``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..core.image.micrograph import Micrograph
from ..core.image.stack import ImageStack
from ..core.pipeline import Analysis
from ..layers.file_format import layer_from_plain
from ..layers.results import KEY, ORDER, LayerData, micrograph_layer, stack_layer

PathOrPaths = str | Sequence[str]
#: Suffix of our own documents.
DOCUMENT = ".temfft"
#: Suffixes that this plugin opens in napari; the command line reads more.
SUFFIXES = {".dm3", ".dm4", ".dm5", ".ser", ".emd", DOCUMENT}


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return `read_layers` for files of this kind; napari asks the next reader otherwise."""
    suffixes = {Path(one).suffix.lower() for one in _as_paths(path)}
    return read_layers if suffixes and suffixes <= SUFFIXES else None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read every image and stack of one file or several as layers in nm, or a document's layers.

    What the user should know of a file (no calibration, images that cannot be shown) appears as a
    notification. A stack's layer has an axis of frames, of which the shown one is analysed.

    Raises
    ------
    ReadError
        If a file cannot be read; the message says what to do.
    """
    layers = []
    for one in map(Path, _as_paths(path)):
        layers += _document_layers(one) if one.suffix.lower() == DOCUMENT else _file_layers(one)
    return layers


def _file_layers(path: Path) -> list[LayerData]:
    from ..io.readers.dm import read_images

    images = _of_one_space(read_images(path))
    for text in dict.fromkeys(text for image in images for text in image.warnings):
        _notify(f"{path.name}: {text}")
    return [_layer(image) for image in images]


def _document_layers(path: Path) -> list[LayerData]:
    """The layers that were saved; where only an analysis was, those that show it."""
    from ..io.exchange.temfft import load_temfft

    document = load_temfft(path)
    if document.layers:
        layers = [layer_from_plain(one.data, one.attributes, one.kind) for one in document.layers]
        for _, kwargs, _ in layers:
            notes = kwargs.get("metadata", {}).get(KEY, {})
            if notes.pop("analysis", None) and document.analysis is not None:
                notes["analysis"] = document.analysis  # so that it can be edited and saved again
                known = document.analysis.micrograph.calibration.uncertainty
                notes["calibration"] = {**notes.get("calibration", {}), "uncertainty": known}
        return layers
    if document.micrograph is None:
        return []
    image = micrograph_layer(document.micrograph)
    if document.analysis is None:
        return [image]
    image[1]["metadata"][KEY]["analysis"] = document.analysis
    return [image, *_announce(document.analysis)]


def _announce(analysis: Analysis) -> list[LayerData]:
    """Layers of an analysis as a run leaves them, from the bottom to the top."""
    from ..core.reanalysis import replayed_steps
    from ..layers.presenter import Presenter

    layers: dict[str, LayerData] = {}
    for step in Presenter(analysis.micrograph).present(replayed_steps(analysis)):
        layers |= {layer[1]["metadata"][KEY]["role"]: layer for layer in step.product.layers}
    return [layers[role] for role in sorted(layers, key=lambda role: ORDER.index(role.split()[0]))]


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
