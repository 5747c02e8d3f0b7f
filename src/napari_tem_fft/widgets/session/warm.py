"""What napari loads with the first layer of each kind.

It is loaded off the GUI thread before a run needs it.
"""

from __future__ import annotations

from functools import cache
from threading import Thread
from typing import Any

import numpy as np
import pint
from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import QObject, QTimer

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
