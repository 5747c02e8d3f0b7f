"""Stage: show one image with its results, control how it is drawn, and move the camera."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, Literal
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from ...layers.image import KEY
from ..forms.controls import button, fill_row
from ..session.image_state import ImageState
from ..session.shortcuts import words_of
from ..session.source import bring_back, hide, is_hidden, is_source

#: An object that the camera moves to takes up this share of the window's shorter side.
SHARE = 0.35
#: Share of the window that is filled when the camera is fitted to something.
MARGIN = 0.97
#: Pixels above and below a colour bar.
AROUND_BAR = 24
Space = Literal["real", "reciprocal", "both"]
_Corners = tuple[NDArray[np.float64], NDArray[np.float64]]
SPACES: tuple[Space, ...] = ("real", "reciprocal", "both")


class ViewButtons(QWidget):
    """Buttons that move the camera to the micrograph, to its FFT, or to both.

    Signals
    -------
    wanted(str)
        What to look at.
    """

    wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.to_real = button("Image", f"Look at the micrograph{words_of('real')}")
        self.to_reciprocal = button("FFT", f"Look at the FFT{words_of('reciprocal')}")
        self.to_both = button("Both", f"Look at the micrograph and the FFT beside it{words_of('both')}")
        buttons = (self.to_real, self.to_reciprocal, self.to_both)
        fill_row(QHBoxLayout(self), QLabel("view"), *buttons)
        for each in buttons:
            each.clicked.connect(self._on_clicked)

    def _on_clicked(self) -> None:
        spaces: dict[object, Space] = {self.to_real: "real", self.to_reciprocal: "reciprocal"}
        self.wanted.emit(spaces.get(self.sender(), "both"))


def look_at(viewer: ViewerModel, image: Image, image_state: ImageState | None, space: Space) -> None:
    """Move the camera to an image, its FFT, or both; to the image if there is no FFT."""
    group = image_state.group if image_state is not None else None
    fft = group.get("fft") if group is not None else None
    around = [group.get(role) for role in ("legend", "key")] if group is not None else []
    pattern = group.get("pattern") if group is not None else None
    for each in (viewer, group.home("fft") if group is not None else viewer):
        both = [image, fft, *around]
        wanted = {"real": [image, *around], "reciprocal": [fft, pattern], "both": both}[space]
        here = [layer for layer in wanted if layer is not None and layer in each.layers]
        if not here and each is viewer and fft is None:
            here = [image]
        if here:
            # napari's own fit fails for images next to a stack
            corners = np.concatenate([layer.extent.world[:, -2:] for layer in here])
            _fit(each, np.nanmin(corners, axis=0), np.nanmax(corners, axis=0), _height_of_bars(each))


def _around(place: tuple[float, float], size: float, including: Layer | None = None) -> _Corners:
    """The field in which an object of a size at a position (y, x) fits well, with the whole of a layer."""
    reach = size * (1.0 if including is not None else MARGIN / SHARE) / 2
    low, high = np.subtract(place, reach), np.add(place, reach)
    if including is not None:
        corners = including.extent.world[:, -2:]
        low, high = np.minimum(low, corners.min(axis=0)), np.maximum(high, corners.max(axis=0))
    return low, high


def _fit(viewer: ViewerModel, low: NDArray[np.float64], high: NDArray[np.float64], above: int = 0) -> None:
    """Fit the camera to the rectangle between two corners (y, x) in the world, with pixels free above it."""
    height, width = viewer.canvas.size
    sides = np.maximum(high - low, 1e-3)
    zoom = MARGIN * float(np.min(np.array((height - above, width)) / sides))
    down = max(above - (height - zoom * sides[0]) / 2, 0.0) / zoom
    y, x = ((low + high) / 2).tolist()
    viewer.scene.camera.center = (0.0, y - down, x)
    viewer.scene.camera.zoom = zoom


def _larger(viewer: ViewerModel, field: _Corners, image: Layer, fft: Layer) -> float:
    """How many times larger an image is in a field than where all of it and its FFT are seen."""
    corners = np.concatenate([image.extent.world[:, -2:], fft.extent.world[:, -2:]])
    canvas, both = np.array(viewer.canvas.size), np.ptp(corners, axis=0)
    return float(np.min(canvas / np.subtract(*field[::-1])) / np.min(canvas / both))


def _height_of_bars(viewer: ViewerModel) -> int:
    """Pixels that the colour bars at the top of a canvas take, which would hide a corner of the image."""
    shown = [each.colorbar for each in viewer.layers if isinstance(each, Image) and each.visible]
    heights = [bar.size[1] for bar in shown if bar.visible and str(bar.position).startswith("top")]
    return int(max(heights, default=0)) + (AROUND_BAR if heights else 0)


def sees_whole(viewer: ViewerModel, layer: Layer) -> bool:
    """Whether a visible layer is completely in the camera's field."""
    if layer not in viewer.layers or not layer.visible:
        return False
    field = np.array(viewer.canvas.size) / viewer.scene.camera.zoom / 2
    off = np.abs(layer.extent.world[:, -2:] - np.array(viewer.scene.camera.center[-2:]))
    return bool(np.all(off <= field))


