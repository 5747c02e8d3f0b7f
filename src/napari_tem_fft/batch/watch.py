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
    seen: dict[str, tuple[int, float]] = {}
    index = first
    while True:
        fresh = [one for one in find_sources([folder], output).sources if one.path not in known]
        complete = [one for one in fresh if _has_settled(one.path, seen, settle, clock())]
        for source in elsewhere(complete, taken):
            known[source.path] = source.folder
            yield Source(index, source.path, source.folder)
            index += 1
        yield None


def _has_settled(path: str, seen: dict[str, tuple[int, float]], settle: float, now: float) -> bool:
    """Whether a file has been the same for so long; the clock may be another machine's, so it is our own."""
    try:
        size = Path(path).stat().st_size
    except OSError:
        return False
    before = seen.get(path)
    if before is None or before[0] != size:
        seen[path] = (size, now)
        return settle <= 0 and size > 0
    return size > 0 and now - before[1] >= settle
