"""Runner: a generator of steps on a worker thread, all at once or a step a click."""

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
from superqt.utils import GeneratorWorker, create_worker

from ...core.progress import Step

Steps = Generator[Step, None, Any]
#: A worker waits no longer than this many seconds until the window has taken in a step.
PATIENCE = 2.0
#: Python's collector of garbage while a worker is at work: a full collection stops all threads, for a quarter
#: of a second with all that napari has loaded, and as Python has it, one comes every few strokes of a brush.
FEW_COLLECTIONS = (50_000, 50, 100)
#: It is as before when nothing was at work for this many ms: strokes come one after another.
REST = 5000


class _Mark(Semaphore):
    """Marks the work that a message belongs to; acquired when the window is ready for the next one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """What a worker sends, with the mark of the work that it belongs to."""

    mark: _Mark
    kind: Literal["step", "paused", "result", "error"]
    value: Any = None


class Runner(QObject):
    """Runs one generator at a time off the GUI thread; starting another one ends the first.

    The worker is Qt's alone: napari's own kind makes napari ask, when its window is closed, about a function
    by its address in memory.

    Steps come one at a time: the next one when the window has had time to draw the last and to answer, so
    that it is never busy for the sum of them.

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
        self._mark = _Mark()

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
        # superqt's worker puts a function in the place of warnings.showwarning. Where two are at work at
        # once, one of an ended worker stays there for ever, with what steps have made that were given up
        worker.aborted.connect(partial(_close, steps))
        self._worker = worker
        _collections.few(self)
        self.started.emit()
        worker.start()

    def _on_sent(self, sent: _Sent | None) -> None:
        """Pass on what the present worker sends; what an abandoned one still sends is dropped."""
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
    """Pass steps on, one or all; the result says how it ended.

    A step whose product says that there is more of it goes together with the next one.

    Errors are sent like results, and all with a mark: a signal of a worker that is connected to a
    closure around the worker would keep it, and the analysis in it, alive for ever.
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
    """Python's collections of garbage: few while a runner is at work, and for a while after."""

    def __init__(self) -> None:
        self._at_work: WeakSet[Runner] = WeakSet()
        self._usual: tuple[int, int, int] | None = None
        self._rest = 0

    def few(self, runner: Runner) -> None:
        """Let garbage be collected less often: a runner is at work."""
        self._rest += 1
        if self._usual is None:
            self._usual = gc.get_threshold()
            gc.set_threshold(*FEW_COLLECTIONS)
        self._at_work.add(runner)

    def as_before(self, runner: Runner) -> None:
        """Collect as usual again after a rest, for a runner has ended."""
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
    """Passes on what went wrong.

    Signals
    -------
    told(str)
        What went wrong and what to do.
    """

    told = Signal(str)


#: The one of the process.
messages = Messages()


def tell(error: Exception) -> None:
    """Show an error; a message made for the user as it is, anything else with its traceback."""
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
