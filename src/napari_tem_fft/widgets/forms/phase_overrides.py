"""What a person asks and says of a grain's phase, below the table of candidates."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QStringListModel, Qt, Signal
from qtpy.QtWidgets import QComboBox, QCompleter, QLineEdit, QPushButton, QVBoxLayout, QWidget

from ...core.crystal.phase import Phase
from ...core.crystal.phase_selection import find_phase
from ...core.matching import OverrideKind, PhaseOverride, merge_overrides
from ...core.pipeline import Analysis
from ...io.phases.entry import phase_of_entry
from ...io.phases.library import PhaseDatabase
from ...io.phases.table import load_table
from ..session.image_state import ImageState
from .controls import button, flowing, short

#: Entries of the library that are named where several fit.
MOST_NAMED = 6


class PhaseQuestion(QWidget):
    """A line for a phase's name, which it completes, and what can be asked of it.

    Signals
    -------
    rings_wanted(str), why_wanted(str)
        The name as it was typed.
    """

    rings_wanted = Signal(str)
    why_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit(placeholderText="any phase")
        self.name.setToolTip(
            "A phase of the table, of your own files or of your library, by id, name or formula; Enter asks"
            " why the selected grain is not of it"
        )
        self.name.setFixedWidth(96)  # the buttons stand in its row, in a narrow dock too
        self.why = button(
            "Why not?", "Why the selected grain is not said to be of this phase, or no grain is"
        )
        self.rings = button("Rings", "Draw the rings of this phase in the FFT, until Clear rings")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(flowing(self.name, self.why, self.rings))
        self._names = QStringListModel(self)
        completer = QCompleter(self._names, self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.name.setCompleter(completer)
        self.name.returnPressed.connect(self._on_why)
        self.why.clicked.connect(self._on_why)
        self.rings.clicked.connect(self._on_rings)
        self.offer(())

    def offer(self, phases: Sequence[Phase]) -> None:
        """Complete the names of the table and of these phases."""
        known = {phase.id: phase for phase in (*load_table(), *phases)}
        names = sorted({text for phase in known.values() for text in (phase.id, phase.name)}, key=str.lower)
        if names != self._names.stringList():
            self._names.setStringList(names)

    def _on_why(self) -> None:
        if self.name.text().strip():
            self.why_wanted.emit(self.name.text())

    def _on_rings(self) -> None:
        if self.name.text().strip():
            self.rings_wanted.emit(self.name.text())


def phase_called(name: str, known: Sequence[Phase], library: PhaseDatabase | None = None) -> Phase:
    """Return the phase of a name: of an analysis, of the table, or of the user's library.

    Parameters
    ----------
    name : str
        Id, name, alias or formula.
    known : sequence of Phase
        Those of an analysis, which come first.
    library : PhaseDatabase, optional
        The user's where absent.

    Raises
    ------
    ValueError
        If no phase is called so, or several are; the message says which are near.
    """
    phases = {phase.id: phase for phase in (*load_table(), *known)}
    try:
        return find_phase(tuple(phases.values()), name)
    except ValueError as error:
        library = library or PhaseDatabase()
        lines = library.search(name.strip(), states=("ok", "warning"))
        exact = [line.id for line in lines if line.id == name.strip()]
        ids = exact or [line.id for line in lines]
        if len(ids) == 1:
            return phase_of_entry(library.entries(ids)[0])
        if not ids:
            raise
        listed = ", ".join(ids[:MOST_NAMED])
        more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
        raise ValueError(f"{error}; of your library fit: {listed}{more}; give one of these") from error


class OverrideButtons(QWidget):
    """Buttons that set, lock, reject or withdraw the phase of the grain that was chosen.

    Signals
    -------
    said(object)
        All decisions that hold from now on, a tuple of `Decision`.
    """

    said = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._shown_state: ImageState | None = None
        self._grain: int | None = None
        self.phase = short(QComboBox(), 9)
        self.phase.setToolTip("The grain's phase; its candidates first, best first, then all by name")
        self.phase.setMaxVisibleItems(20)
        self.phase.setStyleSheet("QComboBox { combobox-popup: 0; }")  # else some styles show all at once
        self.set = _button("Assign phase", "The grain is of this phase, whatever the measurement says")
        self.lock = _button(
            "Use as internal standard",
            "The grain is of this phase, and the image's scale follows from it (internal standard)",
        )
        self.reject = _button("Exclude phase", "The grain is not of this phase")
        self.withdraw = _button("Reset", "Take back all that you have said of this grain")
        self._lay_out()
        self.set.clicked.connect(self._on_set)
        self.lock.clicked.connect(self._on_lock)
        self.reject.clicked.connect(self._on_reject)
        self.withdraw.clicked.connect(self._on_withdraw)
        self.offer(None, None)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(flowing(self.phase, self.set, self.reject, self.lock, self.withdraw))

    def offer(self, image_state: ImageState | None, grain: int | None, phase: str = "") -> None:
        """Speak of a grain from now on, and of a phase; of none where there is no grain."""
        self._shown_state, self._grain = image_state, grain
        analysis = image_state.analysis if image_state is not None else None
        known = analysis is not None and grain is not None
        self.phase.clear()
        if analysis is not None and known:
            first = [c.phase for m in analysis.matches if m.grain == grain for c in m.candidates]
            names = sorted({each.id for each in analysis.known_phases}, key=str.lower)
            self.phase.addItems(list(dict.fromkeys((*first, *names))))
            self.phase.setCurrentText(phase or _best(analysis, grain))
        for control in (self.phase, self.set, self.lock, self.reject):
            control.setEnabled(known)
        self.withdraw.setEnabled(any(one.grain == grain for one in self._earlier()))

    def _earlier(self) -> tuple[PhaseOverride, ...]:
        analysis = self._shown_state.analysis if self._shown_state is not None else None
        return analysis.decisions if analysis is not None else ()

    def _on_set(self) -> None:
        self._say("override")

    def _on_lock(self) -> None:
        self._say("lock")

    def _on_reject(self) -> None:
        self._say("reject")

    def _say(self, kind: OverrideKind) -> None:
        if self._grain is not None and self.phase.currentText():
            self.said.emit(
                merge_overrides(
                    self._earlier(), (PhaseOverride(self._grain, self.phase.currentText(), kind),)
                )
            )

    def _on_withdraw(self) -> None:
        self.said.emit(tuple(one for one in self._earlier() if one.grain != self._grain))


def _best(analysis: Analysis, grain: int | None) -> str:
    """The first candidate of a grain."""
    first = (m.candidates[0].phase for m in analysis.matches if m.grain == grain and m.candidates)
    return next(first, "")


def _button(text: str, help: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(help)
    return button
