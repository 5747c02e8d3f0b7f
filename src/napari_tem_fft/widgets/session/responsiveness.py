"""Keep the window responsive and its memory small: preload, split work, return memory, remove layers.

Modules that napari loads with the first layer of each kind are loaded in a thread before a run needs them.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import _lru_cache_wrapper, cache
from threading import Thread
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import pint
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.qt import QtViewer
from qtpy.QtCore import QObject, QTimer
from qtpy.QtGui import QPixmapCache
from qtpy.QtWidgets import QApplication, QWidget

#: Size in bytes from which an array is allocated separately, so that its memory is returned with it, and
#: largest free memory at the end of a heap. By default, glibc raises these to 32 and 64 MB with the largest
#: freed array; 60 images in turn then kept 60 MB in the heaps of threads, and another hour of use 330 MB.
WHOLE = 2**20

#: Numbers of glibc's `mallopt`: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3

#: Objects of garbage after which more is looked for; an image with its results leaves 30 000.
MUCH = 1000

#: Where functions of an image's shape remember their last tables.
SHAPED = tuple(f"napari_tem_fft.core.{room}" for room in ("fourier", "maps", "profile"))


@cache
def give_back_early() -> None:
    """Configure glibc to return the memory of large arrays when they are freed.

    Each thread that has run an analysis has its own heap, whose free end `malloc_trim` does not return. With
    other C libraries nothing is done.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(MMAP_THRESHOLD, WHOLE)
        libc.mallopt(TRIM_THRESHOLD, WHOLE)


def give_back() -> bool:
    """Collect garbage and return free memory to the system, which takes about a third of a second.

    Tables that images of one shape share are forgotten too: 23 MB for two images of 1024 x 1024 pixels.

    Returns
    -------
    bool
        Whether so much garbage was collected that more will follow, because objects with a finalizer keep
        others until they are gone: of an image's layers, 15 000 objects with the data of points and shapes
        follow the first 15 000.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith(SHAPED):
            for each in vars(module).values():
                if isinstance(each, _lru_cache_wrapper):
                    each.cache_clear()
    QPixmapCache.clear()  # of up to 10 MB
    collected = gc.collect()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)
    return collected > MUCH


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


#: Pause in milliseconds between two parts, in which the window can draw and process events.
BETWEEN = 10


def in_turns(owner: QWidget, work: Iterator[object]) -> None:
    """Run an iterator to its end, one step at a time, so that the window can draw and process events.

    Parameters
    ----------
    owner : QWidget
        The work ends when this widget or its window is deleted.
    work : iterator
        Each `next` does a part of the work.
    """
    timer = QTimer(owner, interval=BETWEEN)

    def go_on() -> None:
        if not owner.window().isVisible() or next(work, work) is work:
            timer.stop()
            timer.deleteLater()

    timer.timeout.connect(go_on)
    timer.start()


#: Time in ms for drawing a dock first.
SOON = 300


def load_layers(dock: QObject) -> None:
    """Create a layer of each kind in a thread, once, because the first ones are slow."""
    timer = QTimer(dock, singleShot=True, interval=SOON)
    timer.timeout.connect(_load_layers)
    timer.start()


@cache
def _load_layers() -> None:
    # napari's units are not thread-safe at first use: an image opened at the same time would have none
    units: Any = pint.application_registry
    _ = units.pixel
    # not a Qt worker, whose signals may be deleted if napari is closed first; Python waits for this thread
    Thread(target=_make_layers, name="first layers").start()


def _make_layers() -> None:
    cells, square = np.eye(4, dtype=np.uint8), np.array([(0, 0), (0, 1), (1, 1), (1, 0)])
    Image(cells.astype(np.float32))
    Labels(cells)
    Points(square, features={"text": ["a", "b", "c", "d"], "number": [1.0, 2.0, 3.0, 4.0]})
    Shapes([square], shape_type="ellipse", features={"text": ["a"]}, text="{text}")


#: Time in ms after the last removal of a layer until garbage is collected.
IDLE = 3000


class Removals(QObject):
    """Removes layers immediately, or, while others are being removed, afterwards.

    When the whole layer list is deleted (Ctrl+A, Delete), napari removes layers one by one, and would fail
    for those that were removed together with their micrograph.

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
        self._idle = QTimer(self, singleShot=True, interval=IDLE)
        self._idle.timeout.connect(self._on_idle)
        viewer.layers.events.removing.connect(self._on_removing)

    def remove(self, layer: Layer) -> None:
        """Remove a layer, now or as soon as possible."""
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
                self._idle.start()

    def _on_idle(self) -> None:
        """Collect the layers that were removed; their OpenGL objects are deleted by the next drawing."""
        if QApplication.mouseButtons():  # not during a brush stroke
            self._idle.start()
            return
        gc.collect()
        if (shown_in := self._window()) is not None:
            with suppress(RuntimeError):  # the window is being closed
                shown_in.canvas.native.update()

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
        """Make the OpenGL context current in which the visual of the layer was created.

        napari deletes the visual immediately, in whichever context is current. Between two drawings this is
        the context in which Qt composes the window, and one of the next drawings would crash.
        """
        if (shown_in := self._window()) is not None:
            shown_in.canvas.native.makeCurrent()

    def _window(self) -> QtViewer | None:
        """The widget in which the layers are drawn; None for a viewer without a window."""
        shown_in = self._shown_in() if self._shown_in is not None else None
        if shown_in is None:
            viewer = self._viewer()
            found = [w for w in QApplication.allWidgets() if isinstance(w, QtViewer) and w.viewer is viewer]
            shown_in = next(iter(found), None)
            self._shown_in = ref(shown_in) if shown_in is not None else None
        return shown_in


def removals_of(viewer: ViewerModel) -> Removals:
    """Return the object of a viewer, which exists as long as the viewer."""
    if viewer not in _removals:
        _removals[viewer] = Removals(viewer)
    return _removals[viewer]


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Hide all objects from the garbage collection that napari triggers when a layer is removed.

    It would block everything for a quarter of a second. napari needs it for drivers on Windows, where it is
    not suppressed. `Removals` collects them later: objects that were hidden do not count when Python decides
    whether to collect, and each selection of a grain would keep 6 MB.
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
