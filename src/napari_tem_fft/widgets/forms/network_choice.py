"""NetworkChoice: which network proposes spots."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QWidget

from ...core.pipeline import NETWORK
from ...nn.inference.model import (
    ModelError,
    known_models,
    load_config,
    model_folder,
    resolve_name,
)
from ..session.messages import tell
from ..session.network import Network
from ..session.preferences import remember_network, remembered_network
from .controls import short

#: The first entry and the last one.
NONE, FOLDER = "none: statistics alone", "model in a folder..."


class NetworkChoice(QWidget):
    """A list of the models that are known.

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
        self.list.setToolTip("Network that proposes spots; only those that the statistics confirm are taken")
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
        """Choose what is used unless another is chosen."""
        self.value = NETWORK
        remember_network("")

    def fill(self) -> None:
        """List what there is now; a model that has come meanwhile too."""
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
    """The network of the last session, if it is still there; else what is used by default."""
    name = resolve_name(remembered_network() or NETWORK)
    try:
        if name:
            load_config(model_folder(name))
    except ModelError:
        return resolve_name(NETWORK)
    return name
