"""The workers of a run: processes of this machine or of a cluster, and how many its memory allows."""

from __future__ import annotations

import glob
import multiprocessing
import os
import re
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from ..core.fourier.diffractogram import SpectrumParams, searched_share
from ..core.fourier.threads import processors
from ..io.readers.micrographs import read_images
from ..io.results.whole_folder import hidden_prefix
from .engine import analyse_source
from .job import Job
from .record import Record
from .sources import Source

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
                silent = f"no sign of life for {self._silent_after:g} s"
                reason = f"{silent}: the process that analysed it was ended"
                self._lost.append(_failed(source, attempt, reason))
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
    return _failed(source, attempts, reason)


def _failed(source: Source, attempts: int, reason: str) -> Record:
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
        record = analyse_source(job, source, attempt)
        try:
            pipe.send(record)
        except OSError:  # nobody listens any longer
            return


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


#: Files handed to the scheduler at a time per thread of the workers, so that the next ones wait there.
QUEUED = 2
#: Fewest files that are handed over, so that workers that join later find work.
FEWEST_QUEUED = 8
#: A file is given up after this many workers were lost while they processed it.
LOST_WORKERS = ATTEMPTS - 1
#: Longest time to wait for the scheduler's first answer, seconds.
REACHED_WITHIN = 20


class Cluster:
    """Workers of a dask.distributed scheduler; each loads candidates and network once.

    Parameters
    ----------
    job : Job
        Its folder must be one that the workers see under the same name.
    address : str
        Address of a running scheduler, such as "tcp://host:8786"; "local" starts one on this machine.
    count : int
        Processes of a local cluster.

    Raises
    ------
    WorkersError
        If dask.distributed is not installed, or there is no scheduler at the address.
    """

    def __init__(self, job: Job, address: str, count: int = 2) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ImportError as error:
            text = "dask.distributed is not installed: pip install napari-tem-fft[batch]"
            raise WorkersError(text) from error
        self._job = job
        self._local: Any = None
        if address == "local":
            self._local = distributed.LocalCluster(
                n_workers=count, threads_per_worker=1, dashboard_address=None, env=dict(ENVIRONMENT)
            )
        try:
            self._client: Any = distributed.Client(
                self._local or address, timeout=REACHED_WITHIN, set_as_default=False
            )
        except (OSError, ValueError) as error:
            self._end_local()
            raise WorkersError(f"no scheduler can be reached at {address} ({error})") from error
        self._tasks: dict[Any, Source] = {}

    def free(self) -> int:
        """How many more files the scheduler should know of."""
        threads = sum(self._client.nthreads().values())
        return int(max(QUEUED * threads, FEWEST_QUEUED) - len(self._tasks))

    def busy(self) -> int:
        """Files that are worked on or wait at the scheduler."""
        return len(self._tasks)

    def submit(self, source: Source) -> None:
        """Hand a file to the scheduler."""
        key = f"analyse-{source.index}-{id(self):x}"
        future = self._client.submit(
            analyse_source, self._job, source, pure=False, key=key, retries=LOST_WORKERS
        )
        self._tasks[future] = source

    def poll(self, seconds: float) -> list[Record]:
        """Records of files that are done; of one over which workers died, why."""
        wait = import_module("distributed").wait
        if not self._tasks:
            return []
        if self._client.status != "running":
            raise WorkersError("the scheduler is gone; start it again and continue with --resume")
        with suppress(TimeoutError), self._client.as_current():
            wait(list(self._tasks), timeout=seconds, return_when="FIRST_COMPLETED")
        done = [future for future in self._tasks if future.done()]
        return [self._record(future, self._tasks.pop(future)) for future in done]

    def close(self) -> None:
        """Cancel unfinished tasks and disconnect from the scheduler; shut it down if it was started here."""
        with suppress(Exception):  # the scheduler may be gone
            self._client.cancel(list(self._tasks))
        self._tasks.clear()
        with suppress(Exception):
            self._client.close()
        self._end_local()

    def _record(self, future: Any, source: Source) -> Record:
        try:
            error = future.exception() if future.status != "cancelled" else WorkersError("called off")
            if error is None:
                record: Record = future.result()
                return record
        except Exception as problem:  # the answer itself cannot be had
            error = problem
        return lost_record(source, ATTEMPTS, f"{type(error).__name__}: {error}")

    def _end_local(self) -> None:
        if self._local is not None:
            with suppress(Exception):
                self._local.close()


