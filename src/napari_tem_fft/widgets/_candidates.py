"""CandidatesForm: which phases may be named, by set, by name and by element."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QLineEdit, QWidget

from ..core.phase_choice import DEFAULT_TAGS, select_phases
from ..core.phases import Phase

USUAL = "usual sets"


class CandidatesForm(QWidget):
    """Three ways to say which phases the sample can hold, and how many are left.

    Parameters
    ----------
    table : sequence of Phase
        All phases that are known.
    """

    def __init__(self, table: Sequence[Phase]) -> None:
        super().__init__()
        self._table = table
        self.sets = QComboBox()
        self.sets.addItems([USUAL, "all", *sorted({tag for phase in table for tag in phase.tags})])
        self.sets.setToolTip(f"Set of phases to choose from; the usual ones are: {', '.join(DEFAULT_TAGS)}")
        self.elements = QLineEdit(placeholderText="any (or: Li, F, O, +Cu, -Na)")
        self.elements.setToolTip(
            "Elements that the sample can hold: +Cu must be there, -Na is not, Fe|Co at least one of them"
        )
        self.names = QLineEdit(placeholderText="all of the set (or: LiF, Li2O, Cu)")
        self.names.setToolTip("Names, formulas or aliases of phases, with commas; empty for all of the set")
        self.count = QLabel()
        self.count.setWordWrap(True)
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(3)
        for label, control in (("set", self.sets), ("elements", self.elements), ("phases", self.names)):
            layout.addRow(label, control)
        layout.addRow(self.count)
        self.sets.currentTextChanged.connect(self._on_edited)
        self.elements.textChanged.connect(self._on_edited)
        self.names.textChanged.connect(self._on_edited)
        self._on_edited()

    def phases(self) -> tuple[Phase, ...]:
        """Return the phases that may be named.

        Raises
        ------
        ValueError
            For an unknown name or element, or if no phase is left; the message says which.
        """
        names = [name.strip() for name in self.names.text().split(",") if name.strip()]
        tags = None if self.sets.currentText() == USUAL else [self.sets.currentText()]
        elements = self.elements.text().strip() or None
        chosen = select_phases(self._table, names, tags, elements)
        if not chosen:
            raise ValueError("no phase fits all that is asked for: choose a larger set or other elements")
        return chosen

    def _on_edited(self, text: str = "") -> None:
        try:
            chosen = self.phases()
            listed = ", ".join(phase.id for phase in chosen)
            self.count.setText(listed if len(chosen) <= 6 else f"{len(chosen)} candidate phases")
            self.count.setToolTip(listed)
        except ValueError as error:
            self.count.setText(str(error))
