"""npe2 writers: layers with their analysis as ``*.temfft``, and images as TIFF with their calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.image.micrograph import Micrograph
from ..core.pipeline import Analysis
from ..io.exchange.temfft import Document, StoredImage, StoredLayer, results_name, save_temfft
from ..io.results.map_files import write_tiff
from ..layers.file_format import plain_layer
from ..layers.image import KEY, LayerData, micrograph_of
from ..layers.results import PASSING


def write_document(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Save layers with scale and units, colours and tables, and the analysis that they show.

    Layers of a selection or a tool are omitted unless there are no others; the other layers are saved with
    their appearance without a selection.

    Parameters
    ----------
    path : str
        Ends in ".temfft"; if a folder of that name exists, it is used, otherwise a zip file is written.
    layers : sequence of (data, attributes, type)

    Returns
    -------
    list of str
        The files written.

    Raises
    ------
    RuntimeError
        If the layers cannot be saved; the message gives the reason.
    """
    with _show_errors():
        return _save_layers(path, layers)


def _save_layers(path: str, layers: Sequence[LayerData]) -> list[str]:
    layers = [_unselected(layer) for layer in layers if _role(layer) not in PASSING] or list(layers)
    analyses: list[Analysis] = []
    for _, attributes, _ in layers:
        found = analysis_of(attributes)
        if found is not None and not any(found is other for other in analyses):
            analyses.append(found)
    if analyses:
        images = [StoredImage(analysis.micrograph, analysis) for analysis in analyses]
    else:
        micrograph = _micrograph(layers)
        images = [StoredImage(micrograph)] if micrograph is not None else []
    stored = tuple(_stored_layer(layer, images) for layer in layers)
    return [str(save_temfft(path, Document.of(images, stored)))]


def write_image(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image or labels as TIFF in ImageJ's convention, with pixel size and unit.

    Raises
    ------
    RuntimeError
        If the file cannot represent the image; the message gives the reason.
    """
    scale, units = attributes.get("scale", (1.0, 1.0))[-2:], attributes.get("units", ("pixel", "pixel"))[-2:]
    contrast = attributes.get("contrast_limits")
    with _show_errors():
        return [str(write_tiff(path, data, scale, [str(unit) for unit in units], contrast))]


@contextmanager
def _show_errors() -> Iterator[None]:
    """Convert `ValueError`, for which napari shows no message, to an error that it shows."""
    try:
        yield
    except ValueError as error:
        raise RuntimeError(str(error)) from error


def analysis_of(attributes: Mapping[str, Any]) -> Analysis | None:
    """The analysis in the metadata of a micrograph's layer, if it is finished."""
    found = attributes.get("metadata", {}).get(KEY, {}).get("analysis")
    return found if isinstance(found, Analysis) else None


def _role(layer: LayerData) -> Any:
    return layer[1].get("metadata", {}).get(KEY, {}).get("role")


def _unselected(layer: LayerData) -> LayerData:
    """The layer with its opacity and visibility without a selection, which dims other layers."""
    data, attributes, kind = layer
    notes = dict(attributes.get("metadata", {}).get(KEY, {}))
    own = {name: notes.pop(f"own_{name}") for name in ("opacity", "visible") if f"own_{name}" in notes}
    if not own:
        return layer
    return data, {**attributes, **own, "metadata": {**attributes["metadata"], KEY: notes}}, kind


def _micrograph(layers: Sequence[LayerData]) -> Micrograph | None:
    """The micrograph of the first layer that has one."""
    for data, attributes, kind in layers:
        if kind == "image" and _role((data, attributes, kind)) == "micrograph" and len(data.shape) == 2:
            return micrograph_of(data, attributes)
    return None


def _stored_layer(layer: LayerData, images: Sequence[StoredImage]) -> StoredLayer:
    """A layer as plain values; an analysed image refers to its results and shares its pixels with them."""
    data, attributes = plain_layer(*layer)
    notes, analysis = attributes.get("metadata", {}).get(KEY, {}), analysis_of(layer[1])
    for number, image in enumerate(images):
        if analysis is not None and image.analysis is analysis:
            notes["analysis"] = results_name(number)
        if notes.get("role") == "micrograph" and layer[2] == "image":
            data = image.micrograph.pixels if _same(data, image.micrograph.pixels) else data
    return StoredLayer(data, attributes, layer[2])


def _same(data: Any, pixels: NDArray[Any]) -> bool:
    """Whether a layer's data are the pixels of a micrograph."""
    if data is pixels:
        return True
    alike = isinstance(data, np.ndarray) and (data.shape, data.dtype) == (pixels.shape, pixels.dtype)
    return alike and np.array_equal(data, pixels, equal_nan=data.dtype.kind == "f")