#: Memory of the coordinating process, and of a worker without an image, bytes.
COORDINATOR = 170e6
WORKER = 270e6
#: Memory of a worker per pixel of its image, and per bin in the searched share of its spectrum, bytes.
#: Set, with `WORKER`, on the process of `analyse` in `tests/benchmarks/grain_memory.py`: 10, 200 and 300
#: grains in 2048 and 4096 pixels of 0.05 nm (the whole spectrum is searched) and of 0.025 nm (29 %) take 0.98
#: to 1.09 of the estimate. A batch worker, which draws no pictures but keeps freed memory, takes 0.77 to 1.16
#: of it.
BYTES_A_PIXEL, BYTES_A_BIN = 2.0, 29.0
#: Bytes of the smallest pixel that files usually hold: int16.
PIXEL_BYTES = 2
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def memory_of(workers: int, pixels: float, share: float = 1.0) -> float:
    """Bytes that a run needs: coordinator + workers x (a worker + bytes per pixel x pixels of an image).

    Parameters
    ----------
    pixels : float
        Number of pixels of the largest image.
    share : float
        Searched share of the image's spectrum; if it is unknown, 1, which needs most memory.
    """
    return COORDINATOR + workers * worker_memory(pixels, share)


def worker_memory(pixels: float, share: float = 1.0) -> float:
    """Bytes that one worker needs, such as one of a cluster: a process with one thread, and one image.

    Parameters
    ----------
    pixels, share : float
        As in `memory_of`.

    Examples
    --------
    >>> round(worker_memory(4096 * 4096) / 1e9, 2)
    0.79
    """
    return WORKER + (BYTES_A_PIXEL + BYTES_A_BIN * share) * pixels


def workers_within(limit: float, pixels: float, share: float = 1.0) -> int:
    """Most workers whose memory fits into `limit` bytes, at least one.

    Parameters
    ----------
    pixels, share : float
        As in `memory_of`.

    Raises
    ------
    ValueError
        If not even one fits.
    """
    count = int((limit - COORDINATOR) // worker_memory(pixels, share))
    if count < 1:
        raise ValueError(
            f"a memory limit of {limit / 1e9:.2g} GB is too small: one worker needs"
            f" {memory_of(1, pixels, share) / 1e9:.2g} GB for images of this size"
        )
    return count


def largest_pixels(sources: Iterable[Source]) -> float:
    """Pixels of the largest image, estimated from the sizes of the files."""
    sizes = [os.path.getsize(source.path) for source in sources if os.path.isfile(source.path)]
    return max(sizes, default=0) / PIXEL_BYTES


def share_searched(sources: Iterable[Source]) -> float:
    """Share of the spectrum that is searched in the largest image, by its pixel size; 1 if it says none."""
    paths = [source.path for source in sources if os.path.isfile(source.path)]
    try:
        image = read_images(max(paths, key=os.path.getsize))[0]
        return searched_share(image.calibration.pixel_size, SpectrumParams())
    except (ValueError, OSError, MemoryError):  # the run itself says what is wrong with a file
        return 1.0


def parse_memory(text: str) -> float:
    """Bytes of "3G", "800M" or a number.

    Raises
    ------
    ValueError
        If the text is anything else.
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if not found or found[1].count(".") > 1 or found[1] == ".":
        raise ValueError(f"{text!r} is not a size of memory, such as 3G")
    return float(found[1]) * _UNITS[found[2].upper()]


def start_workers(
    sources: Iterable[Source],
    count: int | None = None,
    memory_limit: str = "",
    scheduler: str = "",
) -> Callable[[Job], Workers]:
    """What `batch_steps` hires its workers with.

    Parameters
    ----------
    sources : iterable of Source
        The largest of them says how many workers fit into the memory.
    count : int, optional
        Processes; one a processor that this job may use where absent.
    memory_limit : str
        Such as "8G": as many workers as fit, `count` at most.
    scheduler : str
        Address of a dask.distributed scheduler, or "local".

    Raises
    ------
    ValueError
        If not even one worker fits, or the limit is no size of memory.
    """
    wanted = processors() if count is None else count
    if wanted < 1:
        raise ValueError("at least one worker is needed")
    if memory_limit:
        known = tuple(sources)
        limit, pixels, share = parse_memory(memory_limit), largest_pixels(known), share_searched(known)
        fit = workers_within(limit, pixels, share)
        wanted = min(wanted, fit)
    if scheduler:
        return lambda job: Cluster(job, scheduler, wanted)
    return lambda job: LocalWorkers(job, wanted)
