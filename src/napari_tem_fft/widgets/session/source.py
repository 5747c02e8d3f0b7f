"""The micrograph behind an image layer, whoever opened it, with its scale as it stands now."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer

from ...core.image.calibration import GIVEN, Calibration
from ...core.image.micrograph import Micrograph
from ...core.pipeline import Analysis
from ...io.readers.greyscale import to_grey
from ...layers.image import calibration_of
from ...layers.results import KEY, micrograph_of
from ..canvas.visibility import notes_of, write_notes


def micrograph_from(layer: Image, viewer: ViewerModel) -> Micrograph:
    """Return the shown plane of an image layer as a micrograph.

    A picture in colour, which napari may have opened by itself, is grey by its luminance.

    Raises
    ------
    ValueError
        If the layer is too small; the message says what to do.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    plane = viewer.dims.current_step[-layer.ndim :][: layer.ndim - 2]
    name = f"{layer.name} {' '.join(map(str, plane))}".strip()
    kwargs = {"name": name, "scale": layer.scale, "units": layer.units, "metadata": layer.metadata}
    if plane:
        kwargs["frame"] = plane[0] if len(plane) == 1 else plane
    pixels = np.asarray(data[tuple(plane)])
    return micrograph_of(to_grey(pixels) if layer.rgb else pixels, kwargs)


def analysis_of(layer: Layer) -> Analysis | None:
    """Return the finished analysis that a layer carries, if it is one of the layer's present scale."""
    found = layer.metadata.get(KEY, {}).get("analysis")
    if not isinstance(found, Analysis) or found.micrograph.calibration.unit == "pixel":
        return None
    before = found.micrograph.calibration.scale
    return found if np.allclose(calibration_from(layer).scale, before, rtol=1e-6) else None


def calibration_from(layer: Layer) -> Calibration:
    """Return the calibration of an image layer: its scale as it stands now, and how well it is known."""
    return calibration_of({"scale": layer.scale, "units": layer.units, "metadata": layer.metadata})


def stated_pixel_size(layer: Image) -> float | None:
    """Pixel size, nm, that a TIFF file states and napari's own reader leaves out; None where it has none."""
    path = Path(str(layer.source.path or ""))
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    from ...io.readers.dm import read_images

    with suppress(OSError, ValueError):
        image = read_images(path)[0]
        known = image.calibration
        if (
            isinstance(image, Micrograph)
            and known.space == "real"
            and np.ptp(known.scale) < 1e-6 * known.scale[0]
        ):
            return known.scale[0]
    return None


def is_source(layer: Layer) -> bool:
    """Whether a layer can be analysed: an image that is no result of an analysis."""
    role = layer.metadata.get(KEY, {}).get("role", "micrograph")
    return isinstance(layer, Image) and role == "micrograph"


def set_pixel_size(layer: Image, pixel_size: float, source: str = GIVEN) -> None:
    """Calibrate a layer that has no scale.

    Parameters
    ----------
    pixel_size : float, nm
    source : str
        Who says so, as `Calibration` has it.
    """
    layer.scale = [*layer.scale[:-2], pixel_size, pixel_size]
    layer.units = [*layer.units[:-2], "nm", "nm"]
    _note(layer, source=source)["scale"] = (pixel_size, pixel_size)


def set_calibration(layer: Image, calibration: Calibration) -> None:
    """Give a layer a corrected scale, and let its metadata tell how well it is known and who says so."""
    layer.scale = [*layer.scale[:-2], *calibration.scale]
    layer.units = [*layer.units[:-2], calibration.unit, calibration.unit]
    notes = _note(layer, uncertainty=calibration.uncertainty, source=calibration.source)
    notes["scale"] = calibration.scale


def set_uncertainty(layer: Image, uncertainty: float) -> None:
    """Let a layer's metadata tell how well its scale is known, as a person states it; relative."""
    _note(layer, uncertainty=uncertainty)


def _note(layer: Image, **known: Any) -> dict[str, Any]:
    """Write into a layer's metadata what is known of its scale; a duplicate of the layer keeps its own."""
    before = notes_of(layer)
    notes = {**before, "calibration": {**before.get("calibration", {}), **known}}
    write_notes(layer, notes)
    return notes
