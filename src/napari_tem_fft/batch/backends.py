"""Workers of a run: processes on this machine or on a cluster, and how many fit into memory."""

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

#: Number of attempts at a file before it is given up.
ATTEMPTS = 2
#: Time limit for a file, seconds, after which its worker is terminated: a 4096 x 4096 image with 300 grains
#: takes two minutes on a slow processor.
SILENT_AFTER = 1800.0
#: Largest number of consecutive workers that may die before starting on a file.
MOST_FAILED_STARTS = 3
#: Environment of the workers: one thread each, so that linear algebra and transforms do not compete for the
#: processors; and glibc keeps freed memory for the next image, which saves a tenth of the time, otherwise
#: spent on clearing new pages for arrays of tens of megabytes.
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
        """Number of further files that can be submitted now."""

    def busy(self) -> int:
        """Number of files being analysed."""

    def submit(self, source: Source) -> None:
        """Submit a file."""

    def poll(self, seconds: float) -> list[Record]:
        """Records of finished files, after waiting at most this time."""

    def close(self) -> None:
        """End the work immediately."""


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
        A worker that needs longer for a file is terminated, and the file reported as failed.

    Notes
    -----
    Each worker has only one file at a time, so no queued file can be lost.
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
        """Process ids of the workers."""
        return tuple(worker.process.pid for worker in self._workers)

    def free(self) -> int:
        """Number of workers without a file."""
        return sum(worker.task is None for worker in self._workers) - len(self._retries)

    def busy(self) -> int:
        """Number of files that are being analysed or wait for their second attempt."""
        return sum(worker.task is not None for worker in self._workers) + len(self._retries)

    def submit(self, source: Source) -> None:
        """Submit a file to a free worker."""
        self._retries.append((source, 1))
        self._hand_out()

    def poll(self, seconds: float) -> list[Record]:
        """Records received; workers that have died are replaced.

        Raises
        ------
        WorkersError
            If workers die before starting on a file.
        """
        done = []
        ready = wait([w.pipe for w in self._workers], seconds)
        self._end_silent(ready)
        for worker in list(self._workers):
            if worker.pipe not in ready:
                continue
            try:
                record: Record = worker.pipe.recv()
            except Exception:  # the worker has died, possibly while sending
                self._replace(worker)
                continue
            worker.task, worker.used, self._failed_starts = None, True, 0
            done.append(record)
        done += self._lost
        self._lost.clear()
        self._hand_out()
        return done

    def _end_silent(self, ready: Sequence[Any]) -> None:
        """Terminate workers that exceed the time limit; their files are not tried again."""
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
                with suppress(OSError):  # the worker has died, which `poll` will notice
                    worker.pipe.send(task)

    def _start_worker(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._job), daemon=True)
        with _environment(ENVIRONMENT), _without_main_program():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _replace(self, worker: _Worker) -> None:
        """Replace a worker that has died; its file is tried again or given up."""
        worker.process.join()
        code = worker.process.exitcode
        self._failed_starts += not worker.used
        if self._failed_starts >= MOST_FAILED_STARTS * max(len(self._workers), 1):
            raise WorkersError(f"the worker processes end before they start on a file ({_death(code)})")
        if worker.task is not None:
            source, attempt = worker.task
            remove_leftovers(Path(self._job.output), source)
            if worker.overdue:
                silent = f"not finished after {self._silent_after:g} s"
                reason = f"{silent}: the process that analysed it was terminated"
                self._lost.append(_failed(source, attempt, reason))
            elif attempt < ATTEMPTS:
                self._retries.appendleft((source, attempt + 1))
            else:
                self._lost.append(lost_record(source, attempt, _death(code)))
        worker.pipe.close()
        worker.process.close()
        self._workers[self._workers.index(worker)] = self._start_worker()


def lost_record(source: Source, attempts: int, death: str) -> Record:
    """The record of a file whose workers died."""
    reason = f"the process that analysed it died {attempts} times ({death}); perhaps memory was too small"
    return _failed(source, attempts, reason)


def _failed(source: Source, attempts: int, reason: str) -> Record:
    return Record(source.index, source.path, source.folder, "failed", reason, attempts=attempts)


def remove_leftovers(output: Path, source: Source) -> None:
    """Remove unfinished results of a file whose worker was terminated."""
    folder = output / source.folder
    for path in folder.parent.glob(f"{glob.escape(hidden_prefix(folder.name))}*"):
        shutil.rmtree(path, ignore_errors=True)


