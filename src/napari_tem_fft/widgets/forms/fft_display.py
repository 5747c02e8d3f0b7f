"""FftDisplay: window, scale, contrast and gamma of the displayed FFT, which do not affect the analysis."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, get_args
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget
from superqt import QLabeledDoubleRangeSlider, QLabeledDoubleSlider

from ...core.fourier.diffractogram import Diffractogram, Window, display, with_window
from ...core.progress import Step
from ...layers.image import KEY
from ..session.image_state import ImageState
from ..session.runner import Runner, tell
from ..session.session import Session
from .controls import button, short, side_by_side

#: Roles of the layers that show a spectrum.
SPECTRA = ("fft", "live", "grain_fft")
#: Scales of power over noise, as functions of its log10.
SCALES = {"log": None, "square root": 0.5, "linear": 1.0}
#: Percentage of pixels that automatic contrast saturates.
BRIGHTEST = 0.1
USUAL: tuple[Window, str] = ("hann", "log")
WORDS: dict[Window, str] = {"hann": "Hann", "hamming": "Hamming", "blackman": "Blackman", "none": "none"}


class FftDisplay(QWidget):
    """Controls of the topmost spectrum: that of the whole image, of a grain, or of the live rectangle.

    Window and scale apply only to that of the whole image.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._layer: Image | None = None
        self._looks: WeakKeyDictionary[Image, tuple[Window, str]] = WeakKeyDictionary()
        self._followed: WeakKeyDictionary[ViewerModel, bool] = WeakKeyDictionary()
        self._waits: tuple[ImageState, Window, str] | None = None
        self._runner = Runner()
        self._runner.returned.connect(self._on_shown)
        self._runner.failed.connect(tell)
        self._make_controls()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(side_by_side(QLabel("window"), self.window_kind, QLabel("scale"), self.scale))
        column.addWidget(side_by_side(QLabel("contrast"), self.contrast, self.auto))
        column.addWidget(side_by_side(QLabel("gamma"), self.gamma))
        for changed in (session.current_changed, session.found, session.state_changed):
            changed.connect(self._follow)
        self._follow()

    def _make_controls(self) -> None:
        self.window_kind, self.scale = short(QComboBox(), 5), short(QComboBox(), 5)
        for kind in get_args(Window):
            self.window_kind.addItem(WORDS[kind], kind)
        self.window_kind.setToolTip(
            "Window applied to the image for display; the analysis always uses Hann. None shows the cross"
            " caused by the edges of the image"
        )
        self.scale.addItems(list(SCALES))
        self.scale.setToolTip("Scale of the displayed power over noise")
        self.contrast = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.contrast.setToolTip("Values shown in black and white; with the mouse over the FFT as in napari")
        self.contrast.setDecimals(2)
        self.auto = button("Auto", "From the noise level to the 99.9th percentile")
        self.gamma = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.gamma.setRange(0.2, 3.0)
        self.gamma.setDecimals(2)
        self.gamma.setValue(1.0)
        self.gamma.setToolTip("Values below 1 make faint spots brighter")
        self.window_kind.activated.connect(self._on_look)
        self.scale.activated.connect(self._on_look)
        self.contrast.valueChanged.connect(self._on_contrast)
        self.gamma.valueChanged.connect(self._on_gamma)
        self.auto.clicked.connect(self._on_auto)

    @property
    def layer(self) -> Image | None:
        """The spectrum on top."""
        return self._layer

    def _follow(self, event: Any = None) -> None:
        """Connect to the topmost spectrum."""
        image_state = self._session.current
        viewer = image_state.group.home("fft") if image_state is not None else None
        if viewer is not None and viewer not in self._followed:
            self._followed[viewer] = True
            viewer.layers.events.inserted.connect(self._follow)
            viewer.layers.events.removed.connect(self._follow)
        shown = [layer for layer in viewer.layers if _is_spectrum(layer)] if viewer is not None else []
        layer = shown[-1] if shown else None
        if layer is not self._layer:
            if self._layer is not None:
                self._layer.events.contrast_limits.disconnect(self._show)
                self._layer.events.gamma.disconnect(self._show)
            self._layer = layer
            if layer is not None:
                layer.events.contrast_limits.connect(self._show)
                layer.events.gamma.connect(self._show)
        self._keep_look(image_state)
        self._show()

    def _keep_look(self, image_state: ImageState | None) -> None:
        """Apply the user's window and scale to a recomputed FFT."""
        fft = image_state.group.get("fft") if image_state is not None else None
        analysis = image_state.analysis if image_state is not None else None
        if fft is not None and fft in self._looks and image_state is not None and analysis is not None:
            window, scale = self._looks[fft]
            if "look" not in fft.metadata[KEY] and not self._session.running:
                self._look(image_state, window, scale)

    def _show(self, event: Any = None) -> None:
        """Show the present settings, whether they were set here or in napari's controls."""
        layer = self._layer
        for each in (self.contrast, self.gamma, self.auto):
            each.setEnabled(layer is not None)
        image_state = self._session.current
        whole = layer is not None and layer.metadata[KEY]["role"] == "fft"
        ready = whole and image_state is not None and image_state.analysis is not None
        self.window_kind.setEnabled(ready)
        self.scale.setEnabled(ready)
        if layer is None:
            return
        window, scale = self._looks.get(layer, USUAL)
        with QSignalBlocker(self.contrast), QSignalBlocker(self.gamma):
            low, high = layer.contrast_limits_range
            self.contrast.setRange(low, high)
            self.contrast.setValue(tuple(layer.contrast_limits))
            self.gamma.setValue(layer.gamma)
        self.window_kind.setCurrentIndex(self.window_kind.findData(window))
        self.scale.setCurrentText(scale)

    def _on_contrast(self, limits: tuple[float, float]) -> None:
        if self._layer is not None and limits[0] < limits[1]:
            self._layer.contrast_limits = limits

    def _on_gamma(self, gamma: float) -> None:
        if self._layer is not None:
            self._layer.gamma = gamma

    def _on_auto(self) -> None:
        if self._layer is not None:
            self._layer.gamma = 1.0
            set_contrast(self._layer, self._looks.get(self._layer, USUAL)[1])

    def _on_look(self, index: int = 0) -> None:
        image_state = self._session.current
        if image_state is not None:
            self._look(image_state, self.window_kind.currentData(), self.scale.currentText())

    def _look(self, image_state: ImageState, window: Window, scale: str) -> None:
        if image_state.analysis is not None:
            self._waits = image_state, window, scale
            self._runner.start(_look_steps(image_state.analysis.diffractogram, window, scale))

    def _on_shown(self, found: tuple[Diffractogram, NDArray[np.float32]]) -> None:
        image_state, window, scale = self._waits or (None, *USUAL)
        diffractogram, image = found
        layer = image_state.group.get("fft") if image_state is not None else None
        if image_state is None or layer is None or image_state.analysis is None:
            return
        if image_state.analysis.diffractogram is not diffractogram or layer.data.shape != image.shape:
            return
        rescaled = self._looks.get(layer, USUAL)[1] != scale
        self._looks[layer] = window, scale
        layer.data = image
        layer.metadata[KEY]["look"] = {"window": window, "scale": scale}
        if rescaled:
            set_contrast(layer, scale)
        self._show()


def set_contrast(layer: Image, scale: str) -> None:
    """Set the contrast of a spectrum from its noise level to a high percentile."""
    data = np.asarray(layer.data)
    high = max(float(np.percentile(data, 100 - BRIGHTEST)), 0.5)
    low = 0.0 if scale == "log" else 1.0
    high = max(high, low + 0.5)
    layer.contrast_limits_range = min(float(data.min()), low), max(float(data.max()), high)
    layer.contrast_limits = low, high


def _look_steps(
    diffractogram: Diffractogram, window: Window, scale: str
) -> Generator[Step, None, tuple[Diffractogram, NDArray[np.float32]]]:
    """Compute the displayed FFT as a job of one step."""
    _, image = display(with_window(diffractogram, window))
    power = SCALES[scale]
    yield Step("spectrum", 1, 1)
    return diffractogram, image if power is None else np.float32(10.0) ** (np.float32(power) * image)


def _is_spectrum(layer: Any) -> bool:
    role = layer.metadata.get(KEY, {}).get("role")
    return isinstance(layer, Image) and layer.visible and role in SPECTRA
