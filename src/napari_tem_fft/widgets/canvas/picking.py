"""Picker: a click on a spot in the FFT, or on a grain in the micrograph, chooses it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from napari.components import ViewerModel

from ...layers.results import plane_of
from ..session.image_state import ImageState
from ..session.selection import Selection, grain_chosen, spot_chosen
from .readout import grain_at, inside, spot_at

#: Modes in which a click means the place and not a tool.
LOOKING = ("pan_zoom",)


class Picker:
    """Turns clicks (without a drag) on the canvas into a choice, while no tool is in hand.

    Parameters
    ----------
    viewer : ViewerModel
    current : callable
        Gives the findings that are shown.
    choose : callable
        Takes what was chosen, or None for a click on nothing.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        current: Callable[[], ImageState | None],
        choose: Callable[[Selection | None], None],
    ) -> None:
        self._current = current
        self._choose = choose
        self.follow(viewer)

    def follow(self, viewer: ViewerModel) -> None:
        """Take clicks in a viewer; in a panel's too."""
        viewer.mouse_drag_callbacks.append(self._on_drag)

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        active = viewer.layers.selection.active
        if active is not None and str(active.mode) not in LOOKING:
            return
        moved = False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        image_state = self._current()
        if not moved and image_state is not None and image_state.analysis is not None:
            self._choose(chosen_at(image_state, event.position, viewer))


def chosen_at(image_state: ImageState, world: Sequence[float], viewer: ViewerModel) -> Selection | None:
    """Return what lies at a viewer's world position: a spot of the FFT, or a grain of the micrograph."""
    fft = image_state.group.get("fft")
    if fft is not None and fft in viewer.layers and fft.visible and inside(fft, world):
        spot = spot_at(plane_of(fft.metadata).frequency(world), image_state.spots)
        return spot_chosen(image_state, spot) if spot is not None else None
    if image_state.layer in viewer.layers and inside(image_state.layer, world):
        grain = grain_at(image_state, world)
        return grain_chosen(image_state, grain) if grain is not None else None
    return None
