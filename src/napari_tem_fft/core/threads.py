"""How many threads a transform may use: all processors, or as many as OMP_NUM_THREADS allows."""

from __future__ import annotations

import os
from functools import lru_cache


def threads() -> int:
    """Threads for one transform.

    Processes that share a machine set OMP_NUM_THREADS, which the linear algebra of numpy obeys as well.
    """
    return _threads(os.environ.get("OMP_NUM_THREADS", ""))


@lru_cache(maxsize=8)
def _threads(allowed: str) -> int:
    available = os.cpu_count() or 1
    return min(max(int(allowed), 1), available) if allowed.isdecimal() else available
