"""A run on a dask.distributed cluster: the same engine, the same records; tasks carry paths, not pixels."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

from ..engine import analyse_source
from ..job import Job
from ..record import Record
from ..sources import Source
from .local import ATTEMPTS, ENVIRONMENT, WorkersError, lost_record

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
