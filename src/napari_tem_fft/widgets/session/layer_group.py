"""LayerGroup: the layers of one micrograph, which a new run replaces instead of adding a second set."""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import takewhile
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.components import LayerList, ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.qt import QtViewer
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication

from ...core.text import LengthUnit
from ...layers.image import belongs_to, stamped
from ...layers.reciprocal_plane import NAMED_BY_D, Plane, d_labels, in_unit
from ...layers.results import KEY, ORDER, LayerData, plane_of, role_of
from .settings import length_unit
from .source import BEFORE, bring_back, hide, is_source


class Removals(QObject):
    """Removes layers immediately, or, while others are being removed, afterwards.

    When the whole layer list is deleted (Ctrl+A, Delete), napari removes layers one by one, and would fail
    for those that were removed together with their micrograph.

    Parameters
    ----------
    viewer : ViewerModel
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self._waiting: list[Layer] = []
        self._own = self._busy = False
        self._shown_in: ref[QtViewer] | None = None
        self._over = QTimer(self, singleShot=True, interval=0)
        self._over.timeout.connect(self._on_over)
        viewer.layers.events.removing.connect(self._on_removing)

    def remove(self, layer: Layer) -> None:
        """Remove a layer, now or as soon as possible."""
        if self._busy:
            self._waiting.append(layer)
            return
        viewer = self._viewer()
        if viewer is not None and layer in viewer.layers:
            self._own = True
            try:
                with _nothing_to_collect():
                    viewer.layers.remove(layer)
            finally:
                self._own = False

    def _on_removing(self, event: Any = None) -> None:
        self._make_canvas_current()
        if not self._own:
            self._busy = True
            self._over.start()

    def _on_over(self) -> None:
        self._busy = False
        waiting, self._waiting = self._waiting, []
        for layer in waiting:
            self.remove(layer)

    def _make_canvas_current(self) -> None:
        """Make the OpenGL context current in which the visual of the layer was created.

        napari deletes the visual immediately, in whichever context is current. Between two drawings this is
        the context in which Qt composes the window, and one of the next drawings would crash.
        """
        shown_in = self._shown_in() if self._shown_in is not None else None
        if shown_in is None:
            viewer = self._viewer()
            found = [w for w in QApplication.allWidgets() if isinstance(w, QtViewer) and w.viewer is viewer]
            if not found:  # a viewer without a window
                return
            shown_in = found[0]
            self._shown_in = ref(shown_in)
        shown_in.canvas.native.makeCurrent()


def removals_of(viewer: ViewerModel) -> Removals:
    """Return the object of a viewer, which exists as long as the viewer."""
    if viewer not in _removals:
        _removals[viewer] = Removals(viewer)
    return _removals[viewer]


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Hide all objects from the garbage collection that napari triggers when a layer is removed.

    It would block everything for a quarter of a second. napari needs it for drivers on Windows, where it is
    not suppressed.
    """
    if sys.platform == "win32" or gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


_removals: WeakKeyDictionary[ViewerModel, Removals] = WeakKeyDictionary()


#: Roles of layers in reciprocal space.
RECIPROCAL = (
    *("fft", "live", "grain_fft", "probability", "rings", "mask", "spots"),
    *("phase", "compare", "choice", "pattern", "region", "line_fft", "angle", "bars"),
)

#: Width and height of a colour bar, pixels, and size of its numbers: there is little room beside the images.
COLOUR_BAR = (14, 90), 8


