"""ReciprocalPanel: reciprocal space in a separate viewer, in 1/nm, next to napari's."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import ref

from napari.components import ViewerModel
from napari.qt import QtViewer
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QDockWidget,
    QFileDialog,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from ..docks.dock import dock_name, dock_of
from ..session.session import Session

#: Initial share of the window's width.
SHARE = 0.28
#: It is larger if this many pixels are left for the micrograph and the profile below it.
LEFT_TO_IMAGE = 480


class ReciprocalPanel(QWidget):
    """A second viewer with its own layer list and controls, which can be folded.

    It must not float, because its canvas would lose the OpenGL context (vispy issue 1759).

    Parameters
    ----------
    viewer : ViewerModel
        napari's viewer, whose theme is followed.

    Signals
    -------
    gone()
        The user has closed the panel's dock.
    """

    gone = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._main = ref(viewer)
        self.model = ViewerModel(title="reciprocal space")
        self.model.theme = viewer.theme
        self.model.canvas.overlays.scale_bar.visible = True
        self.qt_viewer = QtViewer(self.model, show_welcome_screen=False)
        self.qt_viewer.canvas.events.initialize.connect(self._on_canvas_initialized)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._make_tools()
        self._lay_out()
        viewer.events.theme.connect(self._on_theme_changed)

    def _make_tools(self) -> None:
        self.tools = QWidget()
        column = QVBoxLayout(self.tools)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.qt_viewer.controls, self.qt_viewer.layerButtons, self.qt_viewer.layers):
            column.addWidget(part)
        self.tools.hide()
        self.fold = QPushButton("Layers")
        self.fold.setCheckable(True)
        self.fold.setToolTip("Show the layers of the FFT and their controls (brush, eraser, colours)")
        self.fold.toggled.connect(self.tools.setVisible)
        self.home = QPushButton("Whole FFT", toolTip="See all of the FFT again")
        self.home.clicked.connect(self._on_home)
        self.save = QPushButton("Save...")
        self.save.setToolTip("Save the layers of this panel, which File > Save does not see")
        self.save.clicked.connect(self._on_save)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        for button in (self.fold, self.home, self.save):
            row.addWidget(button)
        layout.addLayout(row)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(self.tools)
        splitter.addWidget(self.qt_viewer)
        splitter.setStretchFactor(1, 1)
        layout.addWidget(splitter, stretch=1)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Forbid floating once the dock exists."""
        super().showEvent(event)
        dock = dock_of(self)
        if dock is not None:
            forbid_floating(dock)
            dock.dockLocationChanged.connect(self._on_dock_moved)
            QTimer.singleShot(0, self._widen)

    def _on_dock_moved(self, area: Any = None) -> None:
        dock = dock_of(self)
        if dock is not None:
            forbid_floating(dock)

    def _widen(self) -> None:
        """Resize to a large share of the window, which works only after the docks are laid out."""
        dock, main = dock_of(self), self.window()
        if dock is not None and isinstance(main, QMainWindow):
            both = dock.width() + main.centralWidget().width()
            width = max(SHARE * main.width(), min(both / 2, both - LEFT_TO_IMAGE))
            main.resizeDocks([dock], [int(width)], Qt.Orientation.Horizontal)

    def _on_home(self) -> None:
        self.model.fit_to_view()

    def _on_canvas_initialized(self, event: Any = None) -> None:
        native = self.qt_viewer.canvas.native
        native.context().aboutToBeDestroyed.connect(partial(delete_textures, native))

    def give_back(self) -> None:
        """Close the second canvas and free its resources."""
        self.model.layers.clear()
        self.qt_viewer.close()
        self.qt_viewer.deleteLater()
        self.close()
        self.deleteLater()

    def on_dock_destroyed(self) -> None:
        """Announce that the user has closed the dock, and delete its contents."""
        self.gone.emit()
        self.give_back()

    def _on_theme_changed(self, event: Any = None) -> None:
        viewer = self._main()
        if viewer is not None:
            self.model.theme = viewer.theme

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the layers of the FFT", "fft")
        if path:
            self.model.layers.save(path)


def open_panel(viewer: ViewerModel, session: Session, main_dock: QWidget) -> ReciprocalPanel:
    """Open the panel in a separate column and show reciprocal space there.

    Parameters
    ----------
    viewer : napari.Viewer
    session : Session
    main_dock : QWidget
        The widget in the dock that stays to the right of the panel.
    """
    panel = ReciprocalPanel(viewer)
    dock = viewer.window.add_dock_widget(panel, name=dock_name("FFT"), area="right")
    neighbour, main = dock_of(main_dock), dock.window()
    if neighbour is not None and isinstance(main, QMainWindow):
        behind = main.tabifiedDockWidgets(neighbour)
        for other in behind:  # Qt cannot split a dock with tabs
            main.removeDockWidget(other)
        main.splitDockWidget(dock, neighbour, Qt.Orientation.Horizontal)
        for other in behind:
            main.addDockWidget(main.dockWidgetArea(neighbour), other)  # its owner again
            main.tabifyDockWidget(neighbour, other)
            other.show()
        neighbour.raise_()
    dock.destroyed.connect(panel.on_dock_destroyed)
    session.use_panel(panel.model)
    session.panel_widget = panel  # a closed dock releases its contents
    return panel


def close_panel(session: Session) -> None:
    """Close the panel and show reciprocal space next to the micrograph again."""
    session.use_panel(None)
    panel, session.panel_widget = session.panel_widget, None
    dock = dock_of(panel) if isinstance(panel, ReciprocalPanel) else None
    if isinstance(panel, ReciprocalPanel) and dock is not None:
        dock.destroyed.disconnect(panel.on_dock_destroyed)
        session.viewer.window.remove_dock_widget(dock)
        panel.give_back()


def delete_textures(native: Any) -> None:
    """Delete the OpenGL objects of a canvas while its context exists.

    Qt shares the contexts of a window, so that these objects would live as long as the window. Neither vispy
    nor napari deletes them with the canvas; each panel would leave 4 MB of glyphs behind.

    Parameters
    ----------
    native : QOpenGLWidget
        The widget of vispy, `QtViewer.canvas.native`.
    """
    try:
        native.makeCurrent()
    except RuntimeError:  # Qt deletes the widget, at the end of the process
        return
    parser = native._vispy_canvas.context.shared.parser
    parser.parse([("DELETE", number) for number in parser._objects])
    native.doneCurrent()


def forbid_floating(dock: QDockWidget) -> None:
    """Keep a dock in its window: neither a drag, a double click nor a button can float it.

    napari creates a new title bar when the dock is moved, so this has to be repeated then.
    """
    dock.setFeatures(dock.features() & ~QDockWidget.DockWidgetFeature.DockWidgetFloatable)
    dock.setFloating = lambda floating: None
    for button in dock.findChildren(QPushButton, "QTitleBarFloatButton"):
        button.hide()
