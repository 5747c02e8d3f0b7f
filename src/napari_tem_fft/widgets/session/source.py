"""Get the micrograph of an image layer, or the part inside a drawn shape; hide layers temporarily.

The previous visibility of hidden layers is stored in their metadata, so that it is saved with documents.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes
from numpy.typing import NDArray

from ...core.image.calibration import GIVEN, Calibration
from ...core.image.micrograph import Micrograph
from ...core.image.roi import part_of
from ...core.pipeline import Analysis
from ...io.readers.pictures import to_grey
from ...layers.image import KEY, calibration_of, micrograph_layer, micrograph_of

#: Key of this plugin's metadata for the previous visibility.
BEFORE = "was_visible"


def hide(layer: Layer) -> None:
    """Hide a layer temporarily; its visibility before the first of several calls is remembered."""
    notes = notes_of(layer)
    if BEFORE not in notes:
        write_notes(layer, {**notes, BEFORE: bool(layer.visible)})
    layer.visible = False


def bring_back(layer: Layer) -> None:
    """Restore the visibility of a hidden layer; other layers are not changed."""
    notes = notes_of(layer)
    if BEFORE in notes:
        layer.visible = bool(notes[BEFORE])
        write_notes(layer, {name: value for name, value in notes.items() if name != BEFORE})


def set_visible(layer: Layer, visible: bool) -> None:
    """Set the visibility of a layer; for a hidden layer, it applies when the layer is restored."""
    if is_hidden(layer):
        write_notes(layer, {**notes_of(layer), BEFORE: visible})
    else:
        layer.visible = visible


def is_hidden(layer: Layer) -> bool:
    """Whether a layer is hidden temporarily."""
    return BEFORE in notes_of(layer)


def notes_of(layer: Layer) -> dict[str, Any]:
    """Return the metadata of this plugin for a layer, or the defaults for an image of another reader."""
    known: dict[str, Any] = layer.metadata.get(KEY, {"role": "micrograph", "name": layer.name})
    return known


def write_notes(layer: Layer, notes: dict[str, Any]) -> None:
    """Replace the metadata of this plugin for a layer, but not for duplicates that share it."""
    layer.metadata[KEY] = notes


def micrograph_from(layer: Image, viewer: ViewerModel) -> Micrograph:
    """Return the shown plane of an image layer as a micrograph.

    Colour images, which napari's own readers can open, are converted to luminance.

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
    """Return the finished analysis stored with a layer, if it has the present scale of the layer."""
    found = layer.metadata.get(KEY, {}).get("analysis")
    if not isinstance(found, Analysis) or found.micrograph.calibration.unit == "pixel":
        return None
    before = found.micrograph.calibration.scale
    return found if np.allclose(calibration_from(layer).scale, before, rtol=1e-6) else None


def calibration_from(layer: Layer) -> Calibration:
    """Return the calibration of an image layer: its present scale and uncertainty."""
    return calibration_of({"scale": layer.scale, "units": layer.units, "metadata": layer.metadata})


def stated_pixel_size(layer: Image) -> float | None:
    """Pixel size, nm, that a TIFF file states but napari's reader ignores; None if there is none."""
    path = Path(str(layer.source.path or ""))
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    from ...io.readers.micrographs import read_images

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
    """Whether a layer can be analysed, which is true for images that are not results."""
    role = layer.metadata.get(KEY, {}).get("role", "micrograph")
    return isinstance(layer, Image) and role == "micrograph"


def set_pixel_size(layer: Image, pixel_size: float, source: str = GIVEN) -> None:
    """Calibrate a layer that has no scale.

    Parameters
    ----------
    pixel_size : float, nm
    source : str
        Origin of the scale, see `Calibration`.
    """
    layer.scale = [*layer.scale[:-2], pixel_size, pixel_size]
    layer.units = [*layer.units[:-2], "nm", "nm"]
    _note(layer, source=source)["scale"] = (pixel_size, pixel_size)


def set_calibration(layer: Image, calibration: Calibration) -> None:
    """Set the scale of a layer, and store its uncertainty and origin in the metadata."""
    layer.scale = [*layer.scale[:-2], *calibration.scale]
    layer.units = [*layer.units[:-2], calibration.unit, calibration.unit]
    notes = _note(layer, uncertainty=calibration.uncertainty, source=calibration.source)
    notes["scale"] = calibration.scale


def set_uncertainty(layer: Image, uncertainty: float) -> None:
    """Store the relative uncertainty of the scale that the user states in the metadata of a layer."""
    _note(layer, uncertainty=uncertainty)


def _note(layer: Image, **known: Any) -> dict[str, Any]:
    """Store information on the scale in the metadata of a layer, but not of its duplicates."""
    before = notes_of(layer)
    notes = {**before, "calibration": {**before.get("calibration", {}), **known}}
    write_notes(layer, notes)
    return notes


#: Number of corners of the polygon for an ellipse.
CORNERS = 48


def drawn_part(layer: Image, viewer: ViewerModel) -> Layer:
    """Return the part of an image inside the shape drawn on it.

    Raises
    ------
    ValueError
        If no shape is drawn, or it contains too little of the image; the message says what to do.
    """
    corners = drawn_corners(layer, viewer)
    micrograph = micrograph_from(layer, viewer)
    part, start = part_of(micrograph, corners)
    data, kwargs, kind = micrograph_layer(part)
    kwargs["translate"] = layer.translate[-2:] + np.array(start) * micrograph.pixel_size
    return Layer.create(data, kwargs, kind)


def drawn_corners(layer: Image, viewer: ViewerModel) -> NDArray[np.float64]:
    """Return the corners (y, x) of the shape drawn on an image, in nm from the centre of its first pixel.

    Raises
    ------
    ValueError
        If no shape is drawn; the message says what to do.
    """
    corners = _drawn_shape(viewer)
    if corners is None:
        raise ValueError(
            "draw a rectangle, an ellipse or a polygon over the image first: in a new Shapes layer, or with"
            " the live FFT"
        )
    return np.asarray(corners - layer.translate[-2:], np.float64)


def _drawn_shape(viewer: ViewerModel) -> NDArray[np.float64] | None:
    """World coordinates (y, x) of the corners of the first selected shape, or else of the newest."""
    active = viewer.layers.selection.active
    layers = [layer for layer in (active, *reversed(viewer.layers)) if _is_drawing(layer)]
    if not layers:
        return None
    layer = layers[0]
    index = max(layer.selected_data, default=len(layer.data) - 1)
    corners = np.asarray(layer.data[index], float)
    if layer.shape_type[index] == "ellipse":
        corners = _ellipse(corners)
    return np.array([layer.data_to_world(corner)[-2:] for corner in corners])


def _is_drawing(layer: Layer | None) -> bool:
    """Whether a layer contains shapes that the user has drawn on the image."""
    if not isinstance(layer, Shapes) or not len(layer.data):
        return False
    return bool(layer.metadata.get(KEY, {}).get("role", "part") == "part")


def _ellipse(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners on the ellipse inside a box of four corners."""
    middle, a, b = box.mean(axis=0), (box[1] - box[0]) / 2, (box[3] - box[0]) / 2
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)[:, None]
    ring: NDArray[np.float64] = middle + np.cos(turn) * a + np.sin(turn) * b
    return ring
