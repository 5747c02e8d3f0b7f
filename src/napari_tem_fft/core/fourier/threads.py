"""How many processors this process may use, and how many threads a transform."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from pathlib import Path

#: Where Linux lists the control groups (version 2), and in which of them this process is.
CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


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
