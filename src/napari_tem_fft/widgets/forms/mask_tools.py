"""MaskTools: the controls for editing spots, a part of the main dock."""

from __future__ import annotations

from napari.utils.theme import get_theme
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..canvas.tools import Action, Tool
from ..session.selection import component_chosen, phase_of
from ..session.session import Session
from ..session.shortcuts import words_of
from .controls import button, fill_row

#: Side of an icon as drawn and as shown, in pixels.
SIDE, SHOWN = 48, 22
_MIDDLE = QPointF(24, 24)


def tool_icon(tool: str, colour: str) -> QIcon:
    """Return the icon of a tool.

    Parameters
    ----------
    tool : str
        "look", "add", "remove", "angle", "line", "circle", "ring" or "wedge".
    colour : str
        "#RRGGBB".
    """
    picture = QPixmap(SIDE, SIDE)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(
        QPen(QColor(colour), 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    )
    faint = QColor(colour)
    faint.setAlpha(110)
    _draw(painter, tool, faint)
    painter.end()
    return QIcon(picture)


def _draw(painter: QPainter, tool: str, faint: QColor) -> None:
    match tool:
        case "look":
            painter.setBrush(faint)
            corners = [(14, 6), (14, 38), (22, 30), (28, 42), (33, 39), (27, 28), (38, 27)]
            painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in corners]))
        case "add" | "remove":
            painter.drawEllipse(_MIDDLE, 17, 17)
            painter.drawLine(QPointF(16, 24), QPointF(32, 24))
            if tool == "add":
                painter.drawLine(QPointF(24, 16), QPointF(24, 32))
        case "angle":
            painter.drawPolyline(QPolygonF([QPointF(40, 40), QPointF(8, 40), QPointF(32, 8)]))
            painter.drawArc(QRectF(-12, 20, 40, 40), 0, 53 * 16)
        case "line":
            painter.drawLine(QPointF(10, 38), QPointF(38, 10))
            for x, y in ((10, 38), (38, 10)):
                painter.drawLine(QPointF(x - 6, y - 6), QPointF(x + 6, y + 6))
        case "circle":
            painter.setBrush(faint)
            painter.drawEllipse(_MIDDLE, 16, 16)
        case "ring":
            ring = QPainterPath()
            ring.addEllipse(_MIDDLE, 18, 18)
            ring.addEllipse(_MIDDLE, 9, 9)
            painter.fillPath(ring, faint)
            painter.drawPath(ring)
        case "wedge":
            sector = QPainterPath()
            sector.arcMoveTo(QRectF(-32, 4, 74, 74), 5)
            sector.arcTo(QRectF(-32, 4, 74, 74), 5, 75)
            sector.arcTo(QRectF(-10, 26, 30, 30), 80, -75)
            sector.closeSubpath()
            painter.fillPath(sector, faint)
            painter.drawPath(sector)


#: Text and help of each tool.
TOOLS: dict[Tool, tuple[str, str]] = {
    "look": ("Select", "Click a spot or a grain to select it; drag to move the view"),
    "add": ("Add spot", "Click in the FFT where a spot is missing; its position is refined"),
    "remove": ("Delete spot", "Click a spot in the FFT to delete it"),
    "angle": ("Angle", "Click two spots for the angle between them"),
    "line": ("Line", "Drag on the image or in the FFT for distance, angle and profile along the line"),
    "circle": ("Disk", "Drag in the FFT from the centre of a disk to its edge"),
    "ring": ("Annulus", "Drag in the FFT from one edge of an annulus to the other"),
    "wedge": ("Sector", "Drag in the FFT from one corner of a sector of an annulus to the opposite one"),
}
ACTIONS: dict[str, Action] = {
    "Show filtered image": "show",
    "Delete its spots": "remove",
    "Keep only its spots": "keep",
    "Restore its spots": "bring back",
}


