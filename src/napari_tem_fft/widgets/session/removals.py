"""Removals: layers of a viewer that the plugin takes away, never in the middle of somebody else's removal."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, ref

from napari.components import ViewerModel
from napari.layers import Layer
from napari.qt import QtViewer
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication


class Removals(QObject):
    """Removes layers at once; while others are being removed, when that is over.

    Whoever empties the list of layers (Ctrl+A, Delete) goes through it one by one, and would miss those that
    are gone with the micrograph from which they were made.

    Parameters
    ----------
    viewer : ViewerModel
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self._waiting: list[Layer] = []
        self._own = self._busy = False
        self._shown_in: ref[QtViewer] | None = None
        self._over = QTimer(self, singleShot=True, interval=0)
        self._over.timeout.connect(self._on_over)
        viewer.layers.events.removing.connect(self._on_removing)

    def remove(self, layer: Layer) -> None:
        """Remove a layer, now or as soon as may be."""
        if self._busy:
            self._waiting.append(layer)
            return
        viewer = self._viewer()
        if viewer is not None and layer in viewer.layers:
            self._own = True
            try:
                with _nothing_to_collect():
                    viewer.layers.remove(layer)
            finally:
                self._own = False

    def _on_removing(self, event: Any = None) -> None:
        self._make_canvas_current()
        if not self._own:
            self._busy = True
            self._over.start()

    def _on_over(self) -> None:
        self._busy = False
        waiting, self._waiting = self._waiting, []
        for layer in waiting:
            self.remove(layer)

    def _make_canvas_current(self) -> None:
        """Let what draws the layer be deleted in the OpenGL context in which it was made.

        napari deletes it at once, whichever context is current. Between two drawings that is Qt's own, in
        which the window is put together, and one of the next drawings ends the process.
        """
        shown_in = self._shown_in() if self._shown_in is not None else None
        if shown_in is None:
            viewer = self._viewer()
            found = [w for w in QApplication.allWidgets() if isinstance(w, QtViewer) and w.viewer is viewer]
            if not found:  # a viewer without a window
                return
            shown_in = found[0]
            self._shown_in = ref(shown_in)
        shown_in.canvas.native.makeCurrent()


def removals_of(viewer: ViewerModel) -> Removals:
    """Return the one of a viewer; it goes with it."""
    if viewer not in _removals:
        _removals[viewer] = Removals(viewer)
    return _removals[viewer]


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Hide all objects from the collection of garbage that napari does when a layer is removed.

    It stops everything for a quarter of a second. napari does it for drivers of Windows, where it stays.
    """
    if sys.platform == "win32" or gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


_removals: WeakKeyDictionary[ViewerModel, Removals] = WeakKeyDictionary()
