"""Runner: run a generator of steps on a worker thread, completely or step by step."""

from __future__ import annotations

import gc
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from threading import Semaphore
from typing import Any, Literal
from weakref import WeakSet

from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication, QDialog, QLabel
from superqt.utils import GeneratorWorker, create_worker

from ...core.progress import Step

Steps = Generator[Step, None, Any]
#: A worker waits at most this many seconds until the window has processed a step.
PATIENCE = 2.0
#: Thresholds of Python's garbage collector while a worker is running. With napari loaded, a full collection
#: stops all threads for a quarter of a second, and by default one happens every few brush strokes.
FEW_COLLECTIONS = (50_000, 50, 100)
#: The default thresholds are restored after this idle time in ms, because strokes come in succession.
REST = 5000


class _Mark(Semaphore):
    """Identifies the work that a message belongs to; released when the window is ready for the next one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """A message of a worker, with the mark of its work."""

    mark: _Mark
    kind: Literal["step", "paused", "result", "error"]
    value: Any = None


class Runner(QObject):
    """Runs one generator at a time outside the GUI thread; starting another one cancels the first.

    The worker is not one of napari's, because napari would ask the user about it, by the address of a
    function in memory, when its window is closed.

    The next step is sent only after the window has drawn the previous one and processed events, so that it
    is never blocked for the sum of all steps.

    Signals
    -------
    started()
        A worker was started.
    stepped(Step)
        A stage is finished.
    returned(object)
        The generator has finished, with its result.
    failed(Exception)
        The generator has raised an exception.
    stopped()
        The worker has stopped for any reason: finished, paused after a step, or cancelled.
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
        self._mark = _Mark()

    @property
    def running(self) -> bool:
        """Whether a worker is running."""
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
        """Continue a paused generator, by a step or to its end."""
        if self._steps is not None and self._worker is None:
            self._send_off(self._steps, single)

    def cancel(self) -> None:
        """Cancel the generator; further messages of its worker are ignored."""
        worker, steps = self._worker, self._steps
        self._worker = self._steps = None
        _collections.as_before(self)
        self._mark.release()
        self._mark = _Mark()
        if worker is not None:
            worker.quit()
            self.stopped.emit()
        elif steps is not None:
            steps.close()

    def _send_off(self, steps: Steps, single: bool) -> None:
        worker = create_worker(_advance, steps, single, self._mark, _start_thread=False)
        worker.yielded.connect(self._on_sent)
        worker.returned.connect(self._on_sent)
        # superqt's worker replaces warnings.showwarning. If two are running, the function of an ended worker
        # can stay there for ever, and keep the objects of cancelled steps
        worker.aborted.connect(partial(_close, steps))
        self._worker = worker
        _collections.few(self)
        self.started.emit()
        worker.start()

    def _on_sent(self, sent: _Sent | None) -> None:
        """Pass on messages of the present worker, and drop those of cancelled ones."""
        if sent is None or sent.mark is not self._mark:
            return
        if sent.kind == "step":
            self.stepped.emit(sent.value)
            QTimer.singleShot(0, sent.mark.release)
            return
        self._worker = None
        _collections.as_before(self)
        if sent.kind != "paused":
            self._steps = None
            (self.returned if sent.kind == "result" else self.failed).emit(sent.value)
        self.stopped.emit()


def _close(steps: Steps) -> None:
    steps.close()


def _advance(steps: Steps, single: bool, mark: _Mark) -> Generator[_Sent, None, _Sent]:
    """Send one step or all steps; the result tells how the generator ended.

    A step whose product will be completed by the next one is sent together with it.

    Errors are sent like results, all with a mark. If a signal of a worker were connected to a closure that
    refers to the worker, the worker and its analysis would never be freed.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return _Sent(mark, "result", end.value)
        except Exception as error:
            return _Sent(mark, "error", error)
        mark.acquire(timeout=PATIENCE)
        yield _Sent(mark, "step", step)
        if single and not getattr(step.product, "more", False):
            return _Sent(mark, "paused")


class _Collections:
    """Reduces the frequency of garbage collections while a runner is active, and for a while after."""

    def __init__(self) -> None:
        self._at_work: WeakSet[Runner] = WeakSet()
        self._usual: tuple[int, int, int] | None = None
        self._rest = 0

    def few(self, runner: Runner) -> None:
        """Collect garbage less often while a runner is active."""
        self._rest += 1
        if self._usual is None:
            self._usual = gc.get_threshold()
            gc.set_threshold(*FEW_COLLECTIONS)
        self._at_work.add(runner)

    def as_before(self, runner: Runner) -> None:
        """Restore the usual collection some time after a runner has ended."""
        self._rest += 1
        self._at_work.discard(runner)
        if not self._at_work and self._usual is not None:
            QTimer.singleShot(REST, partial(self._restore, self._rest))

    def _restore(self, rest: int) -> None:
        if rest == self._rest and self._usual is not None:
            gc.set_threshold(*self._usual)
            self._usual = None


_collections = _Collections()


NO_MEMORY = "Not enough memory for this image: close other images, or analyse a part of it."


class Messages(QObject):
    """Emits error messages.

    Signals
    -------
    told(str)
        The error and what to do.
    """

    told = Signal(str)


#: A single object per process.
messages = Messages()


def close_notifications(words: str) -> None:
    """Close napari's notifications that begin with some words; the focus stays where it is."""
    focused = QApplication.focusWidget()
    for widget in QApplication.allWidgets():
        message = getattr(widget, "message", None)  # of napari's notification
        if isinstance(widget, QDialog) and isinstance(message, QLabel) and message.text().startswith(words):
            widget.close()
            if focused is not None:
                focused.setFocus()


def tell(error: Exception) -> None:
    """Show an error: messages for the user as they are, unexpected errors with their traceback."""
    if isinstance(error, ValueError | OSError):
        text = str(error)
        show_error(text)
    elif isinstance(error, MemoryError):
        text = NO_MEMORY
        show_error(text)
    else:
        text = f"{type(error).__name__}: {error}"
        notification_manager.receive_error(type(error), error, error.__traceback__)
    messages.told.emit(text)
