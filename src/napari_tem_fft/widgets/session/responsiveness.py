"""What keeps the window quick and small: loading ahead, work in turns, memory given back.

What napari loads with the first layer of each kind is loaded off the GUI thread before a run needs it.
"""

from __future__ import annotations

import ctypes
import gc
import platform
from collections.abc import Iterator
from functools import cache
from threading import Thread
from typing import Any

import numpy as np
import pint
from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QWidget

#: Bytes from which an array has memory of its own, which goes back when the array does, and most that is free
#: at the end of a thread's memory. Left alone, glibc lets both grow to 32 and 64 MB with the largest array
#: that was freed; 60 images in turn then left 60 MB in the memory of threads, and another hour of use 330 MB.
WHOLE = 2**20
#: Numbers of glibc's `mallopt`: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


@cache
def give_back_early() -> None:
    """From now on let large arrays give their memory back when they are freed.

    Each thread that has run an analysis has memory of its own, and its free end is never given back by
    `malloc_trim`. Nothing is done where the C library is not glibc.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(MMAP_THRESHOLD, WHOLE)
        libc.mallopt(TRIM_THRESHOLD, WHOLE)


def give_back() -> None:
    """Collect what nobody holds any longer, and give back what is free; takes about a third of a second."""
    gc.collect()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


#: Milliseconds between two parts, in which the window draws itself and answers.
BETWEEN = 10


def in_turns(owner: QWidget, work: Iterator[object]) -> None:
    """Take an iterator to its end, a step each time when the window has drawn itself and answered.

    Parameters
    ----------
    owner : QWidget
        What the work is for; it ends when this or its window is gone.
    work : iterator
        Each `next` does a part.
    """
    timer = QTimer(owner, interval=BETWEEN)

    def go_on() -> None:
        if not owner.window().isVisible() or next(work, work) is work:
            timer.stop()
            timer.deleteLater()

    timer.timeout.connect(go_on)
    timer.start()


#: Time for a dock to be drawn first, in ms.
SOON = 300


def load_layers(dock: QObject) -> None:
    """Make a layer of each kind on a thread, once: the first ones take long."""
    timer = QTimer(dock, singleShot=True, interval=SOON)
    timer.timeout.connect(_load_layers)
    timer.start()


@cache
def _load_layers() -> None:
    # napari's units are not made for two threads that ask for the first one at once: an image that is opened
    # just then would have none
    units: Any = pint.application_registry
    _ = units.pixel
    # no worker of Qt's, whose signals may be gone when it ends after napari was closed; Python waits for this
    Thread(target=_make_layers, name="first layers").start()


def _make_layers() -> None:
    cells, square = np.eye(4, dtype=np.uint8), np.array([(0, 0), (0, 1), (1, 1), (1, 0)])
    Image(cells.astype(np.float32))
    Labels(cells)
    Points(square, features={"text": ["a", "b", "c", "d"], "number": [1.0, 2.0, 3.0, 4.0]})
    Shapes([square], shape_type="ellipse", features={"text": ["a"]}, text="{text}")
