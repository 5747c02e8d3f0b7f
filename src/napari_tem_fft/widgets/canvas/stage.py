"""Stage: the one image that is shown with what was made of it, and where the camera looks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any
from weakref import ref

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QObject, QTimer

from ..session.image_state import ImageState
from ..session.source import is_source
from .views import Space, fly_to, look_at, sees_whole
from .visibility import bring_back, hide, is_hidden

#: Something that takes more than this share of the image's shorter side is not flown farther off for: around
#: it there is nothing to be seen.
LARGEST = 0.4


class Stage(QObject):
    """Shows one image of a viewer, hides the others, and keeps it in sight until the user moves the camera.

    Parameters
    ----------
    viewer : ViewerModel
    states : callable
        Gives what is known of all images.
    """

    def __init__(self, viewer: ViewerModel, states: Callable[[], Iterable[ImageState]]) -> None:
        super().__init__()
        self._viewer, self._states = ref(viewer), states
        self._image: ref[Image] | None = None
        self._space: Space | None = "both"
        self._resized = QTimer(self, singleShot=True, interval=0)
        self._resized.timeout.connect(self.refit)
        viewer.canvas.events.size.connect(self._on_resized)
        viewer.mouse_wheel_callbacks.append(self._on_wheel)
        viewer.mouse_drag_callbacks.append(self._on_drag)

    @property
    def image(self) -> Image | None:
        """The image that is shown."""
        image, viewer = self._image() if self._image is not None else None, self._viewer()
        return image if viewer is not None and image in viewer.layers else None

    def show(self, image: Image | None) -> None:
        """Show an image and its layers as the user left them, hide all others, and look at it."""
        viewer = self._viewer()
        if viewer is None or image is None:
            self._image = None
            return
        self._image = ref(image)
        for other in [layer for layer in viewer.layers if is_source(layer)]:
            if other is not image:
                hide(other)
        for state in self._states():
            state.group.set_visible(state.layer is image)
        if is_hidden(image):
            bring_back(image)
        else:
            image.visible = True
        if not image.visible and not any(layer.visible for layer in self._own_layers()):
            image.visible = True
        active = viewer.layers.selection.active
        if active is None or not active.visible:
            viewer.layers.selection.active = image
        self.look("both")

    def look(self, space: Space) -> None:
        """Fly to the image, to its FFT, or so far off that both are seen."""
        viewer, image = self._viewer(), self.image
        if viewer is not None and image is not None:
            look_at(viewer, image, self._state(), space)
            self._space = space

    def refit(self) -> None:
        """Look again at what was looked at last, unless the user has moved the camera since."""
        if self._space is not None:
            self.look(self._space)

    def fly_to(self, place: tuple[float, float], size: float) -> None:
        """Look at a place (y, x) of the image so that something of a size, in nm, is well seen.

        An FFT that is seen whole beside the image stays so: there is the pattern of what was chosen.
        """
        viewer, image, self._space = self._viewer(), self.image, None
        if viewer is not None and image is not None:
            sides = np.ptp(image.extent.world[:, -2:], axis=0)
            wanted, state = min(size, LARGEST * float(np.min(sides))), self._state()
            fft = state.group.get("fft") if state is not None else None
            beside = fft if fft is not None and sees_whole(viewer, fft) else None
            fly_to(viewer, place, wanted, beside)

    def _state(self) -> ImageState | None:
        return next((state for state in self._states() if state.layer is self.image), None)

    def _own_layers(self) -> list[Any]:
        state = self._state()
        return state.group.layers if state is not None else []

    def _on_resized(self, event: Any = None) -> None:
        self._resized.start()

    def _on_wheel(self, viewer: ViewerModel, event: Any) -> None:
        self._space = None

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        before = viewer.scene.camera.center
        yield
        while event.type == "mouse_move":
            yield
        if viewer.scene.camera.center != before:
            self._space = None
