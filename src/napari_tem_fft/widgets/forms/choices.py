"""Widgets to choose an image, a network, a calibration profile, and the panels and format of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QSpinBox,
    QWidget,
)

from ...core.image.calibration import AS_READ
from ...core.pipeline import NETWORK
from ...io.exchange.calibration_profile import CalibrationProfile, fitting_profiles, setting_words
from ...io.figures.picture import DPI, FORMATS, LEAST_DPI, MOST_DPI, PANELS, Panel, PictureOptions
from ...layers.image import KEY
from ...nn.inference.model import ModelError, known_models, load_config, model_folder, resolve_name
from ..session.image_state import widen_grey_range
from ..session.runner import tell
from ..session.settings import Network, remember_network, remembered_network
from ..session.source import calibration_from, is_source
from .controls import button, fill_row, short, wrapped_label


class ImageChoice(QComboBox):
    """List of the viewer's images that are not results; a new image is chosen when it is added.

    Parameters
    ----------
    viewer : ViewerModel

    Signals
    -------
    chosen(Image or None)
        Another image was chosen.
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
        """The chosen image, if any."""
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


#: The first entry and the last one.
NONE, FOLDER = "none: statistics alone", "model in a folder..."


class NetworkChoice(QWidget):
    """A list of the known models.

    Parameters
    ----------
    network : Network

    Signals
    -------
    chosen(str)
        Another model, or none, was chosen: the value of `AnalysisParams.network`.
    """

    chosen = Signal(str)

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.list = short(QComboBox(), 10)
        self.list.setToolTip("Network that proposes spots; only statistically confirmed ones are used")
        self._value = _remembered_network()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list, stretch=1)
        self.fill()
        self.list.activated.connect(self._on_activated)
        network.listed.connect(self.fill)

    @property
    def value(self) -> str:
        """Name of the chosen model or path of its folder; empty for none."""
        return self._value

    @value.setter
    def value(self, name: str) -> None:
        before, self._value = self._value, resolve_name(name)
        self.fill()
        if before != self._value:
            self.chosen.emit(self._value)

    def reset(self) -> None:
        """Choose the default model."""
        self.value = NETWORK
        remember_network("")

    def fill(self) -> None:
        """Update the list of models."""
        names = ["", *known_models()]
        if self._value not in names:
            names.append(self._value)
        with QSignalBlocker(self.list):
            self.list.clear()
            for name in names:
                self.list.addItem(Path(name).name if name else NONE, name)
            self.list.addItem(FOLDER, None)
            self.list.setCurrentIndex(names.index(self._value))

    def _on_activated(self, index: int) -> None:
        name = self.list.itemData(index)
        if name is None:
            name = (
                QFileDialog.getExistingDirectory(self, "Folder of a model (with config.json)") or self._value
            )
        try:
            if name:
                load_config(model_folder(name))
        except ModelError as error:
            tell(error)
            name = self._value
        self.value = name
        remember_network(name or "none")


def _remembered_network() -> str:
    """The network of the last session, if it still exists, or the default."""
    name = resolve_name(remembered_network() or NETWORK)
    try:
        if name:
            load_config(model_folder(name))
    except ModelError:
        return resolve_name(NETWORK)
    return name


#: Names of the panels.
TITLES: dict[Panel, str] = {
    "micrograph": "Micrograph",
    "fft": "FFT with spots and rings",
    "components": "Components",
    "profile": "Radial profile",
}


