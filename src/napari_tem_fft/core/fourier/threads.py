"""Number of processors available to this process, and of threads for transforms and matrix products."""

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

#: Paths of Linux's control groups (version 2), and of the file that names this process' group.
CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

Given = ParamSpec("Given")
Item = TypeVar("Item")
Result = TypeVar("Result")


def processors() -> int:
    """Number of processors available to this process, at least one.

    Schedulers and containers restrict a job by affinity (SLURM, ``taskset``), or by a quota of its control
    group (Docker, Kubernetes); a fraction of a processor counts as one.
    """
    # Windows and macOS have no affinity to query
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(math.ceil(min(available, _quota())), 1)


def threads() -> int:
    """Number of threads for a transform: one per processor, or as many as OMP_NUM_THREADS allows.

    OMP_NUM_THREADS, which numpy's linear algebra also obeys, is set for processes that share a machine.
    """
    return _threads(os.environ.get("OMP_NUM_THREADS", ""))


@lru_cache(maxsize=8)
def _threads(allowed: str) -> int:
    available = processors()
    return min(max(int(allowed), 1), available) if allowed.isdecimal() else available


def _quota() -> float:
    """Number of processors allowed by the control group and its parents; infinity without a quota."""
    try:
        groups = OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    # version 2 has a single line "0::/path"; within a container the path may be outside the visible tree
    own = next((line.removeprefix("0::").strip("/") for line in groups if line.startswith("0::")), "")
    place = CGROUPS / own
    return min(_quota_of(folder / "cpu.max") for folder in (place, *place.parents, CGROUPS))


def _quota_of(file: Path) -> float:
    """Number of processors from a file with "quota period" in microseconds, or "max period"."""
    try:
        quota, period = file.read_text(encoding="utf-8").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


class _LinearAlgebra:
    """The BLAS libraries of this process, limited to one thread while at least one user requests it."""

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0
        self._give_back: Callable[[], None] = lambda: None

    @cached_property
    def _libraries(self) -> ThreadpoolController:
        """BLAS libraries of numpy and scipy, which are loaded before this is first needed."""
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
                if not self._users:  # only the thread that set a limit may change it, unless it is released
                    OpenBLASController.clear_controlling_thread(force=True)
                    self._give_back()
                    OpenBLASController.clear_controlling_thread(force=True)


_LINEAR_ALGEBRA = _LinearAlgebra()


def one_blas_thread() -> AbstractContextManager[None]:
    """Limit matrix products of the whole process to one thread within the block, for any number of users.

    The matrix products of an analysis are small: if each is divided among all processors, threads mostly wait
    for each other, and an analysis of a 4096 x 4096 image took twice the processor time, and ten times if
    other processes were busy. Fourier transforms keep their threads.
    """
    return _LINEAR_ALGEBRA.one_thread()


def in_one_blas_thread(
    steps_of: Callable[Given, Generator[Item, None, Result]],
) -> Callable[Given, Generator[Item, None, Result]]:
    """Decorate a generator function so that its steps run in `one_blas_thread`; no limit in between."""

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
