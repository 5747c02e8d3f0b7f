"""The batch dock: choose files and settings, analyse them in the background, and open results by a click."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.utils.notifications import show_info
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ...batch.record import Record
from ...batch.state import RUN
from ...core.image.calibration import UNCERTAINTY
from ...io.readers.formats import SUFFIXES
from ...io.results.folder import KEEP
from ..forms.controls import (
    Columns,
    Scrolled,
    TakesFiles,
    button,
    form_in,
    short,
    side_by_side,
    wrapped_label,
)
from ..forms.tree import ResultTree, Row
from ..session.batch_run import BatchRun, Opener, run_of
from ..session.runner import tell
from .dock import Dock

#: Colours of images that failed, and of those that should be checked.
FAILED, FLAGGED = "#D55E00", "#CC7A00"


def record_row(number: int, record: Record) -> Row:
    """Return the row of a finished file."""
    if record.state != "analysed":
        return Row(number, (record.name, record.state, record.reason, "", "", ""), FAILED, record.path)
    parts = ", ".join(f"{part.name} {part.fraction:.0%}" for part in record.parts)
    state = ", ".join(record.flags) or ("corrected" if record.corrected else "analysed")
    numbers = str(record.grains), str(record.spots), f"{record.seconds:.1f}"
    help = "\n".join((record.path, *record.warnings))
    return Row(number, (record.name, state, parts, *numbers), FLAGGED if record.flags else "", help)


def state_words(run: BatchRun) -> str:
    """Describe the progress of a run: speed, remaining time, and number of failed files."""
    far = run.progress
    if not run.running and run.outcome and not run.words:
        return outcome_words(run.outcome)
    if not run.running or far.seconds_left is None:
        return run.words
    words = f"{far.rate:.0f} images per minute, {duration(far.seconds_left)} left, {far.failed} failed so far"
    return "; ".join(filter(None, (words, run.words)))


def settings_words(run: BatchRun) -> str:
    """Summarise the candidates and parameters of the next run."""
    asked, params = run.setting()
    phases = ", ".join(asked.names) if asked.names else "set: " + ", ".join(asked.sets or ("all",))
    elements = f"; elements: {asked.elements}" if asked.elements else ""
    network = Path(params.network).name if params.network else "none"
    return f"From the TEM FFT dock: network: {network}; {phases}{elements}"


def outcome_words(outcome: dict[str, Any]) -> str:
    """Summarise the results of a run."""
    kept = f" ({outcome['kept']} before)" if outcome["kept"] else ""
    failed = f", {outcome['failed']} failed" if outcome["failed"] else ""
    text = f"{outcome['analysed']} of {outcome['total']} analysed{kept}{failed}"
    if outcome["state"] != "done":
        return f"{text}; stopped: {outcome['problem']}"
    return f"{text}, in {duration(outcome['seconds'])}"


def duration(seconds: float) -> str:
    """Format a duration with a suitable precision."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


KEPT = {"tables": "tables only", "maps": "tables and maps", "pictures": "tables, maps and pictures"}


