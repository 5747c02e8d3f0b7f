"""ProfileOffer: a saved calibration profile that fits the chosen image, to be applied by one click."""

from __future__ import annotations

from pathlib import Path

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QWidget

from ...core.image.calibration import AS_READ
from ...io.exchange.calibration_profile import CalibrationProfile, fitting_profiles, setting_words
from ...layers.results import KEY
from ..session.messages import tell
from ..session.source import calibration_from
from .controls import button, fill_row, short, wrapped_label


class ProfileOffer(QWidget):
    """Offers what fits an image's microscope, magnification, voltage and camera, and applies nothing itself.

    Hidden where nothing fits, or where the scale is no longer that of the file.

    Signals
    -------
    applied(Image, Calibration)
        An image is to have this scale.
    """

    applied = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._layer: Image | None = None
        self._fitting: tuple[tuple[Path, CalibrationProfile], ...] = ()
        self.text = wrapped_label()
        self.which = short(QComboBox(), 8)
        self.which.setToolTip("Which of the saved profiles that fit, the newest first")
        self.apply = button("Apply profile", "")
        row = fill_row(QHBoxLayout(self), self.text, self.which, self.apply)
        row.setStretch(0, 1)
        self.which.currentIndexChanged.connect(self._show)
        self.apply.clicked.connect(self._on_apply)
        self.setVisible(False)

    def offer_for(self, layer: Image | None) -> None:
        """Offer what fits an image layer, or nothing."""
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
