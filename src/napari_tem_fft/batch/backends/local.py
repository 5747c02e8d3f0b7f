"""Workers: processes that analyse files, one at a time each; one that dies costs its file one retry."""

from __future__ import annotations

import glob
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from ...io.results.whole_folder import hidden_prefix
from ..engine import analyse_source
from ..job import Job
from ..record import Record
from ..sources import Source

#: Number of attempts on a file before it is given up.
ATTEMPTS = 2
#: Longest time for a file, seconds, before its worker is terminated: a 4096 x 4096 image of 300 grains takes
#: two minutes on a slow processor.
SILENT_AFTER = 1800.0
#: Most workers in a row that may die before they have started on a file.
MOST_FAILED_STARTS = 3
#: Environment of the workers: one thread each, so that linear algebra and transforms do not compete for the
#: processors; and glibc keeps freed memory for the next image, which saves a tenth of the time, otherwise
#: spent on clearing fresh pages for arrays of tens of megabytes.
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}


class WorkersError(RuntimeError):
    """No worker is available."""


class Workers(Protocol):
    """Workers that analyse files: processes on this machine, or a cluster."""

    def free(self) -> int:
        """How many more files may be handed over now."""

    def busy(self) -> int:
        """How many files are being worked on."""

    def submit(self, source: Source) -> None:
        """Hand a file over."""

    def poll(self, seconds: float) -> list[Record]:
        """Records of files that are done, after at most this time."""

    def close(self) -> None:
        """End the work at once."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: Any
    pipe: Connection
    task: tuple[Source, int] | None = None
    used: bool = False
    since: float = 0.0
    overdue: bool = False


class LocalWorkers:
    """Worker processes on this machine.

    Parameters
    ----------
    job : Job
    count : int
    silent_after : float, seconds
        A worker that has not finished its file by then is ended, and the file reported as failed.

    Notes
    -----
    Each worker has one file at a time, so there is nothing queued that could be lost.
    """

    def __init__(self, job: Job, count: int, silent_after: float = SILENT_AFTER) -> None:
        self._job = job
        self._silent_after = silent_after
        self._context = multiprocessing.get_context("spawn")
        self._retries: deque[tuple[Source, int]] = deque()
        self._lost: list[Record] = []
        self._failed_starts = 0
        self._workers = [self._start_worker() for _ in range(count)]

    @property
    def pids(self) -> tuple[int, ...]:
        """Numbers of the workers' processes."""
        return tuple(worker.process.pid for worker in self._workers)

    def free(self) -> int:
        """Workers without a file."""
        return sum(worker.task is None for worker in self._workers) - len(self._retries)

    def busy(self) -> int:
        """Files that are worked on or wait for their second attempt."""
        return sum(worker.task is not None for worker in self._workers) + len(self._retries)

    def submit(self, source: Source) -> None:
        """Hand a file to a free worker."""
        self._retries.append((source, 1))
        self._hand_out()

    def poll(self, seconds: float) -> list[Record]:
        """Records that came in; a worker that died is replaced.

        Raises
        ------
        WorkersError
            If workers die before they do anything.
        """
        done = []
        ready = wait([w.pipe for w in self._workers], seconds)
        self._end_silent(ready)
        for worker in list(self._workers):
            if worker.pipe not in ready:
                continue
            try:
                record: Record = worker.pipe.recv()
            except Exception:  # it has died, perhaps in the middle of what it sent
                self._replace(worker)
                continue
            worker.task, worker.used, self._failed_starts = None, True, 0
            done.append(record)
        done += self._lost
        self._lost.clear()
        self._hand_out()
        return done

    def _end_silent(self, ready: Sequence[Any]) -> None:
        """End the workers that have been at their file for too long; their files are not tried again."""
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.task is None or worker.pipe in ready or now - worker.since < self._silent_after:
                continue
            worker.overdue = True
            worker.process.kill()
            self._replace(worker)

    def close(self) -> None:
        """Stop idle workers, terminate the others, and remove their unfinished files."""
        for worker in self._workers:
            if worker.task is None:
                with suppress(OSError):
                    worker.pipe.send(None)
            else:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
            worker.process.close()
            if worker.task is not None:
                remove_leftovers(Path(self._job.output), worker.task[0])
        self._workers.clear()

    def _hand_out(self) -> None:
        for worker in self._workers:
            if self._retries and worker.task is None:
                task = self._retries.popleft()
                worker.task, worker.since = task, time.monotonic()
                with suppress(OSError):  # it has died: poll finds that out
                    worker.pipe.send(task)

    def _start_worker(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._job), daemon=True)
        with _environment(ENVIRONMENT), _without_main_program():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _replace(self, worker: _Worker) -> None:
        """Replace a worker that died; its file is tried again, or given up."""
        worker.process.join()
        code = worker.process.exitcode
        self._failed_starts += not worker.used
        if self._failed_starts >= MOST_FAILED_STARTS * max(len(self._workers), 1):
            raise WorkersError(f"the worker processes end before they do anything ({_death(code)})")
        if worker.task is not None:
            source, attempt = worker.task
            remove_leftovers(Path(self._job.output), source)
            if worker.overdue:
                self._lost.append(silent_record(source, attempt, self._silent_after))
            elif attempt < ATTEMPTS:
                self._retries.appendleft((source, attempt + 1))
            else:
                self._lost.append(lost_record(source, attempt, _death(code)))
        worker.pipe.close()
        worker.process.close()
        self._workers[self._workers.index(worker)] = self._start_worker()


def lost_record(source: Source, attempts: int, death: str) -> Record:
    """The record of a file over which workers died."""
    reason = f"the process that analysed it died {attempts} times ({death}); perhaps the memory was too small"
    return Record(source.index, source.path, source.folder, "failed", reason, attempts=attempts)


def silent_record(source: Source, attempts: int, seconds: float) -> Record:
    """The record of a file at which a worker stopped responding."""
    reason = f"no sign of life for {seconds:g} s: the process that analysed it was ended"
    return Record(source.index, source.path, source.folder, "failed", reason, attempts=attempts)


def remove_leftovers(output: Path, source: Source) -> None:
    """Remove unfinished files that a terminated worker had written for a file."""
    folder = output / source.folder
    for path in folder.parent.glob(f"{glob.escape(hidden_prefix(folder.name))}*"):
        shutil.rmtree(path, ignore_errors=True)


def _work(pipe: Connection, job: Job) -> None:
    """Main loop of a worker: analyse files until no more arrive."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        if task is None:
            return
        source, attempt = task
        record = _answer(job, source, attempt)
        try:
            pipe.send(record)
        except OSError:  # nobody listens any longer
            return


def _answer(job: Job, source: Source, attempt: int) -> Record:
    """The record of a file, whatever happens: unexpected errors become a row as well."""
    try:
        return analyse_source(job, source, attempt)
    except Exception as error:
        reason = f"unexpected {type(error).__name__}: {error}"
        return Record(source.index, source.path, source.folder, "failed", reason, attempts=attempt)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


@contextmanager
def _without_main_program() -> Iterator[None]:
    """Context in which started processes import this package instead of the program that starts them.

    Otherwise each worker of a run in napari would load the whole of napari.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Context in which started processes have these environment variables."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