def _work(pipe: Connection, job: Job) -> None:
    """Main loop of a worker: analyse files until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles interruptions
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
        except OSError:  # the parent process has ended
            return


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


@contextmanager
def _without_main_program() -> Iterator[None]:
    """Context in which new processes import this package instead of the program that starts them.

    Otherwise each worker of a run within napari would load all of napari.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Context in which new processes have these environment variables."""
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


#: Number of files queued at the scheduler per thread of the workers.
QUEUED = 2
#: Smallest number of queued files, so that workers that join later find work.
FEWEST_QUEUED = 8
#: A file is given up after this many workers were lost while processing it.
LOST_WORKERS = ATTEMPTS - 1
#: Longest time to wait for the scheduler's first answer, seconds.
REACHED_WITHIN = 20


class Cluster:
    """Workers of a dask.distributed scheduler; each loads candidates and network once.

    Parameters
    ----------
    job : Job
        Its folder must have the same path on the workers.
    address : str
        Address of a running scheduler, such as "tcp://host:8786"; "local" starts one on this machine.
    count : int
        Number of processes of a local cluster.

    Raises
    ------
    WorkersError
        If dask.distributed is not installed, or no scheduler can be reached at the address.
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
        """Number of further files that can be queued at the scheduler."""
        threads = sum(self._client.nthreads().values())
        return int(max(QUEUED * threads, FEWEST_QUEUED) - len(self._tasks))

    def busy(self) -> int:
        """Number of files that are being analysed or are queued."""
        return len(self._tasks)

    def submit(self, source: Source) -> None:
        """Queue a file at the scheduler."""
        key = f"analyse-{source.index}-{id(self):x}"
        future = self._client.submit(
            analyse_source, self._job, source, pure=False, key=key, retries=LOST_WORKERS
        )
        self._tasks[future] = source

    def poll(self, seconds: float) -> list[Record]:
        """Records of finished files, including files for which workers were lost."""
        wait = import_module("distributed").wait
        if not self._tasks:
            return []
        if self._client.status != "running":
            raise WorkersError("the scheduler has ended; start it again and continue with --resume")
        with suppress(TimeoutError), self._client.as_current():
            wait(list(self._tasks), timeout=seconds, return_when="FIRST_COMPLETED")
        done = [future for future in self._tasks if future.done()]
        return [self._record(future, self._tasks.pop(future)) for future in done]

    def close(self) -> None:
        """Cancel unfinished tasks and disconnect from the scheduler; shut it down if it was started here."""
        with suppress(Exception):  # the scheduler may have ended
            self._client.cancel(list(self._tasks))
        self._tasks.clear()
        with suppress(Exception):
            self._client.close()
        self._end_local()

    def _record(self, future: Any, source: Source) -> Record:
        try:
            error = future.exception() if future.status != "cancelled" else WorkersError("cancelled")
            if error is None:
                record: Record = future.result()
                return record
        except Exception as problem:  # the result itself cannot be retrieved
            error = problem
        return lost_record(source, ATTEMPTS, f"{type(error).__name__}: {error}")

    def _end_local(self) -> None:
        if self._local is not None:
            with suppress(Exception):
                self._local.close()


#: Memory of the coordinating process, and of a worker without an image, bytes.
COORDINATOR = 170e6
WORKER = 270e6
#: Memory of a worker per pixel of its image, and per bin in the searched fraction of its spectrum, bytes.
#: Set, together with `WORKER`, on the process of `analyse` in `tests/benchmarks/grain_memory.py`: with 10,
#: 200 and 300 grains in images of 2048 and 4096 pixels of 0.05 nm (the whole spectrum is searched) and of
#: 0.025 nm (29 %) it takes 0.98 to 1.09 of the estimate. A batch worker, which draws no pictures but keeps
#: freed memory, takes 0.77 to 1.16 of it.
BYTES_A_PIXEL, BYTES_A_BIN = 2.0, 29.0
#: Bytes per pixel of common files: int16.
PIXEL_BYTES = 2
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def memory_of(workers: int, pixels: float, share: float = 1.0) -> float:
    """Memory of a run in bytes: coordinator + workers x (worker + bytes per pixel x pixels of an image).

    Parameters
    ----------
    workers : int
    pixels : float
        Number of pixels of the largest image.
    share : float
        Searched fraction of the image's spectrum; 1, which needs most memory, if it is unknown.
    """
    return COORDINATOR + workers * worker_memory(pixels, share)


def worker_memory(pixels: float, share: float = 1.0) -> float:
    """Memory of one worker in bytes, for example on a cluster: a process with one thread and one image.

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
    """Largest number of workers, at least one, whose memory fits into a limit.

    Parameters
    ----------
    limit : float, bytes
    pixels, share : float
        As in `memory_of`.

    Raises
    ------
    ValueError
        If not even one worker fits.
    """
    count = int((limit - COORDINATOR) // worker_memory(pixels, share))
    if count < 1:
        raise ValueError(
            f"a memory limit of {limit / 1e9:.2g} GB is too small: one worker needs"
            f" {memory_of(1, pixels, share) / 1e9:.2g} GB for images of this size"
        )
    return count


def largest_pixels(sources: Iterable[Source]) -> float:
    """Number of pixels of the largest image, estimated from the sizes of the files."""
    sizes = [os.path.getsize(source.path) for source in sources if os.path.isfile(source.path)]
    return max(sizes, default=0) / PIXEL_BYTES


def share_searched(sources: Iterable[Source]) -> float:
    """Searched fraction of the spectrum of the largest image, from its pixel size; 1 if that is unknown."""
    paths = [source.path for source in sources if os.path.isfile(source.path)]
    try:
        image = read_images(max(paths, key=os.path.getsize))[0]
        return searched_share(image.calibration.pixel_size, SpectrumParams())
    except (ValueError, OSError, MemoryError):  # problems with the file are reported by the run itself
        return 1.0


def parse_memory(text: str) -> float:
    """Parse a memory size such as "3G" or "800M", or a number of bytes.

    Raises
    ------
    ValueError
        If the text has another form.
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if not found or found[1].count(".") > 1 or found[1] == ".":
        raise ValueError(f"{text!r} is not a memory size, such as 3G")
    return float(found[1]) * _UNITS[found[2].upper()]


def start_workers(
    sources: Iterable[Source],
    count: int | None = None,
    memory_limit: str = "",
    scheduler: str = "",
) -> Callable[[Job], Workers]:
    """Create the function with which `batch_steps` starts its workers.

    Parameters
    ----------
    sources : iterable of Source
        The largest file determines how many workers fit into memory.
    count : int, optional
        Number of processes; by default one for each processor available to this process.
    memory_limit : str
        For example "8G": as many workers as fit, but at most `count`.
    scheduler : str
        Address of a dask.distributed scheduler, or "local".

    Raises
    ------
    ValueError
        If not even one worker fits, or the limit is not a memory size.
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
