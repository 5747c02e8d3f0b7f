"""Tools: what a click, a drag or a key does in the FFT while a tool is active."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Literal

import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QObject, Signal

from ...core.fourier.mask import RegionKind, SpectrumRegion
from ...core.spots.spot import Spot, angle_between, friedel_representative
from ...core.text import count_text, spacing
from ...layers.results import angle_layer, plane_of, region_layer
from ..session.image_state import ImageState
from ..session.selection import spots_chosen
from ..session.settings import length_unit
from .cursor import moves, spot_at

Tool = Literal["look", "add", "remove", "angle", "line", "circle", "ring", "wedge"]
Action = Literal["show", "remove", "keep", "bring back"]
REGIONS: tuple[RegionKind, ...] = ("circle", "ring", "wedge")
#: Shortest drag, in 1/nm, that draws a region.
SMALLEST_DRAG = 0.02
#: If no other spots were found, an added spot with a lower SNR than this gets a comment: one position in e^8
#: of a noise spectrum has a higher one.
CLEAR_SNR = 8.0


class Tools(QObject):
    """The active tool, for clicks and drags in the viewers of a session.

    Parameters
    ----------
    session : Session

    Signals
    -------
    changed()
        The active tool, or the action for regions, has changed.
    said(str)
        A message about what the tool has found, or is waiting for.
    """

    changed = Signal()
    said = Signal(str)

    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session = session
        self._first: tuple[float, float] | None = None
        self.tool: Tool = "look"
        self.action: Action = "show"
        self._adding: set[int] | None = None

    def follow_session(self) -> None:
        """Connect to the results of edits, once the signals of the session exist."""
        self._session.found.connect(self._on_found)

    def _on_found(self) -> None:
        """Report the spot that was added, and whether it is more than noise."""
        image_state: ImageState | None = self._session.current
        if self._adding is None or image_state is None:
            return
        new = [spot for spot in image_state.spots if spot.id not in self._adding and spot.enabled]
        if new:
            self._adding = None
            found = [spot.snr for spot in image_state.spots if spot.origin != "hand"]
            self.said.emit(added_words(new[0], min(found, default=CLEAR_SNR)))

    def follow(self, viewer: ViewerModel) -> None:
        """Listen to the mouse in a viewer, including that of a panel."""
        viewer.mouse_drag_callbacks.append(self._on_drag)

    def take(self, tool: Tool) -> None:
        """Activate a tool; an active brush is deactivated."""
        self.tool, self._first = tool, None
        mask = self._session.current.group.get("mask") if self._session.current is not None else None
        if mask is not None and tool != "look":
            mask.mode = "pan_zoom"
        self.said.emit(_HELP[tool])
        self.changed.emit()

    def for_regions(self, action: Action) -> None:
        """Set the action for the spots in a region."""
        self.action = action
        self.changed.emit()

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        start = self._frequency(viewer, event.position)
        active = viewer.layers.selection.active
        if (
            self.tool in ("look", "line")
            or start is None
            or (active is not None and str(active.mode) != "pan_zoom")
        ):
            return
        if self.tool in REGIONS:
            yield from self._draw(viewer, event, start)
            return
        if not (yield from moves(event)):
            self._click(start)

    def _frequency(self, viewer: ViewerModel, world: Sequence[float]) -> tuple[float, float] | None:
        """Frequency at a position in the diffractogram; None outside."""
        image_state: ImageState | None = self._session.current
        fft = image_state.group.get("fft") if image_state is not None else None
        if image_state is None or image_state.analysis is None or fft is None or fft not in viewer.layers:
            return None
        cell = np.round(fft.world_to_data(world))[-2:]
        if np.any(cell < 0) or np.any(cell >= fft.data.shape):
            return None
        return plane_of(fft.metadata).frequency(world)

    def _click(self, g: tuple[float, float]) -> None:
        image_state: ImageState = self._session.current
        spot = spot_at(g, image_state.spots)
        if self.tool == "add" and spot is None:
            self._session.edits.point(g)
            self._adding = {each.id for each in image_state.spots}
        elif self.tool == "add" and spot is not None:
            self.said.emit(f"spot {spot.id} exists already")
        elif self.tool == "remove" and spot is not None:
            self._session.edits.enable([spot.id], False)
            self.said.emit(f"spot {spot.id} deleted; Undo restores it")
        elif self.tool == "angle":
            self._measure_angle(image_state, g if spot is None else _same_side(spot.g, g))

    def _measure_angle(self, image_state: ImageState, g: tuple[float, float]) -> None:
        first, self._first = self._first, g if self._first is None else None
        if first is None:
            self.said.emit("now click the second spot")
            return
        spots = [
            spot
            for spot in image_state.spots
            if spot.g in (friedel_representative(first), friedel_representative(g))
        ]
        words = angle_words(first, g)
        self._session.pick(spots_chosen(image_state, spots, words))
        fft, plane = image_state.group.get("fft"), image_state.group.plane()
        if fft is not None and plane is not None:
            size = fft.data.shape[1] * fft.scale[-1] / plane.factor
            label = f"{angle_between(first, g):.2f}°"
            image_state.group.show([angle_layer(first, g, label, plane, image_state.micrograph.name, size)])
        self.said.emit(words)

    def _draw(
        self, viewer: ViewerModel, event: Any, start: tuple[float, float]
    ) -> Generator[None, None, None]:
        """Draw a region while the mouse is dragged, and apply the action to it."""
        camera = viewer.scene.camera
        pan, camera.mouse_pan = camera.mouse_pan, False
        self._session.pick(None)
        region = None
        try:
            yield
            while event.type == "mouse_move":
                region = self._span(viewer, event, start) or region
                yield
        finally:
            camera.mouse_pan = pan
        if region is not None:
            self._apply(region)

    def _span(self, viewer: ViewerModel, event: Any, start: tuple[float, float]) -> SpectrumRegion | None:
        image_state: ImageState = self._session.current
        fft, plane = image_state.group.get("fft"), image_state.group.plane()
        if fft is None or plane is None or self.tool not in REGIONS:
            return None
        end = plane_of(fft.metadata).frequency(event.position)
        if np.hypot(end[0] - start[0], end[1] - start[1]) < SMALLEST_DRAG:
            return None
        region = SpectrumRegion(self.tool, start, end)
        reach = 0.5 * fft.data.shape[1] * fft.scale[-1] / plane.factor
        image_state.group.show([region_layer(region.outlines(), plane, image_state.micrograph.name, reach)])
        inside = set(region.spots_inside(image_state.spots))
        count = sum(spot.enabled for spot in image_state.spots if spot.id in inside)
        self.said.emit(f"{region.words}: {count_text(count, 'spot')}")
        return region

    def _apply(self, region: SpectrumRegion) -> None:
        """Apply the action to a region."""
        image_state: ImageState = self._session.current
        inside = region.spots_inside(image_state.spots)
        if self.action == "show":
            enabled = [spot for spot in image_state.spots if spot.id in inside and spot.enabled]
            self._session.pick(spots_chosen(image_state, enabled, region.words))
            self._session.spotlight.show_region(image_state, region)
            return
        image_state.group.remove("region")
        off = self.action == "bring back"
        changed = sum(spot.id in inside and spot.enabled is not off for spot in image_state.spots)
        follows = {"keep": "kept alone", "remove": "deleted", "bring back": "restored"}
        words = f"{count_text(changed, 'spot')} {follows[self.action]}; Undo reverts it"
        self.said.emit(f"{region.words}: {words}")
        if self.action == "keep":
            self._session.edits.keep_only(inside)
        else:
            self._session.edits.enable(inside, self.action == "bring back")


_HELP: dict[Tool, str] = {
    "look": "",
    "add": "click where a spot is missing; the maximum nearby is refined",
    "remove": "click the spot to delete",
    "angle": "click two spots",
    "line": "drag from one end to the other; ends snap to spots and to g = 0",
    "circle": "press in the centre of the disk and drag to its edge",
    "ring": "press at one edge of the annulus and drag to the other",
    "wedge": "press at one corner of the sector and drag to the opposite one",
}


def _same_side(g: tuple[float, float], near: tuple[float, float]) -> tuple[float, float]:
    """The member of the pair +g, -g that is on the same side as another frequency."""
    return g if np.dot(g, near) >= 0 else (-g[0], -g[1])


def added_words(spot: Spot, weakest: float) -> str:
    """Describe an added spot, with a comment if it is weaker than all that were found."""
    words = f"spot {spot.id} added: {spacing(spot.d, spot.d_sigma, length_unit())}, SNR {spot.snr:.1f}"
    doubt = "; weaker than any found spot: it may be noise" if spot.snr < weakest else ""
    return f"{words}{doubt}; Undo removes it"


def angle_words(a: tuple[float, float], b: tuple[float, float]) -> str:
    """Describe the angle between two frequencies and the ratio of their lengths."""
    la, lb = float(np.hypot(*a)), float(np.hypot(*b))
    da, db = (spacing(1 / each, unit=length_unit()) for each in (la, lb))
    text = f"{angle_between(a, b):.2f}° between d = {da} and d = {db}"
    return f"{text}, ratio {max(la, lb) / min(la, lb):.4f}"
