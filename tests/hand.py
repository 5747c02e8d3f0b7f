"""The hands of somebody at a window that is shown: mouse and keys as Qt sends them, for tests."""

import numpy as np
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QTabBar

from mouse import canvas_of, press_on_canvas
from napari_tem_fft.widgets.docks.dock import dock_of
from napari_tem_fft.widgets.docks.tem_fft import BELOW, TemFftDock

LEFT, NONE, CONTROL = (
    Qt.MouseButton.LeftButton,
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ControlModifier,
)


class Hand:
    """Mouse and keyboard in a viewer with the main dock and those that come with it.

    Parameters
    ----------
    viewer : napari.Viewer
        That is shown.
    qtbot : QtBot
    """

    def __init__(self, viewer, qtbot):
        self.viewer, self.qtbot = viewer, qtbot
        self.dock = TemFftDock(viewer)
        viewer.window.add_dock_widget(self.dock, name="TEM FFT")
        self.session = self.dock.session
        self.until(lambda: all(self.find(kind) is not None for kind in BELOW.values()))

    def find(self, kind):
        """The open dock of a kind, or its part."""
        widgets = self.viewer.window.dock_widgets.values()
        parts = [part for widget in widgets for part in (widget, *widget.findChildren(kind))]
        return next((part for part in parts if isinstance(part, kind)), None)

    def until(self, true, seconds=60):
        self.qtbot.waitUntil(lambda: bool(true()), timeout=1000 * seconds)

    def rest(self):
        """Wait until nothing is under way."""
        session = self.session
        self.until(
            lambda: not (session.running or session.spotlight.runner.running or session._taking_up.isActive())
        )
        QApplication.processEvents()

    def press(self, widget):
        """Press and release the left button on a widget, near its left edge where a box to tick is."""
        assert widget.isEnabled(), widget
        QTest.mouseClick(widget, LEFT, pos=QPoint(min(8, widget.width() // 2), widget.height() // 2))

    def run(self):
        self.press(self.dock.run)
        self.until(lambda: self.session.running or not self.dock.problem.isHidden())
        self.rest()
        return self.session.current

    def type(self, field, text):
        """Replace what stands in a field, and press Enter."""
        line = field.lineEdit() if isinstance(field, QAbstractSpinBox) else field
        QTest.mouseClick(line, LEFT)
        QTest.keyClick(line, Qt.Key.Key_A, CONTROL)
        QTest.keyClicks(field, text)
        QTest.keyClick(field, Qt.Key.Key_Return)

    def choose(self, box, index):
        """Go to an entry of a list by the arrow keys."""
        self.until(box.isEnabled)
        assert 0 <= index < box.count(), "there is no such entry"
        while box.currentIndex() != index:
            QTest.keyClick(box, Qt.Key.Key_Down if box.currentIndex() < index else Qt.Key.Key_Up)

    def choose_image(self, layer):
        self.choose(self.dock.image, [*self.dock.image._images].index(layer))
        self.rest()

    def bring(self, kind):
        """Bring the dock of a kind to the front by its tab; returns it."""
        found = self.find(kind)
        dock = dock_of(found)
        for tabs in self.viewer.window._qt_window.findChildren(QTabBar):
            for number in range(tabs.count()):
                if tabs.tabText(number) == dock.windowTitle():
                    QTest.mouseClick(tabs, LEFT, pos=tabs.tabRect(number).center())
        self.until(found.isVisible)
        return found

    def row(self, tree, starts):
        """Click the first row of a table that starts so."""
        item = next(item for item in tree.items() if item.text(0).startswith(starts))
        parent = item.parent()
        while parent is not None:
            parent.setExpanded(True)
            parent = parent.parent()
        QApplication.processEvents()  # the rows have their places then
        tree.scrollToItem(item)
        seen = tree.visualItemRect(item).intersected(tree.viewport().rect())
        QTest.mouseClick(tree.viewport(), LEFT, pos=seen.center())
        return item

    def menu(self, button, action):
        """Open the menu of a button and press an entry."""

        def press_entry():
            menu = button.menu()
            self_closing = menu.actionGeometry(action).center()
            QTest.mouseClick(menu, LEFT, pos=self_closing)

        QTimer.singleShot(200, press_entry)
        QTest.mouseClick(button, LEFT)

    def click(self, world):
        """Click the canvas at a place (y, x) of the world."""
        press_on_canvas(self.viewer, world)

    def drag(self, *worlds):
        press_on_canvas(self.viewer, *worlds)

    def key(self, key, modifier=NONE):
        """Press a key over the canvas."""
        QTest.keyClick(canvas_of(self.viewer).native, key, modifier)

    def wheel(self, steps):
        """Turn the wheel over the middle of the canvas: towards what is seen, or away from it."""
        canvas = canvas_of(self.viewer).native
        middle = QPointF(canvas.rect().center())
        none, turn = Qt.MouseButton.NoButton, QPoint(0, 120 if steps > 0 else -120)
        for _ in range(abs(steps)):
            there = QPointF(canvas.mapToGlobal(middle))
            phase = Qt.ScrollPhase.NoScrollPhase
            event = QWheelEvent(middle, there, QPoint(0, 0), turn, none, NONE, phase, False)
            QApplication.sendEvent(canvas, event)
        QApplication.processEvents()

    def drop(self, *paths):
        """Drop files on the canvas."""
        self.drop_on(self.viewer.window._qt_viewer, *paths)

    def drop_on(self, target, *paths):
        """Drop files on a widget."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        place = QPointF(target.rect().center())
        event = QDropEvent(place, Qt.DropAction.CopyAction, data, LEFT, NONE)
        target.dropEvent(event)  # Qt itself sends one only to where a mouse has dragged
        QApplication.processEvents()

    def delete_all_layers(self):
        layers = self.viewer.window._qt_viewer.layers
        QTest.keyClick(layers, Qt.Key.Key_A, CONTROL)
        QTest.keyClick(layers, Qt.Key.Key_Delete)
        self.rest()

    def shown(self):
        """The layers that are seen."""
        return {layer for layer in self.viewer.layers if layer.visible}

    def place_of(self, image_state, g):
        """Where a frequency (y, x) of the diffractogram lies in the world."""
        plane = image_state.group.plane()
        return np.add(plane.centre, np.multiply(plane.factor, g)) + np.array(image_state.group.offset)
