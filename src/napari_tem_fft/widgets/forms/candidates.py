"""CandidatesForm: choose the candidate phases; and a window with the table of all phases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QSignalBlocker, Qt, QTemporaryDir, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QTabWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...core.crystal.phase import Phase, format_hkl
from ...core.crystal.phase_library import PhaseLibrary
from ...core.crystal.phase_selection import (
    ALL_TAGS,
    DEFAULT_TAGS,
    EXTENDED_TAG,
    extended_left_out,
    non_candidates,
    parse_elements,
    select_phases,
)
from ...core.matching.assignment import CandidateSet
from ...core.text import length, symbol
from ...io.phases.table import FileStatus, file_phases, load_cif_folder, user_folder, with_own_phases
from ..session.runner import tell
from ..session.settings import length_unit, library_searched, remember_library_searched
from .controls import TakesFiles, form_in, side_by_side, wrapped_label
from .tree import ResultTree, Row

PHASE_COLUMNS = ("phase, (hkl)", "formula or |F|", "name or multiplicity", "space group", "cell or d", "sets")
PHASE_HELP = (
    "Expand a phase to see its lattice planes",
    "Formula; for a lattice plane, |F| relative to the largest (atoms at rest, kinematic)",
    "Name; for a lattice plane, its multiplicity (hkl and -hkl both count)",
    "Hermann-Mauguin symbol; empty for a list of d-spacings",
    "Cell lengths, and angles other than 90°; for a lattice plane, its spacing",
    "Sets of the phase",
)
FILE_COLUMNS = ("file", "state", "phases", "why")
FILE_HELP = ("CIF file or list of d-spacings", "ok, warning or refused", "Phases in the file", "Reason")
#: Smallest spacing that is listed, nm.
SMALLEST_D = 0.1


class PhaseTable(QWidget):
    """A window with all known phases, in which the active ones are marked, and the user's files.

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
        """Show all phases, candidates first, and the states of the user's files."""
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
        """List the lattice planes of a phase when it is expanded."""
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


USUAL = "All phases, battery first"
SUFFIXES = (".cif", ".csv")
#: Note shown if phases with hydrogen are candidates although it was not stated.
HYDROGEN = "hydrogen counts as possible (-H excludes it)"
#: The same with a non-breaking sign, for wrapped lines.
UNBROKEN = HYDROGEN.replace("-", "-\N{WORD JOINER}")


@dataclass(frozen=True, slots=True)
class CandidateRequest:
    """The user's choice of candidates, as texts and files.

    Attributes
    ----------
    names, sets : tuple of str, optional
    elements : str, optional
        As `select_phases` takes them.
    files : tuple of Path
        CIF files and lists of d-spacings that were added to the table, except those of the user's folder.
    library : bool
        Whether the user's library is searched as well.
    """

    names: tuple[str, ...] | None = None
    sets: tuple[str, ...] | None = None
    elements: str | None = None
    files: tuple[Path, ...] = ()
    library: bool = False

    def plain(self) -> dict[str, Any]:
        """The request with the contents of its files, as values for JSON."""
        files = {path.name: path.read_bytes().decode("latin-1") for path in self.files if path.is_file()}
        given: dict[str, Any] = {"names": self.names, "sets": self.sets, "elements": self.elements}
        given |= {"files": files, "library": self.library}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in given.items() if v}


