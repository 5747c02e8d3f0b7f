"""Watching a folder: files as the microscope writes them, each once it is complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .sources import Source, elsewhere, find_sources


def arriving(
    folder: Path,
    output: Path,
    settle: float,
    known: dict[str, str],
    first: int,
    clock: Callable[[], float] = time.time,
) -> Iterator[Source | None]:
    """New files of a folder, for ever; None while there is none.

    A file is complete once it has neither grown nor been written to for `settle` seconds.

    Parameters
    ----------
    known : dict
        Folder of the results of each file (path) that the run has already; new ones are added.
    first : int
        Index of the first new file.
    """
    taken = {name.casefold() for name in known.values()}
    seen: dict[str, tuple[tuple[int, int], float]] = {}
    index = first
    while True:
        fresh = [one for one in find_sources([folder], output).sources if one.path not in known]
        complete = [one for one in fresh if _has_settled(one.path, seen, settle, clock())]
        for source in elsewhere(complete, taken):
            known[source.path] = source.folder
            yield Source(index, source.path, source.folder)
            index += 1
        yield None


def _has_settled(
    path: str, seen: dict[str, tuple[tuple[int, int], float]], settle: float, now: float
) -> bool:
    """Whether size and time of change have been the same for so long, by this machine's clock.

    The time of change may be another machine's; only whether it stays the same counts.
    """
    try:
        stat = Path(path).stat()
    except OSError:
        return False
    state, before = (stat.st_size, stat.st_mtime_ns), seen.get(path)
    if before is None or before[0] != state:
        seen[path] = (state, now)
        return settle <= 0 and stat.st_size > 0
    return stat.st_size > 0 and now - before[1] >= settle
