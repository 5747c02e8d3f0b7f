"""SpecimenEdits: let the user paint the specimen layer, and update the analysis."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from ...core.maps.specimen import specimen_on_grid
from ...core.reanalysis import reanalyse_after_specimen_edit
from ..session.mask_edits import MaskWatcher
from ..session.session import Session

#: Width of the brush, as a share of the map's.
BRUSH = 0.06


class SpecimenEdits(QObject):
    """Updates grains, maps and fractions when the specimen layer of the current image is edited.

    Parameters
    ----------
    session : Session

    Signals
    -------
    changed()
        Another layer is watched, or the specimen has changed.

    Notes
    -----
    Running work is finished first, and the painted mask is kept until an analysis contains it, so that
    nothing is lost when mask and specimen are painted in quick succession.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._watcher: MaskWatcher | None = None
        self._drawn: NDArray[Any] | None = None
        session.runner.failed.connect(self._on_failed)
        for signal in (session.found, session.current_changed, session.state_changed):
            signal.connect(self._on_session_changed)
        self._watch(self.layer)

    @property
    def layer(self) -> Labels | None:
        """The specimen layer of the current image, if any."""
        image_state = self._session.current
        layer = image_state.group.get("specimen") if image_state is not None else None
        return layer if isinstance(layer, Labels) else None

    @property
    def by_user(self) -> bool:
        """Whether the user has drawn the current specimen."""
        image_state = self._session.current
        return (
            image_state is not None
            and image_state.analysis is not None
            and image_state.analysis.specimen_by_user
        )

    def draw(self) -> None:
        """Show the specimen layer and activate the brush."""
        layer = self.layer
        if layer is not None:
            layer.visible = True
            layer.selected_label = 1
            layer.brush_size = max(3, round(BRUSH * layer.data.shape[1]))
            layer.mode = "paint"
            self._session.viewer.layers.selection.active = layer

    def as_found(self) -> None:
        """Return to the automatic specimen mask."""
        image_state = self._session.current
        if image_state is not None and image_state.analysis is not None and self.by_user:
            self._session.follow(image_state, reanalyse_after_specimen_edit(image_state.analysis, None))

    def _on_session_changed(self) -> None:
        layer = self.layer
        if self._watcher is None or self._watcher.layer is not layer:
            self._release()
            self._watch(layer)
        self._follow()
        self.changed.emit()

    def _watch(self, layer: Labels | None) -> None:
        if layer is not None:
            self._watcher = MaskWatcher(layer)
            self._watcher.changed.connect(self._on_drawn)

    def _release(self) -> None:
        self._drawn = None
        if self._watcher is not None:
            self._watcher.release()
            self._watcher = None

    def _on_drawn(self, data: NDArray[Any]) -> None:
        """Apply the drawn mask, unless it is that of the analysis."""
        if self._differs(data):
            self._drawn = np.array(data)
            self._follow()

    def _on_failed(self, error: Exception) -> None:
        self._drawn = None

    def _follow(self) -> None:
        session, drawn = self._session, self._drawn
        image_state = session.current
        if drawn is None or session.running or session.paused or image_state is None:
            return
        if image_state.analysis is None or not self._differs(drawn):
            self._drawn = None
        else:
            session.follow(image_state, reanalyse_after_specimen_edit(image_state.analysis, drawn))

    def _differs(self, data: NDArray[Any]) -> bool:
        """Whether a mask differs from that of the analysis; an empty mask does."""
        image_state = self._session.current
        if image_state is None or image_state.analysis is None:
            return False
        analysis = image_state.analysis
        try:
            return not np.array_equal(
                specimen_on_grid(data, analysis.micrograph, analysis.map_grid), analysis.specimen
            )
        except ValueError:
            return True


def specimen_edits(session: Session) -> SpecimenEdits:
    """Return the one object of the session, which all docks share."""
    found = session.findChild(SpecimenEdits)
    return found if isinstance(found, SpecimenEdits) else SpecimenEdits(session)
