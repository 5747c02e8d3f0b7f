"""PhaseTable: the reference table to look things up in, and what became of the user's own files."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QTabWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from ...core.crystal.miller import format_hkl
from ...core.crystal.phase import Phase
from ...core.lengths import length, symbol
from ...io.phases.table import FileStatus
from ..session.preferences import length_unit
from .tree import ResultTree, Row

PHASE_COLUMNS = ("phase, (hkl)", "formula or |F|", "name or multiplicity", "space group", "cell or d", "sets")
PHASE_HELP = (
    "Unfold a phase for its lattice planes",
    "Formula; of a lattice plane its |F| over the phase's largest (atoms at rest, kinematic)",
    "Name; of a lattice plane how many equivalent ones there are, hkl and -hkl both counted",
    "Hermann-Mauguin symbol; empty for a list of d-spacings",
    "Cell lengths and angles that are not right; of a lattice plane its spacing",
    "Sets that it belongs to",
)
FILE_COLUMNS = ("file", "state", "phases", "why")
FILE_HELP = ("CIF file or list of d-spacings", "ok, warning or refused", "What it gave", "Reason")
#: Smallest spacing that is listed, nm.
SMALLEST_D = 0.1


class PhaseTable(QWidget):
    """A window with all phases that are known, the active ones marked, and the user's files.

    Parameters
    ----------
    parent : QWidget
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Reference phases")
        self.resize(760, 480)
        self._phases: dict[str, Phase] = {}
        self.filter = QLineEdit(placeholderText="find by name, formula, element or set")
        self.phases = ResultTree(PHASE_COLUMNS, PHASE_HELP)
        self.files = ResultTree(FILE_COLUMNS, FILE_HELP)
        self.tabs = QTabWidget()
        self._lay_out()
        self.filter.textChanged.connect(self._on_filter_edited)
        self.phases.itemExpanded.connect(self._on_expanded)

    def _lay_out(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.addWidget(self.filter)
        column.addWidget(self.phases)
        self.tabs.addTab(page, "Phases")
        self.tabs.addTab(self.files, "Own files")
        QVBoxLayout(self).addWidget(self.tabs)

    def show_phases(
        self, table: Sequence[Phase], active: Sequence[Phase], states: Sequence[FileStatus]
    ) -> None:
        """Show all phases, those that may be named first, and the states of the user's files."""
        chosen = {phase.id for phase in active}
        self._phases = {phase.id: phase for phase in table}
        self.phases.clear()
        self.phases.fill(
            [_phase_row(p, p.id in chosen) for p in sorted(table, key=lambda p: p.id not in chosen)]
        )
        for number in range(self.phases.topLevelItemCount()):
            item = self.phases.topLevelItem(number)
            if item is not None:
                item.setChildIndicatorPolicy(QTreeWidgetItem.ChildIndicatorPolicy.ShowIndicator)
        self.files.fill([Row(s.file, (s.file, s.state, ", ".join(s.phases), s.reason)) for s in states])
        self._on_filter_edited(self.filter.text())

    def _on_filter_edited(self, text: str) -> None:
        wanted = text.casefold().strip()
        for number, phase in enumerate(self._items()):
            words = (phase.id, phase.name, phase.formula, *phase.aliases, *phase.tags, *phase.elements)
            item = self.phases.topLevelItem(number)
            if item is not None:
                item.setHidden(bool(wanted) and not any(wanted in word.casefold() for word in words))

    def _items(self) -> list[Phase]:
        items = (self.phases.topLevelItem(number) for number in range(self.phases.topLevelItemCount()))
        return [self._phases[item.data(0, Qt.ItemDataRole.UserRole)] for item in items if item is not None]

    def _on_expanded(self, item: QTreeWidgetItem) -> None:
        """List the lattice planes of a phase when they are asked for."""
        phase = self._phases.get(item.data(0, Qt.ItemDataRole.UserRole))
        if phase is not None and not item.childCount():
            for cells in plane_cells(phase):
                item.addChild(QTreeWidgetItem(list(cells)))


def _phase_row(phase: Phase, active: bool) -> Row:
    unit = length_unit()
    edges = " ".join(length(edge, unit) for edge in phase.cell[:3])
    angles = " ".join(f"{angle:g}°" for angle in phase.cell[3:] if angle != 90)
    cell = f"{edges} {symbol(unit)} {angles}".strip() if phase.cell else "d only"
    name = f"{phase.name} (!)" if phase.flag else phase.name
    help = "\n".join(
        text
        for text in ("active" if active else "not active", phase.source, phase.checked, phase.flag)
        if text
    )
    cells = (phase.id, phase.formula, name, phase.space_group, cell, " ".join(phase.tags))
    return Row(phase.id, cells, "" if active else "#888888", help)


def plane_cells(phase: Phase) -> list[tuple[str, ...]]:
    """Return the cells of a phase's lattice planes: (hkl), |F|, multiplicity, d."""
    unit = length_unit()
    return [
        (
            f"({format_hkl(r.hkl, phase)})" if any(r.hkl) else "",
            f"{r.relative_f:.2f}" if r.relative_f == r.relative_f else "",
            str(r.multiplicity),
            "",
            f"{length(r.d, unit, 5)} {symbol(unit)}",
            "",
        )
        for r in phase.reflections
        if r.d >= SMALLEST_D
    ]
