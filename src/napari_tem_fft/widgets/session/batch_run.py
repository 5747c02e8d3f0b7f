"""BatchRun: the run over many files that belongs to a viewer, independent of the dock that shows it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakMethod, ref

from napari.components import ViewerModel
from napari.layers import Image, Layer
from qtpy.QtCore import QObject, Signal

from ...batch.engine import open_analysis
from ...batch.job import Job, changes, stored_job
from ...batch.record import Record
from ...batch.report import REPORT
from ...batch.run import Progress
from ...batch.state import read_records, read_run
from ...batch.subprocess_main import Order
from ...core.fourier.threads import processors
from ...core.pipeline import Analysis, AnalysisParams
from ...core.progress import Step
from ...io.phases.library import library_path
from ...io.plain import from_plain
from ...io.results.folder import Keep, kept_colours, save_results
from ...layers.image import KEY, micrograph_layer
from ..forms.candidates import CandidateRequest
from .child_processes import Work
from .runner import Runner, tell
from .session import Session, unwrap_viewer
from .settings import length_unit

#: Subfolder of a run's folder for the phases that the user added.
OWN = "own phases"
NOTHING = Progress(0, 0, 0, 0.0, None)
Setting = tuple[CandidateRequest, AnalysisParams]


@dataclass(frozen=True, slots=True)
class BatchSetup:
    """Settings of the form of the dock.

    Attributes
    ----------
    inputs : tuple of str
        Files and folders.
    output : str
    keep : {"tables", "maps", "pictures"}
    workers : int
    memory_limit : str
        Limit such as "8G"; empty for none.
    profile : str
        File of a calibration profile; empty for none.
    pixel_size : float, nm
        Pixel size for all images; 0 to use those of the files.
    calibration_uncertainty : float, %
        Uncertainty for all images; 0 to use those of the files or the profile.
    """

    inputs: tuple[str, ...] = ()
    output: str = ""
    keep: Keep = "maps"
    workers: int = field(default_factory=lambda: min(2, processors()))
    memory_limit: str = ""
    profile: str = ""
    pixel_size: float = 0.0
    calibration_uncertainty: float = 0.0


class BatchRun(Work):
    """Runs the batch engine in a separate process, and collects its results.

    Parameters
    ----------
    window : QObject, optional
        The run is stopped when this is deleted. It cannot be the parent, because a widget deletes its
        children before it emits `destroyed`.

    Signals
    -------
    recorded(Record)
        Another file is finished.
    listed()
        The records of another run were loaded.
    changed()
        A run has begun, progressed or ended.
    """

    recorded = Signal(object)
    listed = Signal()
    changed = Signal()

    def __init__(self, window: QObject | None) -> None:
        super().__init__(None, "the run", listens=True)
        self.setup = BatchSetup()
        self.records: list[Record] = []
        self.progress = NOTHING
        self.words = ""
        self.outcome: dict[str, Any] = {}
        self._cancelled = False
        self._asked: WeakMethod[Callable[[], Setting]] | None = None
        self._last: Setting = CandidateRequest(), AnalysisParams()
        self._command.end_with(window)

    def offer(self, asked: Callable[[], Setting]) -> None:
        """Set the function that returns candidates and parameters."""
        self._asked = WeakMethod(asked)

    def setting(self) -> Setting:
        """The present candidates and parameters, or those when the main dock was closed."""
        asked = self._asked() if self._asked is not None else None
        if asked is not None:
            self._last = asked()
        return self._last

    @property
    def folder(self) -> Path:
        """Folder of the results."""
        return Path(self.setup.output)

    @property
    def report(self) -> Path | None:
        """The report of the run, if it exists."""
        path = self.folder / REPORT
        return path if self.setup.output and path.is_file() else None

    def look_up(self) -> None:
        """List the records of an existing run in the folder."""
        if self.running:
            return
        self.records = read_records(self.folder) if self.setup.output else []
        failed = sum(record.state != "analysed" for record in self.records)
        self.progress = Progress(len(self.records), len(self.records), failed, 0.0, None)
        self.words = ""
        self.listed.emit()
        self.changed.emit()

    def start(self, resume: bool = False, restart: bool = False) -> None:
        """Start a run, resume the one in the folder, or overwrite it.

        Raises
        ------
        ValueError
            If it cannot start; the message says what to do.
        """
        setup, before = self.setup, self._before()
        if not setup.output:
            raise ValueError("choose a folder for the results")
        if before is not None and not (resume or restart):
            raise ValueError(
                "there is a run in this folder: Resume continues it, 'Overwrite' replaces it,"
                " or choose another folder"
            )
        inputs = setup.inputs or tuple(map(str, (before or {}).get("inputs", ())))
        if not inputs:
            raise ValueError("choose files or a folder with micrographs")
        job, other = self._job(), list[str]()
        if before is not None and resume:
            job = replace(job, unit=before["settings"].get("unit", job.unit))
            other = changes(before["settings"], job.settings())
        if other:
            raise ValueError(
                f"the run in this folder has different settings ({'; '.join(other)}): restore them,"
                " tick 'Overwrite', or choose another folder"
            )
        self.records, self.progress = [], NOTHING
        self._cancelled = False
        self.outcome, self.words = {}, "starting the workers"
        order = Order(job, inputs, setup.workers, setup.memory_limit, resume and before is not None, restart)
        words = (sys.executable, "-P", "-m", "napari_tem_fft.batch.subprocess_main")
        self._command.start(words, order.to_json())
        self.listed.emit()
        self.changed.emit()

    def cancel(self) -> None:
        """Stop within a few seconds; finished files are kept, and the run can be resumed."""
        self.words, self._cancelled = "stopping; finished files are kept", True
        super().cancel()
        self.changed.emit()

    def job(self) -> Job:
        """Settings of the run in the folder.

        Raises
        ------
        ValueError
            If there is none, or its settings cannot be read.
        """
        return stored_job(self._before() or {}, self.setup.output)

    def _before(self) -> dict[str, Any] | None:
        return read_run(self.folder) if self.setup.output else None

    def _job(self) -> Job:
        asked, params = self.setting()
        setup = self.setup
        return Job(
            output=os.path.abspath(setup.output),
            params=params,
            keep=setup.keep,
            unit=length_unit(),
            names=asked.names,
            sets=asked.sets,
            elements=asked.elements,
            library=str(library_path()) if asked.library else None,
            cif=self._own_phases(asked),
            pixel_size=(setup.pixel_size, setup.pixel_size) if setup.pixel_size else None,
            calibration_profile=os.path.abspath(setup.profile) if setup.profile else None,
            calibration_uncertainty=setup.calibration_uncertainty or None,
        )

    def _own_phases(self, asked: CandidateRequest) -> str | None:
        """Copy phases that the user added into the folder of the run, so that it can be resumed."""
        if not asked.files:
            return None
        folder = self.folder / OWN
        folder.mkdir(parents=True, exist_ok=True)
        for path in asked.files:
            if path.resolve() != (folder / path.name).resolve():
                shutil.copyfile(path, folder / path.name)
        return os.path.abspath(folder)

    def _on_told(self, told: dict[str, Any]) -> None:
        if "progress" in told:
            self.progress = from_plain(Progress, told["progress"])
            self.words = self.words if self.progress.rate == 0 or self._cancelled else ""
        if "record" in told:
            self.records.append(from_plain(Record, told["record"]))
            self.recorded.emit(self.records[-1])
        if "problem" in told:
            self.words = str(told["problem"])
        elif "outcome" in told:
            self.outcome = told["outcome"]
        self.changed.emit()

    def _on_ended(self, trouble: str) -> None:
        if self.outcome:
            self.words = ""
        elif trouble == "cancelled":
            self.words = "stopped; Resume continues it"
        else:
            self.words = self.words or trouble
        self.changed.emit()

    def with_setup(self, **values: Any) -> None:
        """Change some settings of the form."""
        self.setup = replace(self.setup, **values)


def run_of(napari_viewer: ViewerModel) -> BatchRun:
    """Return the run of a viewer, which all docks share; it ends with the viewer's window."""
    viewer = unwrap_viewer(napari_viewer)
    if viewer not in _runs:
        window = getattr(viewer, "window", None)
        _runs[viewer] = BatchRun(window._qt_window if window is not None else None)
    return _runs[viewer]


