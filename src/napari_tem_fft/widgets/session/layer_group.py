"""LayerGroup: the layers that belong to one micrograph; a new run replaces them, it adds no second set."""

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
    """Removes layers at once; while others are being removed, when that is over.

    Whoever empties the list of layers (Ctrl+A, Delete) goes through it one by one, and would miss those that
    are gone with the micrograph from which they were made.

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
        """Remove a layer, now or as soon as may be."""
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
        """Let what draws the layer be deleted in the OpenGL context in which it was made.

        napari deletes it at once, whichever context is current. Between two drawings that is Qt's own, in
        which the window is put together, and one of the next drawings ends the process.
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
    """Return the one of a viewer; it goes with it."""
    if viewer not in _removals:
        _removals[viewer] = Removals(viewer)
    return _removals[viewer]


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Hide all objects from the collection of garbage that napari does when a layer is removed.

    It stops everything for a quarter of a second. napari does it for drivers of Windows, where it stays.
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


#: Those that lie in reciprocal space.
RECIPROCAL = (
    *("fft", "live", "grain_fft", "probability", "rings", "mask", "spots"),
    *("phase", "compare", "choice", "pattern", "region", "line_fft", "angle", "bars"),
)

#: Width and height of a colour bar, pixels, and size of its numbers: there is little room beside the images.
COLOUR_BAR = (14, 90), 8


class LayerGroup:
    """Own layers of one micrograph, each with a role ("fft", "mask", "heat LiF").

    Parameters
    ----------
    viewer : ViewerModel
        Where they are shown.
    content : str
        Of the micrograph's pixels, as `content_id` gives it.
    panel : ViewerModel, optional
        Where the layers of reciprocal space are shown, if not there.
    image : Layer, optional
        The micrograph's, above which they lie in the list; napari has no groups of layers.

    Attributes
    ----------
    offset : tuple of float, (y, x), nm
        Where the micrograph lies in the viewer, as a part of a larger one does.
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
            removals_of(each)  # sees removals from now on

    def move(self, panel: ViewerModel | None) -> None:
        """Show reciprocal space in another viewer from now on; its layers are removed from the old one."""
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
        """Return the layer of a role if it is there and the user has not removed it."""
        layer = self._layers.get(role)
        return layer if layer is not None and layer in self.home(role).layers else None

    def plane(self, role: str = "fft") -> Plane | None:
        """Return where a diffractogram lies, the group's offset not counted; None where there is none."""
        layer = self.get(role)
        if layer is None:
            return None
        plane = plane_of(layer.metadata)
        if plane.unit == "1/nm":
            return plane
        return replace(plane, centre=_moved(plane.centre, (-self.offset[0], -self.offset[1])))

    @property
    def roles(self) -> list[str]:
        """Roles of the layers that are there."""
        return [role for role in self._layers if self.get(role) is not None]

    def adopt(self, of: str, owned: Collection[Layer] = ()) -> None:
        """Take over the layers made from the micrograph that are in the viewer already, from a file.

        Those of reciprocal space are removed if it is shown in a panel.

        Parameters
        ----------
        of : str
            Name of the micrograph, by which documents of version 0.1 know it.
        owned : collection of Layer
            Layers of other groups; they may be of an image with the same pixels.
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
        """The layers that are there."""
        return [self._layers[role] for role in self.roles]

    def show(self, layers: Iterable[LayerData], revive: bool = True) -> list[str]:
        """Add layers, or give those of the same role new contents; returns the roles shown.

        What the user changed meanwhile (visibility, opacity, colours, order) stays.

        Parameters
        ----------
        layers : iterable of LayerData
        revive : bool
            Whether layers that the user has removed come back.
        """
        unit = length_unit()
        placed = [stamped(in_unit(shifted(each, self.offset), unit), self.content) for each in layers]
        return [self._show(layer) for layer in placed if revive or not self._was_removed(layer)]

    def relabel(self, unit: LengthUnit) -> None:
        """Name the rings by their d in another unit."""
        for role in NAMED_BY_D:
            layer = self.get(role)
            if isinstance(layer, Shapes):
                features = layer.features.to_dict("list")
                layer.features = {**features, "label": d_labels(features, unit)}

    def keep_only(self, roles: Iterable[str]) -> None:
        """Remove the group's layers of all other roles."""
        for role in set(self._layers) - set(roles):
            self.remove(role)

    def remove(self, role: str) -> None:
        """Remove the layer of a role, if it is there."""
        layer = self.get(role)
        self._layers.pop(role, None)
        if layer is not None:
            removals_of(self.home(role)).remove(layer)

    def set_visible(self, visible: bool) -> None:
        """Put the whole group out of sight, with layers still to come, or show it again as it was."""
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
        """Place in the layer list: above all of the image's layers that belong below it."""
        layers = self.home(role).layers
        image = self._image() if self._image is not None else None
        start = layers.index(image) + 1 if image is not None and image in layers else 0
        here = self._of_image(layers, start)
        places: dict[int, str] = {layers.index(layer): layer.metadata[KEY]["role"] for layer in here}
        below = [place for place, other in places.items() if _rank(other) <= _rank(role)]
        return max(below) + 1 if below else min(places, default=start or len(layers))

    def _of_image(self, layers: LayerList, start: int) -> list[Layer]:
        """The group's layers in a list, and those of other groups of its image, as the ruler has one.

        Those are sought up to the next image, which may have the same pixels.
        """
        others = [
            layer
            for layer in takewhile(lambda each: not is_source(each), layers[start:])
            if belongs_to(layer.metadata, self.content, "")
        ]
        return [layer for layer in layers if layer in self.layers or layer in others]


