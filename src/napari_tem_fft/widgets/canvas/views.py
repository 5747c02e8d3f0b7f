"""Flights of the camera between the micrograph and its FFT."""

from __future__ import annotations

from typing import Literal

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from ..forms.controls import button, fill_row
from ..session.image_state import ImageState
from .keys import words_of

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
            each.fit_to_view(layers=here, margin=0.03)


def fly_to(viewer: ViewerModel, place: tuple[float, float], size: float) -> None:
    """Look at a place (y, x) of the micrograph so that something of a size, in nm, is well seen."""
    viewer.scene.camera.center = (0.0, *place)
    viewer.scene.camera.zoom = 0.35 * min(viewer.canvas.size) / max(size, 1e-3)
