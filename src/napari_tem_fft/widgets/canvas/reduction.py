"""Reduction: images that are drawn smaller than their pixels are averaged: no false fringes appear."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QObject, QTimer

from ...layers.results import KEY
from ..session.source import is_source

#: Images with lattice fringes, beside the micrographs.
ROLES = ("ifft", "fringes")
#: Most pixels (a side) that are averaged for one of the screen: each costs the graphics card a look.
MOST = 16
#: Milliseconds after the last step of a zoom.
SOON = 40


class Reduction(QObject):
    """Lets napari average as many pixels as fall on one of the screen, at every zoom.

    Drawn pixel by pixel, or between the nearest ones, fringes of a few pixels beat with the screen's and look
    like others that are not there. An interpolation that the user has chosen is left alone.

    Parameters
    ----------
    viewer : ViewerModel
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self._set: WeakKeyDictionary[Image, tuple[str, int]] = WeakKeyDictionary()
        self._timer = QTimer(self, singleShot=True, interval=SOON)
        self._timer.timeout.connect(self.follow)
        viewer.scene.camera.events.zoom.connect(self._on_changed)
        viewer.layers.events.inserted.connect(self._on_changed)

    def follow(self) -> None:
        """Average as the present zoom asks for."""
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndisplay != 2:
            return
        zoom = viewer.scene.camera.zoom
        for layer in viewer.layers:
            if _has_fringes(layer):
                self._average(layer, pixels_on_one(float(min(layer.scale[-2:])), zoom))

    def _average(self, layer: Image, side: int) -> None:
        before = self._set.get(layer, (_as_opened(layer), 1))
        if str(layer.interpolation2d) != before[0]:
            return
        wanted = "linear" if side == 1 else "custom"
        if (wanted, side) != before:
            if side > 1:
                layer.custom_interpolation_kernel_2d = np.full((side, side), 1 / side**2, np.float32)
            layer.interpolation2d = wanted
            self._set[layer] = wanted, side

    def _on_changed(self, event: Any = None) -> None:
        self._timer.start()


def pixels_on_one(pixel_size: float, zoom: float) -> int:
    """Pixels (a side) of an image that fall on one of the screen, 1 to `MOST`.

    Parameters
    ----------
    pixel_size : float
        In the viewer's world.
    zoom : float
        Pixels of the screen for one unit of the world.

    Examples
    --------
    >>> pixels_on_one(0.02, 10.0), pixels_on_one(0.02, 100.0)
    (5, 1)
    """
    return int(np.clip(np.round(1 / max(pixel_size * zoom, 1e-9)), 1, MOST))


def _has_fringes(layer: Any) -> bool:
    if not isinstance(layer, Image) or layer.rgb:
        return False
    return is_source(layer) or layer.metadata.get(KEY, {}).get("role") in ROLES


def _as_opened(layer: Image) -> str:
    """Interpolation that nobody has chosen: napari's own readers show the pixels, this plugin's do not."""
    own = "grey_range" in layer.metadata.get(KEY, {})
    return "linear" if own or not is_source(layer) else "nearest"