class CandidatesForm(TakesFiles, QWidget):
    """Choose candidates by set, elements or names, and see their number.

    CIF files and lists of d-spacings (CSV) can be dropped on it; those in the user's folder are always
    included.

    Parameters
    ----------
    table : sequence of Phase
        The bundled phases.

    Signals
    -------
    edited()
        The choice has changed.
    """

    edited = Signal()

    def __init__(self, table: Sequence[Phase]) -> None:
        super().__init__()
        self._table = tuple(table)
        self._states: list[FileStatus] = []
        self._files: dict[str, Path] = {}
        self._window: PhaseTable | None = None
        self._kept_files: QTemporaryDir | None = None
        self.setAcceptDrops(True)
        self._make_controls()
        self._lay_out()
        self.sets.currentTextChanged.connect(self._on_edited)
        self.elements.textChanged.connect(self._on_edited)
        self.names.textChanged.connect(self._on_edited)
        self.own.clicked.connect(self._on_own)
        self.look_up.clicked.connect(self._on_look_up)
        self.library.toggled.connect(self._on_library_toggled)
        if user_folder().is_dir():
            phases, states = load_cif_folder(user_folder())
            self._states += states
            self._add(phases)
        self._on_edited()

    def _make_controls(self) -> None:
        self.sets = QComboBox()
        tags = sorted({tag for phase in self._table for tag in phase.tags})
        self.sets.addItems([USUAL, "all", *tags])
        self.sets.setToolTip(
            "Set of phases to choose from. By default all phases of the table are candidates, except the set"
            f" {EXTENDED_TAG}, which needs elements; the sets {', '.join(DEFAULT_TAGS)} come first"
        )
        self.elements = QLineEdit(placeholderText="any (or: Li, F, O, +Cu, -Na)")
        self.elements.setToolTip(
            "Elements of the sample: +Cu is required, -Na is excluded, Fe|Co means at least one of them"
        )
        self.names = QLineEdit(placeholderText="all of the set (or: LiF, Li2O, Cu)")
        self.names.setToolTip("Names, formulas or aliases, with commas; empty for all phases of the set")
        self.own = QPushButton("Add CIF...")
        self.own.setToolTip(
            "Add CIF files, or tables (CSV) of d-spacings; they can be dropped here too."
            f" Files in {user_folder()} are always included"
        )
        self.look_up = QPushButton("Phase database...")
        self.look_up.setToolTip("All phases with their lattice planes, and the states of your own files")
        self.library = QCheckBox("Library")
        self.library.setToolTip(
            "Also search your library of phases: structures of the stated elements, or all of them if you"
            " state none; this choice is remembered"
        )
        self.library.setChecked(library_searched())
        self.count = wrapped_label()

    def _lay_out(self) -> None:
        layout = form_in(self)
        for label, control in (("set", self.sets), ("elements", self.elements), ("phases", self.names)):
            layout.addRow(label, control)
        layout.addRow(side_by_side(self.look_up, self.own, self.library))
        layout.addRow(self.count)

    def phases(self) -> tuple[Phase, ...]:
        """Return the candidates from the table.

        Raises
        ------
        ValueError
            For an unknown name or element, or if no phase is left; the message says which.
        """
        asked = self.asked()
        if asked.library and asked.names:
            raise ValueError("the library is searched by elements: empty 'phases', or untick 'Library'")
        unstated = asked.library and not asked.elements and not asked.sets
        sets = (ALL_TAGS,) if unstated else asked.sets
        chosen = select_phases(self._table, asked.names, sets, asked.elements)
        if not chosen:
            raise ValueError("no phase fits this choice: choose a larger set or other elements")
        return chosen

    def asked(self) -> CandidateRequest:
        """Return the content of the form, whether it is valid or not."""
        names = tuple(name.strip() for name in self.names.text().split(",") if name.strip())
        sets = None if self.sets.currentText() == USUAL else (self.sets.currentText(),)
        return CandidateRequest(
            names or None,
            sets,
            self.elements.text().strip() or None,
            tuple(self._files.values()),
            self.library.isChecked(),
        )

    def choice(self) -> CandidateSet:
        """Return the candidates, and all other phases, which are reported where they would match.

        The library is opened by the analysis when it is needed.

        Raises
        ------
        ValueError
            As `phases` does.
        """
        phases, asked = self.phases(), self.asked()
        stated = asked.names is not None or asked.elements is not None
        library = cache(partial(_open_library, asked.elements, self._table)) if asked.library else None
        others = non_candidates(phases, self._table)
        return CandidateSet(phases, others, stated=stated, library=library)

    def add_files(self, paths: Iterable[str | Path]) -> None:
        """Add the phases of CIF files and CSV lists; a bad file is reported and does not stop the others."""
        for path in map(Path, paths):
            phases, state = file_phases(path)
            self._states = [*(s for s in self._states if s.file != state.file), state]
            self._add(phases)
            if state.state == "refused":
                tell(ValueError(f"{path.name}: {state.reason}"))
            else:
                self._files[path.name] = path
                names = ", ".join(state.phases)
                show_info(f"{path.name}: {names} added to the candidates; {state.reason}".removesuffix("; "))
        self._on_edited()

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Restore the choice of a saved analysis, with the phases of its files.

        Parameters
        ----------
        plain : mapping
            Result of `CandidateRequest.plain`, possibly from a file of somebody else; invalid content is
            ignored.
        """
        files = plain.get("files", {})
        for name, text in files.items() if isinstance(files, Mapping) else ():
            path = Path(str(name).replace("\\", "/"))
            known = self._files.get(path.name)
            if known is not None and known.is_file() and known.read_bytes() == _bytes_of(text):
                continue
            if path.suffix.lower() in SUFFIXES and isinstance(text, str):
                self._kept_files = self._kept_files or QTemporaryDir()
                copy = Path(self._kept_files.path()) / path.name
                copy.write_bytes(_bytes_of(text))
                self.add_files([copy])
        sets, names = (plain.get(key) for key in ("sets", "names"))
        wanted = str(sets[0]) if isinstance(sets, list) and sets else USUAL
        self.sets.setCurrentIndex(max(self.sets.findText(wanted), 0))
        self.elements.setText(str(plain.get("elements") or ""))
        self.names.setText(", ".join(map(str, names)) if isinstance(names, list) else "")
        with QSignalBlocker(self.library):  # only the user's own choice is remembered
            self.library.setChecked(plain.get("library") is True)
        self._on_edited()

    def wants(self, path: Path) -> bool:
        """Whether this is a file of phases."""
        return path.suffix.lower() in SUFFIXES

    def take_files(self, paths: Sequence[Path]) -> None:
        """Add the files of phases that were dropped."""
        self.add_files([path for path in paths if self.wants(path)])

    def _add(self, phases: Sequence[Phase]) -> None:
        self._table, notes = with_own_phases(self._table, phases)
        for note in notes:
            show_warning(note)

    def _on_own(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Add phases", "", "Phases (*.cif *.csv)")
        self.add_files(paths)

    def _on_look_up(self) -> None:
        if self._window is None:
            self._window = PhaseTable(self)
        self._window.show_phases(self._table, self._active(), self._states)
        self._window.show()
        self._window.raise_()

    def _active(self) -> tuple[Phase, ...]:
        """The candidates from the table; none if the choice is invalid."""
        try:
            return self.phases()
        except ValueError:
            return ()

    def _on_library_toggled(self, wanted: bool) -> None:
        remember_library_searched(wanted)
        self._on_edited()

    def _on_edited(self, text: str = "") -> None:
        self.edited.emit()
        try:
            chosen = self.phases()
            listed = ", ".join(phase.id for phase in chosen)
            names = f": {listed}" if len(chosen) <= 6 else ""
            assumed = f"; {UNBROKEN}" if assumes_hydrogen(self.elements.text(), chosen) else ""
            waiting = extended_left_out(chosen, self._table)
            waiting = f"; {waiting}" if waiting else ""
            waiting += "; with your library" if self.library.isChecked() else ""
            self.count.setText(f"{len(chosen)} of {len(self._table)} phases active{names}{assumed}{waiting}")
            self.count.setToolTip(listed)
        except ValueError as error:
            self.count.setText(str(error))


def _open_library(elements: str | None, table: Sequence[Phase]) -> PhaseLibrary:
    """Open the entries of the library with some elements; its module is imported when needed."""
    from ...io.phases.library import open_library

    return open_library(elements, table=table)


def assumes_hydrogen(elements: str, phases: Iterable[Phase]) -> bool:
    """Whether phases with hydrogen are candidates although it was not stated, as most detectors miss it.

    Examples
    --------
    >>> from napari_tem_fft.io.phases.table import load_table
    >>> lithium = [phase for phase in load_table() if phase.id in ("Li", "LiH")]
    >>> [assumes_hydrogen(text, lithium) for text in ("Li, F", "Li, H", "Li, -H", "")]
    [True, False, False, False]
    """
    try:
        rule = parse_elements(elements)
    except ValueError:
        return False
    stated = rule.named
    if not stated or {"H", "D"} & (stated | rule.excluded):
        return False
    return any({"H", "D"} & phase.elements for phase in phases)


def _bytes_of(text: object) -> bytes:
    """The content of a file, from the text in `CandidateRequest.plain`."""
    return str(text).encode("latin-1", "replace")
