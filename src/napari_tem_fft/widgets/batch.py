"""The batch dock: hundreds of files in the background, a table of what came out, each a click away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari.components import ViewerModel
from napari.utils.notifications import show_info
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices, QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..batch.journal import RUN
from ..batch.record import Record
from ..io.formats import SUFFIXES
from ..io.results import KEEP
from ._batch_open import Opener
from ._batch_rows import record_row, settings_words, state_words
from ._batch_run import BatchRun, run_of
from ._controls import Columns, Scrolled, button, short, side_by_side
from ._messages import tell
from ._session import session_of
from ._tree import ResultTree

COLUMNS = ("image", "state", "components or reason", "grains", "spots", "s")
HELP = (
    "Click an image to see its layers; it can be corrected then",
    "analysed, or what a person should look at",
    "Share of the specimen of each component, or why there is none",
    "Number of grains",
    "Number of spots",
    "Seconds that it took",
)
#: The columns of a table of fewer rows are fitted to each new one.
FEW = 100
KEPT = {"tables": "tables only", "maps": "tables and maps", "pictures": "tables, maps and pictures"}
ALL, BAD, LOOK = "all", "failed", "to look at"


class BatchDock(QWidget):
    """Choose files, run them with the TEM FFT dock's settings, and look at what comes out meanwhile.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.session = session_of(napari_viewer)
        self.run: BatchRun = run_of(napari_viewer)
        self.opener = Opener(self.session)
        self.setAcceptDrops(True)
        self._make_form()
        self._make_table()
        self._lay_out()
        self._take_over()
        self._connect()
        self._on_listed()
        self._on_changed()

    def _make_form(self) -> None:
        setup = self.run.setup
        self.inputs = QListWidget()
        self.inputs.setMaximumHeight(64)
        self.inputs.setToolTip("Files, and folders with all that is in them; they can be dropped here")
        self.files = button("Files...", "Add micrographs")
        self.add_folder = button("Folder...", "Add a folder, with all the folders in it")
        self.clear = button("Clear", "Take all files and folders out again")
        self.output = QLineEdit(setup.output, placeholderText="folder for the results")
        self.output.setToolTip("One folder an image, and the run's tables and report")
        self.browse = button("...", "Choose the folder for the results")
        self.keep = short(QComboBox(), 8)
        for each in KEEP:
            self.keep.addItem(KEPT[each], each)
        self.keep.setToolTip("What is kept of each image; with maps it can be opened and corrected later")
        self.workers = QSpinBox(minimum=1, maximum=256)
        self.workers.setToolTip("Images that are analysed at the same time, each by a process of its own")
        self.memory = QLineEdit(setup.memory_limit, placeholderText="no limit (or: 8G)")
        self.memory.setToolTip("Memory for the whole run: as many workers are started as fit into it")
        self.profile = QLineEdit(setup.profile, placeholderText="none")
        self.profile.setToolTip("Calibration profile by which the files' scales are corrected")
        self.browse_profile = button("...", "Choose a calibration profile")
        self.pixel_size = QDoubleSpinBox(decimals=5, maximum=10.0, singleStep=0.001)
        self.pixel_size.setSuffix(" nm")
        self.pixel_size.setSpecialValueText("each file's own")
        self.pixel_size.setToolTip("Pixel size of all images, in the place of what their files say")
        self.settings = QLabel()
        self.settings.setWordWrap(True)
        self.settings.setToolTip("Set these in the TEM FFT dock")
        self.anew = QCheckBox("begin anew")
        self.anew.setToolTip("Replace the run in the folder; what a person corrected is kept")

    def _make_table(self) -> None:
        self.start = button("Start", "Analyse all files in the background")
        self.resume = button("Resume", "Go on with the run in the folder; what is done is not done again")
        self.cancel = button("Cancel", "Stop in a few seconds; what is done stays whole")
        self.progress = QProgressBar()
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.show_rows = short(QComboBox(), 7)
        self.show_rows.addItems([ALL, BAD, LOOK])
        self.show_rows.setToolTip("Which are listed; to look at: failed, ambiguous, or without a crystal")
        self.report = button("Report", "Open the run's report in the browser")
        self.correct = button("Keep edit", "Write the corrected image into the run's results")
        self.copy = button("Copy", "Copy the table, with tabs, for a spreadsheet")
        self.tree = ResultTree(COLUMNS, HELP)
        self.tree.setRootIsDecorated(False)

    def _lay_out(self) -> None:
        self._form = QWidget()
        form = QFormLayout(self._form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(3)
        form.addRow("micrographs", self.inputs)
        form.addRow("", side_by_side(self.files, self.add_folder, self.clear))
        form.addRow("results", side_by_side(self.output, self.browse))
        form.addRow("keep", self.keep)
        form.addRow("workers", self.workers)
        form.addRow("memory", self.memory)
        form.addRow("pixel size", self.pixel_size)
        form.addRow("calibration", side_by_side(self.profile, self.browse_profile))
        form.addRow("", self.anew)
        form.addRow(self.settings)
        left, right = QWidget(), QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(Scrolled(self._form), stretch=1)
        column.addWidget(side_by_side(self.start, self.resume, self.cancel))
        table = QVBoxLayout(right)
        table.setContentsMargins(0, 0, 0, 0)
        table.setSpacing(3)
        table.addWidget(side_by_side(self.progress, self.show_rows))
        table.addWidget(self.state)
        table.addWidget(self.tree, stretch=1)
        table.addWidget(side_by_side(self.report, self.correct, self.copy))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.addWidget(Columns(left, right))

    def _take_over(self) -> None:
        """Show the form as it was when the dock was closed."""
        setup = self.run.setup
        self.inputs.addItems(list(setup.inputs))
        self.keep.setCurrentIndex(self.keep.findData(setup.keep))
        self.workers.setValue(setup.workers)
        self.pixel_size.setValue(setup.pixel_size)

    def _connect(self) -> None:
        self.files.clicked.connect(self._on_files)
        self.add_folder.clicked.connect(self._on_folder)
        self.clear.clicked.connect(self._on_clear)
        self.browse.clicked.connect(self._on_browse)
        self.output.editingFinished.connect(self._on_output)
        self.browse_profile.clicked.connect(self._on_browse_profile)
        self.profile.textChanged.connect(self._on_edited)
        self.memory.textChanged.connect(self._on_edited)
        self.keep.currentIndexChanged.connect(self._on_edited)
        self.workers.valueChanged.connect(self._on_edited)
        self.pixel_size.valueChanged.connect(self._on_edited)
        self.start.clicked.connect(self._on_start)
        self.resume.clicked.connect(self._on_resume)
        self.cancel.clicked.connect(self.run.cancel)
        self.show_rows.currentIndexChanged.connect(self._on_rows_chosen)
        self.report.clicked.connect(self._on_report)
        self.correct.clicked.connect(self._on_correct)
        self.copy.clicked.connect(self.tree.copy)
        self.tree.chosen.connect(self._on_row_chosen)
        self.run.recorded.connect(self._on_recorded)
        self.run.listed.connect(self._on_listed)
        self.run.changed.connect(self._on_changed)
        self.opener.saver.returned.connect(self._on_kept)
        for signal in (self.session.found, self.session.current_changed, self.session.state_changed):
            signal.connect(self._on_found)

    def add_inputs(self, paths: Sequence[str]) -> None:
        """Add files and folders to those that will be analysed."""
        known = list(self.run.setup.inputs)
        new = [path for path in dict.fromkeys(paths) if path and path not in known]
        self.inputs.addItems(new)
        self.run.with_setup(inputs=(*known, *new))
        if new and not self.run.setup.output:
            first = Path(new[0])
            self.output.setText(str((first if first.is_dir() else first.parent).with_name("results")))
            self._on_output()
        self._on_changed()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take files and folders."""
        if event is not None and _dropped(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Add the files and folders that were dropped."""
        if event is not None:
            self.add_inputs(_dropped(event))
            event.acceptProposedAction()

    def _on_files(self) -> None:
        kinds = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        paths, _ = QFileDialog.getOpenFileNames(self, "Micrographs", "", f"Micrographs ({kinds});;All (*)")
        self.add_inputs(paths)

    def _on_folder(self) -> None:
        self.add_inputs([QFileDialog.getExistingDirectory(self, "Folder of micrographs")])

    def _on_clear(self) -> None:
        self.inputs.clear()
        self.run.with_setup(inputs=())
        self._on_changed()

    def _on_browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the results", self.output.text())
        if folder:
            self.output.setText(folder)
            self._on_output()

    def _on_output(self) -> None:
        if self.output.text().strip() != self.run.setup.output:
            self.run.with_setup(output=self.output.text().strip())
            self.run.look_up()

    def _on_browse_profile(self) -> None:
        path = QFileDialog.getOpenFileName(self, "Calibration profile", "", "Profiles (*.json)")[0]
        if path:
            self.profile.setText(path)

    def _on_edited(self) -> None:
        self.run.with_setup(
            keep=self.keep.currentData(),
            workers=self.workers.value(),
            memory_limit=self.memory.text().strip(),
            profile=self.profile.text().strip(),
            pixel_size=self.pixel_size.value(),
        )

    def _on_start(self) -> None:
        self._begin(resume=False)

    def _on_resume(self) -> None:
        self._begin(resume=True)

    def _begin(self, resume: bool) -> None:
        self._on_output()
        try:
            self.run.start(resume=resume, restart=self.anew.isChecked() and not resume)
        except (ValueError, OSError) as error:
            tell(error)
        else:
            self.anew.setChecked(False)

    def _on_recorded(self, record: Record) -> None:
        row = record_row(len(self.run.records) - 1, record)
        self.tree.append(row)
        self._hide(self.tree.topLevelItemCount() - 1)
        if self.tree.topLevelItemCount() < FEW:
            self.tree.fit_columns()

    def _on_listed(self) -> None:
        self.tree.fill([record_row(number, record) for number, record in enumerate(self.run.records)])
        self._on_rows_chosen()

    def _on_rows_chosen(self) -> None:
        for number in range(self.tree.topLevelItemCount()):
            self._hide(number)

    def _hide(self, number: int) -> None:
        record, shown = self.run.records[number], self.show_rows.currentText()
        wanted = {ALL: True, BAD: record.state != "analysed", LOOK: bool(record.flags)}[shown]
        item = self.tree.topLevelItem(number)
        if item is not None:
            item.setHidden(not wanted)

    def _on_changed(self) -> None:
        run = self.run
        there = bool(run.setup.output) and (run.folder / RUN).is_file()
        self.start.setEnabled(not run.running)
        self.resume.setEnabled(not run.running and there)
        self.anew.setEnabled(not run.running and there)
        self.cancel.setEnabled(run.running)
        for control in (self.inputs, self.files, self.add_folder, self.clear, self.output, self.browse):
            control.setEnabled(not run.running)
        self.report.setEnabled(run.report is not None)
        done, total = run.progress.done, run.progress.total
        self.progress.setRange(0, total if total or run.running else 1)
        self.progress.setValue(done)
        self.progress.setFormat(f"{done} of {total}" if total else "")
        self.state.setText(state_words(run))
        if not run.running:
            self.settings.setText(settings_words(run))
        self._on_found()

    def _on_row_chosen(self, number: int) -> None:
        record = self.run.records[number]
        if record.state == "analysed":
            self.opener.open(self.run.setup, record)
        else:
            tell(ValueError(f"{record.name}: {record.reason}"))

    def _on_report(self) -> None:
        if self.run.report is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.run.report.resolve())))

    def _on_found(self) -> None:
        findings = self.session.current
        known = findings is not None and findings.analysis is not None
        ours = known and findings is not None and self.opener.folder_of(findings.layer) is not None
        self.correct.setEnabled(bool(ours) and not self.session.running)

    def _on_correct(self) -> None:
        findings = self.session.current
        if findings is not None and findings.analysis is not None:
            self.opener.keep_correction(findings.layer, findings.analysis, self.run.setup.keep)

    def _on_kept(self, folder: Path) -> None:
        show_info(f"kept in {folder}; Resume takes it into the run's tables and report")


def _dropped(event: QDropEvent) -> list[str]:
    data = event.mimeData()
    return [url.toLocalFile() for url in data.urls() if url.isLocalFile()] if data is not None else []