class PictureChoice(QDialog):
    """Dialog for the content of the picture of an analysis; the last choice is kept for the session.

    Signals
    -------
    chosen(PictureOptions)
        The dialog was accepted; the options contain a single format.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Save the overview")
        self.panels = {panel: QCheckBox(TITLES[panel]) for panel in PANELS}
        self.kind = QComboBox()
        self.kind.addItems([kind.upper() for kind in FORMATS])
        self.kind.setToolTip("Text stays text in SVG and PDF, for a drawing program")
        self.dpi = QSpinBox(minimum=LEAST_DPI, maximum=MOST_DPI, singleStep=50)
        self.dpi.setValue(DPI)
        self.dpi.setSuffix(" dpi")
        self.dpi.setToolTip("An image panel is about 5.5 inches wide; 300 dpi and more for print")
        ways = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(ways.Save | ways.Cancel)
        form = QFormLayout(self)
        for box in self.panels.values():
            box.setChecked(True)
            box.toggled.connect(self._on_toggled)
            form.addRow(box)
        form.addRow("format", self.kind)
        form.addRow("resolution", self.dpi)
        form.addRow(self.buttons)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.accepted.connect(self._on_accepted)

    def _checked(self) -> tuple[Panel, ...]:
        return tuple(panel for panel, box in self.panels.items() if box.isChecked())

    def _on_toggled(self) -> None:
        save = self.buttons.button(QDialogButtonBox.StandardButton.Save)
        if save is not None:
            save.setEnabled(bool(self._checked()))

    def _on_accepted(self) -> None:
        kind = FORMATS[self.kind.currentIndex()]
        self.chosen.emit(PictureOptions(self._checked(), (kind,), self.dpi.value()))


class ProfileOffer(QWidget):
    """Offers saved profiles that match an image's microscope, magnification, voltage and camera.

    It is hidden if no profile matches, or if the scale is no longer that of the file. Nothing is applied
    without a click.

    Signals
    -------
    applied(Image, Calibration)
        The user has applied a profile to an image.
    """

    applied = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._layer: Image | None = None
        self._fitting: tuple[tuple[Path, CalibrationProfile], ...] = ()
        self.text = wrapped_label()
        self.which = short(QComboBox(), 8)
        self.which.setToolTip("The matching saved profiles, newest first")
        self.apply = button("Apply profile", "")
        row = fill_row(QHBoxLayout(self), self.text, self.which, self.apply)
        row.setStretch(0, 1)
        self.which.currentIndexChanged.connect(self._show)
        self.apply.clicked.connect(self._on_apply)
        self.setVisible(False)

    def offer_for(self, layer: Image | None) -> None:
        """Offer the profiles that match an image layer."""
        self._layer, self._fitting = layer, ()
        if layer is not None and calibration_from(layer).source == AS_READ:
            self._fitting = fitting_profiles(layer.metadata.get(KEY, {}).get("microscope", {}))
        self.which.blockSignals(True)
        self.which.clear()
        self.which.addItems([path.stem for path, _ in self._fitting])
        self.which.blockSignals(False)
        self.which.setVisible(len(self._fitting) > 1)
        self._show()
        self.setVisible(bool(self._fitting))

    def _show(self, index: int = 0) -> None:
        chosen = self._chosen()
        if chosen is None:
            return
        path, profile = chosen
        standard = f"corrected on {profile.correction.standard}, {profile.created}"
        self.text.setText(f"A saved profile fits: {path.stem} ({standard})")
        fy, fx = profile.correction.factors
        factors = f"{fx:.5f}" if fy == fx else f"{fx:.5f} (x), {fy:.5f} (y)"
        known = f"\u00b1 {100 * profile.correction.uncertainty:.2g} %"
        self.apply.setToolTip(
            f"{path}\nIt holds for {setting_words(profile)}.\nPixel size \u00d7 {factors} {known}"
        )

    def _chosen(self) -> tuple[Path, CalibrationProfile] | None:
        index = self.which.currentIndex()
        return self._fitting[index] if 0 <= index < len(self._fitting) else None

    def _on_apply(self) -> None:
        layer, chosen = self._layer, self._chosen()
        if layer is None or chosen is None:
            return
        try:
            corrected = calibration_from(layer).corrected(chosen[1].correction)
        except ValueError as error:
            tell(error)
            return
        self.applied.emit(layer, corrected)
