"""Keep the window responsive and its memory small: preload modules, split work, return freed memory.

Modules that napari loads with the first layer of each kind are loaded in a thread before a run needs them.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
from collections.abc import Iterator
from functools import _lru_cache_wrapper, cache
from threading import Thread
from typing import Any

import numpy as np
import pint
from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import QObject, QTimer
from qtpy.QtGui import QPixmapCache
from qtpy.QtWidgets import QWidget

#: Size in bytes from which an array is allocated separately, so that its memory is returned with it, and
#: largest free memory at the end of a heap. By default, glibc raises these to 32 and 64 MB with the largest
#: freed array; 60 images in turn then kept 60 MB in the heaps of threads, and another hour of use 330 MB.
WHOLE = 2**20
#: Numbers of glibc's `mallopt`: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3

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


def give_back() -> None:
    """Collect garbage and return free memory to the system, which takes about a third of a second.

    Tables that images of one shape share are forgotten too: 23 MB for two images of 1024 x 1024 pixels.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith(SHAPED):
            for each in vars(module).values():
                if isinstance(each, _lru_cache_wrapper):
                    each.cache_clear()
    QPixmapCache.clear()  # of up to 10 MB
    gc.collect()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


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
