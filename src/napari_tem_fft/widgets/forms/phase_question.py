"""PhaseQuestion: any phase of the table or the library, for its rings, and why a grain is not of it."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QStringListModel, Qt, Signal
from qtpy.QtWidgets import QCompleter, QLineEdit, QVBoxLayout, QWidget

from ...core.crystal.phase import Phase
from ...core.crystal.phase_selection import find_phase
from ...io.phases.entry import phase_of_entry
from ...io.phases.library import PhaseDatabase
from ...io.phases.table import load_table
from .controls import button, flowing

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
