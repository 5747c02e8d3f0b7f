"""The results dock: components, grains and reflections, and beside them why a grain has its name."""

from __future__ import annotations

from napari.components import ViewerModel

from ..forms.controls import Columns, Scrolled
from .components import ComponentsDock
from .dock import Dock
from .phases import PhasesDock


class ResultsDock(Dock):
    """The table of components with the candidates of the selected grain beside it, or of all grains.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.components = ComponentsDock(napari_viewer)
        self.candidates = PhasesDock(napari_viewer)
        halves = Scrolled(self.components), Scrolled(self.candidates)
        self.column().addWidget(Columns(*halves, (1, 1)), stretch=1)