class MaskTools(QWidget):
    """Mouse tools, actions for the selected spots, and undo.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._selected = ""
        self._make_controls()
        self._lay_out()
        self._connect()
        self._on_chosen()
        self._on_found()

    def _make_controls(self) -> None:
        self.tools = {
            tool: _tool(text, f"{text}: {help}{words_of(tool)}") for tool, (text, help) in TOOLS.items()
        }
        self._group = QButtonGroup(self)
        for each in self.tools.values():
            self._group.addButton(each)
        self.action = QComboBox()
        self.action.addItems(list(ACTIONS))
        self.action.setToolTip(
            "Action for a disk, annulus or sector; the first shows its filtered image and profile"
        )
        self.whole_phase = button(
            "All spots of this phase", "Select all spots of the phase of the selected ones"
        )
        self.remove = button("Delete", "Exclude the selected spots")
        self.keep = button("Keep only selected", "Disable all other spots")
        self.friedel = QCheckBox("Keep Friedel pairs (±g)")
        self.friedel.setChecked(self.session.edits.friedel)
        self.friedel.setToolTip(
            "Repeat what is painted or erased at +g at -g. Otherwise a pair is enabled as long as one of its"
            " discs exists."
        )
        self.undo = button("Undo", f"Undo the last edit{words_of('undo')}")
        self.redo = button("Redo", f"Redo the last undone edit{words_of('redo')}")
        self.said = QLabel(wordWrap=True, visible=False)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        _row(layout, *self.tools.values(), self.undo, self.redo)
        _row(layout, self.friedel, self.whole_phase)
        _row(layout, self.remove, self.keep, self.action)
        layout.addWidget(self.said)

    def _connect(self) -> None:
        session = self.session
        for tool, each in self.tools.items():
            each.clicked.connect(lambda checked=False, tool=tool: session.tools.take(tool))
        self.action.currentTextChanged.connect(self._on_action)
        self.whole_phase.clicked.connect(self._on_whole_phase)
        self.remove.clicked.connect(self._on_remove)
        self.keep.clicked.connect(self._on_keep)
        self.friedel.toggled.connect(self._on_friedel)
        for each, step in ((self.undo, session.edits.undo), (self.redo, session.edits.redo)):
            each.clicked.connect(step)
            each.clicked.connect(self._on_step_back)
        session.tools.changed.connect(self._on_tool_changed)
        session.tools.said.connect(self._on_said)
        session.chosen_changed.connect(self._on_chosen)
        session.found.connect(self._on_found)
        session.current_changed.connect(self._on_found)
        session.viewer.events.theme.connect(self._on_theme_changed)
        self._on_theme_changed()
        self._on_tool_changed()

    def _on_theme_changed(self) -> None:
        colour = get_theme(self.session.viewer.theme).icon.as_hex(format="long")
        for tool, each in self.tools.items():
            each.setIcon(tool_icon(tool, colour))

    def _on_action(self, text: str) -> None:
        self.session.tools.for_regions(ACTIONS[text])

    def _on_tool_changed(self) -> None:
        tools = self.session.tools
        self.tools[tools.tool].setChecked(True)
        self.action.setCurrentText(next(text for text, action in ACTIONS.items() if action == tools.action))

    def _on_said(self, words: str) -> None:
        self.said.setText(words)
        self.said.setVisible(bool(words))

    def _on_step_back(self) -> None:
        """Clear the message about the edit that is undone."""
        self._on_said("")

    def _on_whole_phase(self) -> None:
        image_state, chosen = self.session.current, self.session.chosen
        name = phase_of(image_state, chosen) if image_state is not None and chosen is not None else None
        if image_state is not None and name is not None:
            self.session.pick(component_chosen(image_state, name))

    def _on_remove(self) -> None:
        if self.session.chosen is not None:
            self.session.edits.enable(self.session.chosen.spots, False)

    def _on_keep(self) -> None:
        if self.session.chosen is not None:
            self.session.edits.keep_only(self.session.chosen.spots)

    def _on_friedel(self, wanted: bool) -> None:
        self.session.edits.friedel = wanted

    def _on_chosen(self) -> None:
        image_state, chosen = self.session.current, self.session.chosen
        if chosen is None and self._selected.startswith(self.said.text()):
            self._on_said("")  # it was about a selection that does not exist any longer
        self._selected = chosen.words if chosen is not None else ""
        there = image_state is not None and chosen is not None and bool(chosen.spots)
        self.remove.setEnabled(there)
        self.keep.setEnabled(there)
        one = image_state is not None and chosen is not None and phase_of(image_state, chosen) is not None
        self.whole_phase.setEnabled(one)

    def _on_found(self) -> None:
        image_state = self.session.current
        self.undo.setEnabled(bool(image_state and image_state.past))
        self.redo.setEnabled(bool(image_state and image_state.future))


def _tool(name: str, help: str) -> QPushButton:
    """A button with an icon only, so that all tools fit in one row, and with an accessible name."""
    made = button("", help)
    made.setAccessibleName(name)
    made.setIconSize(QSize(SHOWN, SHOWN))
    made.setMinimumWidth(SHOWN + 5)
    made.setCheckable(True)
    return made


def _row(layout: QVBoxLayout, *widgets: QWidget) -> QHBoxLayout:
    row = fill_row(QHBoxLayout(), *widgets)
    layout.addLayout(row)
    return row
