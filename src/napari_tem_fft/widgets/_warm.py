"""What napari loads with its first layer of each kind, loaded off the GUI thread before a run needs it."""

from __future__ import annotations

from functools import cache

import numpy as np
from napari.layers import Image, Labels, Points, Shapes
from napari.qt.threading import FunctionWorker, create_worker
from qtpy.QtCore import QObject, QTimer

#: Time for a dock to be drawn first, in ms.
SOON = 300
#: The worker at work.
_workers: list[FunctionWorker[None]] = []


def load_layers(dock: QObject) -> None:
    """Make a layer of each kind on a worker thread, once: the first ones take a quarter of a second each."""
    timer = QTimer(dock, singleShot=True, interval=SOON)
    timer.timeout.connect(_load_layers)
    timer.start()


@cache
def _load_layers() -> None:
    worker = create_worker(_make_layers, _start_thread=False)
    worker.finished.connect(_workers.clear)
    _workers.append(worker)
    worker.start()


def _make_layers() -> None:
    cells, square = np.eye(4, dtype=np.uint8), np.array([(0, 0), (0, 1), (1, 1), (1, 0)])
    Image(cells.astype(np.float32))
    Labels(cells)
    Points(square, features={"text": ["a", "b", "c", "d"], "number": [1.0, 2.0, 3.0, 4.0]})
    Shapes([square], shape_type="ellipse", features={"text": ["a"]}, text="{text}")