class BatchForm(QWidget):
    """The settings of a viewer's run; edits apply immediately.

    Parameters
    ----------
    run : BatchRun
    """

    def __init__(self, run: BatchRun) -> None:
        super().__init__()
        self.run = run
        self._make_inputs()
        self._make_options()
        self._lay_out()
        self._connect()
        run.changed.connect(self._on_changed)
        self._on_changed()

    def _make_inputs(self) -> None:
        self.inputs = QListWidget()
        self.inputs.setMaximumHeight(64)
        self.inputs.setToolTip("Files and folders, including subfolders; they can be dropped here")
        self.inputs.addItems(list(self.run.setup.inputs))
        self.files = button("Files...", "Add micrographs")
        self.add_folder = button("Folder...", "Add a folder with its subfolders")
        self.clear = button("Clear", "Remove all files and folders from the list")
        self.output = QLineEdit(self.run.setup.output, placeholderText="folder for the results")
        self.output.setToolTip("A folder for each image, and the tables and report of the run")
        self.browse = button("...", "Choose the folder for the results")

    def _make_options(self) -> None:
        setup = self.run.setup
        self.keep = short(QComboBox(), 8)
        for each in KEEP:
            self.keep.addItem(KEPT[each], each)
        self.keep.setCurrentIndex(self.keep.findData(setup.keep))
        self.keep.setToolTip("Results saved for each image; with maps, it can be opened and edited later")
        self.workers = QSpinBox(minimum=1, maximum=256)
        self.workers.setValue(setup.workers)
        self.workers.setToolTip("Number of images analysed in parallel, each in a separate process")
        self.memory = QLineEdit(setup.memory_limit, placeholderText="no limit (or: 8G)")
        self.memory.setToolTip("Memory for the whole run, which limits the number of workers")
        self.profile = QLineEdit(setup.profile, placeholderText="none")
        self.profile.setToolTip("Calibration profile that corrects the scales of the files")
        self.browse_profile = button("...", "Choose a calibration profile")
        self.pixel_size = QDoubleSpinBox(decimals=5, maximum=10.0, singleStep=0.001)
        self.pixel_size.setValue(setup.pixel_size)
        self.pixel_size.setSuffix(" nm")
        self.pixel_size.setSpecialValueText("each file's own")
        self.pixel_size.setToolTip("Pixel size for all images, instead of those of their files")
        field = UNCERTAINTY.field
        self.uncertainty = QDoubleSpinBox(decimals=2, maximum=field.high, singleStep=0.1)
        self.uncertainty.setValue(setup.calibration_uncertainty)
        self.uncertainty.setSuffix(f" {field.unit}")
        self.uncertainty.setSpecialValueText("each file's own")
        self.uncertainty.setToolTip(
            f"{field.help} Applies to all images; empty (0) to use that of each file or of the profile."
        )
        self.settings = wrapped_label()
        self.settings.setToolTip("These are set in the TEM FFT dock")
        self.anew = QCheckBox("Overwrite")
        self.anew.setToolTip("Replace the run in the folder; corrections by the user are kept")

    def _lay_out(self) -> None:
        form = form_in(self)
        form.addRow("micrographs", self.inputs)
        form.addRow("", side_by_side(self.files, self.add_folder, self.clear))
        form.addRow("results", side_by_side(self.output, self.browse))
        form.addRow("keep", self.keep)
        form.addRow("workers", self.workers)
        form.addRow("memory", self.memory)
        form.addRow("pixel size", self.pixel_size)
        form.addRow("calibration", side_by_side(self.profile, self.browse_profile))
        form.addRow("uncertainty", self.uncertainty)
        form.addRow("", self.anew)
        form.addRow(self.settings)

    def _connect(self) -> None:
        self.files.clicked.connect(self._on_files)
        self.add_folder.clicked.connect(self._on_folder)
        self.clear.clicked.connect(self._on_clear)
        self.browse.clicked.connect(self._on_browse)
        self.output.editingFinished.connect(self.take_output)
        self.browse_profile.clicked.connect(self._on_browse_profile)
        self.profile.textChanged.connect(self._on_edited)
        self.memory.textChanged.connect(self._on_edited)
        self.keep.currentIndexChanged.connect(self._on_edited)
        self.workers.valueChanged.connect(self._on_edited)
        self.pixel_size.valueChanged.connect(self._on_edited)
        self.uncertainty.valueChanged.connect(self._on_edited)

    def add_inputs(self, paths: Sequence[str]) -> None:
        """Add files and folders to the list."""
        known = list(self.run.setup.inputs)
        new = [path for path in dict.fromkeys(paths) if path and path not in known]
        self.inputs.addItems(new)
        self.run.with_setup(inputs=(*known, *new))
        if new and not self.run.setup.output:
            first = Path(new[0])
            self.output.setText(str((first if first.is_dir() else first.parent).with_name("results")))
            self.take_output()
        self._on_changed()

    def take_output(self) -> None:
        """Load the run in the typed folder, if it has changed."""
        if self.output.text().strip() != self.run.setup.output:
            self.run.with_setup(output=self.output.text().strip())
            self.run.look_up()

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
            self.take_output()

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
            calibration_uncertainty=self.uncertainty.value(),
        )

    def _on_changed(self) -> None:
        run = self.run
        self.anew.setEnabled(not run.running and bool(run.setup.output) and (run.folder / RUN).is_file())
        for control in (self.inputs, self.files, self.add_folder, self.clear, self.output, self.browse):
            control.setEnabled(not run.running)
        if not run.running:
            self.settings.setText(settings_words(run))


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


class BatchDock(TakesFiles, Dock):
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

    def take_files(self, paths: Sequence[Path]) -> None:
        """Add the files and folders that were dropped."""
        self.form.add_inputs(list(map(str, paths)))

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
