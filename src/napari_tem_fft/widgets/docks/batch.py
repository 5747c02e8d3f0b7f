"""The batch dock: analyse many files in the background, with a table of results to open by a click."""

from __future__ import annotations

from pathlib import Path

from napari.components import ViewerModel
from napari.utils.notifications import show_info
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices, QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QComboBox, QProgressBar, QVBoxLayout, QWidget

from ...batch.record import Record
from ...batch.state import RUN
from ..forms.batch import BatchForm, record_row, state_words
from ..forms.controls import Columns, Scrolled, button, short, side_by_side, wrapped_label
from ..forms.tree import ResultTree
from ..session.batch_run import BatchRun, Opener, run_of
from ..session.runner import tell
from .dock import Dock

COLUMNS = ("image", "state", "components or reason", "grains", "spots", "s")
HELP = (
    "Click an image to open its layers, which can be edited",
    "analysed, or why it should be checked",
    "Share of the specimen of each component, or the reason why there is none",
    "Number of grains",
    "Number of spots",
    "Processing time in seconds",
)
#: The columns of a table with fewer rows are resized for each new row.
FEW = 100
ALL, BAD, LOOK = "all", "failed", "to look at"


class BatchDock(Dock):
    """Choose files, analyse them with the settings of the TEM FFT dock, and view results while it runs.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.run: BatchRun = run_of(napari_viewer)
        self.form = BatchForm(self.run)
        self.opener = Opener(self.session)
        self.setAcceptDrops(True)
        self._make_table()
        self._lay_out()
        self._connect()
        self._on_listed()
        self._on_changed()

    def _make_table(self) -> None:
        self.start = button("Start", "Analyse all files in the background")
        self.resume = button("Resume", "Continue the run in the folder; finished files are skipped")
        self.cancel = button("Cancel", "Stop within a few seconds; finished files are kept")
        self.progress = QProgressBar()
        self.state = wrapped_label()
        self.show_rows = short(QComboBox(), 7)
        self.show_rows.addItems([ALL, BAD, LOOK])
        self.show_rows.setToolTip("Which images are listed; to look at: failed, ambiguous, no crystal")
        self.report = button("Report", "Open the run's report in the browser")
        self.correct = button("Save correction", "Write the corrected image into the run's results")
        self.copy = button("Copy", "Copy the table, with tabs, for a spreadsheet")
        self.tree = ResultTree(COLUMNS, HELP)
        self.tree.setRootIsDecorated(False)

    def _lay_out(self) -> None:
        left, right = QWidget(), QWidget()
        set_up, table = (_close_column(half) for half in (left, right))
        set_up.addWidget(Scrolled(self.form), stretch=1)
        set_up.addWidget(side_by_side(self.start, self.resume, self.cancel))
        table.addWidget(side_by_side(self.progress, self.show_rows))
        table.addWidget(self.state)
        table.addWidget(self.tree, stretch=1)
        table.addWidget(side_by_side(self.report, self.correct, self.copy))
        self.column().addWidget(Columns(left, right))

    def _connect(self) -> None:
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
        self.follow(self._on_found, running=True)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Accept files and folders."""
        self.form.drag(event)

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Add the files and folders that were dropped."""
        self.form.drop(event)

    def _on_start(self) -> None:
        self._begin(resume=False)

    def _on_resume(self) -> None:
        self._begin(resume=True)

    def _begin(self, resume: bool) -> None:
        self.form.take_output()
        try:
            self.run.start(resume=resume, restart=self.form.anew.isChecked() and not resume)
        except (ValueError, OSError) as error:
            tell(error)
        else:
            self.form.anew.setChecked(False)

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
        self.cancel.setEnabled(run.running)
        self.report.setEnabled(run.report is not None)
        done, total = run.progress.done, run.progress.total
        self.progress.setRange(0, total if total or run.running else 1)
        self.progress.setValue(done)
        self.progress.setFormat(f"{done} of {total}" if total else "")
        self.state.setText(state_words(run))
        self._on_found()

    def _on_row_chosen(self, number: int) -> None:
        record = self.run.records[number]
        try:
            if record.state != "analysed":
                raise ValueError(f"{record.name}: {record.reason}")
            self.opener.open(self.run.job(), record)
        except ValueError as error:
            tell(error)

    def _on_report(self) -> None:
        if self.run.report is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.run.report.resolve())))

    def _on_found(self) -> None:
        image_state = self.session.current
        known = image_state is not None and image_state.analysis is not None
        ours = known and image_state is not None and self.opener.folder_of(image_state.layer) is not None
        self.correct.setEnabled(bool(ours) and not self.session.running)

    def _on_correct(self) -> None:
        image_state = self.session.current
        if image_state is not None and image_state.analysis is not None:
            try:
                self.opener.keep_correction(image_state.layer, image_state.analysis, self.run.job())
            except ValueError as error:
                tell(error)

    def _on_kept(self, folder: Path) -> None:
        show_info(f"saved in {folder}; Resume adds it to the run's tables and report")


def _close_column(widget: QWidget) -> QVBoxLayout:
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(3)
    return column
