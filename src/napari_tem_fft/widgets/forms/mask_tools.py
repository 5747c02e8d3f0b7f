"""MaskTools: the controls by which spots are corrected, a part of the main dock."""

from __future__ import annotations

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

from ..canvas.keys import words_of
from ..canvas.tools import Action, Tool
from ..session.selection import component_chosen, phase_of
from ..session.session import Session
from .controls import button, fill_row, short

#: Text and help of each tool.
TOOLS: dict[Tool, tuple[str, str]] = {
    "look": ("look", "Click a spot or a grain to choose it; drag to move the view"),
    "add": ("+ spot", "Click in the FFT where a spot is missing; its position is refined"),
    "remove": ("- spot", "Click a spot in the FFT that is no reflection"),
    "angle": ("angle", "Click two spots for the angle between them"),
    "circle": ("circle", "Drag in the FFT from a circle's middle to its rim"),
    "ring": ("ring", "Drag in the FFT from one edge of a ring to the other"),
    "wedge": ("wedge", "Drag in the FFT from one corner of a part of a ring to the opposite one"),
}
ACTIONS: dict[str, Action] = {
    "show it": "show",
    "remove its spots": "remove",
    "keep only its spots": "keep",
    "bring spots back": "bring back",
}


class MaskTools(QWidget):
    """Tools for the mouse, what is done with the chosen spots, and undo.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._make_controls()
        self._lay_out()
        self._connect()
        self._on_chosen()
        self._on_found()

    def _make_controls(self) -> None:
        self.tools = {tool: _tool(text, f"{help}{words_of(tool)}") for tool, (text, help) in TOOLS.items()}
        self._group = QButtonGroup(self)
        for each in self.tools.values():
            self._group.addButton(each)
        self.action = short(QComboBox(), 7)
        self.action.addItems(list(ACTIONS))
        self.action.setToolTip("What a circle, ring or wedge is for; shown, it gives its fringes and profile")
        self.whole_phase = button(
            "its phase", "Choose all spots of the phase to which the chosen ones belong"
        )
        self.remove = button("remove", "Let the chosen spots count no longer")
        self.keep = button("keep only", "Let only the chosen spots count")
        self.friedel = QCheckBox("paint -g too")
        self.friedel.setChecked(self.session.edits.friedel)
        self.friedel.setToolTip(
            "A spot painted or erased at +g is painted or erased at -g at once. Without it, a pair counts as"
            " long as either of its discs is there."
        )
        self.undo = button("Undo", f"Take back the last edit{words_of('undo')}")
        self.redo = button("Redo", f"Take back an undo{words_of('redo')}")
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.setVisible(False)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for words, names in (
            ("click", ("look", "add", "remove", "angle")),
            ("drag", ("circle", "ring", "wedge")),
        ):
            row = _row(layout, QLabel(words), *(self.tools[name] for name in TOOLS if name in names))
            if words == "drag":
                row.addWidget(self.action, stretch=1)
        _row(layout, QLabel("chosen"), self.whole_phase, self.remove, self.keep)
        _row(layout, self.friedel, self.undo, self.redo)
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
        self.undo.clicked.connect(session.edits.undo)
        self.redo.clicked.connect(session.edits.redo)
        session.tools.changed.connect(self._on_tool_changed)
        session.tools.said.connect(self._on_said)
        session.chosen_changed.connect(self._on_chosen)
        session.found.connect(self._on_found)
        session.current_changed.connect(self._on_found)
        self._on_tool_changed()

    def _on_action(self, text: str) -> None:
        self.session.tools.for_regions(ACTIONS[text])

    def _on_tool_changed(self) -> None:
        tools = self.session.tools
        self.tools[tools.tool].setChecked(True)
        self.action.setCurrentText(next(text for text, action in ACTIONS.items() if action == tools.action))

    def _on_said(self, words: str) -> None:
        self.said.setText(words)
        self.said.setVisible(bool(words))

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
        there = image_state is not None and chosen is not None and bool(chosen.spots)
        self.remove.setEnabled(there)
        self.keep.setEnabled(there)
        one = image_state is not None and chosen is not None and phase_of(image_state, chosen) is not None
        self.whole_phase.setEnabled(one)

    def _on_found(self) -> None:
        image_state = self.session.current
        self.undo.setEnabled(bool(image_state and image_state.past))
        self.redo.setEnabled(bool(image_state and image_state.future))


def _tool(text: str, help: str) -> QPushButton:
    made = button(text, help)
    made.setCheckable(True)
    return made


def _row(layout: QVBoxLayout, *widgets: QWidget) -> QHBoxLayout:
    row = fill_row(QHBoxLayout(), *widgets)
    layout.addLayout(row)
    return row
