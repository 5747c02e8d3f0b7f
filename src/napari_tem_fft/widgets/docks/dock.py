"""Base class of the docks, and functions that open each dock once and arrange them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QFileDialog, QMainWindow, QVBoxLayout, QWidget

from ..session.runner import tell
from ..session.session import session_of


class Dock(QWidget):
    """A widget that shows results of the session of a viewer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.session = session_of(napari_viewer)

    def follow(self, slot: Callable[[], None], running: bool = False) -> None:
        """Call a slot when the shown results change, and optionally when a run begins or ends."""
        self.session.found.connect(slot)
        self.session.current_changed.connect(slot)
        if running:
            self.session.state_changed.connect(slot)

    def column(self) -> QVBoxLayout:
        """Return a new vertical layout of the dock."""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        return layout

    def save_as(self, title: str, name: str, kinds: str, write: Callable[[Path], object]) -> None:
        """Ask for a file, which gets the suffix of `name` if none is typed, and write it."""
        path: str = QFileDialog.getSaveFileName(self, title, name, kinds)[0]
        if path:
            try:
                write(Path(path if Path(path).suffix else path + Path(name).suffix))
            except (OSError, ValueError) as error:
                tell(error)


PLUGIN = "TEM FFT"
#: Minimum width of a dock in napari, pixels.
LEAST = 50
#: Share of the window's height for the docks at the bottom: at first, and the least and most of it later.
FIRST, SHARES = 0.36, (0.28, 0.45)
#: Pixels below which a profile has no room for the rows of its phases.
LOW = 240
#: Share of the window's height for the first of them where it is moved into a column at a side.
ASIDE = 0.42
#: Pixels that legends above and below the images take; heights that differ by more were set by hand.
AROUND, BY_HAND = 150, 4


def dock_name(name: str) -> str:
    """Name of a dock of this plugin in napari's Plugins menu."""
    return f"{name} ({PLUGIN})"


def bring(viewer: ViewerModel, docks: dict[str, type[QWidget]], area: str) -> Iterator[QDockWidget]:
    """Open docks as tabs in an area of the window, one per step; open docks are left where they are.

    Parameters
    ----------
    viewer : napari.Viewer
    docks : dict of str to type
        Names of the widgets in the manifest, and their classes.
    area : str
        "bottom", "right", ...

    Yields
    ------
    QDockWidget
        Each dock that was not open.
    """
    window = getattr(viewer, "window", None)
    if window is None:
        return
    for name, make in docks.items():
        if not any(isinstance(widget, make) for widget in window.dock_widgets.values()):
            dock = window.add_dock_widget(make(viewer), name=dock_name(name), area=area, tabify=True)
            dock.setWindowTitle(name)  # a short title for the tab
            yield dock


def bring_to_front(viewer: ViewerModel, name: str, make: type[QWidget], area: str) -> None:
    """Raise the tab of a dock; the dock is opened if needed."""
    for _ in bring(viewer, {name: make}, area):
        pass
    window = getattr(viewer, "window", None)
    for widget in tuple(window.dock_widgets.values()) if window is not None else ():
        dock = dock_of(widget) if isinstance(widget, make) else None
        if dock is not None:
            dock.show()
            dock.raise_()


def bring_around(widget: QWidget, viewer: ViewerModel, below: dict[str, type[QWidget]]) -> Iterator[None]:
    """Open docks around that of a widget, one per step; open docks are left where they are.

    Parameters
    ----------
    widget : QWidget
        Its dock stays on top in its column.
    viewer : napari.Viewer
    below : dict of str to type
        Docks that become tabs at the bottom, the first on top: names of the widgets in the manifest, and
        their classes.
    """
    first = None
    for dock in bring(viewer, below, "bottom"):
        if first is None:
            first = dock
            _settle(first)
        first.raise_()
        yield
    if (own := dock_of(widget)) is not None:
        own.raise_()
    if first is not None:
        yield  # Qt has laid them out
        Balance(first)


class Balance(QObject):
    """Sets the height of the docks at the bottom, depending on the width of the window.

    An image and its FFT next to each other need half of their width as height, so in a narrow window more is
    left for the docks. A height that the user has set is not changed.

    Parameters
    ----------
    dock : QDockWidget
        One of the docks at the bottom, which becomes the parent.
    """

    def __init__(self, dock: QDockWidget) -> None:
        super().__init__(dock)
        self._dock, self._given = dock, dock.height()
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._share_out)
        self._then = QTimer(self, singleShot=True, interval=0)
        self._then.timeout.connect(self._note)
        self._aside = QTimer(self, singleShot=True, interval=0)
        self._aside.timeout.connect(self._share_column)
        dock.window().installEventFilter(self)
        dock.dockLocationChanged.connect(self._on_moved)
        self._soon.start()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Distribute the height again when the window is resized."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._soon.start()
        return bool(super().eventFilter(watched, event))

    def _on_moved(self, area: Qt.DockWidgetArea) -> None:
        if area in (Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea):
            self._aside.start()

    def _share_column(self) -> None:
        """Give the dock a fair share of its column, where Qt would leave it a strip below the others."""
        main = self._dock.window()
        if isinstance(main, QMainWindow) and not main.tabifiedDockWidgets(self._dock):
            main.resizeDocks([self._dock], [int(ASIDE * main.height())], Qt.Orientation.Vertical)

    def _share_out(self) -> None:
        main, seen = self._dock.window(), self._seen()
        if not isinstance(main, QMainWindow) or seen is None or abs(seen.height() - self._given) > BY_HAND:
            return
        images = main.centralWidget()
        left = images.height() + seen.height() - (images.width() // 2 + AROUND)
        first, least, most = (int(share * main.height()) for share in (FIRST, *SHARES))
        least = max(least, min(first, LOW))
        main.resizeDocks([seen], [min(max(left, least), most)], Qt.Orientation.Vertical)
        self._then.start()

    def _note(self) -> None:
        """Remember the height that Qt has set."""
        seen = self._seen()
        self._given = seen.height() if seen is not None else self._given

    def _seen(self) -> QDockWidget | None:
        """Return the dock at the bottom whose tab is on top."""
        main = self._dock.window()
        if not isinstance(main, QMainWindow):  # it floats
            return None
        bottom = Qt.DockWidgetArea.BottomDockWidgetArea
        docks = (self._dock, *main.tabifiedDockWidgets(self._dock))
        here = (d for d in docks if main.dockWidgetArea(d) == bottom and not d.visibleRegion().isEmpty())
        return next(here, None)


def narrow(widget: QWidget) -> None:
    """Reduce the dock of a widget to the width it needs, so that most of the window is left for images."""
    main, dock = widget.window(), dock_of(widget)
    if isinstance(main, QMainWindow) and dock is not None and not dock.isFloating():
        # napari sets a minimum width, and Qt keeps the width that a widget requested before napari's style
        # made its buttons narrower
        for each in (dock, *main.tabifiedDockWidgets(dock)):
            each.setMinimumWidth(LEAST)
        main.resizeDocks([dock], [widget.minimumSizeHint().width()], Qt.Orientation.Horizontal)


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock that contains a widget."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def _settle(dock: QDockWidget) -> None:
    """Set the height of a dock, and give the corners to the side columns, so that they keep their height."""
    main = dock.window()
    if isinstance(main, QMainWindow):
        main.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        main.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        main.resizeDocks([dock], [int(FIRST * main.height())], Qt.Orientation.Vertical)
