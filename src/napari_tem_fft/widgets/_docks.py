"""The plugin's docks by name: each is opened once and where it belongs, whoever asks for it."""

from __future__ import annotations

from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMainWindow, QWidget

PLUGIN = "TEM FFT"


def dock_name(name: str) -> str:
    """Name under which napari's Plugins menu knows a dock of this plugin."""
    return f"{name} ({PLUGIN})"


def bring(viewer: ViewerModel, name: str, make: type[QWidget], area: str, share: float) -> None:
    """Open a dock unless it is open already.

    Parameters
    ----------
    viewer : napari.Viewer
    name : str
        The widget's name in the manifest.
    make : type
        The widget, made for a viewer.
    area : {"left", "right", "top", "bottom"}
    share : float
        Of the window's height.
    """
    window = getattr(viewer, "window", None)
    if window is None or any(isinstance(widget, make) for widget in window.dock_widgets.values()):
        return
    dock = window.add_dock_widget(make(viewer), name=dock_name(name), area=area)
    main = dock.window()
    if isinstance(main, QMainWindow):
        main.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        main.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        main.resizeDocks([dock], [int(share * main.height())], Qt.Orientation.Vertical)