#: The camera does not zoom out for an object larger than this share of the image's shorter side, because
#: there is nothing to see around it.
LARGEST = 0.4
#: Beside the FFT, the camera moves only if the image becomes this many times larger; chosen by eye.
WORTH = 1.25


class Stage(QObject):
    """Shows one image of a viewer, hides the others, and keeps it in view until the user moves the camera.

    Parameters
    ----------
    viewer : ViewerModel
    states : callable
        Returns the states of all images.
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
        """Show an image and its layers as the user left them, hide all others, and move the camera to it."""
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
        """Move the camera to the image, its FFT, or both."""
        viewer, image = self._viewer(), self.image
        if viewer is not None and image is not None:
            look_at(viewer, image, self._state(), space)
            self._space = space

    def refit(self) -> None:
        """Repeat the last fit of the camera, unless the user has moved it since."""
        if self._space is not None:
            self.look(self._space)

    def fly_to(self, place: tuple[float, float], size: float) -> None:
        """Move the camera to a position (y, x) of the image so that an object of a size, in nm, fits well.

        An FFT that is completely visible next to the image stays so, because it shows the selected pattern.
        """
        viewer, image, self._space = self._viewer(), self.image, None
        if viewer is not None and image is not None:
            sides = np.ptp(image.extent.world[:, -2:], axis=0)
            wanted, state = min(size, LARGEST * float(np.min(sides))), self._state()
            fft = state.group.get("fft") if state is not None else None
            including = fft if fft is not None and sees_whole(viewer, fft) else None
            field = _around(place, wanted, including)
            if including is not None and (wanted < size or _larger(viewer, field, image, including) < WORTH):
                self.look("both")  # or a part of the image, and its legend, would be cut off for nothing
            else:
                _fit(viewer, *field)

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


#: Roles of layers with lattice fringes, in addition to the micrographs.
ROLES = ("ifft", "fringes")
#: Largest number of pixels (per side) that are averaged for a pixel of the screen; each is a texture lookup.
MOST = 16
#: Milliseconds after the last step of a zoom.
SOON = 40


class AveragedPixels(QObject):
    """Lets napari average the image pixels that fall on one pixel of the screen, at every zoom.

    With nearest or linear interpolation, fringes of a few pixels cause moire patterns on the screen. An
    interpolation that the user has chosen is not changed.

    Parameters
    ----------
    viewer : ViewerModel
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self._set: WeakKeyDictionary[Image, tuple[str, int]] = WeakKeyDictionary()
        self._timer = QTimer(self, singleShot=True, interval=SOON)
        self._timer.timeout.connect(self.follow)
        viewer.scene.camera.events.zoom.connect(self._on_changed)
        viewer.layers.events.inserted.connect(self._on_changed)

    def follow(self) -> None:
        """Average as needed for the present zoom."""
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndisplay != 2:
            return
        zoom = viewer.scene.camera.zoom
        for layer in viewer.layers:
            if _has_fringes(layer):
                self._average(layer, pixels_on_one(float(min(layer.scale[-2:])), zoom))

    def _average(self, layer: Image, side: int) -> None:
        before = self._set.get(layer, (_as_opened(layer), 1))
        if str(layer.interpolation2d) != before[0]:
            return
        wanted = "linear" if side == 1 else "custom"
        if (wanted, side) != before:
            if side > 1:
                layer.custom_interpolation_kernel_2d = np.full((side, side), 1 / side**2, np.float32)
            layer.interpolation2d = wanted
            self._set[layer] = wanted, side

    def _on_changed(self, event: Any = None) -> None:
        self._timer.start()


def pixels_on_one(pixel_size: float, zoom: float) -> int:
    """Number of image pixels (per side) that fall on one pixel of the screen, 1 to `MOST`.

    Parameters
    ----------
    pixel_size : float
        In world units.
    zoom : float
        Pixels of the screen per world unit.

    Examples
    --------
    >>> pixels_on_one(0.02, 10.0), pixels_on_one(0.02, 100.0)
    (5, 1)
    """
    return int(np.clip(np.round(1 / max(pixel_size * zoom, 1e-9)), 1, MOST))


def _has_fringes(layer: Any) -> bool:
    if not isinstance(layer, Image) or layer.rgb:
        return False
    return is_source(layer) or layer.metadata.get(KEY, {}).get("role") in ROLES


def _as_opened(layer: Image) -> str:
    """The default interpolation, which differs between napari's readers and those of this plugin."""
    own = "grey_range" in layer.metadata.get(KEY, {})
    return "linear" if own or not is_source(layer) else "nearest"
