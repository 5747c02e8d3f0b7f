"""PictureChoice: which panels of the overview are written, how fine, and as what."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDialog, QDialogButtonBox, QFormLayout, QSpinBox, QWidget

from ...io.figures.picture import DPI, FORMATS, LEAST_DPI, MOST_DPI, PANELS, Panel, PictureOptions

#: How the panels are called.
TITLES: dict[Panel, str] = {
    "micrograph": "Micrograph",
    "fft": "FFT with spots and rings",
    "components": "Components",
    "profile": "Radial profile",
}


class PictureChoice(QDialog):
    """Asks what the picture of an analysis shows; the last choice stays while the window is open.

    Signals
    -------
    chosen(PictureOptions)
        The choice is made; its format is the only one.
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
