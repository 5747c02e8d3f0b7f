"""Flights of the camera between the micrograph and its FFT."""

from __future__ import annotations

from typing import Literal

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from ..forms.controls import button, fill_row
from ..session.image_state import ImageState
from .keys import words_of

#: What is flown to has this share of the window's shorter side.
SHARE = 0.35
#: Share of the window that is filled by what it is fitted to.
MARGIN = 0.97
Space = Literal["real", "reciprocal", "both"]
SPACES: tuple[Space, ...] = ("real", "reciprocal", "both")


class ViewButtons(QWidget):
    """Buttons that fly to the micrograph, to its FFT, or so far off that both are seen.

    Signals
    -------
    wanted(str)
        Where to fly to.
    """

    wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.to_real = button("Image", f"Look at the micrograph{words_of('real')}")
        self.to_reciprocal = button("FFT", f"Look at the FFT{words_of('reciprocal')}")
        self.to_both = button("Both", f"Look at the micrograph and the FFT beside it{words_of('both')}")
        buttons = (self.to_real, self.to_reciprocal, self.to_both)
        fill_row(QHBoxLayout(self), QLabel("view"), *buttons)
        for each in buttons:
            each.clicked.connect(self._on_clicked)

    def _on_clicked(self) -> None:
        spaces: dict[object, Space] = {self.to_real: "real", self.to_reciprocal: "reciprocal"}
        self.wanted.emit(spaces.get(self.sender(), "both"))


def look_at(viewer: ViewerModel, image: Image, image_state: ImageState | None, space: Space) -> None:
    """Fly to an image, to its FFT, or so far off that both are seen; to the image where there is no FFT."""
    group = image_state.group if image_state is not None else None
    fft = group.get("fft") if group is not None else None
    around = [group.get(role) for role in ("legend", "key")] if group is not None else []
    for each in (viewer, group.home("fft") if group is not None else viewer):
        wanted = {"real": [image, *around], "reciprocal": [fft], "both": [image, fft, *around]}[space]
        here = [layer for layer in wanted if layer is not None and layer in each.layers]
        if not here and each is viewer and fft is None:
            here = [image]
        if here:
            # not by napari's own fit, which fails for images beside a stack
            corners = np.concatenate([layer.extent.world[:, -2:] for layer in here])
            _fit(each, np.nanmin(corners, axis=0), np.nanmax(corners, axis=0))


def fly_to(viewer: ViewerModel, place: tuple[float, float], size: float, beside: Layer | None = None) -> None:
    """Look at a place (y, x) of the micrograph so that something of a size, in nm, is well seen.

    With a layer beside it so that it and the whole layer are seen.
    """
    reach = size * (1.0 if beside is not None else MARGIN / SHARE) / 2
    low, high = np.subtract(place, reach), np.add(place, reach)
    if beside is not None:
        corners = beside.extent.world[:, -2:]
        low, high = np.minimum(low, corners.min(axis=0)), np.maximum(high, corners.max(axis=0))
    _fit(viewer, low, high)


def _fit(viewer: ViewerModel, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    """Look at what lies between two corners (y, x) of the world."""
    zoom = float(np.min(np.array(viewer.canvas.size) / np.maximum(high - low, 1e-3)))
    viewer.scene.camera.center = (0.0, *((low + high) / 2).tolist())
    viewer.scene.camera.zoom = MARGIN * zoom


def sees_whole(viewer: ViewerModel, layer: Layer) -> bool:
    """Whether a layer that is shown lies in the camera's field with all its corners."""
    if layer not in viewer.layers or not layer.visible:
        return False
    field = np.array(viewer.canvas.size) / viewer.scene.camera.zoom / 2
    off = np.abs(layer.extent.world[:, -2:] - np.array(viewer.scene.camera.center[-2:]))
    return bool(np.all(off <= field))
