"""Questions about the phase of a grain and overrides by the user, below the table of candidates."""

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

#: Number of entries of the library that are listed if several fit.
MOST_NAMED = 6


class PhaseQuestion(QWidget):
    """A line edit for the name of a phase, with completion, and buttons for questions about it.

    Signals
    -------
    rings_wanted(str), why_wanted(str)
        The typed name.
    """

    rings_wanted = Signal(str)
    why_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit(placeholderText="any phase")
        self.name.setToolTip(
            "A phase of the table, of your own files or of your library, by id, name or formula; Enter asks"
            " why the selected grain is not this phase"
        )
        self.name.setFixedWidth(96)  # so that the buttons fit in its row in a narrow dock
        self.why = button(
            "Why not?", "Explain why the selected grain, or no grain, was identified as this phase"
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
        """Set the names for completion: those of the table and of these phases."""
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
    """Find a phase by name, in an analysis, the table, or the user's library.

    Parameters
    ----------
    name : str
        Id, name, alias or formula.
    known : sequence of Phase
        Phases of an analysis, which take precedence.
    library : PhaseDatabase, optional
        By default the user's library.

    Raises
    ------
    ValueError
        If no phase, or more than one, has this name; the message lists similar ones.
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
    """Buttons that assign, lock, exclude or reset the phase of the selected grain.

    Signals
    -------
    said(object)
        All overrides that apply from now on, a tuple of `PhaseOverride`.
    """

    said = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._shown_state: ImageState | None = None
        self._grain: int | None = None
        self.phase = short(QComboBox(), 9)
        self.phase.setToolTip("Phase for the grain: its candidates, best first, then all others by name")
        self.phase.setMaxVisibleItems(20)
        self.phase.setStyleSheet("QComboBox { combobox-popup: 0; }")  # else styles show all entries
        self.set = _button("Assign phase", "Assign this phase to the grain, regardless of the measurement")
        self.lock = _button(
            "Use as internal standard",
            "Assign this phase to the grain, and take the scale of the image from it",
        )
        self.reject = _button("Exclude phase", "Exclude this phase for the grain")
        self.withdraw = _button("Reset", "Remove all your overrides of this grain")
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
        """Set the grain and phase to which the buttons apply; disable them if there is no grain."""
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
    button = QPushButton(text, toolTip=help)
    return button
