"""Finished images of a run as layers: its analysis read again, and written back once it was corrected."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from weakref import ref

from napari.layers import Image, Layer
from qtpy.QtCore import QObject, Signal

from ...batch.engine import open_analysis
from ...batch.job import Job
from ...batch.record import Record
from ...core.pipeline import Analysis
from ...core.progress import Step
from ...io.results.folder import save_results
from ...io.results.kept_colours import kept_colours
from ...layers.results import KEY, micrograph_layer
from .messages import tell
from .runner import Runner
from .session import Session


class Opener(QObject):
    """Opens images of a run in a viewer, each once.

    Parameters
    ----------
    session : Session

    Signals
    -------
    opened()
        The layers of an image are there, or will be in a moment.
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
        """Show the image of a record with its analysis; one that is open already comes to the front."""
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
        """Write a corrected analysis in the place of the run's own."""
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
