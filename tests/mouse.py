"""Mouse events as napari's canvas sends them, for tests in a viewer."""

from dataclasses import dataclass, field

import numpy as np
from napari.utils._proxies import ReadOnlyWrapper
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QCheckBox


@dataclass
class MouseEvent:
    """What the callbacks of viewers and layers look at."""

    type: str
    position: tuple[float, ...]
    is_dragging: bool = False
    button: int = 1
    modifiers: tuple[str, ...] = ()
    handled: bool = False
    view_direction: None = None
    up_direction: None = None
    dims_displayed: tuple[int, ...] = (0, 1)
    dims_point: tuple[float, ...] = (0.0, 0.0)
    pos: tuple[float, float] = (0.0, 0.0)
    camera_zoom: float = 1.0
    inverted: bool = False
    source: object = field(default=None)


def send(target, call, kind, world, **more):
    """Send one event to a viewer or a layer."""
    call(target, ReadOnlyWrapper(MouseEvent(kind, tuple(world), **more), exceptions=("handled",)))


def click(viewer, world):
    """Press and release the mouse on the canvas at one world position."""
    send(viewer, mouse_press_callbacks, "mouse_press", world)
    send(viewer, mouse_release_callbacks, "mouse_release", world)


def stroke(layer, start, end):
    """Press, drag and release the mouse on a layer, in its own cells."""
    start, end = np.array(start), np.array(end)
    send(layer, mouse_press_callbacks, "mouse_press", layer.data_to_world(start))
    send(layer, mouse_move_callbacks, "mouse_move", layer.data_to_world((start + end) / 2), is_dragging=True)
    send(layer, mouse_move_callbacks, "mouse_move", layer.data_to_world(end), is_dragging=True)
    send(layer, mouse_release_callbacks, "mouse_release", layer.data_to_world(end))


def drag(viewer, start, end):
    """Press, drag and release the mouse on the canvas from one world position to another."""
    send(viewer, mouse_press_callbacks, "mouse_press", start)
    send(viewer, mouse_move_callbacks, "mouse_move", end, is_dragging=True)
    send(viewer, mouse_release_callbacks, "mouse_release", end)


def canvas_of(viewer):
    """The canvas of a viewer that is shown."""
    return viewer.window._qt_viewer.canvas


def on_canvas(viewer, world):
    """Where a world position (y, x) is drawn, in pixels of the canvas."""
    x, y = canvas_of(viewer).view.scene.transform.map([world[-1], world[-2]])[:2]
    return QPointF(float(x), float(y))


def press_on_canvas(viewer, *worlds, button=Qt.MouseButton.LeftButton):
    """Press the mouse at the first world position, drag it through the others, release it: by Qt itself."""
    canvas, none = canvas_of(viewer).native, Qt.MouseButton.NoButton
    places = [on_canvas(viewer, world) for world in worlds]
    steps = [
        (QEvent.Type.MouseMove, places[0], none, none),
        (QEvent.Type.MouseButtonPress, places[0], button, button),
    ]
    steps += [(QEvent.Type.MouseMove, place, none, button) for place in places[1:]]
    steps.append((QEvent.Type.MouseButtonRelease, places[-1], button, none))
    for kind, place, changed, held in steps:
        there = QPointF(canvas.mapToGlobal(place))
        event = QMouseEvent(kind, place, there, changed, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(canvas, event)
        QApplication.processEvents()


def press(widget):
    """Press the left button of the mouse on a button, or on the sign of a box that can be checked."""
    box = isinstance(widget, QCheckBox)
    place = QPoint(8 if box else widget.width() // 2, widget.height() // 2)
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=place)