def shifted(layer_data: LayerData, offset: tuple[float, float]) -> LayerData:
    """Return a layer tuple moved in the world's nm; one in a viewer of its own in 1/nm stays."""
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
    """Make a napari layer of a layer tuple."""
    layer = Layer.create(*layer_data)
    finish(layer)
    return layer


def finish(layer: Layer) -> None:
    """Give a layer what no layer tuple can ask for: reach of its contrast, outlines, a colour bar."""
    widen_grey_range(layer)
    if isinstance(layer, Labels):
        layer.contour = int(layer.metadata.get(KEY, {}).get("outline", 0))
    if isinstance(layer, Image) and layer.metadata.get(KEY, {}).get("colour_bar"):
        layer.colorbar.size, layer.colorbar.font_size = COLOUR_BAR
        layer.colorbar.position = "top_left"  # over the image, and not over the FFT beside it
        layer.colorbar.visible = True


def widen_grey_range(layer: Layer) -> None:
    """Let the contrast slider reach all grey levels, which no layer tuple can ask for."""
    ends = layer.metadata.get(KEY, {}).get("grey_range")
    if isinstance(layer, Image) and ends and ends[0] < ends[1]:
        low, high = layer.contrast_limits
        layer.contrast_limits_range = (min(ends[0], low), max(ends[1], high))


def update(layer: Layer, layer_data: LayerData) -> None:
    """Give a layer the contents and the place of a layer tuple, and leave its looks alone."""
    data, kwargs, _ = layer_data
    match layer:
        case Points():
            _update_points(layer, data, kwargs)
        case Shapes():
            _update_shapes(layer, data, kwargs)
        case Labels() if layer.data.shape == data.shape:
            layer.data[...] = data
            if isinstance(kwargs.get("colormap"), dict):
                layer.colormap = kwargs["colormap"]  # of labels, of which there may be others now
            layer.refresh()
        case _:
            layer.data = data
    kept = {name: value for name, value in layer.metadata.get(KEY, {}).items() if name == BEFORE}
    layer.metadata = {**kwargs["metadata"], KEY: {**kwargs["metadata"][KEY], **kept}}
    _move(layer, kwargs)


@contextmanager
def _selection_kept(viewer: ViewerModel) -> Iterator[None]:
    """Leave the user's choice in the layer list as it is, where napari would select each new layer.

    No one is notified of the choice in between: what follows it takes as long as a new layer.
    """
    selection = viewer.layers.selection
    chosen = set(selection)
    with selection.events.blocker_all():
        yield
        viewer.layers.selection = chosen


def _move(layer: Layer, kwargs: dict[str, Any]) -> None:
    """Put a layer in its place, if it is not there: each step makes napari lay out everything anew."""
    if not np.allclose(layer.scale, kwargs["scale"]):
        layer.scale = kwargs["scale"]
    if not np.allclose(layer.translate, kwargs["translate"]):
        layer.translate = kwargs["translate"]


@contextmanager
def _at_once(layer: Points | Shapes) -> Iterator[None]:
    """Let napari take several changes of a layer in as one: it would draw everything anew after each."""
    layer.selected_data = set()
    picture = layer.block_thumbnail_update() if isinstance(layer, Shapes) else nullcontext()
    with picture, layer.events.blocker_all():
        yield
        if not layer.visible:  # of a hidden layer napari would go on to view what is no longer there
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
