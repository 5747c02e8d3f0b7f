"""BatchForm: choose the files of a run and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QLineEdit,
    QListWidget,
    QSpinBox,
    QWidget,
)

from ...batch.record import Record
from ...batch.state import RUN
from ...core.image.calibration import UNCERTAINTY
from ...io.readers.formats import SUFFIXES
from ...io.results.folder import KEEP
from ..session.batch_run import BatchRun
from .controls import button, form_in, short, side_by_side, wrapped_label
from .tree import Row

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
    words = f"{far.rate:.0f} images a minute, {duration(far.seconds_left)} left, {far.failed} failed so far"
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

    def drag(self, event: QDragEnterEvent | None) -> None:
        """Accept files and folders."""
        if event is not None and _dropped(event):
            event.acceptProposedAction()

    def drop(self, event: QDropEvent | None) -> None:
        """Add the dropped files and folders."""
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


def _dropped(event: QDropEvent) -> list[str]:
    data = event.mimeData()
    return [url.toLocalFile() for url in data.urls() if url.isLocalFile()] if data is not None else []
