"""npe2 reader: microscope files as calibrated image layers, ``*.temfft`` documents, bundled samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.image.micrograph import ImageStack, Micrograph
from ..core.pipeline import Analysis
from ..layers.file_format import layer_from_plain
from ..layers.image import KEY, NUMBERED, LayerData, content_id, micrograph_layer, stack_layer, stamped
from ..layers.results import ORDER, role_of

if TYPE_CHECKING:
    from ..io.exchange.temfft import StoredImage

PathOrPaths = str | Sequence[str]
#: Suffix of this package's own documents.
DOCUMENT = ".temfft"
#: Suffixes that this plugin opens in napari; the command line reads more.
SUFFIXES = {".dm3", ".dm4", ".dm5", ".ser", ".emd", DOCUMENT}


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return `read_layers` if the suffix is supported; otherwise napari tries the next reader."""
    suffixes = {Path(one).suffix.lower() for one in _as_paths(path)}
    return read_layers if suffixes and suffixes <= SUFFIXES else None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read all images and stacks of one or more files as layers in nm, or the layers of a document.

    Warnings about a file (no calibration, images that cannot be shown) appear as notifications. The layer of
    a stack has a frame axis; the displayed frame is analysed.

    Raises
    ------
    ReadError
        If a file cannot be read; the message says what to do.
    """
    layers = []
    for one in map(Path, _as_paths(path)):
        layers += _document_layers(one) if one.suffix.lower() == DOCUMENT else _file_layers(one)
    _number_images(layers)
    return layers


def _number_images(layers: Sequence[LayerData]) -> None:
    """Note the index of each image and their number; napari takes seconds to add a group of layers."""
    noted = [kwargs["metadata"][KEY] for _, kwargs, _ in layers if KEY in kwargs.get("metadata", {})]
    images = [notes for notes in noted if notes.get("role", "micrograph") == "micrograph"]
    for number, notes in enumerate(images if len(images) > 1 else (), 1):
        notes[NUMBERED] = (number, len(images))


def _file_layers(path: Path) -> list[LayerData]:
    from ..io.readers.micrographs import read_images

    images = _same_unit(read_images(path))
    for text in dict.fromkeys(text for image in images for text in image.warnings):
        _notify(f"{path.name}: {text}")
    return [_layer(image) for image in images]


def _document_layers(path: Path) -> list[LayerData]:
    """The saved layers; if only analyses were saved, layers that show them."""
    from ..io.exchange.temfft import load_temfft, results_name

    document = load_temfft(path)
    if not document.layers:
        return [layer for image in document.images for layer in _image_layers(image)]
    analyses = {results_name(number): image.analysis for number, image in enumerate(document.images)}
    stored = [layer_from_plain(one.data, one.attributes, one.kind) for one in document.layers]
    layers = []
    for layer in stored:
        notes = layer[1].get("metadata", {}).get(KEY, {})
        if notes.get("role") in ("part", "live", "grain_fft"):
            continue  # what followed a drag is not wanted in a new session
        layers.append(layer)
        analysis = analyses.get(str(notes.pop("analysis", None)))
        if analysis is not None:
            notes["analysis"] = analysis  # for further edits and for saving
            known = analysis.micrograph.calibration.uncertainty
            notes["calibration"] = {**notes.get("calibration", {}), "uncertainty": known}
    return layers


def _image_layers(image: StoredImage) -> list[LayerData]:
    """Layers of a micrograph and its analysis."""
    layer = micrograph_layer(image.micrograph)
    if image.analysis is None:
        return [layer]
    layer[1]["metadata"][KEY]["analysis"] = image.analysis
    return [layer, *_analysis_layers(image.analysis)]


def _analysis_layers(analysis: Analysis) -> list[LayerData]:
    """Layers of an analysis as after a run, from bottom to top."""
    from ..core.reanalysis import replayed_steps
    from ..layers.presenter import Presenter

    layers: dict[str, LayerData] = {}
    known = content_id(analysis.micrograph.pixels)
    for step in Presenter(analysis.micrograph).present(replayed_steps(analysis)):
        layers |= {role_of(layer): stamped(layer, known) for layer in step.product.layers}
    return [layers[role] for role in sorted(layers, key=lambda role: ORDER.index(role.split()[0]))]


def _layer(image: Micrograph | ImageStack) -> LayerData:
    return stack_layer(image) if isinstance(image, ImageStack) else micrograph_layer(image)


def _same_unit(images: Sequence[Micrograph | ImageStack]) -> list[Micrograph | ImageStack]:
    """Keep images in the space of the first real-space one, because napari shows only one unit at a time."""
    first = next((m for m in images if m.calibration.space == "real"), images[0])
    kept = [m for m in images if m.calibration.space == first.calibration.space]
    left = ", ".join(m.name for m in images if m.calibration.space != first.calibration.space)
    if left:
        _notify(f"{left} not opened: napari can only show images with the same unit together")
    return kept


def _as_paths(path: PathOrPaths) -> Sequence[str]:
    return [path] if isinstance(path, str) else path


def _notify(text: str) -> None:
    from napari.utils.notifications import show_warning

    show_warning(text)


def open_sample() -> list[LayerData]:
    """Open the large sample: grains of several phases on an amorphous film, with vacuum."""
    return _open("sample.dm4")


def open_film() -> list[LayerData]:
    """Open a film without crystals, in which nothing should be found."""
    return _open("film.dm4")


def open_edge() -> list[LayerData]:
    """Open a single LiF crystal at the edge of its film, partly over vacuum."""
    return _open("edge.dm4")


def _open(name: str) -> list[LayerData]:
    with as_file(files("napari_tem_fft") / "data" / name) as path:
        return read_layers(str(path))
