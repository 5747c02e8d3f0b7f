"""Edits of the mask and the specimen: detection of brush strokes, the resulting changes, and undo.

A brush stroke, a fill and a polygon each emit napari's ``paint`` event once, when they are finished. Undo and
redo only emit ``set_data``, as many other actions do; the mask is then compared with its last known state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from ...core.maps.specimen import specimen_on_grid
from ...core.pipeline import Analysis, SpotsFound
from ...core.progress import Step
from ...core.reanalysis import (
    moved_steps,
    painted_steps,
    pointed_steps,
    reanalyse_after_specimen_edit,
    recalled_steps,
)
from ...core.spots.spot import Spot
from .image_state import ImageState
from .shortcuts import KEYS

if TYPE_CHECKING:
    from .session import Session

Steps = Generator[Step, None, Analysis]

History = list[tuple[Spot, ...]]


class Follow(Protocol):
    """Updates everything that depends on the spots."""

    def __call__(self, image_state: ImageState, steps: Steps, keep_mask: bool = False) -> None:
        """Run the steps and show their results; `keep_mask` leaves the painted mask unchanged."""


class Edits:
    """Edits of the spots of the current image.

    Parameters
    ----------
    current : callable
        Returns the state of the image that is shown.
    follow : Follow

    Attributes
    ----------
    friedel : bool
        Whether painting (or erasing) at +g is repeated at -g. Otherwise a pair of spots is enabled as long as
        one of its discs exists.
    """

    def __init__(self, current: Callable[[], ImageState | None], follow: Follow) -> None:
        self._current = current
        self._follow = follow
        self.friedel = True

    def paint(self, mask: NDArray[np.uint8], before: NDArray[np.uint8]) -> None:
        """Apply a painted mask, given the mask before."""
        image_state, after = self._current(), np.array(mask)
        if image_state is None or image_state.analysis is None:
            return
        if self.friedel:
            _mirror_stroke(image_state, before, after)
        else:
            after |= after[::-1, ::-1]
        steps = painted_steps(image_state.analysis, image_state.spots, after, image_state.edit_cache)
        self._follow(image_state, steps, keep_mask=not self.friedel)

    def point(self, g: tuple[float, float]) -> None:
        """Add a refined spot at a frequency (y, x) in 1/nm, or enable the existing one."""
        image_state = self._current()
        if image_state is not None and image_state.analysis is not None:
            known = image_state.analysis, image_state.spots
            self._follow(image_state, pointed_steps(*known, g, image_state.edit_cache))

    def enable(self, spots: Collection[int], enabled: bool) -> None:
        """Enable or disable spots by their ids."""
        self._set(lambda spot: enabled if spot.id in spots else spot.enabled)

    def keep_only(self, spots: Collection[int]) -> None:
        """Enable only these spots."""
        self._set(lambda spot: spot.id in spots)

    def _set(self, enabled: Callable[[Spot], bool]) -> None:
        image_state = self._current()
        if image_state is None or image_state.analysis is None:
            return
        spots = tuple(replace(spot, enabled=enabled(spot)) for spot in image_state.spots)
        if spots != image_state.spots:
            self._follow(image_state, moved_steps(image_state.analysis, spots, image_state.edit_cache))

    def undo(self) -> None:
        """Restore the spots before the last edit."""
        image_state = self._current()
        if image_state is not None:
            self._step_back(image_state, image_state.past, image_state.future)

    def redo(self) -> None:
        """Revert an undo."""
        image_state = self._current()
        if image_state is not None:
            self._step_back(image_state, image_state.future, image_state.past)

    def _step_back(self, image_state: ImageState, source: History, target: History) -> None:
        if image_state.analysis is None or not source:
            return
        spots = source.pop()
        target.append(image_state.spots)
        image_state.spots = spots
        known = image_state.with_spots(spots)
        cache = image_state.edit_cache
        steps = moved_steps(image_state.analysis, spots, cache) if known is None else recalled_steps(known)
        self._follow(image_state, steps)


def keep_for_undo(image_state: ImageState, product: Any) -> None:
    """Store the spots before an edit; an undo stores them itself."""
    if isinstance(product, SpotsFound) and product.spots != image_state.spots:
        image_state.past.append(image_state.spots)
        image_state.future.clear()


def _mirror_stroke(image_state: ImageState, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
    """Repeat a change at the opposite frequencies, in the array and on the shown layer."""
    layer = image_state.group.get("mask")
    if not isinstance(layer, Labels):
        return
    changed = np.flatnonzero(before != after)
    mirrored = np.setdiff1d(after.size - 1 - changed, changed, assume_unique=True)
    after.flat[mirrored] = after.flat[after.size - 1 - mirrored]
    layer.data.flat[mirrored] = after.flat[mirrored]
    layer.refresh(extent=False, thumbnail=False)


class MaskWatcher(QObject):
    """Watches a Labels layer.

    Parameters
    ----------
    layer : Labels
        The mask; its present data are the known state.

    Signals
    -------
    stroke_began()
        The mouse button was pressed on the layer in a drawing mode.
    changed(ndarray, ndarray)
        Data of the layer, and their previous known state; once per stroke.
    """

    stroke_began = Signal()
    changed = Signal(object, object)

    def __init__(self, layer: Labels) -> None:
        super().__init__()
        self.layer = layer
        self.known: NDArray[np.uint8] = np.array(layer.data)
        self._drawing = False
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._compare)
        layer.events.paint.connect(self._on_event)
        layer.events.set_data.connect(self._on_event)
        layer.mouse_drag_callbacks.append(self._on_drag)

    def remember(self) -> None:
        """Take the present data of the layer as the known state."""
        self.known = np.array(self.layer.data)

    def release(self) -> None:
        """Stop watching."""
        self._timer.stop()
        self.layer.events.paint.disconnect(self._on_event)
        self.layer.events.set_data.disconnect(self._on_event)
        self.layer.mouse_drag_callbacks.remove(self._on_drag)

    def _on_event(self, event: Any = None) -> None:
        if not self._drawing:
            self._timer.start()

    def _on_drag(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        if str(layer.mode) in ("pan_zoom", "transform", "pick"):
            return
        self._drawing = True
        self.stroke_began.emit()
        yield
        while event.type == "mouse_move":
            yield
        self._drawing = False
        self._timer.start()

    def _compare(self) -> None:
        if self._drawing or np.array_equal(self.known, self.layer.data):
            return
        self.changed.emit(self.layer.data, self.known)
        self.remember()  # includes what was painted at -g meanwhile, so that a stroke is reported once


class MaskWatchers(QObject):
    """Watches the masks of all images of a viewer, and provides undo and redo for them.

    Signals
    -------
    changed(ndarray, ndarray)
        A mask differs from the previously shown one, which is the second argument.
    stroke_began()
        A stroke has begun on one of the masks.
    undo_asked(), redo_asked()
        Ctrl+Z or Ctrl+Shift+Z was pressed on one of the masks.
    """

    changed = Signal(object, object)
    stroke_began = Signal()
    undo_asked = Signal()
    redo_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._watchers: dict[Layer, MaskWatcher] = {}

    def watch(self, image_state: ImageState) -> None:
        """Watch the mask of an image; its present data are the known state."""
        layer, watcher = image_state.group.get("mask"), self._watchers.get(image_state.layer)
        if watcher is not None and watcher.layer is layer:
            watcher.remember()
        elif isinstance(layer, Labels):
            self.release(image_state.layer)
            self._watchers[image_state.layer] = watcher = MaskWatcher(layer)
            watcher.changed.connect(self.changed)
            watcher.stroke_began.connect(self.stroke_began)
            layer.bind_key(KEYS["undo"][0], self._on_undo_key, overwrite=True)
            layer.bind_key(KEYS["redo"][0], self._on_redo_key, overwrite=True)

    def release(self, image: Layer) -> None:
        """Stop watching the mask of an image."""
        watcher = self._watchers.pop(image, None)
        if watcher is not None:
            watcher.release()

    def _on_undo_key(self, layer: Labels) -> None:
        self.undo_asked.emit()

    def _on_redo_key(self, layer: Labels) -> None:
        self.redo_asked.emit()


def set_editable(image_state: ImageState, editable: bool) -> None:
    """Set whether a mask can be painted; it cannot during the search for spots."""
    layer = image_state.group.get("mask")
    if isinstance(layer, Labels):
        layer.editable = editable


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
