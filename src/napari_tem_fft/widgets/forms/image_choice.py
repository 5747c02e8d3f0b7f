"""ImageChoice: a list of the images of a viewer that can be analysed."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox

from ..session.layer_group import widen_grey_range
from ..session.source import is_source
from .controls import short


class ImageChoice(QComboBox):
    """Names of the viewer's images that are not results of an analysis; a new image is chosen at once.

    Parameters
    ----------
    viewer : ViewerModel

    Signals
    -------
    chosen(Image or None)
        Another image is chosen.
    """

    chosen = Signal(object)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._images: list[Image] = []
        self.setToolTip("The micrograph that is analysed")
        short(self, 12)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            event.connect(self._on_layers_changed)
        self.currentIndexChanged.connect(self._on_index_changed)
        self._fill()

    @property
    def image(self) -> Image | None:
        """The chosen image; None where there is none."""
        index = self.currentIndex()
        return self._images[index] if 0 <= index < len(self._images) else None

    @image.setter
    def image(self, image: Image) -> None:
        self.setCurrentIndex(self._images.index(image))

    def _fill(self) -> None:
        before = self.image
        images = [layer for layer in self._viewer.layers if is_source(layer)]
        new = [image for image in images if image not in self._images]
        self.blockSignals(True)
        self.clear()
        self._images = images
        self.addItems([image.name for image in images])
        after = new[-1] if new else before if before in images else images[-1] if images else None
        if after is not None:
            self.setCurrentIndex(images.index(after))
        self.blockSignals(False)
        for image in new:
            widen_grey_range(image)
        if after is not before:
            self.chosen.emit(after)

    def _on_layers_changed(self, event: Any = None) -> None:
        self._fill()

    def _on_index_changed(self, index: int) -> None:
        self.chosen.emit(self.image)