_runs: WeakKeyDictionary[ViewerModel, BatchRun] = WeakKeyDictionary()


class Opener(QObject):
    """Opens images of a run in a viewer, at most once each.

    Parameters
    ----------
    session : Session

    Signals
    -------
    opened()
        The layers of an image are shown, or will be soon.
    """

    opened = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = ref(session)
        self._layers: dict[str, ref[Image]] = {}
        self._folder = Path()
        self.runner = Runner()
        self.runner.returned.connect(self._on_read)
        self.runner.failed.connect(tell)
        self.saver = Runner()
        self.saver.failed.connect(tell)

    def open(self, job: Job, record: Record) -> None:
        """Show the image of a record with its analysis; an open one is shown again."""
        self._folder = Path(job.output) / record.folder
        layer = self._shown(self._folder)
        if layer is not None:
            self._choose(layer)
        else:
            self.runner.start(_reading(job, record))

    def folder_of(self, layer: Layer) -> Path | None:
        """Return the folder of results from which an image was opened; None for any other image."""
        return next((Path(name) for name in self._layers if self._layers[name]() is layer), None)

    def keep_correction(self, layer: Layer, analysis: Analysis, job: Job) -> None:
        """Replace the analysis of the run with a corrected one."""
        folder = self.folder_of(layer)
        if folder is not None:
            self.saver.start(_writing(analysis, folder, job))

    def _shown(self, folder: Path) -> Image | None:
        session, known = self._session(), self._layers.get(str(folder))
        layer = known() if known is not None else None
        return layer if session is not None and layer in session.viewer.layers else None

    def _on_read(self, analysis: Analysis) -> None:
        session = self._session()
        if session is None:
            return
        layer = Layer.create(*micrograph_layer(analysis.micrograph))
        layer.metadata[KEY]["analysis"] = analysis
        session.viewer.add_layer(layer)
        self._layers[str(self._folder)] = ref(layer)
        self._choose(layer)

    def _choose(self, layer: Image) -> None:
        session = self._session()
        if session is not None:
            session.choose(layer)
            session.viewer.layers.selection.active = layer
            self.opened.emit()


def _reading(job: Job, record: Record) -> Generator[Step, None, Analysis]:
    yield Step("reading", 0, 1)
    return open_analysis(job, record)


def _writing(analysis: Analysis, folder: Path, job: Job) -> Generator[Step, None, Path]:
    yield Step("writing", 0, 1)
    return save_results(analysis, folder, job.keep, unit=job.unit, known=kept_colours(Path(job.output)))
