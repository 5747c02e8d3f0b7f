"""Small widgets and layouts for the forms of the docks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QAction, QDragEnterEvent, QDropEvent, QResizeEvent
from qtpy.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QFormLayout,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible, QFlowLayout

#: A dock this many times higher than wide has its columns below each other.
HIGH = 1.2


def button(text: str, help: str) -> QPushButton:
    """Return a button with a tooltip."""
    return QPushButton(text, toolTip=help)


def menu_button(text: str, help: str, *groups: Sequence[QAction]) -> QToolButton:
    """Return a button with a drop-down menu of groups of actions, with room for its arrow."""
    made = QToolButton(text=text, toolTip=help)
    made.setStyleSheet("QToolButton { padding-right: 16px }")  # otherwise the arrow covers the last letters
    made.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    menu = QMenu(made)
    for number, actions in enumerate(groups):
        if number:
            menu.addSeparator()
        menu.addActions(list(actions))
    made.setMenu(menu)
    return made


def fill_row(row: QHBoxLayout, *widgets: QWidget) -> QHBoxLayout:
    """Add widgets to a row without margins; returns the row."""
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    return row


def form_in(widget: QWidget) -> QFormLayout:
    """Return a new layout of a widget, a control and its name a row, close together."""
    form = QFormLayout(widget)
    form.setContentsMargins(0, 0, 0, 0)
    form.setVerticalSpacing(3)
    return form


def unbroken_percent(text: str) -> str:
    """Put a space before each percent sign, at which no line is broken.

    Examples
    --------
    >>> unbroken_percent("45.2%, 3 %") == "45.2\N{NO-BREAK SPACE}%, 3\N{NO-BREAK SPACE}%"
    True
    """
    return re.sub(r"(?<=\d) ?%", "\N{NO-BREAK SPACE}%", text)


def wrapped_label(text: str = "") -> QLabel:
    """Return a label of as many lines as its words need."""
    label = QLabel(text, wordWrap=True)
    return label


def side_by_side(*widgets: QWidget) -> QWidget:
    """Return widgets in a row, as one: labels as wide as their words, lines of text wider than the others."""
    box = QWidget()
    row = fill_row(QHBoxLayout(box), *widgets)
    for index, widget in enumerate(widgets):
        row.setStretch(index, 0 if isinstance(widget, QLabel) else 3 if isinstance(widget, QLineEdit) else 1)
    return box


def flowing(*widgets: QWidget) -> QWidget:
    """Return widgets in a row, as one, of which those that have no room in it stand in further rows."""
    box = QWidget()
    flow = QFlowLayout(box)
    flow.setContentsMargins(0, 0, 0, 0)
    flow.setSpacing(4)
    for widget in widgets:
        # in PyQt an empty list of choices is as false as an empty list, and the layout would leave it out
        flow.addWidget(side_by_side(widget) if isinstance(widget, QComboBox) else widget)
    return box


def frame(title: str, widget: QWidget) -> QGroupBox:
    """Return a widget in a frame with a title."""
    box = QGroupBox(title)
    QVBoxLayout(box).addWidget(widget)
    return box


def folding(title: str, *widgets: QWidget) -> QCollapsible:
    """Return widgets in a collapsible section."""
    section = QCollapsible(title)
    section.layout().setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        section.addWidget(widget)
    return section


class Columns(QWidget):
    """Two widgets next to each other if there is room, else one below the other.

    Parameters
    ----------
    left, right : QWidget
    stretch : tuple of int
        Shares of the width, or of the height.
    wanted : int
        Pixels of width that the right one should have, where there is height enough to stand below.
    """

    def __init__(
        self, left: QWidget, right: QWidget, stretch: tuple[int, int] = (2, 3), wanted: int = 0
    ) -> None:
        super().__init__()
        self._wanted = wanted
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.addWidget(left, stretch[0])
        self._box.addWidget(right, stretch[1])

    def minimumSizeHint(self) -> QSize:
        """Return the size of the wider widget, because they can be below each other."""
        sizes = self._least()
        return QSize(max(s.width() for s in sizes), max(s.height() for s in sizes))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Change the direction with the aspect ratio."""
        left, right = self._least()
        beside = self.width() - left.width() - self._box.spacing()
        room = self.height() >= left.height() + right.height() + self._box.spacing()
        ways = QBoxLayout.Direction
        narrow = beside < right.width() or (room and beside < self._wanted)
        below = narrow or self.height() > HIGH * self.width()
        self._box.setDirection(ways.TopToBottom if below else ways.LeftToRight)
        super().resizeEvent(event)

    def _least(self) -> list[QSize]:
        return [item.minimumSize() for i in range(2) if (item := self._box.itemAt(i)) is not None]


class Scrolled(QScrollArea):
    """A form that scrolls vertically if the dock is too low, but never horizontally.

    Parameters
    ----------
    form : QWidget
    """

    def __init__(self, form: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(form)

    def minimumSizeHint(self) -> QSize:
        """Return the form's width and the height of a few rows."""
        form, bar = self.widget(), self.verticalScrollBar()
        width = form.minimumSizeHint().width() if form is not None else 0
        return QSize(width + (bar.sizeHint().width() if bar is not None else 0), 90)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Request another width when the form does, as when napari's style is applied."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))


class TakesFiles:
    """Mixin of a widget on which files and folders can be dropped."""

    def wants(self, path: Path) -> bool:
        """Whether a file can be dropped here now."""
        return True

    def take_files(self, paths: Sequence[Path]) -> None:
        """Take dropped files and folders."""
        raise NotImplementedError

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Accept what is dragged here if any of it is wanted."""
        if event is not None and any(map(self.wants, _dropped(event))):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Take what is dropped."""
        if event is not None:
            self.take_files(_dropped(event))
            event.acceptProposedAction()


def _dropped(event: QDropEvent) -> list[Path]:
    """The local files and folders that are dragged."""
    data = event.mimeData()
    urls = data.urls() if data is not None else []
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]


def bring_into_sight(widget: QWidget) -> None:
    """Scroll the form of a widget to make it visible, after its new contents are laid out."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, Scrolled):
        parent = parent.parentWidget()
    if isinstance(parent, Scrolled):
        timer = QTimer(widget, singleShot=True, interval=0)
        timer.timeout.connect(partial(parent.ensureWidgetVisible, widget))
        timer.timeout.connect(timer.deleteLater)
        timer.start()


def short(box: QComboBox, letters: int) -> QComboBox:
    """Set the width of a combo box to a number of letters instead of its longest entry."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(letters)
    return box
