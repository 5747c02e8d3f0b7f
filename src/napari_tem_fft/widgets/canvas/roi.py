"""A drawn shape as an image layer of its own: the part of a micrograph that it holds, in its place."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes
from numpy.typing import NDArray

from ...core.image.roi import part_of
from ...layers.results import KEY, micrograph_layer
from ..session.source import micrograph_from

#: Corners of an ellipse.
CORNERS = 48


def drawn_part(layer: Image, viewer: ViewerModel) -> Layer:
    """Return the part of an image inside the shape that is drawn over it.

    Raises
    ------
    ValueError
        If no shape is drawn, or it holds too little of the image; the message says what to do.
    """
    corners = drawn_corners(layer, viewer)
    micrograph = micrograph_from(layer, viewer)
    part, start = part_of(micrograph, corners)
    data, kwargs, kind = micrograph_layer(part)
    kwargs["translate"] = layer.translate[-2:] + np.array(start) * micrograph.pixel_size
    return Layer.create(data, kwargs, kind)


def drawn_corners(layer: Image, viewer: ViewerModel) -> NDArray[np.float64]:
    """Return the corners (y, x) of the shape drawn over an image, in nm from the middle of its first pixel.

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
    """Corners (y, x) in the world of the shape that is meant: selected ones first, then the newest."""
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
    """Whether a layer holds shapes that a person has drawn on the image."""
    if not isinstance(layer, Shapes) or not len(layer.data):
        return False
    return bool(layer.metadata.get(KEY, {}).get("role", "part") == "part")


def _ellipse(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners on the ellipse inside a box of four corners."""
    middle, a, b = box.mean(axis=0), (box[1] - box[0]) / 2, (box[3] - box[0]) / 2
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)[:, None]
    ring: NDArray[np.float64] = middle + np.cos(turn) * a + np.sin(turn) * b
    return ring
