"""The library dock: import, fetch and search structures, and choose which are used in analyses."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QProgressBar,
    QSpinBox,
)

from ...core.crystal.phase_selection import parse_elements
from ...core.progress import Step
from ...core.text import LengthUnit, length, parse_numbers, symbol
from ...io.phases.library import LibraryLine, PhaseDatabase
from ...io.phases.optimade import PROVIDERS, OptimadeQuery
from ..forms.controls import TakesFiles, button, flowing, folding, side_by_side, wrapped_label
from ..forms.tree import ResultTree, Row
from ..session.child_processes import SUFFIXES, LibraryWork, is_source
from ..session.runner import Runner, tell
from ..session.settings import length_unit, units
from .dock import Dock

COLUMNS = ("id", "state", "cell", "formula", "name", "space group", "why")
HELP = (
    "Name of the phase in results",
    "ok, warning or refused; structures that are left out are not used in analyses",
    "Edges, and angles other than 90°",
    "Composition",
    "Name, if the source gives one",
    "Hermann-Mauguin symbol",
    "Assumptions that were needed, or why the structure is refused",
)
STATE = COLUMNS.index("state")
STATES = {"all": ("ok", "warning", "refused"), **{name: (name,) for name in ("ok", "warning", "refused")}}
#: Number of rows shown, and delay (ms) of a search after the last key.
MOST_ROWS, PAUSE = 500, 250
#: Number of refusals that are listed below the table after an import.
FEW = 3
LEFT_OUT = "#888888"
#: Maximum width of the first column, pixels.
WIDEST = 170


@dataclass(frozen=True, slots=True)
class _Found:
    """Result of a search: lines, number of structures in the library, and number in use."""

    lines: list[LibraryLine]
    held: int
    used: int


class LibraryDock(TakesFiles, Dock):
    """The user's library of phases; CIF files, folders and archives can be dropped on it.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.database = PhaseDatabase()
        self.work = LibraryWork(self)
        self.searcher, self.changer = Runner(), Runner()
        self._pause = QTimer(self, singleShot=True, interval=PAUSE)
        self._limit = 0
        self.setAcceptDrops(True)
        self._make_controls()
        self._lay_out()
        self._connect()
        self._show_state()

    def _make_controls(self) -> None:
        self.words = QLineEdit(placeholderText="find by name, formula, group or source")
        self.words.setClearButtonEnabled(True)
        self.elements = QLineEdit(placeholderText="elements (Cu, O)")
        self.elements.setToolTip("Only structures of these elements: +Cu is required, -Na is excluded")
        self.cell, self.spacings = QLineEdit(), QLineEdit()
        self.cell.setToolTip("Edges of the cell, followed by its angles, as far as known; tolerance 1.5 %")
        self.spacings.setToolTip("Lattice spacings of strong lines of the structure; tolerance 1.5 %")
        self.state = QComboBox()
        self.state.addItems(list(STATES))
        self.state.setToolTip("Show only structures of this state")
        self.tree = ResultTree(COLUMNS, HELP)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setRootIsDecorated(False)
        self.use = button("Use", "Use the selected structures in analyses")
        self.leave = button("Leave out", "Keep the selected structures, but do not use them in analyses")
        self.remove = button("Remove", "Remove the selected structures from the library")
        self.files = button("Import files...", f"Import CIF files or archives ({', '.join(SUFFIXES[1:])})")
        self.folder = button("Import folder...", "Import all CIF files of a folder and its subfolders")
        self.provider = QComboBox()
        for name, one in PROVIDERS.items():
            self.provider.addItem(f"{one.name}{' (computed)' if one.computed else ''}", name)
        self.provider.setEditable(True)
        self.provider.setToolTip("An OPTIMADE database, or its address")
        self.wanted = QLineEdit(placeholderText="Li, F, O")
        self.wanted.setToolTip("Only structures of exactly these elements")
        self.limit = QSpinBox(minimum=1, maximum=20_000, value=500)
        self.limit.setToolTip("Largest number of structures to fetch")
        self.ask = button("Fetch", "Query the database over the network; no other action uses the network")
        self.progress = QProgressBar()
        self.cancel = button("Cancel", "Cancel the import; the library is not changed")
        self.told = wrapped_label()

    def _lay_out(self) -> None:
        layout = self.column()
        layout.addWidget(side_by_side(self.words, self.state))
        layout.addWidget(side_by_side(self.elements, self.cell, self.spacings))
        layout.addWidget(self.tree, stretch=1)
        layout.addWidget(flowing(self.use, self.leave, self.remove, self.files, self.folder))
        where = side_by_side(QLabel("from"), self.provider, QLabel("at most"), self.limit)
        layout.addWidget(folding("Fetch", where, side_by_side(QLabel("elements"), self.wanted, self.ask)))
        layout.addWidget(side_by_side(self.progress, self.cancel))
        layout.addWidget(self.told)

    def _connect(self) -> None:
        for field in (self.words, self.elements, self.cell, self.spacings):
            field.textChanged.connect(self._pause.start)
        self.state.currentTextChanged.connect(self.search)
        self._pause.timeout.connect(self.search)
        self.searcher.returned.connect(self._on_found)
        self.searcher.failed.connect(tell)
        self.use.clicked.connect(self._use)
        self.leave.clicked.connect(self._leave_out)
        self.remove.clicked.connect(self._remove)
        self.changer.failed.connect(tell)
        self.changer.started.connect(self._show_state)
        self.changer.stopped.connect(self._on_changed)
        self.tree.itemSelectionChanged.connect(self._show_state)
        self.files.clicked.connect(self._on_files)
        self.folder.clicked.connect(self._on_folder)
        self.ask.clicked.connect(self._on_fetch)
        self.wanted.returnPressed.connect(self._on_fetch)
        self.cancel.clicked.connect(self.work.cancel)
        self.work.progressed.connect(self._on_progressed)
        self.work.reported.connect(self._on_reported)
        self.work.ended.connect(self._on_ended)
        units.changed.connect(self._on_unit_changed)
        self._on_unit_changed()

    def showEvent(self, event: QShowEvent | None) -> None:
        """List the library when it is first shown."""
        super().showEvent(event)
        if not self.tree.topLevelItemCount():
            self.search()

    def search(self) -> None:
        """List the structures that match all criteria."""
        self._pause.stop()
        unit = length_unit()
        try:
            elements = self.elements.text().strip()
            asked = {
                "text": self.words.text(),
                "elements": parse_elements(elements) if elements else None,
                "cell": _in_nm(parse_numbers(self.cell.text()), unit, 3),
                "d": _in_nm(parse_numbers(self.spacings.text()), unit, None),
                "states": STATES[self.state.currentText()],
            }
        except ValueError as error:
            self.told.setText(str(error))
            return
        self.searcher.start(_searching(self.database, asked))

    def take_in(self, paths: Iterable[Path]) -> None:
        """Import files, folders and archives; other files are reported and ignored."""
        paths = list(paths)
        sources = [path for path in paths if is_source(path)]
        for path in paths:
            if path not in sources:
                tell(ValueError(f"{path.name}: neither a folder, nor one of {', '.join(SUFFIXES)}"))
        if sources and not self.work.running:
            self._begin("reading files", 0)
            self.work.take_in(self.database.path, sources)
            self._show_state()

    def wants(self, path: Path) -> bool:
        """Whether this is a folder, a CIF file or an archive, and nothing is imported now."""
        return is_source(path) and not self.work.running

    def take_files(self, paths: Sequence[Path]) -> None:
        """Import what was dropped."""
        self.take_in(paths)

    def _begin(self, words: str, limit: int) -> None:
        self._limit = limit
        self.progress.setRange(0, limit)
        self.progress.setValue(0)
        self.told.setText(words)

    def _on_files(self) -> None:
        pattern = f"Structures ({' '.join(f'*{suffix}' for suffix in SUFFIXES)})"
        paths, _ = QFileDialog.getOpenFileNames(self, "Import structures", "", pattern)
        self.take_in(map(Path, paths))

    def _on_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Import a folder of structures")
        if folder:
            self.take_in([Path(folder)])

    def _on_fetch(self) -> None:
        if self.work.running:
            return
        number = self.provider.findText(self.provider.currentText())
        provider = self.provider.itemData(number) if number >= 0 else self.provider.currentText().strip()
        try:
            elements = tuple(sorted(parse_elements(self.wanted.text()).optional))
            query = OptimadeQuery(str(provider), elements, self.limit.value())
            query.server()
        except ValueError as error:
            tell(error)
            return
        self._begin(f"querying {query.server().name}", query.limit)
        self.work.fetch(self.database.path, query.provider, ",".join(query.elements), query.limit)
        self._show_state()

    def _on_progressed(self, done: int) -> None:
        self.progress.setValue(min(done, self._limit))
        self.told.setText(f"{done} {'structures' if self._limit else 'files'} read")

    def _on_reported(self, report: dict[str, Any]) -> None:
        self.told.setText(report_words(report))

    def _on_ended(self, trouble: str) -> None:
        self.progress.setRange(0, 1)
        self.progress.reset()
        self._show_state()
        if trouble == "cancelled":
            self.told.setText("cancelled; the library is unchanged")
        elif trouble:
            self.told.setText(trouble)
            tell(ValueError(trouble))
        self.search()

    def _on_found(self, found: _Found) -> None:
        shown = found.lines[:MOST_ROWS]
        self.tree.fill([_row(line, length_unit()) for line in shown])
        self.tree.setColumnWidth(0, min(self.tree.columnWidth(0), WIDEST))
        more = f", the first {len(shown)} shown" if len(shown) < len(found.lines) else ""
        self.words.setToolTip(f"{len(found.lines)} of {found.held} structures and refused files fit{more}")
        self.progress.setFormat(f"{len(found.lines)} of {found.held} found{more}; {found.used} in use")
        if not self.work.running:
            self.progress.setRange(0, 1)
            self.progress.setValue(0)
            self.progress.setTextVisible(True)
        self._show_state()

    def _selected(self) -> list[str]:
        """Ids of the selected structures; refused files have none."""
        return [str(item.text(0)) for item in self.tree.selectedItems() if item.text(STATE) != "refused"]

    def _use(self) -> None:
        self._change(self.database.use, self._selected(), True)

    def _leave_out(self) -> None:
        self._change(self.database.use, self._selected(), False)

    def _remove(self) -> None:
        self._change(self.database.remove, self._selected())

    def _change(self, change: Callable[..., object], *values: Any) -> None:
        self.changer.start(_changing(change, *values))

    def _on_changed(self) -> None:
        self._show_state()
        self.search()

    def _on_unit_changed(self) -> None:
        unit = symbol(length_unit())
        self.cell.setPlaceholderText(f"cell ({unit})")
        self.spacings.setPlaceholderText(f"d ({unit}), with commas")
        if self.tree.topLevelItemCount():
            self.search()

    def _show_state(self) -> None:
        busy = self.work.running or self.changer.running
        for each in (self.files, self.folder, self.ask):
            each.setEnabled(not busy)
        for each in (self.use, self.leave, self.remove):
            each.setEnabled(not busy and bool(self._selected()))
        self.cancel.setEnabled(self.work.running)


