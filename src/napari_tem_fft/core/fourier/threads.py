"""How many processors this process may use, and how many threads a transform and a matrix product."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, lru_cache, wraps
from pathlib import Path
from threading import Lock
from typing import ParamSpec, TypeVar

from threadpoolctl import OpenBLASController, ThreadpoolController

#: Where Linux lists the control groups (version 2), and in which of them this process is.
CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

Given = ParamSpec("Given")
Item = TypeVar("Item")
Result = TypeVar("Result")


def processors() -> int:
    """Processors that this process may use, at least one.

    A scheduler or container gives a job fewer than the machine has: by affinity (SLURM, ``taskset``), or by a
    quota of its control group (Docker, Kubernetes), of which a broken processor counts as one.
    """
    # Windows and macOS have no affinity that could be asked for
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(math.ceil(min(available, _quota())), 1)


def threads() -> int:
    """Threads for one transform: one a processor, or as many as OMP_NUM_THREADS allows.

    Processes that share a machine set OMP_NUM_THREADS, which the linear algebra of numpy obeys as well.
    """
    return _threads(os.environ.get("OMP_NUM_THREADS", ""))


@lru_cache(maxsize=8)
def _threads(allowed: str) -> int:
    available = processors()
    return min(max(int(allowed), 1), available) if allowed.isdecimal() else available


def _quota() -> float:
    """Processors that the control group and those around it allow; infinity where there is no quota."""
    try:
        groups = OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    # version 2 has one group: "0::/path"; within a container the path may lead outside of what is to be seen
    own = next((line.removeprefix("0::").strip("/") for line in groups if line.startswith("0::")), "")
    place = CGROUPS / own
    return min(_quota_of(folder / "cpu.max") for folder in (place, *place.parents, CGROUPS))


def _quota_of(file: Path) -> float:
    """Processors of a file that says "quota period" in microseconds, or "max period"."""
    try:
        quota, period = file.read_text(encoding="utf-8").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


class _LinearAlgebra:
    """The BLAS libraries of this process, and how many ask for one thread: the last one gives them back."""

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0
        self._give_back: Callable[[], None] = lambda: None

    @cached_property
    def _libraries(self) -> ThreadpoolController:
        """Numpy's and scipy's, which are loaded with the chain, before they are first needed."""
        return ThreadpoolController().select(user_api="blas")

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._give_back = self._libraries.limit(limits=1).restore_original_limits
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:  # only the thread that set a limit may change it, unless it lets go
                    OpenBLASController.clear_controlling_thread(force=True)
                    self._give_back()
                    OpenBLASController.clear_controlling_thread(force=True)


_LINEAR_ALGEBRA = _LinearAlgebra()


def one_blas_thread() -> AbstractContextManager[None]:
    """One thread for matrix products, in the whole process, while any thread is within such a block.

    The chain's products are small: where each is divided among all processors, threads mostly wait for each
    other, and an analysis of a 4096 x 4096 image took twice the processor time, and ten times where other
    processes used the machine as well. Fourier transforms keep their threads.
    """
    return _LINEAR_ALGEBRA.one_thread()


def in_one_blas_thread(
    steps_of: Callable[Given, Generator[Item, None, Result]],
) -> Callable[Given, Generator[Item, None, Result]]:
    """A generator function each of whose steps runs in `one_blas_thread`; between them nothing is limited."""

    @wraps(steps_of)
    def limited(*args: Given.args, **kwargs: Given.kwargs) -> Generator[Item, None, Result]:
        steps = steps_of(*args, **kwargs)
        try:
            while True:
                with one_blas_thread():
                    try:
                        step = next(steps)
                    except StopIteration as end:
                        return end.value  # type: ignore[no-any-return]
                yield step
        finally:
            steps.close()

    return limited
