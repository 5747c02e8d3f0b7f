"""MaskWatcher: tells when a person has changed the mask, by brush, eraser, fill, polygon or undo.

A brush stroke, a fill and a polygon each emit napari's ``paint`` event once, when they are finished.
Undo and redo emit none, only the refresh (``set_data``) that everything else causes too: there the
mask is compared with what was last known.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from ..session.image_state import ImageState


class MaskWatcher(QObject):
    """Watches one Labels layer.

    Parameters
    ----------
    layer : Labels
        The mask; its data as they are now count as known.

    Signals
    -------
    stroke_began()
        The mouse button went down on the layer in one of the drawing modes.
    changed(ndarray, ndarray)
        The layer's data, and what was known of them before; once a stroke.
    """

    stroke_began = Signal()
    changed = Signal(object, object)

    def __init__(self, layer: Labels) -> None:
        super().__init__()
        self.layer = layer
        self.known: NDArray[np.uint8] = np.array(layer.data)
        self._drawing = False
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._compare)
        layer.events.paint.connect(self._on_event)
        layer.events.set_data.connect(self._on_event)
        layer.mouse_drag_callbacks.append(self._on_drag)

    def remember(self) -> None:
        """Take the layer's data for known."""
        self.known = np.array(self.layer.data)

    def release(self) -> None:
        """Stop watching."""
        self._timer.stop()
        self.layer.events.paint.disconnect(self._on_event)
        self.layer.events.set_data.disconnect(self._on_event)
        self.layer.mouse_drag_callbacks.remove(self._on_drag)

    def _on_event(self, event: Any = None) -> None:
        if not self._drawing:
            self._timer.start()

    def _on_drag(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        if str(layer.mode) in ("pan_zoom", "transform", "pick"):
            return
        self._drawing = True
        self.stroke_began.emit()
        yield
        while event.type == "mouse_move":
            yield
        self._drawing = False
        self._timer.start()

    def _compare(self) -> None:
        if self._drawing or np.array_equal(self.known, self.layer.data):
            return
        self.changed.emit(self.layer.data, self.known)
        self.remember()  # with what was painted at -g meanwhile: one stroke is told once


class MaskWatchers(QObject):
    """Watches the masks of all images of a viewer, and lends them undo and redo.

    Signals
    -------
    changed(ndarray, ndarray)
        A mask differs from what was shown, the second.
    stroke_began()
        A stroke has begun on one of them.
    undo_asked(), redo_asked()
        Ctrl+Z or Ctrl+Shift+Z was pressed on one of them.
    """

    changed = Signal(object, object)
    stroke_began = Signal()
    undo_asked = Signal()
    redo_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._watchers: dict[Layer, MaskWatcher] = {}

    def watch(self, image_state: ImageState) -> None:
        """Watch the mask that is shown now; what it holds is known."""
        layer, watcher = image_state.group.get("mask"), self._watchers.get(image_state.layer)
        if watcher is not None and watcher.layer is layer:
            watcher.remember()
        elif isinstance(layer, Labels):
            self.release(image_state.layer)
            self._watchers[image_state.layer] = watcher = MaskWatcher(layer)
            watcher.changed.connect(self.changed)
            watcher.stroke_began.connect(self.stroke_began)
            layer.bind_key("Control-Z", self._on_undo_key, overwrite=True)
            layer.bind_key("Control-Shift-Z", self._on_redo_key, overwrite=True)

    def release(self, image: Layer) -> None:
        """Stop watching the mask of an image."""
        watcher = self._watchers.pop(image, None)
        if watcher is not None:
            watcher.release()

    def _on_undo_key(self, layer: Labels) -> None:
        self.undo_asked.emit()

    def _on_redo_key(self, layer: Labels) -> None:
        self.redo_asked.emit()


def set_editable(image_state: ImageState, editable: bool) -> None:
    """Let a mask be painted on, or not while the spots are still looked for."""
    layer = image_state.group.get("mask")
    if isinstance(layer, Labels):
        layer.editable = editable