def report_words(report: dict[str, Any]) -> str:
    """Describe the result of an import.

    Examples
    --------
    >>> counts = {"files": 3, "added": 1, "changed": 0, "unchanged": 1, "known": 0, "warnings": 1}
    >>> print(report_words({**counts, "refusals": 1, "refused": [["bad.cif", "no structure in it"]]}))
    3 read: 1 added (1 with warnings), 0 changed, 1 unchanged, 0 the same as others, 1 refused
    bad.cif: no structure in it
    """
    lines = [
        f"{report['files']} read: {report['added']} added ({report['warnings']} with warnings),"
        f" {report['changed']} changed, {report['unchanged']} unchanged,"
        f" {report['known']} the same as others, {report['refusals']} refused"
    ]
    lines += [f"{origin}: {reason}" for origin, reason in report["refused"][:FEW]]
    if report["refusals"] > FEW:
        lines.append("choose 'refused' above for the others")
    return "\n".join(lines)


def _in_nm(numbers: Sequence[float], unit: LengthUnit, lengths: int | None) -> tuple[float, ...]:
    """Convert typed lengths from the unit of the window to nm; those after the first `lengths` are angles."""
    last = len(numbers) if lengths is None else lengths
    scale = 0.1 if unit == "angstrom" else 1.0
    return tuple(number * scale if place < last else number for place, number in enumerate(numbers))


def _searching(database: PhaseDatabase, asked: dict[str, Any]) -> Generator[Step, None, _Found]:
    """Search as a job of one step."""
    found = _Found(database.search(**asked), *database.counts())
    yield Step("search", 1, 1, found)
    return found


def _changing(change: Callable[..., object], *values: Any) -> Generator[Step, None, None]:
    """Change the library as a job of one step."""
    change(*values)
    yield Step("library", 1, 1)


def _row(line: LibraryLine, unit: LengthUnit) -> Row:
    edges = " ".join(length(edge, unit) for edge in line.cell[:3])
    angles = " ".join(f"{angle:g}°" for angle in line.cell[3:] if angle != 90)
    cell = f"{edges} {symbol(unit)} {angles}".strip() if line.cell else ""
    left_out = line.state != "refused" and not line.used
    state = f"{line.state}, left out" if left_out else line.state
    help = "\n".join(text for text in (line.id, line.name, line.source, line.reason) if text)
    colour = LEFT_OUT if left_out or line.state == "refused" else ""
    cells = (line.id, state, cell, line.formula, line.name, line.space_group, line.reason)
    return Row(line.id, cells, colour, help)
