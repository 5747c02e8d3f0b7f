"""npe2 writers: layers with their analysis as ``*.temfft``, an image as TIFF with its calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.image.micrograph import Micrograph
from ..core.pipeline import Analysis
from ..io.exchange.temfft import RESULTS, Document, StoredLayer, save_temfft
from ..io.exchange.tiff import write_tiff
from ..layers.file_format import plain_layer
from ..layers.results import KEY, LayerData, micrograph_of


def write_document(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Save layers with scale and units, colours and tables, and the analysis that they show.

    Parameters
    ----------
    path : str
        Ends in ".temfft"; a folder of that name is filled, else a zip file written.
    layers : sequence of (data, attributes, type)

    Returns
    -------
    list of str
        What was written.
    """
    analysis = next((found for _, attributes, _ in layers if (found := analysis_of(attributes))), None)
    micrograph = analysis.micrograph if analysis is not None else _micrograph(layers)
    stored = tuple(_stored_layer(layer, micrograph) for layer in layers)
    return [str(save_temfft(path, Document(micrograph, analysis, stored)))]


def write_image(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Save an image or labels as TIFF of ImageJ's convention, which keeps the pixel size and its unit."""
    scale, units = attributes.get("scale", (1.0, 1.0))[-2:], attributes.get("units", ("pixel", "pixel"))[-2:]
    contrast = attributes.get("contrast_limits")
    return [str(write_tiff(path, data, scale, [str(unit) for unit in units], contrast))]


def analysis_of(attributes: Mapping[str, Any]) -> Analysis | None:
    """The analysis that a micrograph's layer carries in its metadata, if one is finished."""
    found = attributes.get("metadata", {}).get(KEY, {}).get("analysis")
    return found if isinstance(found, Analysis) else None


def _micrograph(layers: Sequence[LayerData]) -> Micrograph | None:
    """The micrograph of the first layer that is one."""
    for data, attributes, kind in layers:
        role = attributes.get("metadata", {}).get(KEY, {}).get("role")
        if kind == "image" and role == "micrograph" and len(data.shape) == 2:
            return micrograph_of(data, attributes)
    return None


def _stored_layer(layer: LayerData, micrograph: Micrograph | None) -> StoredLayer:
    data, attributes = plain_layer(*layer)
    notes = attributes.get("metadata", {}).get(KEY, {})
    if analysis_of(layer[1]) is not None:
        notes["analysis"] = RESULTS
    if micrograph is not None and notes.get("role") == "micrograph" and notes.get("name") == micrograph.name:
        data = micrograph.pixels if data.shape == micrograph.shape else data
    return StoredLayer(data, attributes, layer[2])
