"""Dock: what every dock is made from."""

from __future__ import annotations

from collections.abc import Callable

from napari.components import ViewerModel
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..session.session import session_of


class Dock(QWidget):
    """A widget that shows what a viewer's session has found.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.session = session_of(napari_viewer)

    def follow(self, slot: Callable[[], None], running: bool = False) -> None:
        """Call a slot when there is something else to be shown, and if wanted when a run begins or ends."""
        self.session.found.connect(slot)
        self.session.current_changed.connect(slot)
        if running:
            self.session.state_changed.connect(slot)

    def column(self) -> QVBoxLayout:
        """Return a new layout of the dock, from top to bottom."""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        return layout