class LayerGroup:
    """The layers of one micrograph, each with a role ("fft", "mask", "heat LiF").

    Parameters
    ----------
    viewer : ViewerModel
        The viewer of the layers.
    content : str
        Hash of the pixels of the micrograph, from `content_id`.
    panel : ViewerModel, optional
        A separate viewer for the layers of reciprocal space.
    image : Layer, optional
        Layer of the micrograph, above which the group is placed; napari has no groups of layers.

    Attributes
    ----------
    offset : tuple of float, (y, x), nm
        Position of the micrograph in the viewer, if it is a part of a larger one.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        content: str,
        panel: ViewerModel | None = None,
        image: Layer | None = None,
    ) -> None:
        self._image = ref(image) if image is not None else None
        self.offset = (0.0, 0.0)
        self.content = content
        self._viewer = ref(viewer)
        self._panel = ref(panel) if panel is not None else None
        self._layers: dict[str, Layer] = {}
        self._hidden = False
        for each in filter(None, (viewer, panel)):
            removals_of(each)  # listens to removals from now on

    def move(self, panel: ViewerModel | None) -> None:
        """Show reciprocal space in another viewer; its layers are removed from the old one."""
        for role in [role for role in self._layers if role in RECIPROCAL]:
            self.remove(role)
        self._panel = ref(panel) if panel is not None else None
        if panel is not None:
            removals_of(panel)

    def home(self, role: str) -> ViewerModel:
        """Return the viewer in which layers of a role are shown."""
        panel = self._panel() if self._panel is not None and role in RECIPROCAL else None
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("the viewer was closed")
        return panel if panel is not None else viewer

    def __getitem__(self, role: str) -> Layer:
        return self._layers[role]

    def get(self, role: str) -> Layer | None:
        """Return the layer of a role, if it exists and the user has not removed it."""
        layer = self._layers.get(role)
        return layer if layer is not None and layer in self.home(role).layers else None

    def plane(self, role: str = "fft") -> Plane | None:
        """Return the plane of a diffractogram, without the offset of the group; None if there is none."""
        layer = self.get(role)
        if layer is None:
            return None
        plane = plane_of(layer.metadata)
        if plane.unit == "1/nm":
            return plane
        return replace(plane, centre=_moved(plane.centre, (-self.offset[0], -self.offset[1])))

    @property
    def roles(self) -> list[str]:
        """Roles of the existing layers."""
        return [role for role in self._layers if self.get(role) is not None]

    def adopt(self, of: str, owned: Collection[Layer] = ()) -> None:
        """Take over layers of the micrograph that exist in the viewer, as from a file.

        Layers of reciprocal space are removed if it is shown in a panel.

        Parameters
        ----------
        of : str
            Name of the micrograph, by which documents of version 0.1 identify it.
        owned : collection of Layer
            Layers of other groups, which can belong to an image with the same pixels.
        """
        for layer in list(self.home("").layers):
            if layer in owned or not belongs_to(layer.metadata, self.content, of):
                continue
            role = layer.metadata[KEY]["role"]
            if self.get(role) is not None:
                continue
            if self.home(role) is self.home(""):
                self._layers[role] = layer
                finish(layer)
            else:
                removals_of(self.home("")).remove(layer)

    @property
    def layers(self) -> list[Layer]:
        """The existing layers."""
        return [self._layers[role] for role in self.roles]

    def show(self, layers: Iterable[LayerData], revive: bool = True) -> list[str]:
        """Add layers, or update those of the same role; returns the roles shown.

        Changes by the user (visibility, opacity, colours, order) are kept.

        Parameters
        ----------
        layers : iterable of LayerData
        revive : bool
            Whether layers that the user has removed are added again.
        """
        unit = length_unit()
        placed = [stamped(in_unit(shifted(each, self.offset), unit), self.content) for each in layers]
        return [self._show(layer) for layer in placed if revive or not self._was_removed(layer)]

    def relabel(self, unit: LengthUnit) -> None:
        """Label the rings by their d in another unit."""
        for role in NAMED_BY_D:
            layer = self.get(role)
            if isinstance(layer, Shapes):
                features = layer.features.to_dict("list")
                layer.features = {**features, "label": d_labels(features, unit)}

    def keep_only(self, roles: Iterable[str]) -> None:
        """Remove the layers of all other roles."""
        for role in set(self._layers) - set(roles):
            self.remove(role)

    def remove(self, role: str) -> None:
        """Remove the layer of a role, if it exists."""
        layer = self.get(role)
        self._layers.pop(role, None)
        if layer is not None:
            removals_of(self.home(role)).remove(layer)

    def set_visible(self, visible: bool) -> None:
        """Hide the whole group, including future layers, or show it again as it was."""
        self._hidden = not visible
        for role in self.roles:
            (bring_back if visible else hide)(self._layers[role])

    def _show(self, layer_data: LayerData) -> str:
        role = role_of(layer_data)
        layer = self.get(role)
        if layer is None:
            layer, home = create(layer_data), self.home(role)
            if self._hidden:
                hide(layer)
            with _selection_kept(home):
                home.layers.insert(self._index(role), layer)
            self._layers[role] = layer
        else:
            update(layer, layer_data)
        return role

    def _was_removed(self, layer_data: LayerData) -> bool:
        role = role_of(layer_data)
        return role in self._layers and self.get(role) is None

    def _index(self, role: str) -> int:
        """Index in the layer list, above all layers of the image that belong below the role."""
        layers = self.home(role).layers
        image = self._image() if self._image is not None else None
        start = layers.index(image) + 1 if image is not None and image in layers else 0
        here = self._of_image(layers, start)
        places: dict[int, str] = {layers.index(layer): layer.metadata[KEY]["role"] for layer in here}
        below = [place for place, other in places.items() if _rank(other) <= _rank(role)]
        return max(below) + 1 if below else min(places, default=start or len(layers))

    def _of_image(self, layers: LayerList, start: int) -> list[Layer]:
        """The layers of the group in a list, and those of other groups of its image, such as the ruler's.

        The latter are searched up to the next image, which can have the same pixels.
        """
        others = [
            layer
            for layer in takewhile(lambda each: not is_source(each), layers[start:])
            if belongs_to(layer.metadata, self.content, "")
        ]
        return [layer for layer in layers if layer in self.layers or layer in others]


def shifted(layer_data: LayerData, offset: tuple[float, float]) -> LayerData:
    """Return a layer tuple shifted in world coordinates (nm); those of a panel (1/nm) are not shifted."""
    data, kwargs, kind = layer_data
    notes = kwargs["metadata"][KEY]
    if offset == (0.0, 0.0) or notes.get("world_unit") == "1/nm":
        return layer_data
    notes = {**notes, **({"centre": _moved(notes["centre"], offset)} if "centre" in notes else {})}
    moved = {"translate": _moved(kwargs["translate"], offset), "metadata": {**kwargs["metadata"], KEY: notes}}
    return data, {**kwargs, **moved}, kind


def _moved(place: Any, offset: tuple[float, float]) -> tuple[float, float]:
    return float(place[0] + offset[0]), float(place[1] + offset[1])


def _rank(role: str) -> int:
    kind: str = role.split()[0]
    return ORDER.index(kind)


def create(layer_data: LayerData) -> Layer:
    """Create a napari layer from a layer tuple."""
    layer = Layer.create(*layer_data)
    finish(layer)
    return layer


def finish(layer: Layer) -> None:
    """Set properties that a layer tuple cannot contain: contrast range, outlines, a colour bar."""
    widen_grey_range(layer)
    if isinstance(layer, Labels):
        layer.contour = int(layer.metadata.get(KEY, {}).get("outline", 0))
    if isinstance(layer, Image) and layer.metadata.get(KEY, {}).get("colour_bar"):
        layer.colorbar.size, layer.colorbar.font_size = COLOUR_BAR
        layer.colorbar.position = "top_left"  # over the image, not over the FFT next to it
        layer.colorbar.visible = True


def widen_grey_range(layer: Layer) -> None:
    """Extend the contrast slider to all grey levels, which a layer tuple cannot contain."""
    ends = layer.metadata.get(KEY, {}).get("grey_range")
    if isinstance(layer, Image) and ends and ends[0] < ends[1]:
        low, high = layer.contrast_limits
        layer.contrast_limits_range = (min(ends[0], low), max(ends[1], high))


def update(layer: Layer, layer_data: LayerData) -> None:
    """Update the data and position of a layer from a layer tuple, but not its appearance."""
    data, kwargs, _ = layer_data
    match layer:
        case Points():
            _update_points(layer, data, kwargs)
        case Shapes():
            _update_shapes(layer, data, kwargs)
        case Labels() if layer.data.shape == data.shape:
            layer.data[...] = data
            if isinstance(kwargs.get("colormap"), dict):
                layer.colormap = kwargs["colormap"]  # colours of labels, which may have changed
            layer.refresh()
        case _:
            layer.data = data
    kept = {name: value for name, value in layer.metadata.get(KEY, {}).items() if name == BEFORE}
    layer.metadata = {**kwargs["metadata"], KEY: {**kwargs["metadata"][KEY], **kept}}
    _move(layer, kwargs)


@contextmanager
def _selection_kept(viewer: ViewerModel) -> Iterator[None]:
    """Keep the selection in the layer list, although napari selects each new layer.

    Listeners are not notified of the intermediate selection, because that takes as long as adding a layer.
    """
    selection = viewer.layers.selection
    chosen = set(selection)
    with selection.events.blocker_all():
        yield
        viewer.layers.selection = chosen


def _move(layer: Layer, kwargs: dict[str, Any]) -> None:
    """Move a layer to its position if needed, because each change makes napari redo its layout."""
    if not np.allclose(layer.scale, kwargs["scale"]):
        layer.scale = kwargs["scale"]
    if not np.allclose(layer.translate, kwargs["translate"]):
        layer.translate = kwargs["translate"]


@contextmanager
def _at_once(layer: Points | Shapes) -> Iterator[None]:
    """Combine several changes of a layer, because napari would redraw everything after each."""
    layer.selected_data = set()
    picture = layer.block_thumbnail_update() if isinstance(layer, Shapes) else nullcontext()
    with picture, layer.events.blocker_all():
        yield
        if not layer.visible:  # for a hidden layer napari would otherwise keep a view of removed data
            layer.visible = True
            layer.visible = False
    layer.events.features()
    layer.refresh()


def _update_points(layer: Points, data: Any, kwargs: dict[str, Any]) -> None:
    with _at_once(layer):
        layer.data = data
        layer.features = kwargs["features"]
        if len(data):
            layer.size = kwargs["size"]
            layer.border_color = kwargs["border_color"]
            layer.face_color = kwargs["face_color"]


def _update_shapes(layer: Shapes, data: Any, kwargs: dict[str, Any]) -> None:
    names = ("shape_type", "edge_width", "edge_color")
    with _at_once(layer):
        layer.data = []
        layer.add(data, **{n: kwargs[n] for n in names}, face_color=kwargs.get("face_color", "transparent"))
        layer.features = kwargs["features"]
