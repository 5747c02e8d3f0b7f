"""Runner: a generator of steps on a worker thread, all at once or a step a click."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from qtpy.QtCore import QObject, Signal

from ..core.progress import Step

Steps = Generator[Step, None, Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Result:
    value: Any


class Runner(QObject):
    """Runs one generator at a time off the GUI thread; starting another one ends the first.

    Signals
    -------
    started()
        A worker was sent off.
    stepped(Step)
        A stage is finished.
    returned(object)
        The generator has ended; its result.
    failed(Exception)
        The generator raised.
    stopped()
        No worker runs any longer, whatever the reason: ended, paused after a step, or cancelled.
    """

    started = Signal()
    stepped = Signal(object)
    returned = Signal(object)
    failed = Signal(object)
    stopped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._steps: Steps | None = None
        self._worker: GeneratorWorker[Any, Any, Any] | None = None

    @property
    def running(self) -> bool:
        """Whether a worker is at work."""
        return self._worker is not None

    @property
    def paused(self) -> bool:
        """Whether the generator waits for the next click."""
        return self._worker is None and self._steps is not None

    def start(self, steps: Steps, single: bool = False) -> None:
        """Run a generator to its end, or only its first step."""
        self.cancel()
        self._steps = steps
        self._send_off(steps, single)

    def advance(self, single: bool = True) -> None:
        """Go on with a paused generator, by a step or to its end."""
        if self._steps is not None and self._worker is None:
            self._send_off(self._steps, single)

    def cancel(self) -> None:
        """Give up the generator; what its worker still sends is ignored."""
        worker, steps = self._worker, self._steps
        self._worker = self._steps = None
        if worker is not None:
            worker.quit()
            self.stopped.emit()
        elif steps is not None:
            steps.close()

    def _send_off(self, steps: Steps, single: bool) -> None:
        worker = create_worker(_advance, steps, single, _start_thread=False, _ignore_errors=True)
        self._worker = worker
        worker.yielded.connect(lambda step: self._on_yielded(worker, step))
        worker.returned.connect(lambda result: self._on_returned(worker, result))
        worker.errored.connect(lambda error: self._on_errored(worker, error))
        self.started.emit()
        worker.start()

    def _on_yielded(self, worker: object, step: Step) -> None:
        if worker is self._worker:
            self.stepped.emit(step)

    def _on_returned(self, worker: object, result: _Result | None) -> None:
        if worker is not self._worker:
            return
        self._worker = None
        if result is not None:
            self._steps = None
            self.returned.emit(result.value)
        self.stopped.emit()

    def _on_errored(self, worker: object, error: Exception) -> None:
        if worker is not self._worker:
            return
        self._worker = self._steps = None
        self.failed.emit(error)
        self.stopped.emit()


def _advance(steps: Steps, single: bool) -> Generator[Step, None, _Result | None]:
    """Pass steps on: one, or all until the end, which is marked by a `_Result`."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return _Result(end.value)
        yield step
        if single:
            return None
